"""TLS over our socket: whatever pieces and records the bytes come in, all of them are received, and no more."""

from __future__ import annotations

import contextlib
import functools
import ssl
import threading

import anyio
import httpx
import pytest
import trustme

from tests.helpers import detail
from tests.proxyserver import ProxyServer
from tests.rawserver import RawServer, ScriptedServer, json
from vpsorg_async import APIConnectionError, Client, OutcomeUnknownError, RetryPolicy, VPSError
from vpsorg_async._transport.direct_stream import stream_over
from vpsorg_async._transport.tls import TLSStream


pytestmark = pytest.mark.anyio

RECORDS = [b"first", b"x" * 16_384, b"y" * 40_000, b"", b"last"]


@functools.cache
def authority():
    return trustme.CA()


@functools.cache
def trusting():
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def server_of(host):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(host).configure_cert(context)
    return context


class Other:
    """The other side: what it writes leaves when it is sent, so that a test says in which pieces."""

    def __init__(self, stream, context):
        self.stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def shake_hands(self):
        """Leave its last words of it unsent: tickets, and before TLS 1.3 what the client waits for."""
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.session.do_handshake()
                return
            await self.send()
            self._incoming.write(await self.stream.receive())

    async def receive(self):
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                return self.session.read(65_536)
            self._incoming.write(await self.stream.receive())

    def say_goodbye(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.session.unwrap()

    async def send(self, size=None):
        """Send all that was written, in pieces of *size* bytes."""
        data = self._outgoing.read()
        for begin in range(0, len(data), size or len(data) or 1):
            await self.stream.send(data[begin : begin + (size or len(data))])


@contextlib.asynccontextmanager
async def connected(handle, *, host="127.0.0.1", server=None, trust=None):
    """Give a stream to the other side, which *handle* is told of, and which ends when it returns."""

    async def serve(stream):
        async with stream:
            other = Other(stream, server or server_of("127.0.0.1"))
            await other.shake_hands()
            await handle(other)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        stream = stream_over(await anyio.connect_tcp("127.0.0.1", listener.extra(anyio.abc.SocketAttribute.local_port)))
        try:
            stream.open()
            yield await TLSStream.open(stream, host, trust or trusting())
        finally:
            await stream.aclose()
            group.cancel_scope.cancel()


async def everything(stream, max_bytes):
    received = b""
    with contextlib.suppress(anyio.EndOfStream):
        while True:
            piece = await stream.receive(max_bytes)
            assert 1 <= len(piece) <= max_bytes
            received += piece
    return received


@pytest.mark.parametrize("goodbye", [True, False])
@pytest.mark.parametrize("max_bytes", [100, 20_000, 65_536])
@pytest.mark.parametrize("size", [None, 1_000, 16_384 + 22])
async def test_all_is_received_and_its_end_is_seen(size, max_bytes, goodbye):
    async def handle(other):
        for record in RECORDS:
            other.session.write(record)
        if goodbye:
            other.say_goodbye()
        await other.send(size)

    async with connected(handle) as stream:
        assert await everything(stream, max_bytes) == b"".join(RECORDS)


async def test_byte_by_byte():
    async def handle(other):
        other.session.write(b"an answer")
        await other.send(1)

    async with connected(handle) as stream:
        assert await everything(stream, 65_536) == b"an answer"


@pytest.mark.parametrize("max_bytes", [3, 65_536])
@pytest.mark.parametrize("more", ["a record", "a part of one", "the goodbye"])
async def test_it_is_not_quiet_with_more_behind_what_was_received(more, max_bytes):
    """R18: whatever it is, it would be taken for the next call's answer, or is the end."""

    async def handle(other):
        other.session.write(b"answer")
        await other.send()
        await other.receive()
        other.session.write(b"answer")
        if more == "the goodbye":
            other.say_goodbye()
        else:
            other.session.write(b"unasked")
        data = other._outgoing.read()
        await other.stream.send(data[:-3] if more == "a part of one" else data)
        await anyio.sleep_forever()

    async with connected(handle) as stream:
        received = b""
        while received != b"answer":
            received += await stream.receive(max_bytes)
            assert stream.is_quiet == (received == b"answer")
        await stream.send(b"more")
        assert await stream.receive(6) == b"answer"
        assert not stream.is_quiet


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_what_comes_together_with_the_end_of_the_handshake_is_not_forgotten(version):
    """Of one who answers before he is asked, and leaves."""
    server = server_of("127.0.0.1")
    server.maximum_version = version

    async def handle(other):
        other.session.write(b"go away")
        await other.send()

    async with connected(handle, server=server) as stream:
        assert await everything(stream, 65_536) == b"go away"


async def test_more_than_the_system_takes_at_once_arrives_whole():
    item = bytes(range(256)) * 40_000
    received = []
    done = anyio.Event()

    async def handle(other):
        await other.send()
        while sum(map(len, received)) < len(item):
            received.append(await other.receive())
        done.set()

    async with connected(handle) as stream:
        await stream.send(item)
        await done.wait()
        assert b"".join(received) == item


@pytest.mark.parametrize("host", ["bücher.example", "faß.example", "sandbox.example"])
async def test_a_name_is_proven_in_the_form_that_httpx_asks_for(host):
    """The ssl module's own would be another server's: `fass.example`."""

    async def handle(other):
        other.session.write(b"it is me")
        await other.send()

    async with connected(handle, host=host, server=server_of(host)) as stream:
        assert await everything(stream, 65_536) == b"it is me"


async def test_http_1_1_is_agreed_on():
    server = server_of("127.0.0.1")
    server.set_alpn_protocols(["h2", "http/1.1"])
    agreed = []

    async def handle(other):
        agreed.append(other.session.selected_alpn_protocol())
        await other.send()

    async with connected(handle, server=server) as stream:
        await everything(stream, 65_536)
    assert agreed == ["http/1.1"]


async def test_a_context_of_another_kind_does_not_hold_up_the_loop():
    """It may poll for certificates in files, or ask the system for them."""
    threads = []

    class Context(ssl.SSLContext):
        def wrap_bio(self, *args, **kwargs):
            threads.append(threading.current_thread())
            return super().wrap_bio(*args, **kwargs)

    trust = Context(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(trust)

    async def handle(other):
        other.session.write(b"hello")
        await other.send()

    async with connected(handle, trust=trust) as stream:
        assert await everything(stream, 65_536) == b"hello"
    assert threads != []
    assert threading.current_thread() not in threads


class TestClientCertificate:
    """The server asks for a certificate that this client does not have."""

    @pytest.fixture(params=[True, False], ids=["own", "replaced"])
    def way(self, request, monkeypatch):
        """Each test runs by our own connection, and by httpx's, as where a tracer has replaced a part of it."""
        if not request.param:
            original = httpx.AsyncHTTPTransport.handle_async_request

            async def traced(self, request):
                return await original(self, request)

            monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", traced)

    @staticmethod
    async def error_of(server, **options):
        context = ssl.create_default_context()
        authority().configure_trust(context)
        options = {"ssl_context": context, "timeout": 3, "retry": RetryPolicy(initial=0.01), **options}
        async with Client("vps_test", base_url=server.base_url, **options) as client:
            with pytest.raises(VPSError) as caught:
                await client.servers.create(name="a", plan_id=1, os_id=1, location="x")
        return caught.value

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
    async def test_a_server_that_asks_for_one_has_executed_nothing(self, version, way):
        """R22: with TLS 1.3 it says so after our handshake, and after we have sent."""
        context = server_of("127.0.0.1")
        context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, version
        authority().configure_trust(context)

        with ScriptedServer(functools.partial(speaking, context), tls=None) as server:
            server.base_url = server.base_url.replace("http", "https")
            error = await self.error_of(server)

            assert server.connections_total == 1
        assert type(error) is APIConnectionError
        assert error.sent is False
        assert str(error).startswith(
            f"POST /servers/: 127.0.0.1:{server.port} refused the client certificate, or asks for one"
        )

    async def test_one_that_the_server_does_not_know(self, way):
        """R22: unknown authority."""
        context = server_of("127.0.0.1")
        context.verify_mode = ssl.CERT_REQUIRED
        authority().configure_trust(context)
        mine = ssl.create_default_context()
        authority().configure_trust(mine)
        trustme.CA().issue_cert("me@example").configure_cert(mine)

        with ScriptedServer(functools.partial(speaking, context)) as server:
            server.base_url = server.base_url.replace("http", "https")
            error = await self.error_of(server, ssl_context=mine)

        assert error.sent is False
        assert str(error).endswith("certificate refused: unknown ca")

    async def test_another_alert_after_sending_leaves_doubt(self, way):
        """R22: a record that arrived broken says nothing of what was read before it."""
        context = server_of("127.0.0.1")
        with ScriptedServer(functools.partial(speaking, context, breaks=True)) as server:
            server.base_url = server.base_url.replace("http", "https")
            error = await self.error_of(server)

        assert type(error) is OutcomeUnknownError


async def speaking(context, peer, *, breaks=False):
    """Shake hands and read, sending what the session says; with *breaks*, flip a bit of what comes after that."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_side=True)
    step = session.do_handshake
    while True:
        try:
            step()
            step = functools.partial(session.read, 1)
        except ssl.SSLWantReadError:
            peer.write(outgoing.read())
            data = bytearray(await peer.reader.read(65_536))
            if not data:
                return
            if breaks and step != session.do_handshake:
                data[-1] ^= 1
            incoming.write(data)
        except ssl.SSLError:
            peer.write(outgoing.read())
            await peer.gone.wait()
            return


class TestLastDot:
    @pytest.mark.parametrize("way", ["own", "replaced", "proxy"])
    async def test_the_name_is_verified_and_asked_for_without_it(self, way, monkeypatch):
        """R28: a complete name ends in a dot, a certificate's never does."""
        asked = []
        context = server_of("localhost")
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        if way == "replaced":
            original = httpx.AsyncHTTPTransport.handle_async_request

            async def traced(self, request):
                return await original(self, request)

            monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", traced)
        with RawServer(tls=context) as server, ProxyServer() as proxy:
            server.answer("GET", "/servers/7/", json(200, detail(7)))
            async with Client(
                "vps_live_0123456789",
                base_url=f"https://localhost.:{server.port}/api/v1",
                ssl_context=trusting(),
                proxy=proxy.url if way == "proxy" else None,
                retry=RetryPolicy.none(),
            ) as client:
                found = await client.servers.get(7)

        assert (found.id, asked) == (7, ["localhost"])
        assert server.requests[0].headers["host"] == f"localhost.:{server.port}"
        assert server.requests[0].headers["authorization"] == "Bearer vps_live_0123456789"

    async def test_a_certificate_for_another_name_is_refused_as_ever(self):
        """R28: the name is checked."""
        with RawServer(tls=server_of("elsewhere.example")) as server:
            async with Client(
                "vps_test",
                base_url=f"https://localhost.:{server.port}/api/v1",
                ssl_context=trusting(),
                retry=RetryPolicy.none(),
            ) as client:
                with pytest.raises(APIConnectionError, match="certificate does not verify"):
                    await client.servers.get(7)
