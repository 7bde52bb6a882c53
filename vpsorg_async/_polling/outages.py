"""Decides by the failed polls in a row how long to pause, and whether to give up. Pure.

A number of failures says little: five polls can fail while the API restarts. So the time over which they failed counts
as well. The pauses between failed polls grow, as an API that is down needs fewer requests, not more.
"""

from __future__ import annotations

import attrs


PAUSES = (1.0, 2.0, 4.0, 8.0)
"""The seconds after the first failed polls in a row."""

LONGEST_PAUSE = 15.0
"""The seconds after all later ones. Failed polls begin no further apart than this, unless one takes longer itself."""


@attrs.define(eq=False)
class Outage:
    """The failed polls since the last one that succeeded.

    Attributes:
        count: the number of failed polls in a row.
        began: when the first of them began, in seconds on the client's clock.
        latest: when the last of them began.
    """

    count: int = 0
    began: float = 0.0
    latest: float = 0.0

    def __str__(self) -> str:
        times = "once" if self.count == 1 else f"{self.count} times in a row"
        return f"{times} within {self.seconds:.0f} s" if self.seconds else times

    def failed(self, began: float) -> None:
        """Count a failed poll that began at *began*."""
        if not self.count:
            self.began = self.latest = began
        self.count += 1
        self.latest = max(self.latest, began)

    def over(self) -> None:
        """Note that a poll has succeeded."""
        self.count = 0

    @property
    def seconds(self) -> float:
        """The time between the first failed poll and the last one."""
        return self.latest - self.began if self.count else 0.0

    def exceeds(self, failures: int | None, outage: float) -> bool:
        """Whether *failures* polls or more have failed in a row, the last *outage* seconds or more after the first.

        `None` failures are never exceeded.
        """
        return failures is not None and self.count >= failures and self.seconds >= outage

    def retry_at(self, now: float) -> float:
        """Return when the next poll is to begin if the last one has failed *now*."""
        pause = PAUSES[self.count - 1] if 0 < self.count <= len(PAUSES) else LONGEST_PAUSE
        return max(now, min(now + pause, self.latest + LONGEST_PAUSE))
