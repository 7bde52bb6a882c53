"""The sandbox's answers to those who try to reach its servers."""

from __future__ import annotations

import errno

import pytest

from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.connector import BOOT_SECONDS, SandboxConnector


pytestmark = pytest.mark.anyio

SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


def connector_of(sandbox):
    return SandboxConnector(sandbox._backend, sandbox._clock)


@pytest.mark.parametrize("field", ["ip_address", "ipv6_address"])
async def test_a_server_that_was_there_answers_on_every_address(field):
    sandbox = Sandbox(servers=2)

    assert await connector_of(sandbox).open(sandbox.servers[1][field], 22) is None


async def test_an_address_of_no_server_is_nobodys():
    with pytest.raises(OSError) as caught:
        await connector_of(Sandbox(servers=1)).open("192.0.2.1", 22)

    assert caught.value.errno == errno.EHOSTUNREACH


async def test_a_new_server_refuses_while_it_boots():
    sandbox = Sandbox()
    async with sandbox.client() as client:
        made = await client.servers.create(**SPEC)
        made = await made.wait_until(status="active")
    connector = connector_of(sandbox)

    with pytest.raises(ConnectionRefusedError):
        await connector.open(made.ip_address, 22)
    sandbox.advance(BOOT_SECONDS)

    assert await connector.open(made.ip_address, 22) is None


async def test_a_rename_does_not_boot_it():
    sandbox = Sandbox(servers=1)
    async with sandbox.client() as client:
        seen = await client.servers.update(12345, name="web-99")

    assert await connector_of(sandbox).open(seen.ip_address, 22) is None


async def test_a_stopped_server_does_not_answer():
    sandbox = Sandbox(servers=1)
    async with sandbox.client() as client:
        action = await client.servers.stop(12345)
        seen = await action.wait()

    with sandbox._clock.move_on_after(60) as scope:
        await connector_of(sandbox).open(seen.ip_address, 22)

    assert scope.cancelled_caught
