"""`watch()`: changes of servers as they are seen, on the same looks as all waits."""

from __future__ import annotations

import copy

from collections.abc import AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING, Any

import attrs

from .._errors import VPSError
from .._models import Server, facts_of
from .coordinator import Watcher, asked_pause, concerns_the_list_alone, ends_a_wait


if TYPE_CHECKING:
    from .._clock import Clock
    from .._lifetime import Lifetime
    from .coordinator import Coordinator, Outcome
    from .lifecycle import Observation

MOST_FAILURES = 5
"""So many failed looks in a row end an iteration with the last one's error (SURFACE: `PollPolicy.failures`)."""

_NO_CHANGE = frozenset({"resource_usage", "updated_at", "message"})


@attrs.frozen
class ServerChange:
    """A server that is not as it was when it was last told of.

    Attributes:
        before: the server as it was told of before; `None`: it has appeared.
        after: the server as it is now; `None`: it is gone.
    """

    before: Server | None
    after: Server | None


@attrs.define(eq=False, repr=False)
class _Sight:
    """One server: as it was told of last, and as it was seen last. A field that an observation lacks is as it was."""

    told: Server | None = None
    told_facts: dict[str, Any] = attrs.field(factory=dict)
    # `None`: it is gone, or has never been seen.
    seen: Server | None = None
    facts: dict[str, Any] = attrs.field(factory=dict)

    def see(self, server: Server) -> None:
        facts = facts_of(server, but=_NO_CHANGE)
        # A field that an observation gives for the first time is no change.
        self.told_facts = {**facts, **self.told_facts}
        self.facts = {**self.facts, **facts}
        self.seen = server

    @property
    def changed(self) -> bool:
        if self.told is None or self.seen is None:
            return self.told is not self.seen
        return self.facts != self.told_facts

    def tell(self) -> ServerChange:
        change = ServerChange(self.told, self.seen)
        self.told, self.told_facts = self.seen, dict(self.facts)
        return change


@attrs.define(eq=False, repr=False, kw_only=True)
class _Sightings(Watcher):
    """What a watch has heard and not yet told: of each server the newest state, however slowly it is taken."""

    clock: Clock
    _sights: dict[str, _Sight] = attrs.field(factory=dict, init=False)
    # Those that have changed since they were told of, in the order of their changes.
    _changed: dict[str, None] = attrs.field(factory=dict, init=False)
    # Failed looks in a row: of the list under `None`, else of the server.
    _failures: dict[str | None, int] = attrs.field(factory=dict, init=False)
    trouble: VPSError | None = attrs.field(default=None, init=False)

    @property
    def news(self) -> bool:
        """Whether there is something to tell or to raise."""
        return bool(self._changed) or self.trouble is not None

    def take_change(self) -> ServerChange | None:
        """Return what has changed, the oldest change first, and count it as told."""
        if not self._changed:
            return None
        key = next(iter(self._changed))
        del self._changed[key]
        change = self._sights[key].tell()
        if change.after is None:
            del self._sights[key]
        return change

    def take_trouble(self) -> VPSError | None:
        """Return what ends the iteration, if anything does; whoever iterates on begins to count anew."""
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            self._failures.clear()
        return trouble

    def hear(self, key: str, outcome: Outcome) -> None:
        """Note an observation of one server, or that a GET of it failed."""
        if isinstance(outcome, VPSError):
            # Of those who look at the list a failed GET ends none: it is somebody else's, or will be made again.
            if self.keys is not None or ends_a_wait(outcome):
                self._fail(key, outcome)
            return
        self._failures.pop(key, None)
        if outcome is not None:
            self._see(key, outcome)

    def hear_list(self, error: VPSError | None, shown: Collection[str], doubtful: Collection[str]) -> None:
        """Note how a look at the list ended; what it did not show is asked for by a GET."""
        followed = self._sights if self.keys is None else self.keys
        rest = [*(key for key in followed if key not in shown), *filter(self.follows, doubtful)]
        if error is None:
            self._failures.pop(None, None)
        elif self.keys is None:
            self._fail(None, error)
            return
        elif not concerns_the_list_alone(error):
            for key in rest:
                self._fail(key, error)
            return
        for key in rest:
            self.ask(key, self.clock.now())

    def pause(self, error: VPSError, seconds: float) -> None:
        """Look no sooner."""
        del error
        self.postpone(self.clock.now() + seconds)

    def _see(self, key: str, observation: Observation) -> None:
        sight = self._sights.get(key)
        if observation.server is not None:
            if sight is None:
                sight = self._sights[key] = _Sight()
            sight.see(observation.server)
        elif sight is None:
            return
        else:
            sight.seen = None
        if sight.changed:
            self._changed[key] = None
        else:
            self._changed.pop(key, None)
            if sight.seen is None:
                del self._sights[key]

    def _fail(self, key: str | None, error: VPSError) -> None:
        pause = asked_pause(error)
        if pause is not None:
            self.pause(error, pause)
            return
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] >= MOST_FAILURES or ends_a_wait(error):
            # Of its own: one that several raised would gather all their tracebacks.
            self.trouble = copy.copy(error)


class ServerWatch(AsyncIterator[ServerChange]):
    """An endless walk over the changes of servers, made by `client.servers.watch`.

    Nothing runs while nobody awaits the next change, so that it may be left at any time. For one task at a time.
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
        self._sightings: _Sightings | None = None
        self._awaited = False

    def __aiter__(self) -> ServerWatch:
        return self

    async def __anext__(self) -> ServerChange:
        """Return the next change.

        Raises:
            APIConnectionError: the client is closed.
            AuthenticationError, PermissionDeniedError: at once.
            VPSError: five looks in a row failed: the last one's error. Iterating may go on.

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
        sightings = self._begun()
        while True:
            change = sightings.take_change()
            if change is not None:
                return self._bound(change)
            trouble = sightings.take_trouble()
            if trouble is not None:
                self._lifetime.check()
                raise trouble
            await self._coordinator.attend(sightings)

    def _bound(self, change: ServerChange) -> ServerChange:
        before, after = (None if server is None else self._bind(server) for server in (change.before, change.after))
        return ServerChange(before, after)

    def _begun(self) -> _Sightings:
        if self._sightings is None:
            interval = self._interval
            self._sightings = _Sightings(
                keys=self._keys, interval=lambda _waited: interval, began=self._clock.now(), clock=self._clock
            )
            self._coordinator.watch(self._sightings)
        return self._sightings
