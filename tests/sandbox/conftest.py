"""One sandbox, asked in three ways: httpx's own ASGI transport, ours, and a real socket."""

from __future__ import annotations

import httpx
import pytest

from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._inprocess import InProcessTransport


AUTHORIZED = {"Authorization": "Bearer vps_sandbox"}


@pytest.fixture
def sandbox():
    """Return a sandbox with the documentation's two servers, whose time stands still."""
    sandbox = Sandbox(servers=2)
    sandbox.freeze()
    return sandbox


@pytest.fixture(params=["asgi", "in-process", "socket"])
async def api(request, sandbox, anyio_backend):
    """Give an httpx client of the sandbox, with its token."""
    if request.param == "socket":
        async with sandbox.serve() as base_url, httpx.AsyncClient(base_url=base_url, headers=AUTHORIZED) as client:
            yield client
        return
    kinds = {"asgi": httpx.ASGITransport(sandbox.app), "in-process": InProcessTransport(sandbox.app, sandbox._clock)}
    url = "http://localhost/api/v1"
    async with httpx.AsyncClient(base_url=url, headers=AUTHORIZED, transport=kinds[request.param]) as client:
        yield client
