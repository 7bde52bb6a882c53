"""The records of polling: who wants which servers and when, one poll, and the size of the list. Pure."""

from __future__ import annotations

import itertools
import math

from typing import TYPE_CHECKING

import attrs


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LAST_POLL = 0.95
"""Seconds that the poll at a wait's deadline may take beyond it: the wait ends within a second after its deadline."""


@attrs.define(eq=False, repr=False, kw_only=True)
class PollEntry:
    """One subscriber's wish to have servers polled.

    All times are seconds on the client's clock.

    Attributes:
        keys: the ids of the servers, as strings; `None` is every server of the account.
        interval: returns the seconds from one poll to the next, from the seconds waited until then.
        longest: the most seconds from one poll to the next; `None` for a watch, whose interval is its user's.
        crowd: the number of items that the fleet of this wait has in progress; 0 without a fleet.
        accepted: when the command was accepted whose end is waited for. The first poll comes an interval after that.
            `None`: at once.
        command: the name of the command whose end is waited for, if any.
        began: when the subscriber began to wait.
        deadline: when the last poll is made; infinity is never.
        expires: when the subscriber gives up, even while a poll is running.
        due: when the next poll is wanted.
        early: from this time on, the failure of a poll for others counts for this one, too.
        apart: whether the next poll is no part of a round: it is the first, or was hastened.
        unpolled: whether the first poll is still to come.
        final: whether the last poll has been made.
        asks: ids that are wanted by a GET at once, because no list will do.
        missing: ids that a list did not show. Each is wanted by a GET, as soon as the ration of GETs allows.
        hanging: ids whose last GETs got no response in time, with the seconds of GETs that were stopped since.
        attending: whether the subscriber's task waits for news at the moment.
        left: when the task last stopped to do so.
        awaits: the number of running polls that will bring something for this entry.
        running: whether the subscriber's task runs polls.
        number: the place in the order of coming.
    """

    keys: frozenset[str] | None
    interval: Callable[[float], float]
    longest: float | None = None
    crowd: int = 0
    accepted: float | None = None
    command: str = ""
    began: float
    deadline: float = math.inf
    expires: float = math.inf
    due: float = attrs.field(init=False)
    early: float = attrs.field(init=False)
    apart: bool = attrs.field(init=False, default=True)
    unpolled: bool = attrs.field(init=False, default=True)
    final: bool = attrs.field(init=False, default=False)
    asks: dict[str, None] = attrs.field(init=False, factory=dict[str, None])
    missing: dict[str, None] = attrs.field(init=False, factory=dict[str, None])
    hanging: dict[str, float] = attrs.field(init=False, factory=dict[str, float])
    attending: bool = attrs.field(init=False, default=False)
    left: float = attrs.field(init=False, default=-math.inf)
    awaits: int = attrs.field(init=False, default=0)
    running: bool = attrs.field(init=False, default=False)
    number: int = attrs.field(init=False, factory=itertools.count().__next__)
    # Whether the schedule's heap of possible leaders has this entry.
    queued: bool = attrs.field(init=False, default=False)

    # Tells how closely it may ask beside the others; set when it first attends.
    _pace: Callable[[float, float], float] | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.due = self.early = self.began

    def begin(self, pace: Callable[[float, float], float]) -> None:
        """Keep to *pace* from now on: it returns the interval, from the one wanted and the longest."""
        begins, self._pace = self._pace is None, pace
        due = self.began if self.accepted is None else self.accepted + self._paced(0.0)
        if begins and due > self.began:
            self.due = self.early = min(self.deadline, due)
            self.apart = False

    def polled(self, began: float, now: float) -> None:
        """Note that a poll which began at *began* has ended *now*, and set the time of the next one."""
        self.final = began >= self.deadline or now >= self.deadline
        interval = self._paced(began - self.began)
        # After the last poll, only what that left open is still asked for.
        self.due = math.inf if self.final else min(self.deadline, max(now, began + interval))
        self.early, self.apart, self.unpolled = self.due - interval / 2, False, False

    def _paced(self, waited: float) -> float:
        natural = self.interval(waited)
        if self._pace is None or self.longest is None:
            return natural
        return self._pace(natural, self.longest)

    @property
    def is_in_round(self) -> bool:
        """Whether the poll that is due next is part of a round: neither the first, nor the last, nor hastened."""
        return not self.apart and self.due < self.deadline

    @property
    def expects_gone(self) -> bool:
        """Whether a fleet has deleted the server, so that a list which leaves it out is no sign of trouble."""
        return self.command == "delete" and self.crowd > 0

    def retry(self, at: float) -> None:
        """Want the poll that follows a failed one no sooner than *at*. A longer interval stands."""
        if at > self.due:
            self.due = self.early = min(self.deadline, at)

    def postpone(self, until: float) -> None:
        """Want no poll before *until*."""
        self.due = self.early = max(self.due, until)

    def pass_over(self, now: float) -> None:
        """Want GETs within the ration in place of the poll that is due *now*."""
        self.miss(self.keys or ())
        self.polled(now, now)

    def hold(self) -> float:
        """Want no poll but the last for now. Return when one was due."""
        due, self.due = self.due, self.deadline
        return due

    def let_go(self, due: float) -> None:
        """Want the poll that was *due* when `hold` was called, unless one has come since."""
        if self.due == self.deadline and not self.final:
            self.due = due

    def hasten(self, until: float) -> None:
        """Want the next poll no later than *until*."""
        if until < self.due:
            self.due, self.apart = until, True
        self.early = self.due

    def ask(self, key: str, at: float) -> None:
        """Want a GET of *key* no later than *at*. No list will do."""
        self.asks[key] = None
        self.hasten(at)

    def miss(self, keys: Iterable[str]) -> None:
        """Want a GET of each of *keys*, as soon as the ration allows."""
        self.missing.update(dict.fromkeys(keys))

    def hangs(self, key: str) -> None:
        """Note that a GET of *key* got no response in time."""
        self.hanging[key] = 0.0

    def responds(self, key: str) -> None:
        """Note that a GET of *key* got a response."""
        self.hanging.pop(key, None)

    def holds_up(self, key: str | None) -> bool:
        """Whether a GET of *key* hangs, while other servers of this entry respond."""
        return key in self.hanging and self.keys is not None and len(self.hanging) < len(self.keys)

    def stopped(self, key: str, seconds: float, limit: float) -> bool:
        """Note that a GET of *key* that hangs was stopped. Return whether it has hung for *limit* seconds in all."""
        self.hanging[key] += seconds
        if self.hanging[key] < limit:
            return False
        self.hanging[key] = 0.0
        return True

    def shown(self, key: str) -> None:
        """Note that a poll has brought something about *key*: no GET of it is wanted any more."""
        self.asks.pop(key, None)
        self.missing.pop(key, None)


@attrs.frozen
class Size:
    """The size of the account's list, as last seen.

    Attributes:
        total: the number of servers.
        page: the number of servers on a page.
    """

    total: int
    page: int

    @property
    def pages(self) -> int:
        """The number of requests that read the whole list."""
        return max(1, -(-self.total // max(1, self.page)))


@attrs.define(eq=False, repr=False)
class Poll:
    """One poll: a GET of the server *key*, or, without a key, the pages of the list.

    Attributes:
        key: the server's id, or `None` for the list.
        runner: the entry whose task makes the requests.
        entries: the entries that wait for the poll.
        missed: those of them that want it only because a list left the server out.
        number: the place in the order in which polls began; -1 before.
        began: when its first request began.
        ended: whether it has brought all that it will bring.
        trial: whether it is a list on which nobody relies, because lists fail or this one hangs.
    """

    key: str | None
    runner: PollEntry
    entries: list[PollEntry]
    missed: frozenset[PollEntry] = frozenset()
    number: int = -1
    began: float = 0.0
    ended: bool = False
    trial: bool = False


def expiry(began: float, deadline: float, attempt_timeout: float | None) -> float:
    """Return when a wait gives up while its last poll is running.

    The last poll gets a little more time than the deadline. With `timeout=0` it gets the time of one attempt.
    """
    if deadline == began:
        return math.inf if attempt_timeout is None else began + attempt_timeout
    return deadline + LAST_POLL
