"""Measures what it costs to keep each step of a fleet: `python -m benchmarks.durable`.

The same creates go to the same sandbox, which another process serves, once as a fleet and once as a durable run on a
new SQLite file. Nothing is waited for, so that the figures are those of the keeping. `--write` puts the table into
docs/scale.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time

from typing import Any

from benchmarks.running import ROOT
from benchmarks.tables import inserted
from vpsorg_async import Client, ServerSpec


PAGE = ROOT / "docs" / "scale.md"
SECONDS_AT_MOST = 1_800
_AT_ONCE = 100
_WAYS = ("fleet", "durable")


def specs_of(way: str, count: int) -> list[ServerSpec]:
    """Return the specs of *count* servers, with names of their own."""
    return [ServerSpec(name=f"{way}-{number}", plan_id=1, os_id=5, location="us-west") for number in range(count)]


async def run(way: str, count: int, url: str, folder: pathlib.Path) -> dict[str, float]:
    """Create the servers in one way, and return the figures of this process."""
    store = folder / "fleet.sqlite"
    async with Client("vps_sandbox", base_url=url, timeout=120) as client:
        began, cpu = time.perf_counter(), time.process_time()
        if way == "fleet":
            report = await client.fleet.create(specs_of(way, count), wait=False, at_once=_AT_ONCE)
            submitted = began
        else:
            from vpsorg_async.durable import DurableFleets  # noqa: PLC0415 - dbos takes memory, which is measured

            async with DurableFleets(client, store=f"sqlite:///{store}", worker="bench") as fleets:
                durable = await fleets.create("bench", specs_of(way, count), wait=False, at_once=_AT_ONCE)
                submitted = time.perf_counter()
                report = await durable
        seconds = time.perf_counter() - began
    assert len(report.succeeded) == count, str(report)
    return {
        "seconds": seconds,
        "submitted": submitted - began,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0,
        "file": float(store.stat().st_size) if store.exists() else 0.0,
    }


def measured(way: str, count: int) -> dict[str, Any]:
    """Return the figures of one way, in a process of its own."""
    print(f"  {way} of {count:,}", file=sys.stderr, flush=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = [sys.executable, "-m", "vpsorg_async.sandbox", "--port", str(port), "--token", "vps_sandbox"]
    with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT) as sandbox:
        try:
            _answers(port)
            url = f"http://127.0.0.1:{port}/api/v1"
            command = [sys.executable, "-m", "benchmarks.durable", "--one", way, "--items", str(count), "--url", url]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=SECONDS_AT_MOST, cwd=ROOT)
        finally:
            sandbox.terminate()
    return dict(json.loads(done.stdout))


def _answers(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the sandbox does not answer")


def table(counts: list[int]) -> str:
    """Return the table of all ways and counts."""
    heads = [
        "creates",
        "kept",
        "seconds",
        "to submit, s",
        "CPU an item, ms",
        "peak of the process, MB",
        "the file, kB an item",
    ]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---"] * len(heads)) + " |"]
    for count in counts:
        for way in _WAYS:
            found = measured(way, count)
            cells = [
                f"{count:,}",
                "no" if way == "fleet" else "SQLite",
                f"{found['seconds']:.0f}",
                "-" if way == "fleet" else f"{found['submitted']:.1f}",
                f"{found['cpu'] / count * 1e3:.1f}",
                f"{found['peak'] / 1e6:.0f}",
                "-" if way == "fleet" else f"{found['file'] / count / 1e3:.1f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durable", description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 10_000], help="how many servers")
    parser.add_argument("--write", action="store_true", help="put the table into docs/scale.md")
    parser.add_argument("--one", choices=_WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(run(options.one, options.items[0], options.url, pathlib.Path(folder)))))
        return
    found = table(options.items)
    print(found)
    if options.write:
        PAGE.write_text(inserted(PAGE.read_text(), "durable", found))


if __name__ == "__main__":
    main()
