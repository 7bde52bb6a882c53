"""Turns figures into medians, ratios, targets and the tables of `results.md`. Pure."""

from __future__ import annotations

import dataclasses
import statistics

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from benchmarks.peers import NEAR_LIMIT, OURS, PEERS, RAW
from benchmarks.plots import Plot
from benchmarks.shapes import SERVERS


Samples: TypeAlias = dict[str, dict[str, dict[str, list[float]]]]
"""The values by peer, measure and x, one for each round."""

AT_ONCE = (1, 10, 100, 1_000)
ALL = str(SERVERS)


def median(samples: Samples, peer: str, measure: str, x: object) -> float | None:
    """Return the median of the rounds, or `None` if it was not measured."""
    values = samples.get(peer, {}).get(measure, {}).get(str(x))
    return statistics.median(values) if values else None


def ratio(samples: Samples, one: str, other: str, measure: str, x: object) -> float | None:
    """Return the ratio of *one*'s figure to *other*'s: the median of the ratios of each round.

    A slow moment of the machine slows both figures of a round.
    """
    ones, others = (samples.get(peer, {}).get(measure, {}).get(str(x), []) for peer in (one, other))
    pairs = [mine / theirs for mine, theirs in zip(ones, others, strict=False)]
    return statistics.median(pairs) if pairs else None


@dataclasses.dataclass(frozen=True)
class Target:
    """A target: *figure* of the measured parts must be at most *limit*."""

    text: str
    limit: float
    figure: Callable[[Mapping[str, Samples]], float | None]


def _to(part: str, other: str, x: object, measure: str = "cpu") -> Callable[[Mapping[str, Samples]], float | None]:
    return lambda parts: ratio(parts.get(part, {}), OURS, other, measure, x)


def _most(*figures: Callable[[Mapping[str, Samples]], float | None]) -> Callable[[Mapping[str, Samples]], float | None]:
    def worst(parts: Mapping[str, Samples]) -> float | None:
        found = [value for figure in figures if (value := figure(parts)) is not None]
        return max(found, default=None)

    return worst


def _quotient(part: str, measure: str, x: object, of: object) -> Callable[[Mapping[str, Samples]], float | None]:
    def figure(parts: Mapping[str, Samples]) -> float | None:
        one, other = (median(parts.get(part, {}), OURS, measure, place) for place in (x, of))
        return None if one is None or not other else one / other

    return figure


def _calls(part: str, where: str) -> list[Target]:
    return [
        *(
            Target(
                f"CPU of a call, {at_once:,} at once{where}, as a share of raw httpx's", limit, _to(part, RAW, at_once)
            )
            for at_once, limit in ((1, 1 / 2), (100, 1 / 6), (1_000, 1 / 4))
        ),
        Target(
            f"CPU of a call{where}, as a share of httpx2's, at worst",
            1,
            _most(*(_to(part, "httpx2", at) for at in AT_ONCE)),
        ),
        Target(f"CPU of a call, 100 at once{where}, as a multiple of {NEAR_LIMIT}'s", 2.5, _to(part, NEAR_LIMIT, 100)),
    ]


AHEAD_SECONDS = 100 * 0.050
"""The seconds that 100 pages of 50 ms take one after another."""

TARGETS = (
    *_calls("get", ""),
    *_calls("tls", ", TLS"),
    Target(f"CPU of a server of a list of {SERVERS:,}, as a share of raw httpx's", 1, _to("lists", RAW, ALL)),
    Target(
        f"CPU of a server of a list of {SERVERS:,}, as a multiple of {NEAR_LIMIT}'s", 3, _to("lists", NEAR_LIMIT, ALL)
    ),
    Target(
        "wall time of 100 pages of 50 ms, as a share of their sum",
        1 / 4,
        lambda parts: (took := median(parts.get("ahead", {}), OURS, "wall", ALL)) and took / AHEAD_SECONDS,
    ),
    Target("CPU of the import, as a multiple of httpx's", 1.4, _to("imports", RAW, 1)),
    Target(
        "CPU to make a client after the first, ms",
        2,
        lambda parts: (took := median(parts.get("construction", {}), OURS, "next", 1)) and took * 1_000,
    ),
    *(
        Target(
            f"CPU of a call, 10,000 at once over {connections} connections, as a multiple of 100 at once",
            1.25,
            _quotient("burst", f"cpu, {connections} connections", 10_000, 100),
        )
        for connections in (10, 100)
    ),
    Target(
        "CPU of a call at the end of a long life, as a multiple of its begin", 1.25, lambda parts: _ends(parts, "cpu")
    ),
    Target("memory at the end of a long life, as a multiple of its begin", 1.05, lambda parts: _ends(parts, "memory")),
    Target(
        "memory of a wait, 10,000 at once, as a multiple of 100 at once",
        1.25,
        _quotient("waits", "memory", 10_000, 100),
    ),
    Target(
        "CPU of an item of a fleet of 10,000, as a multiple of a fleet of 100",
        1.25,
        _quotient("fleets", "cpu", 10_000, 100),
    ),
    Target(
        "memory of an item of a fleet of 10,000, kB",
        10,
        lambda parts: (held := median(parts.get("fleets", {}), OURS, "memory", 10_000)) and held / 1_000,
    ),
)


def _ends(parts: Mapping[str, Samples], measure: str) -> float | None:
    """Return the ratio of a long life's last quarter to its first, by their medians."""
    line = parts.get("life", {}).get(OURS, {}).get(measure, {})
    values = [statistics.median(line[x]) for x in sorted(line, key=int)]
    quarter = len(values) // 4
    return statistics.median(values[-quarter:]) / statistics.median(values[:quarter]) if quarter else None


def targets(parts: Mapping[str, Samples]) -> str:
    """Return the table of targets."""
    lines = [_row("target", "measured", "at most", ""), _rule(4)]
    for target in TARGETS:
        figure = target.figure(parts)
        if figure is None:
            lines.append(_row(target.text, "not measured", f"{target.limit:.3g}", ""))
        else:
            reached = "reached" if figure <= target.limit else "**missed**"
            lines.append(_row(target.text, f"{figure:.3g}", f"{target.limit:.3g}", reached))
    return "\n".join(lines)


def calls(samples: Samples, measure: str) -> str:
    """Return a table of microseconds a call; for CPU, also as a multiple of this library's."""
    with_ratios = measure == "cpu"
    heads = [f"{at_once:,} at once" for at_once in AT_ONCE]
    lines = [_row("client", "gives", *heads), _rule(2 + len(heads))]
    for peer in _known(samples):
        cells = []
        for at_once in AT_ONCE:
            cell = _spread(samples[peer].get(measure, {}).get(str(at_once), []), 1e6)
            times = ratio(samples, peer, OURS, measure, at_once)
            cells.append(
                f"{cell}, {times:.1f}\N{MULTIPLICATION SIGN}" if with_ratios and times and peer != OURS else cell
            )
        lines.append(_row(_name(peer), PEERS[peer].gives, *cells))
    return "\n".join(lines)


def single(samples: Samples, columns: Sequence[tuple[str, str, object, float]]) -> str:
    """Return a table with a row for each peer.

    A column is its head, a measure, an x and a factor.
    """
    lines = [_row("client", *(head for head, *_ in columns)), _rule(1 + len(columns))]
    for peer in _known(samples):
        cells = (_spread(samples[peer].get(measure, {}).get(str(x), []), by) for _, measure, x, by in columns)
        lines.append(_row(_name(peer), *cells))
    return "\n".join(lines)


def by_x(samples: Samples, columns: Sequence[tuple[str, str, str, float]], x: str) -> str:
    """Return a table with a row for each x.

    A column is its head, a peer, a measure and a factor.
    """
    found = sorted({int(place) for _, peer, measure, _ in columns for place in samples.get(peer, {}).get(measure, {})})
    lines = [_row(x, *(head for head, *_ in columns)), _rule(1 + len(columns))]
    for place in found:
        cells = (_spread(samples.get(peer, {}).get(m, {}).get(str(place), []), by) for _, peer, m, by in columns)
        lines.append(_row(f"{place:,}", *cells))
    return "\n".join(lines)


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


def plots(results: Mapping[str, Any]) -> dict[str, Plot]:
    """Return the plots by the names of their files."""
    parts: dict[str, Samples] = {name: part["samples"] for name, part in results["parts"].items()}
    found = {}
    for name, where in (("get", ""), ("tls", ", TLS")):
        if name in parts:
            lines = {peer: _line(parts[name], peer, "cpu", 1e6) for peer in _known(parts[name])}
            found[f"cpu_{name}"] = Plot(f"CPU of a call{where}", "calls at once", "µs", lines)
    for measure, title, unit, by in (
        ("requests", "Requests for N waits", "requests", 1),
        ("memory", "Memory of N waits", "KiB, the tasks included", 1 / 1024),
    ):
        if "waits" in parts:
            lines = {peer: _line(parts["waits"], peer, measure, by) for peer in (OURS, LOOP) if peer in parts["waits"]}
            found[f"waits_{measure}"] = Plot(title, "waits at once", unit, lines)
    for measure, title, unit, by in (
        ("cpu", "CPU of an item of a fleet", "ms", 1e3),
        ("memory", "Memory of an item of a fleet, at the most", "kB", 1e-3),
    ):
        if "fleets" in parts:
            lines = {peer: _line(parts["fleets"], peer, measure, by) for peer in _known(parts["fleets"])}
            found[f"fleets_{measure}"] = Plot(title, "items", unit, lines, log_y=False)
    if "burst" in parts:
        lines = {
            f"{name}, {connections}": _line(parts["burst"], peer, f"cpu, {connections} connections", 1e6)
            for name, peer in ((OURS, OURS), ("aiohttp", NEAR_LIMIT))
            for connections in (100, 10)
            if peer in parts["burst"]
        }
        found["burst"] = Plot(
            "CPU of a call, all begun at once over 100 or 10 connections", "calls at once", "µs", lines, log_y=False
        )
    for measure, title, unit, by in (("cpu", "CPU of a call", "µs", 1e6), ("memory", "Memory in use", "MiB", 2**-20)):
        if "life" in parts:
            lines = {peer: _line(parts["life"], peer, measure, by) for peer in _known(parts["life"])}
            plot = Plot(f"{title}, over a client's life", "calls made", unit, lines, log_x=False, log_y=False)
            found[f"life_{measure}"] = plot
    return {name: plot for name, plot in found.items() if all(plot.lines.values()) and plot.lines}


def inserted(page: str, name: str, text: str) -> str:
    """Return *page* with *text* in place of the old text between the two marks of *name*."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"the page has no {begin} and {end}"
    return f"{before}{begin}\n{text}\n{end}{after}"


LOOP = "a GET every 5 s"


def _line(samples: Samples, peer: str, measure: str, by: float) -> dict[float, float]:
    found = samples.get(peer, {}).get(measure, {})
    return {float(x): statistics.median(values) * by for x, values in found.items()}


def _known(samples: Samples) -> list[str]:
    """Return the peers measured, in the order of the table of peers."""
    return [peer for peer in PEERS if peer in samples]


def _name(peer: str) -> str:
    return f"**{peer}**" if peer == OURS else peer


def _spread(values: Sequence[float], by: float) -> str:
    """Return `median (least to most)`."""
    if not values:
        return "\N{EN DASH}"
    low, middle, high = (_digits(value * by) for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low}\N{EN DASH}{high})"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three figures


def _when(parts: Mapping[str, Any]) -> str:
    lines = [_row("part", "begun", "rounds", "load before and after (processes that want a core)", "note"), _rule(5)]
    lines += [
        _row(name, part["begun"], part["rounds"], "{} and {}".format(*part["load"]), part["note"])
        for name, part in parts.items()
    ]
    return "\n".join(lines)


def _words(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {fact}" for name, fact in facts.items())


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns


def _of_calls(samples: Samples) -> list[str]:
    return [
        "CPU of a call in µs: the median of the rounds (the least and the most), and its ratio to this library's.",
        calls(samples, "cpu"),
        "Wall time of all calls, divided by their number, in µs: the median of the rounds (the least and the most).",
        calls(samples, "wall"),
    ]


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
)

_PREFACE = """\
# Results

`python -m benchmarks --write` writes these figures. [docs/performance.md](../../docs/performance.md) explains them.

{machine}.

{versions}."""
