"""The models: servers and actions as frozen data, with a handle on their client that copies do not have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import attrs

from . import _decoding
from ._checks import checked_key
from ._decoding import EXTRA, NULLS
from ._error_base import ConfigurationError
from ._policies import NOT_GIVEN, NotGivenType, PollPolicy
from ._server_parts import OperatingSystem, Plan, ResourceUsage, ServerStatus, StatusName, keys_only


if TYPE_CHECKING:
    from ._servers import Servers

__all__ = [
    "Action",
    "OperatingSystem",
    "Plan",
    "ResourceUsage",
    "Server",
    "ServerRef",
    "ServerSpec",
    "ServerStatus",
    "StatusGoal",
    "StatusName",
    "StatusSeen",
    "Timeout",
    "bind",
    "bind_action",
    "bound_to",
    "checked_id",
    "facts_of",
]

StatusGoal: TypeAlias = StatusName | ServerStatus | Collection[StatusName | ServerStatus]
"""A status, or several statuses of which any one will do."""

Timeout: TypeAlias = float | NotGivenType | None
"""Seconds. `None` is without end, `NOT_GIVEN` is the client's own timeout."""

_DEFAULT_POLL: Final = PollPolicy()


class Command(Protocol):
    """The part of the client that an `Action` needs."""

    async def wait(self, timeout: float | None) -> Server:
        """Return the server when the command has taken effect, after at most *timeout* seconds."""
        ...


class _Detachable:
    """Data with a handle on a client. `_handle` names the field that pickles and copies leave out."""

    __slots__ = ()
    _handle = ""

    def __getstate__(self) -> dict[str, Any]:
        names = [field.name for field in attrs.fields(type(self))]  # type: ignore[arg-type]
        return {name: getattr(self, name) for name in names if name != self._handle}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in {**state, self._handle: None}.items():
            object.__setattr__(self, name, value)


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Server(_Detachable):
    """A server as one response of the API showed it. The object never changes; `refresh()` returns a new one.

    `id`, `name` and `status` are always there. Any other field is `None` if the response left it out. It is also `None`
    if its value has an unexpected shape; the original value is then in `extra`. Two servers are equal if all their data
    are equal, so two reads of a running server usually differ.

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
        extra: every field that the SDK does not know or cannot read. A repr shows only its keys.
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
    extra: dict[str, Any] = attrs.field(factory=dict, hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)
    # Typed as Any, so that cattrs can resolve the types of this class without the client.
    _servers: Any = attrs.field(default=None, init=False, eq=False, repr=False)

    _handle = "_servers"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Server:
        """Read a server from JSON data, in the API's own form or in that of the vendor's newer clients.

        The server has no client, and its methods need one: `client.servers.get(id)` returns a server with a client.

        Raises:
            ValueError: *data* is not an object, or has no usable id. Other odd data do not raise.
        """
        if type(data) is not dict and not isinstance(data, Mapping):
            raise ValueError(f"no object but {_decoding.json_type(data)}")
        values = FORM.read(data)
        if extra := values[EXTRA]:
            _decoding.fill_from_dialect(values, FORM.places)
        if values[FORM.places["id"]] is None:
            raise ValueError("no usable id")
        for name in ("name", "status"):
            place = FORM.places[name]
            if values[place] is None:
                values[place] = ""
                if name in values[NULLS]:
                    extra[name] = None
        if cls is Server:
            return FORM.make(values)
        server = cls(**{name: values[place] for name, place in FORM.places.items() if name != "_nulls"})
        object.__setattr__(server, "_nulls", values[NULLS])
        return server

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data in the API's own form. `Server.from_dict` of them is equal to this server.

        A field that is `None` is null if the response had null, else it is left out. The fields of `extra` are
        included; their values are not copied. Times are ISO 8601 in UTC, with a Z.
        """
        data = _decoding.dump(self, FORM.names)
        for name, written in _WRITERS.items():
            if data.get(name) is not None and name not in self.extra:
                data[name] = written(data[name])
        return data

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
    ) -> Server:
        """Wait until the server has *status*, or one of several statuses. See `client.servers.wait_until`."""
        return await self._client().wait_until(
            self, status=status, timeout=timeout, poll=poll, fail_on=fail_on, on_change=on_change, detail=detail
        )

    async def wait_until_deleted(self, *, timeout: float | None = 900.0) -> None:
        """Wait until the API no longer knows the server. See `client.servers.wait_until_deleted`."""
        await self._client().wait_until_deleted(self, timeout=timeout)

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


@attrs.frozen(kw_only=True)
class ServerRef:
    """The server that an action is about, as the response to the command named it.

    Attributes:
        id: the server's id.
        name: its name, or `""`.
        status: its status when the API accepted the command: in most cases the transition that the command began.
    """

    id: int | str
    name: str
    status: ServerStatus | str


@attrs.frozen(kw_only=True)
class ServerSpec:
    """The arguments of `client.servers.create`, for a server that a fleet creates.

    Attributes:
        name: the server's name: letters, digits and hyphens.
        plan_id: the id of the plan.
        os_id: the id of the operating system.
        location: the code of the datacenter, such as `"us-west"`.
        hostname: a fully qualified domain name, or `None`.
        ssh_key_id: the id of an SSH key to install, or `None`.
        backups_enabled: whether the server is backed up automatically.
    """

    name: str
    plan_id: int | str
    os_id: int | str
    location: str
    hostname: str | None = None
    ssh_key_id: int | str | None = None
    backups_enabled: bool = False


@attrs.frozen
class StatusSeen:
    """A status, and when it was first seen, in seconds on the client's clock."""

    status: str
    at: float


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Action(_Detachable):
    """A command that the API has accepted but may not have finished. `await action.wait()` waits for it.

    Attributes:
        status: `"success"`.
        message: a message of the API, such as `"Server is starting"`.
        server: the server that the command is about.
    """

    status: str
    message: str
    server: ServerRef
    _command: Command | None = attrs.field(default=None, init=False, eq=False, repr=False)

    _handle = "_command"

    async def wait(self, timeout: float | None = 900.0) -> Server:
        """Wait until the command has really taken effect, and return the server.

        Raises:
            WaitError: the command had no effect within *timeout* seconds, the server ended in another status, or it is
                gone.
            ConfigurationError: this action is a copy without a client.
        """
        if self._command is None:
            raise ConfigurationError(
                f"this Action is a copy without a client: use client.servers.wait_until({self.server.id!r}, status=...)"
            )
        return await self._command.wait(timeout)


def checked_id(server_id: object) -> int | str:
    """Return the id of a server that is given as an int, a str or a `Server`.

    Raises:
        TypeError: *server_id* is none of these.
        ValueError: the id cannot be one part of a path.
    """
    return checked_key(server_id.id if isinstance(server_id, Server) else server_id)


# Takes half of the time of `object.__setattr__`.
_set_handle: Final = Server._servers.__set__  # noqa: SLF001 - of our own class


def bind(server: Server, servers: Servers) -> Server:
    """Give *server* a handle on *servers*, and return it."""
    _set_handle(server, servers)
    return server


def facts_of(server: Server, *, but: Collection[str]) -> dict[str, Any]:
    """Return every field that a response gave of *server* as one flat dict, null or not, without the fields *but*."""
    facts: dict[str, Any] = {}
    for name in {*FORM.names}.difference(but):
        value = getattr(server, name)
        if name in _WRITERS and attrs.has(type(value)):
            facts[name] = "given"
            facts.update({f"{name}.{key}": inner for key, inner in _decoding.dump_nested(value).items()})
        elif value is not None or name in server._nulls:  # noqa: SLF001 - of our own class
            facts[name] = value
    facts.update({f"extra.{name}": value for name, value in server.extra.items()})
    return facts


def bound_to(server: Server) -> Servers | None:
    """Return the handle of *server*, or `None`."""
    servers: Servers | None = server._servers  # noqa: SLF001 - of our own class
    return servers


def bind_action(action: Action, command: Command) -> Action:
    """Give *action* the *command* that it waits for, and return it."""
    object.__setattr__(action, "_command", command)
    return action
