"""Hold the JSON schemas of what the API reads and answers, from the tables that the sandbox itself uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._api.validation import CREATE, FQDN, NAME, SETTINGS, Field
from .._state.account import STATUSES
from .._state.catalogue import LOCATIONS, PLANS, SYSTEMS


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


Json = dict[str, Any]


def body_schema(fields: Mapping[str, Field], *, partial: bool = False) -> Json:
    """Return the schema of a body with *fields*; none of them is required if *partial*."""
    required = [name for name, field in fields.items() if field.required and not partial]
    properties = {name: dict(_properties(name, field)) for name, field in fields.items()}
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _properties(name: str, field: Field) -> Iterator[tuple[str, Any]]:
    schema: Json = VALUES.get(name, {})
    for key, value in schema.items():
        if field.nullable and key == "type":
            yield key, [value, "null"]
        else:
            yield key, value
    if not field.required and field.default is not None:
        yield "default", field.default


def ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def json_object(properties: Json, *, optional: Sequence[str] = ()) -> Json:
    """Return the schema of an object with exactly these properties."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list_of(item: str) -> Json:
    """Return the schema of a page of *item*s."""
    items = {"type": "array", "items": ref("schemas", item)}
    return json_object(
        {"count": _WHOLE, "next": _LINK, "previous": _LINK, "results": items}, optional=("next", "previous")
    )


_WHOLE = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
ID = {"type": "integer", "minimum": 1}
_UUID = {"type": "string", "format": "uuid"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_LINK = {"type": ["string", "null"], "format": "uri"}

# `maxLength` replaces the lookahead for the length, whose `\Z` only Python knows.
_HOSTNAME_PATTERN = "^" + FQDN.pattern.removeprefix(r"(?=.{1,253}\Z)") + "$"

VALUES: dict[str, Json] = {
    "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "description": "Letters, digits and hyphens."},
    "plan_id": {"type": "integer", "enum": list(PLANS), "description": "The VPS plan."},
    "os_id": {"type": "integer", "enum": list(SYSTEMS), "description": "The operating system."},
    "location": {"type": "string", "enum": list(LOCATIONS), "description": "The code of the datacenter."},
    "hostname": {"type": "string", "pattern": _HOSTNAME_PATTERN, "maxLength": 253, "description": "An FQDN."},
    "ssh_key_id": {"type": "integer", "minimum": 1, "description": "The SSH key to install."},
    "backups_enabled": {"type": "boolean", "description": "Whether automatic backups are made."},
}
"""The schema of each field of a body by its name; any other field may have any value."""

_PRICE = {"type": "number", "minimum": 0}
_PLAN = {"id": ID, "name": TEXT, "vcpus": ID, "memory": ID, "storage": ID}

_LISTED = {
    "id": ID,
    "name": VALUES["name"],
    "hostname": _MAYBE_TEXT,
    "status": ref("schemas", "Status"),
    "ip_address": {"type": ["string", "null"], "format": "ipv4", "description": "Null while provisioning."},
    "location": VALUES["location"],
    "plan": json_object(_PLAN),
    "os": json_object({"id": ID, "name": TEXT}),
    "created_at": _TIME,
    "updated_at": _TIME,
}

SCHEMAS: dict[str, Json] = {
    "Status": {"type": "string", "enum": list(STATUSES)},
    "Create": body_schema(CREATE),
    "Settings": body_schema(SETTINGS),
    "Changes": body_schema(SETTINGS, partial=True),
    "ServerInList": json_object(_LISTED),
    "ServerList": _list_of("ServerInList"),
    "CreatedServer": json_object(_LISTED | {"backups_enabled": {"type": "boolean"}, "message": TEXT}),
    "Server": json_object(
        _LISTED
        | {
            "ipv6_address": {"type": ["string", "null"], "format": "ipv6"},
            "plan": json_object(_PLAN | {"bandwidth": ID}),
            "backups_enabled": {"type": "boolean"},
            "resource_usage": json_object(
                {
                    "cpu_percent": {"type": "number", "minimum": 0, "maximum": 100},
                    "memory_used": _WHOLE,
                    "disk_used": _WHOLE,
                    "bandwidth_used": _WHOLE,
                }
            ),
        }
    ),
    "Action": json_object(
        {
            "status": {"const": "success"},
            "message": TEXT,
            "server": json_object({"id": ID, "name": VALUES["name"], "status": ref("schemas", "Status")}),
        }
    ),
    "Plan": json_object(
        _PLAN
        | {
            "bandwidth": ID,
            "slug": TEXT,
            "price_monthly": _PRICE,
            "price_hourly": _PRICE,
            "available": {"type": "boolean"},
            "locations": {"type": "array", "items": VALUES["location"]},
            "description": TEXT,
        }
    ),
    "PlanList": _list_of("Plan"),
    "Location": json_object(
        {
            "id": ID,
            "code": VALUES["location"],
            "name": TEXT,
            "country_name": TEXT,
            "country_code": TEXT,
            "is_active": {"type": "boolean"},
        }
    ),
    "LocationList": _list_of("Location"),
    "OperatingSystem": json_object(
        {
            "uuid": _UUID,
            "name": TEXT,
            "versions": {"type": "array", "items": json_object({"id": ID, "uuid": _UUID, "name": TEXT})},
        }
    ),
    "OperatingSystemList": _list_of("OperatingSystem"),
    "Account": json_object(
        {
            "account": json_object(
                {
                    "email": {"type": "string", "format": "email"},
                    "first_name": TEXT,
                    "last_name": TEXT,
                    "company_name": TEXT,
                    "created_at": {"type": "string", "format": "date"},
                }
            ),
            "token": json_object({"name": TEXT, "permissions": {"type": "array", "items": TEXT}}),
        }
    ),
    "Detail": json_object({"detail": TEXT}),
    "WrongFields": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": "array", "minItems": 1, "items": TEXT},
    },
}
