"""The policies that a user may change: how calls are retried, how often waits poll; and the mark for "not given"."""

from __future__ import annotations

import enum

from typing import Final, Literal

import attrs

from ._checks import check_at_least, check_whole


class NotGiven(enum.Enum):
    """The type of `NOT_GIVEN`, so that type checkers can tell it from every value."""

    NOT_GIVEN = "NOT_GIVEN"

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven.NOT_GIVEN
"""An argument that was not given, where `None` is a value of its own."""

NotGivenType = Literal[NotGiven.NOT_GIVEN]


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How a call is retried.

    Attributes:
        attempts: the number of attempts in all, the first included.
        initial: the longest possible first pause, in seconds. The bound doubles with every pause.
        maximum: the longest possible pause, in seconds.
        budget: the amount that a call which succeeds at once puts back into the client's bucket of 10 retries.
            A retry takes 1 from the bucket. A call that succeeds after retries puts back 1.

    A response 429, or 503 with `Retry-After`, costs neither attempts nor budget: only the call's `timeout` bounds it.
    """

    attempts: int = 4
    initial: float = 0.5
    maximum: float = 20.0
    budget: float = 0.2

    def __attrs_post_init__(self) -> None:
        check_at_least(1, "attempts", self.attempts)
        check_whole("attempts", self.attempts)
        check_at_least(0, "initial", self.initial)
        check_at_least(0, "maximum", self.maximum)
        check_at_least(0, "budget", self.budget)

    @classmethod
    def none(cls) -> RetryPolicy:
        """Return the policy of a single attempt. The client still waits after a 429, or a 503 with `Retry-After`."""
        return cls(attempts=1)


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How often a wait polls its server, and how many failed polls end it.

    Attributes:
        minimum: the shortest time between two polls, in seconds.
        maximum: the longest time between two polls, in seconds.
        slope: the next poll comes after this share of the time already waited.
        failures: this number of failed polls in a row ends the wait with the last error.
        grace: a number of seconds. For so long after a create, a 404 does not prove that the server is gone; for so
            long after a reboot, `active` alone does not prove that the server has restarted.
    """

    minimum: float = 1.0
    maximum: float = 5.0
    slope: float = 0.1
    failures: int = 5
    grace: float = 15.0

    def __attrs_post_init__(self) -> None:
        for name in ("minimum", "maximum", "slope", "grace"):
            check_at_least(0, name, getattr(self, name))
        check_at_least(1, "failures", self.failures)
        check_whole("failures", self.failures)
        if self.minimum > self.maximum:
            raise ValueError(f"minimum={self.minimum:g} is more than maximum={self.maximum:g}: give minimum <= maximum")
        if self.maximum <= 0:
            raise ValueError("maximum=0 would poll without a pause: give more than 0 seconds")

    def interval(self, waited: float) -> float:
        """Return the seconds from one poll to the next, *waited* seconds after the wait began."""
        return min(self.maximum, max(self.minimum, self.slope * waited))
