"""Compares the `Date` of the API's responses with the client's clock, to find out whether it can be relied on. Pure."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_APART = 5.0
"""Seconds by which two responses of one API may disagree about the time (assumed)."""

MOST_FROM_LOCAL = 60.0
"""Seconds by which the API's clock may differ from this machine's, for a client that has heard nothing else (assumed).
"""

ANOTHER_TIME = 86_400.0
"""An API whose clock is further off than a day has a time of its own, as the sandbox has: this machine's clock says
nothing about it (assumed)."""

REMEMBERED = 20


class APIClock:
    """The offsets between the API's clock and the client's, as the latest responses showed them."""

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=REMEMBERED)
        self._latest: datetime | None = None

    def heard(self, date: datetime, now: float) -> None:
        """Note that a response which came *now*, on the client's clock, had the `Date` *date*."""
        self._offsets.append(date.timestamp() - now)
        self._latest = date

    def before(self, now: float) -> datetime | None:
        """Return a time of the API's clock that is not later than *now* on the client's clock; `None`: none is known.

        It is that of the latest response, where responses disagree about the time.
        """
        return self._latest if (at := self.at(now)) is None else at

    @property
    def offsets(self) -> tuple[float, ...]:
        """The offsets in seconds, the oldest first."""
        return tuple(self._offsets)

    def at(self, now: float) -> datetime | None:
        """Return the API's clock at *now* on the client's clock; `None` if it is not known.

        It was not earlier there: a `Date` is cut to the second, and a response is late when it comes.
        """
        if not self._offsets or max(self._offsets) - min(self._offsets) > MOST_APART:
            return None
        return datetime.fromtimestamp(now + max(self._offsets), UTC)


def distrust(date: datetime, now: float, *, offsets: Sequence[float], local: datetime) -> str:
    """Return why the `Date` of a response that came *now* proves nothing; empty if it can be relied on.

    *offsets* are those of other responses. *local* is this machine's time, which counts if there are none.
    """
    apart = max((abs(date.timestamp() - now - offset) for offset in offsets), default=0.0)
    if apart > MOST_APART:
        return f"the clock of the listing differs from that of other responses by {apart:.0f} s"
    off = abs((date - local).total_seconds())
    if not offsets and MOST_FROM_LOCAL < off < ANOTHER_TIME:
        return f"the API's clock differs from this machine's by {off:.0f} s"
    return ""
