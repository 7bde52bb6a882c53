"""The parts of a server: its status, plan, operating system and resource usage."""

from __future__ import annotations

import enum

from typing import Any, Final, Literal, TypeAlias

import attrs

from ._public import publish
from ._schemas import Described


class ServerStatus(enum.StrEnum):
    """The status of a server. Each member is equal to its name as a string."""

    PROVISIONING = "provisioning"
    ACTIVE = "active"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    STARTING = "starting"
    STOPPING = "stopping"
    REBOOTING = "rebooting"


DELETED: Final = "deleted"
"""A status that the API does not document. It means the same as a 404."""

StatusName: TypeAlias = Literal["provisioning", "active", "stopped", "suspended", "starting", "stopping", "rebooting"]
"""The seven statuses as plain strings."""


def keys_only(extra: dict[str, Any]) -> str:
    """Return the keys of *extra* for a repr. Its values may be secret: the vendor puts a `password` there."""
    return f"<{', '.join(map(repr, extra))}>"


@attrs.frozen(kw_only=True)
class Plan(Described):
    """The plan that a server is on, or that `client.plans` lists.

    A server tells of its plan only what it has for the server: `id`, `name` and the four amounts.

    Attributes:
        id: the plan's key, which a create takes as `plan_id`.
        name: its name, such as `"Standard VPS"`.
        vcpus: virtual processors.
        memory: main memory in MB (inferred: the API documents no units).
        storage: disk in GB (inferred).
        bandwidth: traffic in GB a month (inferred); a list of servers does not give it.
        slug: its name in lower case, such as `"standard"`.
        price_monthly: what it costs a month; the API does not say in which currency.
        price_hourly: what it costs an hour.
        available: whether servers can be created with it.
        locations: the codes of the datacenters that have it.
        description: a text about it.
        extra: every field that the SDK does not know or cannot read. A repr shows only its keys.
    """

    id: int | str | None = None
    name: str | None = None
    vcpus: int | None = None
    memory: int | None = None
    storage: int | None = None
    bandwidth: int | None = None
    slug: str | None = None
    price_monthly: float | None = None
    price_hourly: float | None = None
    available: bool | None = None
    locations: tuple[str, ...] | None = None
    description: str | None = None
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any], hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class OperatingSystem(Described):
    """The operating system that a server was created with, or that `client.operating_systems` lists.

    Attributes:
        id: the system's key. A create takes that of a version as `os_id`.
        name: its name, such as `"Ubuntu 22.04 LTS"`.
        versions: its versions, each an operating system too. Only `client.operating_systems` gives them.
        extra: every field that the SDK does not know or cannot read. A repr shows only its keys.
    """

    id: int | str | None = None
    name: str | None = None
    versions: tuple[OperatingSystem, ...] | None = None
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any], hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class ResourceUsage(Described):
    """The resources that a server uses at the moment. Only `get` gives them.

    Attributes:
        cpu_percent: processor time in per cent.
        memory_used: main memory in MB (inferred: the API documents no units).
        disk_used: disk in GB (inferred).
        bandwidth_used: traffic in GB (inferred).
        extra: every field that the SDK does not know or cannot read. A repr shows only its keys.
    """

    cpu_percent: float | None = None
    memory_used: float | None = None
    disk_used: float | None = None
    bandwidth_used: float | None = None
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any], hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class ServerRef(Described):
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
class ServerSpec(Described):
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
class StatusSeen(Described):
    """A status, and when it was first seen, in seconds on the client's clock."""

    status: str
    at: float


publish(ServerStatus, Plan, OperatingSystem, ResourceUsage, ServerRef, ServerSpec, StatusSeen)
