"""Calls aiohttp and decodes into structs of msgspec: one of the fastest ways in Python."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp
import msgspec

from benchmarks.peers import HEADERS, PATIENCE, Calls
from benchmarks.shapes import ID, PAGE


class Plan(msgspec.Struct, frozen=True):
    id: int
    name: str
    vcpus: int
    memory: int
    storage: int
    bandwidth: int | None = None


class OperatingSystem(msgspec.Struct, frozen=True):
    id: int
    name: str


class ResourceUsage(msgspec.Struct, frozen=True):
    cpu_percent: float
    memory_used: int
    disk_used: int
    bandwidth_used: int


class Server(msgspec.Struct, frozen=True):
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


class Page(msgspec.Struct, frozen=True):
    results: list[Server]
    next: str | None


_SERVER, _PAGE = msgspec.json.Decoder(Server), msgspec.json.Decoder(Page)


@asynccontextmanager
async def connect(base: str, connections: int) -> AsyncIterator[Calls]:
    servers = f"{base}/api/v1/servers/"
    connector, timeout = aiohttp.TCPConnector(limit=connections), aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector, timeout=timeout) as session:

        async def read(url: str) -> bytes:
            async with session.get(url) as response:
                return await response.read()

        async def get() -> Server:
            return _SERVER.decode(await read(f"{servers}{ID}/"))

        async def list_all() -> list[Server]:
            found: list[Server] = []
            url: str | None = f"{servers}?page_size={PAGE}"
            while url:
                page = _PAGE.decode(await read(url))
                found += page.results
                url = page.next
            return found

        yield Calls(get, list_all)
