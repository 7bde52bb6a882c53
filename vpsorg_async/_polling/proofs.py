"""Decides whether observations prove that a command was executed. Pure.

A start or stop is proven by its transitional status, or by a status that does not lead to the status before. A reboot
comes back to the status before, so that polls may miss it. It is proven by one of these:

1. An observation showed another status than the one before, as above. A stale `rebooting` of an earlier reboot is none.
2. `updated_at` is newer than in the baseline, an observation from before the command, and nothing else explains that.
   It is not older than the API's response to the command. The fields that a PATCH can change are as before, so neither
   of the two may come from a list. This client has changed nothing since. The API was never seen to move `updated_at`
   without a change. If the response to the command did not say `rebooting`, the reboot is queued, and what happens
   within the grace is taken for something else.
3. The grace has passed, the API's response to the command said `rebooting`, and `updated_at` does not contradict it.
   While it has not moved, four times the grace must pass. If the API moves it with each change of the status, the
   server has not been rebooted yet, however long that takes. If it was seen to stay the same, it says nothing.
4. Five minutes have passed, and something else may explain what the polls have shown: a change by somebody else has
   moved `updated_at`, an earlier command of this client had not ended, or the response did not say `rebooting`.

The status from before proves nothing while it may have been read before another status was: see `overlaps`.

The status from before a reboot proves nothing within the grace if an earlier reboot was seen under way last, and both
reboots have the same `updated_at`, of the second in which the command was answered. The earlier one may have ended in
that second, just before the command, and a replica that lags may still show it.

A command whose response was lost may never have been executed. The status from before counts again when the grace has
passed, for a reboot four times the grace.
"""

from __future__ import annotations

import math

from datetime import timedelta
from typing import TYPE_CHECKING

from .habits import NONE_SEEN, settings_of
from .lifecycle import PASSING
from .stamps import is_older, is_same


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from .habits import Habits
    from .lifecycle import Command, Observation

CLOCK_SLACK = timedelta(seconds=2)
"""The API's `Date`, which is cut to the second, and its `updated_at` may differ by so much (assumed)."""

UNMOVED = 4
"""So many graces prove a reboot while `updated_at` has not moved (assumed)."""

UNCLEAR = 300.0
"""Seconds that prove a reboot where something else may explain what the polls have shown (assumed).

The longest create that the vendor documents takes so long.
"""

LONGEST_EFFECT = 900.0
"""Seconds after which a start or stop that has shown no effect decides nothing any more."""


def took_effect(
    command: Command, observations: Sequence[Observation], *, grace: float, habits: Habits = NONE_SEEN
) -> bool:
    """Return whether *observations* show that *command* was executed. All began after it was answered."""
    if any(is_effect(command, observation, grace=grace) for observation in observations):
        return True
    last = observations[-1]
    elapsed = last.began - command.answered
    if command.name == "reboot":
        # Only a reboot comes back to the status from before it. A start or stop leaves it.
        begun = command.said == command.transitional_status or elapsed >= grace
        return (begun and updated_by(command, last, habits)) or elapsed >= _proving_time(command, last, habits, grace)
    return command.lost and elapsed >= grace


def is_of_the_same_second(command: Command, observations: Sequence[Observation], *, grace: float) -> bool:
    """Return whether the last observation may show the moment before *command*, a reboot, by a replica that lags."""
    last = observations[-1]
    after_another = command.name == "reboot" and command.old_transition is not None
    if not after_another or command.date is None or last.server is None:
        return False
    updated_at = last.server.updated_at
    if updated_at is None or abs(updated_at - command.date) > CLOCK_SLACK or last.began - command.answered >= grace:
        return False
    shown = [one.server.updated_at for one in observations if one.server and one.status == command.transitional_status]
    return any(one is not None and is_same(one, updated_at) for one in shown)


def overlaps(observations: Sequence[Observation]) -> bool:
    """Return whether the last observation may be older than the last one with another status.

    Two requests that are on their way at the same time may be read in either order.
    """
    last = observations[-1]
    other = next((one for one in reversed(observations) if one.status != last.status), None)
    if other is None or other.server is None or last.server is None or other.ended <= last.began:
        return False
    return not is_older(other.server.updated_at, last.server.updated_at)


def is_aged(command: Command, now: float) -> bool:
    """Return whether *command* decides nothing any more *now*, if it has shown no effect.

    A reboot whose response came is waited for without end by those who wait already.
    """
    return now - command.answered >= LONGEST_EFFECT and (command.name in ("start", "stop") or command.lost)


def is_effect(command: Command, observation: Observation, *, grace: float = math.inf) -> bool:
    """Return whether the status alone shows that *command* was executed."""
    status = observation.status
    if observation.server is None or not status:
        return False
    if status == command.transitional_status:
        # A replica that lags may still show the transition of an earlier command, but for no longer than the grace.
        known = observation.server.updated_at
        late = observation.began - command.answered >= grace
        return late or known is None or known != command.old_transition
    return PASSING.get(status, status) != command.status_before


def updated_by(command: Command, observation: Observation, habits: Habits = NONE_SEEN) -> bool:
    """Return whether only *command*, or something after it, can have set the `updated_at` of *observation*.

    Newer than before is not enough: somebody may have renamed the server, before the command or after it.
    """
    server, baseline = observation.server, command.baseline
    if server is None or server.updated_at is None or baseline is None or command.date is None:
        return False
    if habits.ticks or observation.listed or baseline.settings != settings_of(server):
        return False
    if observation.ended > command.disturbed:
        return False
    return is_older(baseline.updated_at, server.updated_at) and server.updated_at >= command.date - CLOCK_SLACK


def _proving_time(command: Command, last: Observation, habits: Habits, grace: float) -> float:
    """Return after how many seconds *command*, a reboot, is taken to be over; infinity is never."""
    moved, explained = _has_moved(command, last), _is_explained(command, last)
    queued = not command.lost and command.said != command.transitional_status
    unclear = max(UNCLEAR, UNMOVED * grace)
    if command.unclear:
        return unclear
    if moved is False and habits.always_moves:
        return math.inf
    if queued or (explained and habits.always_moves):
        return unclear
    if command.lost:
        return UNMOVED * grace
    if habits.stays or last.server is None or last.server.updated_at is None:
        # It says nothing.
        return grace
    # Without a baseline nobody knows what else may have moved it.
    return grace if moved and not (command.baseline is None and habits.always_moves) else UNMOVED * grace


def _has_moved(command: Command, observation: Observation) -> bool | None:
    """Return whether `updated_at` has moved since *command* was sent, or `None` if nobody knows or can tell why."""
    server, baseline = observation.server, command.baseline
    if server is None or server.updated_at is None:
        return None
    if baseline is None or baseline.updated_at is None:
        return None if command.date is None else _is_after(server.updated_at, command.date)
    if is_same(baseline.updated_at, server.updated_at):
        return False
    return None if _is_explained(command, observation) or observation.ended > command.disturbed else True


def _is_explained(command: Command, observation: Observation) -> bool:
    """Return whether a change by somebody else is a reason for a newer `updated_at`."""
    server, baseline = observation.server, command.baseline
    if server is None or baseline is None:
        return False
    if baseline.names not in (None, (server.name, server.hostname)):
        return True
    return baseline.settings is not None and not observation.listed and baseline.settings != settings_of(server)


def _is_after(updated_at: datetime, date: datetime) -> bool | None:
    """Return whether a change came after the response with this `Date`, or `None` if that is too close to tell."""
    return None if abs(updated_at - date) <= CLOCK_SLACK else updated_at > date
