"""Searches for lost creates that share their listings."""

from __future__ import annotations

import anyio
import httpx
import pytest

from tests.fleet.test_run_limited import Limited
from tests.sharing import path_of, spoiled_client_of
from vpsorg_async import APITimeoutError, Client, ResponseError
from vpsorg_async._request.call import CallOptions
from vpsorg_async._shared_listings import SharedListings
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._clocks.virtual import VirtualClock


pytestmark = pytest.mark.anyio


class Slow:
    """Listings of five pages, each of which takes a second. The first ones fail with the errors that are given."""

    def __init__(self, *ends):
        self.clock = VirtualClock()
        self.begun = 0
        self._ends = [*ends]
        self.shared = SharedListings(self.begin, self.clock)
        self.pages = 0

    def begin(self):
        self.begun += 1
        number, pages = self.begun, 0

        async def read(options):
            nonlocal pages
            with self.clock.move_on_after(options.timeout):
                while pages < 5:
                    await self.clock.sleep(1)
                    pages += 1
                    self.pages += 1
                if self._ends:
                    raise self._ends.pop(0)
                return number
            raise APITimeoutError("too late", sent=False)

        return read


async def read_all(slow, *timeouts, cancel=()):
    """Return what tasks with these timeouts have read, or how they failed."""
    found, scopes = {}, [anyio.CancelScope() for _ in timeouts]

    async def read(index):
        with scopes[index]:
            try:
                found[index] = await slow.shared.read(CallOptions(timeout=timeouts[index]))
            except Exception as error:  # noqa: BLE001 - each is looked at
                found[index] = error

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for index in range(len(timeouts)):
                group.start_soon(read, index)
                # One after another: trio begins tasks in any order.
                await slow.clock.sleep(0.001)
            await slow.clock.sleep(2.5)
            for index in cancel:
                scopes[index].cancel()
    return found


class TestSharedListings:
    async def test_those_who_ask_together_read_one(self):
        slow = Slow()

        assert await read_all(slow, *[15.0] * 20) == dict.fromkeys(range(20), 1)
        assert slow.begun == 1

    async def test_another_task_reads_on_when_the_one_that_reads_is_cancelled(self):
        slow = Slow()

        assert await read_all(slow, 15.0, 15.0, 15.0, cancel=[0]) == {1: 1, 2: 1}
        assert slow.pages == 5

    async def test_a_task_with_too_little_time_fails_alone(self):
        slow = Slow()

        found = await read_all(slow, 2.2, 15.0, 1.0)

        assert isinstance(found[0], APITimeoutError)
        assert isinstance(found[2], APITimeoutError)
        assert found[1] == 1
        assert slow.pages == 5

    async def test_what_nobody_waits_for_is_not_gone_on_with(self):
        slow = Slow()

        assert await read_all(slow, 15.0, cancel=[0]) == {}
        assert await read_all(slow, 15.0) == {0: 2}

    async def test_a_failure_is_that_of_all_and_each_has_its_own_error(self):
        slow = Slow(ResponseError("no list"))

        found = await read_all(slow, 15.0, 15.0)

        assert [str(error) for error in found.values()] == ["no list"] * 2
        assert found[0] is not found[1]
        assert slow.begun == 1


class TestSearches:
    async def test_20_creates_lost_at_once_in_an_account_of_5_000(self):
        """R30: they do not list 20 times 50 pages."""
        sandbox, listed = Sandbox(servers=5_000, quota=10_000, credits=10_000_000), []

        async def lose(request, response):
            if request.method == "POST":
                raise httpx.ReadError("lost", request=request)
            if path_of(request) == "/servers/":
                listed.append(request)
            return response

        async with spoiled_client_of(sandbox, lose) as client, anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(create, client, f"lost-{number}")

        assert len({server["name"] for server in sandbox.servers if server["name"].startswith("lost-")}) == 20
        assert len(listed) <= 3 * 51

    async def test_a_limit_of_10_calls_a_second_leaves_none_of_them_in_doubt(self):
        """R30: a page that is told "too many" does not cost those before it, and lost creates tell the rate, too."""
        sandbox = Sandbox(servers=5_000, quota=10_000, credits=10_000_000)
        api = Limited(sandbox, "bucket", lost=frozenset({"POST"}))

        async with (
            Client._over(api, api.clock, token="vps_sandbox", base_url="http://localhost/api/v1") as client,
            anyio.create_task_group() as group,
        ):
            await client.account.me()
            for number in range(20):
                group.start_soon(create, client, f"lost-{number}")

        assert len({server["name"] for server in sandbox.servers if server["name"].startswith("lost-")}) == 20


async def create(client, name):
    made = await client.servers.create(name=name, plan_id=1, os_id=5, location="us-west")
    assert made.name == name
