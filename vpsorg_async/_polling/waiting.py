"""Waits for one server, from the goal to the verdict."""

from __future__ import annotations

import copy
import inspect
import math

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, assert_never

import attrs

from .._checks import checked_seconds
from .._errors import (
    APIConnectionError,
    APITimeoutError,
    ServerGoneError,
    UnexpectedStatusError,
    VPSError,
    WaitTimeoutError,
)
from .._models import StatusSeen
from .._policies import PollPolicy
from .entry import PollEntry, expiry
from .failures import concerns_the_list_alone, ends_a_wait, requested_pause
from .lifecycle import (
    PASSING,
    Command,
    Done,
    Failed,
    Goal,
    KeepWaiting,
    Observation,
    judge,
    keep,
    took_effect,
)


if TYPE_CHECKING:
    from .._clock import Clock
    from .._events import Events
    from .._lifetime import Lifetime
    from .._models import Server
    from .command_log import Change
    from .coordinator import Coordinator

OnChange = Callable[["Server"], Awaitable[object] | object]


@attrs.frozen(eq=False, repr=False)
class _Ended:
    """The end of a wait: the server at the goal (`None` if it is gone), or an error."""

    server: Server | None = None
    error: VPSError | None = None


@attrs.define(eq=False, repr=False, kw_only=True)
class Wait:
    """Follows one server until its goal is proven or out of reach, or the time is over. A subscriber of polls.

    An observation is judged at once, by the task that ran the poll. The wait's own task is woken to call `on_change`,
    and at the end.
    """

    server_id: int | str
    entry: PollEntry
    goal: Goal
    policy: PollPolicy
    coordinator: Coordinator
    clock: Clock
    events: Events
    lifetime: Lifetime
    # The command whose effect is waited for. It may be on the wire yet.
    change: Change | None = None
    on_change: OnChange | None = None
    # Whether the server is to be returned as a GET shows it.
    detail: bool = True
    # The server as it was last observed.
    last: Server | None = attrs.field(default=None, init=False)
    # What was observed, in the order of the polls. Of observations with the same status in a row, the last is kept.
    _observations: list[Observation] = attrs.field(factory=list, init=False)
    _history: list[StatusSeen] = attrs.field(factory=list, init=False)
    # The changes that `on_change` is still to be called with.
    _changes: list[Server] = attrs.field(factory=list, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _trouble: VPSError | None = attrs.field(default=None, init=False)
    # The server at the goal, as a list showed it, unless a GET has contradicted that since.
    _listed: Server | None = attrs.field(default=None, init=False)
    # Whether the last poll was repeated, because its observation was out of date.
    _repeated: bool = attrs.field(default=False, init=False)
    _ended: _Ended | None = attrs.field(default=None, init=False)

    async def run(self) -> Server | None:
        """Return the server at the goal, or `None` if the goal is that the server is gone.

        Raises:
            WaitTimeoutError: the deadline passed, or will pass before the API allows another request.
            UnexpectedStatusError: the goal is out of reach.
            ServerGoneError: the server does not exist, or no longer exists.
            VPSError: `policy.failures` polls in a row failed; a 401, a 403 or a closed client ends the wait at once.

        Cancellation: the wait ends at once and leaves nothing behind. A poll that its task runs is handed on.
        """
        self.lifetime.check()
        self._tell("wait.began", goal=self._goal_name, timeout=None if self._seconds == math.inf else self._seconds)
        outcome = "cancelled"
        try:
            server = await self._follow()
            outcome = "done"
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            self._tell("wait.ended", goal=self._goal_name, outcome=outcome)
        return server

    async def _follow(self) -> Server | None:
        subscription = self.coordinator.follow(self)
        try:
            while self._ended is None or self._changes:
                if not self.has_news:
                    await self.coordinator.attend(subscription)
                while self._changes:
                    await self._tell_change(self._changes.pop(0))
        finally:
            self.coordinator.unfollow(subscription)
        if self._ended.error is not None:
            raise self._ended.error
        return self._ended.server

    async def _tell_change(self, server: Server) -> None:
        """Call `on_change`. One that does not return ends the wait with its time."""
        assert self.on_change is not None
        result = self.on_change(server)
        if not inspect.isawaitable(result):
            return
        left = None if self.entry.expires == math.inf else max(0.0, self.entry.expires - self.clock.now())
        with self.clock.move_on_after(left) as scope, self.lifetime.running(scope):
            await result
        if scope.cancelled_caught:
            if self.lifetime.closed:
                raise APIConnectionError("the client is closed")
            self._changes.clear()
            self._ended = self._timed_out("; its on_change had not returned")

    @property
    def has_news(self) -> bool:
        """Whether `on_change` is to be called, or the wait has ended."""
        return self._ended is not None or bool(self._changes)

    def observe(self, key: str, observation: Observation | None) -> None:
        """Judge an observation. `None` is one that was out of date."""
        if self._ended is not None:
            return
        self._failures, self._trouble = 0, None
        if observation is not None:
            self._take(key, observation)
        elif self.entry.final and not self._repeated:
            # The last poll has brought nothing: there is time for one more.
            self._repeated = True
            self.entry.ask(key, self.clock.now())
            return
        self._end_if_final()

    def fail(self, key: str, error: VPSError) -> None:
        """Decide whether the wait goes on after a poll that failed."""
        del key
        if self._ended is None:
            self._take_failure(error)
            self._end_if_final()

    def list_ended(self, error: VPSError | None, shown: Collection[str], doubtful: Collection[str]) -> None:
        """Want a GET of a server that the list left out. A failed list counts for a server that it did not show."""
        (key,) = self.entry.keys or ("",)
        if error is None or concerns_the_list_alone(error):
            if key not in shown or key in doubtful:
                self.entry.miss([key])
        elif key not in shown or ends_a_wait(error):
            self.fail(key, error)

    def _end_if_final(self) -> None:
        if self.entry.final and self._ended is None:
            self.expire(polling=False)

    def expire(self, *, polling: bool) -> None:
        """End the wait: its time is over."""
        if self._ended is not None:
            return
        if polling:
            self._trouble = APITimeoutError("no response came in time")
        self._ended = self._timed_out("") if self._listed is None else _Ended(self._listed)

    def _take(self, key: str, observation: Observation) -> None:
        repeated = bool(self._observations) and self._observations[-1].status == observation.status
        keep(self._observations, observation)
        server = observation.server
        self.last = server or self.last
        if repeated and self.change is None and self._listed is None:
            # Only the statuses decide, and nothing has changed.
            return
        if server is not None and (not self._history or self._history[-1].status != server.status):
            self._history.append(StatusSeen(server.status, observation.ended))
            self._tell("wait.status", status=server.status)
            if self.on_change is not None:
                self._changes.append(server)
        verdict = judge(self.goal, self._command, self._observations)
        self._listed = None
        match verdict:
            case Done():
                if not (observation.listed and self.detail):
                    self._ended = _Ended(server)
                    return
                self._listed = server
                self.entry.ask(key, self.clock.now())
            case Failed():
                self._ended = self._failed(verdict)
            case KeepWaiting():
                pass
            case _:
                assert_never(verdict)

    def pause(self, error: VPSError, seconds: float) -> None:
        """Poll no sooner. End the wait now if its time is over by then."""
        if self._ended is not None:
            return
        self._trouble = error
        until = self.clock.now() + seconds
        if until <= self.entry.deadline:
            self.entry.postpone(until)
        elif not self.entry.final:
            self._ended = self._timed_out(f"; the API asks not to be called for {seconds:g} s, which is longer")

    def _take_failure(self, error: VPSError) -> None:
        """Count a failed poll, and end the wait if it is of no use to go on."""
        if self.lifetime.closed:
            error = APIConnectionError("the client is closed")
        if self.lifetime.closed or ends_a_wait(error):
            # A copy, because one error that all waits raised would gather all their tracebacks.
            self._ended = _Ended(error=copy.copy(error))
            return
        pause = requested_pause(error)
        if pause is not None:
            self.pause(error, pause)
            return
        self._trouble = error
        self._failures += 1
        if self._failures >= self.policy.failures and not self.entry.final:
            self._ended = _Ended(error=copy.copy(error)) if self._listed is None else _Ended(self._listed)

    def _failed(self, verdict: Failed) -> _Ended:
        kind = ServerGoneError if verdict.gone else UnexpectedStatusError
        error = kind(
            f"server {self.server_id} will not become {self._goal_name}: {verdict.reason}{self._path}",
            server=self.last,
            history=self._history,
        )
        return _Ended(error=error)

    def _timed_out(self, reason: str) -> _Ended:
        error = WaitTimeoutError(
            f"server {self.server_id} did not become {self._goal_name} within {self._seconds:g} s: "
            f"{self._last_words}{reason}{self._hint}",
            server=self.last,
            history=self._history,
        )
        error.__cause__ = self._trouble
        return _Ended(error=error)

    @property
    def _last_words(self) -> str:
        if not self._history:
            words = "it was never seen"
        else:
            last = self._history[-1]
            words = f"it was last seen {_named(self.last)}, for {self.clock.now() - last.at:.0f} s{self._path}"
        return words if self._trouble is None else f"{words}; the last poll failed: {self._trouble}"

    @property
    def _path(self) -> str:
        if len(self._history) < 2:  # noqa: PLR2004 - a way has two ends
            return ""
        return f" (seen: {' -> '.join(seen.status or repr(seen.status) for seen in self._history)})"

    @property
    def _hint(self) -> str:
        passing = sorted(self.goal.statuses & PASSING.keys())
        hint = f"; {' and '.join(passing)} passes quickly, and may have passed between two polls" if passing else ""
        command = self._command
        since = [] if command is None else [item for item in self._observations if item.began >= command.answered]
        if command is None or not since or since[-1].status != command.status_before:
            return hint
        if took_effect(command, since, grace=math.inf):
            return hint
        ago = f"{self.clock.now() - command.answered:.0f} s ago"
        what = f"whose response was lost {ago}" if command.lost else f"that the API accepted {ago}"
        return f"; the {command.name} {what} never took effect{hint}"

    @property
    def _command(self) -> Command | None:
        return None if self.change is None else self.change.command

    @property
    def _goal_name(self) -> str:
        return "gone" if self.goal.gone else " or ".join(sorted(self.goal.statuses))

    @property
    def _seconds(self) -> float:
        return round(self.entry.deadline - self.entry.began, 3)

    def _tell(self, name: str, **fields: object) -> None:
        self.events.emit(name, server=self.server_id, **fields)


def _named(server: Server | None) -> str:
    if server is None:
        return "never"
    return server.status or f"with the status {server.extra.get('status', '')!r}"


@attrs.frozen(eq=False, repr=False)
class Waits:
    """Makes the waits of a client."""

    coordinator: Coordinator
    clock: Clock
    events: Events
    lifetime: Lifetime

    def make(
        self,
        server_id: int | str,
        goal: Goal,
        timeout: float | None,
        *,
        poll: PollPolicy = PollPolicy(),
        change: Change | None = None,
        on_change: OnChange | None = None,
        detail: bool = True,
    ) -> Wait:
        """Return a wait that begins now and gives up after *timeout* seconds."""
        seconds, began = checked_seconds("timeout", timeout), self.clock.now()
        deadline = math.inf if seconds is None else began + seconds
        return Wait(
            server_id=server_id,
            entry=PollEntry(
                keys=frozenset({str(server_id)}),
                interval=poll.interval,
                began=began,
                deadline=deadline,
                expires=expiry(began, deadline, self.coordinator.attempt_timeout),
            ),
            goal=goal,
            policy=poll,
            coordinator=self.coordinator,
            clock=self.clock,
            events=self.events,
            lifetime=self.lifetime,
            change=change,
            on_change=on_change,
            detail=detail,
        )


def checked_on_change(function: OnChange | None) -> OnChange | None:
    """Return the function to call with each change of status.

    Raises:
        TypeError: it cannot be called.
    """
    if function is not None and not callable(function):
        raise TypeError(f"on_change must be callable with a Server, not {function!r}")
    return function
