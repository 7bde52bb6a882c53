"""Build the OpenAPI 3.1 document of the API from the tables that the sandbox itself uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._api.endpoints import ENDPOINTS
from . import examples
from .operations import OPERATIONS, Operation
from .schemas import ID, SCHEMAS, TEXT, Json, ref


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
            {"name": "servers", "description": "The endpoints of servers that VPS.org documents."},
            {"name": "catalogue", "description": "What servers are made from, and whose token it is; documented too."},
            {"name": "undocumented", "description": "Other endpoints that VPS.org's own programs use."},
        ],
        "paths": {path: _path_item(path, methods) for path, methods in ENDPOINTS.items()},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": {"server_id": _SERVER_ID, "plan_id": _PLAN_ID},
            "headers": _HEADERS,
            "schemas": SCHEMAS,
            "responses": {str(status): _refusal(status) for status in _REFUSALS},
        },
    }


def _path_item(path: str, methods: Mapping[str, object]) -> Json:
    parameters = [ref("parameters", name) for name in ("server_id", "plan_id") if f"{{{name}}}" in path]
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
        "tags": [known.tag],
        **({"parameters": list(known.query)} if known.query else {}),
        **({"requestBody": _request(known)} if known.body else {}),
        "responses": {
            str(known.status): _success(known),
            **{str(status): ref("responses", str(status)) for status in sorted([*known.refusals, 401])},
        },
    }


def _request(known: Operation) -> Json:
    schema = known.body or ""
    content = {"schema": ref("schemas", schema), "example": known.body_example}
    # An empty body is read as `{}`.
    return {"required": "required" in SCHEMAS[schema], "content": {"application/json": content}}


def _success(known: Operation) -> Json:
    response: Json = {"description": known.summary, "headers": _headers("Date", "X-Request-ID")}
    if known.response is not None:
        content = {"schema": ref("schemas", known.response), "example": known.example}
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
    return {name: ref("headers", name) for name in names}


_DETAIL = ref("schemas", "Detail")
_REFUSALS: dict[int, tuple[str, Json, Json, Sequence[str]]] = {
    400: (
        "The request is invalid, or the server's status does not allow it.",
        {"anyOf": [_DETAIL, ref("schemas", "WrongFields")]},
        examples.WRONG,
        (),
    ),
    401: ("The token is missing or wrong.", _DETAIL, examples.NO_TOKEN, ("WWW-Authenticate",)),
    402: ("No credits are left.", _DETAIL, examples.NO_CREDITS, ()),
    403: ("The token is read-only.", _DETAIL, examples.READ_ONLY, ()),
    404: ("The server, plan or page does not exist.", _DETAIL, examples.NOT_FOUND, ()),
    405: ("The path does not have this method.", _DETAIL, examples.NOT_ALLOWED, ("Allow",)),
}

_HEADERS: Json = {
    "Date": {"description": "The time of the sandbox.", "schema": TEXT},
    "X-Request-ID": {"description": "The id of this request.", "schema": TEXT},
    "WWW-Authenticate": {"schema": {"const": "Bearer"}},
    "Allow": {"description": "The methods that the path has.", "schema": TEXT},
}

_SERVER_ID: Json = {
    "name": "server_id",
    "in": "path",
    "required": True,
    "description": "The id or UUID of the server.",
    "schema": {"anyOf": [ID, {"type": "string", "format": "uuid"}]},
    "example": 12345,
}

_PLAN_ID: Json = {
    "name": "plan_id",
    "in": "path",
    "required": True,
    "description": "The id of the plan. By its UUID, the plan has the shape that VPS.org's own programs read.",
    "schema": ID,
    "example": 1,
}
