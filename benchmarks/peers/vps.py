"""Calls this library with its defaults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.peers import TOKEN, Calls
from benchmarks.shapes import ID
from vpsorg_async import Client


@asynccontextmanager
async def connect(base: str, connections: int) -> AsyncIterator[Calls]:
    async with Client(TOKEN, base_url=f"{base}/api/v1", max_connections=connections) as client:
        yield Calls(lambda: client.servers.get(ID), client.servers.list().all)
