"""Draw how long each response takes: a fixed number of seconds, or a random one from the seed."""

from __future__ import annotations

import math
import random

from typing import Any

import attrs

from .._clocks.interface import checked_number


@attrs.define
class Latency:
    """The seconds between a request and its response, in sandbox seconds.

    One half passes before the request is executed and one half after, as on the way to a real API and back. Requests
    may therefore be executed in another order than they began, and responses may come in another order again.
    """

    least: float
    most: float
    seed: int
    _drawn: int = attrs.field(default=0, init=False)

    def draw(self) -> float:
        """Return the seconds that the next response takes."""
        self._drawn += 1
        if self.least == self.most:
            return self.least
        return random.Random(f"{self.seed}/latency/{self._drawn}").uniform(self.least, self.most)  # noqa: S311


def checked_latency(value: float | tuple[Any, ...] | list[Any] | None) -> tuple[float, float]:
    """Return the shortest and the longest latency of *value*: `None`, seconds, or a pair to draw from.

    Raises:
        TypeError: *value* is none of these.
        ValueError: a number is negative or not finite, or the pair is in the wrong order.
    """
    if value is None:
        return 0.0, 0.0
    pair = (value, value) if _is_number(value) else value
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(map(_is_number, pair)):  # noqa: PLR2004
        raise TypeError(f"latency must be seconds, or a pair of the least and the most, not {value!r}")
    least, most = (checked_number(seconds, "latency") for seconds in pair)
    if not 0 <= least <= most < math.inf:
        raise ValueError(f"latency={value!r}: give finite seconds of at least 0, the least before the most")
    return least, most


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
