"""Bodies are unpacked within limits."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from tests.helpers import detail, page
from tests.rawserver import chunked, close_delimited, json, text
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._errors import (
    OutcomeUnknownError,
    ResponseError,
)
from vpsorg_async._transport.types import MAX_BODY


pytestmark = pytest.mark.anyio

PATH = "/servers/7/"
TOKEN = "vps_live_0123456789abcdef"
QUICK = RetryPolicy(initial=0.001, maximum=0.001)
MIB = 1024 * 1024
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


def client_of(server, **options):
    return Client(TOKEN, base_url=server.base_url, **{"retry": RetryPolicy.none(), **options})


def bomb(megabytes, wbits=31):
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    block = b" " * MIB
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


class TestSize:
    @pytest.mark.heavy
    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param(lambda: text(200, b" " * (MAX_BODY + 1)), id="Content-Length"),
            pytest.param(lambda: chunked(200, [b" " * MIB] * 40), id="chunked"),
            pytest.param(lambda: close_delimited(200, b" " * (MAX_BODY + MIB)), id="close-delimited"),
            pytest.param(lambda: text(200, bomb(1000), headers={"Content-Encoding": "gzip"}), id="gzip bomb"),
            pytest.param(lambda: text(200, bomb(1000, 15), headers={"Content-Encoding": "deflate"}), id="deflate bomb"),
            pytest.param(
                lambda: text(200, gzip.compress(b"{}") + b" " * (MAX_BODY + MIB), headers={"Content-Encoding": "gzip"}),
                id="behind the end of a gzip",
            ),
        ],
    )
    async def test_a_response_over_the_limit_is_refused_before_memory_grows(self, server, reply):
        """R13: at most a small multiple of 32 MiB."""
        server.answer("GET", PATH, reply())

        async with client_of(server) as client:
            tracemalloc.start()
            try:
                with pytest.raises(ResponseError) as caught:
                    await client.servers.get(7)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()

        assert str(caught.value) == "GET /servers/7/: the response is larger than 32 MiB"
        # The raw server is in this process and under this tracing too, with its own buffers.
        assert peak < 4 * MAX_BODY

    async def test_one_below_the_limit_is_read(self, server):
        """R13: 8 MB of good JSON."""
        server.answer("GET", PATH, json(200, detail(note="x" * 8 * MIB)))

        async with client_of(server) as client:
            assert len((await client.servers.get(7)).extra["note"]) == 8 * MIB

    @pytest.mark.parametrize("size", [66, 110, 2000], ids=["65 KiB", "108 KiB", "2 MB"])
    async def test_headers_over_their_limit_are_refused(self, server, size):
        """R13: headers are memory too; another attempt would bring the same."""
        headers = {f"X-{number}": "x" * 1000 for number in range(size)}
        server.answer("GET", PATH, json(200, detail(), headers))

        async with client_of(server, retry=QUICK) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.get(7)

        assert str(caught.value) == "GET /servers/7/: the response's headers are larger than 64 KiB"
        assert len(server.requests) == 1

    async def test_a_create_answered_with_such_headers_may_have_been_carried_out(self, server):
        """R13: it is polled for, and not sent again."""
        server.answer("POST", "/servers/", json(201, detail(), {"X-Long": "x" * 200_000}))
        server.answer("GET", "/servers/", json(200, page()))

        async with client_of(server, retry=QUICK, timeout=0.5) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.servers.create(**SPEC)

        assert len(server.requests_to("POST")) == 1

    async def test_the_connection_is_closed_and_the_next_call_goes_through(self, server):
        """R13: nothing of the rest is taken for the next answer."""
        server.answer("GET", PATH, [text(200, bytes(33 << 20)), json(200, detail())])

        async with client_of(server) as client:
            with pytest.raises(ResponseError):
                await client.servers.get(7)
            assert (await client.servers.get(7)).id == 7

        assert [request.connection for request in server.requests] == [1, 2]
