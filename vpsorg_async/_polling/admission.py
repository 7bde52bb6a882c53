"""Decides which observations of a server are new enough to be believed. Pure.

Every observation passes `Record.admit` before anything learns from it. The rules, in order:

1. An observation whose request began before that of one which was admitted is out of date.
2. So is a 404 whose request began before the server was first seen: the server may have been created in between.
3. A server with an `updated_at` older than one that was handed out is *suspect*: a replica may lag. It is held back
   until a newer one comes, or until only suspects have come for a grace. Then the clock itself has gone back: the
   newest suspect is believed, and the others are compared with it once more, as later ones are. The grace counts from
   the moment at which the newer time had come: a suspect may have been asked for long before it.

`updated_at` is no version number. The nodes of an API may have clocks that differ, local times go back once a year, and
a list may tell less of a time than a GET. Rule 3 can therefore delay what is believed, and never prevents it.
"""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

import attrs

from .stamps import is_older


if TYPE_CHECKING:
    from datetime import datetime

    from .._models import Server
    from .lifecycle import Observation

GRACE = 15.0
"""The grace in seconds of the command log and of watches. It is the default of `PollPolicy.grace` too."""

BELIEVED = -math.inf
"""What `Record.admit` returns for an observation that nothing speaks against."""

OUTDATED = math.inf
"""What it returns for one that is out of date."""


@attrs.define(eq=False)
class Mark:
    """The newest `updated_at` that was handed out, and since when all that came was older. Times are in seconds.

    Attributes:
        newest: the newest `updated_at`; `None` before the first.
        seen: when the last response that showed it had come.
        since: from when on all that came was older: when the request of the first suspect began, but not before
            `seen`. `None` if the last observation was no suspect.
        overruled: the newest `updated_at` of all, in case it was overruled by later observations.
        next: the mark of the suspects themselves, which has none; `None` if they need none.
    """

    newest: datetime | None = None
    seen: float = -math.inf
    since: float | None = None
    overruled: datetime | None = None
    next: Mark | None = None

    def take(self, updated_at: datetime, began: float, ended: float, grace: float) -> bool:
        """Return whether an observation is believed, and move the mark to it if so.

        Its request began at *began*, and its response had come at *ended*.
        """
        if not is_older(updated_at, self.newest):
            self._move(updated_at, ended)
            self.next = None
            return True
        if self.since is None:
            self.since, self.next = max(began, self.seen), Mark(updated_at, ended)
            return False
        if self.next is not None:
            self.next.note(updated_at, began, ended)
        if began - self.since < grace:
            return False
        return self._overrule(updated_at, ended) is None or self.take(updated_at, began, ended, grace)

    def note(self, updated_at: datetime, began: float, ended: float) -> None:
        """Learn that an observation shows *updated_at*, whatever else is believed."""
        if not is_older(updated_at, self.newest):
            self._move(updated_at, ended)
        elif self.since is None:
            self.since = max(began, self.seen)

    def _move(self, updated_at: datetime, ended: float) -> None:
        self.newest = updated_at if self.newest is None else max(updated_at, self.newest)
        self.seen, self.since = max(ended, self.seen), None

    def _overrule(self, updated_at: datetime, ended: float) -> float | None:
        """Let the newest suspect be the mark, if there is one, and the newest observation otherwise.

        There is one the first time. The second time *updated_at* is believed, so that two graces are the longest.
        Return since when observations older than the new mark have come, or `None` if there are none.
        """
        assert self.newest is not None
        self.overruled = self.newest if self.overruled is None else max(self.newest, self.overruled)
        marked = Mark(updated_at, ended) if self.next is None else self.next
        self.newest, self.seen, self.since, self.next = marked.newest, marked.seen, marked.since, None
        return self.since

    def take_outdated(self, updated_at: datetime, ended: float) -> None:
        """Learn from an observation that is out of date that an `updated_at` as new as this exists."""
        if self.newest is None or (updated_at > self.newest and not self.has_overruled(updated_at)):
            self._move(updated_at, ended)
            self.next = None

    def has_overruled(self, updated_at: datetime) -> bool:
        """Return whether later observations have overruled *updated_at*, or a newer one."""
        return self.overruled is not None and not is_older(self.overruled, updated_at)


@attrs.define(eq=False)
class Record:
    """The newest that was admitted of one server. Times are seconds on the client's clock.

    Attributes:
        first_seen: when the first observation that showed the server had ended; `None` before.
        began: when the request of the newest admitted observation began.
        ended: when its response had come.
        mark: the newest `updated_at`.
        gone: whether the newest GET said that there is no such server.
    """

    first_seen: float | None = None
    began: float = -math.inf
    ended: float = -math.inf
    mark: Mark = attrs.field(factory=Mark)
    gone: bool = False

    def admit(self, server: Server | None, began: float, ended: float, *, listed: bool = False) -> float:
        """Learn from an observation, or, without a server, from a 404. Return since when it and all others are suspect.

        That is `BELIEVED` if it is not, and `OUTDATED` if it is out of date. Only a time is ever compared with a grace.

        An observation that is out of date adds only what it alone may know: that the server has been seen, and that
        an `updated_at` as new as this exists, so that replicas that show an older one lag.
        """
        if server is None:
            if began < self.began or (self.first_seen is not None and began < self.first_seen):
                return OUTDATED
        else:
            if self.first_seen is None:
                self.first_seen = ended
            updated_at = server.updated_at
            if began < self.began:
                if updated_at is not None:
                    self.mark.take_outdated(updated_at, ended)
                return OUTDATED
            if updated_at is not None and not self.mark.take(updated_at, began, ended, GRACE):
                assert self.mark.since is not None
                return self.mark.since
        self.began, self.ended = began, ended
        if not listed:
            self.gone = server is None
        return BELIEVED


def newer(one: Observation, other: Observation) -> Observation:
    """Return the newer of two observations of one server in one list, which shows it twice when it moves a page.

    An older `updated_at` loses, as it is suspect beside the other. Then the earlier request loses. Otherwise *other*
    wins, which came later.
    """
    assert one.server is not None
    assert other.server is not None
    if is_older(other.server.updated_at, one.server.updated_at):
        return one
    if is_older(one.server.updated_at, other.server.updated_at):
        return other
    return one if one.began > other.began else other
