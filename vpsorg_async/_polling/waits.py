"""Makes the waits of a client from what their callers give."""

from __future__ import annotations

import functools
import math

from contextvars import ContextVar
from typing import TYPE_CHECKING

import attrs

from .._checks import check_flag, checked_seconds, server_key
from .._policies import PollPolicy
from .durations import Following
from .entry import PollEntry, expiry
from .evidence import Evidence
from .lifecycle import TRANSITIONS
from .waiting import OnChange, Wait


if TYPE_CHECKING:
    from .._clock import Clock
    from .._events import Events
    from .._lifetime import Lifetime
    from .command_log import Change
    from .conditions import Conditions
    from .coordinator import Coordinator
    from .durations import Durations
    from .habits import Habits
    from .lifecycle import Goal


@attrs.define(eq=False)
class Crowd:
    """Tells the waits of an item what they belong to, until the item ends.

    Attributes:
        size: the number of items that the fleet has in progress together; 0 outside of fleets, and once the item has
            ended: the tasks that it has left behind belong to no fleet.
        prompt: whether the first poll of each wait comes at once, as the user's own function waits.
    """

    size: int = 0
    prompt: bool = True


NOBODY = Crowd()
IN_PROGRESS: ContextVar[Crowd] = ContextVar("IN_PROGRESS", default=NOBODY)
"""The crowd of the item that the running task works on."""

PROBES = 2
"""So many deletes of a fleet are polled at once while it is not known whether the API deletes at once."""


@attrs.frozen(eq=False, repr=False)
class Waits:
    """Makes the waits of a client."""

    coordinator: Coordinator
    clock: Clock
    events: Events
    lifetime: Lifetime
    habits: Habits
    durations: Durations

    def make(
        self,
        server_id: int | str,
        goal: Goal,
        timeout: float | None,
        *,
        poll: PollPolicy = PollPolicy(),
        change: Change | None = None,
        on_change: OnChange | None = None,
        detail: bool = True,
        conditions: Conditions | None = None,
        deleted: float | None = None,
    ) -> Wait:
        """Return a wait that begins now and gives up after *timeout* seconds.

        *deleted* is when a DELETE by this client was answered, if the wait is for that.
        """
        check_flag("detail", detail)
        seconds, began = checked_seconds("timeout", timeout), self.clock.now()
        deadline = math.inf if seconds is None else began + seconds
        following = self._following(goal, change, deleted)
        natural = poll.interval if conditions is None else functools.partial(conditions.interval, poll)
        return Wait(
            server_id=server_id,
            entry=PollEntry(
                keys=frozenset({server_key(server_id)}),
                interval=natural if following is None else following.interval_after(poll, natural, began),
                longest=poll.maximum,
                crowd=IN_PROGRESS.get().size,
                command="" if following is None else following.name,
                accepted=None if following is None or self._is_prompt(following) else following.answered,
                began=began,
                deadline=deadline,
                expires=expiry(began, deadline, self.coordinator.attempt_timeout),
            ),
            evidence=Evidence(goal, change, self.habits),
            policy=poll,
            coordinator=self.coordinator,
            clock=self.clock,
            events=self.events,
            lifetime=self.lifetime,
            on_change=on_change,
            detail=detail,
            conditions=conditions,
            following=following,
        )

    def _following(self, goal: Goal, change: Change | None, deleted: float | None) -> Following | None:
        """Return the command whose end is waited for, if it is this client's and was accepted.

        A goal that the server meets before the end tells nothing of how long the command takes.
        """
        if deleted is not None:
            return Following(self.durations, "delete", deleted)
        command = None if change is None else change.command
        if command is None or command.lost or command.answered == math.inf:
            return None
        step = TRANSITIONS[command.name]
        if step.status_after not in goal.statuses or step.transitional_status in goal.statuses:
            return None
        return Following(self.durations, command.name, command.answered, end=step.status_after)

    def _is_prompt(self, following: Following) -> bool:
        """Return whether the first poll comes at once, however short a time ago the command was accepted.

        An item of a fleet has just sent its command, so that a poll would tell nothing. But some APIs execute a command
        before they respond, above all a DELETE.
        """
        crowd = IN_PROGRESS.get()
        if crowd.prompt or not crowd.size:
            return True
        quick = self.durations.is_quick(following.name)
        if quick is None:
            return following.name == "delete" and self.durations.running(following.name) < PROBES
        return quick


def checked_on_change(function: OnChange | None) -> OnChange | None:
    """Return the function to call with each change of status.

    Raises:
        TypeError: it cannot be called.
    """
    if function is not None and not callable(function):
        raise TypeError(f"on_change must be callable with a Server, not {function!r}")
    return function
