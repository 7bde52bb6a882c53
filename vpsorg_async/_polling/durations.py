"""Learns how long commands take, so that a few waits are asked for closely when they are likely to end. Pure.

Before and after that they are asked for every `maximum` seconds, whatever was learned. The pace of all waits may make
the intervals longer (`pace.py`).
"""

from __future__ import annotations

import bisect
import math

from collections import deque
from typing import TYPE_CHECKING

import attrs

from .._policies import PollPolicy


if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED = 48
"""The number of durations that are remembered of each command: the newest (assumed)."""

LEAST = 4
"""So many commands must have taken longer before anything is said about what is to come."""

LIKELY = 0.02
"""A command that ends within the next interval with this probability is asked for twice as often (assumed)."""

DEFAULT = PollPolicy()

LONGEST_GAP = 15.0
"""Seconds. Of a command that has ended within a longer time, nothing is learned: a wait may have begun long after it
(assumed: polls that succeed are no further apart)."""

QUICK = 1.0
"""Seconds. If half of the commands take no longer, the first poll comes at once."""


@attrs.define(eq=False)
class Durations:
    """The durations of the newest commands, by their names, in seconds from the API's response."""

    _ended: dict[str, deque[float]] = attrs.field(factory=dict[str, deque[float]], init=False)
    # The commands that are followed and have not ended: for each name, when they were answered.
    _running: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]], init=False)

    def begin(self, name: str, answered: float) -> None:
        """Note that a command is followed from now on, which was *answered* then."""
        bisect.insort(self._running.setdefault(name, []), answered)

    def stop(self, name: str, answered: float) -> None:
        """Note that a command is followed no longer, however that ended."""
        running = self._running[name]
        del running[bisect.bisect_left(running, answered)]

    def running(self, name: str) -> int:
        """Return how many of these commands are followed now."""
        return len(self._running.get(name, ()))

    def note(self, name: str, seconds: float) -> None:
        """Learn that a command took so many seconds."""
        self._ended.setdefault(name, deque(maxlen=REMEMBERED)).append(seconds)

    def is_quick(self, name: str) -> bool | None:
        """Return whether most of these commands end at once; `None` if none has ended yet."""
        ended = self._ended.get(name)
        return None if not ended else 2 * sum(seconds <= QUICK for seconds in ended) > len(ended)

    def chance(self, name: str, age: float, within: float, now: float) -> float | None:
        """Return the probability that a command of this *age* ends within so many seconds; `None` if nothing tells.

        Those that are still running have taken longer than their age. Otherwise a slow API would look quick for as long
        as only its quickest commands have ended.
        """
        ended = self._ended.get(name, ())
        longer = [seconds for seconds in ended if seconds > age]
        if len(longer) < LEAST:
            # Most have ended by now, so this one is overdue, but not for ever.
            return 1.0 if len(ended) >= 2 * LEAST and age < 2 * max(ended) else None
        running = bisect.bisect_left(self._running.get(name, ()), now - age - within)
        return sum(seconds <= age + within for seconds in longer) / (len(longer) + running)


@attrs.define(eq=False)
class Following:
    """A command that a wait follows. Times are in seconds on the client's clock.

    Attributes:
        durations: what is known of such commands.
        name: the command's name; `"delete"` is one, too.
        answered: when the API had accepted it.
        end: the status in which it ends; `None` if the server is gone then.
        last_seen: when the last poll began that showed it running.
    """

    durations: Durations
    name: str
    answered: float
    end: str | None = None
    last_seen: float = attrs.field(default=-math.inf, init=False)
    _learned: bool = attrs.field(default=False, init=False)

    def begin(self) -> None:
        """Count the command among those that are followed, until `stop`."""
        self.durations.begin(self.name, self.answered)

    def stop(self) -> None:
        """Follow the command no longer."""
        self.durations.stop(self.name, self.answered)

    def interval_after(
        self, policy: PollPolicy, natural: Callable[[float], float], began: float
    ) -> Callable[[float], float]:
        """Return the interval of a wait that *began* then, from the seconds waited, by what was learned."""
        return lambda waited: self.interval(policy, natural(waited), began + waited)

    def interval(self, policy: PollPolicy, natural: float, now: float) -> float:
        """Return the seconds to the next poll: half the longest while the command is likely to end, else the longest.

        *natural* is what the policy says. It stands if too little is known, or if the user has chosen a `minimum` or a
        `slope`.
        """
        if (policy.minimum, policy.slope) != (DEFAULT.minimum, DEFAULT.slope):
            return natural
        # Over a little more than the next interval, since only some dozens are remembered.
        age = now - self.answered
        within = max(policy.maximum, age / 5)
        chance = self.durations.chance(self.name, age, within, now)
        if chance is None:
            return natural
        likely = chance * policy.maximum >= LIKELY * within
        return max(policy.minimum, policy.maximum / 2) if likely else policy.maximum

    def ended(self, now: float) -> bool:
        """Learn that the command has ended before *now*. Return whether that shows for the first time that it is quick.

        It ended between the last poll that showed it running and this one. What later polls show is no end.
        """
        since, learned, self._learned = max(self.last_seen, self.answered), self._learned, True
        if learned or now - since > LONGEST_GAP:
            return False
        knew = self.durations.is_quick(self.name)
        self.durations.note(self.name, (since + now) / 2 - self.answered)
        return knew is None and self.durations.is_quick(self.name) is True
