"""Calls pydo's async client, which is generated on azure-core and aiohttp and gives dicts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydo.aio import Client

from benchmarks.peers import TOKEN, Calls
from benchmarks.shapes import ID, PAGE


# The default of aiohttp, which pydo does not change.
CONNECTIONS = 100
# The option that allows http://. pydo reads it at each request.
_PLAIN = {"enforce_https": False}


@asynccontextmanager
async def connect(base: str, connections: int) -> AsyncIterator[Calls]:
    assert connections == CONNECTIONS
    async with Client(TOKEN, endpoint=f"{base}/digitalocean") as client:

        async def get() -> Any:
            return (await client.droplets.get(ID, **_PLAIN))["droplet"]

        async def list_all() -> list[Any]:
            found: list[Any] = []
            number, more = 1, True
            while more:
                page = await client.droplets.list(per_page=PAGE, page=number, **_PLAIN)
                found += page["droplets"]
                number, more = number + 1, "next" in page["links"]["pages"]
            return found

        yield Calls(get, list_all)
