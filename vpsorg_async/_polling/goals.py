"""Makes the goal of a wait from its arguments."""

from __future__ import annotations

import functools

from typing import TYPE_CHECKING

from .._checks import checked_statuses
from .._error_base import InvalidArgumentError
from .._policies import NOT_GIVEN, NotGivenType, PollPolicy
from .._server_parts import ServerStatus
from .lifecycle import TRANSITIONS, Goal


if TYPE_CHECKING:
    from .._models import StatusGoal
_NO_STATUS: frozenset[str] = frozenset()
_SUSPENDED: frozenset[str] = frozenset({ServerStatus.SUSPENDED})


def checked_goal(status: StatusGoal, fail_on: StatusGoal | NotGivenType | None, poll: PollPolicy) -> Goal:
    """Return the goal of a wait for *status*.

    Raises:
        TypeError, InvalidArgumentError: an argument cannot be used.
    """
    goals = checked_statuses("status", status)
    if not goals:
        raise InvalidArgumentError("status is empty: give at least one status to wait for")
    if fail_on is NOT_GIVEN:
        fail_on = ServerStatus.SUSPENDED
    fails = checked_statuses("fail_on", () if fail_on is None else fail_on) - goals
    return _goal(goals, fails, checked_poll(poll).grace)


def checked_poll(poll: PollPolicy) -> PollPolicy:
    """Return the policy of a wait.

    Raises:
        TypeError: it is no `PollPolicy`.
    """
    if not isinstance(poll, PollPolicy):
        raise TypeError(f"poll must be a PollPolicy, not {poll!r}")
    return poll


@functools.lru_cache(maxsize=128)
def _goal(statuses: frozenset[str], fail_on: frozenset[str], grace: float) -> Goal:
    """Return the goal. It is kept, because most of ten thousand waits have the same one."""
    return Goal(statuses=statuses, fail_on=fail_on, grace=grace)


def goal_of(command: str, poll: PollPolicy) -> Goal:
    """Return the goal of a wait for a *command*, which is a key of `TRANSITIONS`."""
    return _goal(frozenset({TRANSITIONS[command].status_after}), _SUSPENDED, checked_poll(poll).grace)


def gone_goal(poll: PollPolicy) -> Goal:
    """Return the goal that a server no longer exists."""
    return _goal(_NO_STATUS, _SUSPENDED, checked_poll(poll).grace)
