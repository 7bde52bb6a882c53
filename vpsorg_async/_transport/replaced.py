"""Tells whether somebody has replaced what httpx and httpcore send requests by: a mock, a tracer or a recorder.

Our own connections go past those functions. Where one of them is replaced, the pool sends by httpx's own transport, so
that the replacement sees the request. The question is asked at each call, because a mock may come and go at any time.
"""

from __future__ import annotations

import sys

from operator import is_
from pathlib import PurePath
from types import FunctionType
from typing import TYPE_CHECKING, Any

from .._http import CORE, PACKAGE


if TYPE_CHECKING:
    from collections.abc import Sequence

_REPLACED = object()


class Watch:
    """Watches classes and functions of httpx and httpcore, each named as `"package.Class"` or `"package.Class.name"`.

    Untouched is a plain function whose code lies in the package's own files, or a class of the package. So it does not
    matter whether the replacement was there before this library was imported.
    """

    def __init__(self, *watched: str) -> None:
        self._watched = watched
        self._owners: list[Any] = []
        self._names: list[str] = []
        # What was found at each place when it was last looked at by name; a mark where that was a replacement.
        self._found: list[object] = []
        self._absent = {name.partition(".")[0] for name in watched}

    @property
    def missing_names(self) -> Sequence[str]:
        """The watched names that the packages lack; those of a package that is not imported are not told."""
        return [f"{parent}.{name}" for parent, name in self._places() if not hasattr(_at(parent), name)]

    def is_replaced(self) -> bool:
        """Return whether one of them is not the package's own."""
        # One pass without a line of Python for each: every call of a client asks. The few names are looked up in the
        # many modules, and not the other way round, which would take longer than all else here.
        as_before = all(map(is_, map(getattr, self._owners, self._names), self._found))
        if as_before and sys.modules.keys().isdisjoint(self._absent):
            return False
        return self._look_again()

    def present(self) -> list[object]:
        """Return what stands at each place now, to be compared later; `None` where there is nothing."""
        # Not by `getattr`: a wrapper gives another object each time it is asked for.
        return [getattr(_at(parent), "__dict__", {}).get(name) for parent, name in self._places()]

    def _look_again(self) -> bool:
        """Look at each place by its name, and return whether one of them is replaced."""
        owners: list[object] = []
        names: list[str] = []
        found: list[object] = []
        for parent, name in self._places():
            owner = _at(parent)
            if hasattr(owner, name):
                owners.append(owner)
                names.append(name)
                there = getattr(owner, name)
                found.append(there if _is_own(there, parent.partition(".")[0]) else _REPLACED)
        self._owners, self._names, self._found = owners, names, found
        self._absent -= sys.modules.keys()
        return _REPLACED in found

    def _places(self) -> list[tuple[str, str]]:
        return [(parent, name) for parent, _, name in (watched.rpartition(".") for watched in self._watched)]


def _at(path: str) -> Any:
    """Return the module or class of that name; `None`: it is not there, or its package is not imported."""
    package, *names = path.split(".")
    found: Any = sys.modules.get(package)
    for name in names:
        found = getattr(found, name, None)
    return found


def _is_own(found: object, package: str) -> bool:
    """Return whether *found* is the package's own function or class."""
    if isinstance(found, type):
        return found.__module__.partition(".")[0] == package
    # What stands in for a function, as wrapt's wrappers do, may show the function's code as its own.
    if type(found) is not FunctionType:
        return False
    return PurePath(found.__code__.co_filename).is_relative_to(_folder(package))


def _folder(package: str) -> PurePath:
    """Return where the package's code says that it comes from; a frozen program has no such file."""
    # Both packages have a class of URLs, which nobody replaces.
    return PurePath(sys.modules[package].URL.__init__.__code__.co_filename).parent


BELOW_THE_CLIENT = Watch(
    f"{PACKAGE}.AsyncHTTPTransport",
    f"{PACKAGE}.AsyncHTTPTransport.handle_async_request",
    f"{CORE}.AsyncConnectionPool",
    f"{CORE}.AsyncConnectionPool.handle_async_request",
    f"{CORE}.AsyncHTTPProxy.handle_async_request",
    f"{CORE}.AsyncHTTPConnection.handle_async_request",
    f"{CORE}.AsyncHTTP11Connection.handle_async_request",
    f"{CORE}.AnyIOBackend.connect_tcp",
    f"{CORE}.TrioBackend.connect_tcp",
)
"""What replaces one of these sees a request only if httpx's own transport sends it."""

IN_THE_CLIENT = Watch(
    f"{PACKAGE}.AsyncClient._send_handling_auth",
    f"{PACKAGE}.AsyncClient._send_handling_redirects",
    f"{PACKAGE}.AsyncClient._send_single_request",
)
"""What replaces one of these sees a request that goes all of httpx's own way. `send` is called in any case."""
