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
        began: when the subscriber began to wait.
        deadline: when the last poll is made; infinity is never.
        expires: when the subscriber gives up, even while a poll is running.
        due: when the next poll is wanted.
        early: from this time on, the subscriber takes part in the polls of others.
        final: whether the last poll has been made.
        asks: ids that are wanted by a GET at once, because no list will do.
        missing: ids that a list did not show. Each is wanted by a GET, as soon as the ration of GETs allows.
        attending: whether the subscriber's task waits for news at the moment.
        left: when the task last stopped to do so.
        awaits: the number of running polls that will bring something for this entry.
        running: whether the subscriber's task runs polls.
        number: the place in the order of coming.
    """

    keys: frozenset[str] | None
    interval: Callable[[float], float]
    began: float
    deadline: float = math.inf
    expires: float = math.inf
    due: float = attrs.field(init=False)
    early: float = attrs.field(init=False)
    final: bool = attrs.field(init=False, default=False)
    asks: dict[str, None] = attrs.field(init=False, factory=dict)
    missing: dict[str, None] = attrs.field(init=False, factory=dict)
    attending: bool = attrs.field(init=False, default=False)
    left: float = attrs.field(init=False, default=-math.inf)
    awaits: int = attrs.field(init=False, default=0)
    running: bool = attrs.field(init=False, default=False)
    number: int = attrs.field(init=False, factory=itertools.count().__next__)
    # Whether the schedule's heap of possible leaders has this entry.
    queued: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.due = self.early = self.began

    def polled(self, began: float, now: float) -> None:
        """Note that a poll which began at *began* has ended *now*, and set the time of the next one."""
        self.final = began >= self.deadline or now >= self.deadline
        interval = self.interval(began - self.began)
        self.due = min(self.deadline, max(now, began + interval))
        self.early = self.due - interval / 2

    def postpone(self, until: float) -> None:
        """Want no poll before *until*."""
        self.due = self.early = max(self.due, until)

    def ask(self, key: str, now: float) -> None:
        """Want a GET of *key* at once."""
        self.asks[key] = None
        self.due = self.early = min(self.due, now)

    def miss(self, keys: Iterable[str]) -> None:
        """Want a GET of each of *keys*, as soon as the ration allows."""
        self.missing.update(dict.fromkeys(keys))

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
    """

    key: str | None
    runner: PollEntry
    entries: list[PollEntry]
    missed: frozenset[PollEntry] = frozenset()
    number: int = -1
    began: float = 0.0
    ended: bool = False


def expiry(began: float, deadline: float, attempt_timeout: float | None) -> float:
    """Return when a wait gives up while its last poll is running.

    The last poll gets a little more time than the deadline. With `timeout=0` it gets the time of one attempt.
    """
    if deadline == began:
        return math.inf if attempt_timeout is None else began + attempt_timeout
    return deadline + LAST_POLL
