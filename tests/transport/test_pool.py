"""Connections: kept, reused, never more than allowed; turns in the order of asking."""

from __future__ import annotations

import random
import re

import anyio
import httpx
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail
from tests.rawserver import RawServer, certificates, closed_port, drop, hang, hold, json, raw
from vpsorg_async import APIConnectionError, Client, ConfigurationError, PollPolicy, RetryPolicy
from vpsorg_async._transport.pool import IDLE_SECONDS, ConnectionPool, idle_seconds
from vpsorg_async._transport.types import keep_alive_of


pytestmark = pytest.mark.anyio

ANY_SERVER = re.compile(r"/servers/\d+/")
QUICK = RetryPolicy(initial=0.005, maximum=0.01)


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", ANY_SERVER, json(200, detail(7)))
        yield running


def client_of(server, **options):
    return Client("vps_test", base_url=server.base_url, **{"retry": QUICK, **options})


class TestQueue:
    @pytest.mark.heavy
    async def test_10_000_calls_over_10_connections_are_answered_in_the_order_of_asking(
        self, server, anyio_backend_options
    ):
        """P2: 10,000 calls at once over 10 connections, without end: all succeed, in order, none sent twice."""
        total, answered = 10_000 if anyio_backend_options.get("use_uvloop") else 1_000, 0

        async def call(client, number):
            nonlocal answered
            await client.servers.get(number)
            answered += 1

        async with client_of(server, max_connections=10, timeout=None) as client, anyio.create_task_group() as group:
            # Trio starts tasks in any order: each asks before the next one is begun.
            for number in range(total):
                group.start_soon(call, client, number)
                if number % 10 == 0:
                    await anyio.lowlevel.checkpoint()

        came = [int(request.path.split("/")[2]) for request in server.requests]
        assert answered == total
        assert sorted(came) == list(range(total))
        # Ten are on the wire at once, and ten tasks at a time begin in any order.
        assert max(abs(number - place) for place, number in enumerate(came)) < 40
        assert server.connections_peak == 10

    async def test_calls_over_one_connection_are_sent_in_the_order_of_asking(self, server):
        """P2: first come, first served; each asks before the next one is begun."""
        server.answer("GET", "/servers/0/", hold(json(200, detail(0)), limiter := server.gate()))

        async with client_of(server, max_connections=1) as client, anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(client.servers.get, number)
                await anyio.wait_all_tasks_blocked()
            limiter.open()

        assert [request.path for request in server.requests] == [f"/servers/{number}/" for number in range(30)]

    async def test_calls_that_wait_longer_for_their_turn_than_an_attempt_may_take_are_sent_once(self, server):
        """P2: attempt_timeout is counted from the turn on the wire."""
        limiter = server.gate()
        server.answer("GET", "/servers/1/", hold(json(200, detail(1)), limiter))

        client = client_of(server, max_connections=1, attempt_timeout=1)
        async with client, anyio.create_task_group() as group:
            first = client.with_options(attempt_timeout=None)
            group.start_soon(first.servers.get, 1)
            await server.arrived(path="/servers/1/")
            for number in range(2, 12):
                group.start_soon(client.servers.get, number)
            await anyio.sleep(1.1)
            limiter.open()

        assert len(server.requests) == 11

    async def test_a_call_fails_by_its_own_timeout_alone_while_it_waits_for_its_turn(self, server):
        """P2: those who wait in the queue fail only by their own `timeout`, unsent."""
        server.answer("GET", "/servers/1/", hang())

        async with client_of(server, max_connections=1) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.get, 1)
            await server.arrived(path="/servers/1/")
            with pytest.raises(APIConnectionError) as caught:
                await client.servers.get(2, timeout=0.1)
            group.cancel_scope.cancel()

        assert str(caught.value) == (
            f"GET /servers/2/: no response within timeout=0.1 s: waiting for its turn to ask 127.0.0.1:{server.port}"
        )
        assert caught.value.sent is False

    async def test_the_polls_of_a_wait_are_not_delayed_by_the_queue(self, server):
        """P2: a poll arrives among the next few requests, however many calls wait."""
        polled = None
        server.answer("GET", "/servers/5000/", json(200, detail(5000)))

        async with client_of(server, max_connections=10, timeout=None) as client, anyio.create_task_group() as group:
            for number in range(1_000):
                group.start_soon(client.servers.get, number)
            await server.arrived(100)
            asked_at = len(server.requests)
            await client.servers.wait_until(5000, status="active", poll=PollPolicy(minimum=0.1, maximum=0.1))
            polled = next(place for place, request in enumerate(server.requests) if request.path == "/servers/5000/")
            group.cancel_scope.cancel()

        assert polled - asked_at < 30

    async def test_all_of_100_reach_a_server_that_answers_none_before_it_has_all(self, server):
        """P2: a barrier of as many calls as connections is passed, although a fresh client begins with a few."""
        limiter = server.gate()
        server.answer("GET", ANY_SERVER, hold(json(200, detail(7)), limiter))

        async with client_of(server, max_connections=100) as client, anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(client.servers.get, number)
            await server.arrived(100)
            limiter.open()

        assert server.connections_peak == 100


class TestConnections:
    async def test_one_connection_serves_one_call_after_another(self, server):
        async with client_of(server) as client:
            for number in range(5):
                await client.servers.get(number)

        assert server.connections_total == 1

    async def test_a_response_that_nobody_asked_for_is_not_the_next_calls(self, server):
        """Two answers in the bytes of one: the second is thrown away, and the connection with it."""
        first, second = json(200, detail(7)), json(200, detail(666))
        server.answer("GET", "/servers/7/", raw(first.data + second.data, close=False))
        server.answer("GET", "/servers/8/", json(200, detail(8)))

        async with client_of(server) as client:
            seen = [(await client.servers.get(7)).id, (await client.servers.get(8)).id]

        assert seen == [7, 8]
        assert server.connections_total == 2

    async def test_never_more_than_allowed_also_while_calls_are_tried_again(self, server):
        """P1: open sockets are never more than `max_connections`, with every kind of failure on the way."""
        chance = random.Random(3)
        bad = [json(500, {}), drop(), drop(reset=True), json(503, {}), json(429, {}, {"Retry-After": "0"})]

        def answer(request):
            return chance.choice(bad) if chance.random() < 0.3 else json(200, detail(7))

        server.answer("GET", ANY_SERVER, answer)
        policy = RetryPolicy(attempts=20, initial=0.001, maximum=0.002, budget=10)
        client = client_of(server, max_connections=4, retry=policy)
        async with client, anyio.create_task_group() as group:
            for number in range(120):
                group.start_soon(client.servers.get, number)

        assert server.connections_peak <= 4
        assert len(server.requests) > 120

    async def test_never_more_than_allowed_also_to_several_origins(self, server):
        """P1: the one idle for longest makes room for a new one."""
        with RawServer() as second, RawServer() as third:
            for other in (second, third):
                other.answer("GET", "/", json(200, {}))
            async with client_of(server, max_connections=2) as client:
                await client.servers.get(1)
                await client.http.get(f"{second.base_url}/")
                await client.http.get(f"{third.base_url}/")
                await server.until(lambda: server.connections_open == 0)
                assert (second.connections_open, third.connections_open) == (1, 1)
                await client.http.get(f"{second.base_url}/")
                await client.servers.get(2)
                await third.until(lambda: third.connections_open == 0)

        assert (server.connections_total, second.connections_total, third.connections_total) == (2, 1, 1)

    async def test_connections_in_use_count_towards_the_number_allowed(self, server):
        """P1: an idle one makes room also where the others are on the wire."""
        server.answer("GET", "/servers/1/", hold(json(200, detail(1)), limiter := server.gate()))
        with RawServer() as other:
            other.answer("GET", "/", json(200, {}))
            async with client_of(server, max_connections=2) as client, anyio.create_task_group() as group:
                group.start_soon(client.servers.get, 1)
                await server.arrived(1)
                await client.http.get(f"{other.base_url}/")
                assert other.connections_open == 1
                await client.servers.get(2)
                await other.until(lambda: other.connections_open == 0)
                limiter.open()

        assert server.connections_peak == 2

    async def test_an_exchange_that_is_cancelled_or_fails_gives_its_place_back(self, server):
        """P1: else connections that may stay open would be closed."""
        server.answer("GET", "/servers/1/", hang())
        server.answer("GET", "/servers/2/", drop())
        with RawServer() as other:
            other.answer("GET", "/", json(200, {}))
            async with client_of(server, max_connections=2, retry=RetryPolicy.none()) as client:
                async with anyio.create_task_group() as group:
                    group.start_soon(client.servers.get, 1)
                    await server.arrived(1)
                    group.cancel_scope.cancel()
                with pytest.raises(APIConnectionError):
                    await client.servers.get(2)
                await client.servers.get(3)
                await client.http.get(f"{other.base_url}/")
                await client.servers.get(4)

        # One each for the first three calls; the fourth is made on that of the third.
        assert (server.connections_total, other.connections_total) == (3, 1)

    async def test_a_connection_that_the_server_closed_while_idle_is_replaced_unnoticed(self, server):
        async with client_of(server, retry=RetryPolicy.none()) as client:
            await client.servers.get(1)
            server.close_idle()
            await client.servers.get(2)

        assert server.connections_total == 2

    async def test_all_that_have_been_idle_for_too_long_are_closed_at_the_next_use(self, server):
        limiter = server.gate()
        server.answer("GET", "/servers/1/", hold(json(200, detail(1)), limiter))
        now = 100.0
        pool = ConnectionPool(httpx.create_ssl_context, now=lambda: now)

        async with client_of(server, transport=pool) as client:
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(client.servers.get, 1)
                await server.arrived(5)
                limiter.open()
            now += IDLE_SECONDS + 1
            await client.servers.get(2)
            await server.until(lambda: server.connections_open == 1)

        assert server.connections_total == 6

    @pytest.mark.parametrize(
        ("header", "used", "not_used"),
        [("timeout=5", 3.9, 4.1), ("timeout=1, max=100", 0.4, 0.6), ("max=5;Timeout = 10", 8.9, 9.1)],
    )
    @pytest.mark.parametrize("replaced", [False, True], ids=["own", "httpx's"])
    async def test_the_server_says_for_how_long_it_keeps_one(  # noqa: PLR0917 - a table's columns
        self, server, header, used, not_used, replaced, monkeypatch
    ):
        """R25: its FIN may be under way when the next request is sent."""
        if replaced:
            original = httpx.AsyncHTTPTransport.handle_async_request

            async def traced(transport, request):
                return await original(transport, request)

            monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", traced)
        server.answer("GET", ANY_SERVER, json(200, detail(7), {"Keep-Alive": header}))
        now = 100.0
        pool = ConnectionPool(httpx.create_ssl_context, now=lambda: now)

        async with client_of(server, transport=pool) as client:
            for pause in (0, used, not_used):
                now += pause
                await client.servers.get(7)

        assert [request.connection for request in server.requests] == [1, 1, 2]

    async def test_one_that_is_kept_for_no_time_is_closed(self, server):
        """R25: `timeout=0`."""
        server.answer("GET", ANY_SERVER, json(200, detail(7), {"Keep-Alive": "timeout=0"}))

        async with client_of(server) as client:
            await client.servers.get(7)
            await client.servers.get(7)

        assert [request.connection for request in server.requests] == [1, 2]

    async def test_connections_that_fail_are_forgotten(self):
        """P1: a connection refused leaves no turn behind."""
        with closed_port() as port:
            base_url = f"http://127.0.0.1:{port}/api/v1"
            async with Client("vps_test", base_url=base_url, retry=QUICK, max_connections=1) as client:
                for _ in range(3):
                    with pytest.raises(APIConnectionError) as caught:
                        await client.servers.get(7, timeout=5)

        assert caught.value.sent is False

    async def test_the_context_is_asked_for_once_and_shared_by_views(self):
        made = []

        def make():
            made.append(certificates().trust)
            return made[-1]

        with RawServer(tls=certificates().valid) as server:
            server.answer("GET", ANY_SERVER, json(200, detail(7)))
            client = client_of(server, transport=ConnectionPool(make))
            async with client, anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(client.servers.get, 7)
                    group.start_soon(client.with_options(timeout=5).servers.get, 7)

        assert len(made) == 1

    async def test_certificates_that_cannot_be_loaded_are_a_matter_of_configuration(self, server, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")

        async with Client("vps_test", base_url=server.base_url.replace("http:", "https:")) as client:
            with pytest.raises(ConfigurationError) as caught:
                await client.servers.get(7)

        assert str(caught.value) == (
            "the certificates to trust cannot be loaded: [Errno 2] No such file or directory; "
            "see SSL_CERT_FILE, SSL_CERT_DIR"
        )
        assert server.connections_total == 0


@given(st.none() | st.floats(0, 1e9))
def test_an_idle_connection_is_used_for_less_than_the_server_keeps_it(keep_alive):
    seconds = idle_seconds(keep_alive)

    assert 0 <= seconds <= IDLE_SECONDS
    assert keep_alive is None or seconds < keep_alive or keep_alive == seconds == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"timeout=5", 5),
        (b"max=5, timeout=15", 15),
        (b'TIMEOUT="7"', 7),
        (b"max=5", None),
        (b"timeout=", None),
        (b"timeout=-3", None),
        (b"timeout=soon", None),
        (b"xtimeout=5", None),
        (b"timeout=" + b"9" * 5000, 999_999_999),
    ],
)
def test_what_a_keep_alive_header_says(value, seconds):
    assert keep_alive_of(value) == seconds
