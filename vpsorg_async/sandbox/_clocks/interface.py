"""Declare what the request handlers need of a clock, and check durations."""

from __future__ import annotations

import math

from typing import Protocol


class HandlerClock(Protocol):
    """A clock that request handlers can read and sleep on."""

    def now(self) -> float:
        """Return the time in sandbox seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* sandbox seconds have passed."""

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second; 0 while the clock is frozen, infinite while it jumps."""
        ...


def checked_seconds(seconds: float, name: str = "seconds") -> float:
    """Return *seconds*, the argument *name*, if time can advance by it.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative or not finite.
    """
    if not 0 <= checked_number(seconds, name) < math.inf:
        raise ValueError(f"{name}={seconds!r} must be a finite number of at least 0; time never goes back")
    return seconds


def checked_number(value: object, name: str) -> float:
    """Return the number *value*, the argument *name*, as a float: a whole number may be too long for one.

    Raises:
        TypeError: it is no number.
        ValueError: it is too long.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is a number of more than 300 digits: give a smaller one") from None
