"""Calls httpx 0.28 and structures with cattrs, as many typed clients do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import attrs
import cattrs.preconf.json

from benchmarks.peers import Calls
from benchmarks.peers.raw_httpx import connect as connect_raw


@attrs.frozen
class Plan:
    id: int
    name: str
    vcpus: int
    memory: int
    storage: int
    bandwidth: int | None = None


@attrs.frozen
class OperatingSystem:
    id: int
    name: str


@attrs.frozen
class ResourceUsage:
    cpu_percent: float
    memory_used: int
    disk_used: int
    bandwidth_used: int


@attrs.frozen
class Server:
    id: int
    name: str
    hostname: str | None
    status: str
    ip_address: str | None
    location: str
    plan: Plan
    os: OperatingSystem
    created_at: datetime
    updated_at: datetime
    ipv6_address: str | None = None
    backups_enabled: bool | None = None
    resource_usage: ResourceUsage | None = None


_CONVERTER = cattrs.preconf.json.make_converter(detailed_validation=False)


@asynccontextmanager
async def connect(base: str, connections: int) -> AsyncIterator[Calls]:
    async with connect_raw(base, connections) as raw:

        async def get() -> Server:
            return _CONVERTER.structure(await raw.get(), Server)

        async def list_all() -> list[Server]:
            return _CONVERTER.structure(await raw.list_all(), list[Server])

        yield Calls(get, list_all)
