"""The statuses of a server, what moves it between them, and what observations prove of a goal. Pure.

A *observation* is what one look at one server said, with the times when its request began and ended. `judge` is given
the goal, this client's last command to the server, and the observations since, and says whether the last of them proves
the goal, puts it out of reach, or neither. The rules, in order:

1. An observation whose request began before the command was answered says nothing: it may show the time before.
2. 404 proves a goal of "gone". For any other goal the server is gone, unless it was created so short a time ago that
   the API may not know it everywhere yet, and has never been seen.
3. The status that the server held when the command was given proves nothing until the command has shown its effect
   (else `active` from before a reboot would do), and never fails a wait either. The effect is shown by the status that
   the command leads through, or by one that does not lead to the status held (one that does may be older yet); after a
   reboot also by an `updated_at` newer than before it and not older than the API's answer to it. It is assumed when the
   grace has passed after a reboot, which a look may miss, or after a command whose answer was lost, which may never
   have been.
4. A status of the goal is proof.
5. A status in `fail_on` puts the goal out of reach.
6. So does a status in which commands end, after a transition or a create: what was under way has ended elsewhere. No
   command ends in `suspended`, which the vendor sets and lifts at any time: `fail_on` alone decides on it.
7. Anything else, a status that nobody documented too: look again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from .._models import ServerStatus


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from .._models import Server

LASTING = frozenset({ServerStatus.ACTIVE, ServerStatus.STOPPED, ServerStatus.SUSPENDED})
"""Statuses in which a server stays until something is done to it."""


@attrs.frozen
class Transition:
    """What a command does to a server: from which status, through which, to which."""

    status_before: ServerStatus | None
    transitional_status: ServerStatus
    status_after: ServerStatus


TRANSITIONS = {
    "create": Transition(None, ServerStatus.PROVISIONING, ServerStatus.ACTIVE),
    "start": Transition(ServerStatus.STOPPED, ServerStatus.STARTING, ServerStatus.ACTIVE),
    "stop": Transition(ServerStatus.ACTIVE, ServerStatus.STOPPING, ServerStatus.STOPPED),
    "reboot": Transition(ServerStatus.ACTIVE, ServerStatus.REBOOTING, ServerStatus.ACTIVE),
}
"""The contract's table. Every status is lasting, or what exactly one command leads through."""

PASSING: dict[str, ServerStatus] = {
    transition.transitional_status: transition.status_after for transition in TRANSITIONS.values()
}
"""The statuses that a server only passes through, and where they lead."""

ENDS = frozenset(PASSING.values())
"""The lasting statuses that commands lead to."""

CLOCK_SLACK = timedelta(seconds=2)
"""How far the API's `Date`, cut to the second, and its `updated_at` may disagree (assumed)."""


@attrs.frozen(kw_only=True)
class Observation:
    """What one look at one server said.

    Attributes:
        began: when its request began, in seconds on the client's clock.
        ended: when its answer had come.
        server: the server as it was shown, or `None` for 404.
        listed: whether a list showed it, which lacks some fields.
    """

    began: float
    ended: float
    server: Server | None
    listed: bool = False

    @property
    def status(self) -> str | None:
        """The status shown; `None` for 404."""
        return None if self.server is None else self.server.status


@attrs.frozen(kw_only=True)
class Command:
    """What this client last told the API to do with a server.

    Attributes:
        name: a key of `TRANSITIONS`.
        began: when its request began, in seconds on the client's clock.
        answered: when its answer had come, or was given up; infinity: it is on the wire yet.
        lost: whether it was given up, so that nobody knows whether it was carried out.
        date: the API's clock then, from the answer's `Date`.
        baseline: `updated_at` of an observation that ended before the command was sent and showed the server active,
            with no other change of this client in between.
        seen: whether the server that a create made has been observed since.
        old_transition: `updated_at` of an observation from before the command that showed the transitional status
            already: that of an earlier command.
    """

    name: str
    began: float
    answered: float
    lost: bool = False
    date: datetime | None = None
    baseline: datetime | None = None
    seen: bool = False
    old_transition: datetime | None = None

    @property
    def transitional_status(self) -> ServerStatus:
        """The status that the command leads through."""
        return TRANSITIONS[self.name].transitional_status

    @property
    def status_before(self) -> ServerStatus | None:
        """The status that the server held when the command was given."""
        return TRANSITIONS[self.name].status_before


@attrs.frozen(kw_only=True)
class Goal:
    """What a wait is for.

    Attributes:
        statuses: any of these; none at all: gone.
        fail_on: any of these puts it out of reach.
        grace: seconds after a create in which 404 is no proof, and after a command in which the status from before it
            is none.
    """

    statuses: frozenset[str]
    fail_on: frozenset[str] = frozenset({ServerStatus.SUSPENDED})
    grace: float = 15.0

    @property
    def gone(self) -> bool:
        """Whether it is that the server no longer exists."""
        return not self.statuses


@attrs.frozen
class Done:
    """The last observation proves the goal."""


@attrs.frozen
class KeepWaiting:
    """Nothing is decided."""


@attrs.frozen
class Failed:
    """The goal is out of reach: the server is *gone*, or in a status from which it does not get there."""

    reason: str
    gone: bool = False


Verdict = Done | KeepWaiting | Failed


def judge(goal: Goal, command: Command | None, observations: Sequence[Observation]) -> Verdict:
    """Return what the last of *observations*, oldest first, says of *goal*, in the light of those before it."""
    if command is not None:
        observations = [observation for observation in observations if observation.began >= command.answered]
    if not observations:
        return KeepWaiting()
    last = observations[-1]
    if last.status is None:
        return _judge_missing(goal, command, observations)
    if goal.gone or not last.status:
        return KeepWaiting()
    if (
        command is not None
        and last.status == command.status_before
        and not took_effect(command, observations, grace=goal.grace)
    ):
        return KeepWaiting()
    if last.status in goal.statuses:
        return Done()
    if last.status in goal.fail_on:
        return Failed(f"it is {last.status}")
    if last.status in ENDS and (under_way := _under_way(command, observations)):
        return Failed(f"it was {under_way} and is now {last.status}")
    return KeepWaiting()


def took_effect(command: Command, observations: Sequence[Observation], *, grace: float) -> bool:
    """Return whether *observations*, all begun after *command* was answered, show that it has been carried out."""
    last = observations[-1]
    if any(_is_effect(command, observation) for observation in observations):
        return True
    # A start or stop that took effect leaves the status from before it; only a reboot comes back to it.
    comes_back = command.name == "reboot"
    if comes_back and updated_by(command, last):
        return True
    return (comes_back or command.lost) and last.began - command.answered >= grace


def _is_effect(command: Command, observation: Observation) -> bool:
    status = observation.status
    if observation.server is None or not status:
        return False
    if status == command.transitional_status:
        # A replica that lags may still show the transition of an earlier command.
        known = observation.server.updated_at
        return known is None or known != command.old_transition
    return PASSING.get(status, status) != command.status_before


def updated_by(command: Command, observation: Observation) -> bool:
    """Return whether *observation* shows an `updated_at` that only *command*, or something after it, can have set.

    Newer than before is not enough: somebody else may have renamed the server between that look and the command.
    """
    updated_at = observation.server.updated_at if observation.server is not None else None
    if updated_at is None or command.baseline is None or command.date is None:
        return False
    return updated_at > command.baseline and updated_at >= command.date - CLOCK_SLACK


def _judge_missing(goal: Goal, command: Command | None, observations: Sequence[Observation]) -> Verdict:
    if goal.gone:
        return Done()
    made = command if command is not None and command.name == "create" else None
    never_seen = made is not None and not made.seen and all(observation.server is None for observation in observations)
    young = made is not None and observations[-1].began - made.answered < goal.grace
    if never_seen and young:
        return KeepWaiting()
    return Failed("the API says that there is no such server", gone=True)


def _under_way(command: Command | None, observations: Sequence[Observation]) -> str | None:
    """Return the transition that must have ended by the last of *observations*, if one is known of."""
    last = observations[-1].status
    for observation in reversed(observations):
        if observation.status in PASSING:
            return observation.status
        if observation.status in LASTING and observation.status != last:
            return None
    if command is not None and command.name == "create":
        return TRANSITIONS["create"].transitional_status
    return None


def keep(observations: list[Observation], observation: Observation) -> None:
    """Add *observation* to *observations*, in place of the last one where that shows the same status.

    What `judge` says of them stays the same.
    """
    if observations and observations[-1].status == observation.status:
        observations[-1] = observation
    else:
        observations.append(observation)
