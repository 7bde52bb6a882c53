"""TLS over our socket: whatever pieces and records the bytes come in, all of them are received, and no more."""

from __future__ import annotations

import contextlib
import functools
import ssl
import threading

import anyio
import pytest
import trustme

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
        socket = stream_over(await anyio.connect_tcp("127.0.0.1", listener.extra(anyio.abc.SocketAttribute.local_port)))
        try:
            socket.open()
            yield await TLSStream.open(socket, host, trust or trusting())
        finally:
            await socket.aclose()
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
