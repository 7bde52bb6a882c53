"""Bodies are unpacked within limits."""

from __future__ import annotations

import gzip
import json as jsonlib
import re
import tracemalloc
import zlib

import pytest

from tests.helpers import detail, page
from tests.helpers_api import StillClock, client_over
from tests.rawserver import chunked, close_delimited, drip, json, raw, text
from vpsorg_async import APIConnectionError, Client, OutcomeUnknownError, ResponseError, RetryPolicy
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

        async with client_over(server, StillClock(), timeout=0.5) as client:
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


class TestEncodings:
    @pytest.mark.parametrize(
        "encoding", ["utf-8", "UTF-8", "utf8", "none", "identity", "binary", "identity, none", "", "iso-8859-1"]
    )
    async def test_a_word_that_compresses_nothing_is_passed_over(self, server, encoding):
        """R21: servers put a charset there, or say that there is none."""
        server.answer("POST", "/servers/", json(201, detail(9), {"Content-Encoding": encoding}))

        async with client_of(server) as client:
            made = await client.servers.create(name="web", plan_id=1, os_id=1, location="x")

        assert made.id == 9
        assert len(server.requests) == 1

    @pytest.mark.parametrize("encoding", ["gzip", "utf-8, gzip", "gzip, identity", "X-GZIP"])
    async def test_beside_one_that_does(self, server, encoding):
        """R21: what is packed is unpacked."""
        packed = gzip.compress(jsonlib.dumps(detail(7)).encode())
        server.answer("GET", PATH, text(200, packed, headers={"Content-Encoding": encoding}))

        async with client_of(server) as client:
            assert (await client.servers.get(7)).id == 7

    @pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "gzip, gzip", "utf-8, compress"])
    async def test_one_that_was_not_asked_for_is_refused(self, server, encoding):
        """R12: nothing here unpacks it within limits."""
        server.answer("GET", PATH, text(200, b"{}", headers={"Content-Encoding": encoding}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match="was not asked for"):
                await client.servers.get(7)

    @pytest.mark.parametrize("pieces", [2, 7, 5_000])
    @pytest.mark.parametrize("behind", [b"", b"\x00" * 100, b"\x1f", b"\x00\x1f\x8b"], ids=["end", "zeros", "1f", "x"])
    async def test_members_of_a_gzip_are_read_one_after_another(self, server, pieces, behind):
        """R21: as `cat a.gz b.gz` makes them; what is behind them is padding."""
        body = jsonlib.dumps(detail(7)).encode() + b" " * 6_000
        size = len(body) // pieces
        packed = b"".join(
            gzip.compress(body[size * number : size * (number + 1) if number < pieces - 1 else None], 1)
            for number in range(pieces)
        )
        server.answer("GET", PATH, text(200, packed + behind, headers={"Content-Encoding": "gzip"}))

        async with client_of(server) as client:
            assert (await client.servers.get(7)).id == 7

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (lambda: gzip.compress(b"{}") + gzip.compress(b" " * 100)[:-9], "is cut short"),
            (lambda: bomb(20) * 2, "larger than 32 MiB"),
            (lambda: gzip.compress(b"") * 10_001, "more than 10000 members"),
        ],
        ids=["the second is cut", "two bombs", "too many"],
    )
    async def test_within_limits(self, server, body, message):
        """R13: whatever the number of members."""
        server.answer("GET", PATH, text(200, body(), headers={"Content-Encoding": "gzip"}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match=message):
                await client.servers.get(7)


class TestLength:
    @pytest.mark.parametrize("form", ["twice", "three times", "in one line"])
    @pytest.mark.parametrize("chunk", [1, 7, 100_000])
    async def test_the_same_one_twice_is_read(self, server, form, chunk):
        """R21: a proxy in front of the API adds its own."""
        whole = json(201, detail(9)).data
        (line,) = re.findall(rb"Content-Length: \d+\r\n", whole)
        number = line[16:-2]
        lines = {
            "twice": line + b"content-length:%b \r\n" % number,
            "three times": line * 3,
            "in one line": b"Content-Length: %b, %b\r\n" % (number, number),
        }
        odd = whole.replace(line, lines[form])
        server.answer("POST", "/servers/", drip(raw(odd, close=False), chunk))

        async with client_of(server) as client:
            for _ in range(2):
                made = await client.servers.create(name="web", plan_id=1, os_id=1, location="x")

        assert made.id == 9
        assert [request.connection for request in server.requests] == [1, 1]

    async def test_two_that_differ_could_be_read_in_two_ways(self, server):
        """R12: and are not read at all."""
        server.answer("GET", PATH, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}  "))

        async with client_of(server) as client:
            with pytest.raises(APIConnectionError, match="more than one length"):
                await client.servers.get(7)

    @pytest.mark.parametrize("length", ["+2", "-1", "two", ""])
    async def test_one_that_is_no_number_is_said_to_be_none(self, server, length):
        """R12: there is one length, and no other."""
        server.answer("GET", PATH, raw(b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n{}" % length.encode()))

        async with client_of(server) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.servers.get(7)

        assert "more than one length" not in str(caught.value)
