"""The dialect of the vendor's own programs: what in a request asks for it, and servers as they read them. Pure.

It is what `vps-mcp` 0.1.0 and `vpsdotorg` 0.1.0 (the command `vps`) send and read beyond the documentation. A server is
known by its `uuid` in place of an `id`; a list gives names in place of nested objects; a detail nests other objects.
What they do not contradict stays as documented.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._state.catalogue import LOCATIONS, PLANS, SYSTEMS, key_of, plan_by_uuid, system_by_uuid
from . import serializers as _shapes
from . import validation as _bodies


if TYPE_CHECKING:
    from collections.abc import Callable

    from .._state.account import Server
    from .endpoints import Asked


HEADERS = frozenset({"accept", "user-agent"})
"""The headers of a request that `spoken` looks at."""


@attrs.frozen(kw_only=True)
class Dialect:
    """How answers show a server: in a list, after its create, in detail at a moment, and after a command."""

    listed: Callable[[Server], dict[str, Any]]
    created: Callable[[Server], dict[str, Any]]
    detailed: Callable[[Server, float], dict[str, Any]]
    accepted: Callable[[Server], dict[str, Any]]


def spoken(asked: Asked, created: Any = None) -> Dialect:
    """Return how to answer; *created* is what the body of a create says.

    As documented, unless one of these shows whose program is asking:

    1. A server named by its UUID, or created by UUIDs: the documentation knows integers. So does everything else of
       whoever calls himself `vps-mcp`, which is for other programs that want the dialect throughout.
    2. A list asked for as `vps-mcp` does, which gives itself no name: httpx's, `Accept: application/json`, and
       `page_size`, of which the documentation knows nothing.
    3. The User-Agent of requests. `vps` lists exactly as documented, so that nothing else tells; as any program may do
       the same, it gets what is documented, and the `uuid` that `vps link` needs.
    """
    agent, accept = asked.headers.get("user-agent", ""), asked.headers.get("accept", "")
    by_uuid = bool(asked.server_id) and not asked.server_id.isdecimal()
    if by_uuid or _bodies.is_by_uuid(created) or agent.startswith("vps-mcp/"):
        return BY_UUID
    if agent.startswith("python-httpx/") and accept == "application/json" and "page_size" in asked.query:
        return BY_UUID
    if agent.startswith("python-requests/"):
        return DOCUMENTED_WITH_UUID
    return DOCUMENTED


def _listed(server: Server) -> dict[str, Any]:
    return {
        **_common(server, _shapes.listed(server)),
        "location_name": LOCATIONS[server.location]["name"],
        "plan_name": PLANS[server.plan_id]["name"],
        "os_name": SYSTEMS[server.os_id]["name"],
    }


def _created(server: Server) -> dict[str, Any]:
    password = key_of("passwords", server.id).replace("-", "")[:16]  # shown this once, and opens nothing
    return {**_nested(server, _shapes.created(server)), "password": password}


def _detailed(server: Server, now: float) -> dict[str, Any]:
    return _nested(server, _shapes.detailed(server, now))


def _accepted(server: Server) -> dict[str, Any]:
    answer = _shapes.accepted(server)
    return {**answer, "server": {"uuid": server.uuid, "name": server.name, "status": server.status}}


def _nested(server: Server, documented: dict[str, Any]) -> dict[str, Any]:
    system, version = system_by_uuid(server.os_id)
    place = {name: value for name, value in LOCATIONS[server.location].items() if name not in ("code", "is_active")}
    return {
        **_common(server, documented),
        "username": "root",
        "location": place,
        "plan": plan_by_uuid(server.plan_id),
        "operating_system": system,
        "operating_system_version": version,
    }


def _common(server: Server, documented: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in documented.items() if name not in _REPLACED}
    ipv4, ipv6 = _shapes.ip_address(server), _shapes.ipv6_address(server)
    return {
        "uuid": server.uuid,
        **kept,
        "hostname": server.hostname or server.name,
        "deployed": server.status != "provisioning",
        "ipv4_addresses": [ipv4] if ipv4 else [],
        "ipv6_addresses": [ipv6] if ipv6 else [],
    }


_REPLACED = ("id", "location", "plan", "os", "ipv6_address")

DOCUMENTED = Dialect(
    listed=_shapes.listed, created=_shapes.created, detailed=_shapes.detailed, accepted=_shapes.accepted
)
DOCUMENTED_WITH_UUID = attrs.evolve(DOCUMENTED, listed=lambda server: {**_shapes.listed(server), "uuid": server.uuid})
BY_UUID = Dialect(listed=_listed, created=_created, detailed=_detailed, accepted=_accepted)
