"""The models: servers and actions as frozen data, with a handle on their client that copies do not have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs

from . import _decoding
from ._action_parts import ActionData, Waiting
from ._checks import check_flag, checked_key, is_object
from ._decoding import EXTRA, NULLS
from ._dialect import SERVER_DIALECT, fill_from_dialect
from ._error_base import ConfigurationError, InvalidArgumentError
from ._policies import NOT_GIVEN, NotGivenType, PollPolicy
from ._public import publish
from ._schemas import Described, describe
from ._secrets import Detachable, Hidden
from ._server_parts import (
    OperatingSystem,
    Plan,
    ResourceUsage,
    ServerRef,
    ServerSpec,
    ServerStatus,
    StatusName,
    StatusSeen,
    keys_only,
)


if TYPE_CHECKING:
    from ._servers import Servers

__all__ = [
    "Action",
    "OperatingSystem",
    "Plan",
    "ResourceUsage",
    "Server",
    "ServerId",
    "ServerRef",
    "ServerSpec",
    "ServerStatus",
    "StatusGoal",
    "StatusName",
    "StatusSeen",
    "Timeout",
    "bind",
    "bound_to",
    "checked_id",
]

StatusGoal: TypeAlias = StatusName | ServerStatus | Collection[StatusName | ServerStatus]
"""A status, or several statuses of which any one will do."""

Timeout: TypeAlias = float | NotGivenType | None
"""Seconds. `None` is without end, `NOT_GIVEN` is the client's own timeout."""

_DEFAULT_POLL: Final = PollPolicy()


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Server(Described, Detachable):
    """A server as one response of the API showed it. The object never changes; `refresh()` returns a new one.

    `id`, `name` and `status` are always there. Any other field is `None` if the response left it out. It is also `None`
    if its value has an unexpected shape; the original value is then in `extra`. Two servers are equal if all their data
    are equal, so two reads of a running server usually differ.

    Secrets are kept apart, by their keys: a `password` and what has a key such as `root_password` or `api_token`. They
    are in no repr, copy or pickle, and in `to_dict()` only on demand. They take no part in equality.

    Attributes:
        id: the server's id; a string if the API gives a `uuid`.
        name: its name, or `""`.
        status: one of the seven statuses, or the string that came; `""` if the API gave no string.
        hostname: its fully qualified domain name.
        ip_address: its IPv4 address; `None` while it is being provisioned.
        ipv6_address: its IPv6 address. A list does not give it.
        location: the code of its datacenter, such as `"us-west"`.
        plan: its processors, memory, disk and traffic. Servers of one list may share the object.
        os: the operating system that it was created with. Servers of one list may share the object.
        backups_enabled: whether it is backed up automatically. A list does not give it.
        resource_usage: the resources that it uses at the moment. Only `get` gives them.
        created_at: when it was created, in UTC.
        updated_at: when it last changed, in UTC.
        message: a message of the API about it. Only a create gives one.
        extra: every field that the SDK does not know or cannot read, without secrets. A repr shows only its keys.
    """

    id: int | str
    name: str
    status: ServerStatus | str
    hostname: str | None = None
    ip_address: str | None = None
    ipv6_address: str | None = None
    location: str | None = None
    plan: Plan | None = None
    os: OperatingSystem | None = None
    backups_enabled: bool | None = None
    resource_usage: ResourceUsage | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    message: str | None = None
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any], hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)
    # Typed as Any, so that cattrs can resolve the types of this class without the client.
    _servers: Any = attrs.field(default=None, init=False, eq=False, repr=False)
    # The fields that held a secret, as they came.
    _secrets: Any = attrs.field(default=None, init=False, eq=False, repr=False)

    _kept_back = ("_servers", "_secrets")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Server:
        """Read a server from JSON data, in the API's own form or in that of the vendor's newer clients.

        The server has no client, and its methods need one: `client.servers.get(id)` returns a server with a client.

        Raises:
            InvalidArgumentError: *data* is not an object, or has no usable id. Other odd data do not raise.
        """
        if not is_object(data):
            raise InvalidArgumentError(f"no object but {_decoding.json_type(data)}")
        values = FORM.read(data)
        secrets = _decoding.split_secrets(values, data, FORM.places)
        if extra := values[EXTRA]:
            fill_from_dialect(values, FORM.places, SERVER_DIALECT)
        if values[FORM.places["id"]] is None:
            raise InvalidArgumentError("no usable id")
        for name in ("name", "status"):
            place = FORM.places[name]
            if values[place] is None:
                values[place] = ""
                if name in values[NULLS]:
                    extra[name] = None
        if cls is Server:
            server = FORM.make(values)
        else:
            server = cls(**{name: values[place] for name, place in FORM.places.items() if name != "_nulls"})
            object.__setattr__(server, "_nulls", values[NULLS])
        if secrets:
            object.__setattr__(server, "_secrets", Hidden(secrets))
        return server

    @property
    def password(self) -> str | None:
        """The password that the response had. The vendor gives it once, in the response to a create.

        It is `None` for a server that was read later, copied or pickled, and for one that was found after the response
        to its create was lost. Reset such a password with the vendor.
        """
        return None if self._secrets is None else _decoding.text(self._secrets.value.get("password"))

    def to_dict(self, *, secrets: bool = False) -> dict[str, Any]:
        """Return JSON-ready data in the API's own form. `Server.from_dict` of them is equal to this server.

        With *secrets*, the data have the password and all other secrets of the response.

        A field that is `None` is null if the response had null, else it is left out. The fields of `extra` are
        included; their values are not copied. Times are ISO 8601 in UTC, with a Z.

        Raises:
            TypeError: *secrets* is neither true nor false.
        """
        check_flag("secrets", secrets)
        data = _decoding.dump(self, FORM.names)
        for name, written in _WRITERS.items():
            if data.get(name) is not None and name not in self.extra:
                data[name] = written(data[name])
        return {**data, **self._secrets.value} if secrets and self._secrets is not None else data

    async def refresh(self, *, timeout: Timeout = NOT_GIVEN) -> Server:
        """Return the server as it is now. This object stays as it is. See `client.servers.get`."""
        return await self._client().get(self, timeout=timeout)

    async def start(self, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Start the stopped server. See `client.servers.start`."""
        return await self._client().start(self, timeout=timeout)

    async def stop(self, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Stop the running server gracefully. See `client.servers.stop`."""
        return await self._client().stop(self, timeout=timeout)

    async def reboot(self, *, timeout: Timeout = NOT_GIVEN) -> Action:
        """Reboot the running server gracefully. See `client.servers.reboot`."""
        return await self._client().reboot(self, timeout=timeout)

    async def replace(
        self, *, name: str, hostname: str | None, backups_enabled: bool, timeout: Timeout = NOT_GIVEN
    ) -> Server:
        """Replace all settings, and return the changed server. See `client.servers.replace`."""
        return await self._client().replace(
            self, name=name, hostname=hostname, backups_enabled=backups_enabled, timeout=timeout
        )

    async def update(
        self,
        *,
        name: str | NotGivenType = NOT_GIVEN,
        hostname: str | NotGivenType | None = NOT_GIVEN,
        backups_enabled: bool | NotGivenType = NOT_GIVEN,
        timeout: Timeout = NOT_GIVEN,
    ) -> Server:
        """Change the given settings, and return the changed server. See `client.servers.update`."""
        return await self._client().update(
            self, name=name, hostname=hostname, backups_enabled=backups_enabled, timeout=timeout
        )

    async def delete(self, *, timeout: Timeout = NOT_GIVEN) -> None:
        """Delete the server for good. See `client.servers.delete`."""
        await self._client().delete(self, timeout=timeout)

    async def wait_until(
        self,
        *,
        status: StatusGoal,
        timeout: float | None = 900.0,
        poll: PollPolicy = _DEFAULT_POLL,
        fail_on: StatusGoal | NotGivenType | None = NOT_GIVEN,
        on_change: Callable[[Server], object] | None = None,
        detail: bool = True,
        when: Callable[[Server], bool] | None = None,
        steady: float = 0.0,
    ) -> Server:
        """Wait until the server has *status*, or one of several statuses. See `client.servers.wait_until`."""
        return await self._client().wait_until(
            self,
            status=status,
            timeout=timeout,
            poll=poll,
            fail_on=fail_on,
            on_change=on_change,
            detail=detail,
            when=when,
            steady=steady,
        )

    async def wait_until_deleted(self, *, timeout: float | None = 900.0, poll: PollPolicy = _DEFAULT_POLL) -> None:
        """Wait until the API no longer knows the server. See `client.servers.wait_until_deleted`."""
        await self._client().wait_until_deleted(self, timeout=timeout, poll=poll)

    async def wait_until_reachable(
        self, *, port: int = 22, timeout: float | None = 300.0, poll: PollPolicy = _DEFAULT_POLL
    ) -> Server:
        """Wait until a TCP connection can be opened to it. See `client.servers.wait_until_reachable`."""
        return await self._client().wait_until_reachable(self, port=port, timeout=timeout, poll=poll)

    def _client(self) -> Servers:
        servers: Servers | None = self._servers
        if servers is None:
            raise ConfigurationError(f"this Server is a copy without a client: use client.servers.get({self.id!r})")
        return servers


FORM: Final = _decoding.Form(
    Server,
    {
        "id": _decoding.KEY,
        "name": _decoding.TEXT,
        "status": (ServerStatus, _decoding.status),
        "hostname": _decoding.TEXT,
        "ip_address": _decoding.TEXT,
        "ipv6_address": _decoding.TEXT,
        "location": _decoding.TEXT,
        "plan": (Plan, _decoding.PLAN.nested),
        "os": (OperatingSystem, _decoding.SYSTEM.nested),
        "backups_enabled": (bool, _decoding.boolean),
        "resource_usage": (ResourceUsage, _decoding.USAGE.nested),
        "created_at": (datetime, _decoding.moment),
        "updated_at": (datetime, _decoding.moment),
        "message": _decoding.TEXT,
    },
    ("id", "name", "hostname", "status", "ip_address", "location", "plan", "os", "created_at", "updated_at"),
)
"""Reads servers."""

_WRITERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "status": str,
    "plan": _decoding.dump_nested,
    "os": _decoding.dump_nested,
    "resource_usage": _decoding.dump_nested,
    "created_at": _decoding.iso,
    "updated_at": _decoding.iso,
}


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Action(ActionData):
    """A command that the API has accepted but may not have finished. `await action.wait()` waits for it.

    `to_dict`, `from_dict` and `client.servers.bind` carry the wait into another process; a pickle does the same.

    Attributes:
        name: the command: `"start"`, `"stop"` or `"reboot"`.
        status: `"success"`.
        message: a message of the API, such as `"Server is starting"`.
        server: the server that the command is about.
    """

    async def wait(
        self,
        timeout: float | None = 900.0,
        *,
        poll: PollPolicy = _DEFAULT_POLL,
        on_change: Callable[[Server], object] | None = None,
        detail: bool = True,
        when: Callable[[Server], bool] | None = None,
        steady: float = 0.0,
    ) -> Server:
        """Wait until the command has really taken effect, and return the server.

        The arguments are those of `client.servers.wait_until`. *timeout* is in seconds: 0 polls once, `None` waits
        without end.

        Raises:
            WaitTimeoutError: the time passed before the command had its effect, or before *when* was true for *steady*
                seconds.
            UnexpectedStatusError: the server ended in another status.
            ServerGoneError: the server does not exist, or no longer exists.
            WaitFailedError: polls have failed for too long, by `poll.failures` and `poll.outage`.
            ConfigurationError: this action is a copy without a client.

        Cancellation: ends at once, and nothing is left running.
        """
        if self._command is None:
            raise ConfigurationError(
                "this Action is a copy without a client: use client.servers.bind(action), then action.wait()"
            )
        command: Waiting = self._command
        server: Server = await command.wait(
            timeout=timeout, poll=poll, on_change=on_change, detail=detail, when=when, steady=steady
        )
        return server


describe(Server, write=Server.to_dict, read=Server.from_dict)
describe(
    Action,
    write=Action.to_dict,
    read=Action.from_dict,
    fields={
        "version": int,
        "name": str,
        "status": str,
        "message": str,
        "server": ServerRef,
        "command": dict[str, Any] | None,
    },
    required=("version", "name", "status", "message", "server", "command"),
)

ServerId: TypeAlias = int | str | Server
"""A server by its id, or a `Server`."""


def checked_id(server_id: object) -> int | str:
    """Return the id of a server that is given as an int, a str or a `Server`.

    Raises:
        TypeError: *server_id* is none of these.
        InvalidArgumentError: the id cannot be one part of a path.
    """
    return checked_key(server_id.id if isinstance(server_id, Server) else server_id)


AnyServer = TypeVar("AnyServer", bound=Server)

# Takes half of the time of `object.__setattr__`.
_set_handle: Final = Server._servers.__set__  # noqa: SLF001 - of our own class


def bind(server: AnyServer, servers: object) -> AnyServer:
    """Give *server* a handle on *servers*, and return it."""
    _set_handle(server, servers)
    return server


def bound_to(server: Server) -> Servers | None:
    """Return the handle of *server*, or `None`."""
    servers: Servers | None = server._servers  # noqa: SLF001 - of our own class
    return servers


publish(Server, Action)
