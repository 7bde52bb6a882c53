"""Compares `updated_at` of two responses, which may tell it to the second or to the microsecond. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from datetime import datetime

_MILLISECOND = 1000
"""Microseconds."""


def is_older(one: datetime | None, than: datetime | None) -> bool:
    """Return whether *one* is older at the coarser precision of the two. What is missing cannot be compared."""
    if one is None or than is None or one >= than:
        return False
    unit = _coarser_unit(one, than)
    return _cut(one, unit) < _cut(than, unit)


def is_same(one: datetime, other: datetime) -> bool:
    """Return whether the two are the same at the coarser precision."""
    return not is_older(one, other) and not is_older(other, one)


def has_fractions(one: datetime) -> bool:
    """Return whether a time tells more than the second."""
    return one.microsecond > 0


def _coarser_unit(one: datetime, other: datetime) -> int:
    """Return the coarser precision in microseconds. A time that ends in zeros is taken to tell no more."""
    if not (one.microsecond and other.microsecond):
        return 0
    return 1 if one.microsecond % _MILLISECOND and other.microsecond % _MILLISECOND else _MILLISECOND


def _cut(when: datetime, unit: int) -> datetime:
    return when.replace(microsecond=when.microsecond // unit * unit if unit else 0)
