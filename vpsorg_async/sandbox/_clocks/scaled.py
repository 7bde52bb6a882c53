"""The clock that runs with real time while the sandbox is served, and what handlers need of any clock."""

from __future__ import annotations

import math
import time

from typing import Protocol

import anyio
import anyio.lowlevel


class HandlersClock(Protocol):
    """What those who answer requests need of a clock."""

    def now(self) -> float:
        """Return the sandbox's seconds."""

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* of the sandbox have passed."""

    @property
    def speed(self) -> float:
        """Seconds of the sandbox in a real one; 0 while it stands still, infinite where it jumps."""


class ScaledClock:
    """Real time multiplied by *speed*; may be read and advanced from any thread."""

    _GLANCE = 0.05  # real seconds after which one asleep looks whether time was advanced meanwhile

    def __init__(self, start: float, speed: float, *, frozen: bool = False) -> None:
        if not 0 < speed < math.inf:
            raise ValueError(f"speed={speed!r} must be a number above 0; use freeze() to stop time")
        # One tuple, replaced as a whole: a thread that reads never sees half of a change.
        self._line = (start, time.monotonic(), 0.0 if frozen else speed)
        self._stopped = False

    def now(self) -> float:
        """Return the sandbox's seconds."""
        then, began, speed = self._line
        return then + (time.monotonic() - began) * speed

    @property
    def speed(self) -> float:
        """Seconds of the sandbox in a real one; 0 while it stands still."""
        return self._line[2]

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* of the sandbox have passed, or the clock is stopped."""
        due = self.now() + seconds
        await anyio.lowlevel.checkpoint()
        while not self._stopped and (left := due - self.now()) > 0:
            speed = self._line[2]
            await anyio.sleep(min(left / speed, self._GLANCE) if speed else self._GLANCE)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass now."""
        then, began, speed = self._line
        self._line = (then + checked(seconds), began, speed)

    def freeze(self) -> None:
        """Let time pass by `advance` alone from now on."""
        self._line = (self.now(), time.monotonic(), 0.0)

    def stop(self) -> None:
        """Wake all who sleep: nobody will serve them."""
        self._stopped = True


def checked(seconds: float) -> float:
    """Return *seconds* if time can pass by so many; raise `ValueError` otherwise."""
    if not 0 <= seconds < math.inf:
        raise ValueError(f"seconds={seconds!r} must be a finite number of at least 0; time never goes back")
    return seconds
