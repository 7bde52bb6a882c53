"""Convert servers to the documented JSON of list, create, detail and action."""

from __future__ import annotations

import zlib

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from .._state.catalogue import PLANS, SYSTEMS, utc_time


if TYPE_CHECKING:
    from .._state.account import Server


_FEW_ADDRESSES = IPv4Address("203.0.113.10")  # TEST-NET-3 (RFC 5737), as in the documented examples
_MANY_ADDRESSES = IPv4Address("198.18.0.0")  # reserved for benchmarks (RFC 2544); enough for 131,072 servers
_FEW = 245


def timestamp(seconds: float) -> str:
    """Return the sandbox time *seconds* in the format of the API: ISO 8601, whole seconds, `Z`."""
    return utc_time(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def listed(server: Server) -> dict[str, Any]:
    """Return *server* as an item of a list ("List servers")."""
    plan = PLANS[server.plan_id]
    return {
        "id": server.id,
        "name": server.name,
        "hostname": server.hostname,
        "status": server.status,
        "ip_address": ip_address(server),
        "location": server.location,
        "plan": {key: plan[key] for key in plan if key != "bandwidth"},
        "os": dict(SYSTEMS[server.os_id]),
        "created_at": timestamp(server.created_at),
        "updated_at": timestamp(server.updated_at),
    }


def created(server: Server) -> dict[str, Any]:
    """Return *server* as the response to its create ("Create server")."""
    return {
        **listed(server),
        "backups_enabled": server.backups_enabled,
        "message": "Server is being provisioned. This may take 2-5 minutes.",
    }


def detailed(server: Server, now: float) -> dict[str, Any]:
    """Return *server* with all its details at the time *now* ("Get server details")."""
    return {
        **listed(server),
        "ipv6_address": ipv6_address(server),
        "plan": dict(PLANS[server.plan_id]),
        "backups_enabled": server.backups_enabled,
        "resource_usage": _resource_usage(server, now),
    }


def accepted(server: Server) -> dict[str, Any]:
    """Return the response to the command that *server* has just received."""
    return {
        "status": "success",
        "message": f"Server is {server.status}",
        "server": {"id": server.id, "name": server.name, "status": server.status},
    }


def ip_address(server: Server) -> str | None:
    """Return the IPv4 address of *server*; `None` while it is provisioned."""
    if server.status == "provisioning":
        return None
    return str((_FEW_ADDRESSES if server.number < _FEW else _MANY_ADDRESSES) + server.number)


def ipv6_address(server: Server) -> str | None:
    """Return the IPv6 address of *server*; `None` while it is provisioned."""
    return None if server.status == "provisioning" else f"2001:0db8::{server.number + 1:x}"


def _resource_usage(server: Server, now: float) -> dict[str, Any]:
    """Return figures that change with time; the same time gives the same figures."""
    plan = PLANS[server.plan_id]
    running = server.status == "active"
    chance = zlib.crc32(f"{server.id}/{int(now)}".encode()) / 2**32
    return {
        "cpu_percent": round(5 + 60 * chance, 1) if running else 0.0,
        "memory_used": int(plan["memory"] * (0.3 + 0.4 * chance)) if running else 0,
        "disk_used": 0 if server.status == "provisioning" else int(plan["storage"] * 0.4),
        "bandwidth_used": int((now - server.created_at) / 3600) % plan["bandwidth"],
    }
