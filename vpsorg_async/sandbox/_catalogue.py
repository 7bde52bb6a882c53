"""What the sandbox sells, and the servers that it begins with: the documentation's own examples first. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs


START = datetime(2025, 1, 16, 15, 30, tzinfo=UTC)
"""The wall clock at the sandbox's second 0: the moment of the documentation's example of a create."""

PLANS: dict[int, dict[str, Any]] = {
    1: {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80, "bandwidth": 2048},
    2: {"id": 2, "name": "Performance VPS", "vcpus": 4, "memory": 8192, "storage": 160, "bandwidth": 4096},
    3: {"id": 3, "name": "Business VPS", "vcpus": 8, "memory": 16384, "storage": 320, "bandwidth": 8192},
    4: {"id": 4, "name": "Enterprise VPS", "vcpus": 16, "memory": 32768, "storage": 640, "bandwidth": 16384},
}

SYSTEMS: dict[int, dict[str, Any]] = {
    1: {"id": 1, "name": "AlmaLinux 9"},
    2: {"id": 2, "name": "Rocky Linux 9"},
    3: {"id": 3, "name": "Debian 12"},
    4: {"id": 4, "name": "Debian 13"},
    5: {"id": 5, "name": "Ubuntu 22.04 LTS"},
    6: {"id": 6, "name": "Ubuntu 24.04 LTS"},
}

LOCATIONS = ("us-west", "us-east", "us-central", "eu-west", "eu-central", "ap-south")


@attrs.frozen(kw_only=True)
class Found:
    """A server that is there before the first request; its times are seconds before or after `START`."""

    name: str
    hostname: str
    plan_id: int
    os_id: int
    location: str
    created_at: float
    updated_at: float


def moment(seconds: float) -> datetime:
    """Return the wall clock at *seconds* of the sandbox."""
    return START + timedelta(seconds=seconds)


def _before_start(*parts: int) -> float:
    return (datetime(*parts, tzinfo=UTC) - START).total_seconds()  # type: ignore[misc,arg-type]


_DOCUMENTED = (
    Found(
        name="web-server-01",
        hostname="web01.example.com",
        plan_id=1,
        os_id=5,
        location="us-west",
        created_at=_before_start(2025, 1, 10, 14, 30),
        updated_at=_before_start(2025, 1, 15, 10, 20),
    ),
    Found(
        name="db-server-01",
        hostname="db01.example.com",
        plan_id=2,
        os_id=3,
        location="us-east",
        created_at=_before_start(2025, 1, 12, 9, 15),
        updated_at=_before_start(2025, 1, 16, 8, 45),
    ),
)


def found(number: int) -> Found:
    """Return the server of that *number*, from 0, that a sandbox begins with."""
    if number < len(_DOCUMENTED):
        return _DOCUMENTED[number]
    nth = number - len(_DOCUMENTED) + 1
    made_at = nth - 10.0**6
    return Found(
        name=f"app-server-{nth:02d}",
        hostname=f"app{nth:02d}.example.com",
        plan_id=list(PLANS)[number % len(PLANS)],
        os_id=list(SYSTEMS)[number % len(SYSTEMS)],
        location=LOCATIONS[number % len(LOCATIONS)],
        created_at=made_at,
        updated_at=made_at,
    )
