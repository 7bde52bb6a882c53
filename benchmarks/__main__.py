"""Measures all clients side by side: `python -m benchmarks`.

The run takes about half an hour, and with `--short` a minute or two. Each trial has its own process. The clients take
turns, round after round, so that the two figures of a ratio are made within seconds of each other. `--write` puts the
figures, the tables and the plots into `benchmarks/results/`. With `--only` it leaves the other parts there as they
were.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anyio

from benchmarks import bulk as bulk_work
from benchmarks import cells, plots, report, waiting
from benchmarks import fleets as fleet
from benchmarks.peers import NEAR_LIMIT, OURS, PEERS, RAW
from benchmarks.result_plots import plots_of
from benchmarks.running import ROOT, Bench, TrialError, add, load, machine, now, running, versions
from benchmarks.samples import GATHER, LOOP, Samples
from benchmarks.targets import AHEAD_SECONDS


RESULTS = ROOT / "benchmarks" / "results"
AHEAD_BY = "/delay-50"
LIFE_PARTS = 20
NEAR_LIMIT_PARTS = 4
"""The number of parts of a long life that the near limit runs: enough to compare, and the whole run stays short."""
LIFE_SECONDS_AT_MOST = 1_800


@dataclasses.dataclass(frozen=True)
class Scale:
    """The amount of measuring: rounds, seconds, calls at once and the sizes of each part."""

    rounds: int
    seconds: float
    at_once: tuple[int, ...]
    bursts: tuple[int, ...]
    life: int
    imports: int
    waits: tuple[int, ...]
    fleets: tuple[int, ...]
    bulk: tuple[cells.Cell, ...]


FULL = Scale(
    rounds=3,
    seconds=0.4,
    at_once=(1, 10, 100, 1_000),
    bursts=(100, 1_000, 10_000),
    life=1_000_000,
    imports=9,
    waits=(1, 10, 100, 1_000, 10_000),
    fleets=(100, 1_000, 10_000),
    bulk=cells.CELLS,
)
SHORT = Scale(
    rounds=1,
    seconds=0.2,
    at_once=(1, 100),
    bursts=(100, 1_000),
    life=10_000,
    imports=3,
    waits=(1, 10, 100),
    fleets=(20, 100),
    bulk=cells.FEW_CELLS,
)


class Part:
    """A part that is being measured: its figures, and the peers that were left out."""

    def __init__(self, bench: Bench, peers: Sequence[str], scale: Scale) -> None:
        self.bench, self.peers, self.scale = bench, peers, scale
        self.samples: Samples = {}
        self.left_out: dict[str, str] = {}

    def take_turns(
        self, trial: Callable[[str], dict[str, dict[str, float]]], *, among: Iterable[str] = PEERS, rounds: int = 0
    ) -> None:
        """Measure each peer once in each of *rounds* rounds."""
        for number in range(rounds or self.scale.rounds):
            for peer in (peer for peer in among if peer in self.peers and peer not in self.left_out):
                print(f"  {number + 1} {peer}", file=sys.stderr, flush=True)
                try:
                    add(self.samples, peer, trial(peer))
                except TrialError as error:
                    self.left_out[peer] = str(error)
                    print(f"    {error}", file=sys.stderr, flush=True)


def get(part: Part, scheme: str = "http") -> None:
    arguments = ("--seconds", part.scale.seconds, "--at-once", *part.scale.at_once)
    part.take_turns(lambda peer: part.bench.measure(peer, "get", *arguments, scheme=scheme))


def tls(part: Part) -> None:
    get(part, "https")


def lists(part: Part) -> None:
    part.take_turns(lambda peer: part.bench.measure(peer, "lists"))


def ahead(part: Part) -> None:
    """Measure this library alone: the other clients would take the known sum of all pages."""
    part.take_turns(lambda peer: part.bench.measure(peer, "ahead", prefix=AHEAD_BY), among=[OURS])
    print(f"  one after another: {AHEAD_SECONDS:g} s", file=sys.stderr)


def imports(part: Part) -> None:
    trial = lambda peer: {"cpu": {"1": part.bench.import_of(peer)}}  # noqa: E731 - one line is enough
    # The first import is not measured: it compiles every module.
    unmeasured = Part(part.bench, part.peers, part.scale)
    unmeasured.take_turns(trial, rounds=1)
    part.take_turns(trial, rounds=part.scale.imports)


def construction(part: Part) -> None:
    part.take_turns(lambda peer: part.bench.measure(peer, "construct"), among=[OURS, RAW])


def burst(part: Part) -> None:
    """Measure calls that begin at the same moment, without httpx.

    httpx would not end: it checks every waiting call whenever a connection gets free.
    """

    def trial(peer: str) -> dict[str, dict[str, float]]:
        figures = {}
        for connections in (10, 100):
            arguments = ("--connections", connections, "--at-once", *part.scale.bursts)
            for measure, values in part.bench.measure(peer, "burst", *arguments).items():
                figures[f"{measure}, {connections} connections"] = values
        return figures

    part.take_turns(trial, among=[OURS, NEAR_LIMIT])


def life(part: Part) -> None:
    """Measure fewer parts of the near limit, each of the same length."""
    calls = part.scale.life // LIFE_PARTS

    def trial(peer: str) -> dict[str, dict[str, float]]:
        parts = LIFE_PARTS if peer == OURS else NEAR_LIMIT_PARTS
        arguments = ("--calls", calls * parts, "--parts", parts)
        return part.bench.measure(peer, "life", *arguments, seconds_at_most=LIFE_SECONDS_AT_MOST)

    part.take_turns(trial, among=[OURS, NEAR_LIMIT], rounds=1)


def waits(part: Part) -> None:
    """Measure waits on the sandbox's clock, in this process. The number of requests is exact."""
    for name, way in ((LOOP, waiting.loop), (OURS, waiting.library)):
        for count in part.scale.waits:
            if way is waiting.loop and count > waiting.MOST_LOOPS:
                continue
            print(f"  {count} {name}", file=sys.stderr, flush=True)
            figures = anyio.run(waiting.run, way, count, False)
            values = {"requests": figures.requests, "cpu": figures.cpu, "memory": anyio.run(waiting.memory, count, way)}
            add(part.samples, name, {measure: {str(count): float(value)} for measure, value in values.items()})


def fleets(part: Part) -> None:
    """Measure fleets in this process, the smaller ones before and after the largest."""
    *smaller, largest = part.scale.fleets
    for count in (*smaller, largest, *reversed(smaller)):
        print(f"  {count} {OURS}", file=sys.stderr, flush=True)
        figures = anyio.run(fleet.run, count)
        values = {"requests": figures.requests, "cpu": figures.cpu, "memory": anyio.run(fleet.memory, count)}
        add(part.samples, OURS, {measure: {str(count): value} for measure, value in values.items()})


def bulk(part: Part) -> None:
    """Measure fleets in this process, cell by cell. The number of requests and the lateness are exact.

    The account is nothing to a loop of GETs, so `asyncio.gather` runs in the accounts of one size only.
    """
    accounts = {cell.account for cell in part.scale.bulk}
    gathered = cells.GATHERED if cells.GATHERED in accounts else min(accounts)
    for cell in part.scale.bulk:
        print(f"  {cell}", file=sys.stderr, flush=True)
        found = anyio.run(bulk_work.measure, cell)
        add(part.samples, OURS, {name: {str(cell): value} for name, value in cells.ours(found).items()})
        add(part.samples, LOOP, {name: {str(cell): value} for name, value in cells.loops(found).items()})
        if cell.account == gathered:
            found = anyio.run(bulk_work.measure, cell, bulk_work.gather)
            add(part.samples, GATHER, {name: {str(cell): value} for name, value in cells.ours(found).items()})


PARTS: dict[str, Callable[[Part], None]] = {
    "get": get,
    "tls": tls,
    "lists": lists,
    "ahead": ahead,
    "imports": imports,
    "construction": construction,
    "burst": burst,
    "life": life,
    "waits": waits,
    "fleets": fleets,
    "bulk": bulk,
}


def measured(name: str, bench: Bench, peers: Sequence[str], scale: Scale, note: str) -> dict[str, Any]:
    """Measure one part, and return its entry of `results.json`."""
    print(name, file=sys.stderr, flush=True)
    part, begun, before = Part(bench, peers, scale), now(), load()
    PARTS[name](part)
    return {
        "begun": begun,
        "rounds": max((len(v) for m in part.samples.values() for s in m.values() for v in s.values()), default=0),
        "load": [before, load()],
        "note": note,
        "left_out": part.left_out,
        "samples": part.samples,
    }


def write(results: dict[str, Any]) -> None:
    """Write the figures, the tables and the plots into their folder."""
    RESULTS.mkdir(exist_ok=True)
    results = _rounded(results)
    text = json.dumps(results, indent=1)
    (RESULTS / "results.json").write_text(re.sub(r"\[\s+([^][{}]*?)\s+\]", _on_one_line, text) + "\n")
    (RESULTS / "results.md").write_text(report.document(results))
    for name, plot in plots_of(results).items():
        (RESULTS / f"{name}.svg").write_text(plots.svg(plot))


def _on_one_line(match: re.Match[str]) -> str:
    return f"[{' '.join(match[1].split())}]"


def _rounded(value: Any) -> Any:
    """Return *value* with floats rounded to five digits."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write them if `--write` is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one short round: a minute or two")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--write", action="store_true", help="write the results into benchmarks/results/")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing, and write the tables and plots of results.json again"
    )
    parser.add_argument("--note", default="", help="a note on the run, for the tables")
    options = parser.parse_args(arguments)
    file = RESULTS / "results.json"
    before = json.loads(file.read_text()) if file.exists() and (options.write or options.report) else {"parts": {}}
    if options.report:
        write(before)
        return
    with running() as bench:
        scale = SHORT if options.short else FULL
        found = {name: measured(name, bench, options.peers, scale, options.note) for name in options.only}
    ordered = {name: (before["parts"] | found)[name] for name in PARTS if name in before["parts"] | found}
    results = {"machine": machine(), "versions": versions(), "parts": ordered}
    print(report.document(results))
    if options.write:
        write(results)


if __name__ == "__main__":
    main()
