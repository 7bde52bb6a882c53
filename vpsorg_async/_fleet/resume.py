"""Goes on with a run where an earlier one has left it, also in another process.

What was accepted is waited for, and what became of a command in doubt is found out. Only what was never accepted is
begun, and before that each name of a create is looked for in a listing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._action_parts import Memory
from .._checks import check_flag
from .._endpoints import update as checked_update
from .._error_base import InvalidArgumentError
from .._models import Action, ServerSpec
from .._policies import NOT_GIVEN
from .._polling.goals import checked_goal
from .._polling.lifecycle import TRANSITIONS
from .listings import SharedListing
from .report import FleetReport, made_at
from .report_data import Carried
from .states import next_of
from .steps import Step, Work, applying, commanding, creating, deleting, updating, waiting


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from .._models import Server
    from .._policies import PollPolicy
    from .._servers import Servers
    from .item import ItemInProgress

    Function = Callable[[Any], Awaitable[object] | object]


def work_of(
    servers: Servers, action: str, own: Mapping[str, Any], *, function: Function | None, poll: PollPolicy
) -> Work:
    """Return the work of the run whose report has this *action*, with the arguments that it keeps.

    Raises:
        InvalidArgumentError: the report cannot be that of a run.
        TypeError: *function* is missing, or not wanted.
    """
    if (function is not None) != (action == "apply"):
        wanted = "the function again" if action == "apply" else "no function"
        raise TypeError(f"resume() of a run of {action!r} takes {wanted}")
    try:
        return _work_of(servers, action, own, function, poll)
    except TypeError as error:
        raise InvalidArgumentError(f"these are no data of a report: {error}") from None


def _work_of(
    servers: Servers, action: str, own: Mapping[str, Any], function: Function | None, poll: PollPolicy
) -> Work:
    wait, if_needed = own.get("wait", True), own.get("if_needed", False)
    check_flag("wait", wait)
    check_flag("if_needed", if_needed)
    if action in ("start", "stop", "reboot"):
        return commanding(servers, action, wait=wait, if_needed=if_needed, poll=poll)
    if action == "delete":
        return deleting(servers, wait=wait, if_needed=if_needed, poll=poll)
    if action in ("create", "ensure"):
        # Of an ensured run, only the arguments count here: it ensures again.
        return creating(servers, wait=wait, poll=poll)
    if action == "update":
        changes = {name: own.get(name, NOT_GIVEN) for name in ("name", "hostname", "backups_enabled")}
        checked_update(0, **changes)
        return updating(servers, changes)
    if action == "wait_until":
        checked_goal(own.get("status", ()), own.get("fail_on", ()), poll)
        return waiting(servers, status=own["status"], fail_on=own.get("fail_on", ()), poll=poll)
    if action == "apply" and function is not None:
        return applying(servers._context.clock, function)  # noqa: SLF001 - a part of this library
    raise InvalidArgumentError("these are no data of a report: no run has such an action")


def resuming(work: Work, servers: Servers, report: FleetReport, *, poll: PollPolicy) -> Work:
    """Return *work* for the items of *report*, whose outcomes say how far they came."""
    going_on = _GoingOn(servers, work, report, poll)
    own_ways: dict[tuple[str, str], Step] = {
        ("create", "wait"): going_on.follow_create,
        ("create", "find out"): going_on.find_created,
        ("create", "begin"): going_on.create_unless_there,
        ("delete", "wait"): going_on.follow_delete,
        ("update", "wait"): going_on.follow_update,
        ("update", "find out"): going_on.find_updated,
        ("reboot", "find out"): going_on.find_rebooted,
    }
    for name in ("start", "stop", "reboot"):
        own_ways[name, "wait"] = going_on.follow_command
    for name in ("start", "stop"):
        own_ways[name, "find out"] = going_on.find_switched

    async def step(item: ItemInProgress) -> None:
        assert item.earlier is not None
        planned = next_of(item.earlier.state, accepted=item.earlier.accepted, action=work.action)
        await own_ways.get((work.action, planned), work.step)(item)

    return attrs.evolve(work, step=step)


class _GoingOn:
    """The ways in which items go on from what an earlier run has left of them."""

    def __init__(self, servers: Servers, work: Work, report: FleetReport, poll: PollPolicy) -> None:
        self._servers = servers
        self._context = servers._context  # noqa: SLF001 - a part of this library
        self._work = work
        self._poll = poll
        self._wait = bool(work.own.get("wait"))
        self._made_at = made_at(report)
        self._began = self._context.clock.now()
        self._earlier = self._context.commands.earlier
        names = [outcome.item.name for outcome in report if isinstance(outcome.item, ServerSpec)]
        self._listing = SharedListing(self._earlier.read_listing, self._context.clock, names)

    async def follow_command(self, item: ItemInProgress) -> None:
        """Wait for a start, stop or reboot that was accepted."""
        memory = None if item.carried is None else item.carried.command
        goal = TRANSITIONS[self._work.action].status_after
        if memory is not None:
            action = self._action(item, memory)
            item.value = action
            if self._wait:
                item.server = await action.wait(item.left(), poll=self._poll, detail=False)
        elif self._wait:
            item.server = await self._servers.wait_until(
                item.server_id, status=goal, timeout=item.left(), poll=self._poll, detail=False
            )

    async def follow_create(self, item: ItemInProgress) -> None:
        """Wait for a server whose create was accepted."""
        memory = (item.carried or Carried()).command or Memory()
        self._context.command_log.restore(item.server_id, "create", memory, self._context.clock.now())
        await self._until_active(item)

    async def follow_delete(self, item: ItemInProgress) -> None:
        """Wait for the end of a server whose delete was accepted."""
        if self._wait:
            await self._servers.wait_until_deleted(item.server_id, timeout=item.left(), poll=self._poll)

    async def follow_update(self, item: ItemInProgress) -> None:
        """Read a server whose update was accepted."""
        item.server = item.value = await self._servers.get(item.server_id, timeout=item.left())

    async def find_created(self, item: ItemInProgress) -> None:
        """Find the server of a create in doubt, and wait for it."""
        carried = item.carried = item.carried or Carried(sent=self._made_at)
        options = self._servers._options.within(item.left())  # noqa: SLF001 - a part of this library
        found = await self._earlier.find_created(_spec(item), carried.sent, self._listing.read, options, self._bound)
        await self._adopt(item, found)

    async def create_unless_there(self, item: ItemInProgress) -> None:
        """Create a server, if a listing shows that its name is free."""
        options = self._servers._options.within(item.left())  # noqa: SLF001 - a part of this library

        async def read(options: Any) -> Any:
            return await self._listing.read(options, since=self._began)

        try:
            found = await self._earlier.find_before(_spec(item), self._made_at, read, options, self._bound)
        except Exception:
            item.carried = Carried(sent=self._made_at)
            raise
        if found is None:
            await self._work.step(item)
        else:
            await self._adopt(item, found)

    async def find_updated(self, item: ItemInProgress) -> None:
        """Read whether an update in doubt was carried out, and send it again if not."""
        server = await self._servers.get(item.server_id, timeout=item.left())
        if all(getattr(server, name) == value for name, value in self._work.own.items()):
            item.server = item.value = server
            item.accepted = True
        else:
            await self._work.step(item)

    async def find_rebooted(self, item: ItemInProgress) -> None:
        """Find out whether a reboot in doubt was carried out, and wait for it; send it if it was not."""
        carried = item.carried or Carried()
        options = self._servers._options.within(item.left())  # noqa: SLF001 - a part of this library
        found = await self._earlier.find_rebooted(item.server_id, carried.command or Memory(), carried.sent, options)
        if found is None:
            item.doubtful = False
            await self._work.step(item)
            return
        action, change = found
        item.value = self._servers._pending(action, "reboot", change)  # noqa: SLF001 - a part of this library
        item.accepted = True
        if self._wait:
            item.server = await item.value.wait(item.left(), poll=self._poll, detail=False)

    async def find_switched(self, item: ItemInProgress) -> None:
        """Look what became of a start or stop in doubt, and go on from there."""
        if item.carried is not None and item.carried.command is not None:
            self._context.command_log.restore(
                item.server_id, self._work.action, item.carried.command, self._context.clock.now()
            )
        await self._work.step(item)

    async def _adopt(self, item: ItemInProgress, server: Server) -> None:
        item.server = item.value = server
        item.accepted = True
        await self._until_active(item)

    async def _until_active(self, item: ItemInProgress) -> None:
        if self._wait:
            item.server = await self._servers.wait_until(
                item.server_id,
                status=TRANSITIONS["create"].status_after,
                timeout=item.left(),
                poll=self._poll,
                detail=False,
            )

    def _action(self, item: ItemInProgress, memory: Memory) -> Action:
        """Return the action of a command that an earlier run has sent, with this client."""
        given = item.value.to_dict() if isinstance(item.value, Action) else _NO_ACTION
        server = {"id": item.server_id, "name": "", "status": "", **given["server"]}
        data = {**given, "name": self._work.action, "server": server, "command": memory.to_dict()}
        return self._servers.bind(Action.from_dict(data))

    def _bound(self, server: Server) -> Server:
        return self._servers.bind(server)


_NO_ACTION: Mapping[str, Any] = {"version": 1, "status": "success", "message": "", "server": {}}


def _spec(item: ItemInProgress) -> ServerSpec:
    assert isinstance(item.item, ServerSpec)
    return item.item
