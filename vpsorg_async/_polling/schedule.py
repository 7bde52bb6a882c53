"""Decides when to poll, which task runs the poll, and whether one list or several GETs is cheaper. Pure.

Entries *attend* while their tasks wait for news. An entry that is due wants a poll: a GET of its server, or the list.
A list serves all entries that attend. So it is chosen by what it spares them all, and not by the few that are due at
this moment (`pace.py`). An entry that waits for a running poll is not due.
"""

from __future__ import annotations

import heapq
import math

from typing import TYPE_CHECKING

from .entry import LAST_POLL, Poll, PollEntry
from .list_health import ListHealth
from .missing import MissingServers
from .pace import Pace, list_is_cheaper


if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .entry import Size

_MANY = 32
"""If more entries than this are released at once, sorting all of them anew is cheaper than one by one (assumed)."""

Heap = list[tuple[float, int, PollEntry]]


class Schedule:
    """The entries that attend. It is told the time, and each method changes all that it changes at once."""

    def __init__(self, patience: float = math.inf, pace: Pace | None = None) -> None:
        # So long without a page, besides the time in which it waits for its turn, a list is taken for one that hangs.
        self._patience = patience
        self.pace = Pace() if pace is None else pace
        self._attending: dict[int, PollEntry] = {}
        # Ordered by due and expires; entries that ask for a GET have a heap of their own. An item that no longer holds
        # is dropped when it comes up.
        self._dues: Heap = []
        self._asking: Heap = []
        self._expiries: Heap = []
        # Possible leaders: the latest deadline first, then the oldest.
        self._leaders: Heap = []
        self._unsorted = False
        self.missing = MissingServers()
        self.health = ListHealth()
        # The lists that are being read, and when each is taken for one that hangs.
        self._reading: dict[Poll, float] = {}
        # Entries that are due and came after the list that is being read had begun, and when they were due. The next
        # list is for them.
        self._held: dict[PollEntry, float] = {}

    def join(self, entry: PollEntry, now: float) -> None:
        """Let *entry* attend from *now* on."""
        if now >= entry.expires and entry.deadline > max(entry.began, entry.left):
            # Something has blocked the event loop since before the deadline: the last poll is still to be made.
            entry.expires = now + LAST_POLL
        entry.attending = True
        self._attending[entry.number] = entry
        self.pace.add(entry)
        entry.begin(self.pace.interval)
        if entry.expires < math.inf:
            heapq.heappush(self._expiries, (entry.expires, entry.number, entry))
        self.moved(entry)
        self._offer(entry)

    def leave(self, entry: PollEntry) -> None:
        """Let *entry* attend no longer."""
        if entry.attending:
            self.pace.drop(entry)
        entry.attending = False
        self._attending.pop(entry.number, None)
        if entry in self._held:
            # A watch comes back, and is due then.
            entry.let_go(self._held.pop(entry))
        self.missing.discard(entry)
        self._bound()

    def moved(self, entry: PollEntry) -> None:
        """Note that *entry* is due at another time, or wants other GETs."""
        if not entry.attending:
            return
        if entry.missing:
            self.missing.add(entry)
        if entry.awaits or self._unsorted:
            return
        if entry.asks:
            heapq.heappush(self._asking, (entry.due, entry.number, entry))
        else:
            heapq.heappush(self._dues, (entry.due, entry.number, entry))
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
        return min([*times, self.missing.next_at(), self._next_slow_at()])

    def expired(self, now: float) -> list[PollEntry]:
        """Return the entries that have expired *now*."""
        found: list[PollEntry] = []
        while self._expiries and self._expiries[0][0] <= now:
            at, _, entry = heapq.heappop(self._expiries)
            if _expires(entry, at):
                found.append(entry)
        # An entry that left and came back is there twice.
        return list(dict.fromkeys(found))

    def polls(self, now: float, size: Size | None) -> list[Poll]:
        """Return the polls to make *now*, each with its runner. The entries that they serve wait for them."""
        self.pace.size = size
        if self.next_at > now:
            return []
        self._give_up_slow_lists(now)
        gets: dict[str, dict[PollEntry, None]] = {}
        missing = self.missing.take(now)
        for entry, key in (*self._take_asking(now), *missing):
            gets.setdefault(key, {})[entry] = None
        taken = {entry for entries in gets.values() for entry in entries}
        readers: list[PollEntry] | None = None
        if self.health.trusted:
            served = self._take_due(now, size, taken=taken, keys=gets.keys())
            lists = served is None
        else:
            served, readers, lists = self._take_due_in_doubt(now, size, taken=taken)
        for key, entries in (served or {}).items():
            gets.setdefault(key, {}).update(dict.fromkeys(entries))
        found: list[Poll] = []
        for key, wanted in gets.items():
            missed = frozenset(entry for entry, other in missing if other == key)
            found.append(self._get_poll(key, wanted, missed, fresh={poll.runner for poll in found}))
        return [*found, *self._list_polls(now, readers)] if lists else found

    def _get_poll(
        self, key: str, wanted: dict[PollEntry, None], missed: frozenset[PollEntry], fresh: set[PollEntry]
    ) -> Poll:
        runner = max(wanted, key=_rank)
        if runner.running and runner not in fresh:
            # Busy, for example with a list that serves nobody and may hang.
            runner = self.leader() or runner
            wanted[runner] = None
        poll = Poll(key, runner, list(wanted), missed)
        self._begin(poll)
        return poll

    def _list_polls(self, now: float, readers: list[PollEntry] | None) -> list[Poll]:
        """Return a list poll for *readers*, `None` for all; none if nobody is free to run it."""
        runner = self.leader()
        if runner is None:
            # Everybody runs a poll: the first who has ended runs the list.
            self._clear()
            return []
        if readers is None:
            readers = [entry for entry in self._attending.values() if not entry.awaits]
            if runner.awaits:
                readers.append(runner)
            # Every entry waits for the list, so none is due.
            self._clear()
            self._unsorted = False
        poll = Poll(None, runner, readers, trial=not readers)
        self._begin(poll)
        self._reading[poll] = now + self._patience + self.pace.waiting_for_turns
        return [poll]

    def _take_asking(self, now: float) -> list[tuple[PollEntry, str]]:
        found: dict[PollEntry, None] = {}
        while self._asking and self._asking[0][0] <= now:
            at, _, entry = heapq.heappop(self._asking)
            if _is_due(entry, at, asking=True):
                found[entry] = None
        return [(entry, key) for entry in found for key in entry.asks]

    def _take_due(
        self, now: float, size: Size | None, *, taken: Collection[PollEntry], keys: Collection[str]
    ) -> dict[str, list[PollEntry]] | None:
        """Return the servers to ask for by a GET each, with the entries that are due; `None` is a list.

        The entries in *taken* have been served already, and GETs of *keys* are made anyway.
        """
        found: dict[str, list[PollEntry]] = {}
        for entry in self._pop_due(now):
            if entry in taken:
                continue
            if entry.keys is None:
                return None
            if entry.is_in_round and self.pace.lists(entry):
                if not self.is_reading:
                    return None
                self._held[entry] = entry.hold()
                self.moved(entry)
                continue
            for key in entry.keys:
                found.setdefault(key, []).append(entry)
            if list_is_cheaper(len(found.keys() - keys), size):
                return None
        return found

    def _take_due_in_doubt(
        self, now: float, size: Size | None, *, taken: Collection[PollEntry]
    ) -> tuple[dict[str, list[PollEntry]], list[PollEntry], bool]:
        """Do without the list, where that is possible.

        Return the servers to ask for by a GET each, the entries that need a list, and whether one is to be read. If so
        many wait that a list would be read for them, they are asked for within the ration, and a list is tried.
        """
        due = [entry for entry in self._pop_due(now) if entry not in taken]
        readers = [entry for entry in due if entry.keys is None]
        found: dict[str, list[PollEntry]] = {}
        for entry in due:
            for key in entry.keys or ():
                found.setdefault(key, []).append(entry)
        if not list_is_cheaper(max(len(found), len(self._attending)), size):
            return found, readers, bool(readers)
        for entry in due:
            if entry.keys is not None:
                entry.pass_over(now)
                self.moved(entry)
        return {}, readers, bool(readers) or (not self._reading and self.health.may_be_tried(now))

    def _pop_due(self, now: float) -> Iterator[PollEntry]:
        found: set[PollEntry] = set()
        while self._dues and self._dues[0][0] <= now:
            at, _, entry = heapq.heappop(self._dues)
            # An entry that was moved twice to the same time is there twice.
            if entry not in found and _is_due(entry, at, asking=False):
                found.add(entry)
                yield entry

    # Lists that hang

    def _next_slow_at(self) -> float:
        return min(self._reading.values()) if self._reading else math.inf

    @property
    def is_reading(self) -> bool:
        """Whether a list is being read that does not hang."""
        return bool(self._reading) and min(self._reading.values()) < math.inf

    def _let_go(self) -> None:
        """Let those be due who waited for the end of a list. Some may have left, or wait for another poll."""
        held, self._held = self._held, {}
        for entry, due in held.items():
            entry.let_go(due)
            self.moved(entry)

    def _give_up_slow_lists(self, now: float) -> None:
        """Rely no longer on lists that hang: they go on, and those who can do without them wait for them no longer."""
        for poll, at in self._reading.items():
            if at > now:
                continue
            self._reading[poll] = math.inf
            released = [entry for entry in poll.entries if entry.keys is not None]
            if released:
                self.health.hangs(now)
                self.missing.doubt()
                self.release(poll, released)
                poll.trial = not poll.entries
            self._let_go()
        self._sort()

    def prefers_gets(self, poll: Poll, size: Size | None) -> bool:
        """Whether all who wait for *poll*, a list, are better served by GETs, now that its size is known."""
        self.pace.size = size
        return size is not None and not self.pace.by_list and all(entry.keys is not None for entry in poll.entries)

    def list_goes_on(self, poll: Poll, now: float) -> None:
        """Note that a list has shown another page."""
        if self._reading.get(poll, math.inf) < math.inf:
            self._reading[poll] = now + self._patience + self.pace.waiting_for_turns

    def ended(self, poll: Poll) -> None:
        """Note that *poll* is over: its entries wait for it no longer."""
        poll.ended = True
        self._reading.pop(poll, None)
        if poll.key is not None:
            self.missing.ended(poll.key)
        self.release(poll)
        if poll.key is None:
            self._let_go()

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

        The new runner waits for the poll too, whether or not the poll brings anything for it, but not for a trial.
        """
        self.release(poll, [poll.runner])
        successor = self.leader()
        if successor is None:
            return None
        poll.runner = successor
        successor.running = True
        if successor not in poll.entries and not poll.trial:
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

    def _begin(self, poll: Poll) -> None:
        for entry in poll.entries:
            entry.awaits += 1
        poll.runner.running = True
        if poll.key is not None:
            self.missing.begun(poll.key)

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
        for entry in self._attending.values():
            if not entry.awaits:
                heap = self._asking if entry.asks else self._dues
                heap.append((entry.due, entry.number, entry))
        heapq.heapify(self._asking)
        heapq.heapify(self._dues)


def _is_due(entry: PollEntry, at: float, *, asking: bool) -> bool:
    """Return whether an item of the due entries, or of the asking ones, still holds."""
    return entry.attending and not entry.awaits and bool(entry.asks) is asking and entry.due == at


def _expires(entry: PollEntry, at: float) -> bool:
    return entry.attending and entry.expires == at


def _rank(entry: PollEntry) -> tuple[bool, float, int]:
    return not entry.running, entry.deadline, -entry.number
