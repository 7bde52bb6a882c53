"""The parts of a server: its status, plan, operating system and resource usage."""

from __future__ import annotations

import enum

from typing import Any, Literal, TypeAlias

import attrs


class ServerStatus(enum.StrEnum):
    """The status of a server. Each member is equal to its name as a string."""

    PROVISIONING = "provisioning"
    ACTIVE = "active"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    STARTING = "starting"
    STOPPING = "stopping"
    REBOOTING = "rebooting"


StatusName: TypeAlias = Literal["provisioning", "active", "stopped", "suspended", "starting", "stopping", "rebooting"]
"""The seven statuses as plain strings."""


def keys_only(extra: dict[str, Any]) -> str:
    """Return the keys of *extra* for a repr. Its values may be secret: the vendor puts a `password` there."""
    return f"<{', '.join(map(repr, extra))}>"


@attrs.frozen(kw_only=True)
class Plan:
    """The plan that a server is on.

    Attributes:
        id: the plan's key.
        name: its name, such as `"Standard VPS"`.
        vcpus: virtual processors.
        memory: main memory in MB (inferred: the API documents no units).
        storage: disk in GB (inferred).
        bandwidth: traffic in GB a month (inferred); only `get` gives it.
        extra: every field that the SDK does not know or cannot read. A repr shows only its keys.
    """

    id: int | str | None = None
    name: str | None = None
    vcpus: int | None = None
    memory: int | None = None
    storage: int | None = None
    bandwidth: int | None = None
    extra: dict[str, Any] = attrs.field(factory=dict, hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class OperatingSystem:
    """The operating system that a server was created with.

    Attributes:
        id: the system's key.
        name: its name, such as `"Ubuntu 22.04 LTS"`.
        extra: every field that the SDK does not know or cannot read. A repr shows only its keys.
    """

    id: int | str | None = None
    name: str | None = None
    extra: dict[str, Any] = attrs.field(factory=dict, hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class ResourceUsage:
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
    extra: dict[str, Any] = attrs.field(factory=dict, hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)
