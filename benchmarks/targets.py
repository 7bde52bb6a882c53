"""Compares the figures of the benchmarks with their targets. Pure."""

from __future__ import annotations

import dataclasses
import statistics

from collections.abc import Callable, Mapping

from benchmarks.cells import CPU_MS, ITEMS, MAXIMUM, Cell, aims
from benchmarks.peers import NEAR_LIMIT, OURS, RAW
from benchmarks.samples import ALL, AT_ONCE, LOOP, Samples, median, ratio
from benchmarks.shapes import SERVERS
from benchmarks.tables import row, rule


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


def _bulk(aim: str, limit: float, figure: Callable[[Samples, str], float | None]) -> Callable[..., float | None]:
    """Return the most of a figure among the cells of `bulk` in which the *aim* has that *limit*."""

    def most(parts: Mapping[str, Samples]) -> float | None:
        samples = parts.get("bulk", {})
        cells = [Cell.parse(name) for name in samples.get(OURS, {}).get("requests", {})]
        alike = [cell for cell in cells if aims(cell, cell.items(ITEMS)).get(aim) == limit]
        found = [value for cell in alike if (value := figure(samples, str(cell))) is not None]
        return max(found, default=None)

    return most


def _to_the_loop(measure: str) -> Callable[[Samples, str], float | None]:
    return lambda samples, cell: ratio(samples, OURS, LOOP, measure, cell)


def _of_the_ceiling(samples: Samples, cell: str) -> float | None:
    polls, allowed = (median(samples, OURS, name, cell) for name in ("polls", "allowed"))
    return None if polls is None or not allowed else polls / allowed


_IN_ANY_CELL = "in the worst cell of bulk work"
_BULK = (
    ("failed", 0, "items that failed", lambda samples, cell: median(samples, OURS, "failed", cell)),
    ("polls", 1, "polls of the busiest half minute, as a share of the ceiling", _of_the_ceiling),
    ("times", 1, "requests of an item, 10 at once or more, as a multiple of the loop's", _to_the_loop("requests")),
    ("times", 0.6, "the same, in progress at least twice as many as the list has pages", _to_the_loop("requests")),
    ("lateness", 1.1, "median lateness, as a multiple of the loop's", _to_the_loop("late")),
    ("lateness", 0.7, "the same, 5 at once or fewer", _to_the_loop("late")),
    ("worst", MAXIMUM, "lateness of the latest item, s", lambda samples, cell: median(samples, OURS, "worst", cell)),
    ("cpu_ms", CPU_MS, "CPU of an item, ms", lambda samples, cell: median(samples, OURS, "cpu_ms", cell)),
)

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
    *(Target(f"{text}, {_IN_ANY_CELL}", limit, _bulk(aim, limit, figure)) for aim, limit, text, figure in _BULK),
)


def _ends(parts: Mapping[str, Samples], measure: str) -> float | None:
    """Return the ratio of a long life's last quarter to its first, by their medians."""
    line = parts.get("life", {}).get(OURS, {}).get(measure, {})
    values = [statistics.median(line[x]) for x in sorted(line, key=int)]
    quarter = len(values) // 4
    return statistics.median(values[-quarter:]) / statistics.median(values[:quarter]) if quarter else None


def targets(parts: Mapping[str, Samples]) -> str:
    """Return the table of targets."""
    lines = [row("target", "measured", "at most", ""), rule(4)]
    for target in TARGETS:
        figure = target.figure(parts)
        if figure is None:
            lines.append(row(target.text, "not measured", f"{target.limit:.3g}", ""))
        else:
            reached = "reached" if figure <= target.limit else "**missed**"
            lines.append(row(target.text, f"{figure:.3g}", f"{target.limit:.3g}", reached))
    return "\n".join(lines)
