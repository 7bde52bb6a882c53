"""Streams, direct and by public names alone: nothing goes to another file, and nothing that came is overlooked."""

from __future__ import annotations

import os
import select
import types

import anyio
import httpx
import pytest

from tests.rawserver import raw
from vpsorg_async._transport import direct_stream
from vpsorg_async._transport.direct_stream import MOST_UNREAD, DirectStream, stream_over
from vpsorg_async._transport.stream import Stream


pytestmark = pytest.mark.anyio

# As it is, also where a test replaces it.
MISSING = direct_stream.missing_names


@pytest.fixture(autouse=True, params=["direct", "public"])
def way(request, monkeypatch):
    """Each test runs as it is, and as where a private name is missing."""
    if request.param == "public":
        monkeypatch.setattr(direct_stream, "missing_names", lambda _stream: ["_transport"])
    return request.param


async def connected(server):
    stream = await anyio.connect_tcp("127.0.0.1", httpx.URL(server.base_url).port)
    socket = stream_over(stream)
    socket.open()
    return socket, stream


def files(count):
    """Return so many pipes, which take the numbers of what was closed before."""
    pipes = [os.pipe() for _ in range(count)]
    for read, _ in pipes:
        os.set_blocking(read, False)
    return pipes


def came(socket):
    return select.select([socket._raw.fileno()], [], [], 0)[0]


async def listening(group, handle):
    """Return a socket whose other side is *handle*'s, for as long as *group* runs."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    group.start_soon(serve, listener, handle)
    stream = await anyio.connect_tcp("127.0.0.1", listener.extra(anyio.abc.SocketAttribute.local_port))
    socket = stream_over(stream)
    socket.open()
    return socket


async def serve(listener, handle):
    async with listener:
        await listener.serve(handle)


async def with_its_number_taken(server, closed_by):
    """Return a closed socket, and pipes of which one has the number of its file now."""
    for _ in range(20):
        socket, stream = await connected(server)
        number = stream.extra(anyio.abc.SocketAttribute.raw_socket).fileno()
        await (socket if closed_by == "itself" else stream).aclose()
        pipes = files(10)
        if number in {one for pipe in pipes for one in pipe}:
            return socket, pipes
        # The thread of the server was faster.
        for one in [one for pipe in pipes for one in pipe]:
            os.close(one)
        await socket.aclose()
    pytest.fail("something else took its number 20 times")


@pytest.mark.parametrize("closed_by", ["itself", "what is underneath"])
async def test_nothing_is_written_to_the_file_that_has_its_number_now(server, closed_by):
    socket, pipes = await with_its_number_taken(server, closed_by)
    try:
        with pytest.raises(anyio.ClosedResourceError):
            await socket.send(b"not for you")

        for read, _ in pipes:
            with pytest.raises(BlockingIOError):
                os.read(read, 100)
    finally:
        for pipe in pipes:
            for one in pipe:
                os.close(one)
    assert not socket.is_quiet
    await socket.aclose()


async def test_what_the_system_takes_only_a_part_of_arrives_whole_and_in_order(server):
    received = []

    async def read(stream):
        async with stream:
            while sum(map(len, received)) < 20_000_003:
                received.append(await stream.receive())

    async with anyio.create_task_group() as group:
        socket = await listening(group, read)
        await socket.send(b"a" * 10_000_000 + b"b" * 10_000_000)
        await socket.send(b"end")
        while sum(map(len, received)) < 20_000_003:
            await anyio.wait_all_tasks_blocked()
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
        await socket.aclose()

    whole = b"".join(received)
    assert (whole[:10_000_000].strip(b"a"), whole[10_000_000:].strip(b"b")) == (b"", b"end")


async def test_a_flood_that_nobody_reads_is_held_back_and_lost_is_none_of_it(server):
    """What lies here is bounded; what the other side sent arrives when it is asked for."""
    size = 30_000_000

    async def flood(stream):
        async with stream:
            await stream.send(b"a" * size)

    async with anyio.create_task_group() as group:
        socket = await listening(group, flood)
        for _ in range(200):
            await anyio.wait_all_tasks_blocked()
            await anyio.lowlevel.checkpoint()
        unread = sum(map(len, socket._unread)) if isinstance(socket, DirectStream) else 0
        received = 0
        assert not socket.is_quiet
        with pytest.raises(anyio.EndOfStream):
            while True:
                received += len(await socket.receive())
        group.cancel_scope.cancel()
        await socket.aclose()

    assert unread <= 2 * MOST_UNREAD
    assert received == size


async def test_one_whose_other_side_has_gone_is_not_quiet_and_says_so(server):
    server.answer("GET", "/x/", raw(b"HTTP/1.1 204 No Content\r\n\r\n"))
    socket, _ = await connected(server)
    assert socket.is_quiet

    await socket.send(b"GET /api/v1/x/ HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await socket.receive()).startswith(b"HTTP/1.1 204")
    with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await socket.receive()

    assert not socket.is_quiet
    await socket.aclose()
    with pytest.raises(anyio.ClosedResourceError):
        await socket.receive()


async def test_bytes_that_have_left_the_system_and_that_nobody_has_received_count():
    """P1: they would be taken for the next call's answer."""

    async def speak_first(stream):
        async with stream:
            await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        socket = await listening(group, speak_first)
        # All but the direct one leave them where they are.
        while not (socket._unread if isinstance(socket, DirectStream) else came(socket)):
            await anyio.wait_all_tasks_blocked()

        assert not socket.is_quiet

        group.cancel_scope.cancel()
        await socket.aclose()


async def test_one_that_ended_before_it_was_opened_says_so_and_does_not_wait(server):
    stream = await anyio.connect_tcp("127.0.0.1", httpx.URL(server.base_url).port)
    await stream.aclose()
    socket = stream_over(stream)

    # uvloop has no socket of it any more.
    with anyio.fail_after(60), pytest.raises((anyio.ClosedResourceError, AttributeError)):
        socket.open()
        await socket.receive()


async def test_no_private_name_of_anyio_has_moved(server, way, anyio_backend):
    """Where this fails, the missing names are to be found anew in anyio's asyncio backend."""
    stream = await anyio.connect_tcp("127.0.0.1", httpx.URL(server.base_url).port)

    if way == "direct" and anyio_backend[0] == "asyncio":
        assert direct_stream.missing_names(stream) == []
        assert isinstance(stream_over(stream), DirectStream)
    else:
        assert type(stream_over(stream)) is Stream
    await stream.aclose()


@pytest.mark.parametrize("name", ["_transport", "_protocol", "read_queue", "is_at_eof", "exception"])
async def test_one_that_is_missing_is_named(name):
    protocol = {
        one: None
        for one in ("read_queue", "is_at_eof", "exception", "connection_lost", "pause_writing", "resume_writing")
        if one != name
    }
    names = {"_transport": None, "_protocol": types.SimpleNamespace(**protocol)}
    names.pop(name, None)

    assert MISSING(types.SimpleNamespace(**names)) == [
        name if name in ("_transport", "_protocol") else f"_protocol.{name}"
    ]
