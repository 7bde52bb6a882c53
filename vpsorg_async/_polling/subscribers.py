"""Keeps the waits and watches that want to observe servers."""

from __future__ import annotations

import weakref

from typing import TYPE_CHECKING, Protocol

import attrs


if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from anyio.abc import TaskGroup

    from .._clock import Scope
    from .._errors import VPSError
    from .._models import Server
    from .entry import Poll, PollEntry
    from .lifecycle import Observation


class Subscriber(Protocol):
    """A wait or a watch, as far as polls concern it. Its methods return at once."""

    entry: PollEntry

    @property
    def has_news(self) -> bool:
        """Whether there is something for the subscriber's own task to do."""

    @property
    def last(self) -> Server | None:
        """The server as it was last observed, if the subscriber wants a single one."""

    def observe(self, key: str, observation: Observation | None) -> None:
        """Take an observation of the server *key*. `None` is one that was out of date: the poll itself succeeded."""

    def fail(self, key: str, error: VPSError) -> None:
        """Note that a GET of the server *key* failed."""

    def list_ended(self, error: VPSError | None, shown: Collection[str], doubtful: Collection[str]) -> None:
        """Note how a list ended that showed the servers *shown*. A GET has called the *doubtful* of them gone."""

    def expire(self, *, polling: bool) -> None:
        """Note that its time is over, with a poll on the way or not."""

    def pause(self, error: VPSError, seconds: float) -> None:
        """Note that the API asked by *error* for no requests during so many seconds."""


@attrs.define(eq=False, repr=False, weakref_slot=True)
class Subscription:
    """A subscriber's place at the coordinator.

    Attributes:
        subscriber: who observes.
        joined: the number of the last poll that had begun when it came. That poll, and earlier ones, tell it nothing.
        polls: the polls that its task runs.
        nap: the scope that its task sleeps in; cancelled to wake the task. `None` while the task is awake.
        group: the task group in which its task runs GETs, while it does.
        hurried: servers whose GET was given up once because there was news. The next GET of them is not given up.
    """

    subscriber: Subscriber
    joined: int
    polls: list[Poll] = attrs.field(init=False, factory=list)
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


class Subscribers:
    """All subscriptions, by the servers that they want."""

    def __init__(self) -> None:
        self._waits: dict[str, list[Subscription]] = {}
        # Held by the watches themselves: a watch that nobody iterates any more goes away.
        self._watches: weakref.WeakSet[Subscription] = weakref.WeakSet()

    def add(self, subscription: Subscription) -> None:
        """Add a wait. It stays until `remove`."""
        for key in subscription.entry.keys or ():
            self._waits.setdefault(key, []).append(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Remove a wait."""
        for key in subscription.entry.keys or ():
            self._waits[key].remove(subscription)
            if not self._waits[key]:
                del self._waits[key]

    def add_watch(self, subscription: Subscription) -> None:
        """Add a watch. It stays for as long as somebody holds *subscription*."""
        self._watches.add(subscription)

    @property
    def watching(self) -> bool:
        """Whether there is a watch."""
        return bool(self._watches)

    def waits_for(self, key: str) -> list[Subscription]:
        """Return the waits for the server *key*."""
        return self._waits.get(key, [])

    def of(self, key: str, number: int) -> list[Subscription]:
        """Return all that want the server *key* and came before the poll *number* began."""
        found = [one for one in self._waits.get(key, ()) if one.joined < number]
        if self._watches:
            found += [one for one in self._watches if one.joined < number and _wants(one.entry, key)]
        return found

    def wants(self, key: str, number: int) -> bool:
        """Return whether anybody wants the server *key* who came before the poll *number* began."""
        waits = self._waits.get(key)
        if waits is not None and waits[0].joined < number:
            return True
        return bool(self._watches) and any(one.joined < number and _wants(one.entry, key) for one in self._watches)

    def before(self, number: int) -> list[Subscription]:
        """Return all that came before the poll *number* began."""
        return [one for one in self if one.joined < number]

    def __iter__(self) -> Iterator[Subscription]:
        for waits in list(self._waits.values()):
            yield from waits
        yield from list(self._watches)


def _wants(entry: PollEntry, key: str) -> bool:
    return entry.keys is None or key in entry.keys
