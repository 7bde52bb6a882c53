"""Reboot every running server, five at a time, and stop as soon as more than 5 % of them do not come back.

Give a location to reboot only what is there. Each server has an outcome in the report at the end, whatever happened:

    python examples/rolling_reboot.py us-west

VPS_API_TOKEN must be set; set VPS_API_URL too, to a served sandbox, to try it without rebooting anything real.
"""

from __future__ import annotations

import asyncio
import sys

from vpsorg_async import Client


async def main(location: str | None = None) -> int:
    async with Client() as client:
        servers = await client.servers.list(status="active", location=location)
        print(f"rebooting {len(servers)} servers, five at a time")
        # Done is a server that has come back, not one whose reboot was accepted.
        report = await client.fleet(servers).reboot(at_once=5, tolerate=0.05, timeout=600, on_outcome=print)
    print(report)
    return 0 if len(report.succeeded) == len(report) else 1


sys.exit(asyncio.run(main(*sys.argv[1:2])))
