"""Interrupt a fleet with Ctrl-C, and print the state of every server.

The example reboots every running server. `run.report` has an outcome for each server at any time: it ended, it was
never begun, it is pending, because its reboot was accepted, or it is unknown, because its reboot was on the wire.
VPS_API_TOKEN must be set. The example runs on asyncio, or on trio:

    python examples/interruptible_fleet.py trio
"""

from __future__ import annotations

import sys

import anyio

from vpsorg_async import Client


async def main() -> None:
    async with Client() as client:
        run = client.fleet(await client.servers.list(status="active")).reboot(at_once=2)
        try:
            await run
        finally:
            print(run.report)


interrupted = False
try:
    anyio.run(main, backend="".join(sys.argv[1:2]) or "asyncio")
except* KeyboardInterrupt:
    # The exit status of a shell: 128 and the number of the signal.
    interrupted = True
sys.exit(130 if interrupted else 0)
