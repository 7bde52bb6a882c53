"""Checks the arguments of calls: numbers, seconds, ids, names, statuses and paths."""

from __future__ import annotations

import math
import re

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeGuard
from urllib.parse import unquote

from ._error_base import InvalidArgumentError
from ._server_parts import ServerStatus


# Letters, digits and the characters of UUIDs and slugs: nothing that a path, a query or a proxy gives another meaning.
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,254}", re.ASCII)
_TOO_LONG = 10**255
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_NUMBER_OR_UUID = re.compile(r"[0-9]+|[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){4}[0-9A-Fa-f]{8}", re.ASCII)
_STATUSES = frozenset(ServerStatus)
# The beginning of a URL that has a scheme or a host of its own.
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
# Some servers and proxies treat a backslash as a slash.
_SEPARATORS = re.compile(r"[/\\]")


def checked_seconds(name: str, value: float | None) -> float | None:
    """Return *value* as seconds, or `None` for "without end".

    Raises:
        TypeError: the value is not a number. A bool is not a number of seconds.
        InvalidArgumentError: the value is negative or not finite.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} takes seconds as a number, or None for without end, not {value!r}")
    seconds = as_float(name, value)
    if math.isnan(seconds) or seconds < 0 or math.isinf(seconds):
        raise InvalidArgumentError(f"{name}={value!r}: give 0 or more seconds, or None for without end")
    return seconds


def as_float(name: str, value: float) -> float:
    """Return *value* as a float.

    Raises:
        InvalidArgumentError: it is an integer that is too large for one.
    """
    try:
        return float(value)
    except OverflowError:
        pass
    # Not shown: it may have thousands of digits.
    raise InvalidArgumentError(f"{name} is a number of more than 300 digits: give a smaller one")


def check_at_least(minimum: float, name: str, value: float) -> None:
    """Return if *value* is a finite number of *minimum* or more.

    Raises:
        TypeError: the value is not a number.
        InvalidArgumentError: the value is smaller, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} takes a number, not {value!r}")
    if not value >= minimum or math.isinf(as_float(name, value)):
        raise InvalidArgumentError(f"{name}={value!r}: give a finite number of {minimum:g} or more")


def check_whole(name: str, value: float) -> None:
    """Return if *value* is a whole number.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, int):
        raise TypeError(f"{name} takes a whole number, not {value!r}")


def check_flag(name: str, value: object) -> None:
    """Return if *value* is true or false.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} takes True or False, not {value!r}")


def checked_key(key: object, what: str = "server", wanted: str = "an int, a str or a Server") -> int | str:
    """Return the id of a server, or of another thing *what*, if it can be one part of a path.

    Raises:
        TypeError: the id is neither an int nor a str, but not what is *wanted*.
        InvalidArgumentError: the id is negative, empty, or has a character that ids do not have.
    """
    if isinstance(key, bool) or not isinstance(key, (int, str)):
        raise TypeError(f"{what}_id must be {wanted}, not {key!r}")
    # The value of an enum's member or of another subclass, which may write itself in another way into a path.
    if isinstance(key, int):
        return _checked_number(int.__int__(key), what)
    key = str.__str__(key)
    if not _SAFE_ID.fullmatch(key) or ".." in key:
        raise InvalidArgumentError(f"{what}_id={key!r} is no {what}'s id: letters, digits and - . _ ~ only, no '..'")
    return key


def _checked_number(key: int, what: str) -> int:
    if key < 0:
        raise InvalidArgumentError(f"{what}_id={key if key > -_TOO_LONG else ''} is negative")
    if key >= _TOO_LONG:
        raise InvalidArgumentError(f"{what}_id is a number of more than 255 digits: no {what} has such an id")
    return key


def plain_text(text: str) -> str:
    """Return the value of *text*, which may be an enum's member and then writes itself in another way."""
    return str.__str__(text)


def server_key(server_id: int | str) -> str:
    """Return the one spelling of an id: 7, "7" and "07" are one server, and UUIDs are the same in either case."""
    if isinstance(server_id, int):
        return int.__str__(server_id)
    if _DIGITS.fullmatch(server_id):
        return server_id.lstrip("0") or "0"
    return server_id.lower() if _UUID.fullmatch(server_id) else server_id


def checked_name(name: object) -> str:
    """Return the name of a server.

    Raises:
        TypeError: the name is not a str.
        InvalidArgumentError: the name is empty, or has a character that names do not have.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {name!r}")
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(f"name={name!r}: give letters, digits and hyphens, at least one")
    return name


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether *value* can be a JSON object. What is in it is not looked at."""
    return type(value) is dict or isinstance(value, Mapping)


def is_iterable(value: object) -> TypeGuard[Iterable[Any]]:
    """Return whether *value* can be iterated. What is in it is not looked at."""
    return isinstance(value, Iterable)


def is_collection(value: object) -> TypeGuard[Collection[Any]]:
    """Return whether *value* is a collection. What is in it is not looked at."""
    return isinstance(value, Collection)


def checked_statuses(argument: str, given: object) -> frozenset[str]:
    """Return one status, or a collection of statuses, as a set.

    Raises:
        TypeError: *given* is neither.
        InvalidArgumentError: a status is not one of the seven.
    """
    if isinstance(given, str):
        given = (given,)
    if not is_collection(given):
        raise TypeError(f"{argument} takes a status or a collection of statuses, not {given!r}")
    for status in given:
        if not isinstance(status, str) or status not in _STATUSES:
            raise InvalidArgumentError(
                f"{argument}={status!r}{_nearest(status)} is no status: the seven are {', '.join(ServerStatus)}"
            )
    return frozenset(ServerStatus(status) for status in given)


def _nearest(status: object) -> str:
    if not isinstance(status, str):
        return ""
    # Imported late: it takes a hundredth of the time of importing this library, and few programs need it.
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(status.lower(), _STATUSES, n=1)
    return f" (did you mean {str(near[0])!r}?)" if near else ""


def name_hint(server_id: int | str | None) -> str:
    """Return what to do if no server has this id, and it looks like a server's name; else an empty string."""
    if not isinstance(server_id, str) or not _NAME.fullmatch(server_id) or _NUMBER_OR_UUID.fullmatch(server_id):
        return ""
    return f"; {server_id!r} looks like a name: client.servers.get_by_name({server_id!r}) finds a server by its name"


def check_http_method(method: object) -> None:
    """Return if *method* can be an HTTP method.

    Raises:
        InvalidArgumentError: it cannot.
    """
    if not isinstance(method, str) or not method.isascii() or not method.isalpha():
        raise InvalidArgumentError(f"method={method!r} is no HTTP method")


def check_relative_path(path: object) -> None:
    """Return if *path* stays below the base URL.

    Raises:
        InvalidArgumentError: the path is an absolute URL, or has a `..`, escaped or not.
    """
    if not isinstance(path, str) or _ABSOLUTE.match(path):
        raise InvalidArgumentError(f"path={path!r}: give a path below the base URL, such as '/servers/'")
    if ".." in _SEPARATORS.split(unquote(re.split(r"[?#]", path, maxsplit=1)[0])):
        raise InvalidArgumentError(f"path={path!r} has a '..': give the path that it leads to, below the base URL")
