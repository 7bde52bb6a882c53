"""The machine's clock: monotonic, with anyio's sleep and scopes."""

from __future__ import annotations

import asyncio
import time

import anyio
import pytest
import uvloop

from tests.helpers import detail
from tests.processes import ran
from tests.rawserver import hang, json
from vpsorg_async._clock import SystemClock, event_loop_time


pytestmark = pytest.mark.anyio


async def test_a_sleep_ends_when_its_time_has_passed_and_not_before():
    clock = SystemClock()
    began = clock.now()

    await clock.sleep(0.01)

    # Timers may be early by the loop's own resolution.
    assert clock.now() - began >= 0.009


async def test_a_scope_ends_its_block_and_tells_so():
    with SystemClock().move_on_after(0) as scope:
        await anyio.sleep_forever()

    assert scope.cancelled_caught


async def test_a_scope_without_a_time_ends_only_when_it_is_cancelled():
    with SystemClock().move_on_after(None) as scope:
        await anyio.lowlevel.checkpoint()
        scope.cancel()
        await anyio.sleep_forever()

    assert scope.cancelled_caught


class TestFrozenTime:
    @pytest.mark.parametrize("imported", ["before", "while it is frozen"])
    def test_calls_and_waits_end_in_real_time(self, server, imported):
        """I7: freezegun stops `time.monotonic` for all but asyncio's event loop."""
        server.answer("GET", "/servers/7/", [json(200, detail(7, status="starting")), json(200, detail(7))])
        server.answer("GET", "/servers/8/", hang())
        load = "from vpsorg_async import APITimeoutError, Client, PollPolicy, WaitTimeoutError"
        program = f"""
import asyncio
from freezegun import freeze_time
{load if imported == "before" else ""}
async def main():
    with freeze_time("2025-01-01", real_asyncio=True):
        {load}
        async with Client("vps_test", base_url={server.base_url!r}) as client:
            found = await client.servers.wait_until(7, status="active", poll=PollPolicy(minimum=0.1, maximum=0.1))
            print(found.status)
            try:
                await client.servers.get(8, timeout=0.2)
            except APITimeoutError as error:
                print(type(error).__name__)
            try:
                await client.servers.wait_until(8, status="active", timeout=0.2)
            except WaitTimeoutError as error:
                print(type(error).__name__)
asyncio.run(asyncio.wait_for(main(), 60))
"""
        done = ran("-c", program)

        assert done.stdout.split() == ["active", "APITimeoutError", "WaitTimeoutError"], done.stderr

    async def test_it_is_the_event_loop_s_own(self, anyio_backend_name, monkeypatch):
        """A deadline and its timer go by the same clock, also where a test gives the loop another."""
        if anyio_backend_name == "asyncio" and not isinstance(loop := asyncio.get_running_loop(), uvloop.Loop):
            monkeypatch.setattr(loop, "time", lambda real=loop.time: real() + 1000)
            real = loop.time
        else:
            real = time.monotonic if anyio_backend_name == "trio" else loop.time

        before, now, after = real(), event_loop_time(), real()

        assert before <= now <= after


def test_without_an_event_loop_it_is_the_monotonic_one():
    before, now, after = time.monotonic(), event_loop_time(), time.monotonic()

    assert before <= now <= after
