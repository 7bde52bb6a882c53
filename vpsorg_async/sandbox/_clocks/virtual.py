"""Provide a virtual clock that jumps to the next due time when every task that uses it sleeps."""

from __future__ import annotations

import heapq
import math

from abc import ABC, abstractmethod
from collections import OrderedDict
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from .interface import checked_seconds


if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from ..._clock import Scope


QUIET = 8
"""Turns of the event loop without activity before the clock jumps.

Every task that can run runs in each turn. The number therefore limits how long a chain of tasks that wake each other
may be between two uses of the clock. Measured on asyncio, uvloop and trio: an event takes 1 turn; the end of a `gather`
or task group takes 3 (its last task, the callback, the waiting task), and two nested ones take 6. With two more events
that makes 8. A longer chain loses no wakeup: it only sees a later time than it might have.
"""

_answering_on: ContextVar[VirtualClock | None] = ContextVar("_answering_on", default=None)


class _Entry(ABC):
    """Something that is due at a time; `gone` when it was reached or is no longer needed."""

    __slots__ = ("due", "gone")

    def __init__(self, due: float) -> None:
        self.due = due
        self.gone = False

    @abstractmethod
    def reach(self) -> None:
        """Do what is due."""


class _Sleeper(_Entry):
    __slots__ = ("_clock", "event")

    def __init__(self, due: float, clock: VirtualClock) -> None:
        super().__init__(due)
        self._clock = clock
        self.event = anyio.Event()

    def reach(self) -> None:
        self._clock._wake(self)  # noqa: SLF001 -- two halves of one thing


class _Deadline(_Entry):
    """A cancel scope that has an entry in the heap while it is entered."""

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
    """A clock whose time passes only when every task that uses it sleeps, and then at once.

    Sleeps and the deadlines of scopes are entries of one heap. The task that has been asleep the longest is the leader;
    there is no background task. The leader jumps to the next entry of the heap when

    1. the clock is not frozen, and there is an entry,
    2. no request is being answered (`answering`), except by a handler that itself sleeps on this clock, and
    3. no task has begun or ended a sleep, a scope or a request for `QUIET` turns of the event loop.

    While one of the first two conditions is false, the leader waits for an event and uses no CPU. Only a task in
    `sleep` can lead: if there are only deadlines, some task is doing other work, and time waits for it.

    The clock belongs to the tasks of one event loop. Every method except `sleep` is a plain function that makes its
    whole change without an await.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._frozen = False
        self._heap: list[tuple[float, int, _Entry]] = []
        self._gone = 0
        self._added = 0
        self._sleepers: OrderedDict[_Sleeper, None] = OrderedDict()
        self._leader: _Sleeper | None = None
        self._answering = 0
        self._activity = 0

    def now(self) -> float:
        """Return the time in sandbox seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* have passed on this clock. Cancellation: ends at once."""
        if seconds <= 0:
            # A task that lets others run during long work is busy: time does not pass meanwhile.
            self._activity += 1
            await anyio.lowlevel.checkpoint()
            return
        with self._asleep(seconds) as sleeper:
            while not sleeper.gone:
                if self._leader is sleeper:
                    await self._lead(sleeper)
                else:
                    await sleeper.event.wait()

    def move_on_after(self, seconds: float | None) -> AbstractContextManager[Scope]:
        """Return a scope that is cancelled after *seconds* on this clock; `None` is no deadline."""
        if seconds is None:
            return anyio.CancelScope()
        return _Deadline(self._now + seconds, self)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass now, and wake what is due by then in order of due time."""
        self._reach(self._now + checked_seconds(seconds))

    def freeze(self) -> None:
        """Stop time; from now on only `advance` moves it."""
        self._frozen = True

    @property
    def frozen(self) -> bool:
        """Whether only `advance` moves time."""
        return self._frozen

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second: 0 while the clock is frozen, else infinite."""
        return 0.0 if self._frozen else math.inf

    @contextmanager
    def answering(self) -> Generator[None]:
        """Stop time while the current task answers a request, except while it sleeps on this clock."""
        token = _answering_on.set(self)
        self._count_requests(1)
        try:
            yield
        finally:
            self._count_requests(-1)
            _answering_on.reset(token)

    @contextmanager
    def _asleep(self, seconds: float) -> Generator[_Sleeper]:
        answering = _answering_on.get() is self
        sleeper = _Sleeper(self._now + seconds, self)
        self._sleepers[sleeper] = None
        self._add(sleeper)
        self._choose_leader()
        if answering:
            self._count_requests(-1)
        try:
            yield sleeper
        finally:
            if answering:
                self._count_requests(1)
            self._drop(sleeper)
            self._wake(sleeper)
            self._choose_leader()

    async def _lead(self, leader: _Sleeper) -> None:
        quiet = 0
        while not leader.gone:
            if not self._may_jump():
                leader.event = anyio.Event()
                await leader.event.wait()
                quiet = 0
                continue
            before = self._activity
            await anyio.lowlevel.checkpoint()
            quiet = quiet + 1 if self._activity == before else 0
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
        self._activity += 1
        while self._heap and self._heap[0][0] <= moment:
            entry = heapq.heappop(self._heap)[2]
            if entry.gone:
                self._gone -= 1
            else:
                entry.gone = True
                entry.reach()
        self._choose_leader()

    def _wake(self, sleeper: _Sleeper) -> None:
        self._sleepers.pop(sleeper, None)
        if self._leader is sleeper:
            self._leader = None
        sleeper.event.set()

    def _choose_leader(self) -> None:
        """Make the first sleeper the leader, if there is none; to be called after each change."""
        if self._leader is None and self._sleepers:
            self._leader = next(iter(self._sleepers))
            self._leader.event.set()

    def _add(self, entry: _Entry) -> None:
        self._activity += 1
        if entry.due <= self._now:
            entry.gone = True
            entry.reach()
        elif entry.due < math.inf:
            self._added += 1
            heapq.heappush(self._heap, (entry.due, self._added, entry))
            self._notify_leader()

    def _drop(self, entry: _Entry) -> None:
        self._activity += 1
        if entry.gone:
            return
        entry.gone = True
        if entry.due < math.inf:
            self._gone += 1
        # Without this, the entries of calls that ended long before their deadline stay until time reaches it.
        if self._gone > 100 and self._gone * 2 > len(self._heap):  # noqa: PLR2004
            self._heap = [item for item in self._heap if not item[2].gone]
            heapq.heapify(self._heap)
            self._gone = 0

    def _count_requests(self, change: int) -> None:
        self._answering += change
        self._activity += 1
        self._notify_leader()

    def _notify_leader(self) -> None:
        """Let a waiting leader check again whether it may jump."""
        if self._leader is not None and not self._answering and not self._frozen:
            self._leader.event.set()
