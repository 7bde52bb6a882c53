"""The API as an OpenAPI 3.1 document, made from the tables by which the sandbox answers. Pure.

What the tables do not say is said here, of the nine documented endpoints; any other in `ENDPOINTS` gets a plain entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._api.endpoints import ENDPOINTS, LARGEST_PAGE_SIZE, PAGE_SIZE
from .._api.validation import _FQDN, _NAME, CREATE, SETTINGS, Field
from .._state.account import LASTING, STATUSES
from .._state.catalogue import LOCATIONS, PLANS, SYSTEMS
from . import examples


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


Json = dict[str, Any]

SERVER_PATH = "/servers/{server_id}/"


@attrs.frozen(kw_only=True)
class Operation:
    """What the document says of one endpoint.

    Attributes:
        name: its `operationId`.
        summary: one line.
        status: of its success.
        answer: the schema of that answer's body; `None`: it has none.
        example: of that answer.
        body: the schema of the request's body; `None`: it takes none.
        body_example: of the request's body.
        query: its parameters.
        refusals: the statuses that it may answer otherwise, save 401.
        links: what can be asked of the server that it answers.
    """

    name: str
    summary: str
    status: int = 200
    answer: str | None
    example: Any = None
    body: str | None = None
    body_example: Any = None
    query: Sequence[Json] = ()
    refusals: Sequence[int] = ()
    links: Mapping[str, Json] = attrs.field(factory=dict)


def document() -> Json:
    """Return the document, JSON-ready."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VPS.org servers API",
            "version": "1",
            "summary": "As the sandbox of vpsorg_async answers it.",
            "description": "A method that a path does not have is answered 405, with `Allow`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api/v1", "description": "The sandbox that serves this document."}],
        "security": [{"token": []}],
        "tags": [
            {"name": "servers", "description": "What VPS.org documents."},
            {"name": "undocumented", "description": "What else its own programs ask."},
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
    """Return the schema of a body of *fields*; *partial*: any of them."""
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
    # No body is read as `{}`.
    return {"required": "required" in SCHEMAS[schema], "content": {"application/json": content}}


def _success(known: Operation) -> Json:
    answer: Json = {"description": known.summary, "headers": _headers("Date", "X-Request-ID")}
    if known.answer is not None:
        content = {"schema": _ref("schemas", known.answer), "example": known.example}
        answer["content"] = {"application/json": content}
    if known.links:
        answer["links"] = dict(known.links)
    return answer


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

# The lookahead for the length is said by `maxLength`; `\Z` is Python's alone.
_HOSTNAME_PATTERN = "^" + _FQDN.pattern.removeprefix(r"(?=.{1,253}\Z)") + "$"

VALUES: dict[str, Json] = {
    "name": {"type": "string", "pattern": f"^{_NAME.pattern}$", "description": "Letters, digits and hyphens."},
    "plan_id": {"type": "integer", "enum": list(PLANS), "description": "The VPS plan."},
    "os_id": {"type": "integer", "enum": list(SYSTEMS), "description": "The operating system."},
    "location": {"type": "string", "enum": list(LOCATIONS), "description": "The datacenter's code."},
    "hostname": {"type": "string", "pattern": _HOSTNAME_PATTERN, "maxLength": 253, "description": "An FQDN."},
    "ssh_key_id": {"type": "integer", "minimum": 1, "description": "The SSH key to install."},
    "backups_enabled": {"type": "boolean", "description": "Whether backups are made by themselves."},
}
"""What a field of a body may be, by its name; a field that is not here may be anything."""

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
    400: ("What was asked for cannot be.", {"anyOf": [_DETAIL, _ref("schemas", "WrongFields")]}, examples.WRONG, ()),
    401: ("No token, or a wrong one.", _DETAIL, examples.NO_TOKEN, ("WWW-Authenticate",)),
    402: ("The credits are used up.", _DETAIL, examples.NO_CREDITS, ()),
    403: ("The token may only read.", _DETAIL, examples.READ_ONLY, ()),
    404: ("There is no such server, or no such page.", _DETAIL, examples.NOT_FOUND, ()),
    405: ("The path does not have this method.", _DETAIL, examples.NOT_ALLOWED, ("Allow",)),
}

_HEADERS: Json = {
    "Date": {"description": "The sandbox's time.", "schema": _TEXT},
    "X-Request-ID": {"description": "Of this answer alone.", "schema": _TEXT},
    "WWW-Authenticate": {"schema": {"const": "Bearer"}},
    "Allow": {"description": "The methods that the path has.", "schema": _TEXT},
}

_SERVER_ID: Json = {
    "name": "server_id",
    "in": "path",
    "required": True,
    "description": "The server's id. Its UUID serves as well.",
    "schema": {"anyOf": [_ID, {"type": "string", "format": "uuid"}]},
    "example": 12345,
}

_LIST_QUERY: Sequence[Json] = (
    {
        "name": "status",
        "in": "query",
        "description": f"Only servers of this status; documented are {', '.join(LASTING)}. Empty is any.",
        "schema": {"type": "string", "enum": ["", *STATUSES]},
    },
    {
        "name": "location",
        "in": "query",
        "description": "Only servers of this datacenter; of one that does not exist, none. Empty is any.",
        "schema": _TEXT,
    },
    {
        "name": "page",
        "in": "query",
        "description": "From 1, or `last`; past the last one is 404.",
        "schema": {"anyOf": [_ID, {"const": "last"}]},
    },
    {
        "name": "page_size",
        "in": "query",
        "description": f"At most {LARGEST_PAGE_SIZE}; {PAGE_SIZE} where this is no number.",
        "schema": _TEXT,
    },
)

_LINKS = {name: _link(name) for name in ("get_server", "replace_server", "update_server", "delete_server")}
_COMMANDS = {"start": "Power on a stopped server", "stop": "Shut down gracefully", "reboot": "Reboot gracefully"}

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/servers/"): Operation(
        name="list_servers",
        summary="List all servers of the account",
        answer="ServerList",
        example=examples.LIST,
        query=_LIST_QUERY,
        refusals=(400, 404),
    ),
    ("POST", "/servers/"): Operation(
        name="create_server",
        summary="Create a server",
        status=201,
        answer="CreatedServer",
        example=examples.CREATED,
        body="Create",
        body_example=examples.CREATE,
        refusals=(400, 402, 403),
        links=_LINKS | {f"{name}_server": _link(f"{name}_server") for name in _COMMANDS},
    ),
    ("GET", SERVER_PATH): Operation(
        name="get_server",
        summary="Get the details of a server",
        answer="Server",
        example=examples.DETAIL,
        refusals=(404,),
    ),
    ("PUT", SERVER_PATH): Operation(
        name="replace_server",
        summary="Replace the settings of a server",
        answer="Server",
        example=examples.DETAIL,
        body="Settings",
        body_example=examples.SETTINGS,
        refusals=(400, 403, 404),
    ),
    ("PATCH", SERVER_PATH): Operation(
        name="update_server",
        summary="Update the settings given",
        answer="Server",
        example=examples.DETAIL,
        body="Changes",
        body_example=examples.CHANGES,
        refusals=(400, 403, 404),
    ),
    ("DELETE", SERVER_PATH): Operation(
        name="delete_server",
        summary="Delete a server for good",
        status=204,
        answer=None,
        refusals=(403, 404),
    ),
    **{
        ("POST", f"{SERVER_PATH}{name}/"): Operation(
            name=f"{name}_server",
            summary=summary,
            answer="Action",
            example=examples.action(name),
            refusals=(400, 403, 404),
        )
        for name, summary in _COMMANDS.items()
    },
}
"""By method and path."""
