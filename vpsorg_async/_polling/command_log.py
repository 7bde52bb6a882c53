"""Remembers for each server the last command of this client and the newest observation."""

from __future__ import annotations

import math

from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import attrs

from .._models import ServerStatus
from .admission import BELIEVED, OUTDATED, Record
from .carried import command_of, dated, memory_before, memory_of
from .habits import Habits, Settings, Sight, settings_of
from .lifecycle import DELETED, TRANSITIONS, Baseline, Command, Observation, Suspicion
from .proofs import LONGEST_EFFECT, took_effect
from .spellings import Spellings


if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from datetime import datetime

    from .._action_parts import Memory
    from .._models import Server

T = TypeVar("T")

CAPACITY = 20_000
"""The number of servers that are remembered (assumed: an account has no more; they take some 10 MB)."""

_ACTIVE = ServerStatus.ACTIVE
"""Looked up once, because looking up a member of an enum is slow."""


@attrs.define(eq=False)
class _Entry:
    """The memory of one server."""

    record: Record = attrs.field(factory=Record)
    # The newest admitted observation: its status, `updated_at`, and the fields that a PATCH can change.
    status: str | None = None
    updated_at: datetime | None = None
    settings: Settings | None = None
    names: tuple[str | None, str | None] | None = None
    # When the first observation with this `updated_at` had ended.
    stamped: float = -math.inf
    # The number of running changes by this client, and when the last one was answered.
    changing: int = 0
    changed: float = -math.inf

    def admit(
        self, server: Server | None, began: float, ended: float, *, listed: bool, habits: Habits, pending: bool
    ) -> float:
        """Learn from an observation. Return since when it and all others are suspect, as `Record.admit` does."""
        before, was_gone = self.record.began, self.record.gone
        suspect = self.record.admit(server, began, ended, listed=listed)
        if suspect != BELIEVED:
            return suspect
        if server is None:
            self.status, self.updated_at, self.settings, self.names = None, None, None, None
            return suspect
        settings = None if listed else settings_of(server)
        if self.status is not None and (self.status != server.status or self.updated_at != server.updated_at):
            undisturbed = not (self.changing or pending or was_gone) and self.changed < before
            after = Sight(
                status=server.status, updated_at=server.updated_at, settings=settings, began=began, stamped=ended
            )
            habits.learn(self._sight(before), after, undisturbed=undisturbed)
        if self.updated_at != server.updated_at:
            self.stamped = ended
        self.status, self.updated_at, self.settings = server.status, server.updated_at, settings
        self.names = server.name, server.hostname
        return suspect

    def _sight(self, began: float) -> Sight:
        return Sight(
            status=self.status or "",
            updated_at=self.updated_at,
            settings=self.settings,
            began=began,
            stamped=self.stamped,
        )

    def baseline(self, now: float) -> Baseline | None:
        """Return the server as it was before a command that begins *now*, if the newest observation tells.

        Only of a server at rest: the end of a transition moves `updated_at`, also after a command was sent.
        """
        undisturbed = not self.changing and self.record.began > self.changed and self.record.ended <= now
        at_rest = self.status == _ACTIVE and self.updated_at is not None
        if not (undisturbed and at_rest):
            return None
        return Baseline(updated_at=self.updated_at, settings=self.settings, names=self.names)


@attrs.define(eq=False)
class Change:
    """A change of one server by this client, from its request on.

    Attributes:
        server_id: the server.
        began: when its call began, in seconds on the client's clock.
        baseline: the server in an observation that ended before and showed it active, with no other change of this
            client in between.
        own: the command, if the change is one.
        earlier: the previous command, which applies again if this one was not executed.
        refused: whether the API refused it.
        shown: whether its effect was observed.
    """

    server_id: int | str
    began: float
    baseline: Baseline | None = None
    own: Command | None = None
    earlier: Change | None = None
    refused: bool = False
    shown: bool = False

    def is_aged(self, now: float) -> bool:
        """Whether a wait that begins *now* has nothing to do with the command, which has shown no effect since."""
        return self.command is not None and now - self.command.answered >= LONGEST_EFFECT

    def disturb(self, now: float) -> None:
        """Note that another change of the same server by this client begins *now*."""
        if self.own is not None and self.own.disturbed == math.inf:
            self.own = attrs.evolve(self.own, disturbed=now)

    @property
    def command(self) -> Command | None:
        """The command whose effect a wait is for: this one, or the previous one if this one was refused."""
        if not self.refused:
            return self.own
        return None if self.earlier is None or self.earlier.shown else self.earlier.command


class CommandLog:
    """Remembers the last command and the newest observation of the 20,000 servers that were used last."""

    def __init__(self) -> None:
        # What is known of the API's `updated_at`.
        self.habits: Habits = Habits()
        # Under which ids the API shows one server.
        self.spellings: Spellings = Spellings()
        # Oldest first.
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        # Commands whose effect was not observed yet. Kept apart from observations, which a list brings by the thousand.
        self._pending: OrderedDict[str, Change] = OrderedDict()
        # Ids that creates of this client returned. No other create may adopt them. One small string for each.
        self._created: set[str] = set()
        # The servers that creates of this client returned lately, and when, by name: a list may not show them yet.
        self._made: OrderedDict[str, tuple[Server, float]] = OrderedDict()

    @contextmanager
    def changing(self, server_id: int | str, now: float, name: str | None = None) -> Generator[Change]:
        """Mark that a change by this client is running. Observations during it are no baseline for the next one.

        *name* is the name of a command. Until the command is answered, waits take no observation for proof. A change
        that ends without `changed` was not executed.
        """
        key = self.spellings.key(server_id)
        entry = self._entry(key)
        earlier = self._pending.get(key)
        # What was seen since the earlier command may be from before its effect.
        unclear = earlier is not None and not earlier.shown
        change = Change(server_id, now, baseline=None if unclear else entry.baseline(now))
        if earlier is not None:
            earlier.disturb(now)
        if name is not None:
            change.own = Command(
                name=name,
                began=now,
                answered=math.inf,
                baseline=change.baseline,
                disturbed=now if entry.changing else math.inf,
                unclear=unclear,
                old_transition=entry.updated_at if entry.status == TRANSITIONS[name].transitional_status else None,
            )
            change.earlier = earlier
            self._remember(key, change)
        entry.changing += 1
        entry.changed = max(entry.changed, now)
        try:
            yield change
        finally:
            entry.changing -= 1
            if change.own is not None and change.own.answered == math.inf:
                self._refuse(key, change)

    def changed(
        self,
        change: Change,
        now: float,
        *,
        date: datetime | None = None,
        said: str = "",
        lost: bool = False,
        shown: bool = False,
    ) -> None:
        """Note that *change* was answered *now*. If *lost*, its response was lost, and it may have been executed.

        *date* is the `Date` of the response, *said* the status in it. If *shown*, the effect was observed already.
        """
        key = self.spellings.key(change.server_id)
        entry = self._entry(key)
        entry.changed = max(entry.changed, now)
        if change.own is None:
            return
        change.own = attrs.evolve(change.own, answered=now, date=date, said=said, lost=lost)
        change.earlier = None
        # A later command that is still running applies in place of both.
        latest = self.pending(key)
        if latest is None or latest.own is None or latest.own.answered < math.inf:
            self._remember(key, change)
        if shown:
            self._show(key, change)

    def memory_of(self, change: Change) -> Memory:
        """Return what a wait for *change*, an accepted command, needs in another process."""
        assert change.own is not None
        entry = self._entries.get(self.spellings.key(change.server_id))
        newest = None if entry is None else entry.record.mark.newest
        return memory_of(change.own, shown=change.shown, newest=newest, habits=self.habits)

    def memory_before(self, server_id: int | str, now: float) -> Memory:
        """Return what a search for a command that is sent *now* needs in another process, if this one ends."""
        entry, unclear = self._entry(self.spellings.key(server_id)), self.pending(server_id) is not None
        return memory_before(entry.baseline(now), unclear=unclear, newest=entry.record.mark.newest, habits=self.habits)

    def restore(self, server_id: int | str, name: str, memory: Memory, now: float) -> Change:
        """Take over the command *name* of another process, and return the change that a wait for it begins with.

        A later command of this client to the same server applies in its place.
        """
        key = self.spellings.key(server_id)
        if memory.newest is not None:
            self._entry(key).record.mark.take_outdated(memory.newest, now)
        self.habits.take_over(memory.habits)
        change = Change(server_id, now, own=command_of(name, memory, now), shown=memory.shown)
        if not memory.shown and self.pending(key) is None:
            self._remember(key, change)
        return change

    def created(self, server: Server, command: Command) -> None:
        """Note that a create of this client returned *server*."""
        key = self.spellings.key(server.id)
        self._created.add(key)
        self._entry(key).changed = command.answered
        self.remember_made(server, command.answered)
        self._remember(key, Change(server.id, command.began, own=command))

    def remember_made(self, server: Server, now: float) -> None:
        """Note that *server* was created *now*, or by an earlier run."""
        self._made[server.name.casefold()] = server, now
        self._made.move_to_end(server.name.casefold())
        while next(iter(self._made.values()))[1] < now - LONGEST_EFFECT:
            self._made.popitem(last=False)

    def made_of(self, name: str) -> tuple[Server, float] | None:
        """Return the server of *name* that was created lately, and when; `None`: there is none."""
        return self._made.get(name.casefold())

    def changed_at(self, server_id: int | str) -> float:
        """Return when the last change of the server by this client was answered, or sent; minus infinity is never."""
        entry = self._entries.get(self.spellings.key(server_id))
        return -math.inf if entry is None else entry.changed

    def claim(self, server_id: int | str) -> None:
        """Note that a create of an earlier run returned the server: no other create may take it for its own."""
        self._created.add(self.spellings.key(server_id))

    def is_ours(self, server: Server, *, since: float) -> bool:
        """Return whether a create of this client that began at *since* may adopt *server*.

        It may not if another create has returned the server, or if the server was seen before.
        """
        key = self.spellings.key(server.id)
        entry = self._entries.get(key)
        first_seen = None if entry is None else entry.record.first_seen
        seen_before = first_seen is not None and first_seen <= since
        return key not in self._created and not seen_before

    def pending(self, server_id: int | str, now: float = -math.inf) -> Change | None:
        """Return the last command to the server whose effect was not observed yet, or that is running.

        One that was answered 15 minutes before *now* decides nothing any more: others may have changed the server.
        """
        change = self._pending.get(self.spellings.key(server_id))
        return None if change is None or change.shown or change.is_aged(now) else change

    def is_gone(self, server_id: int | str) -> bool:
        """Return whether the last GET said that there is no such server."""
        entry = self._entries.get(self.spellings.key(server_id))
        return entry is not None and entry.record.gone

    def admit(self, server_id: int | str, observation: Observation) -> Observation | None:
        """Learn from an observation if it is believed. Return it with what is known of it; `None` if it is out of date.

        Nothing is learned from one that is suspect. A command whose effect the observation shows is pending no more.
        """
        server = observation.server
        if server is not None and server.extra:
            self.learn_ids(server)
        key = self.spellings.key(server_id)
        if observation.status is None:
            server = None
        entry = self._entry(key)
        known, change = entry.record.first_seen is not None, self._pending.get(key)
        if change is not None and change.own is not None and change.own.bound is not None:
            change.own = dated(change.own, observation)
        suspect = entry.admit(
            server,
            observation.began,
            observation.ended,
            listed=observation.listed,
            habits=self.habits,
            pending=change is not None,
        )
        if suspect == OUTDATED:
            return None
        if suspect != BELIEVED:
            newest = entry.record.mark.newest
            assert newest is not None
            return attrs.evolve(observation, known=known, suspicion=Suspicion(newest, suspect))
        command = None if change is None else change.command
        if change is not None and command is not None and self._shows_effect(command, observation):
            self._show(key, change)
        return observation if known == observation.known else attrs.evolve(observation, known=known)

    def admit_listed(self, servers: Iterable[Server], began: float, ended: float) -> None:
        """Learn from a page of a list, as `admit` does, at a third of the cost for most servers."""
        habits = self.habits
        for server in servers:
            if server.extra:
                self.learn_ids(server)
            key = self.spellings.key(server.id)
            if key in self._pending or server.status == DELETED:
                self.admit(key, Observation(began=began, ended=ended, server=server, listed=True))
            else:
                self._entry(key).admit(server, began, ended, listed=True, habits=habits, pending=False)

    def learn_ids(self, server: Server) -> None:
        """Take for one what was remembered of a server under two ids."""
        keys = self.spellings.learn(server)
        if keys is None:
            return
        key, other = keys
        entry, change = self._entries.pop(other, None), self._pending.pop(other, None)
        mine, pending = self._entries.get(key), self._pending.get(key)
        if entry is not None and (mine is None or mine.record.began < entry.record.began):
            # A change that is running goes on to count, whichever of the two it belongs to.
            if mine is not None:
                entry.changed = max(entry.changed, mine.changed)
            self._entries[key] = entry
        if change is not None and (pending is None or pending.began < change.began):
            self._pending[key] = change
        if other in self._created:
            self._created.add(key)

    def _entry(self, key: str) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
            _drop_oldest(self._entries)
        else:
            self._entries.move_to_end(key)
        return entry

    def _remember(self, key: str, change: Change) -> None:
        self._pending[key] = change
        self._pending.move_to_end(key)
        _drop_oldest(self._pending)

    def _show(self, key: str, change: Change) -> None:
        change.shown = True
        if self._pending.get(key) is change:
            del self._pending[key]

    def _shows_effect(self, command: Command, observation: Observation) -> bool:
        if observation.status is None or observation.began < command.answered:
            return False
        if command.name == "create":
            # The create is over when provisioning has ended, not when the server is first observed.
            return observation.status not in ("", command.transitional_status)
        return took_effect(command, [observation], grace=math.inf, habits=self.habits)

    def _refuse(self, key: str, change: Change) -> None:
        change.refused = True
        if self._pending.get(key) is not change:
            return
        del self._pending[key]
        if change.earlier is not None and not change.earlier.shown:
            self._remember(key, change.earlier)


def _drop_oldest(remembered: OrderedDict[str, T]) -> None:
    if len(remembered) > CAPACITY:
        remembered.popitem(last=False)
