"""A call that is cancelled, at any moment, leaves the pool whole."""

from __future__ import annotations

import gc
import random
import re
import socket

import anyio
import pytest

from tests.helpers import detail
from tests.rawserver import RawServer, certificates, drip, hang, json, raw
from tests.waits import PausingClock, skipping_client_of
from vpsorg_async import Client, RetryPolicy, VPSError


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.005, maximum=0.01, budget=10)
HALF_A_BODY = raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{", close=False)
BIG = {"x": "y" * 20_000_000}


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request):
    with RawServer(tls=certificates().valid if request.param else None) as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        yield running


@pytest.fixture
def deaf():
    """Give the port of a listener that lets connect and never reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def client_of(server, **options):
    options = {"max_connections": 1, "retry": QUICK, "ssl_context": certificates().trust, **options}
    return Client("vps_test", base_url=server.base_url, **options)


async def cancelled_when(condition, function, *arguments):
    """Call *function*, and cancel it as soon as *condition* returns."""
    async with anyio.create_task_group() as group:
        group.start_soon(function, *arguments)
        await condition()
        group.cancel_scope.cancel()


class TestOneMoment:
    """With a single connection: a turn or a connection that is lost would make the next call hang."""

    @pytest.mark.parametrize("answer", [hang(), HALF_A_BODY], ids=["waiting for the answer", "in the body"])
    async def test_an_exchange_that_is_cancelled_frees_its_turn_and_closes_its_socket(self, server, answer):
        """P1: cancelled while the response is waited for, or in its body."""
        server.answer("GET", "/servers/8/", answer)

        async with client_of(server) as client:
            await cancelled_when(lambda: server.arrived(path="/servers/8/"), client.servers.get, 8)
            await server.until(lambda: server.connections_open == 0)
            found = await client.servers.get(7, timeout=5)

        assert found.id == 7
        gc.collect()

    async def test_a_retry_pause_that_is_cancelled_leaves_its_connection_to_the_next(self, server):
        """P1: cancelled in a retry pause."""
        clock = PausingClock()
        server.answer("GET", "/servers/8/", json(503, {}))
        slow = RetryPolicy(initial=1000, maximum=1000)

        async with skipping_client_of(server, clock, retry=slow) as client:
            await cancelled_when(clock.paused.wait, client.servers.get, 8)
            found = await client.servers.get(7, timeout=5)

        assert (found.id, server.connections_total) == (7, 1)

    async def test_the_pause_that_the_api_asks_for_is_over_at_once_for_whoever_is_cancelled(self, server):
        """P1: cancelled in the pause of a Retry-After, which others wait out."""
        paused = anyio.Event()
        server.answer("GET", "/servers/8/", json(429, {}, {"Retry-After": "0.2"}))

        async with client_of(server, on_event=lambda event: event.name == "call.paused" and paused.set()) as client:
            await cancelled_when(paused.wait, client.servers.get, 8)
            found = await client.servers.get(7, timeout=5)

        assert found.id == 7

    async def test_a_place_in_the_queue_that_is_cancelled_is_no_turn(self, server):
        """P1: cancelled while it waits at the limiter."""
        server.answer("GET", "/servers/8/", hang())

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.get, 8)
            await server.arrived(path="/servers/8/")
            with anyio.move_on_after(0.05) as scope:
                await client.servers.get(7)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                found = await client.servers.get(7, timeout=5)

        assert (scope.cancelled_caught, found.id) == (True, 7)
        assert len(server.requests_to("GET", "/servers/7/")) == 1

    async def test_a_cancel_before_anything_has_begun(self, server):
        """P1: cancelled at its very first await."""
        async with client_of(server) as client:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await client.servers.get(8)
            found = await client.servers.get(7, timeout=5)

        assert (found.id, len(server.requests)) == (7, 1)

    async def test_a_handshake_that_is_cancelled_closes_its_socket(self):
        """P1: cancelled in the TLS handshake."""
        with RawServer() as silent:
            client = Client("vps_test", base_url=silent.base_url.replace("http:", "https:"), max_connections=1)

            async with client:
                for _ in range(2):
                    await cancelled_when(
                        lambda: silent.until(lambda: silent.connections_open == 1), client.servers.get, 8
                    )
                    await silent.until(lambda: silent.connections_open == 0)

            assert silent.connections_total == 2
        gc.collect()

    async def test_a_big_body_that_is_cancelled_half_sent(self, deaf):
        """P1: cancelled while the request is being sent."""
        base_url = f"http://127.0.0.1:{deaf}/api/v1"

        async with Client("vps_test", base_url=base_url, max_connections=1) as client:
            for _ in range(2):
                with anyio.move_on_after(0.3) as scope:
                    await client.request("POST", "/servers/", json=BIG)
                assert scope.cancelled_caught
        gc.collect()

    async def test_a_body_over_the_limit_leaves_nothing_half_read(self, server):
        """P1: a response given up in its middle leaves no generator for the garbage collector to complain of."""
        too_much = b"x" * (33 * 1024 * 1024)
        head = b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n"
        server.answer("GET", "/servers/8/", raw(head % (200, len(too_much)) + too_much))
        server.answer("GET", "/servers/9/", raw(head % (404, len(too_much)) + too_much))

        async with client_of(server) as client:
            for number in (8, 9):
                with pytest.raises(VPSError):
                    await client.servers.get(number)
                gc.collect()
            found = await client.servers.get(7, timeout=5)

        assert found.id == 7
        await server.until(lambda: server.connections_open == 0)


class TestAnyMoment:
    @pytest.mark.heavy
    async def test_3_000_calls_cancelled_at_random_leave_the_pool_whole(self, server):
        """P1: 3,000 calls cancelled at random, then 100 that all succeed on no more sockets than are allowed."""
        chance = random.Random(20261)
        server.answer("GET", "/servers/8/", drip(json(200, detail(8)), 40))
        server.answer("GET", "/servers/9/", hang())
        server.answer("GET", "/servers/10/", [*[json(503, {})] * 2, drip(json(200, detail(10)), 300)] * 400)
        server.answer("GET", "/servers/11/", HALF_A_BODY)
        server.answer("POST", re.compile(r"/echo/"), json(200, {}))
        ended = {"cancelled": 0, "done": 0}

        async def call(client):
            number = chance.randrange(7, 13)
            with anyio.move_on_after(chance.random() ** 2 * 0.12) as scope:
                try:
                    if number == 12:
                        await client.request("POST", "/echo/", json={"x": "y" * 300_000})
                    else:
                        await client.servers.get(number)
                except VPSError:
                    pass
            ended["cancelled" if scope.cancelled_caught else "done"] += 1

        async def caller(client):
            for _ in range(100):
                await call(client)

        async with client_of(server, max_connections=10, timeout=None, attempt_timeout=None) as client:
            async with anyio.create_task_group() as group:
                for _ in range(30):
                    group.start_soon(caller, client)
            await server.until(lambda: server.connections_open <= 10)
            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(client.servers.get, 7)

            assert server.connections_open <= 10
        await server.until(lambda: server.connections_open == 0)
        assert sum(ended.values()) == 3_000
        assert ended["cancelled"] > 1_000
        gc.collect()

    async def test_closing_the_body_that_is_cancelled_gives_its_turn_back_all_the_same(self, server):
        """P1: cancelled at each of the first 60 awaits of a call, counted by the turns of the loop."""
        async with client_of(server) as client:
            for rounds in range(60):
                async with anyio.create_task_group() as group:
                    group.start_soon(client.servers.get, 7)
                    for _ in range(rounds):
                        await anyio.lowlevel.checkpoint()
                    group.cancel_scope.cancel()
            found = await client.servers.get(7, timeout=5)
            await server.until(lambda: server.connections_open <= 1)

        assert found.id == 7
        gc.collect()
