"""Many servers, acted on a few at a time, with a report that has an outcome for every one."""

from __future__ import annotations

import inspect
import math

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypedDict, TypeVar, Unpack

import anyio
import attrs

from .._checks import checked_seconds
from .._endpoints import spec_body
from .._endpoints import update as checked_update
from .._errors import APIConnectionError, APITimeoutError, OutcomeUnknownError, WaitError
from .._models import Server, ServerSpec, checked_id
from .._policies import NOT_GIVEN, NotGivenType, PollPolicy
from .._polling.lifecycle import TRANSITIONS
from .._request.call import OBSERVER, CallState, RetrySafety
from .._servers import call_timeout, checked_goal
from .report import FleetReport, Item, Ledger, Outcome, OutcomeState, Progress


if TYPE_CHECKING:
    from types import TracebackType

    from .._context import Context
    from .._models import StatusGoal
    from .._servers import Servers

T = TypeVar("T")

OnOutcome: TypeAlias = Callable[[Outcome], Awaitable[object] | object]
OnProgress: TypeAlias = Callable[[Progress], Awaitable[object] | object]


class RunOptions(TypedDict, total=False):
    """How a run goes on; see `Fleet`."""

    at_once: int
    tolerate: float | None
    timeout: float | None
    on_outcome: OnOutcome | None
    progress: OnProgress | None


@attrs.define(eq=False, repr=False)
class _Attempt:
    """What is known of an item that is under way."""

    item: Item
    # Seconds that are left of its time.
    left: Callable[[], float | None]
    # Whether the API has accepted what it was asked, or was asked for nothing that changes anything.
    accepted: bool = False
    server: Server | None = None
    value: Any = None
    _calls: list[CallState] = attrs.field(factory=list)
    # Of a fleet whose `apply` makes this one.
    _outer: Callable[[CallState], None] | None = attrs.field(factory=OBSERVER.get)

    @property
    def server_id(self) -> int | str:
        """The id of the server that was given."""
        return checked_id(self.item)

    def observe(self, call: CallState) -> None:
        """Take note of a call that is made for it."""
        if self._outer is not None:
            self._outer(call)
        if call.retry_safety is not RetrySafety.SAFE:
            self._calls.append(call)

    @property
    def on_the_wire(self) -> bool:
        """Whether something may have been carried out whose answer has not come."""
        return not self.accepted and any(call.maybe_done for call in self._calls)

    def succeeded(self, index: int) -> Outcome:
        """Return that it got there."""
        return Outcome(index=index, item=self.item, state="succeeded", server=self._last_seen(), value=self.value)

    def failed(self, index: int, error: BaseException) -> Outcome:
        """Return what became of it, as it ended with *error*."""
        if isinstance(error, Exception):
            doubtful = isinstance(error, OutcomeUnknownError) or getattr(error, "sent", False) is True
            state: OutcomeState = "unknown" if doubtful and not self.accepted else "failed"
            reason = error
        else:
            state, reason = self._interrupted()
        server = self._last_seen(getattr(error, "server", None))
        return Outcome(index=index, item=self.item, state=state, server=server, value=self.value, error=reason)

    def _last_seen(self, told: object = None) -> Server | None:
        return next((server for server in (told, self.server, self.item) if isinstance(server, Server)), None)

    def _interrupted(self) -> tuple[OutcomeState, Exception]:
        if self.on_the_wire:
            return "unknown", OutcomeUnknownError("cancelled with the command on the wire")
        if self.accepted:
            return "failed", WaitError("cancelled before the server got there", server=self.server)
        if any(call.attempts for call in self._calls):
            return "failed", WaitError("cancelled before it had ended")
        return "failed", APIConnectionError("cancelled before anything was changed")


Step: TypeAlias = Callable[[_Attempt], Awaitable[None]]
"""Does for one item what the run does for all, and notes how far it has come."""


class FleetRun(AsyncIterator[Outcome]):
    """One action on many servers; begins when it is awaited or entered, once.

    Await it for a `FleetReport`; or `async with run as outcomes: async for outcome in outcomes:` for each `Outcome` as
    it ends. Leaving early cancels what has not ended. `report` tells at any time what is known of every item.
    """

    def __init__(self, parts: Context, items: list[Item], step: Step, options: RunOptions) -> None:
        if unknown := sorted(options.keys() - RunOptions.__annotations__.keys()):
            raise TypeError(f"{unknown[0]} is no argument of a run: it takes {', '.join(RunOptions.__annotations__)}")
        self._context = parts
        self._step = step
        self._at_once = _checked_at_once(options.get("at_once", 20))
        self._timeout = checked_seconds("timeout", options.get("timeout", 900.0))
        self._on_outcome = _checked_callable("on_outcome", options.get("on_outcome"))
        self._progress = _checked_callable("progress", options.get("progress"))
        self._ledger = Ledger(items, tolerate=_checked_tolerate(options.get("tolerate")))
        # Ended, and not given to whoever iterates.
        self._ended: deque[Outcome] = deque()
        # What `on_outcome` or `progress` raised.
        self._failure: Exception | None = None
        self._over = False
        # Made when it begins.
        self._woken: anyio.Event
        self._workers: anyio.CancelScope
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def report(self) -> FleetReport:
        """What is known of every item now: one under way is unknown, one that was not begun is skipped."""
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
        # Without the body's error: it comes out as itself, not in a group.
        await self._group.__aexit__(None, None, None)
        if error is None and self._failure is not None:
            raise self._failure

    def __aiter__(self) -> FleetRun:
        return self

    async def __anext__(self) -> Outcome:
        """Return the next outcome.

        Raises:
            Exception: what `on_outcome` or `progress` raised.

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
        """Have all items done, so many at once.

        Cancellation: those under way are cancelled, and the report tells what is known of them.
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
        """Do one item after another while more may begin."""
        try:
            while (index := self._next()) is not None:
                outcome = await self._do(index)
                self._context.events.emit("fleet.item", index=index, state=outcome.state, item=str(outcome))
                self._ended.append(outcome)
                self._woken.set()
                await _tell(self._on_outcome, outcome)
                await _tell(self._progress, self._ledger.progress)
        except Exception as error:  # noqa: BLE001 - of the user's functions: raised to whoever awaits the run
            self._failure = self._failure or error
            self._ledger.stop(error)
            self._workers.cancel()

    def _next(self) -> int | None:
        if self._context.lifetime.closed:
            self._ledger.stop(APIConnectionError("the client is closed"))
        return self._ledger.begin()

    async def _do(self, index: int) -> Outcome:
        """Do one item, and note what became of it, also when it is cancelled."""
        clock = self._context.clock
        deadline = math.inf if self._timeout is None else clock.now() + self._timeout

        def left() -> float | None:
            return None if deadline == math.inf else max(0.0, deadline - clock.now())

        attempt = _Attempt(self._ledger.items[index], left)
        try:
            await _tell(self._progress, self._ledger.progress)
        except BaseException as error:
            self._ledger.end(attempt.failed(index, error))
            raise
        observed = OBSERVER.set(attempt.observe)
        try:
            await self._step(attempt)
            outcome = attempt.succeeded(index)
        except Exception as error:  # noqa: BLE001 - `apply` may raise anything; it is the outcome
            outcome = attempt.failed(index, error)
        except BaseException as error:
            self._ledger.end(attempt.failed(index, error))
            raise
        finally:
            OBSERVER.reset(observed)
        self._ledger.end(outcome)
        return outcome


class Fleet:
    """Servers to be acted on together, made by `client.fleet(servers)`.

    Each method returns a `FleetRun`, and takes besides its own arguments:

    - *at_once*: items in progress together, 20.
    - *tolerate*: nothing more is begun once more than so many are failed or unknown: an int counts, a float is a share
      of all items, `None` is any number. 401, 402 and 403 stop the beginning of more in any case.
    - *timeout*: seconds for each item from its begin, 900; `None` is without end.
    - *on_outcome*, *progress*: called with each `Outcome` and each `Progress`, plain or async; what they raise ends the
      run.

    With *wait* an item is done when its server has got there, without when the command was accepted.

    Raises:
        TypeError, ValueError: an argument cannot be used, or a server is there twice; nothing was sent.
    """

    def __init__(self, servers: Servers, parts: Context, items: Iterable[Server | int | str]) -> None:
        self._servers = servers
        self._context = parts
        self._items = _checked_items(items)

    def start(self, *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Power on each server; done when it is active."""
        return self._commanding("start", self._servers.start, options, wait=wait)

    def stop(self, *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Shut each server down gracefully; done when it is stopped."""
        return self._commanding("stop", self._servers.stop, options, wait=wait)

    def reboot(self, *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Reboot each server gracefully; done when it is active again."""
        return self._commanding("reboot", self._servers.reboot, options, wait=wait)

    def delete(self, *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Delete each server for good; done when the API says that there is none."""
        servers = self._servers

        async def step(attempt: _Attempt) -> None:
            await servers.delete(attempt.server_id, timeout=call_timeout(servers, attempt.left()))
            attempt.accepted = True
            if wait:
                await servers.wait_until_deleted(attempt.server_id, timeout=attempt.left())

        return self._run(step, options)

    def update(
        self,
        *,
        name: str | NotGivenType = NOT_GIVEN,
        hostname: str | NotGivenType | None = NOT_GIVEN,
        backups_enabled: bool | NotGivenType = NOT_GIVEN,
        **options: Unpack[RunOptions],
    ) -> FleetRun:
        """Change the settings that are given of each server; the outcome's `server` has them.

        Raises:
            TypeError: none is given; nothing was sent.
        """
        servers = self._servers
        # Looked through before anything is sent: the id does not matter.
        checked_update(0, name=name, hostname=hostname, backups_enabled=backups_enabled)

        async def step(attempt: _Attempt) -> None:
            attempt.server = attempt.value = await servers.update(
                attempt.server_id,
                name=name,
                hostname=hostname,
                backups_enabled=backups_enabled,
                timeout=call_timeout(servers, attempt.left()),
            )

        return self._run(step, options)

    def wait_until(
        self,
        *,
        status: StatusGoal,
        poll: PollPolicy = PollPolicy(),
        fail_on: StatusGoal | NotGivenType | None = NOT_GIVEN,
        **options: Unpack[RunOptions],
    ) -> FleetRun:
        """Wait until each server is in *status*, or one of several; see `client.servers.wait_until`."""
        servers = self._servers
        checked_goal(status, fail_on, poll)

        async def step(attempt: _Attempt) -> None:
            # Nothing is asked for that could be in doubt.
            attempt.accepted = True
            attempt.server = attempt.value = await servers.wait_until(
                attempt.server_id, status=status, timeout=attempt.left(), poll=poll, fail_on=fail_on, detail=False
            )

        return self._run(step, options)

    def apply(self, function: Callable[[Any], Awaitable[object] | object], **options: Unpack[RunOptions]) -> FleetRun:
        """Call *function*, plain or async, with each server, or with its id if that was given.

        What it returns is the outcome's `value`; what it raises is its `error`.
        """
        if not callable(function):
            raise TypeError(f"function must be callable with a server or an id, not {function!r}")
        clock = self._context.clock

        async def step(attempt: _Attempt) -> None:
            seconds = attempt.left()
            with clock.move_on_after(seconds) as scope:
                result = function(attempt.item)
                attempt.value = await result if inspect.isawaitable(result) else result
            if scope.cancelled_caught:
                assert seconds is not None
                raise APITimeoutError(f"it did not end within {round(seconds, 2):g} s", sent=attempt.on_the_wire)

        return self._run(step, options)

    def _commanding(
        self, name: str, command: Callable[..., Awaitable[Any]], options: RunOptions, *, wait: bool
    ) -> FleetRun:
        servers, goal = self._servers, TRANSITIONS[name].status_after

        async def step(attempt: _Attempt) -> None:
            attempt.value = await command(attempt.server_id, timeout=call_timeout(servers, attempt.left()))
            attempt.accepted = True
            if wait:
                attempt.server = await servers.wait_until(
                    attempt.server_id, status=goal, timeout=attempt.left(), detail=False
                )

        return self._run(step, options)

    def _run(self, step: Step, options: RunOptions) -> FleetRun:
        return FleetRun(self._context, list(self._items), step, options)


class Fleets:
    """What `client.fleet` is: `client.fleet(servers)` acts on servers, `client.fleet.create(specs)` makes them."""

    def __init__(self, servers: Servers, parts: Context) -> None:
        self._servers = servers
        self._context = parts

    def __call__(self, servers: Iterable[Server | int | str]) -> Fleet:
        """Return the fleet of these servers, given as servers, ids or a mix; see `Fleet` for what it can do.

        Raises:
            ValueError: one is there twice (7 and "7" are the same), or an id cannot be one.
            TypeError: something is no server and no id.
        """
        return Fleet(self._servers, self._context, servers)

    def create(self, specs: Iterable[ServerSpec], *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Create a server from each `ServerSpec`; done when it is active. The other arguments are those of `Fleet`.

        Raises:
            ValueError: two specs have one name, or one of them cannot be; nothing was sent.
            TypeError: something is no spec, or has a value of a wrong type.

        Repeats: never. A create whose answer is lost is looked for, and is `"unknown"` if it cannot be found.
        """
        servers, items = self._servers, _checked_specs(specs)

        async def step(attempt: _Attempt) -> None:
            assert isinstance(attempt.item, ServerSpec)
            given = attrs.asdict(attempt.item, recurse=False)
            attempt.server = attempt.value = await servers.create(
                **given, timeout=call_timeout(servers, attempt.left())
            )
            attempt.accepted = True
            if wait:
                attempt.server = await servers.wait_until(
                    attempt.server, status=TRANSITIONS["create"].status_after, timeout=attempt.left(), detail=False
                )

        return FleetRun(self._context, list(items), step, options)


async def _tell(function: Callable[[T], Awaitable[object] | object] | None, value: T) -> None:
    if function is not None:
        result = function(value)
        if inspect.isawaitable(result):
            await result


def _several(argument: str, given: object, what: str) -> list[Any]:
    if isinstance(given, (str, bytes, Server, ServerSpec)) or not isinstance(given, Iterable):
        raise TypeError(f"{argument} takes several {what}, not {type(given).__name__}: give a list, or await one first")
    return list(given)


def _checked_items(given: object) -> list[Server | int | str]:
    items = _several("fleet()", given, "servers or ids")
    seen: set[str] = set()
    for item in items:
        key = str(checked_id(item))
        if key in seen:
            raise ValueError(f"server {key} is there twice: give each server once")
        seen.add(key)
    return items


def _checked_specs(given: object) -> list[ServerSpec]:
    specs = _several("fleet.create()", given, "ServerSpecs")
    names: set[str] = set()
    for spec in specs:
        if not isinstance(spec, ServerSpec):
            raise TypeError(f"fleet.create() takes ServerSpecs, not {spec!r}")
        spec_body(spec)
        if spec.name in names:
            raise ValueError(f"two specs have the name {spec.name!r}: a lost answer could not be told from the other's")
        names.add(spec.name)
    return specs


def _checked_at_once(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"at_once takes a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"at_once={value}: give 1 or more")
    return value


def _checked_tolerate(value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"tolerate takes a number of items (int), a share of them (float) or None, not {value!r}")
    if isinstance(value, float) and not 0 <= value <= 1:
        raise ValueError(f"tolerate={value!r} is a share of all items: give 0.0 to 1.0, or an int to count")
    if value < 0:
        raise ValueError(f"tolerate={value!r}: give 0 or more")
    return value


def _checked_callable(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function, plain or async, not {value!r}")
    return value
