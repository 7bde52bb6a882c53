"""Define the plans, systems and locations of the sandbox, and the servers that exist at its start."""

from __future__ import annotations

import re
import uuid

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs


START = datetime(2025, 1, 16, 15, 30, tzinfo=UTC)
"""The UTC time at sandbox second 0: the time in the example of VPS.org API documentation, "Create server"."""

PLANS: dict[int, dict[str, Any]] = {
    1: {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80, "bandwidth": 2048},
    2: {"id": 2, "name": "Performance VPS", "vcpus": 4, "memory": 8192, "storage": 160, "bandwidth": 4096},
    3: {"id": 3, "name": "Business VPS", "vcpus": 8, "memory": 16384, "storage": 320, "bandwidth": 8192},
    4: {"id": 4, "name": "Enterprise VPS", "vcpus": 16, "memory": 32768, "storage": 640, "bandwidth": 16384},
    5: {"id": 5, "name": "Starter VPS", "vcpus": 1, "memory": 2048, "storage": 40, "bandwidth": 1024},
}
"""The plans by id, in the shape that a server's detail has.

The documentation gives the id 1 to "Standard VPS" in its examples of servers, and to "Starter VPS" in that of plans.
"""

SYSTEMS: dict[int, dict[str, Any]] = {
    1: {"id": 1, "name": "AlmaLinux 9"},
    2: {"id": 2, "name": "Rocky Linux 9"},
    3: {"id": 3, "name": "Debian 12"},
    4: {"id": 4, "name": "Debian 13"},
    5: {"id": 5, "name": "Ubuntu 22.04 LTS"},
    6: {"id": 6, "name": "Ubuntu 24.04 LTS"},
}

LOCATIONS: dict[str, dict[str, Any]] = {
    code: {"id": number, "code": code, "name": name, "country_name": country, "country_code": short, "is_active": True}
    for number, (code, name, country, short) in enumerate(
        [
            ("us-west", "US West", "United States", "US"),
            ("us-east", "US East", "United States", "US"),
            ("us-central", "US Central", "United States", "US"),
            ("eu-west", "EU West", "Netherlands", "NL"),
            ("eu-central", "EU Central", "Germany", "DE"),
            ("ap-south", "Asia South", "India", "IN"),
        ],
        start=1,
    )
}
"""The locations by code, as documented. The vendor's own programs use the integer `id`."""

MONTHLY_PRICES = {1: 20.0, 2: 40.0, 3: 80.0, 4: 160.0, 5: 5.0}  # that of "Starter VPS" is documented; others assumed
HOURS_OF_A_MONTH = 730
STARTER = 5
STARTER_LOCATIONS = ("us-west", "us-east", "eu-central")  # as documented; all other plans are everywhere (assumed)


def uuid_for(kind: str, key: int | str) -> str:
    """Return the UUID that the vendor's own programs use in place of the documented *key*."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://sandbox.invalid/{kind}/{key}"))


def plan_documented(plan_id: int) -> dict[str, Any]:
    """Return the plan in the shape of VPS.org API documentation, "Plans"."""
    plan = PLANS[plan_id]
    monthly = MONTHLY_PRICES[plan_id]
    return {
        **plan,
        "slug": plan["name"].partition(" ")[0].lower(),
        "price_monthly": monthly,
        "price_hourly": round(monthly / HOURS_OF_A_MONTH, 3),
        "available": True,
        "locations": list(STARTER_LOCATIONS if plan_id == STARTER else LOCATIONS),
        "description": f"{plan['vcpus']} vCPU, {plan['memory'] // 1024} GB of memory, {plan['storage']} GB of disk",
    }


def plan_in_dialect(plan_id: int) -> dict[str, Any]:
    """Return the plan in the shape that the vendor's own programs read."""
    plan = PLANS[plan_id]
    gigabytes = plan["memory"] // 1024
    monthly = MONTHLY_PRICES[plan_id]
    return {
        "uuid": uuid_for("plans", plan_id),
        "name": plan["name"],
        "ram": gigabytes,
        "ram_unit": "GB",
        "cpu": plan["vcpus"],
        "cpu_type_name": "shared",
        "disk_space": plan["storage"],
        "transfer": plan["bandwidth"],
        "monthly_price": f"{monthly:.2f}",
        "hourly_price": f"{monthly / HOURS_OF_A_MONTH:.4f}",
    }


def system_in_dialect(os_id: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the system and its version, each in the shape that the vendor's own programs read."""
    version = SYSTEMS[os_id]["name"]
    family = re.split(r" \d", version)[0]
    return (
        {"uuid": uuid_for("operating-systems", family), "name": family},
        {"uuid": uuid_for("os-versions", os_id), "name": version},
    )


def _systems_with_versions() -> list[dict[str, Any]]:
    families: dict[str, dict[str, Any]] = {}
    for os_id in SYSTEMS:
        system, version = system_in_dialect(os_id)
        families.setdefault(system["uuid"], {**system, "versions": []})["versions"].append({"id": os_id, **version})
    return list(families.values())


DOCUMENTED_PLANS: dict[int, dict[str, Any]] = {plan_id: plan_documented(plan_id) for plan_id in PLANS}
PLANS_BY_UUID: dict[str, dict[str, Any]] = {
    uuid_for("plans", plan_id): {**PLANS[plan_id], **plan_in_dialect(plan_id)} for plan_id in PLANS
}
"""The plans as the vendor's own programs read them, with the documented fields that do not contradict these."""

UNDOCUMENTED: dict[str, list[dict[str, Any]]] = {
    "operating-systems": _systems_with_versions(),
    "locations": list(LOCATIONS.values()),
}
"""What a create accepts besides a plan, each with its documented key and the key of the vendor's own programs.

These lists are not documented. Their paths and fields are those that `vps-mcp` 0.1.0 reads.
"""


def holder(number: int) -> dict[str, Any]:
    """Return who holds the account with that *number*, from 0, in the documented shape."""
    return {
        "email": f"account-{number + 1}@example.com",
        "first_name": "Sandbox",
        "last_name": f"Account {number + 1}",
        "company_name": "Example Inc.",
        "created_at": "2024-06-15",
    }


@attrs.frozen(kw_only=True)
class ExistingServer:
    """A server that exists before the first request; times are in seconds from `START`."""

    name: str
    hostname: str
    plan_id: int
    os_id: int
    location: str
    created_at: float
    updated_at: float


def utc_time(seconds: float) -> datetime:
    """Return the UTC time at sandbox second *seconds*."""
    return START + timedelta(seconds=seconds)


def _before_start(*parts: int) -> float:
    return (datetime(*parts, tzinfo=UTC) - START).total_seconds()  # type: ignore[misc,arg-type]


_DOCUMENTED = (
    ExistingServer(
        name="web-server-01",
        hostname="web01.example.com",
        plan_id=1,
        os_id=5,
        location="us-west",
        created_at=_before_start(2025, 1, 10, 14, 30),
        updated_at=_before_start(2025, 1, 15, 10, 20),
    ),
    ExistingServer(
        name="db-server-01",
        hostname="db01.example.com",
        plan_id=2,
        os_id=3,
        location="us-east",
        created_at=_before_start(2025, 1, 12, 9, 15),
        updated_at=_before_start(2025, 1, 16, 8, 45),
    ),
)


def initial_server(number: int) -> ExistingServer:
    """Return the initial server with that *number*; 0 and 1 are the examples of "List servers"."""
    if number < len(_DOCUMENTED):
        return _DOCUMENTED[number]
    nth = number - len(_DOCUMENTED) + 1
    made_at = nth - 10.0**6
    return ExistingServer(
        name=f"app-server-{nth:02d}",
        hostname=f"app{nth:02d}.example.com",
        plan_id=1 + number % (STARTER - 1),
        os_id=list(SYSTEMS)[number % len(SYSTEMS)],
        location=list(LOCATIONS)[number % len(LOCATIONS)],
        created_at=made_at,
        updated_at=made_at,
    )
