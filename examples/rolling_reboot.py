"""Reboot every running server, five at a time, and begin no more when over 5 % of them have failed.

The report at the end has an outcome for every server. Give a location to reboot only the servers there:

    python examples/rolling_reboot.py us-west

VPS_API_TOKEN must be set. To try the example, set VPS_API_URL to a served sandbox.
"""

from __future__ import annotations

import asyncio
import sys

from vpsorg_async import Client


async def main(location: str | None = None) -> int:
    async with Client() as client:
        servers = await client.servers.list(status="active", location=location)
        print(f"rebooting {len(servers)} servers, five at a time")
        # An item is done when its server is active again, not when the API has accepted the reboot.
        report = await client.fleet(servers).reboot(at_once=5, tolerate=0.05, timeout=600, on_outcome=print)
    print(report)
    return 0 if len(report.succeeded) == len(report) else 1


sys.exit(asyncio.run(main(*sys.argv[1:2])))
