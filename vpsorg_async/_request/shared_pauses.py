"""Decides which calls a 429 pauses: at first those of its own kind, and all once a second kind draws one. Pure."""

from __future__ import annotations

import enum

from typing import TYPE_CHECKING

import attrs


if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class Kind(enum.Enum):
    """The kinds of calls that an API may limit apart: reads, creates, and other changes."""

    READ = "reads"
    CREATE = "creates"
    CHANGE = "other changes"

    if not TYPE_CHECKING:
        # Python's own hashes the name anew at each look-up in a table.
        __hash__ = object.__hash__


def whose(kinds: AbstractSet[Kind]) -> str:
    """Return in words what pauses: calls of one of the *kinds* or all; none of them: the call alone that asked."""
    if not kinds:
        return "this call"
    (first, *others) = kinds
    return "all calls" if others else first.value


LONGEST_SHARED_PAUSE = 60.0
"""Seconds that one response's `Retry-After` may hold up other calls (assumed); its own call waits for all of it."""

MEMORY = 60.0
"""Seconds after a 429 in which one to another kind of call says that the API counts all calls together (assumed)."""


@attrs.frozen
class Drawn:
    """The last 429 to calls of one kind.

    Attributes:
        at: when it came, in seconds on the client's clock.
        pause: the seconds that it asked for, at most `LONGEST_SHARED_PAUSE`.
    """

    at: float
    pause: float


class SharedPauses:
    """The 429s of a client, by kind of call."""

    def __init__(self) -> None:
        self._drawn: dict[Kind, Drawn] = {}
        # When the last 429 came, since all kinds pause together.
        self._together_since: float | None = None

    def refused(self, kind: Kind, now: float, pause: float) -> dict[Kind, float]:
        """Return for how many seconds each kind of call pauses after a 429 to one of *kind*."""
        pause = min(pause, LONGEST_SHARED_PAUSE)
        recent = [drawn for other, drawn in self._drawn.items() if other is not kind and _is_recent(drawn, now)]
        together = self._together_since is not None and now - self._together_since <= MEMORY
        self._drawn[kind] = Drawn(now, pause)
        if not recent and not together:
            self._together_since = None
            return {kind: pause}
        self._together_since = now
        shorter = min([pause, *(drawn.pause for drawn in recent)])
        return {each: pause if each is kind else shorter for each in Kind}


def _is_recent(drawn: Drawn, now: float) -> bool:
    return now <= drawn.at + max(drawn.pause, MEMORY)
