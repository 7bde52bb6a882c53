"""Everything works with asyncio's eager tasks, which begin to run inside `create_task`. Python 3.12 brought them."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from tests.helpers import detail
from tests.rawserver import RawServer, hold, json
from vpsorg_async import APITimeoutError, Client, RetryPolicy
from vpsorg_async.sandbox import Sandbox


SPEC = {"plan_id": 1, "os_id": 5, "location": "us-west"}
SECONDS = 60


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run a function in a loop of asyncio with eager tasks; those of uvloop 0.23 have none."""

    def eager() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    async def in_time() -> Any:
        with anyio.fail_after(SECONDS):
            return await main()

    return anyio.run(in_time, backend_options={"debug": True, "loop_factory": eager})


def client_of(server: RawServer, **options: Any) -> Client:
    return Client("vps_test_token", base_url=server.base_url, **options)


class TestOnTheSandbox:
    def test_tasks_run_before_create_task_returns(self):
        """Without that, nothing here would show anything."""
        ran = []

        async def note():
            ran.append(True)

        async def main():
            task = asyncio.create_task(note())
            assert ran == [True]
            await task

        run(main)

    def test_a_server_from_its_create_to_its_end(self):
        async def main():
            async with Sandbox().client() as client:
                server = await client.servers.create(name="web-01", **SPEC)
                server = await server.wait_until(status="active")
                rebooted = await (await server.reboot()).wait()
                await rebooted.delete()
                await rebooted.wait_until_deleted()
                return rebooted.status, await client.servers.list()

        assert run(main) == ("active", [])

    def test_many_waits_that_share_their_polls(self):
        async def main():
            async with Sandbox().client() as client:
                servers = [await client.servers.create(name=f"web-{number}", **SPEC) for number in range(20)]
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(server.wait_until(status="active")) for server in servers]
                return {task.result().status for task in tasks}, client.stats().waits

        assert run(main) == ({"active"}, 0)

    def test_fleets_beside_a_watch(self):
        async def main():
            async with Sandbox(servers=10, credits=1_000).client() as client:
                servers = await client.servers.list()
                seen = set()

                async def watch():
                    async for change in client.servers.watch():
                        seen.add((change.server.id, change.server.status))
                        if sum(status == "active" for _, status in seen) == len(servers):
                            return

                watching = asyncio.create_task(watch())
                stopped = await client.fleet(servers).stop(at_once=3)
                started = await client.fleet(servers).start(at_once=3)
                await watching
                return {one.state for report in (stopped, started) for one in report.outcomes}, len(servers)

        assert run(main) == ({"succeeded"}, 10)


class TestOnSockets:
    def test_calls_at_once_that_queue_and_are_repeated(self, server):
        server.answer("GET", "/servers/7/", [json(503, {}), json(200, detail(7))])

        async def main():
            async with client_of(server, max_connections=2, retry=RetryPolicy(initial=0.01)) as client:
                tasks = [asyncio.create_task(client.servers.get(7)) for _ in range(20)]
                return {found.id for found in await asyncio.gather(*tasks)}

        assert run(main) == {7}

    def test_a_call_that_is_cancelled_leaves_the_client_usable(self, server):
        gate = server.gate()
        server.answer("GET", "/servers/7/", [hold(json(200, detail(7)), gate), json(200, detail(7))])

        async def main():
            async with client_of(server, max_connections=1) as client:
                first = asyncio.create_task(client.servers.get(7))
                second = asyncio.create_task(client.servers.get(7))
                await server.arrived(1)
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
                return (await second).id, client.stats().in_flight

        assert run(main) == (7, 0)

    def test_a_call_ends_in_its_time(self, server):
        server.answer("GET", "/servers/7/", hold(json(200, detail(7)), server.gate()))

        async def main():
            async with client_of(server) as client:
                with pytest.raises(APITimeoutError):
                    await client.servers.get(7, timeout=0.2)

        run(main)

    def test_a_token_is_asked_for_once_by_calls_at_once(self, server):
        server.answer("GET", "/servers/7/", json(200, detail(7)))
        asked = []

        async def token():
            asked.append(True)
            await asyncio.sleep(0.05)
            return "vps_test_token"

        async def main():
            async with Client(token, base_url=server.base_url) as client:
                await asyncio.gather(*[asyncio.create_task(client.servers.get(7)) for _ in range(5)])

        run(main)

        assert asked == [True]
