"""Calls httpx 0.28 and returns `response.json()`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from benchmarks.peers import HEADERS, PATIENCE, Calls
from benchmarks.shapes import ID, PAGE


@asynccontextmanager
async def connect(base: str, connections: int, library: Any = httpx) -> AsyncIterator[Calls]:
    limits = library.Limits(max_connections=connections)
    servers = f"{base}/api/v1/servers/"
    async with library.AsyncClient(headers=HEADERS, limits=limits, timeout=PATIENCE) as client:

        async def get() -> Any:
            return (await client.get(f"{servers}{ID}/")).json()

        async def list_all() -> list[Any]:
            found, url = [], f"{servers}?page_size={PAGE}"
            while url:
                page = (await client.get(url)).json()
                found += page["results"]
                url = page["next"]
            return found

        yield Calls(get, list_all)
