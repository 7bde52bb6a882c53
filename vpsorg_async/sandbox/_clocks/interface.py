"""Declare what the request handlers need of a clock, and check durations."""

from __future__ import annotations

import math

from typing import Protocol


class HandlerClock(Protocol):
    """A clock that request handlers can read and sleep on."""

    def now(self) -> float:
        """Return the time in sandbox seconds."""

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* sandbox seconds have passed."""

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second; 0 while the clock is frozen, infinite while it jumps."""


def checked_seconds(seconds: float) -> float:
    """Return *seconds* if time can advance by it; raise `ValueError` otherwise."""
    if not 0 <= seconds < math.inf:
        raise ValueError(f"seconds={seconds!r} must be a finite number of at least 0; time never goes back")
    return seconds
