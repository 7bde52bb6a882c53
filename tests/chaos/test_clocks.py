"""Tests that a wall clock that jumps by days whenever it is read changes nothing.

`tests/polling/test_waiting_deadlines.py` tests a wait in which the date of a `Retry-After` jumps too (W16).
"""

from __future__ import annotations

import random
import time

import anyio
import pytest

from tests.chaos.episode import in_process, live, served
from tests.chaos.invariants import violations
from tests.helpers import detail
from tests.rawserver import RawServer, json
from vpsorg_async import Client


pytestmark = pytest.mark.anyio

DAY = 86_400.0


@pytest.fixture
def jumping(monkeypatch):
    """Let each `time.time()` be wrong by up to three days, forwards or backwards."""
    real, chance = time.time, random.Random(7)
    monkeypatch.setattr(time, "time", lambda: real() + chance.uniform(-3, 3) * DAY)


@pytest.mark.parametrize("way", [in_process, served], ids=["in process", "served"])
async def test_an_episode_of_chaos_breaks_no_rule(way, jumping):
    async with way(42) as episode:
        await live(episode)

    assert violations(episode.record) == []


async def test_a_date_in_retry_after_counts_from_the_date_of_the_response(jumping):
    """The API's clock is wrong by years. A second on it is a second here."""
    headers = {"Date": "Wed, 15 Oct 2031 12:00:00 GMT", "Retry-After": "Wed, 15 Oct 2031 12:00:01 GMT"}
    with RawServer() as server:
        server.answer("GET", "/servers/7/", [json(429, {}, headers), json(200, detail(7))])

        async with Client("vps_test", base_url=server.base_url) as client:
            with anyio.fail_after(60):
                await client.servers.get(7)

        first, second = server.requests
        assert 0.9 <= second.at - first.at < DAY
