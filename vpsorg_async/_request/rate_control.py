"""Decides how fast calls may begin: carefully at first, after a 429 at the rate that the API takes. Pure.

Two regimes:

- *Free*, until a 429 comes: a bound on the calls on the wire, small at first. Each response that finds it reached
  raises it by one call, so that what is on the wire doubles in a round trip, whatever that takes. Time without a
  response raises it too, as calls that hang must not hold up all others. An API of 10 calls a second so sees some 20
  calls too many, where a hundred at once would be 90 too many.
- *Limited*, after a 429: nobody begins until the pause is over, and then calls begin evenly spaced. In even spacing no
  window of time, wherever the API lets its windows begin, holds more calls than in any other. The rate is at first a
  little below what the API took in the length of the pause, and grows fast, as others may have been taken too; from the
  second 429 on it is known, is cut by a fifth at each 429 to a call that began after the last cut, and grows slowly
  while calls wait for it: for an API of 10 calls a second, 8 to 10.
"""

from __future__ import annotations

import copy
import math

from collections import deque
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable

    from .shared_pauses import Kind


FIRST_BURST = 15
"""Calls that a fresh client has on the wire at once, before it knows how the API takes them (assumed). With `GROWTH`,
100 calls at once are on their way after two round trips; with 10 it takes three."""

AFTER_PARTING = FIRST_BURST / 3
"""The calls that the others have on the wire at once after a 429 to one kind. With three times as many, reads and
changes together reached 35 requests in a second at an API of 10 a second (42 runs; 28 in 84 runs with this)."""

GROWTH = 1.0
"""What a response adds to that bound when it is reached: it doubles in a round trip, as TCP's does."""

SILENCE = 0.6
"""Seconds without a response after which the bound grows all the same (assumed): 100 at once are reached in 3 s. An
API of 10 calls a second that takes 0.5 s to answer so sees no more than 18 in any second after its first 429."""

SILENT_GROWTH = 0.5
"""The share of itself by which the bound then grows."""

CUT = 0.8
"""Of the rate that got a 429, what comes next. With `RISE`, one call in a hundred gets one (simulated: an API of
10 calls a second that counts by fixed windows, by a sliding one or by a bucket takes 1,000 calls in 105 to 135 s)."""

RISE = 0.02
"""By how much of itself the rate grows in the length of a pause, while calls wait for it."""

FIRST_RISE = 0.25
"""The same, before a second 429."""

SLOWEST = 2.0
"""Calls a second, however few were taken: a 429 more costs the caller less than waiting for nothing (assumed)."""

SHORTEST_PERIOD = 0.05
"""Seconds: a pause of none still is a rate's measure."""

BURST_SHARE = 0.125
"""Of what begins in the length of a pause, what may begin at once after a quiet time; at least one call."""

FORGOTTEN_AFTER = 10
"""So many lengths of the pause without a call, and what was learned says nothing any more (assumed)."""

REMEMBERED = 60.0
"""Seconds that it is remembered at least (assumed): two polls of a wait are less apart. Without it each poll of ten
thousand waits ran into the limit anew, and ended before its last pages."""

MOST_ANSWERS = 1_000
"""The newest responses, which tell how many calls the API took in the length of a pause (assumed)."""


class RateControl:
    """Whether one more call may begin. Told the time, never asks it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._room = float(min(FIRST_BURST, size))
        # When a response last came, or the bound last grew without one.
        self._heard = -math.inf
        # When responses came, and to which kind of call.
        self._answers: deque[tuple[float, Kind | None]] = deque(maxlen=MOST_ANSWERS)
        # Calls a second; `None` while free.
        self._rate: float | None = None
        self._period = SHORTEST_PERIOD
        self._allowance = 0.0
        self._allowed_at = -math.inf
        # When the last pause is over.
        self.opens_at = -math.inf
        self._last_begin = -math.inf
        # A 429 to a call that began before this is no news.
        self._cut_at = -math.inf
        self._measured = False

    def join(self, others: Iterable[RateControl]) -> None:
        """Learn what *others* know of the calls that this one counts from now on. A 429 concerns all of them.

        The rates that they have found are not known to add up. The 429 makes this one measure them together.
        """
        for other in others:
            self._answers.extend(other._answers)  # noqa: SLF001 - of its own class
            self._last_begin = max(self._last_begin, other._last_begin)  # noqa: SLF001
        self._answers = deque(sorted(self._answers, key=_when), maxlen=MOST_ANSWERS)
        self._rate = None

    def apart(self, kind: Kind) -> RateControl:
        """Return a control for the calls of *kind* alone, which knows what this one knows of them.

        A 429 to them has come, which may concern the calls that stay, too: these go on with care.
        """
        part = copy.copy(self)
        own = (answer for answer in self._answers if answer[1] is kind)
        part._answers = deque(own, maxlen=MOST_ANSWERS)  # noqa: SLF001 - of its own class
        self._room = min(self._room, AFTER_PARTING)
        return part

    def rate(self, now: float) -> float | None:
        """Return the calls a second that the API takes; `None` while no limit is known."""
        return None if self._forgets(now) else self._rate

    def may_begin(self, now: float, on_wire: int) -> bool:
        """Return whether one more call may begin beside those on the wire."""
        if on_wire >= self._size:
            return False
        if self._rate is not None:
            if not self._forgets(now):
                return now >= self.opens_at and self._fill(self._rate, now) >= 1
            self._rate, self._room = None, float(min(FIRST_BURST, self._size))
        if on_wire >= self._room and now >= self._heard + SILENCE:
            self._room, self._heard = self._room * (1 + SILENT_GROWTH), now
        return on_wire < self._room

    def begin(self, now: float, on_wire: int) -> None:
        """Note that a call begins beside those on the wire."""
        self._last_begin = now
        self._allowance -= 1
        if not on_wire:
            self._heard = now

    def changes_at(self, on_wire: int) -> float | None:
        """Return when `may_begin` may say yes without a response coming in, or `None` for never."""
        if on_wire >= self._size:
            return None
        if self._rate is None:
            return self._heard + SILENCE
        return max(self.opens_at, self._allowed_at + (1 - self._allowance) / self._rate)

    def answered(self, now: float, on_wire: int, *, began: float = math.inf, kind: Kind | None = None) -> None:
        """Note the response, no 429, to a call that *began* then and is still counted among those on the wire."""
        self._answers.append((now, kind))
        self._heard = now
        if self._rate is None:
            if on_wire >= self._room:
                self._room += GROWTH
        elif began < self._cut_at:
            # Responses to what was on the wire at the first 429 belong to what the API took before it.
            self._rate += CUT / self._period if self._measured else 0.0
        elif self._allowance < 1:
            self._rate += (FIRST_RISE if self._measured else RISE) / self._period

    def lost(self, now: float, *, began: float = math.inf, kind: Kind | None = None) -> None:
        """Note that no response came to a call that *began* then and was sent: the API has probably counted it."""
        self._answers.append((now, kind))
        if self._rate is not None and began < self._cut_at and self._measured:
            self._rate += CUT / self._period

    def refused(self, now: float, pause: float, *, began: float = math.inf) -> None:
        """Note a 429 that asks for *pause* seconds, to a call that *began* then."""
        self._heard = now
        self.opens_at = max(self.opens_at, now + pause)
        if self._rate is None:
            self._period = max(pause, SHORTEST_PERIOD)
            taken = sum(at > now - self._period for at, _ in self._answers)
            self._rate, self._measured = max(SLOWEST, CUT * taken / self._period), True
        elif began >= self._cut_at:
            self._rate, self._measured = max(SLOWEST, CUT * self._rate), False
        else:
            return
        self._cut_at = now
        self._allowance, self._allowed_at = 1.0, self.opens_at

    def _forgets(self, now: float) -> bool:
        return now >= max(self.opens_at, self._last_begin) + max(FORGOTTEN_AFTER * self._period, REMEMBERED)

    def _fill(self, rate: float, now: float) -> float:
        if now > self._allowed_at:
            most = max(1.0, BURST_SHARE * rate * self._period)
            self._allowance = min(most, self._allowance + (now - self._allowed_at) * rate)
            self._allowed_at = now
        # Rounding must not make a keeper that woke up in time wait for nothing.
        return self._allowance + 1e-9


def _when(answer: tuple[float, Kind | None]) -> float:
    return answer[0]
