"""Fixtures: a sandbox that is reached by httpx's ASGI transport, by our own, and by a socket."""

from __future__ import annotations

import httpx
import pytest

from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.in_process import InProcessTransport
from vpsorg_async.sandbox.faults import Fault


AUTHORIZED = {"Authorization": "Bearer vps_sandbox"}
FIRST, SECOND = "bfd2c9b7-8f51-5762-9984-ed91b29ba24e", "f867ed2d-427b-533d-8f66-3085e7473ffd"
"""The UUIDs of the two documented servers."""

DETAIL = {
    "id": 12345,
    "name": "web-server-01",
    "hostname": "web01.example.com",
    "status": "active",
    "ip_address": "203.0.113.10",
    "ipv6_address": "2001:0db8::1",
    "location": "us-west",
    "plan": {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80, "bandwidth": 2048},
    "os": {"id": 5, "name": "Ubuntu 22.04 LTS"},
    "backups_enabled": True,
    "created_at": "2025-01-10T14:30:00Z",
    "updated_at": "2025-01-16T15:45:00Z",
}
LISTED = {
    "count": 2,
    "results": [
        {
            "id": 12345,
            "name": "web-server-01",
            "hostname": "web01.example.com",
            "status": "active",
            "ip_address": "203.0.113.10",
            "location": "us-west",
            "plan": {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80},
            "os": {"id": 5, "name": "Ubuntu 22.04 LTS"},
            "created_at": "2025-01-10T14:30:00Z",
            "updated_at": "2025-01-15T10:20:00Z",
        },
        {
            "id": 12346,
            "name": "db-server-01",
            "hostname": "db01.example.com",
            "status": "active",
            "ip_address": "203.0.113.11",
            "location": "us-east",
            "plan": {"id": 2, "name": "Performance VPS", "vcpus": 4, "memory": 8192, "storage": 160},
            "os": {"id": 3, "name": "Debian 12"},
            "created_at": "2025-01-12T09:15:00Z",
            "updated_at": "2025-01-16T08:45:00Z",
        },
    ],
}
SPEC = {
    "name": "web-server-02",
    "plan_id": 1,
    "os_id": 5,
    "location": "us-west",
    "hostname": "web02.example.com",
    "ssh_key_id": 3,
    "backups_enabled": True,
}
ENOUGH = 300.0
"""Every command has ended after so many seconds."""

MAKE = {
    "delay": lambda **rule: Fault.delay(2, **rule),
    "drop": Fault.drop,
    "status": lambda **rule: Fault.status(503, **rule),
    "end_in": lambda **rule: Fault.end_in("stopped", **rule),
    "stale": lambda **rule: Fault.stale(60, **rule),
    "as_status": lambda **rule: Fault.as_status("migrating", **rule),
    "omit": lambda **rule: Fault.omit(1, **rule),
    "loop": Fault.loop,
    "html": Fault.html,
    "bomb": lambda **rule: Fault.bomb(1, **rule),
    "hang": Fault.hang,
    "drop_after_commit": lambda **rule: Fault.drop(after_commit=True, **rule),
    "cut": lambda **rule: Fault.cut(300, **rule),
    "drip": lambda **rule: Fault.drip(500, **rule),
}
"""A fault of each kind."""


@pytest.fixture
def sandbox():
    """Return a sandbox with the two documented servers, whose time stands still."""
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


@pytest.fixture
def moving_sandbox():
    """Return a sandbox with the two documented servers, whose time passes."""
    return Sandbox(servers=2)


def in_process(sandbox):
    """Return an httpx client of *sandbox* without a socket, with its token."""
    transport = InProcessTransport(sandbox.app, sandbox._clock)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1", headers=AUTHORIZED)


@pytest.fixture(params=["in-process", "socket"])
async def moving_api(request, moving_sandbox, anyio_backend):
    """Give an httpx client of it, with its token; on the socket its time runs 100 times as fast."""
    if request.param == "in-process":
        async with in_process(moving_sandbox) as client:
            yield client
        return
    async with (
        moving_sandbox.serve(speed=100) as base_url,
        httpx.AsyncClient(base_url=base_url, headers=AUTHORIZED) as client,
    ):
        yield client
