"""Decides how closely the waits of a client are asked for, and whether by lists or by a GET each. Pure.

Polls must cost no more than a plain loop would: one GET every `maximum` seconds for each server. Few waits may ask more
often than that, up to two requests a second. A *round* asks for every server once: by a GET each, or by the pages of
the list if these are fewer. The pace is the shortest time between two rounds.
"""

from __future__ import annotations

import math

from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .entry import PollEntry, Size

WINDOW = 30.0
"""Seconds. The ceiling holds in each half minute."""

FEW_AT_MOST = 2.0
"""Requests a second that the polls of a few waits may take."""

CROWD = 10
"""So many waits, or items of a fleet, are a crowd: at two requests a second, each is asked for every 5 seconds."""

SHARE = 0.5
"""The part of a plain loop's requests that lists take for a crowd. Servers are then noticed about as soon as by it."""

MOST_GETS_WITHOUT_SIZE = 10
"""So many servers are asked for by a GET each while the number of pages of the list is unknown (assumed)."""

PROBED_FROM = 5
"""So many waits are worth the first page of a list, which tells how many pages there are (assumed)."""

PAGES_AT_ONCE = 8
"""The pages of a list that are requested together."""

LONGEST_STRETCH = 15.0
"""Seconds between two rounds at most, where the API's own limit leaves polls less than a plain loop takes."""


def list_is_cheaper(keys: int, size: Size | None) -> bool:
    """Return whether a list takes fewer requests than a GET for each of so many servers."""
    return keys > (MOST_GETS_WITHOUT_SIZE if size is None else size.pages)


def spacing(requests: int, a_second: float) -> float:
    """Return the seconds from one round of so many requests to the next, so that no half minute has more than allowed.

    A half minute has a whole number of rounds, of which none may be one too many.
    """
    rounds = math.floor(a_second * WINDOW / requests + 1e-6) if requests else 0
    if rounds >= 1:
        return WINDOW / rounds
    return requests / a_second if requests and a_second else 0.0


def lists_from(asked: Mapping[float, int], pages: int) -> float:
    """Return the longest time between two polls from which on servers are asked for by lists; infinity: none are.

    Those that are to be asked for more often are asked for by GETs. Of all such limits, the one with the fewest
    requests is returned.

    Args:
        asked: the number of servers that are to be asked for every so many seconds, by these seconds.
        pages: the number of pages of a list.
    """
    by_gets, best, least = 0.0, math.inf, sum(count / seconds for seconds, count in asked.items())
    for seconds, count in sorted(asked.items()):
        if by_gets + pages / seconds < least - 1e-9:
            best, least = seconds, by_gets + pages / seconds
        by_gets += count / seconds
    return best


def shortest_gets(asked: Mapping[float, int], a_second: float) -> float:
    """Return the shortest time between two GETs of a server, so that all take at most so many requests a second.

    *asked* has the numbers of servers by the longest time between two GETs. Some are asked for that often anyway.
    """
    count = sum(asked.values())
    for seconds, number in sorted(asked.items()):
        if seconds > spacing(count, a_second):
            break
        count, a_second = count - number, a_second - number / seconds
    return spacing(count, max(0.0, a_second)) or math.inf


@attrs.frozen
class Rounds:
    """The pace of all waits, as things stand.

    Attributes:
        listed_from: waits whose `maximum` is at least this are asked for by lists, the others by GETs.
        gets: the shortest time in seconds between two GETs of a server.
        lists: the shortest time in seconds between two lists.
    """

    listed_from: float
    gets: float
    lists: float


def rounds_of(
    waits: Mapping[float, int], servers: Mapping[float, int], *, crowd: int, pages: int, listed_from: float
) -> Rounds:
    """Return the pace that the ceiling allows.

    Args:
        waits: the number of waits by their `maximum`.
        servers: the number of servers that are waited for, by the same.
        crowd: the number of waits that there are, or that the largest fleet has in progress.
        pages: the number of requests of a list.
        listed_from: waits whose `maximum` is at least this are asked for by lists.
    """
    by_list = sum(number / longest for longest, number in waits.items() if longest >= listed_from)
    by_gets = sum(number / longest for longest, number in waits.items() if longest < listed_from)
    if crowd >= CROWD:
        # None of those that are asked for by GETs is asked for more often than by a plain loop.
        return Rounds(listed_from, math.inf, pages / (SHARE * by_list) if by_list else math.inf)
    allowed = max(FEW_AT_MOST, by_list + by_gets)
    asked = {longest: number for longest, number in servers.items() if longest < listed_from}
    # What a plain loop leaves over goes to the lists, if there are any.
    gets = shortest_gets(asked, by_gets if by_list else allowed)
    return Rounds(listed_from, gets, spacing(pages, allowed - by_gets))


@attrs.define(eq=False)
class _Asked:
    """The servers that are to be asked for every so many seconds."""

    waits: Counter[str] = attrs.field(factory=Counter[str])
    watches: Counter[str] = attrs.field(factory=Counter[str])
    # The number of those that are both waited for and watched.
    both: int = 0

    def count(self, entry: PollEntry, number: int) -> None:
        ours, others = (self.watches, self.waits) if entry.longest is None else (self.waits, self.watches)
        for key in entry.keys or ():
            before = key in ours
            _change(ours, key, number)
            if key in others:
                self.both += (key in ours) - before

    @property
    def servers(self) -> int:
        return len(self.waits) + len(self.watches) - self.both


@attrs.define(eq=False)
class Pace:
    """Counts the waits and watches that attend, and tells from that when each is to be asked for next.

    Attributes:
        size: the size of the account's list, as last seen; `None` if it was not.
        limit: returns how many requests of polls a second the API has room for; `None` if no limit of it is known.
    """

    size: Size | None = None
    limit: Callable[[], float | None] = attrs.field(default=lambda: None)
    # The waits by their `maximum`, the servers by the longest time between two polls, and the waits by their crowd.
    _waits: Counter[float] = attrs.field(factory=Counter[float], init=False)
    _asked: dict[float, _Asked] = attrs.field(factory=dict[float, _Asked], init=False)
    _crowds: Counter[int] = attrs.field(factory=Counter[int], init=False)
    # The pace for the size of the list, until another wait or watch attends.
    _rounds: tuple[Size | None, Rounds] | None = attrs.field(default=None, init=False)

    def add(self, entry: PollEntry) -> None:
        """Count an entry that attends from now on."""
        self._count(entry, 1)

    def drop(self, entry: PollEntry) -> None:
        """Count an entry no longer."""
        self._count(entry, -1)

    def _count(self, entry: PollEntry, number: int) -> None:
        self._rounds = None
        if entry.longest is not None:
            _change(self._crowds, entry.crowd, number)
            _change(self._waits, entry.longest, number)
        if entry.keys is not None:
            asked = self._asked.setdefault(_seconds(entry), _Asked())
            asked.count(entry, number)
            if not asked.servers:
                del self._asked[_seconds(entry)]

    def lists(self, entry: PollEntry) -> bool:
        """Return whether *entry* is asked for by lists. One that turns out to be too long is given up after a page."""
        return _seconds(entry) >= self._now.listed_from

    @property
    def by_list(self) -> bool:
        """Whether anybody is asked for by lists."""
        return self._now.listed_from < math.inf

    @property
    def _now(self) -> Rounds:
        if self._rounds is None or self._rounds[0] != self.size:
            self._rounds = self.size, self._reckon()
        return self._rounds[1]

    def _reckon(self) -> Rounds:
        asked = {seconds: one.servers for seconds, one in self._asked.items()}
        waited = {seconds: len(one.waits) for seconds, one in self._asked.items() if one.waits}
        servers = sum(asked.values())
        if self.size is None:
            probed = min(self._waits.total(), servers) >= PROBED_FROM or list_is_cheaper(servers, None)
            pages, listed_from = servers, 0.0 if probed else math.inf
        else:
            pages, listed_from = self.size.pages, lists_from(asked, self.size.pages)
        crowd = max(self._waits.total(), *self._crowds, 0)
        return rounds_of(self._waits, waited, crowd=crowd, pages=pages, listed_from=listed_from)

    @property
    def waiting_for_turns(self) -> float:
        """The seconds that pages which are requested together may wait for their turns, before they are sent."""
        limit = self.limit()
        return 2 * PAGES_AT_ONCE / limit if limit else 0.0

    def interval(self, natural: float, longest: float) -> float:
        """Return the seconds until a wait is asked for again.

        *natural* is what its policy wants, *longest* the policy's `maximum`. Only the API's own limit makes it longer.
        """
        rounds = self._now
        listed = longest >= rounds.listed_from
        seconds = min(longest, max(natural, rounds.lists if listed else rounds.gets))
        limit = self.limit()
        if not limit:
            return seconds
        servers = sum(one.servers for one in self._asked.values())
        requests = self.size.pages if listed and self.size else servers
        return max(seconds, min(requests / limit, LONGEST_STRETCH))


def _seconds(entry: PollEntry) -> float:
    """Return the longest time between two polls of *entry*: its wait's `maximum`, or its watch's interval."""
    return entry.interval(0.0) if entry.longest is None else entry.longest


def _change(counter: Counter[Any], key: object, number: int) -> None:
    counter[key] += number
    if not counter[key]:
        del counter[key]
