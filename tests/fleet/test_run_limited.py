"""Fleets on an API that takes 10 calls a second, on the sandbox's clock."""

from __future__ import annotations

import httpx
import pytest

from tests.request.test_rate_control import COUNTING
from vpsorg_async import Client
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.in_process import InProcessTransport


# On the sandbox's clock, thousands of calls without a socket: that an event loop does this right, others show.
pytestmark = [pytest.mark.anyio, pytest.mark.heavy, pytest.mark.by_turns]


class Limited(httpx.AsyncBaseTransport):
    """The sandbox, which takes so many calls a second, and refuses the rest with `Retry-After: 1`.

    Its responses to the methods that are *lost* never come, once the sandbox has executed the call.
    """

    def __init__(self, sandbox, counting, lost=frozenset()):
        self.lost = lost
        self.clock = sandbox._clock
        self.commanded_at = []
        self._inner = InProcessTransport(sandbox.app, self.clock)
        self._takes = COUNTING[counting]()

    async def handle_async_request(self, request):
        with self.clock.answering():
            await self.clock.sleep(0.03)
            if not self._takes(self.clock.now()):
                return httpx.Response(429, headers={"Retry-After": "1"}, json={"detail": "too many"})
        if request.method == "POST":
            self.commanded_at.append(self.clock.now())
        response = await self._inner.handle_async_request(request)
        if request.method in self.lost:
            raise httpx.ReadError("lost", request=request)
        return response


@pytest.fixture
def stopped():
    """Return a sandbox with 1,000 servers, all of them stopped."""
    sandbox = Sandbox(servers=1_000, seed=3)
    sandbox.advance(1_000)
    account, now = sandbox._backend.accounts[0], sandbox._clock.now()
    for server in sandbox.servers:
        if server["status"] == "active":
            account.command(account.server(str(server["id"]), now), "stop", now)
    sandbox.advance(600)
    return sandbox


async def start_all(sandbox, counting, at_once):
    """Return the report of the starts, when the last command was accepted, and when all had ended, in seconds."""
    api, began = Limited(sandbox, counting), sandbox._clock.now()
    ids = [server["id"] for server in sandbox.servers]
    async with Client._over(api, api.clock, token="vps_sandbox", base_url="http://localhost/api/v1") as client:
        report = await client.fleet(ids).start(at_once=at_once)
    return report, api.commanded_at[-1] - began, api.clock.now() - began


class TestLimited:
    @pytest.mark.parametrize("counting", COUNTING)
    async def test_a_thousand_starts_at_once_all_succeed(self, stopped, counting):
        """F10: their polls leave three turns of four to the commands, which need 100 s alone."""
        report, commanded, _ = await start_all(stopped, counting, 1_000)

        assert len(report.succeeded) == 1_000
        assert commanded <= 180

    @pytest.mark.parametrize("at_once", [200, 1_000])
    async def test_all_are_active_soon_after_the_commands_alone(self, stopped, at_once):
        """F10: one and a half times what the commands need, and the longest start with its polls."""
        report, _, seconds = await start_all(stopped, "bucket", at_once)

        assert len(report.succeeded) == 1_000
        assert seconds <= 1.5 * 100 + 30 + 5

    async def test_20_at_once_hardly_notice_the_limit(self, stopped):
        """F10: 20 starts take 10 to 30 s, which leaves room for their polls."""
        report, _, seconds = await start_all(stopped, "bucket", 20)

        assert len(report.succeeded) == 1_000
        assert seconds <= 1.1 * 1_150
