"""Decides when to ask by GETs for servers that a list did not show. Pure.

They are rationed, so that one empty or broken list does not cause thousands of requests at once. While it is in doubt
whether the API responds at all, a few of them are made at first. If these fail as the list did, the API is down, and
their failure counts for all that wait. If one is answered, the others follow.
"""

from __future__ import annotations

import heapq
import math

from collections import Counter, deque
from typing import TYPE_CHECKING

import attrs


if TYPE_CHECKING:
    from collections.abc import Iterable

    from .entry import PollEntry

GETS_A_SECOND = 20
"""The most GETs in any second for servers that a list left out, so that one empty list does not cause thousands."""

RATION_SECONDS = 1.25
"""The time in which so many are begun. It is longer than a second, as GETs may wait for their turn (assumed).

A fleet of deletes expects its servers to be left out, and confirms each. It may begin as many as a plain loop would."""

PROBES = 3
"""So many GETs that fail in a row, after a list has failed, mean that the API is down (assumed)."""

_REMEMBERED = 20_000


@attrs.define(eq=False)
class _Queue:
    """Entries that want GETs, in the order in which they missed servers, and when the last GETs were begun for them."""

    seconds: float = RATION_SECONDS
    entries: dict[PollEntry, None] = attrs.field(factory=dict["PollEntry", None], init=False)
    begun: deque[float] = attrs.field(factory=lambda: deque(maxlen=GETS_A_SECOND), init=False)

    def next_at(self) -> float:
        """Return when another GET may be begun."""
        return self.begun[0] + self.seconds if len(self.begun) == GETS_A_SECOND else -math.inf

    def free(self, now: float) -> int:
        """Return how many GETs may be begun *now*."""
        return GETS_A_SECOND - sum(at + self.seconds > now for at in self.begun)


class MissingServers:
    """The servers that lists did not show, with the entries that want them. Times are seconds on the client's clock."""

    def __init__(self) -> None:
        # The deletes of fleets have a ration of their own.
        self._others, self._deletes = self._queues = _Queue(), _Queue()
        # When each server was last asked for: those whose turn did not come are first the next time.
        self._asked: dict[str, float] = {}
        # The servers for which a GET is running, with the number of these GETs.
        self._running: Counter[str] = Counter()
        # Whether nothing was answered since a list, or the probes, failed. Then at most `PROBES` GETs have failed or
        # are running.
        self._doubted = False
        self._probes: set[str] = set()
        self._failed = 0
        # Failures of GETs that began before this time were counted.
        self._counted = -math.inf

    def add(self, entry: PollEntry) -> None:
        """Let *entry* want the servers that it misses, as `entry.missing` says."""
        queue = self._others
        if entry.expects_gone:
            queue = self._deletes
            queue.seconds = min(RATION_SECONDS, GETS_A_SECOND * (entry.longest or math.inf) / entry.crowd)
        queue.entries[entry] = None

    def discard(self, entry: PollEntry) -> None:
        """Let *entry* want nothing more."""
        for queue in self._queues:
            queue.entries.pop(entry, None)

    def next_at(self) -> float:
        """Return when another GET may be made that somebody wants; infinity is never, as things stand."""
        if self._doubted and self._probes_left() <= 0:
            return math.inf
        times = (queue.next_at() for queue in self._queues if any(map(self._may_ask, queue.entries)))
        return min(times, default=math.inf)

    def take(self, now: float) -> list[tuple[PollEntry, str]]:
        """Return the servers to ask for *now*, each with every entry that wants it."""
        if self.next_at() > now:
            return []
        return [taken for queue in self._queues for taken in self._take(queue, now)]

    def _take(self, queue: _Queue, now: float) -> list[tuple[PollEntry, str]]:
        wanted, free = self._wanted(queue.entries), queue.free(now)
        if self._doubted:
            free = min(free, self._probes_left())
        keys = heapq.nsmallest(free, wanted, key=lambda key: self._asked.get(key, -math.inf))
        queue.begun.extend(now for _ in keys)
        self._note_asked(keys, now)
        if self._doubted:
            self._probes.update(keys)
        return [(entry, key) for key in keys for entry in wanted[key]]

    def begun(self, key: str) -> None:
        """Note that a GET of *key* is running."""
        self._running[key] += 1

    def ended(self, key: str) -> None:
        """Note that a GET of *key* is over, with a result or without."""
        self._probes.discard(key)
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]

    def doubt(self) -> None:
        """Note that a list has failed, or hangs: the API may be down."""
        self._doubted, self._failed = True, 0

    def answered(self) -> None:
        """Note that the API has answered something to a poll."""
        self._doubted, self._failed = False, 0
        self._probes.clear()

    def failed(self, key: str, began: float, now: float) -> bool:
        """Note that a GET has failed *now* which began at *began*. Return whether that counts for all who wait."""
        self._probes.discard(key)
        if began < self._counted:
            return False
        self._failed += 1
        if self._failed < PROBES:
            return False
        self._doubted, self._failed, self._counted = True, 0, now
        return True

    def give_up(self) -> list[tuple[PollEntry, list[str]]]:
        """Return every entry whose missing servers are not being asked for, with these. It wants them no longer."""
        entries = [entry for queue in self._queues for entry in queue.entries]
        found = [(entry, [*entry.missing]) for entry in entries if entry.missing and not entry.awaits]
        for entry, _ in found:
            entry.missing.clear()
            self.discard(entry)
        return found

    def _wanted(self, entries: dict[PollEntry, None]) -> dict[str, list[PollEntry]]:
        wanted: dict[str, list[PollEntry]] = {}
        for entry in list(entries):
            if not entry.missing:
                del entries[entry]
            elif not entry.awaits and not entry.asks:
                for key in entry.missing:
                    if not self._running[key]:
                        wanted.setdefault(key, []).append(entry)
        return wanted

    def _may_ask(self, entry: PollEntry) -> bool:
        return not entry.awaits and not entry.asks and any(not self._running[key] for key in entry.missing)

    def _probes_left(self) -> int:
        return PROBES - len(self._probes) - self._failed

    def _note_asked(self, keys: Iterable[str], now: float) -> None:
        if len(self._asked) > _REMEMBERED:
            self._asked.clear()
        self._asked.update(dict.fromkeys(keys, now))
