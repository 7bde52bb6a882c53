"""The policies that a user may change: how calls are retried, how often waits poll; and the mark for "not given"."""

from __future__ import annotations

import enum

from typing import Final, Literal

import attrs

from ._checks import check_at_least, check_whole
from ._error_base import InvalidArgumentError
from ._public import publish


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


SHORTEST_INTERVAL = 0.1
"""Seconds between two polls of one wait: 10 polls a second are more than any server's status needs (assumed)."""


def check_outage(failures: int | None, outage: float) -> None:
    """Return if so many failed polls in a row, and so many seconds of them, can end a wait or a watch.

    Raises:
        TypeError: one is not a number.
        InvalidArgumentError: one is too small, or not finite.
    """
    if failures is not None:
        check_at_least(1, "failures", failures)
        check_whole("failures", failures)
    check_at_least(0, "outage", outage)


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How often a wait polls its server, and how long polls may fail before it gives up.

    A wait gives up when at least `failures` polls in a row have failed, and the last of them began at least `outage`
    seconds after the first. The next poll is the retry, so there is no other. It comes 1, 2, 4, 8 and then 15 seconds
    after a failed one, or after the usual time if that is longer.

    All waits of a client share their polls. A few are polled as often as their policies say, up to two requests a
    second in all. More than that are polled less often, but no less than every `maximum` seconds. Once the client has
    seen some commands end, a few waits for a command are polled every `maximum` seconds while it is unlikely to end,
    and twice as often while it is likely to, unless another `minimum` or `slope` was given.

    Attributes:
        minimum: the shortest time between two polls, in seconds. 0.1 or more.
        maximum: the longest time between two polls that succeed, in seconds. Only a limit of the API makes it longer,
            up to 15.
        slope: the next poll comes after this share of the time already waited.
        failures: the number of failed polls in a row that may end the wait. `None`: they never end it.
        outage: the number of seconds for which polls have to fail before they end the wait. 0: the number of failed
            polls alone decides.
        grace: a number of seconds. For so long after a create, a 404 does not prove that the server is gone; for so
            long after a reboot, `active` alone does not prove that the server has restarted.
    """

    minimum: float = 1.0
    maximum: float = 5.0
    slope: float = 0.1
    failures: int | None = 5
    outage: float = 60.0
    grace: float = 15.0

    def __attrs_post_init__(self) -> None:
        check_at_least(SHORTEST_INTERVAL, "minimum", self.minimum)
        for name in ("maximum", "slope", "grace"):
            check_at_least(0, name, getattr(self, name))
        check_outage(self.failures, self.outage)
        if self.minimum > self.maximum:
            raise InvalidArgumentError(
                f"minimum={self.minimum:g} is more than maximum={self.maximum:g}: give minimum <= maximum"
            )

    def interval(self, waited: float) -> float:
        """Return the seconds from one poll to the next, *waited* seconds after the wait began."""
        return min(self.maximum, max(self.minimum, self.slope * waited))


publish(PollPolicy, RetryPolicy)
