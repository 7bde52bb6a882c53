"""The methods of `client.servers`: a line or two each on the parts that do the work."""

from __future__ import annotations

import copy

from typing import TYPE_CHECKING, TypeAlias

import attrs

from . import _endpoints
from ._checks import checked_seconds, checked_statuses
from ._models import (
    Action,
    Server,
    ServerSpec,
    StatusGoal,
    Timeout,
    bind,
    bind_action,
    bound_to,
    checked_id,
)
from ._pagination import Listing, ServerList
from ._policies import NOT_GIVEN, NotGivenType, PollPolicy
from ._polling.goals import GONE, checked_goal, goal_of
from ._polling.lifecycle import LASTING, Observation
from ._polling.waiting import checked_on_change
from ._polling.watching import ServerWatch, checked_interval, checked_keys


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ._context import Context
    from ._page_plan import PageRead
    from ._polling.command_log import Change
    from ._polling.waiting import OnChange
    from ._request.call import CallOptions

ServerId: TypeAlias = int | str | Server
"""A server by its id, or a `Server`."""

WAIT_SECONDS = 900.0
"""The default timeout of a wait, in seconds: three times the longest documented provisioning."""


def call_timeout(servers: Servers, left: float | None) -> float | None:
    """Return the seconds for a call that is part of something with *left* seconds left."""
    own = servers._options.timeout  # noqa: SLF001 - the same module
    return left if own is None else own if left is None else min(own, left)


class Servers:
    """The account's servers. Every method takes `timeout`: the seconds that the call may take in all."""

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
        """List the servers of the account, from all pages.

        Await the result for a `list[Server]` in the API's order, or iterate it with `async for`. *timeout* is for each
        page. With *skip_invalid*, items without a usable id are left out and logged.

        Raises:
            ValueError: *status* is not one of the seven statuses.
            ResponseError: an item has no usable id, or the pages do not end.

        Source: VPS.org API documentation, 'List servers'.
        """
        options = self._with(timeout)
        wanted = None if status is None else checked_statuses("status", status)
        if location is not None and not isinstance(location, str):
            raise TypeError(f"location must be a datacenter code such as 'us-west', not {location!r}")
        query = {} if location is None else {"location": location}
        # The API filters by one of these statuses. Its behaviour with other filters is not documented.
        if wanted is not None and len(wanted) == 1 and wanted <= LASTING:
            query["status"] = next(iter(wanted))
        keep = None if wanted is None else lambda server: server.status in wanted
        return ServerList(lambda: self._listing(query, options, skip_invalid=skip_invalid, keep=keep))

    async def get(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Server:
        """Return one server in detail.

        Raises:
            NotFoundError: the server does not exist.

        Source: VPS.org API documentation, 'Get server details'.
        """
        key = checked_id(server_id)
        began = self._context.clock.now()
        result = await self._context.requester.send(_endpoints.get(key), self._with(timeout))
        self._context.command_log.admit(
            key, Observation(began=began, ended=self._context.clock.now(), server=result.value)
        )
        return bind(result.value, self)

    async def get_by_name(self, name: str, *, timeout: Timeout = NOT_GIVEN) -> Server | None:
        """Return the server of that name as a list shows it, or `None`. *timeout* is for all pages together.

        Raises:
            ValueError: several servers have the name. The message has their ids.
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
        """Create a server. It is then `provisioning` for 2 to 5 minutes.

        Raises:
            OutcomeUnknownError: the response was lost, and no listing proves what became of the create.
            BadRequestError: the API refuses the arguments. `fields` says which.
            InsufficientCreditsError: the account cannot pay for the server.
            ValueError: *name* has a character that names may not have. Nothing was sent.

        Cancellation: ends at once. The API may create the server all the same: `create.abandoned` is logged.

        Retries: only while nothing has been sent. After a lost response, the client searches for the server.

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
        """Replace all settings of a server, and return the changed server.

        Raises:
            BadRequestError: the API refuses a setting. `fields` says which.
            NotFoundError: the server does not exist.

        Retries: when no response arrives. Two executions have the effect of one.

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
        """Change the given settings, and return the changed server. `hostname=None` sends null.

        Raises:
            TypeError: no setting is given. Nothing was sent.
            BadRequestError: the API refuses a setting. `fields` says which.
            NotFoundError: the server does not exist.

        Retries: when no response arrives. Two executions have the effect of one.

        Source: VPS.org API documentation, 'Update server'.
        """
        key = checked_id(server_id)
        call = _endpoints.update(key, name=name, hostname=hostname, backups_enabled=backups_enabled)
        return bind(await self._context.commands.change(key, call, self._with(timeout)), self)

    async def delete(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> None:
        """Delete a server for good.

        Raises:
            NotFoundError: the server does not exist, and no earlier attempt of this call deleted it.

        Retries: when no response arrives. A 404 to a later attempt is success.

        Source: VPS.org API documentation, 'Delete server'.
        """
        await self._context.commands.delete(checked_id(server_id), self._with(timeout))

    async def start(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Start a stopped server. `await action.wait()` waits until it is active.

        Raises:
            StateConflictError: the server is not stopped.
            NotFoundError: the server does not exist.

        Retries: when no response arrives. After a 400 to a later attempt, a GET shows what became of the first one.

        Source: VPS.org API documentation, 'Start server'.
        """
        done, change = await self._context.commands.command(checked_id(server_id), "start", self._with(timeout))
        return bind_action(done, _Pending(self, "start", change))

    async def stop(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Stop a running server. `await action.wait()` waits until it is stopped.

        Raises:
            StateConflictError: the server is not running.
            NotFoundError: the server does not exist.

        Retries: when no response arrives. After a 400 to a later attempt, a GET shows what became of the first one.

        Source: VPS.org API documentation, 'Stop server'.
        """
        done, change = await self._context.commands.command(checked_id(server_id), "stop", self._with(timeout))
        return bind_action(done, _Pending(self, "stop", change))

    async def reboot(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Reboot a running server. `await action.wait()` waits until it has restarted.

        Raises:
            OutcomeUnknownError: the response was lost, and no poll of the server proves the reboot.
            StateConflictError: the server is not running.
            NotFoundError: the server does not exist.

        Retries: only while nothing has been sent. After a lost response, the client polls the server.

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
        """Wait until a server has *status*, or one of several statuses, and return the server.

        After a command of this client, the status from before the command does not count.

        Args:
            server_id: the server.
            status: the goal: a status, or several of which any one will do.
            timeout: seconds; 0 polls once, `None` waits without end.
            poll: how often the wait polls.
            fail_on: a status, or several, that end the wait early. By default `suspended`, unless that is the goal.
            on_change: a plain or async function. It is called with the server for every status that is seen, the first
                one included, in the task of the wait. An error that it raises ends the wait.
            detail: whether the server is to be as complete as `get` returns it.

        Raises:
            WaitTimeoutError: the time passed. The message has the last status, and how long it has lasted.
            UnexpectedStatusError: the server cannot reach the goal any more.
            ServerGoneError: the server does not exist, or no longer exists.
            AuthenticationError, PermissionDeniedError: the API refuses the token. The wait ends at once.
            VPSError: `poll.failures` polls in a row failed. It is the last error.

        Cancellation: ends at once, and nothing is left running.
        """
        goal, on_change = checked_goal(status, fail_on, poll), checked_on_change(on_change)
        key = checked_id(server_id)
        change = self._context.command_log.pending(key)
        wait = self._context.waits.make(
            key, goal, timeout, poll=poll, change=change, on_change=on_change, detail=detail
        )
        return self._seen(await wait.run())

    async def wait_until_deleted(self, server_id: ServerId, *, timeout: float | None = WAIT_SECONDS) -> None:
        """Wait until the API says that the server does not exist.

        Raises:
            WaitTimeoutError: the time passed.

        Cancellation: ends at once, and nothing is left running.
        """
        await self._context.waits.make(checked_id(server_id), GONE, timeout).run()

    def watch(self, server_ids: Iterable[ServerId] | None = None, *, interval: float = 5.0) -> ServerWatch:
        """Watch all servers, or those given: `async for change in client.servers.watch():` yields each `ServerChange`.

        First, every server is yielded as appeared. While a change is awaited, the client polls every *interval*
        seconds, once for all its watches and waits. A slow consumer gets only the latest state of each server. Unknown
        ids are ignored.

        Raises, from the iteration:
            AuthenticationError, PermissionDeniedError: the API refuses the token. The iteration ends at once.
            APIConnectionError: the client is closed.
            VPSError: five polls in a row failed. It is the last error.

        Cancellation: ends at once, and nothing is left running. The same holds after `break`.
        """
        parts = self._context
        return ServerWatch(
            None if server_ids is None else checked_keys(server_ids),
            checked_interval(interval),
            coordinator=parts.coordinator,
            clock=parts.clock,
            lifetime=parts.lifetime,
            bind=self._seen,
        )

    async def _wait_for(self, name: str, change: Change, timeout: float | None, *, detail: bool = True) -> Server:
        """Wait until *change*, the command *name* of this client, has taken effect and is over."""
        pending = None if change.shown else change
        wait = self._context.waits.make(change.server_id, goal_of(name), timeout, change=pending, detail=detail)
        return self._seen(await wait.run())

    def _seen(self, server: Server | None) -> Server:
        assert server is not None
        if bound_to(server) not in (None, self):
            # Other waits may return the same object, and belong to another view of the client.
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
    """The command that an `Action` waits for."""

    servers: Servers
    name: str
    change: Change

    async def wait(self, timeout: float | None) -> Server:
        return await self.servers._wait_for(self.name, self.change, timeout)  # noqa: SLF001 - the same module
