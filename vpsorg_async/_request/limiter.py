"""Lets calls onto the wire: so many at once, in order of asking, and slower after the API said "too many"."""

from __future__ import annotations

import heapq
import itertools
import math

from typing import TYPE_CHECKING

import anyio
import attrs

from .rate_control import RateControl


if TYPE_CHECKING:
    from .._clock import Clock, Scope

Ticket = tuple[bool, int]
"""A place in the order of asking: not a poll (polls first), then a running number. Kept over a call's retries."""

LONGEST_SHARED_PAUSE = 60.0
"""Seconds that one response's `Retry-After` may hold up other calls (assumed); its own call waits for all of it."""


@attrs.define(eq=False, repr=False)
class _Place:
    woken: anyio.Event = attrs.field(factory=anyio.Event)
    # The keeper's sleep until time may let somebody in.
    nap: Scope | None = None
    admitted: bool = False
    gone: bool = False

    def wake(self) -> None:
        self.woken.set()
        if self.nap is not None:
            self.nap.cancel()


class Limiter:
    """Lets at most *size* calls onto the wire, first come, first served, polls first.

    `leave` gives a turn back; the task in which `enter` returned must call it, also where it is cancelled. A task that
    is cancelled while it waits gives its place up in `enter`, and its turn too if it had just been given one. There is
    no background task: one of those that wait, the keeper, also wakes up when time alone lets the next one in.
    """

    def __init__(self, size: int, clock: Clock) -> None:
        self._size = size
        self._clock = clock
        self._rate_control = RateControl(size)
        self._on_wire = 0
        self._numbers = itertools.count()
        self._queue: list[tuple[Ticket, _Place]] = []
        # Invariant: somebody waits for the time exactly while somebody waits.
        self._keeper: _Place | None = None

    def ticket(self, *, poll: bool) -> Ticket:
        """Return the next place in the order of asking."""
        return (not poll, next(self._numbers))

    async def enter(self, ticket: Ticket) -> None:
        """Return when it is this ticket's turn.

        Cancellation: the place, or the turn just given, goes to the next.
        """
        now = self._clock.now()
        if not self._queue and self._rate_control.may_begin(now, self._on_wire):
            self._rate_control.begin(now, self._on_wire)
            self._on_wire += 1
            return
        place = _Place()
        heapq.heappush(self._queue, (ticket, place))
        try:
            self._admit()
            while not place.admitted:
                await self._wait(place)
                self._admit()
        except BaseException:
            if place.admitted:
                self.leave()
            place.gone = True
            raise
        finally:
            if self._keeper is place:
                self._keeper = None
                self._appoint()

    def leave(self) -> None:
        """Give the turn back; the connection must be free or its socket closed by now."""
        self._on_wire -= 1
        if self._queue:
            self._admit()

    def answered(self, *, began: float = math.inf) -> None:
        """Note a response that is no 429, to an attempt that *began* then and has not left yet."""
        self._rate_control.answered(self._clock.now(), self._on_wire, began=began)

    def refused(self, pause: float, *, began: float = math.inf) -> None:
        """Note a 429 to an attempt that *began* then; all calls share its pause of so many seconds."""
        self._rate_control.refused(self._clock.now(), min(pause, LONGEST_SHARED_PAUSE), began=began)
        if self._keeper is not None:
            self._keeper.wake()

    async def _wait(self, place: _Place) -> None:
        if self._keeper is None:
            self._keeper = place
        if self._keeper is place and (changes_at := self._rate_control.changes_at(self._on_wire)) is not None:
            # Asleep on the clock, not waiting for an event with a deadline: a clock that jumps goes by its sleepers.
            with self._clock.move_on_after(None) as place.nap:
                await self._clock.sleep(max(0.0, changes_at - self._clock.now()))
            place.nap = None
        else:
            await place.woken.wait()
            if not place.admitted:
                place.woken = anyio.Event()

    def _may_begin(self) -> bool:
        return self._on_wire < self._size and self._rate_control.may_begin(self._clock.now(), self._on_wire)

    def _begin(self) -> None:
        self._rate_control.begin(self._clock.now(), self._on_wire)
        self._on_wire += 1

    def _admit(self) -> None:
        while self._queue:
            place = self._queue[0][1]
            if not place.gone:
                if not self._may_begin():
                    break
                place.admitted = True
                self._begin()
                place.wake()
            heapq.heappop(self._queue)
        if self._queue and self._keeper is not None and self._keeper.nap is None and self._on_wire < self._size:
            # A turn is free and only time keeps it from the first: somebody must watch the time.
            self._keeper.woken.set()

    def _appoint(self) -> None:
        while self._queue and self._queue[0][1].gone:
            heapq.heappop(self._queue)
        if self._queue:
            # Made the keeper before it wakes up: if it is cancelled instead, it appoints the next.
            self._keeper = self._queue[0][1]
            self._keeper.wake()
