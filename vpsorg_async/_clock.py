"""The clock that every time, timeout and pause goes by: monotonic, and replaceable."""

from __future__ import annotations

import time

from typing import TYPE_CHECKING, Protocol

import anyio


if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Scope(Protocol):
    """A stretch of code that ends at a deadline, or when somebody cancels it (anyio's `CancelScope` is one)."""

    @property
    def cancelled_caught(self) -> bool:
        """Whether the stretch was ended early by this scope and not by anything around it."""

    def cancel(self) -> None:
        """End the stretch now."""


class Clock(Protocol):
    """What time it is, and how to let it pass. Seconds since an arbitrary moment; never the wall clock."""

    def now(self) -> float:
        """Return the seconds since an arbitrary moment. They never go back."""

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* have passed. Cancellation: ends at once, nothing is kept."""

    def move_on_after(self, seconds: float | None) -> AbstractContextManager[Scope]:
        """Return a scope that is cancelled when *seconds* have passed; `None`: never by itself."""


class SystemClock:
    """The machine's monotonic clock, and anyio's sleeping."""

    # A call asks some ten times what time it is: so no function of ours is in between.
    now = staticmethod(time.monotonic)
    move_on_after = staticmethod(anyio.move_on_after)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(seconds)
