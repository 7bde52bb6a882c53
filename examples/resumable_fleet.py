"""Create servers, and go on where the last run was left: after Ctrl-C, an error, or in another process.

The report of the run is kept as JSON in a file. A run that finds the file goes on from it: it waits for what was
accepted, finds out what became of creates in doubt, and creates only what was never accepted. VPS_API_TOKEN must be
set:

    python examples/resumable_fleet.py fleet.json
"""

from __future__ import annotations

import asyncio
import json
import sys

from pathlib import Path

from vpsorg_async import Client, FleetReport, FleetRun, ServerSpec


def run_of(client: Client, kept: Path) -> FleetRun:
    if kept.exists():
        return client.fleet.resume(FleetReport.from_dict(json.loads(kept.read_text())))
    specs = [ServerSpec(name=f"node-{number}", plan_id=1, os_id=5, location="us-west") for number in range(3)]
    return client.fleet.create(specs)


def keep(run: FleetRun, kept: Path) -> None:
    kept.write_text(json.dumps(run.report.to_dict()))


async def main(kept: Path) -> None:
    async with Client() as client:
        run = run_of(client, kept)
        try:
            await run
        finally:
            keep(run, kept)
            print(run.report)


try:
    asyncio.run(main(Path("".join(sys.argv[1:2]) or "fleet.json")))
except KeyboardInterrupt:
    sys.exit(130)
