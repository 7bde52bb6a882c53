"""What goes through a transport: origins, and bytes that no traceback shows."""

from __future__ import annotations

import httpx
import pytest

from vpsorg_async._transport.httpx_adapter import HTTPXAdapter
from vpsorg_async._transport.pool import ConnectionPool
from vpsorg_async._transport.types import MaskedBytes, Transport, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.example/v1", ("https", "api.example", 443)),
        ("http://api.example:8800/", ("http", "api.example", 8800)),
        ("http://[::1]", ("http", "::1", 80)),
        ("https://API.example:443", ("https", "api.example", 443)),
        ("ftp://api.example", ("ftp", "api.example", None)),
    ],
)
def test_the_origin_has_the_port_of_its_scheme(url, origin):
    assert origin_of(httpx.URL(url)) == origin


def test_masked_bytes_are_bytes_that_show_nothing():
    secret = MaskedBytes(b"Bearer hunter2")

    assert secret == b"Bearer hunter2"
    assert "hunter2" not in f"{secret!r} {[secret]} {secret!s}"


@pytest.mark.parametrize(
    "transport", [HTTPXAdapter(httpx.MockTransport(lambda _: httpx.Response(200))), ConnectionPool(lambda: None)]
)
def test_ours_and_the_users_are_transports(transport):
    assert isinstance(transport, Transport)
