"""What a user calls: the nine endpoints and the waits, as methods of `client.servers`."""

from __future__ import annotations

import copy
import functools
import math

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from . import _endpoints
from ._checks import checked_seconds, checked_statuses
from ._models import (
    Action,
    Server,
    ServerSpec,
    ServerStatus,
    StatusGoal,
    Timeout,
    bind,
    bind_action,
    bound_to,
    checked_id,
)
from ._pagination import Listing, ServerList
from ._policies import NOT_GIVEN, NotGivenType, PollPolicy
from ._polling.entry import PollEntry, expiry
from ._polling.lifecycle import LASTING, TRANSITIONS, Goal, Observation
from ._polling.waiting import OnChange, Wait
from ._polling.watching import ServerWatch


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._context import Context
    from ._page_plan import PageRead
    from ._polling.command_log import Change
    from ._request.call import CallOptions

ServerId: TypeAlias = int | str | Server
"""A server by its id, or as the API showed it."""

WAIT_SECONDS = 900.0
"""How long a wait lasts unless told otherwise: three times the longest documented provisioning."""


def checked_goal(status: StatusGoal, fail_on: StatusGoal | NotGivenType | None, poll: PollPolicy) -> Goal:
    """Return the goal of a wait for *status*.

    Raises:
        TypeError, ValueError: an argument cannot be used.
    """
    goals = checked_statuses("status", status)
    if not goals:
        raise ValueError("status is empty: give at least one status to wait for")
    if fail_on is NOT_GIVEN:
        fail_on = ServerStatus.SUSPENDED
    fails = checked_statuses("fail_on", () if fail_on is None else fail_on) - goals
    if not isinstance(poll, PollPolicy):
        raise TypeError(f"poll must be a PollPolicy, not {poll!r}")
    return _goal(goals, fails, poll.grace)


@functools.lru_cache(maxsize=128)
def _goal(statuses: frozenset[str], fail_on: frozenset[str], grace: float) -> Goal:
    """Return the goal: of ten thousand waits most have the same."""
    return Goal(statuses=statuses, fail_on=fail_on, grace=grace)


def call_timeout(servers: Servers, left: float | None) -> float | None:
    """Return how long a call may take that is part of something with so many seconds left."""
    own = servers._options.timeout  # noqa: SLF001 - the same module
    return left if own is None else own if left is None else min(own, left)


class Servers:
    """The account's servers. Every method takes `timeout`, the seconds that the call may take in all."""

    def __init__(self, parts: Context, options: CallOptions) -> None:
        self._context = parts
        self._options = options

    def list(
        self,
        *,
        status: StatusGoal | None = None,
        location: str | None = None,
        skip_invalid: bool = False,
        timeout: Timeout = NOT_GIVEN,
    ) -> ServerList:
        """List the servers, on all pages.

        Await it for a `list[Server]` in the API's order, or iterate it with `async for`. *timeout* is for each page.
        With *skip_invalid*, items without a usable id are left out and logged.

        Raises:
            ValueError: *status* is none of the seven.
            ResponseError: an item has no usable id, or the pages do not end.

        Source: API.md, endpoint 1; paging as in DIALECT.md.
        """
        options = self._with(timeout)
        wanted = None if status is None else checked_statuses("status", status)
        if location is not None and not isinstance(location, str):
            raise TypeError(f"location must be a datacenter code such as 'us-west', not {location!r}")
        query = {} if location is None else {"location": location}
        # The API filters by a single one of these; what it does with others is not documented.
        if wanted is not None and len(wanted) == 1 and wanted <= LASTING:
            query["status"] = next(iter(wanted))
        keep = None if wanted is None else lambda server: server.status in wanted
        return ServerList(lambda: self._listing(query, options, skip_invalid=skip_invalid, keep=keep))

    async def get(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Server:
        """Return one server in detail.

        Raises:
            NotFoundError: there is no such server.

        Source: API.md, endpoint 3.
        """
        key = checked_id(server_id)
        began = self._context.clock.now()
        answer = await self._context.requester.send(_endpoints.get(key), self._with(timeout))
        self._context.command_log.admit(
            key, Observation(began=began, ended=self._context.clock.now(), server=answer.value)
        )
        return bind(answer.value, self)

    async def get_by_name(self, name: str, *, timeout: Timeout = NOT_GIVEN) -> Server | None:
        """Return the one server of that name, as a list shows it, or `None`. *timeout* is for all pages together.

        Raises:
            ValueError: several have it; their ids are named.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        options = self._with(timeout)
        servers = await self._listing({}, options).read_all(within=options.timeout)
        found = [server for server in servers if server.name == name]
        if len(found) > 1:
            raise ValueError(
                f"{len(found)} servers are named {name!r}: {', '.join(str(server.id) for server in found)}"
            )
        return found[0] if found else None

    async def create(
        self,
        *,
        name: str,
        plan_id: int | str,
        os_id: int | str,
        location: str,
        hostname: str | None = None,
        ssh_key_id: int | str | None = None,
        backups_enabled: bool = False,
        timeout: Timeout = NOT_GIVEN,
    ) -> Server:
        """Create a server; it is `provisioning` then, for 2 to 5 minutes.

        Raises:
            OutcomeUnknownError: the response was lost, and no listing proves what became of the create.
            BadRequestError: the API refuses the arguments; see `fields`.
            InsufficientCreditsError: the account cannot pay for it.
            ValueError: *name* has a character that names may not have; nothing was sent.

        Cancellation: goes through at once. The server may be made all the same: `create.abandoned` is logged.

        Retries: only while nothing has been sent. After a lost response the SDK looks for the server in the listing.

        Source: VPS.org API documentation, 'Create server'.
        """
        spec = ServerSpec(
            name=name,
            plan_id=plan_id,
            os_id=os_id,
            location=location,
            hostname=hostname,
            ssh_key_id=ssh_key_id,
            backups_enabled=backups_enabled,
        )
        return await self._context.commands.create(spec, self._with(timeout), lambda server: bind(server, self))

    async def replace(
        self,
        server_id: ServerId,
        *,
        name: str,
        hostname: str | None,
        backups_enabled: bool,
        timeout: Timeout = NOT_GIVEN,
    ) -> Server:
        """Replace all settings of a server, and return it.

        Raises:
            BadRequestError: the API refuses one of them; see `fields`.
            NotFoundError: there is no such server.

        Retries: when no response arrives; twice is the same as once.

        Source: VPS.org API documentation, 'Update server'.
        """
        key = checked_id(server_id)
        call = _endpoints.replace(key, name=name, hostname=hostname, backups_enabled=backups_enabled)
        return bind(await self._context.commands.change(key, call, self._with(timeout)), self)

    async def update(
        self,
        server_id: ServerId,
        *,
        name: str | NotGivenType = NOT_GIVEN,
        hostname: str | NotGivenType | None = NOT_GIVEN,
        backups_enabled: bool | NotGivenType = NOT_GIVEN,
        timeout: Timeout = NOT_GIVEN,
    ) -> Server:
        """Change the settings that are given, and return the server. `hostname=None` sends null.

        Raises:
            TypeError: none is given; nothing was sent.
            BadRequestError: the API refuses one of them; see `fields`.
            NotFoundError: there is no such server.

        Retries: when no response arrives; twice is the same as once.

        Source: VPS.org API documentation, 'Update server'.
        """
        key = checked_id(server_id)
        call = _endpoints.update(key, name=name, hostname=hostname, backups_enabled=backups_enabled)
        return bind(await self._context.commands.change(key, call, self._with(timeout)), self)

    async def delete(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> None:
        """Delete a server for good.

        Raises:
            NotFoundError: there is no such server, and no lost attempt of this call deleted it.

        Retries: when no response arrives; a 404 to the repeat is success.

        Source: VPS.org API documentation, 'Delete server'.
        """
        await self._context.commands.delete(checked_id(server_id), self._with(timeout))

    async def start(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Power on a stopped server; `await action.wait()` for `active`.

        Raises:
            StateConflictError: it is not stopped.
            NotFoundError: there is no such server.

        Retries: when no response arrives; a 400 to the repeat is settled by a GET.

        Source: VPS.org API documentation, 'Start server'.
        """
        done, change = await self._context.commands.command(checked_id(server_id), "start", self._with(timeout))
        return bind_action(done, _Pending(self, "start", change))

    async def stop(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Shut a running server down; `await action.wait()` for `stopped`.

        Raises:
            StateConflictError: it is not running.
            NotFoundError: there is no such server.

        Retries: when no response arrives; a 400 to the repeat is settled by a GET.

        Source: VPS.org API documentation, 'Stop server'.
        """
        done, change = await self._context.commands.command(checked_id(server_id), "stop", self._with(timeout))
        return bind_action(done, _Pending(self, "stop", change))

    async def reboot(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Reboot a running server; `await action.wait()` until it is back.

        Raises:
            OutcomeUnknownError: the response was lost, and no look at the server proves the reboot.
            StateConflictError: it is not running.
            NotFoundError: there is no such server.

        Retries: only while nothing has been sent. After a lost response the SDK looks at the server.

        Source: VPS.org API documentation, 'Reboot server'.
        """
        done, change = await self._context.commands.command(checked_id(server_id), "reboot", self._with(timeout))
        return bind_action(done, _Pending(self, "reboot", change))

    async def wait_until(
        self,
        server_id: ServerId,
        *,
        status: StatusGoal,
        timeout: float | None = WAIT_SECONDS,
        poll: PollPolicy = PollPolicy(),
        fail_on: StatusGoal | NotGivenType | None = NOT_GIVEN,
        on_change: OnChange | None = None,
        detail: bool = True,
    ) -> Server:
        """Wait until a server is in *status*, or in one of several, and return it as it was seen then.

        After a command of this client the status from before it does not count. *on_change*, plain or async, is called
        with the server for every change of status that is seen, the first one seen included, in the waiter's own task;
        what it raises ends this wait. *fail_on* ends the wait early (by default `suspended`, unless it is the goal);
        *detail* asks for a server as complete as `get` gives it. *timeout* is in seconds, 0 for a single look, `None`
        for without end.

        Raises:
            WaitTimeoutError: the time passed. Says what was last seen, and for how long.
            UnexpectedStatusError: the goal is out of reach.
            ServerGoneError: there is no such server, or no more.
            AuthenticationError, PermissionDeniedError: at once.
            VPSError: `poll.failures` looks in a row failed; the last one's error.

        Cancellation: ends at once, and nothing is left running.
        """
        goal = checked_goal(status, fail_on, poll)
        if on_change is not None and not callable(on_change):
            raise TypeError(f"on_change must be callable with a Server, not {on_change!r}")
        key = checked_id(server_id)
        change = self._context.command_log.pending(key)
        wait = self._wait(key, goal, timeout, poll=poll, change=change, on_change=on_change, detail=detail)
        return self._seen(await wait.run())

    async def wait_until_deleted(self, server_id: ServerId, *, timeout: float | None = WAIT_SECONDS) -> None:
        """Wait until the API says that there is no such server.

        Raises:
            WaitTimeoutError: the time passed.

        Cancellation: ends at once, and nothing is left running.
        """
        key = checked_id(server_id)
        await self._wait(key, Goal(statuses=frozenset()), timeout).run()

    def watch(self, server_ids: Iterable[ServerId] | None = None, *, interval: float = 5.0) -> ServerWatch:
        """Watch servers, all or those given: `async for change in client.servers.watch():` gives each `ServerChange`.

        Every server is told of as appeared first. A look is made every *interval* seconds while a change is awaited,
        one for all watches and waits of the client. Whoever takes changes slowly gets the newest state of each server,
        not every one between. An id that was never there gives nothing.

        Raises, from the iteration:
            AuthenticationError, PermissionDeniedError: at once.
            APIConnectionError: the client is closed.
            VPSError: five looks in a row failed: the last one's error.

        Cancellation: ends at once, and nothing is left running; the same after `break`.
        """
        if isinstance(interval, bool) or not isinstance(interval, (int, float)):
            raise TypeError(f"interval takes seconds as a number, not {interval!r}")
        if not 0 < interval < math.inf:
            raise ValueError(f"interval={interval!r}: give more than 0 seconds, and not infinitely many")
        parts, keys = self._context, None
        if server_ids is not None:
            if isinstance(server_ids, (str, Server)) or not isinstance(server_ids, Iterable):
                raise TypeError(f"server_ids takes several servers or ids, or None for all, not {server_ids!r}")
            keys = frozenset(str(checked_id(server_id)) for server_id in server_ids)
            if not keys:
                raise ValueError("server_ids is empty: give at least one server or id, or None for all")
        return ServerWatch(
            keys,
            float(interval),
            coordinator=parts.coordinator,
            clock=parts.clock,
            lifetime=parts.lifetime,
            bind=self._seen,
        )

    async def _wait_for(self, name: str, change: Change, timeout: float | None, *, detail: bool = True) -> Server:
        """Wait until *change*, the command *name* that this client gave, has taken effect and is over."""
        goal = Goal(statuses=frozenset({TRANSITIONS[name].status_after}))
        pending = None if change.shown else change
        return self._seen(await self._wait(change.server_id, goal, timeout, change=pending, detail=detail).run())

    def _wait(
        self,
        server_id: int | str,
        goal: Goal,
        timeout: float | None,
        *,
        poll: PollPolicy = PollPolicy(),
        change: Change | None = None,
        on_change: OnChange | None = None,
        detail: bool = True,
    ) -> Wait:
        parts, seconds = self._context, checked_seconds("timeout", timeout)
        began = parts.clock.now()
        deadline = math.inf if seconds is None else began + seconds
        return Wait(
            server_id=server_id,
            entry=PollEntry(
                keys=frozenset({str(server_id)}),
                interval=poll.interval,
                began=began,
                deadline=deadline,
                expires=expiry(began, deadline, parts.coordinator.attempt_timeout),
            ),
            goal=goal,
            policy=poll,
            coordinator=parts.coordinator,
            clock=parts.clock,
            events=parts.events,
            lifetime=parts.lifetime,
            change=change,
            on_change=on_change,
            detail=detail,
        )

    def _seen(self, server: Server | None) -> Server:
        assert server is not None
        if bound_to(server) not in (None, self):
            # Others may have been handed the same object, and theirs belongs to their view of the client.
            server = copy.copy(server)
        return bind(server, self)

    def _listing(
        self,
        query: Mapping[str, str],
        options: CallOptions,
        *,
        skip_invalid: bool = False,
        keep: Callable[[Server], bool] | None = None,
    ) -> Listing:
        return Listing(
            self._context.pager, query, options, skip_invalid=skip_invalid, keep=keep, on_page=self._take_page
        )

    def _take_page(self, page: PageRead) -> None:
        for server in page.servers:
            bind(server, self)
        self._context.command_log.admit_listed(page.servers, page.began, page.ended)

    def _with(self, timeout: Timeout) -> CallOptions:
        if timeout is NOT_GIVEN:
            return self._options
        return self._options.within(checked_seconds("timeout", timeout))


@attrs.frozen(eq=False, repr=False)
class _Pending:
    """What an `Action` waits with."""

    servers: Servers
    name: str
    change: Change

    async def wait(self, timeout: float | None) -> Server:
        return await self.servers._wait_for(self.name, self.change, timeout)  # noqa: SLF001 - the same module
