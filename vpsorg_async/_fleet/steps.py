"""Does the work of a fleet for one item: sends its command, and waits for its server."""

from __future__ import annotations

import inspect

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from .._errors import APITimeoutError, ServerGoneError, WaitTimeoutError
from .._models import ServerSpec
from .._policies import NOT_GIVEN
from .._polling.goals import checked_goal
from .._polling.lifecycle import TRANSITIONS
from .._server_parts import ServerStatus
from .carrying import Carries, carries
from .item import ItemInProgress


if TYPE_CHECKING:
    from .._clock import Clock
    from .._models import StatusGoal
    from .._policies import NotGivenType, PollPolicy
    from .._servers import Servers

Step: TypeAlias = Callable[[ItemInProgress], Awaitable[None]]
"""Does the work for one item, and notes on the item how far it came."""


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Work:
    """The work of a run for each of its items.

    Attributes:
        action: its name, such as `"reboot"`.
        step: does it for one item.
        changes: whether it may change something.
        repeats: whether the run may do it again after an outage, if the API has not accepted it.
        repeats_in_doubt: whether the run may do so if the API may have accepted it.
        calls_back: whether it is done by a function of the user.
        own: the arguments of the action, JSON-ready: a run that goes on has them again.
        carries: returns what such a run has to know of an item's command; `None`: nothing.
    """

    action: str
    step: Step
    changes: bool = True
    repeats: bool = True
    repeats_in_doubt: bool = False
    calls_back: bool = False
    own: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    carries: Carries | None = None

    def may_repeat(self, item: ItemInProgress) -> bool:
        """Whether the run may do the work of *item* again, which has failed for lack of a response."""
        return self.repeats and not item.is_accepted and (self.repeats_in_doubt or not item.in_doubt)


def commanding(servers: Servers, name: str, *, wait: bool, if_needed: bool, poll: PollPolicy) -> Work:
    """Return the work that starts, stops or reboots each server."""
    command: Callable[..., Awaitable[Any]] = getattr(servers, name)
    goal = TRANSITIONS[name].status_after

    async def step(item: ItemInProgress) -> None:
        # If an earlier command may have been executed, the server's status tells whether another one is needed.
        status = await _status_now(servers, item, poll) if if_needed or item.in_doubt else None
        if status == goal:
            return
        if status != TRANSITIONS[name].transitional_status:
            item.value = await command(item.server_id, timeout=item.left())
        item.accepted = True
        if wait:
            item.server = await servers.wait_until(
                item.server_id, status=goal, timeout=item.left(), poll=poll, detail=False
            )

    return Work(
        action=name,
        step=step,
        repeats_in_doubt=name != "reboot",
        own={"wait": wait} if name == "reboot" else {"wait": wait, "if_needed": if_needed},
        carries=carries(servers._context, name),  # noqa: SLF001 - a part of this library
    )


def deleting(servers: Servers, *, wait: bool, if_needed: bool, poll: PollPolicy) -> Work:
    """Return the work that deletes each server."""

    async def step(item: ItemInProgress) -> None:
        if if_needed or item.in_doubt:
            try:
                await _status_now(servers, item, poll)
            except ServerGoneError:
                return
        await servers.delete(item.server_id, timeout=item.left())
        item.accepted = True
        if wait:
            await servers.wait_until_deleted(item.server_id, timeout=item.left(), poll=poll)

    return Work(action="delete", step=step, repeats_in_doubt=True, own={"wait": wait, "if_needed": if_needed})


def updating(servers: Servers, changes: dict[str, Any]) -> Work:
    """Return the work that changes settings of each server."""

    async def step(item: ItemInProgress) -> None:
        item.server = item.value = await servers.update(item.server_id, **changes, timeout=item.left())
        item.accepted = True

    own = {name: value for name, value in changes.items() if value is not NOT_GIVEN}
    return Work(action="update", step=step, repeats_in_doubt=True, own=own)


def waiting(
    servers: Servers, *, status: StatusGoal, fail_on: StatusGoal | NotGivenType | None, poll: PollPolicy
) -> Work:
    """Return the work that waits for each server."""

    async def step(item: ItemInProgress) -> None:
        item.server = item.value = await servers.wait_until(
            item.server_id, status=status, timeout=item.left(), poll=poll, fail_on=fail_on, detail=False
        )

    goal = checked_goal(status, fail_on, poll)
    own = {"status": sorted(map(str, goal.statuses)), "fail_on": sorted(map(str, goal.fail_on))}
    return Work(action="wait_until", step=step, changes=False, repeats=False, own=own)


def applying(clock: Clock, function: Callable[[Any], Awaitable[object] | object]) -> Work:
    """Return the work that calls *function* with each server or id."""

    async def step(item: ItemInProgress) -> None:
        seconds = item.left()
        with clock.move_on_after(seconds) as scope:
            result = function(item.item)
            item.value = await result if inspect.isawaitable(result) else result
        if scope.cancelled_caught:
            assert seconds is not None
            raise APITimeoutError(f"it did not end within {round(seconds, 2):g} s", sent=item.in_doubt)

    return Work(action="apply", step=step, repeats=False, calls_back=True)


def creating(servers: Servers, *, wait: bool, poll: PollPolicy) -> Work:
    """Return the work that creates a server from each spec."""

    async def step(item: ItemInProgress) -> None:
        assert isinstance(item.item, ServerSpec)
        given = attrs.asdict(item.item, recurse=False)
        item.server = item.value = await servers.create(**given, timeout=item.left())
        item.accepted = True
        if wait:
            item.server = await servers.wait_until(
                item.server,
                status=TRANSITIONS["create"].status_after,
                timeout=item.left(),
                poll=poll,
                detail=False,
            )

    return Work(
        action="create",
        step=step,
        own={"wait": wait},
        carries=carries(servers._context, "create"),  # noqa: SLF001 - a part of this library
    )


async def _status_now(servers: Servers, item: ItemInProgress, poll: PollPolicy) -> str:
    """Return the status that polls show now. They are the polls of all waits, so many items cost about what one does.

    The status from before a command of this client does not count while the command may still take effect.

    Raises:
        ServerGoneError: the server does not exist.
        WaitError: the polls failed.
    """
    left = item.left()
    # A status that nobody documented is one of these never: after so long it is returned as it is.
    patience = poll.grace if left is None else min(left, poll.grace)
    try:
        item.server = await servers.wait_until(
            item.server_id, status=tuple(ServerStatus), timeout=patience, poll=poll, detail=False
        )
    except WaitTimeoutError as error:
        if error.server is None or error.__cause__ is not None:
            raise
        item.server = error.server
    return item.server.status
