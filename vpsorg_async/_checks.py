"""Checks the arguments of calls: numbers, seconds, ids, names, statuses and paths."""

from __future__ import annotations

import math
import re

from collections.abc import Collection
from urllib.parse import unquote

from ._server_parts import ServerStatus


# Letters, digits and the characters of UUIDs and slugs: nothing that a path, a query or a proxy gives another meaning.
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,254}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_STATUSES = frozenset(ServerStatus)
# The beginning of a URL that has a scheme or a host of its own.
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
# Some servers and proxies treat a backslash as a slash.
_SEPARATORS = re.compile(r"[/\\]")


def checked_seconds(name: str, value: float | None) -> float | None:
    """Return *value* as seconds, or `None` for "without end".

    Raises:
        TypeError: the value is not a number. A bool is not a number of seconds.
        ValueError: the value is negative or not finite.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} takes seconds as a number, or None for without end, not {value!r}")
    if math.isnan(value) or value < 0 or math.isinf(value):
        raise ValueError(f"{name}={value!r}: give 0 or more seconds, or None for without end")
    return float(value)


def check_at_least(minimum: float, name: str, value: float) -> None:
    """Return if *value* is a finite number of *minimum* or more.

    Raises:
        TypeError: the value is not a number.
        ValueError: the value is smaller, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} takes a number, not {value!r}")
    if not value >= minimum or math.isinf(value):
        raise ValueError(f"{name}={value!r}: give a finite number of {minimum:g} or more")


def check_whole(name: str, value: float) -> None:
    """Return if *value* is a whole number.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, int):
        raise TypeError(f"{name} takes a whole number, not {value!r}")


def checked_key(server_id: object) -> int | str:
    """Return the id of a server if it can be one part of a path.

    Raises:
        TypeError: the id is neither an int nor a str.
        ValueError: the id is negative, empty, or has a character that ids do not have.
    """
    if isinstance(server_id, bool) or not isinstance(server_id, (int, str)):
        raise TypeError(f"server_id must be an int, a str or a Server, not {server_id!r}")
    if isinstance(server_id, int):
        if server_id < 0:
            raise ValueError(f"server_id={server_id} is negative")
        return server_id
    if not _SAFE_ID.fullmatch(server_id) or ".." in server_id:
        raise ValueError(f"server_id={server_id!r} is no server's id: letters, digits and - . _ ~ only, no '..'")
    return server_id


def checked_name(name: object) -> str:
    """Return the name of a server.

    Raises:
        TypeError: the name is not a str.
        ValueError: the name is empty, or has a character that names do not have.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {name!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"name={name!r}: give letters, digits and hyphens, at least one")
    return name


def checked_statuses(argument: str, given: object) -> frozenset[str]:
    """Return one status, or a collection of statuses, as a set.

    Raises:
        TypeError: *given* is neither.
        ValueError: a status is not one of the seven.
    """
    if isinstance(given, str):
        given = (given,)
    if not isinstance(given, Collection):
        raise TypeError(f"{argument} takes a status or a collection of statuses, not {given!r}")
    for status in given:
        if not isinstance(status, str) or status not in _STATUSES:
            raise ValueError(f"{argument}={status!r} is no status: the seven are {', '.join(ServerStatus)}")
    return frozenset(ServerStatus(status) for status in given)


def check_http_method(method: object) -> None:
    """Return if *method* can be an HTTP method.

    Raises:
        ValueError: it cannot.
    """
    if not isinstance(method, str) or not method.isascii() or not method.isalpha():
        raise ValueError(f"method={method!r} is no HTTP method")


def check_relative_path(path: object) -> None:
    """Return if *path* stays below the base URL.

    Raises:
        ValueError: the path is an absolute URL, or has a `..`, escaped or not.
    """
    if not isinstance(path, str) or _ABSOLUTE.match(path):
        raise ValueError(f"path={path!r}: give a path below the base URL, such as '/servers/'")
    if ".." in _SEPARATORS.split(unquote(re.split(r"[?#]", path, maxsplit=1)[0])):
        raise ValueError(f"path={path!r} has a '..': give the path that it leads to, below the base URL")
