"""Responses that are not what the API documents: errors in every shape, captive portals, bombs, redirects."""

from __future__ import annotations

import gzip
import zlib

import pytest

from tests.rawserver import json, text
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._errors import (
    AuthenticationError,
    BadRequestError,
    InsufficientCreditsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StateConflictError,
)


pytestmark = pytest.mark.anyio

PATH = "/servers/7/"
TOKEN = "vps_live_0123456789abcdef"
MIB = 1024 * 1024
PORTAL = "<!DOCTYPE html><html><head><title>Sign in to Wi-Fi</title></head><body>…</body></html>"
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


def client_of(server, **options):
    return Client(TOKEN, base_url=server.base_url, **{"retry": RetryPolicy.none(), **options})


def bomb(megabytes, wbits=31):
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    block = b" " * MIB
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, BadRequestError),
            (401, AuthenticationError),
            (402, InsufficientCreditsError),
            (403, PermissionDeniedError),
            (404, NotFoundError),
            (429, RateLimitError),
            (500, ServerError),
            (503, ServerError),
            (599, ServerError),
        ],
    )
    @pytest.mark.parametrize(
        ("body", "content_type", "message"),
        [
            pytest.param(b'{"detail": "No such thing."}', "application/json", "No such thing.", id="detail"),
            pytest.param(b'{"name": ["Too long.", "No."]}', "application/json", "name: Too long. No.", id="field"),
            pytest.param(b'{"error": {"message": "Bad."}}', "application/json", "Bad.", id="nested"),
            pytest.param(b'["One.", "Two."]', "application/json", "One.; Two.", id="list"),
            pytest.param(b"upstream  is\r\ndown", "text/plain", "upstream is down", id="text"),
            pytest.param(PORTAL.encode(), "text/html", "Sign in to Wi-Fi", id="HTML"),
            pytest.param(b'{"detail": "caf\xe9"}', "application/json; charset=utf-16", "caf\ufffd", id="charset"),
        ],
    )
    async def test_the_class_is_the_status_and_the_message_is_readable(  # noqa: PLR0917 - a table's columns
        self, server, status, kind, body, content_type, message
    ):
        """R11: whatever the body's shape."""
        server.answer("GET", PATH, text(status, body, content_type, {"X-Request-ID": "r-1", "Retry-After": "99"}))

        async with client_of(server) as client:
            with pytest.raises(kind) as caught:
                await client.servers.get(7)

        assert type(caught.value) is kind
        assert caught.value.message == message
        hint = "; it asks for a pause of 99 s" if status == 429 or status >= 500 else ""
        hint = "; check the client's token: token=, or else VPS_API_TOKEN" if status == 401 else hint
        assert str(caught.value) == f"GET /servers/7/ was answered {status}: {message}{hint} (request id r-1)"
        assert (caught.value.body, caught.value.request_id) == (body, "r-1")

    async def test_an_empty_body_is_the_status_in_words(self, server):
        """R11: empty."""
        server.answer("GET", PATH, text(404, b""))

        async with client_of(server) as client:
            with pytest.raises(NotFoundError) as caught:
                await client.servers.get(7)

        assert caught.value.message == "Not Found"

    async def test_fields_are_kept_apart(self, server):
        """R11: Django REST framework's errors of single fields."""
        server.answer("POST", "/servers/", json(400, {"name": ["Taken."], "plan_id": ["Unknown."]}))

        async with client_of(server) as client:
            with pytest.raises(BadRequestError) as caught:
                await client.servers.create(**SPEC)

        assert caught.value.fields == {"name": ["Taken."], "plan_id": ["Unknown."]}

    async def test_ten_megabytes_are_cut_to_64_kib(self, server):
        """R11: an error is not a download."""
        server.answer("GET", PATH, text(400, b"x" * 10 * MIB))

        async with client_of(server) as client:
            with pytest.raises(BadRequestError) as caught:
                await client.servers.get(7)

        assert len(caught.value.body) == 64 * 1024
        assert len(caught.value.message) <= 500

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-unheard-of", "gzip, gzip"])
    async def test_an_encoding_that_is_not_what_it_says_is_no_reason_to_lose_the_error(self, server, encoding):
        """R11: `Content-Encoding: gzip` that is not."""
        server.answer("GET", PATH, json(402, {"detail": "No credits."}, {"Content-Encoding": encoding}))

        async with client_of(server) as client:
            with pytest.raises(InsufficientCreditsError) as caught:
                await client.servers.get(7)

        assert caught.value.message == "No credits."

    async def test_one_that_is_what_it_says_is_read(self, server):
        """R11: gzip that is gzip."""
        body = gzip.compress(b'{"detail": "No credits."}')
        server.answer("GET", PATH, text(402, body, "application/json", {"Content-Encoding": "gzip"}))

        async with client_of(server) as client:
            with pytest.raises(InsufficientCreditsError) as caught:
                await client.servers.get(7)

        assert caught.value.message == "No credits."

    async def test_a_bomb_is_an_error_all_the_same(self, server):
        """R11: read as far as it goes."""
        server.answer("GET", PATH, text(500, bomb(200), "text/plain", {"Content-Encoding": "gzip"}))

        async with client_of(server) as client:
            with pytest.raises(ServerError) as caught:
                await client.servers.get(7)

        assert len(caught.value.body) <= 64 * 1024

    async def test_a_conflict_is_a_400_that_blames_no_field(self, server):
        """R11: to start, stop and reboot."""
        server.answer("POST", f"{PATH}reboot/", json(400, {"error": "Server must be active"}))

        async with client_of(server) as client:
            with pytest.raises(StateConflictError) as caught:
                await client.servers.reboot(7)

        assert str(caught.value) == "POST /servers/7/reboot/ was answered 400: Server must be active"
