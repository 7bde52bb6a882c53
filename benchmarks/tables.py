"""Writes the figures of the benchmarks as tables in Markdown. Pure."""

from __future__ import annotations

import statistics

from collections.abc import Sequence

from benchmarks.peers import OURS, PEERS
from benchmarks.samples import AT_ONCE, GATHER, LOOP, Samples, known, median, ratio


def calls(samples: Samples, measure: str) -> str:
    """Return a table of microseconds a call; for CPU, also as a multiple of this library's."""
    with_ratios = measure == "cpu"
    heads = [f"{at_once:,} at once" for at_once in AT_ONCE]
    lines = [row("client", "gives", *heads), rule(2 + len(heads))]
    for peer in known(samples):
        cells = []
        for at_once in AT_ONCE:
            cell = _spread(samples[peer].get(measure, {}).get(str(at_once), []), 1e6)
            times = ratio(samples, peer, OURS, measure, at_once)
            cells.append(
                f"{cell}, {times:.1f}\N{MULTIPLICATION SIGN}" if with_ratios and times and peer != OURS else cell
            )
        lines.append(row(_name(peer), PEERS[peer].gives, *cells))
    return "\n".join(lines)


def single(samples: Samples, columns: Sequence[tuple[str, str, object, float]]) -> str:
    """Return a table with a row for each peer.

    A column is its head, a measure, an x and a factor.
    """
    lines = [row("client", *(head for head, *_ in columns)), rule(1 + len(columns))]
    for peer in known(samples):
        cells = (_spread(samples[peer].get(measure, {}).get(str(x), []), by) for _, measure, x, by in columns)
        lines.append(row(_name(peer), *cells))
    return "\n".join(lines)


def by_x(samples: Samples, columns: Sequence[tuple[str, str, str, float]], x: str) -> str:
    """Return a table with a row for each x.

    A column is its head, a peer, a measure and a factor.
    """
    found = sorted({int(place) for _, peer, measure, _ in columns for place in samples.get(peer, {}).get(measure, {})})
    lines = [row(x, *(head for head, *_ in columns)), rule(1 + len(columns))]
    for place in found:
        cells = (_spread(samples.get(peer, {}).get(m, {}).get(str(place), []), by) for _, peer, m, by in columns)
        lines.append(row(f"{place:,}", *cells))
    return "\n".join(lines)


def by_cell(samples: Samples, durations: str) -> str:
    """Return a table with a row for each cell of `benchmarks.bulk` with these durations."""
    heads = (
        "requests",
        "the loop's",
        "times",
        "late, s",
        "the loop",
        "times",
        "worst, s",
        "polls/s",
        "at most",
        "CPU, ms",
        "gather's",
    )
    lines = [row("account:at once:what", *heads), rule(1 + len(heads))]
    cells = [name for name in samples.get(OURS, {}).get("requests", {}) if name.endswith(f":{durations}")]
    for cell in cells:
        ours = [median(samples, OURS, name, cell) for name in ("worst", "polls", "allowed", "cpu_ms")]
        figures = [*_against_the_loop(samples, "requests", cell), *_against_the_loop(samples, "late", cell), *ours]
        figures.append(median(samples, GATHER, "cpu_ms", cell))
        lines.append(row(cell.removesuffix(f":{durations}"), *map(_figure, figures)))
    return "\n".join(lines)


def _against_the_loop(samples: Samples, measure: str, cell: str) -> list[float | None]:
    ours, loops = (median(samples, peer, measure, cell) for peer in (OURS, LOOP))
    return [ours, loops, ratio(samples, OURS, LOOP, measure, cell)]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def inserted(page: str, name: str, text: str) -> str:
    """Return *page* with *text* in place of the old text between the two marks of *name*."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"the page has no {begin} and {end}"
    return f"{before}{begin}\n{text}\n{end}{after}"


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


def row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def rule(columns: int) -> str:
    return "|" + "---|" * columns
