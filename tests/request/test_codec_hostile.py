"""JSON made to break its reader, over a socket: an error of ours or a good observation."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers import detail, listed, page
from tests.rawserver import json, text
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._errors import BadRequestError, ResponseError


pytestmark = pytest.mark.anyio

DEPTH = 100_000
SERVER = b'{"id": 7, "name": "a", "status": "active", "odd": %b}'
HOSTILE = {
    "100,000 brackets": b"[" * DEPTH,
    "100,000 brackets, closed": b"[" * DEPTH + b"]" * DEPTH,
    "100,000 braces": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "900 deep, which a parser bears": SERVER % (b"[" * 900 + b"]" * 900),
    "NaN": SERVER % b"NaN",
    "Infinity": SERVER % b"-Infinity",
    "lone surrogate": SERVER % b'"\\ud800"',
    "cut in a string": SERVER[:20],
    "two values": b"{}{}",
    "not UTF-8": SERVER % b'"\xff\xfe"',
    "UTF-16": '{"id": 7}'.encode("utf-16"),
    "NUL": b"\x00" * 1000,
}
GOOD = {
    "huge integer": (b"9" * 23, int("9" * 23)),
    "10,000 digits' worth of zeros": (b"0." + b"0" * 10_000, 0.0),
    "duplicate keys": (b'{"a": 1, "a": 2}', {"a": 2}),
    "a pair of surrogates": (b'"\\ud83d\\ude00"', "\U0001f600"),
    "NUL escaped": (b'"\\u0000"', "\x00"),
}


def client_of(server):
    return Client("vps_test_token", base_url=server.base_url, retry=RetryPolicy.none())


class TestHostileJson:
    @pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
    async def test_it_is_an_error_of_ours(self, server, body):
        """T5: never RecursionError, never a hang."""
        server.answer("GET", "/servers/7/", text(200, body, "application/json"))
        server.answer("GET", "/servers/", text(200, b'{"results": [' + body + b"]}", "application/json"))

        async with client_of(server) as client:
            with anyio.fail_after(60), pytest.raises(ResponseError) as caught:
                await client.servers.get(7)
            with anyio.fail_after(60), pytest.raises(ResponseError):
                await client.servers.list()

        assert str(caught.value).startswith("GET /servers/7/: the response is ")
        assert len(str(caught.value)) < 300

    @pytest.mark.parametrize(("odd", "value"), GOOD.values(), ids=GOOD)
    async def test_what_is_odd_but_json_is_read(self, server, odd, value):
        """T5: huge integers stay exact, the last of duplicate keys counts."""
        server.answer("GET", "/servers/7/", text(200, SERVER % odd, "application/json"))

        async with client_of(server) as client:
            found = await client.servers.get(7)

        assert found.extra["odd"] == value

    async def test_a_bom_is_passed_over(self, server):
        """T5: some proxies put one in front."""
        server.answer("GET", "/servers/7/", text(200, b"\xef\xbb\xbf" + SERVER % b"1", "application/json"))

        async with client_of(server) as client:
            assert (await client.servers.get(7)).id == 7

    async def test_an_integer_of_5_000_digits_is_no_crash(self, server):
        """T5: Python itself refuses to read such a number."""
        server.answer("GET", "/servers/7/", text(200, SERVER % (b"9" * 5_000), "application/json"))

        async with client_of(server) as client:
            with anyio.fail_after(60), pytest.raises(ResponseError):
                await client.servers.get(7)

    @pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
    async def test_as_an_error_s_body_it_is_that_error(self, server, body):
        """T5: the status counts."""
        server.answer("GET", "/servers/7/", text(400, body, "application/json"))

        async with client_of(server) as client:
            with anyio.fail_after(60), pytest.raises(BadRequestError) as caught:
                await client.servers.get(7)

        assert len(caught.value.message) <= 500
        assert caught.value.body == body[: 64 * 1024]

    async def test_private_fields_of_a_model_cannot_be_set(self, server):
        """T5: what is unknown goes to `extra`, whatever it is called."""
        odd = {"_servers": "x", "_nulls": ["id"], "__class__": "x", "extra": {"a": 1}}
        server.answer("GET", "/servers/7/", json(200, detail(**odd)))
        server.answer("GET", "/servers/", json(200, page(listed(**odd))))

        async with client_of(server) as client:
            got, (seen,) = await client.servers.get(7), await client.servers.list()
            assert (await got.refresh()).id == 7

        assert got.extra == seen.extra == odd
