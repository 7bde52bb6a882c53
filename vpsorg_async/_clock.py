"""The clock that gives all times, timeouts and pauses: monotonic, and replaceable."""

from __future__ import annotations

import sys
import time

from typing import TYPE_CHECKING, Protocol

import anyio


if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Scope(Protocol):
    """A block of code that ends at a deadline or when it is cancelled, like anyio's `CancelScope`."""

    @property
    def cancelled_caught(self) -> bool:
        """Whether this scope, and nothing around it, ended the block early."""
        ...

    def cancel(self) -> None:
        """End the block now."""


class Clock(Protocol):
    """Gives the time and lets it pass. Times are seconds since an arbitrary moment, never the wall clock."""

    def now(self) -> float:
        """Return the seconds since an arbitrary moment. They never decrease."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* have passed. Cancellation: the sleep ends at once and leaves nothing behind."""

    def move_on_after(self, seconds: float | None, /) -> AbstractContextManager[Scope]:
        """Return a scope that is cancelled when *seconds* have passed; `None` sets no deadline."""
        ...


def event_loop_time() -> float:
    """Return the time of asyncio's running event loop, by which its timers go; elsewhere monotonic time.

    A test may stop `time.monotonic` and leave the loop's time alone (freezegun's `real_asyncio`), or the other way
    round. A deadline and the timer for it must go by the same clock.
    """
    # Not imported here: it takes half as long as importing this library. anyio takes ten times as long to tell.
    asyncio = sys.modules.get("asyncio")
    loop = None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001 - exported, for this
    return time.monotonic() if loop is None else loop.time()


class SystemClock:
    """The clock of the event loop, with anyio's sleep and scopes."""

    # A call asks for the time some ten times, so no function of this class is in between.
    now = staticmethod(event_loop_time)
    move_on_after = staticmethod(anyio.move_on_after)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(seconds)
