"""When a waiter looks next. Pure."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

import attrs


if TYPE_CHECKING:
    from ._policies import PollPolicy

LAST_LOOK = 1.0
"""Seconds that the look on the wire at a wait's deadline gets beyond it."""


@attrs.define(eq=False, kw_only=True)
class Waiter:
    """Somebody who waits for one server.

    Attributes:
        server_id: whose readings it wants.
        policy: how often it looks.
        began: when it began to wait, in seconds on the client's clock, as all times here.
        deadline: when it gives up; infinity: never.
        due: when it looks next.
        final: whether its last look has been made.
    """

    server_id: int | str
    policy: PollPolicy
    began: float
    deadline: float = math.inf
    due: float = attrs.field(init=False)
    final: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.due = self.began

    def look_timeout(self, now: float, attempt_timeout: float | None) -> float | None:
        """Return the seconds that a look begun *now* may take in all, its turn waited for: `None` is without end.

        It may take until a little past the deadline, and with `timeout=0`, which gives it no time, as long as one try.
        """
        if self.deadline == self.began:
            return attempt_timeout
        return None if self.deadline == math.inf else self.deadline + LAST_LOOK - now

    def looked(self, began: float, now: float) -> None:
        """Note that a look begun at *began* has ended *now*: find the time of the next."""
        self.final = began >= self.deadline or now >= self.deadline
        self.due = min(self.deadline, max(now, began + self.policy.interval(began - self.began)))

    def postpone(self, until: float) -> None:
        """Look no sooner than *until*."""
        self.due = max(self.due, until)
