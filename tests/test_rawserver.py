"""The raw server does to bytes what it is told, and leaves nothing behind."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
import threading

import anyio
import httpx
import pytest

from tests.helpers import ROOT
from tests.proxyserver import Passed, ProxyServer
from tests.rawserver import (
    RawServer,
    after,
    certificates,
    chunked,
    close_delimited,
    closed_port,
    cut,
    delayed,
    drip,
    drop,
    hang,
    hold,
    json,
    raw,
    text,
)


pytestmark = pytest.mark.anyio


def client_of(server, **options):
    return httpx.AsyncClient(base_url=server.base_url, trust_env=False, timeout=5, **options)


def speak(server, request=b"GET /api/v1/x/ HTTP/1.1\r\nHost: x\r\n\r\n"):
    """Send bytes, and return all that comes until the connection ends."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request)
        while data := connection.recv(65536):
            received += data
    return received


def shake_hands(server):
    """Connect with the stdlib's TLS, which names what is wrong on its own."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        certificates().trust.wrap_socket(connection, server_hostname="127.0.0.1").close()


class TestRules:
    async def test_an_exact_path_and_a_pattern_are_answered_and_the_rest_is_404(self, server):
        server.answer("GET", re.compile(r"/servers/\d+/"), json(200, {"by": "pattern"}))
        server.answer("GET", "/servers/7/", json(200, {"by": "path"}))

        async with client_of(server) as client:
            answers = [await client.get(f"/servers/{name}/") for name in ("7", "8", "x")]

        assert [(answer.status_code, answer.json()) for answer in answers] == [
            (200, {"by": "path"}),
            (200, {"by": "pattern"}),
            (404, {"detail": "Not found."}),
        ]

    async def test_of_several_answers_the_last_one_stays(self, server):
        server.answer("GET", "/x/", [json(500, {}), text(502, "<html>", "text/html"), json(200, {})])

        async with client_of(server) as client:
            assert [(await client.get("/x/")).status_code for _ in range(4)] == [500, 502, 200, 200]

    async def test_a_response_is_computed_from_the_request(self, server):
        server.answer("POST", "/servers/", lambda request: json(201, {"echo": request.json, "q": request.query}))

        async with client_of(server) as client:
            answer = await client.post("/servers/", params={"a": "1"}, json={"name": "web"})

        assert answer.json() == {"echo": {"name": "web"}, "q": {"a": "1"}}
        [request] = server.requests_to("POST", "/servers/")
        assert (request.body, request.headers["host"]) == (b'{"name":"web"}', f"127.0.0.1:{server.port}")
        assert server.requests_to("GET") == []

    async def test_a_body_in_chunks_is_put_together(self, server):
        async def chunks():
            yield b"ab"
            yield b"c"

        async with client_of(server) as client:
            await client.post("/x/", content=chunks())

        assert server.requests[0].body == b"abc"

    async def test_a_mistake_in_a_computed_answer_is_told_at_the_end(self):
        with pytest.raises(ExceptionGroup) as caught, RawServer() as server:
            server.answer("GET", "/x/", lambda request: 1 / 0)
            async with client_of(server) as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get("/x/")

        assert caught.group_contains(ZeroDivisionError)


class TestReplies:
    async def test_whole_answers_of_every_framing_are_read(self, server):
        whole = [
            json(204, None),
            chunked(200, [b"a", b"bc"]),
            close_delimited(200, b"abc"),
            drip(json(200, "slow"), 3),
            raw(b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok", close=False),
            delayed(0.001, json(200, 1)),
        ]
        server.answer("GET", "/x/", whole)

        async with client_of(server) as client:
            assert [(await client.get("/x/")).text for _ in whole] == ["", "abc", "abc", '"slow"', "ok", "1"]

    def test_a_cut_answer_has_exactly_so_many_bytes(self, server):
        reply = json(200, {"a": 1})
        server.answer("GET", "/x/", [cut(reply, 9), cut(reply, -3), chunked(200, [b"ab"], end=False)])

        assert speak(server) == b"HTTP/1.1 "
        assert speak(server) == reply.data[:-3]
        assert speak(server).endswith(b"\r\n2\r\nab\r\n")

    @pytest.mark.parametrize("reply", [drop(reset=True), cut(json(200, {}), 5, reset=True)])
    def test_a_reset_is_a_reset(self, server, reply):
        server.answer("GET", "/x/", reply)

        with pytest.raises(ConnectionResetError):
            while speak(server):
                pass

    def test_a_dropped_request_was_read(self, server):
        server.answer("GET", "/x/", drop())

        assert speak(server) == b""
        assert len(server.requests) == 1

    async def test_a_hang_lasts_until_the_client_leaves(self, server):
        server.answer("GET", "/x/", hang())

        async with client_of(server) as client:
            with anyio.move_on_after(5) as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(client.get, "/x/")
                    await server.arrived(1, "GET", "/x/")
                    group.cancel_scope.cancel()
            await server.until(lambda: server.connections_open == 0)

        assert not scope.cancelled_caught

    async def test_a_held_answer_comes_when_the_gate_is_opened_and_takes_effect_even_if_the_client_left(self, server):
        limiter, done = server.gate(), threading.Event()
        server.answer("GET", "/x/", hold(after(done.set, json(200, {})), limiter))

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(client.get, "/x/")
            await server.arrived()
            group.cancel_scope.cancel()
        await server.until(lambda: server.connections_open == 0)
        assert not done.is_set()
        limiter.open()

        assert done.wait(60)

    async def test_arrived_gives_up_with_a_timeout(self, server):
        with pytest.raises(TimeoutError):
            await server.until(lambda: server.requests, timeout=0.01)


class TestConnections:
    async def test_connections_are_kept_and_counted(self, server):
        server.answer("GET", "/x/", json(200, {}))

        async with client_of(server) as client:
            await client.get("/x/")
            await client.get("/x/")
            assert (server.connections_open, server.connections_total) == (1, 1)
            server.close_idle()
            assert server.connections_open == 0
            await client.get("/x/")

        await server.until(lambda: server.connections_open == 0)
        assert (server.connections_peak, server.connections_total) == (1, 2)
        assert [request.connection for request in server.requests] == [1, 1, 2]

    async def test_the_first_connections_are_refused_and_the_next_is_not(self, server):
        server.refuse_first(2)
        server.answer("GET", "/x/", json(200, {}))

        async with client_of(server) as client:
            for _ in range(2):
                with pytest.raises(httpx.TransportError):
                    await client.get("/x/")
            assert (await client.get("/x/")).status_code == 200

        assert len(server.requests) == 1

    def test_a_closed_port_refuses(self):
        with closed_port() as port, pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


class TestTLS:
    async def test_a_trusted_certificate_is_accepted(self):
        with RawServer(tls=certificates().valid) as server:
            server.answer("GET", "/x/", json(200, {}))
            async with client_of(server, verify=certificates().trust) as client:
                assert (await client.get("/x/")).status_code == 200
                server.close_idle()
                assert (await client.get("/x/")).status_code == 200

    @pytest.mark.parametrize("kind", ["expired", "wrong_host", "unknown"])
    def test_a_bad_certificate_is_not(self, kind):
        with RawServer(tls=getattr(certificates(), kind)) as server, pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server)

        assert server.requests == []

    def test_a_connection_closed_before_the_handshake_is_not_answered(self):
        with RawServer(tls=certificates().valid) as server:
            server.refuse_first(1)
            with pytest.raises(OSError, match=r"EOF|reset"):
                shake_hands(server)


class TestProxy:
    async def test_a_plain_request_is_forwarded(self, server):
        server.answer("POST", "/x/", lambda request: json(200, request.json))

        with ProxyServer(redirect={"api.example": server.port}) as proxy:
            async with httpx.AsyncClient(proxy=proxy.url, trust_env=False) as client:
                answer = await client.post("http://api.example/api/v1/x/", json=[1])

        assert answer.json() == [1]
        assert [(one.method, one.target) for one in proxy.passed] == [("POST", "http://api.example/api/v1/x/")]

    async def test_a_tunnel_carries_tls(self):
        with RawServer(tls=certificates().valid) as server, ProxyServer() as proxy:
            server.answer("GET", "/x/", json(200, {}))
            async with client_of(server, proxy=proxy.url, verify=certificates().trust) as client:
                assert (await client.get("/x/")).status_code == 200

            [passed] = proxy.passed
            assert isinstance(passed, Passed)
            assert (passed.method, passed.target) == ("CONNECT", f"127.0.0.1:{server.port}")
            assert "authorization" not in passed.headers


def test_nothing_is_left_behind_and_nobody_is_warned():
    story = (
        "import socket, tests.rawserver as r\n"
        "with r.RawServer() as s, r.RawServer(tls=r.certificates().valid) as t:\n"
        "    s.answer('GET', '/x/', r.hang()); c = socket.create_connection(('127.0.0.1', s.port))\n"
        "    c.sendall(b'GET /api/v1/x/ HTTP/1.1\\r\\n\\r\\n'); d = socket.create_connection(('127.0.0.1', t.port))\n"
        "c.close(); d.close(); assert __import__('threading').active_count() == 1\n"
    )

    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", story], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")
