"""`client.stats()`: what goes on in a client at this moment."""

from __future__ import annotations

import anyio
import attrs
import pytest

from tests.helpers import detail
from tests.helpers_fleet import until
from tests.rawserver import RawServer, hang, json
from vpsorg_async import Client, ClientStats, NotFoundError, RetryPolicy


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.005, maximum=0.01)
IDLE = ClientStats(
    in_flight=0,
    queued=0,
    paused_for={},
    rate=None,
    retry_budget=10,
    waits=0,
    watches=0,
    polls=0,
    requests=0,
)


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        running.answer("GET", "/servers/8/", hang())
        yield running


def client_of(server, **options):
    return Client("vps_test", base_url=server.base_url, retry=QUICK, **options)


async def test_a_new_client_does_nothing(server):
    async with client_of(server) as client:
        assert client.stats() == client.with_options(timeout=3).stats() == IDLE
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            client.stats().queued = 1


async def test_calls_on_the_wire_and_in_the_queue_are_told_apart(server):
    async with client_of(server, max_connections=2) as client, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(client.servers.get, 8)
        await server.arrived(2, "GET")
        await until(lambda: client.stats().queued)

        assert client.stats() == attrs.evolve(IDLE, in_flight=2, queued=3, requests=2)
        group.cancel_scope.cancel()

    assert client.stats() == attrs.evolve(IDLE, requests=2)


async def test_waits_watches_and_their_polls_are_counted(server):
    server.answer("GET", "/servers/7/", json(200, detail(7, status="stopped")))
    async with client_of(server) as client, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(lambda: client.servers.wait_until(7, status="active"))
        watch = client.servers.watch([7])
        await anext(watch)

        assert (client.stats().waits, client.stats().watches) == (3, 1)
        assert client.stats().polls == client.stats().requests >= 1
        # A request that has been sent may not have arrived yet.
        await until(lambda: client.stats().polls == client.stats().requests == len(server.requests))
        group.cancel_scope.cancel()

    assert client.stats().waits == 0


async def test_a_pause_and_the_rate_that_it_tells_of_are_shown(server):
    server.answer("POST", "/servers/7/stop/", json(429, {}, {"Retry-After": "1000"}))
    async with client_of(server, timeout=None) as client, anyio.create_task_group() as group:
        group.start_soon(client.servers.stop, 7)
        await until(lambda: client.stats().paused_for)

        stats = client.stats()
        assert [*stats.paused_for] == ["other changes"]
        assert 0 < stats.paused_for["other changes"] <= 60
        group.cancel_scope.cancel()


async def test_retries_use_the_budget_up_and_each_attempt_is_a_request(server):
    server.answer("GET", "/servers/7/", [json(500, {}), json(404, {})])
    async with client_of(server) as client:
        with pytest.raises(NotFoundError):
            await client.servers.get(7)
        assert client.stats() == attrs.evolve(IDLE, requests=2)

        server.answer("GET", "/servers/7/", json(500, {}))
        with pytest.raises(Exception, match="500"):
            await client.servers.get(7)
        assert client.stats() == attrs.evolve(IDLE, requests=6, retry_budget=7)
