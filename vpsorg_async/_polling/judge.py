"""Decides what observations prove about the goal of a wait. Pure.

An *observation* is what one response said about one server, with the times when its request began and ended. `judge`
takes the goal, the client's last command to the server, and the observations since. It says whether the last
observation proves the goal, puts it out of reach, or neither. The rules, in order:

1. An observation whose request began before the command was answered says nothing: it may show the time before.
2. A 404 or 410, or the status `deleted`, proves the goal "gone". For any other goal it means that the server is gone. A
   new server may not be known everywhere yet. In the grace after a create of this client, and before it was observed
   at all, it is gone when nothing else has come for the grace; for 5 s if somebody else has created it.
3. The status from before the command proves nothing until the command has shown its effect (`proofs.py`). Otherwise
   `active` from before a reboot would do. Nor does that status ever fail a wait. A start or stop that has shown no
   effect decides nothing any more 15 minutes after its answer.
4. A status of the goal is proof.
5. A status in `fail_on` puts the goal out of reach.
6. So does a status in which commands end, if it follows a transition, a create or a reboot: that has ended elsewhere.
   No command ends in `suspended`. The vendor sets and lifts it at any time, so `fail_on` alone decides on it.
7. By 5 and 6 the goal is out of reach once every observation over 3 s has shown that status. A reboot may pass through
   `stopped`, and a replica may show what is over: where no observation has shown the reboot, it is out of reach when
   the grace has passed, too. Until then it is in doubt, which counts at the deadline.
8. After any other status, also an unknown one, the wait goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .habits import NONE_SEEN
from .lifecycle import ENDS, LASTING, PASSING, TRANSITIONS
from .proofs import is_aged, is_of_the_same_second, overlaps, took_effect


if TYPE_CHECKING:
    from collections.abc import Sequence

    from .habits import Habits
    from .lifecycle import Command, Goal, Observation

BELIEF = 3.0
"""A status that puts the goal out of reach is believed when every observation over so many seconds has shown it."""

UNSEEN_GRACE = 5.0
"""For so many seconds a 404 says nothing of a server that this client has neither created nor seen."""

_ROUNDING = 1e-6
"""Seconds. A poll that was due at a sum of times may begin so much before it."""


@attrs.frozen
class Done:
    """The last observation proves the goal."""


@attrs.frozen
class Failed:
    """The goal is out of reach: the server is *gone*, or has a status from which it does not reach the goal."""

    reason: str
    gone: bool = False


@attrs.frozen
class KeepWaiting:
    """Nothing is decided yet.

    Attributes:
        doubt: why the goal is out of reach if observations go on to say so; `None` if nothing is in doubt.
        until: when that is believed, in seconds on the client's clock.
    """

    doubt: Failed | None = None
    until: float = 0.0


Verdict = Done | KeepWaiting | Failed


@attrs.frozen
class Run:
    """The observations with the last status in a row, in seconds on the client's clock.

    Attributes:
        began: when the request of the first of them began.
        came: when its response had come: only from then on it is known.
    """

    began: float
    came: float


_GONE = Failed("the API says that there is no such server", gone=True)
_NOTHING = KeepWaiting()


def judge(
    goal: Goal,
    command: Command | None,
    observations: Sequence[Observation],
    habits: Habits = NONE_SEEN,
    *,
    run: Run | None = None,
) -> Verdict:
    """Return what the last of *observations* says about *goal*, given the earlier ones. The oldest comes first.

    *run* is that of the last status. It is needed if `keep` has replaced the first observation of it.
    """
    if not observations:
        return _NOTHING
    if run is None:
        run = run_of(observations)
    if command is not None:
        run = Run(max(run.began, command.answered), max(run.came, command.answered))
        observations = [observation for observation in observations if observation.began >= command.answered]
        if not observations:
            return _NOTHING
    last = observations[-1]
    if last.status is None:
        patience = _patience_with_404(goal, command, observations, run)
        return Done() if goal.gone else _believed(_GONE, last, run.came, patience)
    if goal.gone or not last.status:
        return _NOTHING
    if command is not None and _is_from_before(command, observations, goal.grace, habits):
        return _NOTHING
    if last.status in goal.statuses:
        return Done()
    return _beyond(goal, command, observations, run.came)


def _beyond(goal: Goal, command: Command | None, observations: Sequence[Observation], since: float) -> Verdict:
    """Return whether the last status, which has been shown *since* then and is not the goal, puts it out of reach."""
    last = observations[-1]
    failure = _out_of_reach(goal, command, observations)
    if failure is None and command is not None and _ended_unseen(command, last):
        failure = Failed(f"it was told to {command.name} and is now {last.status}")
        since = max(since, command.answered + goal.grace - BELIEF)
    return _NOTHING if failure is None else _believed(failure, last, since, BELIEF)


def _is_from_before(command: Command, observations: Sequence[Observation], grace: float, habits: Habits) -> bool:
    """Return whether the last status may be that from before *command*."""
    last = observations[-1]
    if last.status != command.status_before or is_aged(command, last.began):
        return False
    if overlaps(observations) or is_of_the_same_second(command, observations, grace=grace):
        return True
    return not took_effect(command, observations, grace=grace, habits=habits)


def _out_of_reach(goal: Goal, command: Command | None, observations: Sequence[Observation]) -> Failed | None:
    status = observations[-1].status
    if status in goal.fail_on:
        return Failed(f"it is {status}")
    if status in ENDS and (under_way := _under_way(command, observations)):
        return Failed(f"it was {under_way} and is now {status}")
    return None


def _ended_unseen(command: Command, last: Observation) -> bool:
    """Return whether *command* is a reboot that has ended elsewhere, although no observation showed it under way."""
    return command.name == "reboot" and not command.lost and last.status in ENDS - {command.status_before}


def _believed(failure: Failed, last: Observation, since: float, patience: float) -> Verdict:
    """Return *failure* if every observation over *patience* seconds has shown it; without patience, at once."""
    until = since + patience
    return failure if not patience or last.began >= until - _ROUNDING else KeepWaiting(failure, until)


def _patience_with_404(goal: Goal, command: Command | None, observations: Sequence[Observation], run: Run) -> float:
    """Return for how many seconds a 404 says nothing, of which *run* is the first in a row."""
    is_create = command is not None and command.name == "create"
    if command is not None and is_create and run.began < command.answered + goal.grace:
        # One replica may know the server, and the next one not yet.
        return goal.grace
    if observations[-1].known or any(observation.status is not None for observation in observations):
        return 0.0
    return goal.grace if is_create else UNSEEN_GRACE


def _under_way(command: Command | None, observations: Sequence[Observation]) -> str | None:
    """Return the transition that must have ended by the last of *observations*, or `None`."""
    last = observations[-1].status
    for observation in reversed(observations):
        if observation.status in PASSING:
            return observation.status
        if observation.status in LASTING and observation.status != last:
            return None
    if command is not None and command.name == "create":
        return TRANSITIONS["create"].transitional_status
    return None


def run_of(observations: Sequence[Observation]) -> Run:
    """Return the run of the last status."""
    first = observations[-1]
    for observation in reversed(observations):
        if observation.status != first.status:
            break
        first = observation
    return Run(first.began, first.ended)


def keep(observations: list[Observation], observation: Observation) -> None:
    """Add *observation* to *observations*. It replaces the last one if that has the same status.

    The verdict of `judge` stays the same, if it is told the run of the last status.
    """
    if observations and observations[-1].status == observation.status:
        observations[-1] = observation
    else:
        observations.append(observation)
