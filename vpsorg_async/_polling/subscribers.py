"""Keeps the waits and watches that want to observe servers."""

from __future__ import annotations

import weakref

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

import attrs


if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from anyio.abc import TaskGroup

    from .._clock import Scope
    from .._models import Server
    from .entry import Poll, PollEntry
    from .lifecycle import Observation
    from .sightings import Sighting


class Subscriber(Protocol):
    """A wait or a watch, as far as polls concern it. Its methods return at once."""

    entry: PollEntry

    @property
    def has_news(self) -> bool:
        """Whether there is something for the subscriber's own task to do."""
        ...

    def fail(self, key: str, error: Exception, began: float) -> None:
        """Note that a GET of the server *key* failed, whose request began at *began*."""

    def fail_alike(self, keys: Collection[str], error: Exception, began: float) -> None:
        """Note that GETs of the servers *keys* would fail, as a list and GETs of other servers did."""

    def list_ended(
        self, error: Exception | None, began: float, shown: AbstractSet[str], doubtful: AbstractSet[str]
    ) -> None:
        """Note how a list ended that *began* then and showed the servers *shown*.

        A GET has called the *doubtful* of them gone.
        """

    def expire(self, *, polling: str) -> None:
        """Note that its time is over. *polling* is what a poll on the way waits for, in words; empty: there is none."""

    def pause(self, error: Exception, seconds: float) -> None:
        """Note that the API asked by *error* for no requests during so many seconds."""


class Waiter(Subscriber, Protocol):
    """A wait, as far as polls concern it."""

    number: int

    @property
    def last(self) -> Server | None:
        """The server as it was last observed."""

    def observe(self, key: str, observation: Observation | None) -> None:
        """Take an observation of the server *key*. `None` is one that was out of date: the poll itself succeeded."""


class Watcher(Subscriber, Protocol):
    """A watch, as far as polls concern it."""

    @property
    def size(self) -> int:
        """The number of changes that it has to tell."""
        ...

    @property
    def has_failures(self) -> bool:
        """Whether it counts failed polls at the moment. It wants to know of each observation then."""
        ...

    def see(self, key: str, sighting: Sighting | None) -> None:
        """Take what a poll has shown of the server *key*. `None` is nothing that is believed, yet no failure."""


S_co = TypeVar("S_co", bound=Subscriber, covariant=True)


@attrs.define(eq=False, repr=False, weakref_slot=True)
class Place(Generic[S_co]):
    """A subscriber's place at the coordinator.

    Attributes:
        subscriber: who observes.
        joined: the number of the last poll that had begun when it came. That poll, and earlier ones, tell it nothing.
        polls: the polls that its task runs.
        nap: the scope that its task sleeps in; cancelled to wake the task. `None` while the task is awake.
        group: the task group in which its task runs GETs, while it does.
        hurried: servers whose GET was given up once because there was news. The next GET of them is not given up.
    """

    subscriber: S_co
    joined: int
    polls: list[Poll] = attrs.field(init=False, factory=list["Poll"])
    nap: Scope | None = attrs.field(init=False, default=None)
    group: TaskGroup | None = attrs.field(init=False, default=None)
    hurried: frozenset[str] = attrs.field(init=False, default=frozenset())

    @property
    def entry(self) -> PollEntry:
        """The record of the subscriber's wish."""
        return self.subscriber.entry

    def wake(self) -> None:
        """Wake the task if it sleeps. A task that runs polls goes on with them."""
        if self.nap is not None:
            self.nap.cancel()


@attrs.define(eq=False, repr=False)
class WatchPlace(Place[Watcher]):
    """A watch's place at the coordinator.

    Attributes:
        current: whether the watch has been shown the newest sighting of each server that it wants.
        passed_over: the number of the last new sighting that it was not shown, because it came after the poll began.
    """

    current: bool = attrs.field(init=False, default=False)
    passed_over: int = attrs.field(init=False, default=0)

    @property
    def wants_news_only(self) -> bool:
        """Whether an observation that shows nothing new changes nothing for the watch."""
        entry = self.subscriber.entry
        if not self.current or entry.asks or entry.missing or entry.hanging or self.subscriber.has_failures:
            return False
        # A watch of a single server is due anew with each observation of it.
        return entry.keys is None or len(entry.keys) > 1


WaitPlace: TypeAlias = Place[Waiter]
Subscription: TypeAlias = Place[Subscriber]


class Subscribers:
    """All subscriptions, by the servers that they want."""

    def __init__(self) -> None:
        self._waits: dict[str, list[WaitPlace]] = {}
        # Held by the watches themselves: a watch that nobody iterates any more goes away.
        self._watches: dict[_WatchRef, frozenset[str] | None] = {}
        # By the servers that they want; under `None`, those that want all.
        self._watches_of: dict[str | None, dict[_WatchRef, None]] = {}
        # Watches that have gone away, at any moment. They are removed when nothing goes through the others.
        self._gone: deque[_WatchRef] = deque()

    def add(self, subscription: WaitPlace) -> None:
        """Add a wait. It stays until `remove`."""
        for key in subscription.entry.keys or ():
            self._waits.setdefault(key, []).append(subscription)

    def remove(self, subscription: WaitPlace) -> None:
        """Remove a wait."""
        for key in subscription.entry.keys or ():
            self._waits[key].remove(subscription)
            if not self._waits[key]:
                del self._waits[key]

    def add_watch(self, subscription: WatchPlace) -> None:
        """Add a watch. It stays for as long as somebody holds *subscription*."""
        self._remove_gone()
        one = weakref.ref(subscription, self._gone.append)
        self._watches[one] = keys = subscription.entry.keys
        for key in (None,) if keys is None else keys:
            self._watches_of.setdefault(key, {})[one] = None

    def remove_watch(self, subscription: WatchPlace) -> None:
        """Remove a watch, also while a traceback or the like still holds its *subscription*."""
        self._forget(weakref.ref(subscription))

    def _remove_gone(self) -> None:
        while self._gone:
            self._forget(self._gone.pop())

    def _forget(self, one: _WatchRef) -> None:
        if one not in self._watches:
            # It was removed before it went away.
            return
        keys = self._watches.pop(one)
        for key in (None,) if keys is None else keys:
            del self._watches_of[key][one]
            if not self._watches_of[key]:
                del self._watches_of[key]

    @property
    def watching(self) -> bool:
        """Whether there is a watch."""
        self._remove_gone()
        return bool(self._watches)

    @property
    def watching_all(self) -> bool:
        """Whether there is a watch of every server."""
        self._remove_gone()
        return None in self._watches_of

    @property
    def waits(self) -> Mapping[str, Sequence[WaitPlace]]:
        """The waits for each server that any are for."""
        return self._waits

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of waits and watches. It changes nothing, so that another thread may ask."""
        waits = sum(len(places) for places in tuple(self._waits.values()))
        return waits, sum(ref() is not None for ref in tuple(self._watches))

    def waits_for(self, key: str, number: int) -> list[WaitPlace]:
        """Return the waits for the server *key* that came before the poll *number* began."""
        return [one for one in self._waits.get(key, ()) if one.joined < number]

    def watched(self, key: str) -> bool:
        """Return whether a watch wants the server *key*."""
        return None in self._watches_of or key in self._watches_of

    def watches_of(self, key: str) -> Iterator[WatchPlace]:
        """Yield the watches that want the server *key*."""
        for refs in filter(None, (self._watches_of.get(key), self._watches_of.get(None))):
            for ref in refs:
                if (one := ref()) is not None:
                    yield one

    @property
    def watches(self) -> list[WatchPlace]:
        """All watches."""
        self._remove_gone()
        return [one for ref in self._watches if (one := ref()) is not None]

    def of(self, key: str, number: int) -> list[Subscription]:
        """Return all that want the server *key* and came before the poll *number* began."""
        return [*self.waits_for(key, number), *(one for one in self.watches_of(key) if one.joined < number)]

    def wants(self, key: str, number: int) -> bool:
        """Return whether anybody wants the server *key* who came before the poll *number* began."""
        waits = self._waits.get(key)
        if waits is not None and waits[0].joined < number:
            return True
        return self.watched(key) and any(one.joined < number for one in self.watches_of(key))

    def before(self, number: int) -> list[Subscription]:
        """Return all that came before the poll *number* began."""
        return [one for one in self if one.joined < number]

    def __iter__(self) -> Iterator[Subscription]:
        for waits in list(self._waits.values()):
            yield from waits
        yield from self.watches


_WatchRef: TypeAlias = "weakref.ref[WatchPlace]"
