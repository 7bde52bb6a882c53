"""Puts together what several observations said of one server, and finds what changed between two. Pure.

A list leaves out fields that a GET gives. A field that an observation does not give has not changed, so what was known
of it before is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from .._decoding import FORMS, facts_of


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NO_CHANGE: Final = frozenset({"resource_usage", "updated_at", "message"})
"""Fields that differ all the time, or come with one response only. A difference in them is no change."""

_NEVER_EMPTY: Final = ("name", "status")
"""Fields of a server that are `""` where a response leaves them out, or gives null: no server is without one."""

_OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "location": ("location_name",),
    "plan": ("plan_name",),
    "os": ("operating_system_version", "operating_system", "os_name"),
    "ip_address": ("ipv4_addresses",),
    "ipv6_address": ("ipv6_addresses",),
}
"""The names under which the vendor's newer clients give a field. They are in `extra`."""

_HIDDEN: Final = ("_servers", "_secrets")

M = TypeVar("M")


def facts(model: Any) -> dict[str, Any]:
    """Return what can change of a server, as one flat dict."""
    return facts_of(model, but=NO_CHANGE)


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the fields that differ between the facts of two observations, and that both give.

    A field of `plan` or `os` counts as `plan` or `os`; a field that the SDK does not know has its own name.
    """
    return frozenset(_field_of(name) for name in _changed(before, after))


def has_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether any of them differs."""
    return before != after and any(_changed(before, after))


def filled(newer: M, older: M) -> M:
    """Return *newer* with what *older* knows and *newer* does not say. It is *newer* itself if that is nothing."""
    changes: dict[str, Any] = {}
    nulls: list[str] = []
    for name in FORMS[type(newer)].names:
        value, known = getattr(newer, name), getattr(older, name)
        if not _says(newer, name):
            if known is not None and known != value:
                changes[name] = known
            elif name in _nulls_of(older):
                nulls.append(name)
        elif type(value) in FORMS and known is not None and _agree(value, known):
            more = filled(value, known)
            if more is not value:
                changes[name] = more
    extra = {name: value for name, value in older.extra.items() if not _says(newer, name)}  # type: ignore[attr-defined]
    # A null in place of a name or status hides nothing that is known.
    kept = {name for name in _NEVER_EMPTY if not _says(newer, name) and _says(older, name)}
    said = {name: value for name, value in newer.extra.items() if name not in kept}  # type: ignore[attr-defined]
    if extra or len(said) < len(newer.extra):  # type: ignore[attr-defined]
        changes["extra"] = {**extra, **said}
    if not changes and not nulls:
        return newer
    return _changed_copy(newer, changes, [*(name for name in _nulls_of(newer) if name not in kept), *nulls])


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    return (name for name, value in after.items() if name in before and before[name] != value)


def _field_of(fact: str) -> str:
    return fact.removeprefix("extra.") if fact.startswith("extra.") else fact.partition(".")[0]


def _says(model: Any, name: str) -> bool:
    """Return whether the observation gave the field *name*: with a value, as null, or in a shape of its own."""
    if name in _NEVER_EMPTY and getattr(model, name, None) == "":
        return model.extra.get(name) is not None
    if getattr(model, name, None) is not None or name in _nulls_of(model) or name in model.extra:
        return True
    return any(other in model.extra for other in _OTHER_NAMES.get(name, ()))


def _agree(one: Any, other: Any) -> bool:
    """Return whether two plans or systems can be the same one: no field has two values."""
    for name in FORMS[type(one)].names:
        value, known = getattr(one, name), getattr(other, name)
        if value is not None and known is not None and value != known:
            return False
    return True


def _nulls_of(model: Any) -> tuple[str, ...]:
    nulls: tuple[str, ...] = model._nulls  # noqa: SLF001 - of our own classes
    return nulls


def _changed_copy(model: M, changes: dict[str, Any], nulls: list[str]) -> M:
    copy = attrs.evolve(model, **changes)  # type: ignore[misc]
    object.__setattr__(copy, "_nulls", tuple(nulls))
    for name in _HIDDEN:
        if hasattr(model, name):
            object.__setattr__(copy, name, getattr(model, name))
    return copy
