"""Detect the dialect of the vendor's own programs in a request, and build responses in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._state.catalogue import LOCATIONS, PLANS, SYSTEMS, plan_in_dialect, system_in_dialect, uuid_for
from . import serializers, validation


if TYPE_CHECKING:
    from collections.abc import Callable

    from .._state.account import Server
    from .messages import ApiRequest


HEADERS = frozenset({"accept", "content-type", "user-agent"})
"""The request headers that tell which program has sent a request."""


@attrs.frozen(kw_only=True)
class Dialect:
    """The shapes of a server in a list, after its create, in detail and after a command.

    `vps-mcp` 0.1.0 and `vpsdotorg` 0.1.0 (the command `vps`) send and read more than VPS.org API documentation says:
    a server has a `uuid` instead of an `id`; a list contains names instead of nested objects; a detail nests other
    objects. Everything else is as documented.
    """

    listed: Callable[[Server], dict[str, Any]]
    created: Callable[[Server], dict[str, Any]]
    detailed: Callable[[Server, float], dict[str, Any]]
    accepted: Callable[[Server], dict[str, Any]]


def dialect_of(request: ApiRequest, created: Any = None) -> Dialect:
    """Return the dialect of *request*; *created* is the parsed body of a create.

    The dialect is the documented one, unless the request shows which program sent it:

    1. It names a server by UUID, or creates one by UUIDs; the documentation has integers. The same holds for every
       request of a client that calls itself `vps-mcp`, so that other programs can ask for the dialect.
    2. It asks for a list as `vps-mcp` does, which sends no name of its own: httpx's User-Agent, `Accept:
       application/json`, and the undocumented `page_size`.
    3. It has the User-Agent of requests. `vps` lists servers exactly as documented, so nothing else shows it. As any
       program may do the same, it gets the documented response with the `uuid` that `vps link` needs.
    """
    agent, accept = request.headers.get("user-agent", ""), request.headers.get("accept", "")
    by_uuid = bool(request.server_id) and not request.server_id.isdecimal()
    if by_uuid or validation.is_by_uuid(created) or agent.startswith("vps-mcp/"):
        return BY_UUID
    if agent.startswith("python-httpx/") and accept == "application/json" and "page_size" in request.query:
        return BY_UUID
    if agent.startswith("python-requests/"):
        return DOCUMENTED_WITH_UUID
    return DOCUMENTED


def wants_documented_plans(request: ApiRequest) -> bool:
    """Return whether a request for plans is not one of `vps-mcp`, nor of another program that asks for its dialect.

    `vps-mcp` asks for plans without `page_size`; but it sends a `Content-Type`, although a GET has no content.
    """
    headers = request.headers
    by_vps_mcp = (
        headers.get("user-agent", "").startswith("python-httpx/")
        and headers.get("accept") == headers.get("content-type") == "application/json"
    )
    return not by_vps_mcp and dialect_of(request) is not BY_UUID


def _listed(server: Server) -> dict[str, Any]:
    return {
        **_common(server, serializers.listed(server)),
        "location_name": LOCATIONS[server.location]["name"],
        "plan_name": PLANS[server.plan_id]["name"],
        "os_name": SYSTEMS[server.os_id]["name"],
    }


def _created(server: Server) -> dict[str, Any]:
    password = uuid_for("passwords", server.id).replace("-", "")[:16]  # shown only here, and gives access to nothing
    return {**_nested(server, serializers.created(server)), "password": password}


def _detailed(server: Server, now: float) -> dict[str, Any]:
    return _nested(server, serializers.detailed(server, now))


def _accepted(server: Server) -> dict[str, Any]:
    documented = serializers.accepted(server)
    return {**documented, "server": {"uuid": server.uuid, "name": server.name, "status": server.status}}


def _nested(server: Server, documented: dict[str, Any]) -> dict[str, Any]:
    system, version = system_in_dialect(server.os_id)
    place = {name: value for name, value in LOCATIONS[server.location].items() if name not in ("code", "is_active")}
    return {
        **_common(server, documented),
        "username": "root",
        "location": place,
        "plan": plan_in_dialect(server.plan_id),
        "operating_system": system,
        "operating_system_version": version,
    }


def _common(server: Server, documented: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in documented.items() if name not in _REPLACED}
    ipv4, ipv6 = serializers.ip_address(server), serializers.ipv6_address(server)
    return {
        "uuid": server.uuid,
        **kept,
        "hostname": server.hostname or server.name,
        "deployed": server.status != "provisioning",
        "ipv4_addresses": [ipv4] if ipv4 else [],
        "ipv6_addresses": [ipv6] if ipv6 else [],
    }


def _listed_with_uuid(server: Server) -> dict[str, Any]:
    return {**serializers.listed(server), "uuid": server.uuid}


_REPLACED = ("id", "location", "plan", "os", "ipv6_address")

DOCUMENTED = Dialect(
    listed=serializers.listed,
    created=serializers.created,
    detailed=serializers.detailed,
    accepted=serializers.accepted,
)
DOCUMENTED_WITH_UUID = attrs.evolve(DOCUMENTED, listed=_listed_with_uuid)
BY_UUID = Dialect(listed=_listed, created=_created, detailed=_detailed, accepted=_accepted)
