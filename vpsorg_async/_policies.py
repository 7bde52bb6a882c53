"""How often to try and how often to look: the policies a user may change, and the mark for "not given"."""

from __future__ import annotations

import enum
import math

from typing import Final, Literal

import attrs


class NotGiven(enum.Enum):
    """The type of `NOT_GIVEN`, so that type checkers can tell it from every value."""

    NOT_GIVEN = "NOT_GIVEN"

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven.NOT_GIVEN
"""An argument that was not given, where `None` is a value of its own."""

NotGivenType = Literal[NotGiven.NOT_GIVEN]


def checked_seconds(name: str, value: float | None) -> float | None:
    """Return *value* as seconds, or `None` for "without end".

    Raises:
        TypeError: it is no number. A bool is no number of seconds.
        ValueError: it is negative or not finite.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} takes seconds as a number, or None for without end, not {value!r}")
    if math.isnan(value) or value < 0 or math.isinf(value):
        raise ValueError(f"{name}={value!r}: give 0 or more seconds, or None for without end")
    return float(value)


def _at_least(minimum: float, name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} takes a number, not {value!r}")
    if not value >= minimum or math.isinf(value):
        raise ValueError(f"{name}={value!r}: give a finite number of {minimum:g} or more")


def _whole(name: str, value: float) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} takes a whole number, not {value!r}")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How a call is tried again.

    Attributes:
        attempts: tries in all, the first included.
        initial: the longest that the first pause may be, in seconds; it doubles with every pause.
        maximum: the longest that any pause may be, in seconds.
        budget: what a call that succeeds at once puts back into the client's bucket of 10 retries.
            A retry takes 1 from it; a call that succeeds after retries puts back 1.

    An answer 429, or 503 with `Retry-After`, costs neither tries nor budget: only the call's `timeout` bounds it.
    """

    attempts: int = 4
    initial: float = 0.5
    maximum: float = 20.0
    budget: float = 0.2

    def __attrs_post_init__(self) -> None:
        _at_least(1, "attempts", self.attempts)
        _whole("attempts", self.attempts)
        _at_least(0, "initial", self.initial)
        _at_least(0, "maximum", self.maximum)
        _at_least(0, "budget", self.budget)

    @classmethod
    def none(cls) -> RetryPolicy:
        """Return the policy of one try and no more (429 and 503 with `Retry-After` are still waited for)."""
        return cls(attempts=1)


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How a wait looks at its server.

    Attributes:
        minimum: the shortest time between two looks, in seconds.
        maximum: the longest time between two looks, in seconds.
        slope: the share of the time already waited that may pass until the next look.
        failures: so many failed looks in a row end the wait with the last one's error.
        grace: seconds after a create in which a 404 is no proof that the server is gone, and after a reboot in
            which `active` is no proof that it has come back.
    """

    minimum: float = 1.0
    maximum: float = 5.0
    slope: float = 0.1
    failures: int = 5
    grace: float = 15.0

    def __attrs_post_init__(self) -> None:
        for name in ("minimum", "maximum", "slope", "grace"):
            _at_least(0, name, getattr(self, name))
        _at_least(1, "failures", self.failures)
        _whole("failures", self.failures)
        if self.minimum > self.maximum:
            raise ValueError(f"minimum={self.minimum:g} is more than maximum={self.maximum:g}: give minimum <= maximum")
        if self.maximum <= 0:
            raise ValueError("maximum=0 would look without a pause: give more than 0 seconds")

    def interval(self, waited: float) -> float:
        """Return the seconds from a look to the next one, *waited* seconds after the wait began."""
        return min(self.maximum, max(self.minimum, self.slope * waited))
