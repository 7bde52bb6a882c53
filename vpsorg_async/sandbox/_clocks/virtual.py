"""The clock that jumps to the next thing due when everything that goes by it sleeps.

When the jumping clock jumps
----------------------------
Sleeps and the deadlines of scopes are entries of one heap. One of the tasks asleep, the one that came first, *drives*;
there is no background task. The driver jumps to the heap's next entry when

1. the clock is not frozen, and there is an entry,
2. no exchange is being answered (`answering`), save by a handler that itself sleeps on this clock, and
3. nothing has slept, woken, begun or ended for `QUIET` turns of the event loop.

While one of the first two does not hold the driver waits for an event, and costs nothing. Only tasks in `sleep` drive:
where there are deadlines alone, somebody is doing something else, and time waits for him.
"""

from __future__ import annotations

import heapq
import math

from collections import OrderedDict
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from .scaled import checked


if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from ..._clock import Scope


QUIET = 8
"""Turns of the event loop without a sign of life before the clock jumps.

In a turn every task that can run runs, so what this allows for is the longest chain of tasks waking tasks between two
uses of the clock. Measured on asyncio, uvloop and trio: an event takes 1 turn, a `gather` or task group that ends 3
(its last task, what notes that, the task that waits), two inside one another take 6; two events more make 8.
A chain that is longer loses no wakeup: it sees a later time than it might have.
"""

_answering_on: ContextVar[VirtualClock | None] = ContextVar("_answering_on", default=None)


class _Entry:
    """Something due at a time; `gone` once it has been reached, or nobody waits for it any longer."""

    __slots__ = ("due", "gone")

    def __init__(self, due: float) -> None:
        self.due = due
        self.gone = False

    def reach(self) -> None:
        raise NotImplementedError


class _Sleeper(_Entry):
    __slots__ = ("_clock", "event")

    def __init__(self, due: float, clock: VirtualClock) -> None:
        super().__init__(due)
        self._clock = clock
        self.event = anyio.Event()

    def reach(self) -> None:
        self._clock._rouse(self)  # noqa: SLF001 -- two halves of one thing


class _Deadline(_Entry):
    """A scope with an entry in the heap for as long as it is entered."""

    __slots__ = ("_clock", "_scope")

    def __init__(self, due: float, clock: VirtualClock) -> None:
        super().__init__(due)
        self._clock = clock
        self._scope = anyio.CancelScope()

    def reach(self) -> None:
        self._scope.cancel()

    def __enter__(self) -> Scope:
        self._scope.__enter__()
        self._clock._add(self)  # noqa: SLF001
        return self._scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._clock._drop(self)  # noqa: SLF001
        return self._scope.__exit__(kind, error, trace)


class VirtualClock:
    """A clock whose time passes only when everything that goes by it sleeps, and then at once.

    For the tasks of one event loop; every method but `sleep` is a plain function and changes all it changes at once.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._frozen = False
        self._heap: list[tuple[float, int, _Entry]] = []
        self._gone = 0
        self._added = 0
        self._sleepers: OrderedDict[_Sleeper, None] = OrderedDict()
        self._driver: _Sleeper | None = None
        self._answering = 0
        self._signs_of_life = 0

    def now(self) -> float:
        """Return the sandbox's seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* have passed on this clock. Cancellation: ends at once, nothing is kept."""
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        with self._asleep(seconds) as sleeper:
            while not sleeper.gone:
                if self._driver is sleeper:
                    await self._drive(sleeper)
                else:
                    await sleeper.event.wait()

    def move_on_after(self, seconds: float | None) -> AbstractContextManager[Scope]:
        """Return a scope that is cancelled when *seconds* have passed on this clock; `None`: never by itself."""
        if seconds is None:
            return anyio.CancelScope()
        return _Deadline(self._now + seconds, self)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass now, and wake what is due by then, in order of due time."""
        self._reach(self._now + checked(seconds))

    def freeze(self) -> None:
        """Let time pass by `advance` alone from now on."""
        self._frozen = True

    @property
    def frozen(self) -> bool:
        """Whether time passes by `advance` alone."""
        return self._frozen

    @property
    def speed(self) -> float:
        """Seconds of the sandbox in a real one: none, or as many as it takes."""
        return 0.0 if self._frozen else math.inf

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Hold time still while the calling task answers an exchange, save while it sleeps on this clock itself."""
        token = _answering_on.set(self)
        self._exchanges(1)
        try:
            yield
        finally:
            self._exchanges(-1)
            _answering_on.reset(token)

    @contextmanager
    def _asleep(self, seconds: float) -> Iterator[_Sleeper]:
        answering = _answering_on.get() is self
        sleeper = _Sleeper(self._now + seconds, self)
        self._sleepers[sleeper] = None
        self._add(sleeper)
        self._appoint()
        if answering:
            self._exchanges(-1)
        try:
            yield sleeper
        finally:
            if answering:
                self._exchanges(1)
            self._drop(sleeper)
            self._rouse(sleeper)
            self._appoint()

    async def _drive(self, driver: _Sleeper) -> None:
        quiet = 0
        while not driver.gone:
            if not self._may_jump():
                driver.event = anyio.Event()
                await driver.event.wait()
                quiet = 0
                continue
            before = self._signs_of_life
            await anyio.lowlevel.checkpoint()
            quiet = quiet + 1 if self._signs_of_life == before else 0
            if quiet >= QUIET and self._may_jump():
                self._reach(self._heap[0][0])
                quiet = 0

    def _may_jump(self) -> bool:
        if self._frozen or self._answering:
            return False
        while self._heap and self._heap[0][2].gone:
            heapq.heappop(self._heap)
            self._gone -= 1
        return bool(self._heap)

    def _reach(self, moment: float) -> None:
        self._now = moment
        self._signs_of_life += 1
        while self._heap and self._heap[0][0] <= moment:
            entry = heapq.heappop(self._heap)[2]
            if entry.gone:
                self._gone -= 1
            else:
                entry.gone = True
                entry.reach()
        self._appoint()

    def _rouse(self, sleeper: _Sleeper) -> None:
        self._sleepers.pop(sleeper, None)
        if self._driver is sleeper:
            self._driver = None
        sleeper.event.set()

    def _appoint(self) -> None:
        """Let the sleeper that came first drive. Called after each change, so that while any sleeps, one drives."""
        if self._driver is None and self._sleepers:
            self._driver = next(iter(self._sleepers))
            self._driver.event.set()

    def _add(self, entry: _Entry) -> None:
        self._signs_of_life += 1
        if entry.due <= self._now:
            entry.gone = True
            entry.reach()
        elif entry.due < math.inf:
            self._added += 1
            heapq.heappush(self._heap, (entry.due, self._added, entry))
            self._stir()

    def _drop(self, entry: _Entry) -> None:
        self._signs_of_life += 1
        if entry.gone:
            return
        entry.gone = True
        if entry.due < math.inf:
            self._gone += 1
        # Entries of calls that ended long before their deadline would else stay until time gets there.
        if self._gone > 100 and self._gone * 2 > len(self._heap):  # noqa: PLR2004
            self._heap = [item for item in self._heap if not item[2].gone]
            heapq.heapify(self._heap)
            self._gone = 0

    def _exchanges(self, change: int) -> None:
        self._answering += change
        self._signs_of_life += 1
        self._stir()

    def _stir(self) -> None:
        """Let a driver that waits look again whether it may jump."""
        if self._driver is not None and not self._answering and not self._frozen:
            self._driver.event.set()
