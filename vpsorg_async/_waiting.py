"""One wait, from its goal to its verdict."""

from __future__ import annotations

import inspect
import math

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn, assert_never

import attrs

from ._errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ServerGoneError,
    UnexpectedStatusError,
    VPSError,
    WaitTimeoutError,
)
from ._lifecycle import (
    PASSING,
    Command,
    Done,
    Failed,
    Goal,
    KeepLooking,
    Reading,
    StatusSeen,
    condensed,
    judge,
    took_effect,
)


if TYPE_CHECKING:
    from ._clock import Clock
    from ._events import Events
    from ._journal import Change
    from ._lifetime import Lifetime
    from ._lookout import Lookout
    from ._models import Server
    from ._schedule import Waiter

OnChange = Callable[["Server"], Awaitable[object] | object]

_UNAVAILABLE = 503


@attrs.define(eq=False, kw_only=True)
class Wait:
    """Follows one server until its goal is proven, out of reach, or the time is over."""

    goal: Goal
    waiter: Waiter
    lookout: Lookout
    clock: Clock
    events: Events
    lifetime: Lifetime
    # The command whose effect is waited for; may be on the wire yet.
    change: Change | None = None
    on_change: OnChange | None = None
    # What has been seen, in the order of the looks; runs of one status are kept as their last reading.
    _readings: list[Reading] = attrs.field(factory=list, init=False)
    _history: list[StatusSeen] = attrs.field(factory=list, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _trouble: VPSError | None = attrs.field(default=None, init=False)

    async def run(self) -> Server | None:
        """Return the server that was seen at the goal, or `None` when the goal is that it is gone.

        Raises:
            WaitTimeoutError: the deadline passed, or would pass before the API lets itself be asked again.
            UnexpectedStatusError: the goal is out of reach.
            ServerGoneError: there is no such server (any more).
            VPSError: so many looks in a row failed: the last one's error; 401, 403 or a closed client: at once.

        Cancellation: ends at once, and leaves nothing behind.
        """
        self.lifetime.check()
        self._tell("wait.began", goal=self._goal_name, timeout=None if self._seconds == math.inf else self._seconds)
        ended = "cancelled"
        try:
            server = await self._follow_while_open()
            ended = "done"
        except Exception as error:
            ended = type(error).__name__
            raise
        finally:
            self._tell("wait.ended", goal=self._goal_name, outcome=ended)
        return server

    async def _follow_while_open(self) -> Server | None:
        with self.clock.move_on_after(None) as scope, self.lifetime.running(scope):
            return await self._follow()
        raise APIConnectionError("the client is closed")

    async def _follow(self) -> Server | None:
        while True:
            outcome = await self.lookout.next(self.waiter)
            if isinstance(outcome, VPSError):
                self._failed_look(outcome)
            else:
                self._failures, self._trouble = 0, None
            if isinstance(outcome, Reading):
                await self._take(outcome)
                verdict = judge(self.goal, self._command, self._readings)
                match verdict:
                    case Done():
                        return outcome.server
                    case Failed():
                        self._fail(verdict)
                    case KeepLooking():
                        pass
                    case _:
                        assert_never(verdict)
            if self.waiter.final:
                raise self._timed_out("")

    async def _take(self, reading: Reading) -> None:
        self._readings = condensed([*self._readings, reading])
        server = reading.server
        if server is None or (self._history and self._history[-1].status == server.status):
            return
        self._history.append(StatusSeen(server.status, reading.ended))
        self._tell("wait.status", status=server.status)
        if self.on_change is not None:
            result = self.on_change(server)
            if inspect.isawaitable(result):
                await result

    def _failed_look(self, error: VPSError) -> None:
        """Decide whether the wait goes on after a look that failed; raise if it does not."""
        self.lifetime.check()
        if isinstance(error, (AuthenticationError, PermissionDeniedError, ConfigurationError)):
            raise error
        self._trouble = error
        pause = _asked_pause(error)
        if pause is not None:
            until = self.clock.now() + pause
            if until > self.waiter.deadline and not self.waiter.final:
                raise self._timed_out(f"; the API asks not to be called for {pause:g} s, which is longer")
            self.waiter.postpone(until)
            return
        self._failures += 1
        if self._failures >= self.waiter.policy.failures and not self.waiter.final:
            raise error

    def _fail(self, verdict: Failed) -> NoReturn:
        kind = ServerGoneError if verdict.gone else UnexpectedStatusError
        raise kind(
            f"server {self.waiter.server_id} will not become {self._goal_name}: {verdict.reason}{self._path}",
            server=self._last_server,
            history=self._history,
        )

    def _timed_out(self, reason: str) -> WaitTimeoutError:
        error = WaitTimeoutError(
            f"server {self.waiter.server_id} did not become {self._goal_name} within {self._seconds:g} s: "
            f"{self._last_words}{reason}{self._hint}",
            server=self._last_server,
            history=self._history,
        )
        error.__cause__ = self._trouble
        return error

    @property
    def _last_server(self) -> Server | None:
        return next((reading.server for reading in reversed(self._readings) if reading.server is not None), None)

    @property
    def _last_words(self) -> str:
        if not self._history:
            words = "it was never seen"
        else:
            last = self._history[-1]
            words = f"it was last seen {_named(self._last_server)}, for {self.clock.now() - last.at:.0f} s{self._path}"
        return words if self._trouble is None else f"{words}; the last look failed: {self._trouble}"

    @property
    def _path(self) -> str:
        if len(self._history) < 2:  # noqa: PLR2004 - a way has two ends
            return ""
        return f" (seen: {' -> '.join(seen.status or repr(seen.status) for seen in self._history)})"

    @property
    def _hint(self) -> str:
        passing = sorted(self.goal.statuses & PASSING.keys())
        hint = f"; {' and '.join(passing)} passes quickly, and may have passed between two looks" if passing else ""
        command = self._command
        since = [] if command is None else [item for item in self._readings if item.began >= command.answered]
        if command is None or not since or since[-1].status != command.held:
            return hint
        if took_effect(command, since, grace=math.inf):
            return hint
        ago = f"{self.clock.now() - command.answered:.0f} s ago"
        what = f"whose answer was lost {ago}" if command.lost else f"that the API accepted {ago}"
        return f"; the {command.name} {what} never took effect{hint}"

    @property
    def _command(self) -> Command | None:
        return None if self.change is None else self.change.command

    @property
    def _goal_name(self) -> str:
        return "gone" if self.goal.gone else " or ".join(sorted(self.goal.statuses))

    @property
    def _seconds(self) -> float:
        return round(self.waiter.deadline - self.waiter.began, 3)

    def _tell(self, name: str, **fields: object) -> None:
        self.events.emit(name, server=self.waiter.server_id, **fields)


def _asked_pause(error: VPSError) -> float | None:
    """Return the seconds for which the API asks not to be called, or `None` if it does not."""
    if isinstance(error, RateLimitError):
        return error.retry_after or 0.0
    if isinstance(error, ServerError) and error.status_code == _UNAVAILABLE:
        return error.retry_after
    return None


def _named(server: Server | None) -> str:
    if server is None:
        return "never"
    return server.status or f"with the status {server.extra.get('status', '')!r}"
