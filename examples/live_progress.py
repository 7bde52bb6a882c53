"""Show the progress of a fleet: `progress=` moves a bar, and `on_outcome=` prints a line for each failure.

The example reboots every running server. VPS_API_TOKEN must be set. To try it, set VPS_API_URL to a served sandbox.
The bar needs rich: pip install rich
"""

from __future__ import annotations

import asyncio

from rich.progress import Progress as Bar

from vpsorg_async import Client, Outcome, Progress


async def main() -> None:
    async with Client() as client:
        servers = await client.servers.list(status="active")
        with Bar() as bar:
            task = bar.add_task("rebooting", total=len(servers))

            def move(now: Progress) -> None:
                ended = now.succeeded + now.failed + now.pending + now.unknown
                bar.update(task, completed=ended, description=f"{now.begun - ended} rebooting, {now.failed} failed")

            def write(outcome: Outcome) -> None:
                if outcome.state != "succeeded":
                    bar.console.print(str(outcome), style="red", markup=False)

            report = await client.fleet(servers).reboot(at_once=10, progress=move, on_outcome=write)
    print(report)


asyncio.run(main())
