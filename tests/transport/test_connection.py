"""One connection: what it leaves behind for the next call, and what it never sends."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading

import anyio
import httpx
import pytest

from tests.helpers import detail
from tests.helpers_api import TOKEN, client_of
from tests.rawserver import LoopThread, RawServer, ScriptedServer, certificates, drip, hang, json, raw
from vpsorg_async import APIConnectionError, APIStatusError, Client, OutcomeUnknownError, ResponseError
from vpsorg_async._transport import direct_stream
from vpsorg_async._transport.pool import ConnectionPool
from vpsorg_async._transport.types import RawRequest, nobody, origin_of


pytestmark = pytest.mark.anyio

GOOD = json(200, detail(7)).data
AT_ONCE = 64 * 1024
FOREIGN = json(200, detail(666)).data


@pytest.fixture(params=["direct", "public"])
def way(request, monkeypatch):
    """Each test runs as it is, and as where a private name of anyio's is missing."""
    if request.param == "public":
        monkeypatch.setattr(direct_stream, "missing_names", lambda _stream: ["_transport"])


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request):
    return request.param


@pytest.fixture
def server(tls, way):
    with RawServer(tls=certificates().valid if tls else None) as running:
        running.answer("GET", "/servers/8/", json(200, detail(8)))
        yield running


def client(server, **options):
    return client_of(server, ssl_context=certificates().trust, **options)


class TestUnasked:
    @pytest.mark.parametrize(
        "unasked", [FOREIGN, b"x", b"\r\n\r\n", bytes(200_000)], ids=["answer", "x", "lines", "much"]
    )
    @pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
    async def test_bytes_that_nobody_asked_for_are_nobody_s_answer(self, server, unasked, apart):
        """P1: whether they come with the response or after it, they end the connection, and no call sees them."""
        reply = raw(GOOD + unasked, close=False)
        server.answer("GET", "/servers/7/", drip(reply, len(GOOD)) if apart else reply)

        async with client(server) as asking:
            for turn in range(10):
                first = await asking.servers.get(7)
                await server.until(lambda done=2 * turn + 1: server.performed >= done)
                second = await asking.servers.get(8)

                assert (first.id, second.id) == (7, 8)
                await server.until(lambda done=2 * turn + 2: server.performed >= done)

    async def test_nor_do_those_that_were_read_with_the_response(self, server):
        """P1: a response that ends where a piece of what was read ends; the rest stands in a queue of anyio's."""
        one = json(200, detail(7, hostname="x" * 60_000)).data
        whole = json(200, detail(7, hostname="x" * (60_000 + AT_ONCE - len(one)))).data
        assert len(whole) == AT_ONCE
        server.answer("GET", "/servers/7/", raw(whole + FOREIGN, close=False))

        async with client(server) as asking:
            for turn in range(10):
                first = await asking.servers.get(7)
                await server.until(lambda done=2 * turn + 1: server.performed >= done)
                second = await asking.servers.get(8)

                assert (first.id, second.id) == (7, 8)
                await server.until(lambda done=2 * turn + 2: server.performed >= done)

    async def test_a_response_longer_than_a_read_is_not_left_half_way(self, server):
        """The next call's answer begins where this one's ends."""
        long = json(200, detail(7, hostname="x" * 1_000_000))
        server.answer("GET", "/servers/7/", [long, json(200, detail(7))])

        async with client(server) as asking:
            first, second = await asking.servers.get(7), await asking.servers.get(7)

        assert (len(first.hostname), second.hostname) == (1_000_000, detail()["hostname"])
        assert [request.connection for request in server.requests] == [1, 1]


class TestEnded:
    async def test_a_goodbye_that_came_with_the_response_ends_the_connection(self):
        """R18: TLS's own, read together with the response, while the socket stays open and has nothing more to read."""
        events = []
        with GoodbyeServer() as server:
            async with client(server, on_event=events.append) as asking:
                first = await asking.servers.get(7)
                second = await asking.servers.get(7)

        assert (first.id, second.id) == (7, 7)
        assert server.connections_total == 2
        assert "call.attempt" not in [event.name for event in events]


class GoodbyeServer(LoopThread):
    """Responses one request of each connection, and says goodbye in the same bytes; closes when the other side does."""

    def __init__(self):
        super().__init__()
        self.base_url = f"https://127.0.0.1:{self.port}/api/v1"

    async def _serve(self, client, peer):
        await asyncio.get_running_loop().connect_accepted_socket(lambda: peer, client)
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certificates().valid.wrap_bio(received, sent, server_side=True)

        async def until_done(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    peer.write(sent.read())
                    received.write(await peer.reader.read(65536))

        await until_done(tls.do_handshake)
        await until_done(lambda: tls.read(65536))
        tls.write(GOOD)
        # It waits for the other side's goodbye, having written its own.
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        peer.write(sent.read())
        await peer.gone.wait()


class TestSending:
    @pytest.mark.parametrize(
        "headers",
        [
            {"X-A": "a\r\nX-B: b"},
            {"X-A": "a\nb"},
            {"X-A": "a\x00b"},
            {"X-A\r\nX-B": "b"},
            {"X A": "b"},
            {"": "b"},
            {"X-A": " a"},
        ],
    )
    async def test_a_header_that_would_be_read_otherwise_is_not_sent(self, server, headers):
        """T3: by hand, on the client underneath."""
        async with client(server) as asking:
            with pytest.raises(APIConnectionError, match="a character that it must not have") as caught:
                await asking.http.get("/servers/8/", headers=headers)

        assert caught.value.sent is False
        assert server.requests == []

    @pytest.mark.parametrize("method", ["GET /x HTTP/1.1\r\nX-A:", "G ET", "GÉT"])
    async def test_nor_is_a_method(self, server, method):
        """T3: the same."""
        async with client(server) as asking:
            with pytest.raises(APIConnectionError, match="a character that it must not have"):
                await asking.http.request(method, "/servers/8/")

        assert server.requests == []

    async def test_a_body_in_pieces_arrives_whole(self, server):
        server.answer("PUT", "/x/", json(200, {}))

        async def pieces():
            yield b"one "
            yield b""
            yield b"two"

        async with client(server) as asking:
            await asking.http.put("/x/", content=pieces())
            await asking.http.put("/x/", content=pieces(), headers={"Content-Length": "7"})

        assert [request.body for request in server.requests] == [b"one two", b"one two"]

    async def test_a_body_that_fails_is_not_sent_by_halves(self, server):
        async def pieces():
            yield b"one "
            raise LookupError("no more")

        async with client(server) as asking:
            with pytest.raises(LookupError, match="no more"):
                await asking.http.put("/x/", content=pieces())

        assert server.requests == []

    async def test_a_large_body_is_sent_whole(self, server):
        server.answer("POST", "/x/", json(200, {}))

        async with client(server) as asking:
            await asking.http.post("/x/", content=bytes(5_000_000))

        assert len(server.requests[0].body) == 5_000_000

    async def test_a_head_has_no_body_and_the_connection_goes_on(self, server):
        server.answer("HEAD", "/servers/8/", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", close=False))

        async with client(server) as asking:
            assert (await asking.http.head("/servers/8/")).status_code == 200
            assert (await asking.servers.get(8)).id == 8

        assert [request.connection for request in server.requests] == [1, 1]


class TestEarlyResponse:
    @pytest.mark.parametrize("method", ["PUT", "POST"])
    async def test_the_answer_to_a_request_that_is_not_read_is_seen(self, method, way, tls):
        """R33: the server answers after the head, reads no more, and keeps the connection."""

        async def refuse(peer):
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.transport.pause_reading()
            peer.write(json(413, {"detail": "Too large."}).data)
            await asyncio.sleep(20)

        with ScriptedServer(refuse, tls=certificates().valid if tls else None) as refusing:
            async with client(refusing, timeout=10) as asking:
                with pytest.raises(APIStatusError, match=r"was answered 413: Too large\.") as caught:
                    await asking.request(method, "/x/", json={"x": "y" * 20_000_000})

            assert refusing.connections_total == 1
        assert caught.value.attempts == 1

    async def test_its_connection_is_not_used_again(self, way, tls):
        """R33: the rest of the request never came, so the next one would be read as that."""

        async def answer(peer):
            while True:
                head = await peer.reader.readuntil(b"\r\n\r\n")
                early = head.startswith(b"PUT")
                if early:
                    peer.transport.pause_reading()
                peer.write(json(200, detail(7)).data)
                if early:
                    await peer.gone.wait()

        with ScriptedServer(answer, tls=certificates().valid if tls else None) as answering:
            async with client(answering, timeout=10) as asking:
                response = await asking.request("PUT", "/x/", json={"x": "y" * 20_000_000})
                found = await asking.servers.get(7)

            assert answering.connections_total == 2
        assert (response.status_code, found.id) == (200, 7)

    async def test_one_that_comes_after_the_whole_request_keeps_the_connection(self, server):
        """R33: a large body is no reason to open another."""
        server.answer("PUT", "/x/", json(200, {}))

        async with client(server) as asking:
            for _ in range(2):
                await asking.request("PUT", "/x/", json={"x": "y" * 5_000_000})

        assert [request.connection for request in server.requests] == [1, 1]

    async def test_a_cancel_while_it_is_sent_closes_the_connection(self, way, tls):
        """P1: nobody goes on sending."""
        stalled = threading.Event()

        async def stall(peer):
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.transport.pause_reading()
            stalled.set()
            await asyncio.sleep(20)

        with ScriptedServer(stall, tls=certificates().valid if tls else None) as stalling:
            asking = client(stalling, timeout=None, attempt_timeout=None)
            async with asking, anyio.create_task_group() as group:
                group.start_soon(lambda: asking.request("PUT", "/x/", json={"x": "y" * 20_000_000}))
                assert await anyio.to_thread.run_sync(stalled.wait, 60)
                group.cancel_scope.cancel()

            assert stalling.connections_total == 1


class TestExcess:
    """Memory is bounded by what is read, so the server counts what it could send."""

    @staticmethod
    async def sent(begin, piece):
        """Return how much of an endless answer left the server, and the error of the call."""
        left = 0

        async def flood(peer):
            nonlocal left
            writer = asyncio.StreamWriter(peer.transport, peer, peer.reader, asyncio.get_running_loop())
            await peer.reader.readuntil(b"\r\n\r\n")
            writer.write(begin)
            while left < 64 * 1024 * 1024 and not peer.transport.is_closing():
                writer.write(piece)
                left += len(piece)
                await writer.drain()

        with ScriptedServer(flood) as flooding:
            async with client(flooding) as asking:
                with pytest.raises(ResponseError) as caught:
                    await asking.servers.get(7)
        return left, str(caught.value)

    @pytest.mark.parametrize("piece", [b"a" * 65536, b"\r\nX-A: b"], ids=["one without end", "many"])
    async def test_trailers_without_end(self, way, piece):
        """R32: 64 MiB behind the last piece of the body."""
        left, error = await self.sent(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-T: ", piece
        )

        assert error == "GET /servers/7/: the response's trailers are larger than 100 KiB"
        assert left < 32 * 1024 * 1024

    async def test_interim_answers_without_end(self, way):
        """R32: a thousand and more of them."""
        left, error = await self.sent(b"", b"HTTP/1.1 102 Processing\r\n\r\n")

        assert error == "GET /servers/7/: there are more than 100 interim responses before the response"
        assert left < 32 * 1024 * 1024

    @pytest.mark.parametrize("piece", [b"a" * 1000, b"\r\nX-A: " + b"a" * 1000], ids=["one header", "many"])
    async def test_a_head_without_end(self, way, piece):
        """R32: a header of more than 1 MiB, in pieces."""
        left, error = await self.sent(b"HTTP/1.1 200 OK\r\nX-T: ", piece)

        assert error == "GET /servers/7/: the response's headers are larger than 64 KiB"
        assert left < 32 * 1024 * 1024

    async def test_a_few_interim_answers_are_none(self, server):
        """R32: a server that takes its time says so now and then."""
        server.answer("GET", "/servers/7/", raw(b"HTTP/1.1 102 Processing\r\n\r\n" * 90 + GOOD, close=False))

        async with client(server) as asking:
            assert (await asking.servers.get(7)).id == 7


class TestCancelling:
    async def test_a_cancel_before_the_first_byte_sends_none(self, server):
        """P1: it is noticed when the connection is there, and not only behind the sending, which never waits."""
        phases = []
        raw_request = RawRequest(
            "GET",
            httpx.URL(f"{server.base_url}/servers/8/"),
            origin_of(httpx.URL(server.base_url)),
            [(b"Host", b"127.0.0.1")],
            httpx.ByteStream(b""),
            {},
        )
        pool = ConnectionPool(lambda: certificates().trust)
        try:
            await pool.round_trip(raw_request, nobody)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await pool.round_trip(raw_request, phases.append)
        finally:
            await pool.aclose()
        await server.until(lambda: server.connections_open == 0)

        assert (phases, len(server.requests)) == ([], 1)

    async def test_a_cancelled_call_s_answer_goes_to_nobody(self, server):
        """P1: its connection is closed."""
        server.answer("GET", "/servers/7/", hang())

        async with client(server) as asking:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(asking.servers.get, 7)
                await server.arrived(1)
                tasks.cancel_scope.cancel()
            assert (await asking.servers.get(8)).id == 8

        assert [request.connection for request in server.requests] == [1, 2]

    async def test_a_cancel_within_the_handshake_leaves_no_socket(self):
        """P1: of TLS, with one who accepts and says nothing."""
        hello, ended = anyio.Event(), anyio.Event()

        async def accept(stream):
            async with stream:
                await stream.receive()
                hello.set()
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
            ended.set()

        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, accept)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with Client(TOKEN, base_url=f"https://127.0.0.1:{port}/api/v1") as asking:
                async with anyio.create_task_group() as calls:
                    calls.start_soon(asking.servers.get, 7)
                    await hello.wait()
                    calls.cancel_scope.cancel()
                with anyio.fail_after(20):
                    await ended.wait()
            tasks.cancel_scope.cancel()


async def test_a_create_whose_sending_broke_may_have_been_carried_out(server):
    """C5: from the first byte on."""
    server.answer("POST", "/x/", raw(b"", close=True))

    async with client(server) as asking:
        with pytest.raises(OutcomeUnknownError):
            await asking.http.post("/x/", content=b"12345")

    assert len(server.requests) == 1
    assert isinstance(asking.http, httpx.AsyncClient)
