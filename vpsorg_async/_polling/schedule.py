"""Who looks when, who does it for the others, and what it costs least to ask. Pure.

Waiters *attend* while they wait for news. One that is due wants a look; a look serves all who attend: it asks for a
few servers by a GET each, or for all by the pages of a list, whichever is fewer requests, and takes along who is due
soon. While a look is on the wire those whom it serves are not due: they *hang on* it.
"""

from __future__ import annotations

import heapq
import itertools
import math

from typing import TYPE_CHECKING, Generic, TypeVar

import attrs


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

LAST_LOOK = 0.95
"""Seconds that the look on the wire at a wait's deadline gets beyond it: the wait has ended a second after it."""

MOST_GETS_UNASKED = 10
"""So many servers are asked for one by one when nobody knows how many pages a list has."""

_MANY = 32
"""When more waiters than this are let go at once, ordering all anew is cheaper than one by one (assumed)."""


@attrs.define(eq=False, repr=False, kw_only=True)
class Waiter:
    """Somebody who wants observations of one server, of several, or of all.

    Attributes:
        keys: the servers' ids as strings; `None`: every server of the account.
        interval: seconds from a look to the next, by the seconds waited until then.
        began: when it began to wait, in seconds on the client's clock, as all times here.
        deadline: when it gives up; infinity: never.
        expires: when it gives up even with a look on the wire.
        due: when it wants its next look; `early`: from when on it is taken along by others' looks.
        final: whether its last look has been made.
        asks: ids that must be asked for by a GET, as no list will do.
        ready: whether it attends, and nothing has been decided for it.
        hanging: looks on the wire that it hangs on.
        carrying: whether it does looks itself.
        number: its place in the order of coming.
    """

    keys: frozenset[str] | None
    interval: Callable[[float], float]
    began: float
    deadline: float = math.inf
    expires: float = math.inf
    due: float = attrs.field(init=False)
    early: float = attrs.field(init=False)
    final: bool = attrs.field(init=False, default=False)
    asks: frozenset[str] = attrs.field(init=False, default=frozenset())
    ready: bool = attrs.field(init=False, default=False)
    hanging: int = attrs.field(init=False, default=0)
    carrying: bool = attrs.field(init=False, default=False)
    number: int = attrs.field(init=False, factory=itertools.count().__next__)
    # Whether the heap of those who could lead has it.
    _queued: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.due = self.early = self.began

    def looked(self, began: float, now: float) -> None:
        """Note that a look begun at *began* has ended *now*: find the time of the next."""
        self.final = began >= self.deadline or now >= self.deadline
        interval = self.interval(began - self.began)
        self.due = min(self.deadline, max(now, began + interval))
        self.early = self.due - interval / 2

    def postpone(self, until: float) -> None:
        """Look no sooner than *until*."""
        self.due = self.early = max(self.due, until)

    def ask(self, key: str, now: float) -> None:
        """Want a GET of *key*, at once."""
        self.asks |= {key}
        self.due = self.early = min(self.due, now)


W = TypeVar("W", bound=Waiter)


@attrs.frozen
class Size:
    """How many servers the account has, and how many a page of the list shows, as last seen."""

    total: int
    page: int

    @property
    def pages(self) -> int:
        """How many requests it takes to list all."""
        return max(1, -(-self.total // max(1, self.page)))


@attrs.define(eq=False, repr=False)
class Look(Generic[W]):
    """One look that somebody is to do, or does: a GET of *key*, or, without one, the pages of the list."""

    key: str | None
    carrier: W
    waiters: list[W]


def expiry(began: float, deadline: float, attempt_timeout: float | None) -> float:
    """Return when a wait gives up with its last look on the wire.

    That look gets a little more than the deadline; with `timeout=0`, which gives it no time, that of one try.
    """
    if deadline == began:
        return math.inf if attempt_timeout is None else began + attempt_timeout
    return deadline + LAST_LOOK


class Schedule(Generic[W]):
    """The waiters who attend. Told the time, never asks it; every method changes all that it changes at once."""

    def __init__(self) -> None:
        self._ready: dict[int, W] = {}
        # Ordered by due and expires; those who ask for a GET apart. Entries that no longer hold are dropped where they
        # come up.
        self._dues: list[tuple[float, int, W]] = []
        self._asking: list[tuple[float, int, W]] = []
        self._expiries: list[tuple[float, int, W]] = []
        # Those who could lead: the latest deadline first, then the oldest.
        self._leaders: list[tuple[float, int, W]] = []
        self._disordered = False
        # Nobody can be taken along before.
        self._earliest = math.inf

    def sit(self, waiter: W, now: float) -> None:
        """Let *waiter* attend from *now* on."""
        if now >= waiter.deadline > waiter.began:
            # It was away when its deadline passed, and has its last look to come.
            waiter.expires = max(waiter.expires, now + LAST_LOOK)
        waiter.ready = True
        self._ready[waiter.number] = waiter
        if waiter.expires < math.inf:
            heapq.heappush(self._expiries, (waiter.expires, waiter.number, waiter))
        self.moved(waiter)
        self._offer(waiter)

    def rise(self, waiter: W) -> None:
        """Let *waiter* attend no longer."""
        waiter.ready = False
        self._ready.pop(waiter.number, None)
        self._bound()

    def moved(self, waiter: W) -> None:
        """Note that the due time of *waiter* has changed."""
        if not waiter.ready or waiter.hanging or self._disordered:
            return
        if waiter.asks:
            heapq.heappush(self._asking, (waiter.due, waiter.number, waiter))
        else:
            heapq.heappush(self._dues, (waiter.due, waiter.number, waiter))
            self._note_early(waiter)
        self._bound()

    @property
    def next_at(self) -> float:
        """When somebody is due or expires; infinity: never, as things stand."""
        self._order()
        for heap in (self._dues, self._asking):
            while heap and not _wants(heap[0][2], heap[0][0], asking=heap is self._asking):
                heapq.heappop(heap)
        while self._expiries and not _expires(self._expiries[0][2], self._expiries[0][0]):
            heapq.heappop(self._expiries)
        return min(heap[0][0] if heap else math.inf for heap in (self._dues, self._asking, self._expiries))

    def expired(self, now: float) -> list[W]:
        """Return those who give up by *now*."""
        found = []
        while self._expiries and self._expiries[0][0] <= now:
            at, _, waiter = heapq.heappop(self._expiries)
            if _expires(waiter, at):
                found.append(waiter)
        # One who came back stands there twice.
        return list(dict.fromkeys(found))

    def looks(self, now: float, size: Size | None) -> list[Look[W]]:
        """Return the looks to make *now*, each with who is to do it; those whom they serve hang on them."""
        if self.next_at > now:
            return []
        gets: dict[str, list[W]] = {}
        for waiter in self._take_asking(now):
            for key in waiter.asks:
                gets.setdefault(key, []).append(waiter)
        served = self._take_due(now, size, but=gets.keys())
        for key, waiters in (served or {}).items():
            gets.setdefault(key, []).extend(waiters)
        found = []
        for key, waiters in gets.items():
            look = Look(key, max(waiters, key=_rank), waiters)
            self._hang(look)
            found.append(look)
        if served is None:
            found.append(self._list_look())
        return found

    def _take_asking(self, now: float) -> list[W]:
        found: dict[W, None] = {}
        while self._asking and self._asking[0][0] <= now:
            at, _, waiter = heapq.heappop(self._asking)
            if _wants(waiter, at, asking=True):
                found[waiter] = None
        return list(found)

    def _take_due(self, now: float, size: Size | None, *, but: Collection[str]) -> dict[str, list[W]] | None:
        """Return whom to serve by which GETs: those due and those to be taken along; `None`: by a list."""
        found: dict[str, list[W]] = {}
        for waiter in self._due_and_early(now):
            if waiter.keys is None:
                return None
            for key in waiter.keys:
                found.setdefault(key, []).append(waiter)
            if costs_less_listed(len(found.keys() - but), size):
                return None
        return found

    def _due_and_early(self, now: float) -> Iterator[W]:
        """Give those who are due, and if there are any, those who are to be taken along."""
        taken: dict[W, None] = {}
        while self._dues and self._dues[0][0] <= now:
            at, _, waiter = heapq.heappop(self._dues)
            # Moved twice to the same time, one stands there twice.
            if waiter not in taken and _wants(waiter, at, asking=False):
                taken[waiter] = None
                yield waiter
        if not taken or self._earliest > now:
            return
        self._earliest = math.inf
        for waiter in self._ready.values():
            if waiter.hanging or waiter.asks or waiter in taken:
                continue
            if waiter.early <= now:
                yield waiter
            else:
                self._note_early(waiter)

    def _note_early(self, waiter: W) -> None:
        if waiter.early < waiter.due:
            self._earliest = min(self._earliest, waiter.early)

    def let_go(self, look: Look[W], waiters: Iterable[W] | None = None) -> None:
        """Let those who hang on *look*, or only *waiters* of them, hang on it no longer; they may be due at once."""
        gone = set(look.waiters if waiters is None else waiters)
        look.waiters = [waiter for waiter in look.waiters if waiter not in gone]
        self._disordered = self._disordered or len(gone) > _MANY
        for waiter in gone:
            waiter.hanging -= 1
            self.moved(waiter)

    def put_down(self, carrier: W) -> None:
        """Note that *carrier* does no look any more."""
        carrier.carrying = False
        if carrier.ready:
            self._offer(carrier)

    def leader(self) -> W | None:
        """Return who is to watch the time, or to do a look for all: of those free the one with the latest deadline."""
        while self._leaders:
            waiter = self._leaders[0][2]
            if waiter.ready and not waiter.carrying:
                return waiter
            heapq.heappop(self._leaders)
            waiter._queued = False  # noqa: SLF001 - the heap's own mark
        return None

    def _list_look(self) -> Look[W]:
        carrier = self.leader()
        assert carrier is not None
        look = Look(None, carrier, [waiter for waiter in self._ready.values() if not waiter.hanging])
        if carrier.hanging:
            look.waiters.append(carrier)
        self._hang(look)
        # All hang on it: nobody is due.
        self._disorder()
        self._disordered = False
        return look

    def _hang(self, look: Look[W]) -> None:
        for waiter in look.waiters:
            waiter.hanging += 1
        look.carrier.carrying = True

    def _offer(self, waiter: W) -> None:
        if not waiter._queued:  # noqa: SLF001 - the heap's own mark
            waiter._queued = True  # noqa: SLF001 - the same
            heapq.heappush(self._leaders, (-waiter.deadline, waiter.number, waiter))

    def _bound(self) -> None:
        """Drop the entries of those who have gone or moved, once there are more of them than of the others.

        Below a waiter without end they would never come up.
        """
        most = 2 * len(self._ready) + (_MANY if self._ready else 0)
        if max(len(self._dues), len(self._asking), len(self._leaders), len(self._expiries)) <= most:
            return
        for _, _, waiter in self._leaders:
            waiter._queued = False  # noqa: SLF001 - the heap's own mark
        self._leaders.clear()
        self._expiries.clear()
        for waiter in self._ready.values():
            if waiter.expires < math.inf:
                self._expiries.append((waiter.expires, waiter.number, waiter))
            if not waiter.carrying:
                self._offer(waiter)
        heapq.heapify(self._expiries)
        self._disorder()

    def _disorder(self) -> None:
        """Order those who are due anew, when that is asked for."""
        self._dues.clear()
        self._asking.clear()
        self._disordered = True

    def _order(self) -> None:
        if not self._disordered:
            return
        self._disordered = False
        self._earliest = math.inf
        for waiter in self._ready.values():
            if not waiter.hanging:
                heap = self._asking if waiter.asks else self._dues
                heap.append((waiter.due, waiter.number, waiter))
                self._note_early(waiter)
        heapq.heapify(self._asking)
        heapq.heapify(self._dues)


def costs_less_listed(keys: int, size: Size | None) -> bool:
    """Return whether a list takes fewer requests than a GET for each of so many servers."""
    return keys > (MOST_GETS_UNASKED if size is None else size.pages)


def _wants(waiter: Waiter, at: float, *, asking: bool) -> bool:
    """Return whether an entry of those who are due, or of those who ask, still holds."""
    return waiter.ready and not waiter.hanging and bool(waiter.asks) is asking and waiter.due == at


def _expires(waiter: Waiter, at: float) -> bool:
    return waiter.ready and waiter.expires == at


def _rank(waiter: Waiter) -> tuple[bool, float, int]:
    return not waiter.carrying, waiter.deadline, -waiter.number
