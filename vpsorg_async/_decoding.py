"""Reads JSON objects into models, fast, and writes them back.

The vendor's documentation, list and newer clients give servers in different shapes. Reading therefore never fails: a
value that fits its field goes into the field, and every other value goes into `extra` under its own key. The newer
clients use other names for some fields. `_dialect` reads them from `extra` and leaves them there, so that writing a
model back loses nothing.
"""

from __future__ import annotations

import operator

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

import attrs

from ._error_base import InvalidArgumentError
from ._public import all_fields
from ._schemas import describe
from ._secrets import split, without_secrets
from ._server_parts import OperatingSystem, Plan, ResourceUsage, ServerStatus


JSON: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None
"""A JSON value as it is decoded."""

Reader: TypeAlias = Callable[[Any], Any]
"""Turns a JSON value into the value of a field, or into `None` if it does not fit."""

Readers: TypeAlias = Mapping[str, tuple[type[Any], Reader]]
"""For each field its usual type, whose values are taken as they are, and the reader of all other values."""

T = TypeVar("T")


_STATUSES: Final[Mapping[str, ServerStatus]] = {member.value: member for member in ServerStatus}

# Looked up once: the look-up takes a fifth of the time that reading a time takes.
_from_iso: Final = datetime.fromisoformat

# Functions in C that read nearly all values of a type.
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


# The fields of a server that are objects themselves.
_NESTED: Final = ("plan", "os", "resource_usage")

EXTRA: Final = 0
NULLS: Final = 1
"""The places where `Form.read` puts values that fit no field, and the names of fields that are null."""


class Form(Generic[T]):
    """Reads JSON objects into models of the class *cls*, each field with one of *readers*.

    `read_all` reads objects that have the *listed* fields and no others, as those of a list do. The types *shown* are
    those that web frameworks document; without them, the types of the attributes.
    """

    def __init__(
        self, cls: type[T], readers: Readers, listed: Sequence[str] = (), *, shown: Mapping[str, Any] | None = None
    ) -> None:
        listed = listed or [*readers]
        self.names: Final = [*readers]
        self.places: Final = {
            name: place for place, name in enumerate(dict.fromkeys(("extra", "_nulls", *listed, *readers)))
        }
        # Read by `nested`; `_dialect` fills it.
        self.dialect: Sequence[tuple[str, Reader]] = ()
        self._cls = cls
        self._draft = _draft_of(cls, self.places)
        self._blank = [None, (), *(None for _ in readers)]
        self._readers = {name: (self.places[name], *reader) for name, reader in readers.items()}
        self._width = len(listed)
        self._listed_of = operator.itemgetter(*listed)
        self._columns = [(usual, _column_reader(usual, reader)) for usual, reader in map(readers.__getitem__, listed)]
        FORMS[cls] = self
        describe(cls, write=lambda model: dump(model, readers), read=self.read_one, fields=shown, required=())

    def read(self, data: Mapping[str, Any]) -> list[Any]:
        """Return the values of *data* in the order of `places`. A field that is missing or null is `None`."""
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
        """Return the model with these *values*, which are in the order of `places`."""
        model = self._draft(*values)
        model.__class__ = self._cls
        return model

    def read_one(self, value: JSON) -> T:
        """Return the model of an object.

        Raises:
            InvalidArgumentError: *value* is no object.
        """
        if type(value) is not dict:
            raise InvalidArgumentError(f"no object but {json_type(value)}")
        return self.make(self.read(value))

    def nested(self, value: JSON) -> T | None:
        """Return the model of an object inside another object, whose fields may have the names of `dialect`."""
        if type(value) is not dict:
            return None
        values = self.read(value)
        if extra := values[EXTRA]:
            for name, other in self.dialect:
                # What is there under its own name and does not fit is not replaced.
                if values[place := self.places[name]] is None and name not in extra:
                    values[place] = other(extra)
        return self.make(values)

    def read_all(self, items: Sequence[Any]) -> list[T] | None:
        """Return the models of *items*, or `None` if an item has other fields or a value of an unusual type.

        Nearly all lists can be read this way. The method reads field by field, so that the loops run in C. It takes
        half of the time of `read` for each item, and gives the same models.
        """
        columns = self._columns_of(self._rows_of(items))
        return None if columns is None else self._make_all(columns, len(items))

    def read_shared(self, items: Sequence[Any]) -> list[T] | None:
        """Do the same, but make only one model for equal items: the servers of a page have few plans and systems.

        The models are frozen, so sharing is safe. Fewer objects cost the garbage collector less.
        """
        rows = self._rows_of(items)
        # A column holds one type only, so 1 and True are never taken for each other.
        if self._columns_of(rows) is None:
            return None
        distinct = [*dict.fromkeys(rows)]
        models = self._make_all(self._columns_of(distinct) or [], len(distinct))
        return [*map(dict(zip(distinct, models, strict=True)).__getitem__, rows)]

    def _rows_of(self, items: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the listed values of *items*, or nothing if an item has other fields or is not an object."""
        try:
            if sum(map(len, items)) == self._width * len(items):
                return [*map(self._listed_of, items)]
        except (KeyError, TypeError):
            pass
        return []

    def _columns_of(self, rows: Sequence[tuple[Any, ...]]) -> list[Sequence[Any]] | None:
        """Return *rows* as columns, one for each field, or `None` if a value is not of its usual type."""
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
"""The form of each class."""


def _draft_of(cls: type[T], names: Iterable[str]) -> Callable[..., T]:
    """Return a mutable subclass of *cls* with the arguments *names*. Its objects are filled, then become a *cls*.

    The `__init__` of a frozen class calls a function for each field. For a `Server` that takes four times as long.
    """
    fields = {name: attrs.field(default=None) for name in (*names, *all_fields(cls))}

    class Draft(cls):  # type: ignore[misc, valid-type]
        __slots__ = ()
        __init__ = attrs.make_class("Fields", fields, eq=False, repr=False).__init__  # type: ignore[misc]
        __setattr__ = object.__setattr__
        __delattr__ = object.__delattr__

    return cast("Callable[..., T]", Draft)


def _column_reader(usual: type[Any], reader: Reader) -> Callable[[Sequence[Any]], Sequence[Any] | None] | None:
    """Return the function that reads one field of many objects, or `None` if the values need no reading."""
    if usual in _JSON_TYPES:
        return None
    if usual in FORMS:
        return FORMS[usual].read_shared
    quick: Reader = _QUICK.get(usual, reader)

    def read_column(values: Sequence[Any]) -> Sequence[Any] | None:
        try:
            column = [*map(quick, values)]
        except (TypeError, ValueError):
            return None
        # A time in UTC is complete. An unknown status is `None` here.
        if usual is datetime and any(when.tzinfo is not UTC for when in column):
            return [*map(reader, values)]
        return column

    return read_column


def dump(model: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the fields *names* of *model*, in this order, and then `extra`.

    A field that is `None` is null if it was read as null, else it is left out.
    """
    data: dict[str, Any] = {}
    for name in names:
        value: JSON | tuple[Any, ...] = getattr(model, name)
        if value is not None or name in model._nulls:  # noqa: SLF001 - of our own classes
            data[name] = [*map(_written, value)] if type(value) is tuple else value
    return {**data, **model.extra}


def _written(item: Any) -> Any:
    return dump_nested(item) if type(item) in FORMS else item


def facts_of(model: Any, *, but: Collection[str]) -> dict[str, Any]:
    """Return every field that a response gave of *model* as one flat dict, null or not, without the fields *but*."""
    facts: dict[str, Any] = {}
    for name in {*FORMS[type(model)].names}.difference(but):
        value = getattr(model, name)
        if type(value) in FORMS:
            facts[name] = "given"
            facts.update({f"{name}.{key}": inner for key, inner in dump_nested(value).items()})
        elif value is not None or name in model._nulls:  # noqa: SLF001 - of our own classes
            facts[name] = value
    facts.update({f"extra.{name}": value for name, value in model.extra.items()})
    return facts


def is_alike(one: Any, other: Any) -> bool:
    """Return whether two models of one class have the same data and the same nulls."""
    return one == other and _nulls_of(one) == _nulls_of(other)


def _nulls_of(model: Any) -> tuple[tuple[str, ...], ...]:
    """Return the names of the null fields of *model* and of the models in it."""
    nested = [getattr(model, name) for name in _NESTED]
    return (model._nulls, *[() if one is None else one._nulls for one in nested])  # noqa: SLF001 - of our own classes


def json_type(value: object) -> str:
    """Return the JSON name for the type of *value*."""
    return _JSON_TYPES.get(type(value), f"a {type(value).__name__}")


def text(value: Any) -> str | None:
    """Return *value* if it is a string."""
    return value if type(value) is str else None


def boolean(value: Any) -> bool | None:
    """Return *value* if it is a bool."""
    return value if type(value) is bool else None


def key(value: Any) -> int | str | None:
    """Return *value* if it can be an id: an integer, or a string that is not empty."""
    return value if type(value) is int or (type(value) is str and value) else None


def member(value: JSON, name: str) -> Any:
    """Return the member *name* of an object. It is `None` if there is none, or *value* is no object."""
    return value.get(name) if type(value) is dict else None


def status(value: Any) -> ServerStatus | str | None:
    """Return one of the seven statuses as a member of `ServerStatus`, any other status as the string that came."""
    if not isinstance(value, str):
        return None
    return _STATUSES.get(value) or str(value)


def moment(value: Any) -> datetime | None:
    """Return an ISO 8601 time in UTC, to the microsecond. A time without a zone is taken as UTC."""
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
    """Return *when* in the API's own form: ISO 8601 in UTC, with a Z."""
    return when.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _number(value: Any) -> float | None:
    return value if type(value) is float or type(value) is int else None


def texts(value: JSON) -> tuple[str, ...] | None:
    """Return the texts of *value* if it is a list of texts."""
    return tuple(value) if type(value) is list and all(type(item) is str for item in value) else None


def _versions(value: JSON) -> tuple[OperatingSystem, ...] | None:
    """Return the versions of a system, if all are objects. The vendor's newer clients know their ids as `uuid`."""
    if type(value) is not list or any(type(item) is not dict for item in value):
        return None
    versions: list[OperatingSystem] = []
    for values in map(SYSTEM.read, value):
        place, extra = SYSTEM.places["id"], values[EXTRA]
        values[place] = key(extra.get("uuid")) if values[place] is None else values[place]
        values[EXTRA] = without_secrets(extra)
        versions.append(SYSTEM.make(values))
    return tuple(versions)


KEY: Final = (int, key)
TEXT: Final = (str, text)
_WHOLE: Final = (int, _whole)
_NUMBER: Final = (float, _number)
PLAN: Final = Form(
    Plan,
    {
        "id": KEY,
        "name": TEXT,
        "vcpus": _WHOLE,
        "memory": _WHOLE,
        "storage": _WHOLE,
        "bandwidth": _WHOLE,
        "slug": TEXT,
        "price_monthly": _NUMBER,
        "price_hourly": _NUMBER,
        "available": (bool, boolean),
        "locations": (tuple, texts),
        "description": TEXT,
    },
    ("id", "name", "vcpus", "memory", "storage"),
)
SYSTEM: Final = Form(
    OperatingSystem,
    {"id": KEY, "name": TEXT, "versions": (tuple, _versions)},
    ("id", "name"),
    # Its versions are such systems too, without end.
    shown={"id": int | str | None, "name": str | None, "versions": list[dict[str, Any]] | None},
)
USAGE: Final = Form(
    ResourceUsage,
    {"cpu_percent": _NUMBER, "memory_used": _NUMBER, "disk_used": _NUMBER, "bandwidth_used": _NUMBER},
)


def dump_nested(model: Any) -> dict[str, Any]:
    """Return *model* as a JSON object in the API's own form."""
    return dump(model, FORMS[type(model)].names)


def split_secrets(values: list[Any], data: Mapping[str, Any], places: Mapping[str, int]) -> Mapping[str, Any]:
    """Take secrets out of *values*, as read from *data*. Return the fields of *data* that held some, as they were."""
    found = split(values[EXTRA]) if values[EXTRA] else {}
    for name in _NESTED:
        model = values[places[name]]
        if model is not None and model.extra and (clean := without_secrets(model.extra)) is not model.extra:
            found[name] = data[name]
            known = {key: value for key, value in data[name].items() if key not in model.extra}
            values[places[name]] = FORMS[type(model)].nested({**known, **clean})
    return found
