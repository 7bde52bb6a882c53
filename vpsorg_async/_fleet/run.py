"""Runs one action on many servers, some of them at the same time."""

from __future__ import annotations

import inspect
import math

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypedDict, TypeVar

import anyio

from .._checks import checked_seconds
from .._errors import APIConnectionError
from .._request.call import OBSERVER
from .arguments import checked_at_once, checked_callable, checked_tolerate
from .item import ItemInProgress, Step
from .report import FleetReport, Item, Ledger, Outcome, Progress


if TYPE_CHECKING:
    from types import TracebackType

    from .._context import Context

T = TypeVar("T")

OnOutcome: TypeAlias = Callable[[Outcome], Awaitable[object] | object]
OnProgress: TypeAlias = Callable[[Progress], Awaitable[object] | object]


class RunOptions(TypedDict, total=False):
    """The arguments of every run; see `Fleet`."""

    at_once: int
    tolerate: float | None
    timeout: float | None
    on_outcome: OnOutcome | None
    progress: OnProgress | None


class FleetRun(AsyncIterator[Outcome]):
    """One action on many servers. A run begins when it is awaited or entered, and only once.

    Await a run for its `FleetReport`. Or use `async with run as outcomes: async for outcome in outcomes:` to get each
    `Outcome` as it ends; leaving the block early cancels the items that have not ended. `report` says at any time what
    is known of every item.
    """

    def __init__(self, parts: Context, items: list[Item], step: Step, options: RunOptions) -> None:
        if unknown := sorted(options.keys() - RunOptions.__annotations__.keys()):
            raise TypeError(f"{unknown[0]} is no argument of a run: it takes {', '.join(RunOptions.__annotations__)}")
        self._context = parts
        self._step = step
        self._at_once = checked_at_once(options.get("at_once", 20))
        self._timeout = checked_seconds("timeout", options.get("timeout", 900.0))
        self._on_outcome = checked_callable("on_outcome", options.get("on_outcome"))
        self._progress = checked_callable("progress", options.get("progress"))
        self._ledger = Ledger(items, tolerate=checked_tolerate(options.get("tolerate")))
        # Outcomes that were not yet given to the iterating task.
        self._ended: deque[Outcome] = deque()
        # The error that `on_outcome` or `progress` raised.
        self._failure: Exception | None = None
        self._over = False
        # These are made when the run begins.
        self._woken: anyio.Event
        self._workers: anyio.CancelScope
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def report(self) -> FleetReport:
        """The state of every item now: an item in progress is unknown, an item that was not begun is skipped."""
        return self._ledger.report

    def __await__(self) -> Generator[Any, None, FleetReport]:
        return self._run().__await__()

    async def _run(self) -> FleetReport:
        async with self:
            async for _ in self:
                pass
        return self.report

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise RuntimeError("a run is begun once: make another one for another go")
        self._context.lifetime.check()
        self._woken, self._workers = anyio.Event(), anyio.CancelScope()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._workers.cancel()
        # The body's error is not passed on: it leaves the block as itself, not in a group.
        await self._group.__aexit__(None, None, None)
        if error is None and self._failure is not None:
            raise self._failure

    def __aiter__(self) -> FleetRun:
        return self

    async def __anext__(self) -> Outcome:
        """Return the next outcome.

        Raises:
            Exception: the error that `on_outcome` or `progress` raised.

        Cancellation: no outcome is lost.
        """
        if self._group is None:
            raise RuntimeError("enter the run first: async with run as outcomes")
        while not self._ended:
            if self._failure is not None:
                raise self._failure
            if self._over:
                raise StopAsyncIteration
            await self._woken.wait()
            self._woken = anyio.Event()
        return self._ended.popleft()

    async def _work(self) -> None:
        """Work on all items, *at_once* of them together.

        Cancellation: the items in progress are cancelled, and the report says what is known of them.
        """
        try:
            with self._workers:
                async with anyio.create_task_group() as group:
                    for _ in range(min(self._at_once, len(self._ledger.items))):
                        group.start_soon(self._work_through)
        finally:
            self._over = True
            self._woken.set()

    async def _work_through(self) -> None:
        """Work on one item after another while more may begin."""
        try:
            while (index := self._next()) is not None:
                outcome = await self._do(index)
                self._context.events.emit("fleet.item", index=index, state=outcome.state, item=str(outcome))
                self._ended.append(outcome)
                self._woken.set()
                await _tell(self._on_outcome, outcome)
                await _tell(self._progress, self._ledger.progress)
        except Exception as error:  # noqa: BLE001 - from a user's function; raised to the task that awaits the run
            self._failure = self._failure or error
            self._ledger.stop(error)
            self._workers.cancel()

    def _next(self) -> int | None:
        if self._context.lifetime.closed:
            self._ledger.stop(APIConnectionError("the client is closed"))
        return self._ledger.begin()

    async def _do(self, index: int) -> Outcome:
        """Work on one item, and note its outcome, also when it is cancelled."""
        clock = self._context.clock
        deadline = math.inf if self._timeout is None else clock.now() + self._timeout

        def left() -> float | None:
            return None if deadline == math.inf else max(0.0, deadline - clock.now())

        progress = ItemInProgress(self._ledger.items[index], left)
        try:
            await _tell(self._progress, self._ledger.progress)
        except BaseException as error:
            self._ledger.end(progress.failed(index, error))
            raise
        observed = OBSERVER.set(progress.observe)
        try:
            await self._step(progress)
            outcome = progress.succeeded(index)
        except Exception as error:  # noqa: BLE001 - `apply` may raise anything, which is the outcome
            outcome = progress.failed(index, error)
        except BaseException as error:
            self._ledger.end(progress.failed(index, error))
            raise
        finally:
            OBSERVER.reset(observed)
        self._ledger.end(outcome)
        return outcome


async def _tell(function: Callable[[T], Awaitable[object] | object] | None, value: T) -> None:
    if function is not None:
        result = function(value)
        if inspect.isawaitable(result):
            await result
