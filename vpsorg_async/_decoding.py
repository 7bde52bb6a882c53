"""Reads JSON objects into models, fast, and writes them back.

The vendor's documentation, list and newer clients give servers in different shapes. Reading therefore never fails: a
value that fits its field goes into the field, and every other value goes into `extra` under its own key. The newer
clients use other names for some fields. `fill_from_dialect` reads them from `extra` and leaves them there, so that
writing a model back loses nothing.
"""

from __future__ import annotations

import operator

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar

import attrs

from ._server_parts import OperatingSystem, Plan, ResourceUsage, ServerStatus


Reader: TypeAlias = Callable[[Any], Any]
"""Turns a JSON value into a field's, or into `None` if it does not fit."""

Readers: TypeAlias = Mapping[str, tuple[type[Any], Reader]]
"""For each field the type that nearly always comes of it and is taken as it is, and the reader of all other values."""

T = TypeVar("T")


_STATUSES: Final[Mapping[str, ServerStatus]] = {member.value: member for member in ServerStatus}

# Looked up once: the look-up is a fifth of the reading of a time.
_from_iso: Final = datetime.fromisoformat

# What reads nearly all values of a type, in C.
_QUICK: Final[Mapping[type[Any], Reader]] = {ServerStatus: _STATUSES.get, datetime: _from_iso}

_JSON_TYPES: Final[Mapping[type[Any], str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
    int: "a number",
    float: "a number",
}


EXTRA: Final = 0
NULLS: Final = 1
"""Where `Form.read` puts what fits no field, and the names of fields that are given as null."""


class Form(Generic[T]):
    """How a *cls* is read from a JSON object: each field by one of *readers*.

    `read_all` is for objects that have the *listed* fields and no others, as those of a list.
    """

    def __init__(self, cls: type[T], readers: Readers, listed: Sequence[str] = ()) -> None:
        listed = listed or [*readers]
        self.names: Final = [*readers]
        self.places: Final = {
            name: place for place, name in enumerate(dict.fromkeys(("extra", "_nulls", *listed, *readers)))
        }
        self._cls = cls
        self._draft = _draft_of(cls, self.places)
        self._blank = [None, (), *(None for _ in readers)]
        self._readers = {name: (self.places[name], *reader) for name, reader in readers.items()}
        self._width = len(listed)
        self._listed_of = operator.itemgetter(*listed)
        self._columns = [(usual, _column_reader(usual, reader)) for usual, reader in map(readers.__getitem__, listed)]
        FORMS[cls] = self

    def read(self, data: Mapping[str, Any]) -> list[Any]:
        """Return the values of *data* by their `places`; what it does not give, or as null, is `None`."""
        values: list[Any] = self._blank.copy()
        values[EXTRA] = extra = {}
        readers = self._readers
        for name, value in data.items():
            if name not in readers:
                extra[name] = value
                continue
            place, usual, reader = readers[name]
            if type(value) is usual:
                values[place] = value
            elif (fitting := reader(value)) is not None:
                values[place] = fitting
            elif value is None:
                values[NULLS] += (name,)
            else:
                extra[name] = value
        return values

    def make(self, values: Iterable[Any]) -> T:
        """Return the model with these *values*, in the order of `places`."""
        model = self._draft(*values)
        model.__class__ = self._cls
        return model

    def nested(self, value: Any) -> T | None:
        """Return the model of an object that stands in another."""
        return self.make(self.read(value)) if type(value) is dict else None

    def read_all(self, items: Sequence[Any]) -> list[T] | None:
        """Return the models of *items*; `None` if one of them has not just the listed fields, each with a usual value.

        Most lists are nothing else. It reads field by field, so that the loops are C's, in half of the time that `read`
        of each takes; what comes out is the same.
        """
        columns = self._columns_of(self._rows_of(items))
        return None if columns is None else self._make_all(columns, len(items))

    def read_shared(self, items: Sequence[Any]) -> list[T] | None:
        """Do the same, and make one model of items that are equal: a page of servers has few plans and systems.

        They are frozen, and what nobody made the garbage collector need not walk.
        """
        rows = self._rows_of(items)
        # In a column of one type, 1 is not taken for True.
        if self._columns_of(rows) is None:
            return None
        distinct = [*dict.fromkeys(rows)]
        models = self._make_all(self._columns_of(distinct) or [], len(distinct))
        return [*map(dict(zip(distinct, models, strict=True)).__getitem__, rows)]

    def _rows_of(self, items: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the listed values of *items*; none if one of these has other fields, or is no object."""
        try:
            if sum(map(len, items)) == self._width * len(items):
                return [*map(self._listed_of, items)]
        except (KeyError, TypeError):
            pass
        return []

    def _columns_of(self, rows: Sequence[tuple[Any, ...]]) -> list[Sequence[Any]] | None:
        """Return the fields of all *rows*, the first of all first; `None` if one is not of its usual type."""
        columns: list[Sequence[Any]] = []
        for (usual, reader), values in zip(self._columns, zip(*rows, strict=True), strict=False):
            column = values if reader is None else reader(values)
            if column is None or {*map(type, column)} != {usual}:
                return None
            columns.append(column)
        return columns or None

    def _make_all(self, columns: Sequence[Sequence[Any]], count: int) -> list[T]:
        models = [*map(self._draft, [{} for _ in range(count)], [()] * count, *columns)]
        for model in models:
            model.__class__ = self._cls
        return models


FORMS: Final[dict[type[Any], Form[Any]]] = {}
"""By the class."""


def _draft_of(cls: type[T], names: Iterable[str]) -> Callable[..., T]:
    """Return a subclass of *cls*, with *names* as its arguments, whose objects are filled and then become a *cls*.

    The `__init__` of a frozen class sets each field by a call: for a `Server` it takes four times as long.
    """
    fields = {name: attrs.field(default=None) for name in (*names, *attrs.fields_dict(cls))}  # type: ignore[arg-type]

    class Draft(cls):  # type: ignore[misc, valid-type]
        __slots__ = ()
        __init__ = attrs.make_class("Fields", fields, eq=False, repr=False).__init__  # type: ignore[misc]
        __setattr__ = object.__setattr__
        __delattr__ = object.__delattr__

    draft: Callable[..., T] = Draft
    return draft


def _column_reader(usual: type[Any], reader: Reader) -> Callable[[Sequence[Any]], Sequence[Any] | None] | None:
    """Return what reads a field's values in many objects; `None` if they are taken as they are."""
    if usual in _JSON_TYPES:
        return None
    if usual in FORMS:
        return FORMS[usual].read_shared
    quick: Reader = _QUICK[usual]

    def read_column(values: Sequence[Any]) -> Sequence[Any] | None:
        try:
            column = [*map(quick, values)]
        except (TypeError, ValueError):
            return None
        # A time in UTC needs nothing else; what is no status is `None`.
        if usual is datetime and any(when.tzinfo is not UTC for when in column):
            return [*map(reader, values)]
        return column

    return read_column


def dump(model: Any, names: Iterable[str]) -> dict[str, Any]:
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
        when = _from_iso(value)
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
PLAN: Final = Form(
    Plan,
    {"id": KEY, "name": TEXT, "vcpus": _WHOLE, "memory": _WHOLE, "storage": _WHOLE, "bandwidth": _WHOLE},
    ("id", "name", "vcpus", "memory", "storage"),
)
SYSTEM: Final = Form(OperatingSystem, {"id": KEY, "name": TEXT})
USAGE: Final = Form(
    ResourceUsage,
    {"cpu_percent": _NUMBER, "memory_used": _NUMBER, "disk_used": _NUMBER, "bandwidth_used": _NUMBER},
)


def dump_nested(model: Plan | OperatingSystem | ResourceUsage) -> dict[str, Any]:
    """Return *model* as the API's own JSON object."""
    return dump(model, FORMS[type(model)].names)


def fill_from_dialect(values: list[Any], places: Mapping[str, int]) -> None:
    """Fill what *values* lack from the names and shapes of the vendor's newer clients, which are in their `extra`."""
    extra = values[EXTRA]
    for name, other in _DIALECT:
        place = places[name]
        if values[place] is None:
            values[place] = other(extra)


def _location(extra: Mapping[str, Any]) -> str | None:
    named = _first_text(extra.get("location"), ("code", "slug", "name"))
    return text(extra.get("location_name")) if named is None else named


def _plan(extra: Mapping[str, Any]) -> Plan | None:
    name = text(extra.get("plan_name"))
    return None if name is None else Plan(name=name)


def _operating_system(extra: Mapping[str, Any]) -> OperatingSystem | None:
    for other in ("operating_system_version", "operating_system"):
        if (system := SYSTEM.nested(extra.get(other))) is not None:
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
