"""What stands inside a server: its status, plan, operating system and usage, and the reading of values that may be odd.

The API's documentation, its list and its newer clients do not agree on shapes, so reading never fails: a value that
fits its field goes there; one that does not, or that no field is for, goes to `extra` under its own key. What the
vendor's newer clients know by other names is taken from there (`fill_from_dialect`) and stays there too, so that
nothing is lost on the way back.
"""

from __future__ import annotations

import enum

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar

import attrs


Reader: TypeAlias = Callable[[Any], Any]
"""Turns a JSON value into a field's, or into `None` if it does not fit."""

Readers: TypeAlias = Mapping[str, tuple[str, type[Any], Reader]]
"""For each field its name, the type that nearly always comes and is taken as it is, and the reader of all others."""

T = TypeVar("T", bound="Plan | OperatingSystem | ResourceUsage")


class ServerStatus(enum.StrEnum):
    """What a server is doing. Each is equal to its name as a string."""

    PROVISIONING = "provisioning"
    ACTIVE = "active"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    STARTING = "starting"
    STOPPING = "stopping"
    REBOOTING = "rebooting"


StatusName: TypeAlias = Literal["provisioning", "active", "stopped", "suspended", "starting", "stopping", "rebooting"]
"""The seven statuses as plain strings."""

_STATUSES: Final[Mapping[str, ServerStatus]] = {member.value: member for member in ServerStatus}

_JSON_TYPES: Final[Mapping[type[Any], str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
    int: "a number",
    float: "a number",
}


def keys_only(extra: dict[str, Any]) -> str:
    """Return what a repr may show of *extra*: a `password` may be among its values."""
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
        extra: what the SDK does not know, or what does not fit; a repr shows its keys only.
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
    """The operating system that a server was made with.

    Attributes:
        id: the system's key.
        name: its name, such as `"Ubuntu 22.04 LTS"`.
        extra: what the SDK does not know, or what does not fit; a repr shows its keys only.
    """

    id: int | str | None = None
    name: str | None = None
    extra: dict[str, Any] = attrs.field(factory=dict, hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class ResourceUsage:
    """What a server uses at the moment; only `get` gives it.

    Attributes:
        cpu_percent: processor time in per cent.
        memory_used: main memory in MB (inferred: the API documents no units).
        disk_used: disk in GB (inferred).
        bandwidth_used: traffic in GB (inferred).
        extra: what the SDK does not know, or what does not fit; a repr shows its keys only.
    """

    cpu_percent: float | None = None
    memory_used: float | None = None
    disk_used: float | None = None
    bandwidth_used: float | None = None
    extra: dict[str, Any] = attrs.field(factory=dict, hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


def readers(**fields: tuple[type[Any], Reader]) -> Readers:
    """Return the table that `read` goes by."""
    return {name: (name, usual, reader) for name, (usual, reader) in fields.items()}


def read(data: Mapping[str, Any], table: Readers) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that *data* gives, `extra` among them, and which known ones it gives as null."""
    extra: dict[str, Any] = {}
    fields: dict[str, Any] = {"extra": extra}
    nulls: tuple[str, ...] = ()
    for name, value in data.items():
        if name not in table:
            extra[name] = value
            continue
        # `own` equals `name`, but is the string that the class was written with: a call finds its arguments by identity
        # first, which is a third of the time that making the object takes.
        own, usual, reader = table[name]
        if type(value) is usual:
            fields[own] = value
        elif (fitting := reader(value)) is not None:
            fields[own] = fitting
        elif value is None:
            nulls += (name,)
        else:
            extra[name] = value
    return fields, nulls


def dump(model: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return *model*'s fields of those *names*, in this order, with `extra` over them.

    What is `None` is null if it was read as null, else left out.
    """
    data = {}
    for name in names:
        value = getattr(model, name)
        if value is not None or name in model._nulls:  # noqa: SLF001 - of our own classes
            data[name] = value
    return {**data, **model.extra}


def json_type(value: Any) -> str:
    """Return how JSON calls what *value* is."""
    return _JSON_TYPES.get(type(value), f"a {type(value).__name__}")


def text(value: Any) -> str | None:
    """Return a string."""
    return value if type(value) is str else None


def boolean(value: Any) -> bool | None:
    """Return a bool."""
    return value if type(value) is bool else None


def key(value: Any) -> int | str | None:
    """Return what can name a server, a plan or a system: an integer or a string that is not empty."""
    return value if type(value) is int or (type(value) is str and value) else None


def status(value: Any) -> ServerStatus | str | None:
    """Return a status of the seven as their member, any other as the string that came."""
    if not isinstance(value, str):
        return None
    return _STATUSES.get(value) or str(value)


def moment(value: Any) -> datetime | None:
    """Return an ISO 8601 time in UTC, to the microsecond; one that names no zone is taken for UTC."""
    if type(value) is not str:
        return None
    try:
        when = datetime.fromisoformat(value)
        if when.tzinfo is UTC:
            return when
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def iso(when: datetime) -> str:
    """Return *when* as the API writes it: ISO 8601 in UTC, with a Z."""
    return when.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _number(value: Any) -> float | None:
    return value if type(value) is float or type(value) is int else None


KEY: Final = (int, key)
TEXT: Final = (str, text)
_WHOLE: Final = (int, _whole)
_NUMBER: Final = (float, _number)
_READERS: Final[Mapping[type[Any], Readers]] = {
    Plan: readers(id=KEY, name=TEXT, vcpus=_WHOLE, memory=_WHOLE, storage=_WHOLE, bandwidth=_WHOLE),
    OperatingSystem: readers(id=KEY, name=TEXT),
    ResourceUsage: readers(cpu_percent=_NUMBER, memory_used=_NUMBER, disk_used=_NUMBER, bandwidth_used=_NUMBER),
}


def nested(cls: type[T]) -> Callable[[Any], T | None]:
    """Return the reader of a *cls* from a JSON object."""
    table = _READERS[cls]

    def read_nested(value: Any) -> T | None:
        if type(value) is not dict:
            return None
        fields, nulls = read(value, table)
        model = cls(**fields)
        if nulls:
            object.__setattr__(model, "_nulls", nulls)
        return model

    return read_nested


plan: Final = nested(Plan)
operating_system: Final = nested(OperatingSystem)
resource_usage: Final = nested(ResourceUsage)


def dump_nested(model: Plan | OperatingSystem | ResourceUsage) -> dict[str, Any]:
    """Return *model* as the API's own JSON object."""
    return dump(model, _READERS[type(model)])


def fill_from_dialect(fields: dict[str, Any]) -> None:
    """Fill what *fields* lacks from the names and shapes of the vendor's newer clients, which are in its `extra`."""
    extra = fields["extra"]
    for name, other in _DIALECT:
        if name not in fields and (value := other(extra)) is not None:
            fields[name] = value


def _location(extra: Mapping[str, Any]) -> str | None:
    named = _first_text(extra.get("location"), ("code", "slug", "name"))
    return text(extra.get("location_name")) if named is None else named


def _plan(extra: Mapping[str, Any]) -> Plan | None:
    name = text(extra.get("plan_name"))
    return None if name is None else Plan(name=name)


def _operating_system(extra: Mapping[str, Any]) -> OperatingSystem | None:
    for other in ("operating_system_version", "operating_system"):
        if (system := operating_system(extra.get(other))) is not None:
            return system
    name = text(extra.get("os_name"))
    return None if name is None else OperatingSystem(name=name)


def _first_address(addresses: Any) -> str | None:
    if type(addresses) is not list or not addresses:
        return None
    return text(addresses[0]) or _first_text(addresses[0], ("ip", "address"))


def _first_text(value: Any, names: tuple[str, ...]) -> str | None:
    """Return the first string that is not empty under one of *names*."""
    if type(value) is not dict:
        return None
    return next((found for name in names if (found := text(value.get(name)))), None)


_DIALECT: Final[tuple[tuple[str, Reader], ...]] = (
    ("id", lambda extra: key(extra.get("uuid"))),
    ("location", _location),
    ("plan", _plan),
    ("os", _operating_system),
    ("ip_address", lambda extra: _first_address(extra.get("ipv4_addresses"))),
    ("ipv6_address", lambda extra: _first_address(extra.get("ipv6_addresses"))),
)
