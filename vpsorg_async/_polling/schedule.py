"""Decides when to poll, which task runs the poll, and whether one list or several GETs is cheaper. Pure.

Entries *attend* while their tasks wait for news. An entry that is due wants a poll. One poll serves all entries that
attend: it is a GET for each of a few servers, or the pages of the list, whichever takes fewer requests. It takes along
the entries that are due soon. An entry that waits for a running poll is not due.
"""

from __future__ import annotations

import heapq
import math

from collections import Counter, deque
from typing import TYPE_CHECKING

from .entry import LAST_POLL, Poll, PollEntry


if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .entry import Size

GETS_A_SECOND = 20
"""The most GETs in any second for servers that a list left out, so that one empty list does not cause thousands."""

RATION_SECONDS = 1.25
"""The time in which so many are begun. It is longer than a second, as GETs may wait for their turn (assumed)."""

MOST_GETS_WITHOUT_SIZE = 10
"""So many servers are asked for by a GET each while the number of pages of the list is unknown (assumed)."""

_MANY = 32
"""If more entries than this are released at once, sorting all of them anew is cheaper than one by one (assumed)."""

Heap = list[tuple[float, int, PollEntry]]


class Schedule:
    """The entries that attend. It is told the time, and each method changes all that it changes at once."""

    def __init__(self) -> None:
        self._attending: dict[int, PollEntry] = {}
        # Ordered by due and expires; entries that ask for a GET have a heap of their own. An item that no longer holds
        # is dropped when it comes up.
        self._dues: Heap = []
        self._asking: Heap = []
        self._expiries: Heap = []
        # Possible leaders: the latest deadline first, then the oldest.
        self._leaders: Heap = []
        self._unsorted = False
        # No entry can be taken along before this time.
        self._earliest = math.inf
        # Entries that miss servers in a list, in the order in which they missed them.
        self._missing: dict[PollEntry, None] = {}
        # When the last GETs for missing servers were made.
        self._rationed: deque[float] = deque(maxlen=GETS_A_SECOND)
        # The servers for which a GET is running, with the number of these GETs.
        self._running: Counter[str] = Counter()

    def join(self, entry: PollEntry, now: float) -> None:
        """Let *entry* attend from *now* on."""
        if now >= entry.deadline > max(entry.began, entry.left):
            # The task was busy otherwise at the deadline: the last poll is still to be made.
            entry.expires = max(entry.expires, now + LAST_POLL)
        entry.attending = True
        self._attending[entry.number] = entry
        if entry.expires < math.inf:
            heapq.heappush(self._expiries, (entry.expires, entry.number, entry))
        self.moved(entry)
        self._offer(entry)

    def leave(self, entry: PollEntry) -> None:
        """Let *entry* attend no longer."""
        entry.attending = False
        self._attending.pop(entry.number, None)
        self._missing.pop(entry, None)
        self._bound()

    def moved(self, entry: PollEntry) -> None:
        """Note that *entry* is due at another time, or wants other GETs."""
        if not entry.attending:
            return
        if entry.missing:
            self._missing[entry] = None
        if entry.awaits or self._unsorted:
            return
        if entry.asks:
            heapq.heappush(self._asking, (entry.due, entry.number, entry))
        else:
            heapq.heappush(self._dues, (entry.due, entry.number, entry))
            self._note_early(entry)
        self._bound()

    @property
    def next_at(self) -> float:
        """When the next entry is due or expires; infinity is never, as things stand."""
        self._sort()
        for heap in (self._dues, self._asking):
            while heap and not _is_due(heap[0][2], heap[0][0], asking=heap is self._asking):
                heapq.heappop(heap)
        while self._expiries and not _expires(self._expiries[0][2], self._expiries[0][0]):
            heapq.heappop(self._expiries)
        times = [heap[0][0] for heap in (self._dues, self._asking, self._expiries) if heap]
        return min([*times, self._next_missing_at()])

    def expired(self, now: float) -> list[PollEntry]:
        """Return the entries that have expired *now*."""
        found = []
        while self._expiries and self._expiries[0][0] <= now:
            at, _, entry = heapq.heappop(self._expiries)
            if _expires(entry, at):
                found.append(entry)
        # An entry that left and came back is there twice.
        return list(dict.fromkeys(found))

    def polls(self, now: float, size: Size | None) -> list[Poll]:
        """Return the polls to make *now*, each with its runner. The entries that they serve wait for them."""
        if self.next_at > now:
            return []
        gets: dict[str, dict[PollEntry, None]] = {}
        missing = self._take_missing(now)
        for entry, key in (*self._take_asking(now), *missing):
            gets.setdefault(key, {})[entry] = None
        taken = {entry for entries in gets.values() for entry in entries}
        served = self._take_due(now, size, taken=taken, keys=gets.keys())
        for key, entries in (served or {}).items():
            gets.setdefault(key, {}).update(dict.fromkeys(entries))
        found = []
        for key, wanted in gets.items():
            missed = frozenset(entry for entry, other in missing if other == key)
            poll = Poll(key, max(wanted, key=_rank), list(wanted), missed)
            self._begin(poll)
            found.append(poll)
        if served is None:
            runner = self.leader()
            if runner is not None:
                found.append(self._list_poll(runner))
            else:
                # Everybody runs a poll: the first who has ended runs the list.
                self._clear()
        return found

    def _take_asking(self, now: float) -> list[tuple[PollEntry, str]]:
        found: dict[PollEntry, None] = {}
        while self._asking and self._asking[0][0] <= now:
            at, _, entry = heapq.heappop(self._asking)
            if _is_due(entry, at, asking=True):
                found[entry] = None
        return [(entry, key) for entry in found for key in entry.asks]

    def _take_missing(self, now: float) -> list[tuple[PollEntry, str]]:
        """Return the missing servers to ask for now, each with an entry that wants it, within the ration."""
        if self._next_missing_at() > now:
            return []
        free = GETS_A_SECOND - sum(at + RATION_SECONDS > now for at in self._rationed)
        found: list[tuple[PollEntry, str]] = []
        keys: dict[str, None] = {}
        for entry in list(self._missing):
            if not entry.missing:
                del self._missing[entry]
            elif not entry.awaits and not entry.asks:
                for key in entry.missing:
                    if key in keys or (len(keys) < free and not self._running[key]):
                        keys[key] = None
                        found.append((entry, key))
            if len(keys) >= free:
                break
        self._rationed.extend(now for _ in keys)
        return found

    def _next_missing_at(self) -> float:
        """Return when the ration allows another GET for a missing server that an entry could wait for."""
        if not any(self._may_ask_for_missing(entry) for entry in self._missing):
            return math.inf
        return self._rationed[0] + RATION_SECONDS if len(self._rationed) == GETS_A_SECOND else -math.inf

    def _may_ask_for_missing(self, entry: PollEntry) -> bool:
        return not entry.awaits and not entry.asks and any(not self._running[key] for key in entry.missing)

    def _take_due(
        self, now: float, size: Size | None, *, taken: Collection[PollEntry], keys: Collection[str]
    ) -> dict[str, list[PollEntry]] | None:
        """Return the servers to ask for by a GET each, with the entries that are due or taken along; `None` is a list.

        The entries in *taken* have been served already, and GETs of *keys* are made anyway.
        """
        found: dict[str, list[PollEntry]] = {}
        for entry in self._due_and_early(now):
            if entry in taken:
                continue
            if entry.keys is None:
                return None
            for key in entry.keys:
                found.setdefault(key, []).append(entry)
            if list_is_cheaper(len(found.keys() - keys), size):
                return None
        return found

    def _due_and_early(self, now: float) -> Iterator[PollEntry]:
        """Yield the entries that are due and, if there are any, the entries that are taken along."""
        found: dict[PollEntry, None] = {}
        while self._dues and self._dues[0][0] <= now:
            at, _, entry = heapq.heappop(self._dues)
            # An entry that was moved twice to the same time is there twice.
            if entry not in found and _is_due(entry, at, asking=False):
                found[entry] = None
                yield entry
        if not found or self._earliest > now:
            return
        self._earliest = math.inf
        for entry in self._attending.values():
            if entry.awaits or entry.asks or entry in found:
                continue
            if entry.early <= now:
                yield entry
            else:
                self._note_early(entry)

    def _note_early(self, entry: PollEntry) -> None:
        if entry.early < entry.due:
            self._earliest = min(self._earliest, entry.early)

    def ended(self, poll: Poll) -> None:
        """Note that *poll* is over: its entries wait for it no longer."""
        poll.ended = True
        if poll.key is not None:
            self._running[poll.key] -= 1
            if not self._running[poll.key]:
                del self._running[poll.key]
        self.release(poll)

    def release(self, poll: Poll, entries: Iterable[PollEntry] | None = None) -> None:
        """Let all entries of *poll*, or only *entries*, wait for it no longer. They may be due at once."""
        released = set(poll.entries if entries is None else entries).intersection(poll.entries)
        poll.entries = [entry for entry in poll.entries if entry not in released]
        self._unsorted = self._unsorted or len(released) > _MANY
        for entry in released:
            entry.awaits -= 1
            self.moved(entry)

    def stopped_running(self, entry: PollEntry) -> None:
        """Note that the task of *entry* runs no poll any more."""
        entry.running = False
        if entry.attending:
            self._offer(entry)

    def hand_on(self, poll: Poll) -> PollEntry | None:
        """Give *poll*, whose runner has stopped, to another entry, and return that; `None` if no entry is free.

        The new runner waits for the poll too, whether or not the poll brings anything for it.
        """
        self.release(poll, [poll.runner])
        successor = self.leader()
        if successor is None:
            return None
        poll.runner = successor
        successor.running = True
        if successor not in poll.entries:
            poll.entries.append(successor)
            successor.awaits += 1
        return successor

    def leader(self) -> PollEntry | None:
        """Return the entry that keeps the time or runs a list: the one with the latest deadline that runs no poll."""
        while self._leaders:
            entry = self._leaders[0][2]
            if entry.attending and not entry.running:
                return entry
            heapq.heappop(self._leaders)
            entry.queued = False
        return None

    def _list_poll(self, runner: PollEntry) -> Poll:
        poll = Poll(None, runner, [entry for entry in self._attending.values() if not entry.awaits])
        if runner.awaits:
            poll.entries.append(runner)
        self._begin(poll)
        # Every entry waits for the list, so none is due.
        self._clear()
        self._unsorted = False
        return poll

    def _begin(self, poll: Poll) -> None:
        for entry in poll.entries:
            entry.awaits += 1
        poll.runner.running = True
        if poll.key is not None:
            self._running[poll.key] += 1

    def _offer(self, entry: PollEntry) -> None:
        if not entry.queued:
            entry.queued = True
            heapq.heappush(self._leaders, (-entry.deadline, entry.number, entry))

    def _bound(self) -> None:
        """Drop the items of entries that left or moved, once there are more of these than of the others.

        Behind an entry without end they would never come up.
        """
        most = 2 * len(self._attending) + (_MANY if self._attending else 0)
        if max(len(self._dues), len(self._asking), len(self._leaders), len(self._expiries)) <= most:
            return
        for _, _, entry in self._leaders:
            entry.queued = False
        self._leaders.clear()
        self._expiries.clear()
        for entry in self._attending.values():
            if entry.expires < math.inf:
                self._expiries.append((entry.expires, entry.number, entry))
            if not entry.running:
                self._offer(entry)
        heapq.heapify(self._expiries)
        self._clear()

    def _clear(self) -> None:
        """Forget the order of the due entries. They are sorted anew when the order is needed."""
        self._dues.clear()
        self._asking.clear()
        self._unsorted = True

    def _sort(self) -> None:
        if not self._unsorted:
            return
        # What is left in the heaps is made anew below.
        self._clear()
        self._unsorted = False
        self._earliest = math.inf
        for entry in self._attending.values():
            if not entry.awaits:
                heap = self._asking if entry.asks else self._dues
                heap.append((entry.due, entry.number, entry))
                self._note_early(entry)
        heapq.heapify(self._asking)
        heapq.heapify(self._dues)


def list_is_cheaper(keys: int, size: Size | None) -> bool:
    """Return whether a list takes fewer requests than a GET for each of so many servers."""
    return keys > (MOST_GETS_WITHOUT_SIZE if size is None else size.pages)


def _is_due(entry: PollEntry, at: float, *, asking: bool) -> bool:
    """Return whether an item of the due entries, or of the asking ones, still holds."""
    return entry.attending and not entry.awaits and bool(entry.asks) is asking and entry.due == at


def _expires(entry: PollEntry, at: float) -> bool:
    return entry.attending and entry.expires == at


def _rank(entry: PollEntry) -> tuple[bool, float, int]:
    return not entry.running, entry.deadline, -entry.number
