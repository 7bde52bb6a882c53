"""Checks that this library has not become slower: `python -m benchmarks.guard`.

The measure is the ratio to raw httpx in the same run. Fails if a ratio is more than a third above the one recorded in
`benchmarks/results/guard.json`. `--record` records the ratios. Both clients run in one process and take turns every few
hundredths of a second, so that a slow moment of the machine slows both. The median of all turns counts. A ratio that is
worse after the first turns gets as many more before it fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys

from collections.abc import Mapping, Sequence

from benchmarks.peers import OURS, RAW, Calls, raw_httpx, vps
from benchmarks.peers.__main__ import ALL, CONNECTIONS, Clock, drive
from benchmarks.report import Samples, ratio
from benchmarks.running import ROOT, Bench, add, running
from benchmarks.shapes import SERVERS


RECORDED = ROOT / "benchmarks" / "results" / "guard.json"
WORSE = 4 / 3
AT_ONCE = (1, 10, 100)
TURNS, LISTS, IMPORTS = 20, 12, 8
SECONDS = 0.03


def ratios(samples: Samples) -> dict[str, float]:
    """Return the ratios of this library's figures to raw httpx's, each the median of the rounds."""
    places = [(f"a call, {at_once:,} at once", f"{at_once}") for at_once in AT_ONCE]
    places += [("a server of a list", ALL), ("the import", "import")]
    found = {name: ratio(samples, OURS, RAW, "cpu", place) for name, place in places}
    return {name: value for name, value in found.items() if value is not None}


def worse(measured: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """Return a line for each ratio that is more than a third worse, or was not measured."""
    lines = []
    for name, before in recorded.items():
        if name not in measured:
            lines.append(f"{name}: not measured, {before:.3f} of raw httpx recorded")
        elif measured[name] > before * WORSE:
            lines.append(f"{name}: {measured[name]:.3f} of raw httpx, {before:.3f} recorded")
    return lines


def measure(bench: Bench, samples: Samples) -> None:
    """Add the figures of many turns of both clients to *samples*."""
    asyncio.run(_turns(bench.base(), samples))
    for _ in range(IMPORTS):
        for peer in (OURS, RAW):
            add(samples, peer, {"cpu": {"import": bench.import_of(peer)}})


async def _turns(base: str, samples: Samples) -> None:
    async with vps.connect(base, CONNECTIONS) as ours, raw_httpx.connect(base, CONNECTIONS) as raw:
        clients = {OURS: ours, RAW: raw}
        for at_once in AT_ONCE:
            for calls in clients.values():
                await drive(calls.get, at_once, SECONDS)
            for _ in range(TURNS):
                for peer, calls in clients.items():
                    cost = await drive(calls.get, at_once, SECONDS, least=1)
                    add(samples, peer, {"cpu": {str(at_once): cost[0]}})
        for calls in clients.values():
            await calls.list_all()
        for _ in range(LISTS):
            for peer, calls in clients.items():
                add(samples, peer, {"cpu": {ALL: await _listed(calls)}})


async def _listed(calls: Calls) -> float:
    clock = Clock()
    await calls.list_all()
    return clock.over(SERVERS)[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the ratios, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--record", action="store_true", help="record the ratios instead of comparing with them")
    options = parser.parse_args(arguments)
    recorded = {} if options.record else json.loads(RECORDED.read_text())
    samples: Samples = {}
    with running(tls=False) as bench:
        if bench.core is not None:
            os.sched_setaffinity(0, {bench.core})
        measure(bench, samples)
        if options.record or worse(ratios(samples), recorded):
            measure(bench, samples)
    found = ratios(samples)
    for name, value in found.items():
        print(f"CPU of {name}: {value:.3f} of raw httpx" + (f", {recorded[name]:.3f} recorded" if recorded else ""))
    if options.record:
        RECORDED.write_text(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2) + "\n")
        return 0
    lines = worse(found, recorded)
    print(*(f"SLOWER BY MORE THAN A THIRD: {line}" for line in lines), sep="\n", end="\n" if lines else "")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
