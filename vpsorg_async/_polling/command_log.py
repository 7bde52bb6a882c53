"""Remembers for each server the last command of this client and the newest observation."""

from __future__ import annotations

import math

from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import attrs

from .._models import ServerStatus
from .admission import Record
from .lifecycle import TRANSITIONS, Command, Observation, took_effect


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from .._models import Server

T = TypeVar("T")

CAPACITY = 20_000
"""The number of servers that are remembered (assumed: an account has no more; they take some 10 MB)."""


# Looked up once, because looking up a member of an enum is slow.
_ACTIVE = ServerStatus.ACTIVE


@attrs.define(eq=False)
class _Entry:
    """The memory of one server."""

    record: Record = attrs.field(factory=Record)
    # The status in the newest observation, and its `updated_at`.
    status: str | None = None
    updated_at: datetime | None = None
    # The number of running changes by this client, and when the last one was answered.
    changing: int = 0
    changed: float = -1.0

    def admit(self, server: Server | None, began: float, ended: float, *, listed: bool) -> bool:
        """Learn from an observation, and return whether it was believed."""
        if not self.record.admit(server, began, ended, listed=listed):
            return False
        self.status, self.updated_at = (None, None) if server is None else (server.status, server.updated_at)
        return True

    def updated_at_in(self, status: ServerStatus) -> datetime | None:
        """Return `updated_at` of the newest observation if that showed the server in *status*."""
        return self.updated_at if self.status == status else None


@attrs.define(eq=False)
class Change:
    """A change of one server by this client, from its request on.

    Attributes:
        server_id: the server.
        began: when its call began, in seconds on the client's clock.
        baseline: `updated_at` of an observation that ended before and showed it active, with no other change of this
            client in between.
        own: the command, if the change is one.
        earlier: the previous command, which applies again if this one was not executed.
        refused: whether the API refused it.
        shown: whether its effect was observed.
    """

    server_id: int | str
    began: float
    baseline: datetime | None = None
    own: Command | None = None
    earlier: Change | None = None
    refused: bool = False
    shown: bool = False

    @property
    def command(self) -> Command | None:
        """The command whose effect a wait is for: this one, or the previous one if this one was refused."""
        if not self.refused:
            return self.own
        return None if self.earlier is None or self.earlier.shown else self.earlier.command


class CommandLog:
    """Remembers the last command and the newest observation of the 20,000 servers that were used last."""

    def __init__(self) -> None:
        # Oldest first.
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        # Commands whose effect was not observed yet. Kept apart from observations, which a list brings by the thousand.
        self._pending: OrderedDict[str, Change] = OrderedDict()
        # Ids that creates of this client returned. No other create may adopt them. One small string for each.
        self._created: set[str] = set()

    @contextmanager
    def changing(self, server_id: int | str, now: float, name: str | None = None) -> Iterator[Change]:
        """Mark that a change by this client is running. Observations during it are no baseline for the next one.

        *name* is the name of a command. Until the command is answered, waits take no observation for proof. A change
        that ends without `changed` was not executed.
        """
        key = str(server_id)
        entry = self._entry(key)
        untouched = not entry.changing and entry.record.began > entry.changed
        # Only of a server at rest: the end of a transition moves `updated_at`, also after a command was sent.
        baseline = entry.updated_at_in(_ACTIVE) if untouched and entry.record.ended <= now else None
        change = Change(server_id, now, baseline)
        if name is not None:
            old = entry.updated_at_in(TRANSITIONS[name].transitional_status)
            change.own = Command(name=name, began=now, answered=math.inf, baseline=baseline, old_transition=old)
            change.earlier = self._pending.get(key)
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
        self, change: Change, now: float, *, date: datetime | None = None, lost: bool = False, shown: bool = False
    ) -> None:
        """Note that *change* was answered *now*. If *lost*, its response was lost, and it may have been executed.

        If *shown*, its effect was observed already.
        """
        key = str(change.server_id)
        entry = self._entry(key)
        entry.changed = max(entry.changed, now)
        if change.own is None:
            return
        change.own = attrs.evolve(change.own, answered=now, date=date, lost=lost)
        change.earlier = None
        # A later command that is still running applies in place of both.
        latest = self.pending(key)
        if latest is None or latest.own is None or latest.own.answered < math.inf:
            self._remember(key, change)
        if shown:
            self._show(key, change)

    def created(self, server: Server, command: Command) -> None:
        """Note that a create of this client returned *server*."""
        key = str(server.id)
        self._created.add(key)
        entry = self._entry(key)
        entry.changed = command.answered
        command = attrs.evolve(command, seen=entry.record.first_seen is not None)
        self._remember(key, Change(server.id, command.began, own=command))

    def is_ours(self, server: Server, *, since: float) -> bool:
        """Return whether a create of this client that began at *since* may adopt *server*.

        It may not if another create has returned the server, or if the server was seen before.
        """
        key = str(server.id)
        entry = self._entries.get(key)
        first_seen = None if entry is None else entry.record.first_seen
        seen_before = first_seen is not None and first_seen <= since
        return key not in self._created and not seen_before

    def pending(self, server_id: int | str) -> Change | None:
        """Return the last command to the server whose effect was not observed yet, or that is running."""
        return self._pending.get(str(server_id))

    def is_gone(self, server_id: int | str) -> bool:
        """Return whether the last GET said that there is no such server."""
        entry = self._entries.get(str(server_id))
        return entry is not None and entry.record.gone

    def admit(self, server_id: int | str, observation: Observation) -> bool:
        """Learn from an observation if it is not out of date, and return whether it was believed.

        A command whose effect the observation shows is pending no more.
        """
        key, server = str(server_id), observation.server
        entry = self._entry(key)
        believed = entry.admit(server, observation.began, observation.ended, listed=observation.listed)
        change = self.pending(key)
        command = None if change is None else change.command
        if change is None or command is None:
            return believed
        if believed and _shows_effect(command, observation):
            self._show(key, change)
        if server is not None and command.name == "create" and not command.seen:
            # Also if it is out of date: the server has been there.
            change.own = attrs.evolve(command, seen=True)
        return believed

    def admit_listed(self, servers: Iterable[Server], began: float, ended: float) -> None:
        """Learn from a page of a list, as `admit` does, at a third of the cost for most servers."""
        for server in servers:
            key = str(server.id)
            if key in self._pending:
                self.admit(key, Observation(began=began, ended=ended, server=server, listed=True))
            else:
                self._entry(key).admit(server, began, ended, listed=True)

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


def _shows_effect(command: Command, observation: Observation) -> bool:
    if observation.server is None or observation.began < command.answered:
        return False
    if command.name == "create":
        # The create is over when provisioning has ended, not when the server is first observed.
        return observation.status not in ("", command.transitional_status)
    return took_effect(command, [observation], grace=float("inf"))
