"""Calls the async session of niquests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import niquests

from benchmarks.peers import HEADERS, Calls
from benchmarks.shapes import ID, PAGE


@asynccontextmanager
async def connect(base: str, connections: int) -> AsyncIterator[Calls]:
    servers = f"{base}/api/v1/servers/"
    async with niquests.AsyncSession(pool_maxsize=connections, headers=HEADERS) as session:

        async def get() -> Any:
            return (await session.get(f"{servers}{ID}/")).json()

        async def list_all() -> list[Any]:
            found, url = [], f"{servers}?page_size={PAGE}"
            while url:
                page = (await session.get(url)).json()
                found += page["results"]
                url = page["next"]
            return found

        yield Calls(get, list_all)
