"""Validate the bodies of requests by a table of fields for each kind of body."""

from __future__ import annotations

import json
import re
import uuid

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .._state.catalogue import LOCATIONS, PLANS, SYSTEMS, plan_in_dialect, system_in_dialect
from .._state.refusals import detail, wrong_fields


NAME = re.compile(r"[A-Za-z0-9-]{1,63}")
_HOSTNAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
FQDN = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*")

Json = dict[str, Any] | list[Any] | str | int | float | bool | None
"""A JSON value as it is decoded."""

Check = Callable[[Any], str | None]
"""Returns what is wrong with a value, in the words of Django REST framework if it has some; `None` if it is valid."""


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


def _integer(known: Mapping[int, Any] | None) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return "A valid integer is required."
        if value < 1 or (known is not None and value not in known):
            return f'Invalid pk "{value}" - object does not exist.'
        return None

    return check


def _uuid(known: Mapping[str, Any]) -> Check:
    def check(value: Any) -> str | None:
        if not _is_uuid(value):
            return "Must be a valid UUID."
        return None if value.lower() in known else f'Invalid pk "{value}" - object does not exist.'

    return check


def _uuids(value: Json) -> str | None:
    if not isinstance(value, list):
        return f'Expected a list of items but got type "{type(value).__name__}".'
    return None if all(map(_is_uuid, value)) else "Must be a valid UUID."


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(uuid.UUID(value))
    except ValueError:
        return False


def _location(value: Any) -> str | None:
    if not isinstance(value, str):
        return "Not a valid string."
    return None if value in LOCATIONS else f'"{value}" is not a valid choice.'


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "Must be a valid boolean."


_name = _text(NAME, "Enter a valid name of at most 63 letters, digits and hyphens.")
_hostname = _text(FQDN, "Enter a valid fully qualified domain name.")

CREATE: dict[str, Field] = {
    "name": Field(_name),
    "plan_id": Field(_integer(PLANS)),
    "os_id": Field(_integer(SYSTEMS)),
    "location": Field(_location),
    "hostname": Field(_hostname, required=False, nullable=True),
    "ssh_key_id": Field(_integer(None), required=False, nullable=True),
    "backups_enabled": Field(_boolean, required=False, default=False),
}

_PLANS = {plan_in_dialect(plan_id)["uuid"]: plan_id for plan_id in PLANS}
_VERSIONS = {system_in_dialect(os_id)[1]["uuid"]: os_id for os_id in SYSTEMS}
_PLACES = {location["id"]: code for code, location in LOCATIONS.items()}

CREATE_BY_UUID: dict[str, Field] = {
    "hostname": Field(_text(_HOSTNAME, "Enter a valid hostname.")),
    "plan": Field(_uuid(_PLANS)),
    "location": Field(_integer(_PLACES)),
    "os_version": Field(_uuid(_VERSIONS)),
    "ssh_keys": Field(_uuids, required=False, default=()),
}
"""The body of a create in the shape that `vps-mcp` 0.1.0 sends."""

RESIZE: dict[str, Field] = {"plan": Field(_uuid(_PLANS))}

SETTINGS: dict[str, Field] = {
    "name": Field(_name),
    "hostname": Field(_hostname, nullable=True),
    "backups_enabled": Field(_boolean),
}

_POWER = {"start": "start", "stop": "stop", "restart": "reboot", "hard_stop": "stop"}


def parse(body: bytes) -> Any:
    """Return *body* parsed as JSON, and `{}` for an empty one; refuse with 400."""
    if not body:
        return {}
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise detail(400, f"JSON parse error - {error}") from None


def is_by_uuid(data: Any) -> bool:
    """Return whether *data* is a create in the vendor's dialect: a plan or version, no `name`."""
    return isinstance(data, dict) and "name" not in data and not data.keys().isdisjoint({"plan", "os_version"})


def new_server(data: Any) -> dict[str, Any]:
    """Return the fields of a create, from a body of either dialect; refuse with 400."""
    if not is_by_uuid(data):
        return read(CREATE, data)
    fields = read(CREATE_BY_UUID, data)
    return {
        "name": fields["hostname"].partition(".")[0],
        "plan_id": _PLANS[fields["plan"].lower()],
        "os_id": _VERSIONS[fields["os_version"].lower()],
        "location": _PLACES[fields["location"]],
        "hostname": fields["hostname"],
        "ssh_key_id": None,
        "backups_enabled": False,
    }


def read(fields: Mapping[str, Field], data: Json, *, partial: bool = False) -> dict[str, Any]:
    """Return the values of *fields* in *data*, with defaults unless *partial*; refuse with 400."""
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise wrong_fields({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]})
    errors = {name: [wrong] for name, field in fields.items() if (wrong := _wrong(field, data, name, partial=partial))}
    if errors:
        raise wrong_fields(errors)
    return {name: data.get(name, field.default) for name, field in fields.items() if name in data or not partial}


def new_plan(data: Json) -> int:
    """Return the plan id in the body of the vendor's own `resize/` endpoint; refuse with 400."""
    return _PLANS[read(RESIZE, data)["plan"].lower()]


def power_command(data: Json) -> str:
    """Return the command in the body of the vendor's own `power/` endpoint; refuse with 400."""
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
