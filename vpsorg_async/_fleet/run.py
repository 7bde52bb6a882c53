"""Runs one action on many servers, some of them at the same time."""

from __future__ import annotations

import inspect
import math

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import attrs

from .._cancellation import is_cancel, is_foreign_cancel, scope_cancelled
from .._context import Context
from .._errors import ClientClosedError
from .._events import FLEET, next_number
from .._polling.waits import IN_PROGRESS, Crowd
from .._public import publish
from .._request.call import OBSERVER
from .._servers import Servers
from .._unawaited import Unawaited
from .arguments import RunOptions
from .fleet_events import Telling, tell_item
from .gate import Gate
from .item import ItemInProgress
from .ledger import Ledger
from .outage import lacks_response
from .report import FleetReport, Item, Outcome
from .states import next_of
from .steps import Work


T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Part:
    """Holds what a run shares with others, if it is a part of a greater one.

    Attributes:
        gate: holds back the items of all of them while the API does not respond.
        at_once: the number of items that are in progress together in all of them.
    """

    gate: Gate
    at_once: int


class FleetRun(Unawaited, AsyncIterator[Outcome]):
    """One action on many servers. A run begins when it is awaited or entered, and only once.

    Await a run for its `FleetReport`. Or use `async with run as outcomes: async for outcome in outcomes:` to get each
    `Outcome` as it ends; leaving the block early cancels the items that have not ended. `report` says at any time what
    is known of every item.

    A run that is never awaited or entered gives a `RuntimeWarning`, as it does nothing.
    """

    def __init__(
        self,
        parts: Context,
        servers: Servers,
        items: Sequence[Item],
        work: Work,
        options: RunOptions,
        *,
        earlier: Sequence[Outcome] = (),
        prepare: Callable[[], Awaitable[None]] | None = None,
        part: Part | None = None,
    ) -> None:
        self._context = parts
        self._work_of_item = work
        self._options = options
        # The outcomes that this run goes on from, if it does; some of them are kept.
        self._earlier = earlier
        # Called when the run begins; if it raises, nothing is begun.
        self._prepare = prepare
        kept = [
            outcome
            for outcome in earlier
            if next_of(outcome.state, accepted=outcome.accepted, action=work.action) == "keep"
        ]
        self._ledger = Ledger(work.action, items, tolerate=options.tolerate, stop_on=options.stop_on, kept=kept)
        if part is None:
            gate = Gate(parts, servers._options, options.poll)  # noqa: SLF001 - a part of this library
            part = Part(gate, min(options.at_once, len(self._ledger.items)))
        self._gate, self._in_progress = part.gate, part.at_once
        # Outcomes that were not yet given to the iterating task.
        self._ended: deque[Outcome] = deque()
        # The error that `on_outcome` or `progress` raised.
        self._failure: Exception | None = None
        self._over = False
        self._number = next_number()
        # The wall clock's time at the begin, less the client's clock's: no later jump of the wall clock counts.
        self._wall: datetime
        # These are made when the run begins.
        self._woken: anyio.Event
        self._workers: anyio.CancelScope
        self._group: anyio.abc.TaskGroup | None = None
        self._not_yet(f"fleet {self._name}", "await it, or enter it with 'async with'")

    @property
    def report(self) -> FleetReport:
        """The state of every item now.

        An item in progress is pending once the API has accepted its command, and unknown before. An item that was not
        begun is skipped.
        """
        api_time = self._context.requester.api_clock.at(self._context.clock.now())
        return attrs.evolve(self._ledger.report, arguments=self._options.kept(self._work_of_item.own), made_at=api_time)

    def __repr__(self) -> str:
        if self._group is None:
            return f"<FleetRun {self._name}: not begun; {self._advice}>"
        state = "over" if self._over else "running"
        return f"<FleetRun {self._name}: {state}, {self._ledger.ended} ended; its report has them all>"

    def __await__(self) -> Generator[object, None, FleetReport]:
        return self.run().__await__()

    def run(self) -> Coroutine[Any, Any, FleetReport]:
        """Return the coroutine that does the run and returns its report, for `asyncio.create_task` and task groups.

        Raises:
            RuntimeError: the run was begun before.
            ClientClosedError: the client is closed.
            Exception: the error that `on_outcome` or `progress` raised.

        Cancellation: the items in progress are cancelled. `report` says what is known of them.
        """
        # If nobody awaits the coroutine, Python itself warns about it.
        self._begin()
        return self._run()

    async def _run(self) -> FleetReport:
        async with self:
            async for _ in self:
                pass
        return self.report

    async def __aenter__(self) -> Self:
        self._begin()
        if self._group is not None:
            raise RuntimeError("a run is begun once: make another one for another go")
        self._context.lifetime.check()
        if self._prepare is not None:
            await self._prepare()
        self._wall = datetime.now(UTC) - timedelta(seconds=self._context.clock.now())
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
            self._begin()
            raise RuntimeError("enter the run first: async with run as outcomes")
        while not self._ended:
            if self._failure is not None:
                raise self._failure
            if self._over:
                raise StopAsyncIteration
            await self._woken.wait()
            self._woken = anyio.Event()
        return self._ended.popleft()

    @property
    def _name(self) -> str:
        count, action = len(self._ledger.items), self._ledger.action
        return f"{action} of {count} {'server' if count == 1 else 'servers'}"

    async def _work(self) -> None:
        """Work on all items, *at_once* of them together.

        Cancellation: the items in progress are cancelled, and the report says what is known of them.
        """
        FLEET.set(self._number)
        try:
            with self._telling(), self._workers:
                async with anyio.create_task_group() as group:
                    for _ in range(self._at_once):
                        group.start_soon(self._work_through)
        finally:
            self._over = True
            self._woken.set()

    def _telling(self) -> Telling:
        events, clock = self._context.events, self._context.clock
        return Telling(events, clock, self._number, self._ledger, self._at_once, self._workers)

    @property
    def _at_once(self) -> int:
        return min(self._options.at_once, len(self._ledger.items))

    async def _work_through(self) -> None:
        """Work on one item after another while more may begin."""
        try:
            while (item := await self._begin_next()) is not None:
                outcome = await self._do(item)
                self._ended.append(outcome)
                self._woken.set()
                if not self._ledger.may_begin:
                    self._gate.wake()
                await _tell("on_outcome", self._options.on_outcome, outcome)
                await _tell("progress", self._options.progress, self._ledger.progress)
        except Exception as error:  # noqa: BLE001 - from a user's function; raised to the task that awaits the run
            self._fail(error)
        except BaseException as error:
            # trio raises Ctrl-C in whatever task is running: it ends the run, and is no error of it.
            if is_cancel(error) and not scope_cancelled():
                # asyncio's task group would end the whole run for it, and say nothing.
                self._fail(RuntimeError("a task of the run was cancelled, and not by the run: it cannot go on"))
            raise

    def _fail(self, error: Exception) -> None:
        """End the run with the error of a user's function."""
        self._failure = self._failure or error
        self._ledger.stop(error)
        self._workers.cancel()

    async def _begin_next(self) -> ItemInProgress | None:
        """Begin the next item, as soon as the API responds; `None` if no further item may begin."""
        # A function that shields itself from the cancel of the run ends its item, and no other begins.
        if not self._ledger.may_begin or scope_cancelled():
            return None
        if not await self._gate.passed(self._ledger.next_item, lambda: self._ledger.may_begin):
            assert self._gate.outage.given_up is not None
            self._ledger.stop(self._gate.outage.given_up)
        if self._context.lifetime.closed:
            self._ledger.stop(ClientClosedError("the client is closed", sent=False))
        index = self._ledger.begin()
        if index is None:
            return None
        item = ItemInProgress(
            index=index,
            item=self._ledger.items[index],
            left=self._time_left(),
            began_at=self._time(),
            changes=self._work_of_item.changes,
            earlier=self._earlier[index] if self._earlier else None,
            carries=self._work_of_item.carries,
        )
        self._ledger.follow(index, item.so_far)
        return item

    def _time_left(self) -> Callable[[], float | None]:
        """Return a function that returns the seconds that are left of the time of an item which begins now."""
        clock, seconds = self._context.clock, self._options.timeout
        deadline = math.inf if seconds is None else clock.now() + seconds
        return lambda: None if deadline == math.inf else max(0.0, deadline - clock.now())

    def _time(self) -> datetime:
        return self._wall + timedelta(seconds=self._context.clock.now())

    async def _do(self, item: ItemInProgress) -> Outcome:
        """Work on one item, and note its outcome, also when it is cancelled."""
        try:
            await _tell("progress", self._options.progress, self._ledger.progress)
        except BaseException:
            self._end(item.interrupted(self._time()))
            raise
        observed = OBSERVER.set(item.observe)
        crowd = Crowd(self._in_progress, prompt=self._work_of_item.calls_back)
        in_progress = IN_PROGRESS.set(crowd)
        try:
            await self._carry_out(item)
            outcome = item.succeeded(self._time())
        except Exception as error:  # noqa: BLE001 - `apply` may raise anything, which is the outcome
            outcome = item.failed(error, self._time())
        except BaseException as error:
            if not is_foreign_cancel(error):
                self._end(item.interrupted(self._time()))
                raise
            outcome = item.interrupted(self._time(), "it awaited something that was cancelled, and so ended")
        finally:
            OBSERVER.reset(observed)
            IN_PROGRESS.reset(in_progress)
            crowd.size = 0
        self._end(outcome)
        return outcome

    def _end(self, outcome: Outcome) -> None:
        self._ledger.end(outcome)
        tell_item(self._context.events, self._ledger.action, outcome)

    async def _carry_out(self, item: ItemInProgress) -> None:
        """Do the work of an item. After an outage, do it again where that is safe."""
        clock, twice = self._context.clock, False
        while True:
            began = clock.now()
            try:
                await self._work_of_item.step(item)
            except Exception as error:
                self._gate.failed(error, began)
                if not (lacks_response(error) and self._work_of_item.may_repeat(item)):
                    raise
                with clock.move_on_after(item.left()) as scope:
                    recovered = await self._gate.recovered(item.item)
                # Without a proof of an outage, the failure may be the item's own: one more time is enough.
                if scope.cancelled_caught or self._gate.outage.given_up or (twice and not recovered):
                    raise
                twice = twice or not recovered
            else:
                self._gate.answered()
                return


async def _tell(name: str, function: Callable[[T], Awaitable[object] | object] | None, value: T) -> None:
    """Call a user's function.

    Raises:
        RuntimeError: it awaited something that was cancelled. asyncio would take that for a cancel of the run.
    """
    if function is None:
        return
    try:
        result = function(value)
        if inspect.isawaitable(result):
            await result
    except BaseException as error:
        if is_foreign_cancel(error):
            raise RuntimeError(f"{name} awaited something that was cancelled") from error
        raise


publish(FleetRun)
