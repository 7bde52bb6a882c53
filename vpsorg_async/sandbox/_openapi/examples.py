"""Hold the documented examples of requests and responses, and an example of each refusal."""

from __future__ import annotations

from typing import Any

from .._state.account import TRANSITIONS
from .._state.catalogue import holder


_STANDARD = {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80}
_UBUNTU = {"id": 5, "name": "Ubuntu 22.04 LTS"}

LIST: dict[str, Any] = {
    "count": 2,
    "results": [
        {
            "id": 12345,
            "name": "web-server-01",
            "hostname": "web01.example.com",
            "status": "active",
            "ip_address": "203.0.113.10",
            "location": "us-west",
            "plan": _STANDARD,
            "os": _UBUNTU,
            "created_at": "2025-01-10T14:30:00Z",
            "updated_at": "2025-01-15T10:20:00Z",
        },
        {
            "id": 12346,
            "name": "db-server-01",
            "hostname": "db01.example.com",
            "status": "active",
            "ip_address": "203.0.113.11",
            "location": "us-east",
            "plan": {"id": 2, "name": "Performance VPS", "vcpus": 4, "memory": 8192, "storage": 160},
            "os": {"id": 3, "name": "Debian 12"},
            "created_at": "2025-01-12T09:15:00Z",
            "updated_at": "2025-01-16T08:45:00Z",
        },
    ],
}

CREATE: dict[str, Any] = {
    "name": "web-server-02",
    "plan_id": 1,
    "os_id": 5,
    "location": "us-west",
    "hostname": "web02.example.com",
    "ssh_key_id": 3,
    "backups_enabled": True,
}

CREATED: dict[str, Any] = {
    "id": 12347,
    "name": "web-server-02",
    "hostname": "web02.example.com",
    "status": "provisioning",
    "ip_address": None,
    "location": "us-west",
    "plan": _STANDARD,
    "os": _UBUNTU,
    "backups_enabled": True,
    "created_at": "2025-01-16T15:30:00Z",
    "updated_at": "2025-01-16T15:30:00Z",
    "message": "Server is being provisioned. This may take 2-5 minutes.",
}

SETTINGS: dict[str, Any] = {"name": "web-server-01", "hostname": "web01.example.com", "backups_enabled": True}
CHANGES: dict[str, Any] = {"name": "web-server-01"}

DETAIL: dict[str, Any] = {
    "id": 12345,
    "name": "web-server-01",
    "hostname": "web01.example.com",
    "status": "active",
    "ip_address": "203.0.113.10",
    "ipv6_address": "2001:0db8::1",
    "location": "us-west",
    "plan": {**_STANDARD, "bandwidth": 2048},
    "os": _UBUNTU,
    "backups_enabled": True,
    "resource_usage": {"cpu_percent": 23.5, "memory_used": 2048, "disk_used": 35, "bandwidth_used": 450},
    "created_at": "2025-01-10T14:30:00Z",
    "updated_at": "2025-01-16T15:45:00Z",
}


def action(command: str) -> dict[str, Any]:
    """Return the response to *command*."""
    status = TRANSITIONS[command].transitional_status
    server = {"id": 12345, "name": "web-server-01", "status": status}
    return {"status": "success", "message": f"Server is {status}", "server": server}


WRONG = {"name": ["This field is required."], "plan_id": ['Invalid pk "99" - object does not exist.']}
NO_TOKEN = {"detail": "Authentication credentials were not provided."}
NO_CREDITS = {"detail": "Insufficient credits."}
READ_ONLY = {"detail": "You do not have permission to perform this action."}
NOT_FOUND = {"detail": "Not found."}
NOT_ALLOWED = {"detail": 'Method "PUT" not allowed.'}

ACCOUNT: dict[str, Any] = {"account": holder(0), "token": {"name": "sandbox", "permissions": ["servers:*"]}}


def page_of(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the list of all *items*, which fit one page."""
    return {"count": len(items), "results": items}
