"""Tells of each wait when it begins, sees another status, and ends. Each begin has exactly one end."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING, Protocol

import attrs

from .._events import WAIT, outcome_of


if TYPE_CHECKING:
    from .._clock import Clock
    from .._events import Events
    from .entry import PollEntry


class Wait(Protocol):
    """A wait, as far as its events concern it."""

    server_id: int | str
    entry: PollEntry
    clock: Clock
    events: Events
    number: int
    fleet: int | None

    @property
    def goal_name(self) -> str:
        """The goal of the wait, in words."""
        ...


@attrs.define(eq=False, repr=False)
class Telling:
    """A context manager: the wait begins and ends where it is entered and left.

    Calls that are made inside, by `on_change` for example, belong to the wait.
    """

    wait: Wait
    # The wait in whose `on_change` this one was begun.
    _outer: int | None = None

    def __enter__(self) -> None:
        wait = self.wait
        seconds = wait.entry.deadline - wait.entry.began
        timeout = None if seconds == math.inf else round(seconds, 3)
        tell(wait, "wait.began", goal=wait.goal_name, timeout=timeout)
        self._outer = WAIT.get()
        WAIT.set(wait.number)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        wait = self.wait
        # Not `reset`: a wait that nobody awaits any more is left in another context.
        WAIT.set(self._outer)
        seconds = wait.clock.now() - wait.entry.began
        tell(wait, "wait.ended", goal=wait.goal_name, outcome=outcome_of(kind), seconds=seconds)


def tell(wait: Wait, name: str, **fields: object) -> None:
    """Tell of *wait* that *name* happened."""
    wait.events.emit(name, wait=wait.number, fleet=wait.fleet, server=wait.server_id, **fields)
