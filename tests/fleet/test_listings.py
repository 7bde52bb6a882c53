"""One listing for all items that need it."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from vpsorg_async import ResponseError, Server
from vpsorg_async._create_search import Listed
from vpsorg_async._fleet.listings import SharedListing
from vpsorg_async._request.call import CallOptions
from vpsorg_async.sandbox._clocks.virtual import VirtualClock


pytestmark = pytest.mark.anyio
OPTIONS = CallOptions()


class Reading:
    """Reads listings that take a second each."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.made = 0
        self.fails = False
        self.names = ["App-1", "other"]

    async def __call__(self, options, *, skip_invalid):
        began = self.clock.now()
        self.made += 1
        await self.clock.sleep(1)
        assert skip_invalid({"name": "other"})
        assert skip_invalid("text")
        assert not skip_invalid({"name": "APP-1"})
        if self.fails:
            raise ResponseError("broken")
        servers = [Server(id=number, name=name, status="active") for number, name in enumerate(self.names)]
        return Listed(
            servers=servers, began=began, ended=self.clock.now(), date=None, cached=False, zoneless=frozenset()
        )


@pytest.fixture
def reading():
    return Reading()


@pytest.fixture
def listing(reading):
    return SharedListing(reading, reading.clock, ["app-1"])


async def all_of(count, read):
    found = []

    async def one():
        try:
            found.append(await read())
        except ResponseError as error:
            found.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    return found


async def test_those_who_ask_together_share_one(reading, listing):
    found = await all_of(9, lambda: listing.read(OPTIONS))

    assert reading.made == 1
    assert len({*map(id, found)}) == 1
    assert [server.name for server in found[0].servers] == ["App-1"]


async def test_a_later_one_is_read_for_who_asks_later_unless_an_older_one_will_do(reading, listing):
    since = reading.clock.now()
    await listing.read(OPTIONS)

    await listing.read(OPTIONS, since=since)
    assert reading.made == 1
    await listing.read(OPTIONS)
    assert reading.made == 2


async def test_a_failure_is_that_of_all_who_asked_before_it_began(reading, listing):
    reading.fails = True
    found = await all_of(3, lambda: listing.read(OPTIONS))

    assert reading.made == 1
    assert [str(error) for error in found] == ["broken"] * 3
    reading.fails = False
    assert (await listing.read(OPTIONS)).servers
    assert reading.made == 2


async def test_one_that_is_cancelled_leaves_the_reading_to_the_next(reading, listing):
    found = []

    async def one(scope):
        with scope:
            found.append(await listing.read(OPTIONS))

    first, second = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(one, first)
        await anyio.lowlevel.checkpoint()
        group.start_soon(one, second)
        first.cancel()

    assert len(found) == 1
