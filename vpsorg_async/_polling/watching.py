"""Watches servers and tells their changes, with the same polls as all waits."""

from __future__ import annotations

import copy
import math

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

import attrs

from .._models import Server, checked_id, facts_of
from .entry import PollEntry
from .failures import concerns_the_list_alone, ends_a_wait, requested_pause


if TYPE_CHECKING:
    from .._clock import Clock
    from .._errors import VPSError
    from .._lifetime import Lifetime
    from .coordinator import Coordinator
    from .lifecycle import Observation
    from .subscribers import Subscription

MOST_FAILURES = 5
"""So many failed polls in a row end an iteration with the last error, as `PollPolicy.failures` does for waits."""

_NO_CHANGE = frozenset({"resource_usage", "updated_at", "message"})


@attrs.frozen
class ServerChange:
    """A change of a server.

    Attributes:
        before: the server as the last change showed it; `None` if the server has appeared.
        after: the server as it is now; `None` if the server is gone.
    """

    before: Server | None
    after: Server | None


@attrs.define(eq=False, repr=False)
class _Watched:
    """One server as it was last told and last observed. A field that an observation lacks stays as it was."""

    told: Server | None = None
    told_facts: dict[str, Any] = attrs.field(factory=dict)
    # `None`: the server is gone, or was never observed.
    observed: Server | None = None
    facts: dict[str, Any] = attrs.field(factory=dict)

    def observe(self, server: Server) -> None:
        facts = facts_of(server, but=_NO_CHANGE)
        # A field that an observation gives for the first time is no change.
        self.told_facts = {**facts, **self.told_facts}
        self.facts = {**self.facts, **facts}
        self.observed = server

    @property
    def changed(self) -> bool:
        if self.told is None or self.observed is None:
            return self.told is not self.observed
        return self.facts != self.told_facts

    def tell(self) -> ServerChange:
        change = ServerChange(self.told, self.observed)
        self.told, self.told_facts = self.observed, dict(self.facts)
        return change


@attrs.define(eq=False, repr=False, kw_only=True)
class _Changes:
    """The changes that a watch has not told yet: the newest state of each server, however slow the consumer is.

    A subscriber of polls.
    """

    entry: PollEntry
    clock: Clock
    _watched: dict[str, _Watched] = attrs.field(factory=dict, init=False)
    # The servers that have changed and were not told since, in the order of their changes.
    _changed: dict[str, None] = attrs.field(factory=dict, init=False)
    # The number of failed polls in a row: of the list under `None`, else of a server.
    _failures: dict[str | None, int] = attrs.field(factory=dict, init=False)
    trouble: VPSError | None = attrs.field(default=None, init=False)

    @property
    def has_news(self) -> bool:
        """Whether there is a change to tell or an error to raise."""
        return bool(self._changed) or self.trouble is not None

    @property
    def last(self) -> Server | None:
        """Nothing: a watch may want several servers, and all that a list says of each."""
        return None

    def take_change(self) -> ServerChange | None:
        """Return the oldest change, and count it as told."""
        if not self._changed:
            return None
        key = next(iter(self._changed))
        del self._changed[key]
        change = self._watched[key].tell()
        if change.after is None:
            del self._watched[key]
        return change

    def take_trouble(self) -> VPSError | None:
        """Return the error that ends the iteration, or `None`. Failures are counted anew after it."""
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            self._failures.clear()
        return trouble

    def observe(self, key: str, observation: Observation | None) -> None:
        """Note an observation of one server. `None` is one that was out of date."""
        self._failures.pop(key, None)
        if observation is not None:
            self._take(key, observation)

    def fail(self, key: str, error: VPSError) -> None:
        """Count a failed GET."""
        # A watch of all servers goes by the list: the GET was for somebody else, or will be made again.
        if self.entry.keys is not None or ends_a_wait(error):
            self._fail(key, error)

    def list_ended(self, error: VPSError | None, shown: Collection[str], doubtful: Collection[str]) -> None:
        """Count how a list ended, and want a GET of each server that it left out."""
        keys = self.entry.keys
        wanted = self._watched if keys is None else keys
        rest = [key for key in wanted if key not in shown]
        rest += [key for key in doubtful if keys is None or key in keys]
        if error is None:
            self._failures.pop(None, None)
        elif keys is None:
            self._fail(None, error)
            return
        elif not concerns_the_list_alone(error):
            for key in rest:
                self._fail(key, error)
            return
        self.entry.miss(rest)

    def expire(self, *, polling: bool) -> None:
        """Never: a watch has no deadline."""

    def pause(self, error: VPSError, seconds: float) -> None:
        """Poll no sooner."""
        del error
        self.entry.postpone(self.clock.now() + seconds)

    def _take(self, key: str, observation: Observation) -> None:
        watched = self._watched.get(key)
        if observation.server is not None:
            if watched is None:
                watched = self._watched[key] = _Watched()
            watched.observe(observation.server)
        elif watched is None:
            return
        else:
            watched.observed = None
        if watched.changed:
            self._changed[key] = None
        else:
            self._changed.pop(key, None)
            if watched.observed is None:
                del self._watched[key]

    def _fail(self, key: str | None, error: VPSError) -> None:
        pause = requested_pause(error)
        if pause is not None:
            self.pause(error, pause)
            return
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] >= MOST_FAILURES or ends_a_wait(error):
            # A copy, because one error that several watches raised would gather all their tracebacks.
            self.trouble = copy.copy(error)


class ServerWatch(AsyncIterator[ServerChange]):
    """An endless iteration over the changes of servers, made by `client.servers.watch`.

    Nothing runs while nobody awaits the next change, so the iteration may be left at any time. One task at a time may
    iterate.
    """

    def __init__(
        self,
        keys: frozenset[str] | None,
        interval: float,
        *,
        coordinator: Coordinator,
        clock: Clock,
        lifetime: Lifetime,
        bind: Callable[[Server], Server],
    ) -> None:
        self._keys = keys
        self._interval = interval
        self._coordinator = coordinator
        self._clock = clock
        self._lifetime = lifetime
        self._bind = bind
        self._changes: _Changes | None = None
        self._subscription: Subscription | None = None
        self._awaited = False

    def __aiter__(self) -> ServerWatch:
        return self

    async def __anext__(self) -> ServerChange:
        """Return the next change.

        Raises:
            APIConnectionError: the client is closed.
            AuthenticationError, PermissionDeniedError: at once.
            VPSError: five polls in a row failed. It is the last error. Iterating may go on.

        Cancellation: ends at once; no change is lost.
        """
        if self._awaited:
            raise RuntimeError("another task awaits this watch's next change: make a watch for each")
        self._awaited = True
        try:
            return await self._next()
        finally:
            self._awaited = False

    async def _next(self) -> ServerChange:
        self._lifetime.check()
        changes, subscription = self._begin()
        while True:
            change = changes.take_change()
            if change is not None:
                return self._bound(change)
            trouble = changes.take_trouble()
            if trouble is not None:
                self._lifetime.check()
                raise trouble
            await self._coordinator.attend(subscription)

    def _bound(self, change: ServerChange) -> ServerChange:
        before, after = (None if server is None else self._bind(server) for server in (change.before, change.after))
        return ServerChange(before, after)

    def _begin(self) -> tuple[_Changes, Subscription]:
        """Return what the watch has observed and its place at the coordinator, from the first change on."""
        if self._changes is None or self._subscription is None:
            interval = self._interval
            entry = PollEntry(keys=self._keys, interval=lambda _waited: interval, began=self._clock.now())
            self._changes = _Changes(entry=entry, clock=self._clock)
            self._subscription = self._coordinator.watch(self._changes)
        return self._changes, self._subscription


def checked_interval(seconds: float) -> float:
    """Return the seconds between two polls of a watch.

    Raises:
        TypeError: the interval is not a number.
        ValueError: it is 0 or less, or not finite.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"interval takes seconds as a number, not {seconds!r}")
    if not 0 < seconds < math.inf:
        raise ValueError(f"interval={seconds!r}: give more than 0 seconds, and not infinitely many")
    return float(seconds)


def checked_keys(server_ids: Iterable[int | str | Server]) -> frozenset[str]:
    """Return the ids of the servers to watch, as strings.

    Raises:
        TypeError: *server_ids* is not several, or one of them is neither a server nor an id.
        ValueError: there is none, or an id cannot be one.
    """
    if isinstance(server_ids, (str, Server)) or not isinstance(server_ids, Iterable):
        raise TypeError(f"server_ids takes several servers or ids, or None for all, not {server_ids!r}")
    keys = frozenset(str(checked_id(server_id)) for server_id in server_ids)
    if not keys:
        raise ValueError("server_ids is empty: give at least one server or id, or None for all")
    return keys
