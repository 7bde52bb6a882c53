"""Checks that this library has not become slower: `python -m benchmarks.guard`.

The measure is the ratio to raw httpx in the same run. Fails if a ratio is more than a third above the one recorded in
`benchmarks/results/guard.json`. `--record` records the figures. Both clients run in one process and take turns every
few hundredths of a second, so that a slow moment of the machine slows both. The median of all turns counts. A ratio
that is worse after the first turns gets as many more before it fails.

The requests of an item of two fleets are compared too, with nothing added: on the sandbox's clock they are exact.

What the events cost a call when nobody listens must stay below a microsecond, and is not recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import timeit

from collections.abc import Mapping, Sequence

import anyio
import httpx

from benchmarks import bulk
from benchmarks.cells import Cell
from benchmarks.peers import OURS, RAW, Calls, raw_httpx, vps
from benchmarks.peers.__main__ import ALL, CONNECTIONS, Clock, drive
from benchmarks.running import ROOT, Bench, add, running
from benchmarks.samples import Samples, ratio
from benchmarks.shapes import SERVERS
from vpsorg_async._clock import SystemClock
from vpsorg_async._events import Events
from vpsorg_async._request import call_events
from vpsorg_async._request.call import Call, CallOptions, CallState, RetrySafety


RECORDED = ROOT / "benchmarks" / "results" / "guard.json"
WORSE = 4 / 3
AT_ONCE = (1, 10, 100)
TURNS, LISTS, IMPORTS = 20, 12, 8
SECONDS = 0.03
ROUNDS = 20_000
MOST_FOR_EVENTS = 1.0
FLEETS = (Cell(1_000, 20, "reboot"), Cell(100, 1, "stop"))


def ratios(samples: Samples) -> dict[str, float]:
    """Return the ratios of this library's figures to raw httpx's, each the median of the rounds."""
    places = [(f"a call, {at_once:,} at once", f"{at_once}") for at_once in AT_ONCE]
    places += [("a server of a list", ALL), ("the import", "import")]
    found = {name: ratio(samples, OURS, RAW, "cpu", place) for name, place in places}
    return {name: value for name, value in found.items() if value is not None}


def requests() -> dict[str, float]:
    """Return the requests of an item of each fleet. They are the same on any machine."""
    return {f"an item of {cell}": anyio.run(bulk.measure, cell).requests for cell in FLEETS}


def events_of_a_call() -> float:
    """Return the microseconds that the events of a call cost when nobody listens: the best of several rounds."""
    clock = SystemClock()
    events = Events(clock)
    calls = call_events.Calls(events, clock)
    state = CallState(Call(method="GET", path="/servers/7/", retry_safety=RetrySafety.SAFE), CallOptions())
    request = httpx.Request("GET", "https://api.example/servers/7/")

    def told() -> None:
        # What is around a call, around its attempt, and in between.
        with calls.of(state), call_events.traced(events.tracer, request, state):
            state.waits_since = 0.0
            state.goes_on(0.0)
            state.status = state.headers = None

    assert not events.are_heard
    return min(timeit.repeat(told, number=ROUNDS, repeat=9)) / ROUNDS * 1e6


def worse(measured: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """Return a line for each ratio that is more than a third worse, or was not measured."""
    return _above(measured, {name: before * WORSE for name, before in recorded.items()}, recorded, "of raw httpx")


def more(measured: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """Return a line for each number of requests that is above the recorded one, or was not measured."""
    return _above(measured, recorded, recorded, "requests")


def _above(
    measured: Mapping[str, float], limits: Mapping[str, float], recorded: Mapping[str, float], unit: str
) -> list[str]:
    lines = []
    for name, before in recorded.items():
        if name not in measured:
            lines.append(f"{name}: not measured, {before:.3f} {unit} recorded")
        elif measured[name] > limits[name]:
            lines.append(f"{name}: {measured[name]:.3f} {unit}, {before:.3f} recorded")
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


def measured(recorded: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the ratios and the requests. Ratios that are not recorded, or are worse, are measured twice."""
    samples: Samples = {}
    with running(tls=False) as bench:
        if bench.core is not None:
            os.sched_setaffinity(0, {bench.core})
        measure(bench, samples)
        if not recorded["ratios"] or worse(ratios(samples), recorded["ratios"]):
            measure(bench, samples)
    found = {"ratios": ratios(samples), "requests": requests()}
    return {kind: {name: round(value, 3) for name, value in values.items()} for kind, values in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--record", action="store_true", help="record the figures instead of comparing with them")
    options = parser.parse_args(arguments)
    recorded = {"ratios": {}, "requests": {}} if options.record else json.loads(RECORDED.read_text())
    found = measured(recorded)
    for kind, before in recorded.items():
        for name, value in found[kind].items():
            print(f"{kind}: {name}: {value:.3f}" + (f", {before[name]:.3f} recorded" if name in before else ""))
    if options.record:
        RECORDED.write_text(json.dumps(found, indent=2) + "\n")
        return 0
    lines = [f"SLOWER BY MORE THAN A THIRD: {line}" for line in worse(found["ratios"], recorded["ratios"])]
    lines += [f"MORE REQUESTS: {line}" for line in more(found["requests"], recorded["requests"])]
    microseconds = events_of_a_call()
    print(f"events of a call that nobody listens to: {microseconds:.2f} µs, at most {MOST_FOR_EVENTS:g}")
    if microseconds > MOST_FOR_EVENTS:
        lines.append(f"EVENTS: {microseconds:.2f} µs a call when nobody listens")
    print(*lines, sep="\n", end="\n" if lines else "")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
