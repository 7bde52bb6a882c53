"""What a request's body must hold, in one table for create and one for PUT and PATCH. Pure."""

from __future__ import annotations

import json
import re

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ._catalogue import LOCATIONS, PLANS, SYSTEMS
from ._refusals import detail, wrong_fields


_NAME = re.compile(r"[A-Za-z0-9-]{1,63}")
_FQDN = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*")

Check = Callable[[Any], str | None]
"""Says what is wrong with a value, in Django REST framework's words where it has some; `None`: nothing."""


@attrs.frozen
class Field:
    """One field of a body."""

    check: Check
    required: bool = True
    nullable: bool = False
    default: Any = None


def _text(pattern: re.Pattern[str], wrong: str) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "Not a valid string."
        if not value:
            return "This field may not be blank."
        return None if pattern.fullmatch(value) else wrong

    return check


def _key_of(known: Mapping[int, Any] | None) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return "A valid integer is required."
        if value < 1 or (known is not None and value not in known):
            return f'Invalid pk "{value}" - object does not exist.'
        return None

    return check


def _location(value: Any) -> str | None:
    if not isinstance(value, str):
        return "Not a valid string."
    return None if value in LOCATIONS else f'"{value}" is not a valid choice.'


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "Must be a valid boolean."


_name = _text(_NAME, "Enter a valid name of at most 63 letters, digits and hyphens.")
_hostname = _text(_FQDN, "Enter a valid fully qualified domain name.")

CREATE: dict[str, Field] = {
    "name": Field(_name),
    "plan_id": Field(_key_of(PLANS)),
    "os_id": Field(_key_of(SYSTEMS)),
    "location": Field(_location),
    "hostname": Field(_hostname, required=False, nullable=True),
    "ssh_key_id": Field(_key_of(None), required=False, nullable=True),
    "backups_enabled": Field(_boolean, required=False, default=False),
}

SETTINGS: dict[str, Field] = {
    "name": Field(_name),
    "hostname": Field(_hostname, nullable=True),
    "backups_enabled": Field(_boolean),
}

_POWER = {"start": "start", "stop": "stop", "restart": "reboot", "hard_stop": "stop"}


def parse(body: bytes) -> Any:
    """Return *body* read as JSON, an empty one as `{}`; refuse with 400."""
    if not body:
        return {}
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise detail(400, f"JSON parse error - {error}") from None


def read(fields: Mapping[str, Field], body: bytes, *, partial: bool = False) -> dict[str, Any]:
    """Return what *body* gives for *fields*, defaults filled in unless *partial*; refuse with 400."""
    data = parse(body)
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise wrong_fields({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]})
    errors = {name: [wrong] for name, field in fields.items() if (wrong := _wrong(field, data, name, partial=partial))}
    if errors:
        raise wrong_fields(errors)
    return {name: data.get(name, field.default) for name, field in fields.items() if name in data or not partial}


def power_command(body: bytes) -> str:
    """Return the command that the body of the vendor's own `power/` call means; refuse with 400."""
    data = parse(body)
    asked = data.get("action") if isinstance(data, dict) else None
    if asked is None:
        raise wrong_fields({"action": ["This field is required."]})
    if not isinstance(asked, str) or asked not in _POWER:
        raise wrong_fields({"action": [f'"{asked}" is not a valid choice.']})
    return _POWER[asked]


def _wrong(field: Field, data: Mapping[str, Any], name: str, *, partial: bool) -> str | None:
    if name not in data:
        return "This field is required." if field.required and not partial else None
    if data[name] is None:
        return None if field.nullable else "This field may not be null."
    return field.check(data[name])


def _refuse_constant(text: str) -> None:
    raise ValueError(f"Out of range float values are not JSON compliant: {text}")
