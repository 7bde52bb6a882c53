"""Decides whether polls can rely on the list. Pure.

A list may be refused, limited or broken while GETs of single servers work. Its failure says nothing about a server. So
waits do not count it. They go on by GETs, and a single list is tried from time to time. It serves nobody until it
succeeds.
"""

from __future__ import annotations

import math

import attrs

from .outages import Outage


LIMITED = 2
"""So many lists in a row that the API asked to come later, and gave no page of, are limited apart from GETs (assumed).
"""

AFTER_REFUSAL = 60.0
"""Seconds until a list is tried again that was answered 4xx. A broken one is tried again after the usual pauses."""


@attrs.define(eq=False)
class ListHealth:
    """The state of the list, learned from the last lists. Times are seconds on the client's clock.

    Attributes:
        trusted: whether the last list succeeded. Then waits rely on the next one.
    """

    trusted: bool = True
    _outage: Outage = attrs.field(factory=Outage, init=False)
    _retry_at: float = attrs.field(default=-math.inf, init=False)
    # How many lists in a row were put off.
    _put_off: int = attrs.field(default=0, init=False)

    def succeeded(self) -> None:
        """Note that a list was read to its end."""
        self.trusted = True
        self._put_off = 0
        self._outage.over()

    def hangs(self, now: float) -> None:
        """Note that a list takes long. It may still succeed."""
        self.trusted = False
        self._retry_at = now

    def failed(self, began: float, now: float, *, refused: bool) -> None:
        """Note that a list has failed *now* which began at *began*. *refused*: it was answered 4xx."""
        self.trusted = False
        self._outage.failed(began)
        self._retry_at = began + AFTER_REFUSAL if refused else self._outage.retry_at(now)

    def put_off(self, began: float, now: float) -> None:
        """Note that the API gave no page of a list which began at *began*, and asked *now* to come later.

        One may have met a limit that counts every call. Lists may have one of their own.
        """
        self._put_off += 1
        if self._put_off >= LIMITED:
            self.failed(began, now, refused=False)

    def may_be_tried(self, now: float) -> bool:
        """Whether a list that is not trusted is to be tried."""
        return now >= self._retry_at
