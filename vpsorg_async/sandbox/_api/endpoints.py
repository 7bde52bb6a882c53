"""Implement the documented endpoints, and those of the vendor's own programs, as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from .._state.account import STATUSES, TRANSITIONS, Server
from .._state.catalogue import DOCUMENTED_PLANS, PLANS_BY_UUID, UNDOCUMENTED, holder
from .._state.refusals import not_found, wrong_fields
from . import validation
from .dialect import dialect_of, wants_documented_plans
from .messages import ApiRequest, ApiResponse


PAGE_SIZE = 20
LARGEST_PAGE_SIZE = 100


Endpoint = Callable[[ApiRequest], ApiResponse]


def list_servers(request: ApiRequest) -> ApiResponse:
    """Return one page of the servers that match the filters."""
    status, location = request.query.get("status"), request.query.get("location")
    if status and status not in STATUSES:
        wrong = f"Select a valid choice. {status} is not one of the available choices."
        raise wrong_fields({"status": [wrong]})
    listed = dialect_of(request).listed
    if not status and not location:
        # Reads only the servers of the page: a list of ten thousand servers takes a hundred requests.
        account, now = request.account, request.now
        return _page(request, len(account), lambda start, stop: map(listed, account.servers_between(start, stop, now)))
    servers = [
        server
        for server in request.account.servers(request.now)
        if (not status or server.status == status) and (not location or server.location == location)
    ]
    return _page(request, len(servers), lambda start, stop: map(listed, servers[start:stop]))


def create(request: ApiRequest) -> ApiResponse:
    """Create a server."""
    data = validation.parse(request.body)
    server = request.account.create(validation.new_server(data), request.now, request.ends_in or "active")
    return ApiResponse(201, dialect_of(request, data).created(server))


def show(request: ApiRequest) -> ApiResponse:
    """Return the details of one server."""
    return ApiResponse(200, dialect_of(request).detailed(request.server, request.now))


def replace(request: ApiRequest) -> ApiResponse:
    """Replace all settings."""
    return _change(request, partial=False)


def update(request: ApiRequest) -> ApiResponse:
    """Change the settings that the body contains."""
    return _change(request, partial=True)


def delete(request: ApiRequest) -> ApiResponse:
    """Delete a server permanently."""
    request.account.delete(request.server, request.now)
    return ApiResponse(204)


def command(name: str) -> Endpoint:
    """Return the endpoint of the command *name*."""

    def endpoint(request: ApiRequest) -> ApiResponse:
        return _execute_command(request, request.server, name)

    return endpoint


def power(request: ApiRequest) -> ApiResponse:
    """Execute the command that the body names. The vendor's own newer clients use this endpoint."""
    server = request.server
    return _execute_command(request, server, validation.power_command(validation.parse(request.body)))


def resize(request: ApiRequest) -> ApiResponse:
    """Change the plan of a server. The vendor's `vps-mcp` uses this endpoint."""
    server = request.server
    server = request.account.resize(server, validation.new_plan(validation.parse(request.body)), request.now)
    return ApiResponse(200, {**dialect_of(request).accepted(server), "message": "Server is resized"})


def copy(what: str) -> Endpoint:
    """Return the endpoint that accepts a backup or snapshot; no known endpoint lists them."""

    def endpoint(request: ApiRequest) -> ApiResponse:
        return ApiResponse(200, {**dialect_of(request).accepted(request.server), "message": f"{what} is being made"})

    return endpoint


def list_plans(request: ApiRequest) -> ApiResponse:
    """Return one page of the plans that there are, or that the location in the query has."""
    location = request.query.get("location")
    plans = [
        (DOCUMENTED_PLANS[plan_id] if wants_documented_plans(request) else by_uuid)
        for plan_id, by_uuid in zip(DOCUMENTED_PLANS, PLANS_BY_UUID.values(), strict=True)
        if not location or location in DOCUMENTED_PLANS[plan_id]["locations"]
    ]
    return _page(request, len(plans), lambda start, stop: plans[start:stop])


def show_plan(request: ApiRequest) -> ApiResponse:
    """Return one plan: the documented shape by its id, the other one by its UUID."""
    key = request.plan_id
    plan = DOCUMENTED_PLANS.get(_whole_number(key)) or PLANS_BY_UUID.get(key.lower())
    if plan is None:
        raise not_found()
    return ApiResponse(200, plan)


def show_account(request: ApiRequest) -> ApiResponse:
    """Return whose token this is, and what the token allows."""
    access = request.access
    token = {"name": "sandbox", "permissions": access.permissions}
    return ApiResponse(200, {"account": holder(access.number), "token": token})


def catalogue(items: Sequence[dict[str, Any]]) -> Endpoint:
    """Return the endpoint that returns one page of *items*."""

    def endpoint(request: ApiRequest) -> ApiResponse:
        return _page(request, len(items), lambda start, stop: items[start:stop])

    return endpoint


ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "/servers/": {"GET": list_servers, "POST": create},
    "/servers/{server_id}/": {"GET": show, "PUT": replace, "PATCH": update, "DELETE": delete},
    **{f"/servers/{{server_id}}/{name}/": {"POST": command(name)} for name in TRANSITIONS if name != "create"},
    "/servers/{server_id}/power/": {"POST": power},
    "/servers/{server_id}/resize/": {"POST": resize},
    "/servers/{server_id}/backup/": {"POST": copy("Backup")},
    "/servers/{server_id}/snapshot/": {"POST": copy("Snapshot")},
    "/plans/": {"GET": list_plans},
    "/plans/{plan_id}/": {"GET": show_plan},
    "/account/me/": {"GET": show_account},
    **{f"/{name}/": {"GET": catalogue(items)} for name, items in UNDOCUMENTED.items()},
}
"""Every path below the base path, with the endpoint of each method."""


def link_to(request: ApiRequest, page: int) -> str:
    """Return the URL of *page* of the list that was requested."""
    query = {name: value for name, value in request.query.items() if name != "page"}
    return f"{request.url}?{urlencode(query | ({'page': str(page)} if page > 1 else {}))}".removesuffix("?")


def _execute_command(request: ApiRequest, server: Server, name: str) -> ApiResponse:
    changed = request.account.command(server, name, request.now, request.ends_in)
    return ApiResponse(200, dialect_of(request).accepted(changed))


def _change(request: ApiRequest, *, partial: bool) -> ApiResponse:
    server = request.server
    changes = validation.read(validation.SETTINGS, validation.parse(request.body), partial=partial)
    changed = request.account.change(server, changes, request.now)
    return ApiResponse(200, dialect_of(request).detailed(changed, request.now))


def _page(request: ApiRequest, count: int, items: Callable[[int, int], Iterable[dict[str, Any]]]) -> ApiResponse:
    size = min(_whole_number(request.query.get("page_size")) or PAGE_SIZE, LARGEST_PAGE_SIZE)
    last = max(1, -(-count // size))
    wanted = request.query.get("page", "1")
    page = last if wanted == "last" else _whole_number(wanted)
    if not 1 <= page <= last:
        raise not_found("Invalid page.")
    # The documentation has no pages: a response to a request without them, which fits one page, has no links.
    paged = last > 1 or bool(request.query.keys() & {"page", "page_size"})
    links = _links(request, page, last) if paged else {}
    return ApiResponse(200, {"count": count, **links, "results": list(items((page - 1) * size, page * size))})


def _links(request: ApiRequest, page: int, last: int) -> dict[str, str | None]:
    return {
        "next": link_to(request, page + 1) if page < last else None,
        "previous": link_to(request, page - 1) if page > 1 else None,
    }


def _whole_number(text: str | None) -> int:
    """Return the number that *text* contains, or 0."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004
