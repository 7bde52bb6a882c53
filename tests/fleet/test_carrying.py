"""What a report leaves for a later run."""

from __future__ import annotations

import pytest

from tests.helpers_fleet import specs
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("action", ["start", "stop", "reboot"])
async def test_a_pending_command_leaves_what_was_known_before_it(action):
    sandbox = Sandbox(servers=1)
    async with sandbox.client() as client:
        before = await client.servers.get((await client.servers.list())[0])
        if action == "start":
            await client.fleet([before]).stop()
        run = getattr(client.fleet([before]), action)(timeout=1)
        await run

    left = run.report[0]._carried
    assert run.report[0].state == "pending"
    assert left.sent is None
    assert left.command == run.report[0].value._remembered
    assert left.command.baseline == (None if action == "start" else before.updated_at)


async def test_a_pending_create_leaves_when_it_was_accepted():
    async with Sandbox().client() as client:
        run = client.fleet.create(specs(1), timeout=4)
        await run

    left = run.report[0]._carried
    assert run.report[0].state == "pending"
    assert left.command.date is not None
    assert not left.command.lost


async def test_what_succeeded_leaves_nothing():
    async with Sandbox(servers=1).client() as client:
        run = client.fleet([server.id for server in await client.servers.list()]).reboot()
        await run

    assert run.report[0]._carried is None
