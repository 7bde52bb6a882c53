"""Run the sandbox's time at a multiple of real time while it is served."""

from __future__ import annotations

import math
import time

import anyio
import anyio.lowlevel

from .interface import checked_number, checked_seconds


def checked_speed(speed: float) -> float:
    """Return *speed*, if time can pass at it.

    Raises:
        TypeError: it is no number.
        ValueError: it is not above 0, or not finite.
    """
    if not 0 < checked_number(speed, "speed") < math.inf:
        raise ValueError(f"speed={speed!r} must be a finite number above 0; use freeze() to stop time")
    return speed


class ScaledClock:
    """Real time multiplied by *speed*. Any thread may read and advance it."""

    _CHECK_SECONDS = 0.05  # real seconds after which a sleeper checks whether time was advanced

    def __init__(self, start: float, speed: float, *, frozen: bool = False) -> None:
        speed = checked_speed(speed)
        # One tuple, replaced as a whole: a thread that reads it never sees half of a change.
        self._line = (start, time.monotonic(), 0.0 if frozen else speed)
        self._stopped = False

    def now(self) -> float:
        """Return the time in sandbox seconds."""
        start, began, speed = self._line
        return start + (time.monotonic() - began) * speed

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second; 0 while the clock is frozen."""
        return self._line[2]

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* sandbox seconds have passed, or the clock is stopped."""
        due = self.now() + seconds
        await anyio.lowlevel.checkpoint()
        while not self._stopped and (left := due - self.now()) > 0:
            speed = self._line[2]
            await anyio.sleep(min(left / speed, self._CHECK_SECONDS) if speed else self._CHECK_SECONDS)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass now."""
        start, began, speed = self._line
        self._line = (start + checked_seconds(seconds), began, speed)

    def freeze(self) -> None:
        """Stop time; from now on only `advance` moves it."""
        self._line = (self.now(), time.monotonic(), 0.0)

    def stop(self) -> None:
        """Wake all sleepers early, because the server is about to end."""
        self._stopped = True
