"""Reads what the vendor's newer clients give under other names than the documentation has."""

from __future__ import annotations

import re

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from . import _decoding
from ._decoding import EXTRA, JSON, Reader
from ._server_parts import OperatingSystem, Plan


Dialect: TypeAlias = Sequence[tuple[str, Reader]]
"""For each of some fields, what reads it from the fields that the vendor's newer clients use."""

_AMOUNT: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_TOO_MUCH: Final = 10**15
_MEGABYTES: Final = {"MB": 1, "GB": 1024, "TB": 1024 * 1024}


def fill_from_dialect(values: list[Any], places: Mapping[str, int], dialect: Dialect) -> None:
    """Fill missing *values* from the fields that the vendor's newer clients use, which are in `extra`."""
    extra = values[EXTRA]
    for name, other in dialect:
        place = places[name]
        if values[place] is None:
            values[place] = other(extra)


def _location(extra: Mapping[str, Any]) -> str | None:
    named = first_text(extra.get("location"), ("code", "slug", "name"))
    return _decoding.text(extra.get("location_name")) if named is None else named


def _plan(extra: Mapping[str, Any]) -> Plan | None:
    name = _decoding.text(extra.get("plan_name"))
    return None if name is None else Plan(name=name)


def _operating_system(extra: Mapping[str, Any]) -> OperatingSystem | None:
    for other in ("operating_system_version", "operating_system"):
        if (system := _decoding.SYSTEM.nested(extra.get(other))) is not None:
            return system
    name = _decoding.text(extra.get("os_name"))
    return None if name is None else OperatingSystem(name=name)


def _first_address(addresses: JSON) -> str | None:
    if type(addresses) is not list or not addresses:
        return None
    return _decoding.text(addresses[0]) or first_text(addresses[0], ("ip", "address"))


def first_text(value: JSON, names: tuple[str, ...]) -> str | None:
    """Return the first string under one of *names* that is not empty."""
    if type(value) is not dict:
        return None
    return next((found for name in names if (found := _decoding.text(value.get(name)))), None)


SERVER_DIALECT: Final[Dialect] = (
    ("id", lambda extra: _decoding.key(extra.get("uuid"))),
    ("location", _location),
    ("plan", _plan),
    ("os", _operating_system),
    ("ip_address", lambda extra: _first_address(extra.get("ipv4_addresses"))),
    ("ipv6_address", lambda extra: _first_address(extra.get("ipv6_addresses"))),
)


# Plans and operating systems, also those of a server


def _amount(value: Any) -> float | None:
    """Return a number of 0 or more, also one that is a text, as Django REST framework gives prices."""
    if type(value) is str and _AMOUNT.fullmatch(value):
        return float(value)
    if (type(value) is int or type(value) is float) and 0 <= value < _TOO_MUCH:
        return value
    return None


def _count(value: Any) -> int | None:
    amount = _amount(value)
    return None if amount is None or amount != int(amount) else int(amount)


def _memory(extra: Any) -> int | None:
    amount, unit = _amount(extra.get("ram")), _MEGABYTES.get(str(extra.get("ram_unit", "")).upper())
    return None if amount is None or unit is None else _count(amount * unit)


def _counted(name: str) -> Reader:
    return lambda extra: _count(extra.get(name))


def _price(*names: str) -> Reader:
    """Return the reader of the first of *names* that has a price."""
    return lambda extra: next((price for name in names if (price := _amount(extra.get(name))) is not None), None)


def _codes(extra: Any) -> tuple[str, ...] | None:
    """Return the codes of datacenters that are given as objects."""
    places: JSON = extra.get("locations")
    if type(places) is not list:
        return None
    codes = [first_text(place, ("code", "slug", "name")) or _decoding.text(place) for place in places]
    return None if None in codes else tuple(code for code in codes if code is not None)


UUID_DIALECT: Final[Dialect] = (("id", lambda extra: _decoding.key(extra.get("uuid"))),)
PLAN_DIALECT: Final[Dialect] = (
    *UUID_DIALECT,
    ("vcpus", _counted("cpu")),
    ("memory", _memory),
    ("storage", _counted("disk_space")),
    ("bandwidth", _counted("transfer")),
    ("price_monthly", _price("price_monthly", "monthly_price")),
    ("price_hourly", _price("price_hourly", "hourly_price")),
    ("locations", _codes),
)
_decoding.PLAN.dialect, _decoding.SYSTEM.dialect = PLAN_DIALECT, UUID_DIALECT
