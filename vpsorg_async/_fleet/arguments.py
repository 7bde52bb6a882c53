"""Checks the arguments of fleets and their runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._endpoints import spec_body
from .._models import Server, ServerSpec, checked_id


def _several(argument: str, given: object, what: str) -> list[Any]:
    if isinstance(given, (str, bytes, Server, ServerSpec)) or not isinstance(given, Iterable):
        raise TypeError(f"{argument} takes several {what}, not {type(given).__name__}: give a list, or await one first")
    return list(given)


def checked_items(given: object) -> list[Server | int | str]:
    """Return the servers and ids of a fleet.

    Raises:
        TypeError: *given* is not several, or something in it is neither a server nor an id.
        ValueError: an id cannot be one, or a server is given twice.
    """
    items = _several("fleet()", given, "servers or ids")
    seen: set[str] = set()
    for item in items:
        key = str(checked_id(item))
        if key in seen:
            raise ValueError(f"server {key} is there twice: give each server once")
        seen.add(key)
    return items


def checked_specs(given: object) -> list[ServerSpec]:
    """Return the specs of a fleet of creates.

    Raises:
        TypeError: *given* is not several, or something in it is not a `ServerSpec` or has a value of a wrong type.
        ValueError: a spec cannot be created, or two specs have one name.
    """
    specs = _several("fleet.create()", given, "ServerSpecs")
    names: set[str] = set()
    for spec in specs:
        if not isinstance(spec, ServerSpec):
            raise TypeError(f"fleet.create() takes ServerSpecs, not {spec!r}")
        spec_body(spec)
        if spec.name in names:
            raise ValueError(
                f"two specs have the name {spec.name!r}: a lost response could not be told from the other's"
            )
        names.add(spec.name)
    return specs


def checked_at_once(value: object) -> int:
    """Return how many items may be in progress together.

    Raises:
        TypeError: the value is not a whole number.
        ValueError: the value is less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"at_once takes a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"at_once={value}: give 1 or more")
    return value


def checked_tolerate(value: float | None) -> float | None:
    """Return how many items may fail: an int counts them, a float is a share of all, `None` is any number.

    Raises:
        TypeError: the value is none of these.
        ValueError: the value is negative, or a share greater than 1.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"tolerate takes a number of items (int), a share of them (float) or None, not {value!r}")
    if isinstance(value, float) and not 0 <= value <= 1:
        raise ValueError(f"tolerate={value!r} is a share of all items: give 0.0 to 1.0, or an int to count")
    if value < 0:
        raise ValueError(f"tolerate={value!r}: give 0 or more")
    return value


def checked_callable(name: str, value: Any) -> Any:
    """Return a function that a user gave, or `None`.

    Raises:
        TypeError: the value cannot be called.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function, plain or async, not {value!r}")
    return value
