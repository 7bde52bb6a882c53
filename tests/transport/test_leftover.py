"""By way of a proxy, bytes behind a response are nobody's: a test says which private name of httpcore moved."""

from __future__ import annotations

import types

import httpx
import pytest

from tests.helpers import detail
from tests.proxyserver import ProxyServer
from tests.rawserver import RawServer, certificates, json, raw
from vpsorg_async import Client
from vpsorg_async._transport import leftover
from vpsorg_async._transport.httpx_connection import HTTPXConnection
from vpsorg_async._transport.leftover import has_leftover, missing_names
from vpsorg_async._transport.types import RawRequest, nobody, origin_of


pytestmark = pytest.mark.anyio


@pytest.fixture(params=["private", "public"])
def way(request, monkeypatch):
    """Each test runs as it is, and as where a private name is missing."""
    if request.param == "public":
        monkeypatch.setattr(leftover, "missing_names", lambda _transport: ["_pool.connections"])
    return request.param


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request):
    with RawServer(tls=certificates().valid if request.param else None) as running:
        running.answer("GET", "/servers/8/", json(200, detail(8)))
        yield running


@pytest.fixture
def proxy():
    with ProxyServer() as running:
        yield running


def client_of(server, proxy):
    return Client("vps_test", base_url=server.base_url, proxy=proxy.url, ssl_context=certificates().trust)


async def test_no_private_name_of_httpx_or_httpcore_has_moved(server, proxy):
    """Where this fails, the missing names are to be found anew in httpcore's proxies and its HTTP/1.1 connection."""
    connection = HTTPXConnection(certificates().trust, httpx.Proxy(proxy.url))
    url = httpx.URL(f"{server.base_url}/servers/8/")
    request = RawRequest("GET", url, origin_of(url), [(b"Host", url.netloc)], httpx.ByteStream(b""), {})

    response = await connection.round_trip(request, nobody)

    assert (response.status, response.reusable) == (200, True)
    assert missing_names(connection._transport) == []
    await connection.aclose()


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        (None, ["_pool.connections"]),
        ([types.SimpleNamespace(_connection=None)], ["_connection or _h11_state"]),
        ([types.SimpleNamespace(_h11_state=types.SimpleNamespace())], ["_h11_state.trailing_data"]),
        ([types.SimpleNamespace(_h11_state=types.SimpleNamespace(trailing_data=(b"", False)))], ["_network_stream"]),
    ],
)
async def test_one_that_is_missing_is_named_and_nothing_is_taken_for_clean(held, missing):
    transport = types.SimpleNamespace(_pool=None if held is None else types.SimpleNamespace(connections=held))

    assert missing_names(transport) == missing
    assert has_leftover(transport)


async def test_a_response_that_nobody_asked_for_is_not_the_next_calls(server, proxy, way):
    """P1: two responses in the bytes of one."""
    first, second = json(200, detail(7)), json(200, detail(666))
    server.answer("GET", "/servers/7/", raw(first.data + second.data, close=False))

    async with client_of(server, proxy) as client:
        seen = [(await client.servers.get(number)).id for number in (7, 8, 8)]

    assert seen == [7, 8, 8]


async def test_a_connection_is_used_again_only_where_its_cleanness_can_be_told(server, proxy, way):
    async with client_of(server, proxy) as client:
        for _ in range(3):
            assert (await client.servers.get(8)).id == 8

    # The proxy of these tests closes all but tunnels itself.
    shared = way == "private" and server.base_url.startswith("https:")
    assert proxy.connections_total == (1 if shared else 3)
