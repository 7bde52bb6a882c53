"""Test code that uses this library, in four ways. Copy the one that fits, and run it with pytest.

pip install 'vpsorg-async[sandbox]' pytest pytest-asyncio respx pytest-httpx
pytest examples/recipes/test_with_the_sandbox.py
"""

from __future__ import annotations

import asyncio

from typing import TYPE_CHECKING

import pytest
import respx

from vpsorg_async import Client, NotFoundError
from vpsorg_async.sandbox import Sandbox


if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock

API = "https://api.example.com/api/v1"


@pytest.mark.asyncio
async def test_a_watch_in_the_background_while_the_test_decides_the_time() -> None:
    sandbox = Sandbox(servers=1)
    # A watch alone only sleeps, so the sandbox's clock would run on while this test does something else.
    sandbox.freeze()
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def follow(client: Client) -> None:
        async for change in client.servers.watch(interval=5):
            await seen.put(change.server.status)

    async with sandbox.client() as client:
        task = asyncio.create_task(follow(client))
        assert await seen.get() == "active"
        sandbox.set_status(sandbox.servers[0]["id"], "suspended", after=60)
        await asyncio.sleep(0.05)  # your code does its work here, and no time passes in the sandbox
        assert seen.empty()
        sandbox.advance(65)
        assert await seen.get() == "suspended"
        task.cancel()


@pytest.mark.asyncio
async def test_code_that_polls_by_itself() -> None:
    sandbox = Sandbox(servers=1)
    async with sandbox.client() as client:
        server = (await client.servers.list())[0]
        await server.stop()
        while (await client.servers.get(server)).status != "stopped":
            # asyncio.sleep() would wait for real seconds, and the sandbox's clock would not move.
            await sandbox.sleep(10)


@pytest.mark.asyncio
@respx.mock
async def test_one_answer_with_respx() -> None:
    respx.get(f"{API}/servers/7/").respond(404, json={"detail": "Not found."})
    async with Client("vps_test", base_url=API) as client:
        with pytest.raises(NotFoundError):
            await client.servers.get(7)


@pytest.mark.asyncio
async def test_one_answer_with_pytest_httpx(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{API}/servers/7/", status_code=404, json={"detail": "Not found."})
    async with Client("vps_test", base_url=API) as client:
        with pytest.raises(NotFoundError):
            await client.servers.get(7)
