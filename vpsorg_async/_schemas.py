"""Lets web frameworks answer with the models, read them from requests, and show them in their OpenAPI documents.

Pydantic asks a class for `__get_pydantic_core_schema__`, and FastAPI asks pydantic. Pydantic is imported only then, so
this library does not depend on it. In an answer a model looks as `to_dict` gives it, so it has no secrets.
"""

from __future__ import annotations

import builtins
import types
import typing

from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs


if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core.core_schema import CoreSchema

Write: TypeAlias = Callable[[Any], Any]
Read: TypeAlias = Callable[[Any], Any]


@attrs.frozen
class _JSONForm:
    """How a class looks in JSON.

    Attributes:
        write: returns the JSON-ready data of an object.
        read: returns the object of such data; `None`: its fields are checked by their types, and no others are taken.
        fields: the types of the fields.
        required: the fields that are always there.

    Without *fields*, they are the public attributes but `extra`; without *required*, those that have no default.
    """

    write: Write
    read: Read | None
    fields: Mapping[str, Any] | None = None
    required: Collection[str] | None = None


_FORMS: Final[dict[type, _JSONForm]] = {}


def describe(
    cls: type,
    *,
    write: Write,
    read: Read,
    fields: Mapping[str, Any] | None = None,
    required: Collection[str] | None = None,
) -> None:
    """Say how a class looks in JSON, where that is not a field for each attribute."""
    _FORMS[cls] = _JSONForm(write, read, fields, required)


class Described:
    """A class that web frameworks know how to read, write and show."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return how pydantic reads, writes and shows objects of this class."""
        return _core_schema(cls, handler)


def written(value: Described | date | Mapping[str, Any] | tuple[Any, ...] | frozenset[Any] | str | float | None) -> Any:
    """Return *value* as JSON-ready data: a model, a tuple of models, a status or a plain value."""
    if isinstance(value, Described):
        return _form_of(type(value)).write(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: written(one) for name, one in value.items()}
    if isinstance(value, (tuple, frozenset)):
        return [written(one) for one in (value if isinstance(value, tuple) else sorted(value))]
    return str(value) if isinstance(value, str) else value


def _form_of(cls: type) -> _JSONForm:
    return next((_FORMS[base] for base in cls.__mro__ if base in _FORMS), _PLAIN)


def _public(cls: Any) -> list[attrs.Attribute[Any]]:
    return [one for one in attrs.fields(cls) if not one.name.startswith("_") and one.name != "extra"]


def _write_attributes(model: Any) -> dict[str, Any]:
    return {one.name: written(getattr(model, one.name)) for one in _public(type(model))}


_PLAIN: Final = _JSONForm(_write_attributes, None)


def _types(cls: type, form: _JSONForm) -> Mapping[str, Any]:
    if form.fields is not None:
        return form.fields
    hints = typing.get_type_hints(cls)
    return {one.name: hints[one.name] for one in _public(cls)}


def _required(cls: type, form: _JSONForm) -> list[str]:
    if form.required is not None:
        return [*form.required]
    return [one.name for one in _public(cls) if one.default is attrs.NOTHING]


def _core_schema(cls: type, handler: GetCoreSchemaHandler) -> CoreSchema:
    from pydantic_core import core_schema  # noqa: PLC0415 - no dependency

    form = _form_of(cls)
    fields = {name: _field_schema(kind, handler) for name, kind in _types(cls, form).items()}
    required = _required(cls, form)
    more: Any = {
        "ref": f"vpsorg_async.{cls.__name__}:{id(cls)}",
        "metadata": {"pydantic_js_functions": [_document(cls, form, required, fields)]},
        "serialization": core_schema.plain_serializer_function_ser_schema(form.write),
    }
    if form.read is not None:
        return core_schema.no_info_plain_validator_function(_reader(cls, form.read), **more)
    each = {name: core_schema.typed_dict_field(schema, required=name in required) for name, schema in fields.items()}
    typed = core_schema.typed_dict_schema(each, extra_behavior="forbid")
    return core_schema.no_info_wrap_validator_function(_typed_reader(cls), typed, **more)


def _field_schema(kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Return the schema of a field's type.

    Pydantic's own way to a model gives a reference to a definition. It would drop that definition: it does not look
    into the function that makes the JSON schema.
    """
    from pydantic_core import core_schema  # noqa: PLC0415 - no dependency

    if isinstance(kind, type) and issubclass(kind, Described):
        return _core_schema(kind, handler)
    inner = typing.get_args(kind)
    match typing.get_origin(kind):
        case builtins.list:
            return core_schema.list_schema(_field_schema(inner[0], handler))
        case builtins.tuple:
            return core_schema.tuple_variable_schema(_field_schema(inner[0], handler))
        case types.UnionType if inner[1:] == (types.NoneType,):
            return core_schema.nullable_schema(_field_schema(inner[0], handler))
    return handler.generate_schema(kind)


def _reader(cls: type, read: Read) -> Read:
    return lambda value: value if isinstance(value, cls) else read(value)


def _typed_reader(cls: type) -> Callable[[Any, Read], Any]:
    return lambda value, checked: value if isinstance(value, cls) else cls(**checked(value))


def _document(
    cls: type, form: _JSONForm, required: list[str], fields: Mapping[str, CoreSchema]
) -> Callable[[Any, Any], dict[str, Any]]:
    """Return the function that pydantic calls for the JSON schema of *cls*."""
    from pydantic_core import core_schema  # noqa: PLC0415 - no dependency

    # Of the schema that it is given, `resolved` passes over what makes a model's JSON schema, but not of one inside it.
    wrapped = {name: core_schema.json_or_python_schema(schema, schema) for name, schema in fields.items()}

    def document(_schema: Any, resolved: Callable[[CoreSchema], dict[str, Any]]) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "title": cls.__name__,
            "type": "object",
            "properties": {name: resolved(schema) for name, schema in wrapped.items()},
            "required": required,
            "additionalProperties": form.read is not None,
        }
        return shown if cls.__doc__ is None else {**shown, "description": cls.__doc__.splitlines()[0]}

    return document
