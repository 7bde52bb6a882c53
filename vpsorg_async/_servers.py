"""The methods of `client.servers`: a line or two each on the parts that do the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, overload

from . import _endpoints
from ._checks import check_flag, checked_statuses, plain_text
from ._decoding import member
from ._errors import AmbiguousNameError
from ._models import Action, Server, ServerId, ServerSpec, StatusGoal, Timeout, bind, checked_id
from ._page_plan import LIST_REQUEST, PageRead, filter_of
from ._pagination import Listing, ServerList
from ._policies import NOT_GIVEN, NotGivenType
from ._polling.lifecycle import LASTING, Observation
from ._public import publish
from ._request.call import CallOptions
from ._server_waits import ServerWaits


class Servers(ServerWaits):
    """The account's servers. Every method takes `timeout`: the seconds that the call may take in all."""

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
        page. With *skip_invalid*, items without a usable id are left out and logged. Both filters are checked again:
        an API or a proxy that ignores one does not add servers. Servers with the status `deleted` are left out.

        Raises:
            InvalidArgumentError: *status* is not one of the seven statuses.
            ResponseError: an item has no usable id, or the pages do not end.

        Source: VPS.org API documentation, 'List servers'.
        """
        options = self._with(timeout)
        check_flag("skip_invalid", skip_invalid)
        wanted = None if status is None else checked_statuses("status", status)
        if location is not None and not isinstance(location, str):
            raise TypeError(f"location must be a datacenter code such as 'us-west', not {location!r}")
        query = {} if location is None else {"location": plain_text(location)}
        # The API filters by one of these statuses. Its behaviour with other filters is not documented.
        if wanted is not None and len(wanted) == 1 and wanted <= LASTING:
            query["status"] = next(iter(wanted))
        keep = filter_of(wanted, location)
        return ServerList(lambda: self._listing(query, options, skip_invalid=skip_invalid, keep=keep))

    async def get(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Server:
        """Return one server in detail.

        A server with the status `deleted` is returned as the API shows it.

        Raises:
            NotFoundError: the server does not exist.

        Source: VPS.org API documentation, 'Get server details'.
        """
        key = checked_id(server_id)
        result = await self._context.requester.send(_endpoints.get(key), self._with(timeout))
        self._context.command_log.admit(
            key, Observation(began=result.began, ended=self._context.clock.now(), server=result.value, date=result.date)
        )
        return bind(result.value, self)

    async def get_by_name(self, name: str, *, timeout: Timeout = NOT_GIVEN) -> Server | None:
        """Return the server of that name as a list shows it, or `None`. *timeout* is for all pages together.

        Malformed items of the list that have another name, or none, are passed over.

        Raises:
            AmbiguousNameError: several servers have the name. `ids` has their ids.
            ResponseError: an item of that name has no usable id.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        options = self._with(timeout)
        fits = filter_of(None, None)
        listing = self._listing(
            {},
            options,
            skip_invalid=lambda item: bool(member(item, "name") != name),
            keep=lambda server: server.name == name and fits(server),
        )
        found = await listing.read_all(within=options.timeout)
        if len(found) > 1:
            ids = [server.id for server in found]
            raise AmbiguousNameError(
                f"{len(found)} servers are named {name!r}: {', '.join(map(str, ids))}",
                ids=ids,
                request_summary=LIST_REQUEST,
            )
        return found[0] if found else None

    @overload
    async def create(self, spec: ServerSpec, *, timeout: Timeout = NOT_GIVEN) -> Server: ...

    @overload
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
    ) -> Server: ...

    async def create(
        self,
        spec: ServerSpec | NotGivenType = NOT_GIVEN,
        *,
        name: str | NotGivenType = NOT_GIVEN,
        plan_id: int | str | NotGivenType = NOT_GIVEN,
        os_id: int | str | NotGivenType = NOT_GIVEN,
        location: str | NotGivenType = NOT_GIVEN,
        hostname: str | None = None,
        ssh_key_id: int | str | None = None,
        backups_enabled: bool = False,
        timeout: Timeout = NOT_GIVEN,
    ) -> Server:
        """Create a server, of a `ServerSpec` or of its fields. It is then `provisioning` for 2 to 5 minutes.

        Raises:
            OutcomeUnknownError: the response was lost, and no listing proves what became of the create.
            BadRequestError: the API refuses the arguments. `fields` says which.
            InsufficientCreditsError: the account cannot pay for the server.
            InvalidArgumentError: *name* has a character that names may not have. Nothing was sent.
            TypeError: both a spec and fields are given, or a field is missing. Nothing was sent.

        Cancellation: ends at once. The API may create the server all the same: `create.abandoned` is logged.

        Retries: only while nothing has been sent. After a lost response, the client searches for the server.

        Source: VPS.org API documentation, 'Create server'.
        """
        fields = {
            "name": name,
            "plan_id": plan_id,
            "os_id": os_id,
            "location": location,
            "hostname": hostname,
            "ssh_key_id": ssh_key_id,
            "backups_enabled": backups_enabled,
        }
        spec = _endpoints.spec_of(spec, fields)
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
        return self._pending(done, "start", change)

    async def stop(self, server_id: ServerId, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Stop a running server. `await action.wait()` waits until it is stopped.

        Raises:
            StateConflictError: the server is not running.
            NotFoundError: the server does not exist.

        Retries: when no response arrives. After a 400 to a later attempt, a GET shows what became of the first one.

        Source: VPS.org API documentation, 'Stop server'.
        """
        done, change = await self._context.commands.command(checked_id(server_id), "stop", self._with(timeout))
        return self._pending(done, "stop", change)

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
        return self._pending(done, "reboot", change)

    def _listing(
        self,
        query: Mapping[str, str],
        options: CallOptions,
        *,
        skip_invalid: bool | Callable[[Any], bool] = False,
        keep: Callable[[Server], bool] | None = None,
    ) -> Listing:
        return Listing(
            self._context.pager, query, options, skip_invalid=skip_invalid, keep=keep, on_page=self._take_page
        )

    def _take_page(self, page: PageRead) -> None:
        for server in page.servers:
            bind(server, self)
        self._context.command_log.admit_listed(page.servers, page.began, page.ended)


publish(Servers)
