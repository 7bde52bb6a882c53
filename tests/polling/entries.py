"""Entries and schedules that the tests of `entry.py` and `schedule.py` share."""

from __future__ import annotations

import math

from vpsorg_async import PollPolicy
from vpsorg_async._polling.entry import LAST_POLL, PollEntry, Size
from vpsorg_async._polling.schedule import Schedule


NOW = 100.0


def entry(keys="7", deadline=math.inf, *, began=NOW, interval=None, expires=None, **policy) -> PollEntry:
    """Return somebody who waits for *keys*, one id or several, or `None` for all."""
    return PollEntry(
        keys=None if keys is None else frozenset(keys.split()),
        interval=(lambda _: interval) if interval else PollPolicy(**policy).interval,
        began=began,
        deadline=deadline,
        expires=deadline + LAST_POLL if expires is None else expires,
    )


def entries(count, **given):
    return [entry(str(number), **given) for number in range(count)]


def sat(*attending, now=NOW) -> Schedule:
    """Return a schedule on which those attend."""
    schedule = Schedule()
    for one in attending:
        schedule.join(one, now)
    return schedule


def after_poll(one, began, now=None):
    one.polled(began, began if now is None else now)
    return one


def polled_by(polls):
    """Return what is asked, `None` for the list, and by whom it is heard."""
    return {poll.key: set(poll.entries) for poll in polls}


def served(schedule, now):
    """Return who is served now where a list is out of the question."""
    return [one for poll in schedule.polls(now, Size(total=10**9, page=1)) for one in poll.entries]
