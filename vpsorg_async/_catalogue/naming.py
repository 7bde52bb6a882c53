"""Finds a plan, a datacenter or an operating system by a name. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from .. import _decoding
from .._errors import AmbiguousNameError


if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .._decoding import JSON
    from .._server_parts import OperatingSystem, Plan
    from .models import Location

    Item: TypeAlias = Plan | Location | OperatingSystem

T = TypeVar("T", bound="Item")

_NAMES = ("name", "slug", "code", "version")
"""The fields that name an item, if it has them. They may be in its `extra`."""


def named(pairs: Iterable[tuple[T, Collection[str]]], name: str, *, path: str) -> T | None:
    """Return the item of the list at *path* that has *name* among its names, or `None`.

    Raises:
        AmbiguousNameError: several items have it.
    """
    found = {_key(item): item for item, names in pairs if name in names}
    if len(found) > 1:
        what = path.strip("/").replace("-", " ")
        raise AmbiguousNameError(
            f"{len(found)} {what} are named {name!r}: {', '.join(map(str, found))}",
            ids=[*found],
            request_summary=f"GET {path}",
        )
    return next(iter(found.values()), None)


def may_be_named(item: JSON, name: str) -> bool:
    """Return whether a malformed item of a list has that name."""
    return type(item) is dict and name in map(item.get, _NAMES)


def with_names(items: Iterable[T]) -> Iterator[tuple[T, Collection[str]]]:
    """Yield each item with its names."""
    for item in items:
        yield item, _names_of(item)


def with_version_names(systems: Iterable[OperatingSystem]) -> Iterator[tuple[OperatingSystem, Collection[str]]]:
    """Yield each system and each version that has an id, with its names, also behind the name of its system.

    A name of a version is not one of its system too: a create takes the version.
    """
    for system in systems:
        own, of_versions = _names_of(system), set[str]()
        own |= _behind(system, own)
        for version in system.versions or ():
            names = _names_of(version)
            names |= _behind(system, names)
            if version.id is None:
                own |= names
            else:
                of_versions |= names
                yield version, names
        yield system, own - of_versions


def _behind(system: OperatingSystem, names: Collection[str]) -> set[str]:
    return {f"{system.name} {name}" for name in names} if system.name else set()


def _names_of(item: Item) -> set[str]:
    texts = [_decoding.text(getattr(item, field, None) or item.extra.get(field)) for field in _NAMES]
    return {text for text in texts if text}


def _key(item: Item) -> int | str:
    """Return the id of *item*, or what it has in its place: a code, a name."""
    return item.id if item.id is not None else getattr(item, "code", None) or item.name or ""
