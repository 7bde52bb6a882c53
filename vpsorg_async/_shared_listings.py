"""Lets searches for lost creates share their listings: many creates that are lost at once read the list once."""

from __future__ import annotations

import copy

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import anyio
import attrs

from ._errors import APITimeoutError
from ._page_plan import LIST_REQUEST


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._clock import Clock
    from ._request.call import CallOptions

T = TypeVar("T")

Read: TypeAlias = "Callable[[CallOptions], Awaitable[T]]"
"""Reads one listing within `timeout`. Called again after it was cut short, it keeps the pages that have come."""


@attrs.define(eq=False, repr=False)
class _Reading(Generic[T]):
    """A listing that one task reads for all.

    Neither a result nor an error once it is over: the task had too little time, or was cancelled.
    """

    over: anyio.Event = attrs.field(factory=anyio.Event)
    result: T | None = None
    error: Exception | None = None


class SharedListings(Generic[T]):
    """One listing at a time, which the first task that asks reads, and which the others wait for.

    A listing that is being read may lack a server that was made after its first page. It can still prove that another
    one is there. A task that does not find its server in it asks again.

    *begin* begins a listing.
    """

    def __init__(self, begin: Callable[[], Read[T]], clock: Clock) -> None:
        self._begin = begin
        self._clock = clock
        # Invariant: the task that reads it is within `_lead`, which ends it.
        self._reading: _Reading[T] | None = None
        # A listing whose task had too little time, or was cancelled, for as long as another task wants one.
        self._left: Read[T] | None = None
        self._asking = 0

    async def read(self, options: CallOptions) -> T:
        """Return the listing that is being read, or a new one, within `options.timeout`.

        Raises:
            VPSError: it could not be read.

        Cancellation: ends at once. If others wait for the listing of this task, one of them goes on with it.
        """
        self._asking += 1
        try:
            with self._clock.move_on_after(options.timeout):
                while (reading := self._reading) is not None:
                    await reading.over.wait()
                    if reading.error is not None:
                        raise _own(reading.error)
                    if reading.result is not None:
                        return reading.result
                return await self._lead(options)
        finally:
            self._asking -= 1
            if not self._asking:
                self._left = None
        raise _too_late(options.timeout)

    async def _lead(self, options: CallOptions) -> T:
        began, reading = self._clock.now(), _Reading[T]()
        self._reading = reading
        read, self._left = self._left or self._begin(), None
        try:
            result = reading.result = await read(options)
        except Exception as error:
            # Its own time alone was over: the others may have more.
            if options.timeout is None or self._clock.now() < began + options.timeout:
                reading.error = error
            raise
        else:
            return result
        finally:
            self._reading = None
            if reading.result is None and reading.error is None:
                self._left = read
            reading.over.set()


def _own(error: Exception) -> Exception:
    """Return a copy of *error* for another task, which adds its own causes to it."""
    try:
        own = copy.copy(error)
    except Exception:  # noqa: BLE001 - an error of a user's hook may not be made again from its arguments
        return error
    own.__cause__ = None
    return own


def _too_late(within: float | None) -> APITimeoutError:
    text = f"{LIST_REQUEST}: not all pages could be read within {within:g} s"
    return APITimeoutError(text, sent=False, request_summary=LIST_REQUEST)
