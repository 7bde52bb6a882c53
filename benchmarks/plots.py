"""Draws lines over a logarithmic x axis as a small SVG, for light and dark mode. Pure."""

from __future__ import annotations

import dataclasses
import math

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape


WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 44, 44
MOST_TICKS = 8
LABEL = 14
"""The least distance between two labels, in pixels."""

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 14px }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 1.5; stroke: #6e7781 }
.dot { fill: #6e7781 } .label { fill: #57606a }
.first .line { stroke: #0969da; stroke-width: 3 } .first .dot { fill: #0969da }
.first .label { fill: #0969da; font-weight: 600 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .grid { stroke: #30363d } .line { stroke: #8b949e } .dot { fill: #8b949e }
.label { fill: #8b949e } .first .line { stroke: #58a6ff } .first .dot { fill: #58a6ff } .first .label { fill: #58a6ff }
}
"""


@dataclasses.dataclass(frozen=True)
class Plot:
    """The content of a plot: *lines* by name, each from x to y. The first line stands out."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Mapping[float, float]]
    log_x: bool = True
    log_y: bool = True


def svg(plot: Plot) -> str:
    """Return the plot as the text of an SVG file."""
    points = [point for line in plot.lines.values() for point in line.items()]
    across = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, log=plot.log_x)
    up = _Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, log=plot.log_y, room=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(plot.title)}</title><style>{_STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="20">{escape(plot.title)}</text>',
        f'<text x="{LEFT}" y="36">{escape(plot.y)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{escape(plot.x)}</text>',
    ]
    for y in up.ticks():
        parts.append(f'<path class="grid" d="M{LEFT} {up.at(y):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{up.at(y) + 4:.1f}" text-anchor="end">{short(y)}</text>')
    for x in across.ticks():
        parts += [f'<text x="{across.at(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{short(x)}</text>']
    places = spread({name: up.at(line[max(line)]) for name, line in plot.lines.items()})
    for number, (name, line) in enumerate(plot.lines.items()):
        spots = [(across.at(x), up.at(y)) for x, y in sorted(line.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in spots)
        label = f'<text class="label" x="{WIDTH - RIGHT + 8}" y="{places[name] + 4:.1f}">{escape(name)}</text>'
        shown = f'<polyline class="line" points="{path}"/>{dots}{label}'
        parts.append(f'<g class="first">{shown}</g>' if number == 0 else f"<g>{shown}</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def spread(wanted: Mapping[str, float]) -> dict[str, float]:
    """Return the places of the labels, in the same order and apart.

    Each is as near to the wanted place as the height of the labels allows.
    """
    names = sorted(wanted, key=lambda name: wanted[name])
    places: list[float] = []
    for name in names:
        places.append(max(wanted[name], places[-1] + LABEL if places else -math.inf))
    lowest = HEIGHT - BOTTOM
    for number in reversed(range(len(places))):
        places[number] = min(places[number], lowest)
        lowest = places[number] - LABEL
    return dict(zip(names, places, strict=True))


def short(value: float) -> str:
    """Return the text of a tick: `1,000`, `1.5` or `0.5`, not `1000.0` or `2`."""
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


class _Axis:
    """Maps values to pixels, between two round numbers."""

    def __init__(self, values: Sequence[float], begin: float, end: float, *, log: bool, room: bool = False) -> None:
        self._log = log
        low, high = min(values), max(values)
        if log:
            self._steps = steps(low, high)
            low, high = self._steps[0], self._steps[-1]
        elif room:
            low, high = 0.0, high * 1.1
        self._low, self._high = self._placed(low), self._placed(high)
        self._begin, self._end = begin, end

    def _placed(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def at(self, value: float) -> float:
        share = (self._placed(value) - self._low) / (self._high - self._low)
        return self._begin + share * (self._end - self._begin)

    def ticks(self) -> list[float]:
        if self._log:
            return self._steps
        step = 10 ** math.floor(math.log10(self._high - self._low))
        step = next(step * part for part in (0.2, 0.5, 1, 2) if (self._high - self._low) / (step * part) <= MOST_TICKS)
        first = math.ceil(self._low / step)
        return [number * step for number in range(first, int(self._high / step) + 1)]


def steps(low: float, high: float) -> list[float]:
    """Return the ticks from *low* to *high*: 1, 2 and 5 of each power of ten, enclosing both.

    If there are many powers, only the powers themselves are returned.
    """
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    for parts in ((1, 2, 5), (1,)):
        every = [part * 10.0**power for power in powers for part in parts]
        first = max(number for number, step in enumerate(every) if step <= low)
        last = min(number for number, step in enumerate(every) if step >= high and number > first)
        if last - first < MOST_TICKS:
            break
    return every[first : last + 1]
