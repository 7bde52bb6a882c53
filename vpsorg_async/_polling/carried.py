"""Turns what a client knows of its command into what another process can use, and back. Pure.

A clock of this process means nothing in another one. There, all that is observed comes after the command was answered.
How long ago that was follows from the API's clock, as soon as a response tells its `Date`. Without one, the time begins
anew, so that grace is granted once more.
"""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

import attrs

from .._action_parts import Memory
from .lifecycle import Baseline, Command


if TYPE_CHECKING:
    from datetime import datetime

    from .habits import Habits
    from .lifecycle import Observation

CUT_SECONDS = 1.0
"""A `Date` is cut to the second."""


def memory_of(command: Command, *, shown: bool, newest: datetime | None, habits: Habits) -> Memory:
    """Return what goes along with *command*. *newest* is the newest `updated_at` of its server."""
    return Memory(
        date=command.date,
        said=command.said,
        lost=command.lost,
        shown=shown,
        disturbed=command.disturbed < math.inf,
        baseline=None if command.baseline is None else command.baseline.updated_at,
        settings=None if command.baseline is None else command.baseline.settings,
        old_transition=command.old_transition,
        unclear=command.unclear,
        newest=newest,
        habits=habits.names,
    )


def memory_before(baseline: Baseline | None, *, unclear: bool, newest: datetime | None, habits: Habits) -> Memory:
    """Return what goes along with a command that is about to be sent; *baseline* is its server as it is now."""
    known = habits.names
    return Memory(
        habits=known,
        baseline=None if baseline is None else baseline.updated_at,
        settings=None if baseline is None else baseline.settings,
        unclear=unclear,
        newest=newest,
    )


def command_of(name: str, memory: Memory, now: float) -> Command:
    """Return the command *name* of another process, as far as it is known here *now*."""
    return Command(
        name=name,
        began=now,
        answered=now,
        lost=memory.lost,
        date=memory.date,
        said=memory.said,
        # Whatever is observed here comes after the change that the other process has made.
        disturbed=now if memory.disturbed else math.inf,
        baseline=None if memory.baseline is None else Baseline(updated_at=memory.baseline, settings=memory.settings),
        old_transition=memory.old_transition,
        unclear=memory.unclear,
        bound=now,
    )


def dated(command: Command, observation: Observation) -> Command:
    """Return *command* with the time of its answer, as the `Date` of an *observation* tells it.

    Of several observations the one counts that makes the command youngest: the nodes of an API may have clocks that
    differ.
    """
    if command.bound is None or command.date is None or observation.date is None:
        return command
    took = observation.ended - observation.began
    age = (observation.date - command.date).total_seconds() - took - CUT_SECONDS
    answered = min(command.bound, observation.began - age)
    if command.answered != command.bound:
        answered = max(command.answered, answered)
    return attrs.evolve(command, answered=answered)


def is_dated(command: Command) -> bool:
    """Return whether the time of the answer to *command* may still be learned."""
    return command.bound is not None and command.date is not None and command.answered < math.inf
