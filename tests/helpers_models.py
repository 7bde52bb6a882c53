"""JSON as the API gives it, as it never should, and as hypothesis makes it up: shared by the tests of models."""

from __future__ import annotations

import json

from datetime import datetime
from typing import Any

import attrs

from hypothesis import strategies as st

from tests.helpers import ROOT
from vpsorg_async._models import ServerStatus


CONTRACT = ROOT / "tests" / "contract"

FIELDS = [
    *("id", "name", "status", "hostname", "ip_address", "ipv6_address", "location", "plan", "os"),
    *("backups_enabled", "resource_usage", "created_at", "updated_at", "message"),
]
DIALECT = [
    *("uuid", "location_name", "plan_name", "os_name", "operating_system_version", "operating_system"),
    *("ipv4_addresses", "ipv6_addresses", "password", "deployed", "_servers", "_nulls", "extra"),
]
NESTED = [
    *("code", "slug", "vcpus", "memory", "storage", "bandwidth", "ram", "ip", "address"),
    *("cpu_percent", "memory_used", "disk_used", "bandwidth_used"),
]
KEYS = st.sampled_from(FIELDS + DIALECT + NESTED) | st.text(max_size=3)
TEXTS = st.text(max_size=5) | st.sampled_from([*ServerStatus, "2025-01-10T14:30:00Z", "2025-01-10T14:30:00+05:30"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS.map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
ODD: list[Any] = [[], [1], {"a": [None]}, 1.5, "odd", True, 10**30]
TYPES = {
    "backups_enabled": bool,
    "plan": dict,
    "os": dict,
    "resource_usage": dict,
    "created_at": None,
    "updated_at": None,
}
MISFITS = [(field, odd) for field in FIELDS[3:] for odd in ODD if type(odd) is not TYPES.get(field, str)]
IDS = st.integers() | st.text(min_size=1, max_size=5)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=12)
WITH_ID = st.builds(
    lambda data, key, value: {**data, **({"uuid": value, "id": None} if key == "uuid" else {key: value})},
    OBJECTS,
    st.sampled_from(["id", "uuid"]),
    IDS,
)


def contract(name: str) -> Any:
    """Return one of the responses that the API documents."""
    return json.loads((CONTRACT / f"{name}.json").read_text())


def exact(data: Any) -> str:
    """Return JSON text, which tells 1 from 1.0 and from true."""
    return json.dumps(data, sort_keys=True)


LISTED = contract("list")["results"][0]
NEARLY_LISTED = st.builds(
    lambda changed, plan, system, gone: {
        name: value
        for name, value in {
            **LISTED,
            "plan": {**LISTED["plan"], **plan},
            "os": {**LISTED["os"], **system},
            **changed,
        }.items()
        if name not in gone
    },
    st.dictionaries(KEYS, JSON, max_size=2),
    st.dictionaries(KEYS, JSON, max_size=1),
    st.dictionaries(KEYS, JSON, max_size=1),
    st.lists(st.sampled_from([*LISTED]), max_size=1),
)


def is_data(field: attrs.Attribute[Any], value: Any) -> bool:
    return not field.name.startswith("_") and not isinstance(value, datetime)
