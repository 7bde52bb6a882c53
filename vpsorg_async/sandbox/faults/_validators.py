"""Validate the arguments of faults."""

from __future__ import annotations

import math
import re

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._clocks.interface import checked_number


if TYPE_CHECKING:
    import attrs


Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]

_METHOD = re.compile(r"[A-Za-z]+")


def whole_number(least: int, most: float = math.inf) -> Validator:
    """Return a validator that accepts whole numbers from *least* to *most*."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{attribute.name} must be a whole number, not {value!r}")
        if not least <= value <= most:
            wanted = f"{least} or more" if most == math.inf else f"from {least} to {most}"
            raise ValueError(f"{attribute.name}={value}: must be {wanted}")

    return check


def number(*, above: float | None = None) -> Validator:
    """Return a validator that accepts finite numbers of at least 0, or *above* a number."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        given = checked_number(value, attribute.name)
        if not math.isfinite(given) or given < 0 or (above is not None and given <= above):
            wanted = "of at least 0" if above is None else f"above {above}"
            raise ValueError(f"{attribute.name}={value!r}: must be a finite number {wanted}")

    return check


def instance_of(kind: type, wanted: str) -> Validator:
    """Return a validator that accepts instances of *kind*; *wanted* names it in the error."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise TypeError(f"{attribute.name} must be {wanted}, not {value!r}")

    return check


def regular_expression(_instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    """Accept a str that compiles as a regular expression."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{attribute.name}={value!r} is not a regular expression: {error}") from None


def http_method(_instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    """Accept a str of letters."""
    if not _METHOD.fullmatch(value):
        raise ValueError(f"{attribute.name}={value!r} is not an HTTP method")


def server_id(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Accept an int of at least 0, or a str that is not empty."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{attribute.name} must be an int or a str, not {value!r}")
    if value == "" or (isinstance(value, int) and value < 0):
        raise ValueError(f"{attribute.name}={value!r} is not the id of a server")


def at_most_one(_instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Accept a number up to 1."""
    if value > 1:
        raise ValueError(f"{attribute.name}={value!r}: must be from 0 to 1")
