"""Decides what observations prove about the goal of a wait. Pure.

An *observation* is what one response said about one server, with the times when its request began and ended. `judge`
takes the goal, the client's last command to the server, and the observations since. It says whether the last
observation proves the goal, puts it out of reach, or neither. The rules, in order:

1. An observation whose request began before the command was answered says nothing: it may show the time before.
2. A 404 proves the goal "gone". For any other goal it means that the server is gone. The exception is a server that was
   created a short time ago and has never been observed: the API may not know it everywhere yet.
3. The status from before the command proves nothing until the command has shown its effect. Otherwise `active` from
   before a reboot would do. Nor does that status ever fail a wait. The effect is shown by the transitional status, or
   by a status that does not lead to the status before. A status that leads there may be older. After a reboot, a newer
   `updated_at` shows it too, if it is not older than the API's response to the command. The effect is assumed when the
   grace has passed after a reboot, because polls may miss the reboot, or after a command whose response was lost,
   because the API may not have executed it.
4. A status of the goal is proof.
5. A status in `fail_on` puts the goal out of reach.
6. So does a status in which commands end, if it follows a transition or a create: that has ended elsewhere. No command
   ends in `suspended`. The vendor sets and lifts it at any time, so `fail_on` alone decides on it.
7. After any other status, also an unknown one, the wait goes on.
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
    """The statuses of a server before, during and after a command."""

    status_before: ServerStatus | None
    transitional_status: ServerStatus
    status_after: ServerStatus


TRANSITIONS = {
    "create": Transition(None, ServerStatus.PROVISIONING, ServerStatus.ACTIVE),
    "start": Transition(ServerStatus.STOPPED, ServerStatus.STARTING, ServerStatus.ACTIVE),
    "stop": Transition(ServerStatus.ACTIVE, ServerStatus.STOPPING, ServerStatus.STOPPED),
    "reboot": Transition(ServerStatus.ACTIVE, ServerStatus.REBOOTING, ServerStatus.ACTIVE),
}
"""Every status is either lasting or the transitional status of exactly one command.

Source: VPS.org API documentation, "Server statuses".
"""

PASSING: dict[str, ServerStatus] = {
    transition.transitional_status: transition.status_after for transition in TRANSITIONS.values()
}
"""The transitional statuses, and the statuses that they lead to."""

ENDS = frozenset(PASSING.values())
"""The lasting statuses that commands lead to."""

CLOCK_SLACK = timedelta(seconds=2)
"""The API's `Date`, which is cut to the second, and its `updated_at` may differ by so much (assumed)."""


@attrs.frozen(kw_only=True)
class Observation:
    """The content of one response about one server.

    Attributes:
        began: when its request began, in seconds on the client's clock.
        ended: when its response had come.
        server: the server as it was shown, or `None` for 404.
        listed: whether a list showed it. A list lacks some fields.
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
    """The last command of this client to a server.

    Attributes:
        name: a key of `TRANSITIONS`.
        began: when its request began, in seconds on the client's clock.
        answered: when its response had come, or was given up; infinity while the request is running.
        lost: whether the response was lost, so that nobody knows whether the API executed the command.
        date: the API's clock then, from the `Date` of the response.
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
        """The status of the server during the command."""
        return TRANSITIONS[self.name].transitional_status

    @property
    def status_before(self) -> ServerStatus | None:
        """The status of the server before the command."""
        return TRANSITIONS[self.name].status_before


@attrs.frozen(kw_only=True)
class Goal:
    """The goal of a wait.

    Attributes:
        statuses: the wait ends with any of these; none at all means that the server is to be gone.
        fail_on: any of these puts the goal out of reach.
        grace: a number of seconds. For so long after a create a 404 proves nothing, and for so long after a command
            the status from before it proves nothing.
    """

    statuses: frozenset[str]
    fail_on: frozenset[str] = frozenset({ServerStatus.SUSPENDED})
    grace: float = 15.0

    @property
    def gone(self) -> bool:
        """Whether the goal is that the server no longer exists."""
        return not self.statuses


@attrs.frozen
class Done:
    """The last observation proves the goal."""


@attrs.frozen
class KeepWaiting:
    """Nothing is decided yet."""


@attrs.frozen
class Failed:
    """The goal is out of reach: the server is *gone*, or has a status from which it does not reach the goal."""

    reason: str
    gone: bool = False


Verdict = Done | KeepWaiting | Failed


def judge(goal: Goal, command: Command | None, observations: Sequence[Observation]) -> Verdict:
    """Return what the last of *observations* says about *goal*, given the earlier ones. The oldest comes first."""
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
    """Return whether *observations* show that *command* was executed. All began after it was answered."""
    last = observations[-1]
    if any(_is_effect(command, observation) for observation in observations):
        return True
    # Only a reboot comes back to the status from before it. A start or stop leaves it.
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
    """Return whether only *command*, or something after it, can have set the `updated_at` of *observation*.

    Newer than before is not enough: somebody may have renamed the server between that observation and the command.
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


def keep(observations: list[Observation], observation: Observation) -> None:
    """Add *observation* to *observations*. It replaces the last one if that has the same status.

    The verdict of `judge` stays the same.
    """
    if observations and observations[-1].status == observation.status:
        observations[-1] = observation
    else:
        observations.append(observation)
