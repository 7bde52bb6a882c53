"""Build the OpenAPI 3.1 document of the API from the tables that the sandbox itself uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._api.endpoints import ENDPOINTS, LARGEST_PAGE_SIZE, PAGE_SIZE
from .._api.validation import CREATE, FQDN, NAME, SETTINGS, Field
from .._state.account import LASTING, STATUSES
from .._state.catalogue import LOCATIONS, PLANS, SYSTEMS
from . import examples


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


Json = dict[str, Any]

SERVER_PATH = "/servers/{server_id}/"


@attrs.frozen(kw_only=True)
class Operation:
    """The description of one documented endpoint, as far as the tables do not contain it.

    Attributes:
        name: the `operationId`.
        summary: one line.
        status: the status of a success.
        response: the schema of the body of a success; `None` for no body.
        example: an example of that body.
        body: the schema of the request's body; `None` for no body.
        body_example: an example of the request's body.
        query: the query parameters.
        refusals: the statuses of refusals, except 401.
        links: the operations on the server in the response.
    """

    name: str
    summary: str
    status: int = 200
    response: str | None
    example: Any = None
    body: str | None = None
    body_example: Any = None
    query: Sequence[Json] = ()
    refusals: Sequence[int] = ()
    links: Mapping[str, Json] = attrs.field(factory=dict)


def document() -> Json:
    """Return the document, ready for JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VPS.org servers API",
            "version": "1",
            "summary": "The API as the sandbox of vpsorg_async implements it.",
            "description": "A method that a path does not have is refused with 405 and the header `Allow`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api/v1", "description": "The sandbox that serves this document."}],
        "security": [{"token": []}],
        "tags": [
            {"name": "servers", "description": "The endpoints that VPS.org documents."},
            {"name": "undocumented", "description": "Other endpoints that VPS.org's own programs use."},
        ],
        "paths": {path: _path_item(path, methods) for path, methods in ENDPOINTS.items()},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": {"server_id": _SERVER_ID},
            "headers": _HEADERS,
            "schemas": SCHEMAS,
            "responses": {str(status): _refusal(status) for status in _REFUSALS},
        },
    }


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


def _path_item(path: str, methods: Mapping[str, object]) -> Json:
    parameters = [_ref("parameters", "server_id")] if "{server_id}" in path else []
    operations = {method.lower(): _operation(path, method) for method in methods}
    return {**({"parameters": parameters} if parameters else {}), **operations}


def _operation(path: str, method: str) -> Json:
    known = OPERATIONS.get((method, path))
    if known is None:
        name = "_".join([method.lower(), *(part.strip("{}") for part in path.split("/") if part)])
        return {"operationId": name, "tags": ["undocumented"], "responses": {"default": {"description": "JSON."}}}
    return {
        "operationId": known.name,
        "summary": known.summary,
        "tags": ["servers"],
        **({"parameters": list(known.query)} if known.query else {}),
        **({"requestBody": _request(known)} if known.body else {}),
        "responses": {
            str(known.status): _success(known),
            **{str(status): _ref("responses", str(status)) for status in sorted([*known.refusals, 401])},
        },
    }


def _request(known: Operation) -> Json:
    schema = known.body or ""
    content = {"schema": _ref("schemas", schema), "example": known.body_example}
    # An empty body is read as `{}`.
    return {"required": "required" in SCHEMAS[schema], "content": {"application/json": content}}


def _success(known: Operation) -> Json:
    response: Json = {"description": known.summary, "headers": _headers("Date", "X-Request-ID")}
    if known.response is not None:
        content = {"schema": _ref("schemas", known.response), "example": known.example}
        response["content"] = {"application/json": content}
    if known.links:
        response["links"] = dict(known.links)
    return response


def _refusal(status: int) -> Json:
    text, schema, example, headers = _REFUSALS[status]
    return {
        "description": text,
        "headers": _headers("Date", "X-Request-ID", *headers),
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _headers(*names: str) -> Json:
    return {name: _ref("headers", name) for name in names}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _object(properties: Json, *, optional: Sequence[str] = ()) -> Json:
    """Return the schema of an object with exactly these properties."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _link(operation: str) -> Json:
    return {"operationId": operation, "parameters": {"server_id": "$response.body#/id"}}


_WHOLE = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_ID = {"type": "integer", "minimum": 1}
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

_PLAN = {"id": _ID, "name": _TEXT, "vcpus": _ID, "memory": _ID, "storage": _ID}

_LISTED = {
    "id": _ID,
    "name": VALUES["name"],
    "hostname": _MAYBE_TEXT,
    "status": _ref("schemas", "Status"),
    "ip_address": {"type": ["string", "null"], "format": "ipv4", "description": "Null while provisioning."},
    "location": VALUES["location"],
    "plan": _object(_PLAN),
    "os": _object({"id": _ID, "name": _TEXT}),
    "created_at": _TIME,
    "updated_at": _TIME,
}

SCHEMAS: dict[str, Json] = {
    "Status": {"type": "string", "enum": list(STATUSES)},
    "Create": body_schema(CREATE),
    "Settings": body_schema(SETTINGS),
    "Changes": body_schema(SETTINGS, partial=True),
    "ServerInList": _object(_LISTED),
    "ServerList": _object(
        {
            "count": _WHOLE,
            "next": _LINK,
            "previous": _LINK,
            "results": {"type": "array", "items": _ref("schemas", "ServerInList")},
        },
        optional=("next", "previous"),
    ),
    "CreatedServer": _object(_LISTED | {"backups_enabled": {"type": "boolean"}, "message": _TEXT}),
    "Server": _object(
        _LISTED
        | {
            "ipv6_address": {"type": ["string", "null"], "format": "ipv6"},
            "plan": _object(_PLAN | {"bandwidth": _ID}),
            "backups_enabled": {"type": "boolean"},
            "resource_usage": _object(
                {
                    "cpu_percent": {"type": "number", "minimum": 0, "maximum": 100},
                    "memory_used": _WHOLE,
                    "disk_used": _WHOLE,
                    "bandwidth_used": _WHOLE,
                }
            ),
        }
    ),
    "Action": _object(
        {
            "status": {"const": "success"},
            "message": _TEXT,
            "server": _object({"id": _ID, "name": VALUES["name"], "status": _ref("schemas", "Status")}),
        }
    ),
    "Detail": _object({"detail": _TEXT}),
    "WrongFields": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": "array", "minItems": 1, "items": _TEXT},
    },
}

_DETAIL = _ref("schemas", "Detail")
_REFUSALS: dict[int, tuple[str, Json, Json, Sequence[str]]] = {
    400: (
        "The request is invalid, or the server's status does not allow it.",
        {"anyOf": [_DETAIL, _ref("schemas", "WrongFields")]},
        examples.WRONG,
        (),
    ),
    401: ("The token is missing or wrong.", _DETAIL, examples.NO_TOKEN, ("WWW-Authenticate",)),
    402: ("No credits are left.", _DETAIL, examples.NO_CREDITS, ()),
    403: ("The token is read-only.", _DETAIL, examples.READ_ONLY, ()),
    404: ("The server or page does not exist.", _DETAIL, examples.NOT_FOUND, ()),
    405: ("The path does not have this method.", _DETAIL, examples.NOT_ALLOWED, ("Allow",)),
}

_HEADERS: Json = {
    "Date": {"description": "The time of the sandbox.", "schema": _TEXT},
    "X-Request-ID": {"description": "The id of this request.", "schema": _TEXT},
    "WWW-Authenticate": {"schema": {"const": "Bearer"}},
    "Allow": {"description": "The methods that the path has.", "schema": _TEXT},
}

_SERVER_ID: Json = {
    "name": "server_id",
    "in": "path",
    "required": True,
    "description": "The id or UUID of the server.",
    "schema": {"anyOf": [_ID, {"type": "string", "format": "uuid"}]},
    "example": 12345,
}

_LIST_QUERY: Sequence[Json] = (
    {
        "name": "status",
        "in": "query",
        "description": f"Only servers with this status; documented are {', '.join(LASTING)}. Empty means any.",
        "schema": {"type": "string", "enum": ["", *STATUSES]},
    },
    {
        "name": "location",
        "in": "query",
        "description": "Only servers in this datacenter; an unknown one gives an empty list. Empty means any.",
        "schema": _TEXT,
    },
    {
        "name": "page",
        "in": "query",
        "description": "From 1, or `last`. A page after the last one is 404.",
        "schema": {"anyOf": [_ID, {"const": "last"}]},
    },
    {
        "name": "page_size",
        "in": "query",
        "description": f"At most {LARGEST_PAGE_SIZE}; {PAGE_SIZE} if the value is not a number.",
        "schema": _TEXT,
    },
)

_LINKS = {name: _link(name) for name in ("get_server", "replace_server", "update_server", "delete_server")}
_COMMANDS = {"start": "Power on a stopped server", "stop": "Shut down gracefully", "reboot": "Reboot gracefully"}

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/servers/"): Operation(
        name="list_servers",
        summary="List all servers of the account",
        response="ServerList",
        example=examples.LIST,
        query=_LIST_QUERY,
        refusals=(400, 404),
    ),
    ("POST", "/servers/"): Operation(
        name="create_server",
        summary="Create a server",
        status=201,
        response="CreatedServer",
        example=examples.CREATED,
        body="Create",
        body_example=examples.CREATE,
        refusals=(400, 402, 403),
        links=_LINKS | {f"{name}_server": _link(f"{name}_server") for name in _COMMANDS},
    ),
    ("GET", SERVER_PATH): Operation(
        name="get_server",
        summary="Get the details of a server",
        response="Server",
        example=examples.DETAIL,
        refusals=(404,),
    ),
    ("PUT", SERVER_PATH): Operation(
        name="replace_server",
        summary="Replace the settings of a server",
        response="Server",
        example=examples.DETAIL,
        body="Settings",
        body_example=examples.SETTINGS,
        refusals=(400, 403, 404),
    ),
    ("PATCH", SERVER_PATH): Operation(
        name="update_server",
        summary="Update some settings of a server",
        response="Server",
        example=examples.DETAIL,
        body="Changes",
        body_example=examples.CHANGES,
        refusals=(400, 403, 404),
    ),
    ("DELETE", SERVER_PATH): Operation(
        name="delete_server",
        summary="Delete a server permanently",
        status=204,
        response=None,
        refusals=(403, 404),
    ),
    **{
        ("POST", f"{SERVER_PATH}{name}/"): Operation(
            name=f"{name}_server",
            summary=summary,
            response="Action",
            example=examples.action(name),
            refusals=(400, 403, 404),
        )
        for name, summary in _COMMANDS.items()
    },
}
"""The documented endpoints by method and path; the document describes all others only briefly."""
