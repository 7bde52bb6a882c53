"""Makes public classes say that they are public: `vpsorg_async.Server`, not `vpsorg_async._models.Server`."""

from __future__ import annotations

import typing

import attrs


def publish(*classes: type) -> None:
    """Give *classes* the package's name as their module, so that a repr, a traceback and a pickle have it.

    Their annotations are resolved first: `typing.get_type_hints` would look for the names in the package.
    """
    for cls in classes:
        if own := vars(cls).get("__annotations__"):
            hints = typing.get_type_hints(cls)
            cls.__annotations__ = {name: hints[name] for name in own}
            # attrs writes this method from the annotations as they stand in the source.
            made = getattr(vars(cls).get("__init__"), "__annotations__", {})
            made.update((name, hints[name]) for name in own.keys() & made.keys())
        cls.__module__ = "vpsorg_async"
        if attrs.has(cls):
            _show_public_fields_only(cls)


def all_fields(cls: type) -> list[str]:
    """Return the names of the fields of a slotted attrs class, also of those that `attrs.fields` leaves out."""
    return [name for name in cls.__slots__ if name != "__weakref__"]  # type: ignore[attr-defined]


def _show_public_fields_only(cls: type) -> None:
    """Leave out of `attrs.fields` what is private and no argument: a handle on a client, a secret.

    `attrs.asdict` would return it, and Litestar's OpenAPI document would list it.
    """
    fields = attrs.fields(cls)
    shown = [field for field in fields if field.init or not field.name.startswith("_")]
    # The type of the tuple finds the fields by their names. Those that are left out are the last.
    cls.__attrs_attrs__ = tuple.__new__(type(fields), shown)  # type: ignore[attr-defined]
