"""Decides how fast calls may begin: carefully at first, after a 429 at the rate that the API takes. Pure.

Two regimes:

- *Free*, until a 429 comes: a bound on the calls on the wire, small at first. Each response that finds it reached
  raises it by half a call, so that what is on the wire grows by half in a round trip, whatever that takes; so does time
  without a response, as calls that hang must not hold up all others. An API of 10 calls a second so sees some 15 calls
  too many, where a hundred at once would be 90 too many.
- *Limited*, after a 429: nobody begins until the pause is over, and then calls begin evenly spaced. In even spacing no
  window of time, wherever the API lets its windows begin, holds more calls than in any other. The rate is at first a
  little below what the API took in the length of the pause, and grows fast, as others may have been taken too; from the
  second 429 on it is known, is cut by a fifth at each 429 to a call that began after the last cut, and grows slowly
  while calls wait for it: for an API of 10 calls a second, 8 to 10.
"""

from __future__ import annotations

import math

from collections import deque


FIRST_BURST = 10
"""Calls that a fresh client has on the wire at once, before it knows how the API takes them (assumed)."""

GROWTH = 0.5
"""What a response adds to that bound when it is reached; a time of silence adds this share of it."""

SILENCE = 0.25
"""Seconds without a response after which the bound grows all the same (assumed): 100 at once are reached in 1.5 s. An
API of 10 calls a second that takes 0.5 s to answer sees 28 in the second after its first 429; with 0.1 s here, 81."""

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


class RateControl:
    """Whether one more call may begin. Told the time, never asks it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._room = float(min(FIRST_BURST, size))
        # When a response last came, or the bound last grew without one.
        self._heard = -math.inf
        self._answers: deque[float] = deque(maxlen=1_000)
        # Calls a second; `None` while free.
        self._rate: float | None = None
        self._period = SHORTEST_PERIOD
        self._allowance = 0.0
        self._allowed_at = -math.inf
        self._opens_at = -math.inf
        self._last_begin = -math.inf
        # A 429 to a call that began before this is no news.
        self._cut_at = -math.inf
        self._measured = False

    def may_begin(self, now: float, on_wire: int) -> bool:
        """Return whether one more call may begin beside those on the wire."""
        if on_wire >= self._size:
            return False
        if self._rate is not None:
            if now < max(self._opens_at, self._last_begin) + max(FORGOTTEN_AFTER * self._period, REMEMBERED):
                return now >= self._opens_at and self._fill(self._rate, now) >= 1
            self._rate, self._room = None, float(min(FIRST_BURST, self._size))
        if on_wire >= self._room and now >= self._heard + SILENCE:
            self._room, self._heard = self._room * (1 + GROWTH), now
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
        return max(self._opens_at, self._allowed_at + (1 - self._allowance) / self._rate)

    def answered(self, now: float, on_wire: int, *, began: float = math.inf) -> None:
        """Note the response, no 429, to a call that *began* then and is still counted among those on the wire."""
        self._answers.append(now)
        self._heard = now
        if self._rate is None:
            if on_wire >= self._room:
                self._room += GROWTH
        elif began < self._cut_at:
            # Responses to what was on the wire at the first 429 belong to what the API took before it.
            self._rate += CUT / self._period if self._measured else 0.0
        elif self._allowance < 1:
            self._rate += (FIRST_RISE if self._measured else RISE) / self._period

    def refused(self, now: float, pause: float, *, began: float = math.inf) -> None:
        """Note a 429 that asks for *pause* seconds, to a call that *began* then."""
        self._heard = now
        self._opens_at = max(self._opens_at, now + pause)
        if self._rate is None:
            self._period = max(pause, SHORTEST_PERIOD)
            taken = sum(at > now - self._period for at in self._answers)
            self._rate, self._measured = max(SLOWEST, CUT * taken / self._period), True
        elif began >= self._cut_at:
            self._rate, self._measured = max(SLOWEST, CUT * self._rate), False
        else:
            return
        self._cut_at = now
        self._allowance, self._allowed_at = 1.0, self._opens_at

    def _fill(self, rate: float, now: float) -> float:
        if now > self._allowed_at:
            most = max(1.0, BURST_SHARE * rate * self._period)
            self._allowance = min(most, self._allowance + (now - self._allowed_at) * rate)
            self._allowed_at = now
        # Rounding must not make a keeper that woke up in time wait for nothing.
        return self._allowance + 1e-9
