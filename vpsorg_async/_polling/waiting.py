"""Waits for one server, from the goal to the verdict."""

from __future__ import annotations

import inspect
import math

from collections.abc import Awaitable, Callable, Collection
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, assert_never

import attrs

from .._checks import name_hint
from .._errors import (
    APITimeoutError,
    ClientClosedError,
    ServerGoneError,
    UnexpectedStatusError,
    WaitError,
    WaitFailedError,
    WaitTimeoutError,
)
from .._events import FLEET, next_number
from .failures import ends_a_wait, ends_all_waits, own_copy, requested_pause
from .judge import Done, Failed, KeepWaiting
from .outages import Outage
from .wait_events import Telling, tell
from .wait_words import goal_words, hint_words, last_words, path_words


if TYPE_CHECKING:
    from .._clock import Clock
    from .._events import Events
    from .._lifetime import Lifetime
    from .._models import Server
    from .._policies import PollPolicy
    from .conditions import Conditions
    from .coordinator import Coordinator
    from .durations import Following
    from .entry import PollEntry
    from .evidence import Evidence
    from .lifecycle import Observation
    from .subscribers import WaitPlace

OnChange = Callable[["Server"], Awaitable[object] | object]


@attrs.frozen(eq=False, repr=False)
class _Ended:
    """The end of a wait: the server at the goal (`None` if it is gone), or an error."""

    server: Server | None = None
    error: Exception | None = None


@attrs.define(eq=False, repr=False, kw_only=True)
class Wait:
    """Follows one server until its goal is proven or out of reach, or the time is over. A subscriber of polls.

    An observation is judged at once, by the task that ran the poll. The wait's own task is woken to call `on_change`,
    and at the end.
    """

    server_id: int | str
    entry: PollEntry
    evidence: Evidence
    policy: PollPolicy
    coordinator: Coordinator
    clock: Clock
    events: Events
    lifetime: Lifetime
    on_change: OnChange | None = None
    # Whether the server is to be returned as a GET shows it.
    detail: bool = True
    # What must be true besides the status.
    conditions: Conditions | None = None
    # The command of this client whose end is waited for.
    following: Following | None = None
    number: int = attrs.field(factory=next_number)
    fleet: int | None = attrs.field(factory=FLEET.get)
    # The changes that `on_change` is still to be called with.
    _changes: list[Server] = attrs.field(factory=list["Server"], init=False)
    _outage: Outage = attrs.field(factory=Outage, init=False)
    _trouble: Exception | None = attrs.field(default=None, init=False)
    # The server at the goal, as a list showed it, unless a GET has contradicted that since.
    _listed: Server | None = attrs.field(default=None, init=False)
    # The last observation, if it meets the goal and `when` is still to be asked about it.
    _candidate: Observation | None = attrs.field(default=None, init=False)
    # When `when` is to be asked again.
    _ask_at: float = attrs.field(default=-math.inf, init=False)
    # Whether the last poll was repeated, because it did not bring what was wanted.
    _repeated: bool = attrs.field(default=False, init=False)
    _ended: _Ended | None = attrs.field(default=None, init=False)
    _subscription: WaitPlace | None = attrs.field(default=None, init=False)

    async def run(self, follow: Callable[[], Awaitable[Server | None]] | None = None) -> Server | None:
        """Return the server at the goal, or `None` if the goal is that the server is gone. *follow* may do more.

        Raises:
            WaitTimeoutError: the deadline passed, or will pass before the API allows another request.
            UnexpectedStatusError: the goal is out of reach.
            ServerGoneError: the server does not exist, or no longer exists.
            WaitFailedError: polls have failed for too long by `policy.failures` and `policy.outage`.
            AuthenticationError, PermissionDeniedError, ClientClosedError: at once.

        Cancellation: the wait ends at once and leaves nothing behind. A poll that its task runs is handed on.
        """
        self.lifetime.check()
        with Telling(self):
            return await (follow or self.follow)()

    async def follow(self) -> Server | None:
        """Do what `run` does, and tell nobody."""
        self._subscription = subscription = self.coordinator.follow(self)
        if self.following is not None:
            self.following.begin()
        try:
            while self._ended is None or self._changes:
                if not self.has_news:
                    await self.coordinator.attend(subscription)
                while self._changes:
                    await self._tell_change(self._changes.pop(0))
                self._ask_when()
        finally:
            self.coordinator.unfollow(subscription)
            if self.following is not None:
                self.following.stop()
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
                raise ClientClosedError("the client is closed", sent=False)
            self._changes.clear()
            self._ended = self._timed_out("; its on_change had not returned")

    @property
    def has_news(self) -> bool:
        """Whether `on_change` or `when` is to be called, or the wait has ended."""
        return self._ended is not None or bool(self._changes) or self._candidate is not None

    @property
    def last(self) -> Server | None:
        """The server as it was last observed."""
        return self.evidence.last

    def end(self, server: Server | None, error: WaitError | None = None) -> None:
        """End the wait by what its owner found out: with *server*, or with *error*."""
        if self._ended is None and self._subscription is not None:
            if error is not None:
                error.server, error.history = self.last, tuple(self.evidence.history)
            self._ended = _Ended(server, error)
            self._subscription.wake()

    def observe(self, key: str, observation: Observation | None) -> None:
        """Judge an observation. `None` is one that was out of date."""
        if self._ended is not None:
            return
        self._outage.over()
        self._trouble = None
        if observation is not None:
            self._take(key, observation)
            if self._ended is None and self.following is not None:
                self.following.last_seen = observation.began
        else:
            self._repeat_last(key)
        self._end_if_final()

    def _repeat_last(self, key: str) -> None:
        """Ask again, once, if this was the last poll: it has not brought what was wanted, and there is time."""
        if self.entry.final and not self._repeated:
            self._repeated = True
            self.entry.ask(key, self.clock.now())

    def fail(self, key: str, error: Exception, began: float) -> None:
        """Decide whether the wait goes on after a poll that failed."""
        del key
        if self._ended is None:
            self._take_failure(error, began)
            self._end_if_final()

    def fail_alike(self, keys: Collection[str], error: Exception, began: float) -> None:
        """Count a failure of other polls. Only a GET of its own server may end the wait by that."""
        if self._ended is not None:
            return
        self._count(error, began)
        if self._lasts_too_long:
            self.entry.miss(keys)
        self._end_if_final()

    def list_ended(
        self, error: Exception | None, began: float, shown: AbstractSet[str], doubtful: AbstractSet[str]
    ) -> None:
        """Want a GET of a server that the list did not show. A list that has failed says nothing about it."""
        (key,) = self.entry.keys or ("",)
        if self._ended is not None:
            return
        if error is not None and (ends_all_waits(error) or requested_pause(error) is not None):
            if key not in shown or ends_all_waits(error):
                self.fail(key, error, began)
        elif key not in shown or key in doubtful:
            self._trouble = error or self._trouble
            self.entry.miss([key])

    def _end_if_final(self) -> None:
        repeating = self._repeated and self.entry.asks
        if self.entry.final and not repeating and self._ended is None and self._candidate is None:
            self.expire(polling="")

    def expire(self, *, polling: str) -> None:
        """End the wait: its time is over."""
        if self._ended is not None:
            return
        if polling:
            self._trouble = APITimeoutError(polling, sent=False)
        self._ended = self._out_of_time("")

    def _out_of_time(self, reason: str) -> _Ended:
        """Return how the wait ends by what is known now, as no further poll comes in time."""
        if self._listed is not None:
            return _Ended(self._listed)
        doubt = self.evidence.doubt
        return self._timed_out(reason) if doubt is None else self._failed(doubt)

    def _take(self, key: str, observation: Observation) -> None:
        evidence = self.evidence
        news = evidence.take(observation)
        if evidence.held_back is not None or not (news or self._listed is not None or self.conditions is not None):
            return
        if evidence.note_status(observation):
            server = observation.server
            assert server is not None
            tell(self, "wait.status", status=str(server.status))
            if self.on_change is not None:
                self._changes.append(server)
        verdict = evidence.verdict()
        self._listed = self._candidate = None
        match verdict:
            case Done():
                if evidence.change is not None:
                    evidence.change.shown = True
                self._learn(observation)
                self._reach(key, observation)
            case Failed():
                self._ended = self._failed(verdict)
            case KeepWaiting():
                if verdict.doubt is not None:
                    # A poll is due when the doubt is over. A longer interval of the user's stands.
                    self.entry.hasten(max(verdict.until, self.clock.now() + self.policy.minimum))
                if self.conditions is not None:
                    self.conditions.fail()
            case _:
                assert_never(verdict)

    def _learn(self, observation: Observation) -> None:
        """Learn how long the command took. If it took no time, the others like it may be over, too."""
        following = self.following
        if following is None or observation.status != following.end:
            return
        if following.ended(observation.began):
            self.coordinator.hasten(following.name)

    def _reach(self, key: str, observation: Observation) -> None:
        """Take an observation that meets the goal. `when` is asked by the wait's own task, about a complete server."""
        if self.conditions is None or self.conditions.when is None:
            self._hold(key, observation)
        elif not observation.listed:
            self._candidate = observation
        elif self.entry.final:
            self._repeat_last(key)
        elif self.clock.now() >= self._ask_at:
            # Within the ration of GETs: many waits may have seen one list.
            self.entry.miss([key])
        else:
            self.entry.hasten(self._ask_at)

    def _ask_when(self) -> None:
        """Ask `when` about the last observation, if that meets the goal. What `when` raises ends the wait."""
        observation, self._candidate = self._candidate, None
        if observation is None or self._ended is not None:
            return
        assert self.conditions is not None
        assert observation.server is not None
        if self.conditions.allow(observation.server):
            self._hold(str(self.server_id), observation)
        else:
            self.conditions.fail()
        self._ask_at = self.entry.due
        self._end_if_final()

    def _hold(self, key: str, observation: Observation) -> None:
        """Take an observation that meets the goal and `when`: the wait ends when they have held for long enough."""
        conditions, now = self.conditions, self.clock.now()
        if conditions is not None and not conditions.hold(observation.began, observation.ended):
            self.entry.hasten(min(conditions.met_at, now + self.entry.interval(now - self.entry.began)))
        elif observation.listed and self.detail:
            self._listed = observation.server
            self.entry.ask(key, now)
        else:
            self._ended = _Ended(observation.server)

    def pause(self, error: Exception, seconds: float) -> None:
        """Poll no sooner. End the wait now if its time is over by then."""
        if self._ended is not None:
            return
        self._trouble = error
        until = self.clock.now() + seconds
        if until <= self.entry.deadline:
            self.entry.postpone(until)
        elif not self.entry.final:
            asked = f"{round(seconds, 1):g} s"
            self._ended = self._out_of_time(f"; the API asks not to be called for {asked}, which is longer")

    def _take_failure(self, error: Exception, began: float) -> None:
        """Count a failed poll, and end the wait if it is of no use to go on."""
        if self.lifetime.closed:
            error = ClientClosedError("the client is closed", sent=False)
        if self.lifetime.closed or ends_a_wait(error):
            self._ended = _Ended(error=own_copy(error))
            return
        pause = requested_pause(error)
        if pause is not None:
            self.pause(error, pause)
            return
        self._count(error, began)
        if self._lasts_too_long:
            self._ended = self._gave_up(error) if self._listed is None else _Ended(self._listed)

    def _count(self, error: Exception, began: float) -> None:
        self._trouble = error
        self._outage.failed(began)
        self.entry.retry(self._outage.retry_at(self.clock.now()))

    @property
    def _lasts_too_long(self) -> bool:
        return self._outage.exceeds(self.policy.failures, self.policy.outage) and not self.entry.final

    def _gave_up(self, error: Exception) -> _Ended:
        ended = WaitFailedError(
            f"the wait for server {self.server_id} to become {self.goal_name} was given up, as its polls have failed "
            f"{self._outage}: {self._told}{self._hint}. The server may get there all the same: "
            "wait again when the API responds, or let a PollPolicy allow more failures or a longer outage",
            server=self.last,
            history=self.evidence.history,
        )
        ended.__cause__ = own_copy(error)
        return _Ended(error=ended)

    def _failed(self, verdict: Failed) -> _Ended:
        kind = ServerGoneError if verdict.gone else UnexpectedStatusError
        hint = name_hint(self.server_id) if verdict.gone and self.last is None else ""
        error = kind(
            f"server {self.server_id} will not become {self.goal_name}: "
            f"{verdict.reason}{path_words(self.evidence)}{hint}",
            server=self.last,
            history=self.evidence.history,
        )
        return _Ended(error=error)

    def _timed_out(self, reason: str) -> _Ended:
        error = WaitTimeoutError(
            f"server {self.server_id} did not become {self.goal_name} within {self._seconds:g} s: "
            f"{self._told}{reason}{self._hint}{'' if self.conditions is None else self.conditions.words}",
            server=self.last,
            history=self.evidence.history,
        )
        error.__cause__ = self._trouble
        return _Ended(error=error)

    @property
    def _told(self) -> str:
        return last_words(self.evidence, self._trouble, self.clock.now())

    @property
    def _hint(self) -> str:
        return hint_words(self.evidence, self.clock.now(), by_status=self.goal_name == goal_words(self.evidence.goal))

    @property
    def goal_name(self) -> str:
        """The goal of the wait, in words."""
        if self.conditions is not None and self.conditions.name is not None:
            return self.conditions.name
        return goal_words(self.evidence.goal)

    @property
    def _seconds(self) -> float:
        return round(self.entry.deadline - self.entry.began, 3)
