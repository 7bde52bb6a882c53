"""Watches servers and tells their changes, with the same polls as all waits."""

from __future__ import annotations

import math

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from collections.abc import Set as AbstractSet

import attrs

from .._checks import as_float, server_key
from .._clock import Clock
from .._error_base import InvalidArgumentError
from .._events import Events
from .._lifetime import Lifetime
from .._models import Server, checked_id
from .._policies import SHORTEST_INTERVAL
from .._public import publish
from .changes import SeenChange, change_of
from .coordinator import Coordinator
from .entry import PollEntry
from .failures import ends_a_wait, ends_all_waits, own_copy, requested_pause
from .outages import Outage
from .sightings import NOTHING, Knowledge, Sighting
from .subscribers import WatchPlace


TOLD_AT_ONCE = 200
"""So many changes are told in a row, then other tasks get their turn (assumed: at most some milliseconds)."""


@attrs.define(eq=False, repr=False, kw_only=True)
class _Changes:
    """The changes that a watch has not told yet: the newest state of each server, however slow the consumer is.

    A subscriber of polls.
    """

    entry: PollEntry
    clock: Clock
    # What the watch knows of each server that it has seen and not told to be gone.
    _known: dict[str, Knowledge] = attrs.field(factory=dict[str, Knowledge], init=False)
    # The servers that have changed and were not told since, in the order of their changes.
    _changed: OrderedDict[str, None] = attrs.field(factory=OrderedDict[str, None], init=False)
    # How many failed polls in a row, and over how many seconds, end an iteration.
    failures: int | None
    outage: float
    # The failed polls in a row: of the list under `None`, else of a server.
    _outages: dict[str | None, Outage] = attrs.field(factory=dict[str | None, Outage], init=False)
    trouble: Exception | None = attrs.field(default=None, init=False)
    # The servers that the first round has not shown yet; `None` until a list has told which servers there are.
    _unseen: set[str] | None = attrs.field(init=False)
    # The servers that the first round has shown and that were not told of yet; `None` until the round is over.
    _untold: set[str] | None = attrs.field(default=None, init=False)
    # Whether the end of the first round is news itself, and was not told yet.
    announces_sync: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        """Want an answer for each of the servers that were given."""
        self._unseen = None if self.entry.keys is None else {*self.entry.keys}

    @property
    def has_news(self) -> bool:
        """Whether there is a change to tell or an error to raise, or that the first round is over."""
        return bool(self._changed) or self.trouble is not None or self.has_synced

    @property
    def size(self) -> int:
        """The number of changes to tell."""
        return len(self._changed)

    @property
    def has_synced(self) -> bool:
        """Whether it is news that every server of the first round was told of."""
        return self.announces_sync and self.synced

    @property
    def has_failures(self) -> bool:
        """Whether failed polls in a row are being counted."""
        return bool(self._outages)

    @property
    def synced(self) -> bool:
        """Whether every server of the first round was told of."""
        return self._untold is not None and not self._untold

    def take_change(self) -> tuple[Server | None, Server | None, frozenset[str]] | None:
        """Return the oldest change, and count it as told: the server before and after it, and the changed fields."""
        if not self._changed:
            return None
        key, _ = self._changed.popitem(last=False)
        self._settle(key)
        before = self._known[key]
        after = self._known[key] = before.tell()
        if after.told is None:
            del self._known[key]
        return before.told, after.told, before.fields

    def take_trouble(self) -> Exception | None:
        """Return the error that ends the iteration, or `None`. Failures are counted anew after it."""
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            self._outages.clear()
        return trouble

    def see(self, key: str, sighting: Sighting | None) -> None:
        """Note what a poll has shown of one server. `None` is nothing that is believed."""
        self._outages.pop(key, None)
        if sighting is None:
            return
        if sighting.server is not None or key in self._known:
            known = self._known[key] = sighting.known_after(self._known.get(key, NOTHING))
            self._note(key, known)
        if self._unseen:
            self._unseen.discard(key)
            self._end_first_round()

    def _note(self, key: str, known: Knowledge) -> None:
        if known.changed:
            self._changed[key] = None
            return
        if self._changed.pop(key, 0) is None:
            self._settle(key)
        if known.server is None:
            del self._known[key]

    def _end_first_round(self) -> None:
        if self._untold is None and self._unseen is not None and not self._unseen:
            self._untold = {*self._changed}

    def _settle(self, key: str) -> None:
        """Note that there is nothing to tell of *key* any more."""
        if self._untold:
            self._untold.discard(key)

    def fail(self, key: str, error: Exception, began: float) -> None:
        """Count a failed GET."""
        # A watch of all servers goes by the list: the GET was for somebody else, or will be made again.
        if self.entry.keys is not None or ends_a_wait(error):
            self._fail(key, error, began)

    def fail_alike(self, keys: Collection[str], error: Exception, began: float) -> None:
        """Count a failure of other polls. Only GETs of its own servers may end the iteration by that."""
        del error
        for key in keys if self.entry.keys is not None else ():
            if self._count(key, began):
                self.entry.miss([key])

    def list_ended(
        self, error: Exception | None, began: float, shown: AbstractSet[str], doubtful: AbstractSet[str]
    ) -> None:
        """Want a GET of each server that the list left out. A watch of all servers counts how the list ended."""
        keys = self.entry.keys
        wanted: AbstractSet[str] = self._known.keys() if keys is None else keys
        if error is None:
            self._outages.pop(None, None)
            if self._unseen is None:
                # What a GET has called gone, and the list shows, is asked for by another GET.
                self._unseen = {*doubtful}
            self._end_first_round()
        elif keys is None or ends_all_waits(error) or requested_pause(error) is not None:
            self._fail(None, error, began)
            return
        if not shown >= wanted:
            self.entry.miss([key for key in wanted if key not in shown])
        if doubtful:
            self.entry.miss([key for key in doubtful if keys is None or key in keys])

    def expire(self, *, polling: str) -> None:
        """Never: a watch has no deadline."""

    def pause(self, error: Exception, seconds: float) -> None:
        """Poll no sooner."""
        del error
        self.entry.postpone(self.clock.now() + seconds)

    def _fail(self, key: str | None, error: Exception, began: float) -> None:
        pause = requested_pause(error)
        if pause is not None:
            self.pause(error, pause)
            return
        if ends_a_wait(error) or self._count(key, began):
            self.trouble = own_copy(error)

    def _count(self, key: str | None, began: float) -> bool:
        """Count a failed poll, and return whether polls of *key* have failed for too long."""
        outage = self._outages.setdefault(key, Outage())
        outage.failed(began)
        if len(self._outages) >= len(self.entry.keys or ("",)):
            # Nothing that is watched can be polled. As long as something can, it is polled at its usual times.
            self.entry.retry(min(one.retry_at(self.clock.now()) for one in self._outages.values()))
        return outage.exceeds(self.failures, self.outage)


class ServerWatch(AsyncIterator[SeenChange]):
    """An endless iteration over the changes of servers, made by `client.servers.watch`.

    Nothing runs while nobody awaits the next change, so the iteration may be left at any time. One task at a time may
    iterate.
    """

    def __init__(
        self,
        keys: frozenset[str] | None,
        interval: float,
        *,
        failures: int | None,
        outage: float,
        coordinator: Coordinator,
        clock: Clock,
        events: Events,
        lifetime: Lifetime,
        bind: Callable[[Server], Server],
    ) -> None:
        self._keys = keys
        self._interval = interval
        self._failures = failures
        self._outage = outage
        self._coordinator = coordinator
        self._clock = clock
        self._events = events
        self._lifetime = lifetime
        self._bind = bind
        self._changes: _Changes | None = None
        self._subscription: WatchPlace | None = None
        self._awaited = False
        self._announces_sync = False
        # The number of changes that were told since other tasks got their turn.
        self._told = 0

    def __aiter__(self) -> ServerWatch:
        return self

    @property
    def synced(self) -> bool:
        """Whether the first round is over and each of its servers was yielded as appeared.

        It is true as soon as the last of them was yielded. For a watch of given servers, the round is over when each
        was shown by the API, or said not to exist.
        """
        return self._changes is not None and self._changes.synced

    async def __anext__(self) -> SeenChange:
        """Return the next change.

        Raises:
            ClientClosedError: the client is closed.
            AuthenticationError, PermissionDeniedError: at once.
            VPSError: polls have failed for too long. It is the last error. Iterating may go on.

        Cancellation: ends at once; no change is lost.
        """
        while (change := await self._next_news()) is None:
            pass
        return change

    async def _next_news(self) -> SeenChange | None:
        if self._awaited:
            raise RuntimeError("another task awaits this watch's next change: make a watch for each")
        self._awaited = True
        try:
            return await self._next()
        finally:
            self._awaited = False

    async def _next(self) -> SeenChange | None:
        self._lifetime.check()
        changes, subscription = self._begin()
        while True:
            if changes.has_synced:
                changes.announces_sync = False
                return None
            if self._told >= TOLD_AT_ONCE:
                self._told = 0
                await self._clock.sleep(0)
            change = changes.take_change()
            if change is not None:
                self._told += 1
                before, after, fields = change
                return change_of(self._bound(before), self._bound(after), fields)
            trouble = changes.take_trouble()
            if trouble is not None:
                self._lifetime.check()
                servers = None if self._keys is None else len(self._keys)
                error = type(trouble).__name__
                self._events.emit("watch.failed", servers=servers, error=error, reason=str(trouble))
                raise trouble
            self._told = 0
            await self._coordinator.attend(subscription)

    def _announce_sync(self) -> None:
        """Let the end of the first round be news, once."""
        if not self._announces_sync:
            self._announces_sync = True
            self._begin()[0].announces_sync = True

    def _bound(self, server: Server | None) -> Server | None:
        return None if server is None else self._bind(server)

    def _begin(self) -> tuple[_Changes, WatchPlace]:
        """Return what the watch has observed and its place at the coordinator, from the first change on."""
        if self._changes is None or self._subscription is None:
            interval = self._interval
            entry = PollEntry(keys=self._keys, interval=lambda _waited: interval, began=self._clock.now())
            self._changes = _Changes(entry=entry, clock=self._clock, failures=self._failures, outage=self._outage)
            self._subscription = self._coordinator.watch(self._changes)
        return self._changes, self._subscription


async def next_news(watch: ServerWatch) -> SeenChange | None:
    """Return the next change of *watch*, or `None` once: the first round is over, and all of it was returned.

    An iteration cannot tell that of an account without servers. Only one task at a time, as for an iteration.

    Raises, and is cancelled, as `ServerWatch.__anext__`.
    """
    watch._announce_sync()  # noqa: SLF001 - of this module's own class
    return await watch._next_news()  # noqa: SLF001 - the same


def has_news(watch: ServerWatch) -> bool:
    """Return whether *watch* has a change to tell, or the end of its first round, without a wait."""
    changes = watch._changes  # noqa: SLF001 - of this module's own class
    return changes is not None and (changes.size > 0 or changes.has_synced)


def end(watch: ServerWatch) -> None:
    """End *watch* now, and not only when nobody holds it any more."""
    place, watch._subscription, watch._changes = watch._subscription, None, None  # noqa: SLF001 - the same
    if place is not None:
        watch._coordinator.unwatch(place)  # noqa: SLF001 - the same


def checked_interval(seconds: float) -> float:
    """Return the seconds between two polls of a watch, which are no fewer than for waits.

    Raises:
        TypeError: the interval is not a number.
        InvalidArgumentError: it is 0 or less, or not finite.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"interval takes seconds as a number, not {seconds!r}")
    if not 0 < as_float("interval", seconds) < math.inf:
        raise InvalidArgumentError(f"interval={seconds!r}: give more than 0 seconds, and not infinitely many")
    return max(float(seconds), SHORTEST_INTERVAL)


def checked_keys(server_ids: Iterable[int | str | Server]) -> frozenset[str]:
    """Return the ids of the servers to watch, as strings.

    Raises:
        TypeError: *server_ids* is not several, or one of them is neither a server nor an id.
        InvalidArgumentError: there is none, or an id cannot be one.
    """
    if isinstance(server_ids, (str, bytes, Server)) or not isinstance(server_ids, Iterable):
        raise TypeError(f"server_ids takes several servers or ids, or None for all, not {server_ids!r}")
    keys = frozenset(server_key(checked_id(server_id)) for server_id in server_ids)
    if not keys:
        raise InvalidArgumentError("server_ids is empty: give at least one server or id, or None for all")
    return keys


publish(ServerWatch)
