"""Interrupt a fleet with Ctrl-C, and know what became of every server all the same.

`run.report` tells at any time what is known: what has ended; what the API had accepted; what was on the wire, so that
nobody knows whether it was carried out; what was never begun. Runs on asyncio, or on trio if that is its argument:

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
    # As a shell has it: 128 and the number of the signal.
    interrupted = True
sys.exit(130 if interrupted else 0)
