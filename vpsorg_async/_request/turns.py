"""Divides the turns between polls, searches for lost creates, and all other calls. Pure.

Each share has a weight. While several of them wait, each gets turns in proportion to its weight. While only one of them
waits, it gets every turn. A share that begins to wait has saved nothing up from the time before, and owes nothing.

An API of 10 calls a second has to serve 1,000 starts at once, the polls of those that it has accepted, and a search for
a lost create. If polls always went first, the starts would never be sent.
"""

from __future__ import annotations

import enum
import math

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable


class Share(enum.IntEnum):
    """Requests that take turns. Of those that have waited equally long, the first in this order comes first."""

    POLLS = 0
    """The polls of waits and watches, which all waits share."""
    SEARCHES = 1
    """The requests that find out what became of a lost call. They have only some seconds for it."""
    CALLS = 2
    """All other calls: what the user has asked for."""


WEIGHTS = {Share.POLLS: 1, Share.SEARCHES: 2, Share.CALLS: 3}
"""While polls and calls wait, a quarter of the turns is for polls. An API of 10 calls a second of which the client uses
9 then takes 1,000 starts at once in 1.5 times the 100 s that they need alone. A search of 50 pages beside calls has
two turns of five, and ends within its 15 s."""

POLLS_BESIDE_CALLS = WEIGHTS[Share.POLLS] / (WEIGHTS[Share.POLLS] + WEIGHTS[Share.CALLS])
"""The part of the turns that polls get while calls wait."""

_STEPS = {share: math.lcm(*WEIGHTS.values()) // weight for share, weight in WEIGHTS.items()}


class Turns:
    """The order in which shares take turns: start-time fair queueing.

    Source: P. Goyal, H. M. Vin, H. Cheng: Start-time Fair Queueing, SIGCOMM 1996.
    """

    def __init__(self) -> None:
        # The tag of the last turn. No share that waits has a smaller one.
        self._now = 0
        self._tags = dict.fromkeys(Share, 0)

    def tag(self, share: Share) -> int:
        """Return the tag of the next turn of *share*: the smallest one comes first."""
        return max(self._tags[share], self._now)

    def next_of(self, waiting: Iterable[Share]) -> Share:
        """Return which of those that wait takes the next turn."""
        return min(waiting, key=lambda share: (self.tag(share), share))

    def took(self, share: Share) -> None:
        """Note that *share* takes the next turn."""
        self._now = self.tag(share)
        self._tags[share] = self._now + _STEPS[share]
