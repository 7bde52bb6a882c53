"""Calls another API with openai's generated SDK.

The SDK's README documents these calls for undocumented endpoints.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Generic, TypeVar

import httpx
import openai

from openai._base_client import AsyncPaginator, BaseAsyncPage, BasePage, PageInfo
from openai._models import BaseModel

from benchmarks.peers import PATIENCE, TOKEN, Calls
from benchmarks.shapes import ID, PAGE


T = TypeVar("T")


class Plan(BaseModel):
    id: int
    name: str
    vcpus: int
    memory: int
    storage: int
    bandwidth: int | None = None


class OperatingSystem(BaseModel):
    id: int
    name: str


class ResourceUsage(BaseModel):
    cpu_percent: float
    memory_used: int
    disk_used: int
    bandwidth_used: int


class Server(BaseModel):
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


class Page(BaseAsyncPage[T], BasePage[T], Generic[T]):
    """A page as the SDK's own are."""

    results: list[T]
    next: str | None = None

    def _get_page_items(self) -> list[T]:
        return self.results

    def next_page_info(self) -> PageInfo | None:
        return PageInfo(url=httpx.URL(self.next)) if self.next else None


@asynccontextmanager
async def connect(base: str, connections: int) -> AsyncIterator[Calls]:
    http = openai.DefaultAsyncHttpxClient(limits=httpx.Limits(max_connections=connections))
    async with openai.AsyncOpenAI(
        api_key=TOKEN, base_url=f"{base}/api/v1", timeout=PATIENCE, http_client=http
    ) as client:

        async def get() -> Server:
            return await client.get(f"/servers/{ID}/", cast_to=Server)

        async def list_all() -> list[Server]:
            pages: AsyncPaginator[Server, Page[Server]] = client.get_api_list(
                f"/servers/?page_size={PAGE}", model=Server, page=Page[Server]
            )
            return [server async for server in pages]

        yield Calls(get, list_all)
