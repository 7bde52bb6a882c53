"""Run a service that does long work, watches the account, and ends cleanly when it is asked to.

The service reboots every running server, two at a time, and prints each change in the account. SIGTERM (systemd,
Docker, Kubernetes) and Ctrl-C end it. Its work is then kept in a file, and the next start goes on from there: no
reboot is sent twice. VPS_API_TOKEN must be set:

    python examples/recipes/service.py /var/lib/my-service/reboots.json
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys

from pathlib import Path

from vpsorg_async import Client, FleetReport, FleetRun


def read(kept: Path) -> FleetReport | None:
    return FleetReport.from_dict(json.loads(kept.read_text())) if kept.exists() else None


async def run_of(client: Client, kept: Path) -> FleetRun:
    report = read(kept)
    if report is not None:
        return client.fleet.resume(report)
    return client.fleet(await client.servers.list(status="active")).reboot(at_once=2)


def keep(report: FleetReport, kept: Path) -> None:
    # A file that is replaced as a whole is never half written.
    new = kept.with_suffix(".new")
    new.write_text(json.dumps(report.to_dict()))
    new.replace(kept)


async def work(client: Client, kept: Path) -> None:
    run = await run_of(client, kept)
    try:
        await run
    finally:
        # Also reached when the task is cancelled. Nothing is awaited here: there may be no time for it.
        keep(run.report, kept)
        print(run.report, flush=True)


async def follow(client: Client) -> None:
    async for change in client.servers.watch():
        print(change.kind, change.server.name, change.server.status, flush=True)


async def serve(kept: Path) -> None:
    async with Client() as client, asyncio.TaskGroup() as group:
        group.create_task(work(client, kept))
        group.create_task(follow(client))


async def main(kept: Path) -> None:
    service = asyncio.create_task(serve(kept))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, service.cancel)
    # An error of the service is raised here; only the end that was asked for is not one.
    with contextlib.suppress(asyncio.CancelledError):
        await service
    print("ended", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
