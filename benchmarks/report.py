"""Writes `results.md`: the facts of the run, the targets, and a section for each part. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.cells import DURATIONS, Cell
from benchmarks.peers import NEAR_LIMIT, OURS
from benchmarks.samples import ALL, LOOP, Samples
from benchmarks.shapes import SERVERS
from benchmarks.tables import by_cell, by_x, calls, row, rule, single
from benchmarks.targets import targets


def document(results: Mapping[str, Any]) -> str:
    """Return the text of `results.md`."""
    parts: dict[str, Samples] = {name: part["samples"] for name, part in results["parts"].items()}
    sections = [_PREFACE.format(machine=_words(results["machine"]), versions=_words(results["versions"]))]
    sections += [_when(results["parts"]), "## See the targets", targets(parts)]
    left_out = [f"{peer}: {why}" for part in results["parts"].values() for peer, why in part["left_out"].items()]
    if left_out:
        sections.append("Left out: " + "; ".join(dict.fromkeys(left_out)) + ".")
    for name, heading, tables in _SECTIONS:
        if name in parts:
            sections += [f"## {heading}", *tables(parts[name])]
    return "\n\n".join(sections) + "\n"


def _when(parts: Mapping[str, Any]) -> str:
    lines = [row("part", "begun", "rounds", "load before and after (processes that want a core)", "note"), rule(5)]
    lines += [
        row(name, part["begun"], part["rounds"], "{} and {}".format(*part["load"]), part["note"])
        for name, part in parts.items()
    ]
    return "\n".join(lines)


def _words(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {fact}" for name, fact in facts.items())


def _of_calls(samples: Samples) -> list[str]:
    return [
        "CPU of a call in µs: the median of the rounds (the least and the most), and its ratio to this library's.",
        calls(samples, "cpu"),
        "Wall time of all calls, divided by their number, in µs: the median of the rounds (the least and the most).",
        calls(samples, "wall"),
    ]


def _of_bulk(samples: Samples) -> list[str]:
    texts = ["![](bulk_requests.svg) ![](bulk_late.svg) ![](bulk_cpu.svg)", _BULK]
    measured = {Cell.parse(name).durations for name in samples.get(OURS, {}).get("requests", {})}
    for durations in DURATIONS:
        if durations in measured:
            texts += [f"Durations: {durations}.", by_cell(samples, durations)]
    return texts


_BULK = """\
Requests and CPU of an item, and lateness, on the sandbox's clock: the median, and the worst. The loop is ideal: it is
reckoned from the same durations as a POST, and a GET every 5 s from its acceptance on. Polls are those of the half
minute that comes nearest to the ceiling, without one request for the first and one for the last poll of each wait."""

_SECTIONS: tuple[tuple[str, str, Callable[[Samples], list[str]]], ...] = (
    ("get", "GET one server", lambda samples: ["![](cpu_get.svg)", *_of_calls(samples)]),
    ("tls", "GET one server over TLS", lambda samples: ["![](cpu_tls.svg)", *_of_calls(samples)]),
    (
        "lists",
        f"List {SERVERS:,} servers",
        lambda samples: [
            single(
                samples, [("CPU of a server, µs", "cpu", ALL, 1e6), ("wall time of the list, s", "wall", ALL, SERVERS)]
            )
        ],
    ),
    (
        "ahead",
        f"List {SERVERS:,} servers, with 50 ms a page",
        lambda samples: [single(samples, [("wall time, s", "wall", ALL, 1)])],
    ),
    ("imports", "Import the library", lambda samples: [single(samples, [("CPU, ms", "cpu", 1, 1e3)])]),
    (
        "construction",
        "Make a client",
        lambda samples: [
            single(samples, [("CPU of the first, ms", "first", 1, 1e3), ("CPU of the next, ms", "next", 1, 1e3)])
        ],
    ),
    (
        "burst",
        "Begin all calls at once",
        lambda samples: [
            "![](burst.svg)",
            by_x(
                samples,
                [
                    (
                        f"{peer}, {connections} connections: CPU of a call, µs",
                        peer,
                        f"cpu, {connections} connections",
                        1e6,
                    )
                    for peer in (OURS, NEAR_LIMIT)
                    for connections in (10, 100)
                ],
                "calls at once",
            ),
        ],
    ),
    (
        "life",
        "Make a million calls",
        lambda samples: [
            "![](life_cpu.svg) ![](life_memory.svg)",
            by_x(
                samples,
                [
                    (f"{peer}: {what}", peer, measure, by)
                    for peer in (OURS, NEAR_LIMIT)
                    for what, measure, by in (
                        ("CPU of a call, µs", "cpu", 1e6),
                        ("memory in use, MiB", "memory", 2**-20),
                    )
                ],
                "calls made",
            ),
        ],
    ),
    (
        "waits",
        "Wait for servers",
        lambda samples: [
            "![](waits_requests.svg) ![](waits_memory.svg)",
            by_x(
                samples,
                [
                    (f"{what}: {peer}", peer, measure, by)
                    for what, measure, by in (
                        ("requests", "requests", 1),
                        ("memory of a wait, KiB", "memory", 1 / 1024),
                    )
                    for peer in (LOOP, OURS)
                ],
                "waits at once",
            ),
        ],
    ),
    (
        "fleets",
        "Run a fleet",
        lambda samples: [
            "![](fleets_cpu.svg) ![](fleets_memory.svg)",
            by_x(
                samples,
                [
                    ("CPU of an item, ms", OURS, "cpu", 1e3),
                    ("requests of an item", OURS, "requests", 1),
                    ("memory of an item at most, kB", OURS, "memory", 1e-3),
                ],
                "items",
            ),
        ],
    ),
    ("bulk", "Run a fleet instead of a loop", _of_bulk),
)

_PREFACE = """\
# Results

`python -m benchmarks --write` writes these figures. [docs/performance.md](../../docs/performance.md) explains them.

{machine}.

{versions}."""
