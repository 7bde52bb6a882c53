"""A transport of the user's own is one like ours."""

from __future__ import annotations

import platform

import anyio
import httpx
import pytest

from tests.helpers import detail
from tests.rawserver import RawServer, json
from vpsorg_async import (
    Client,
    RetryPolicy,
    __version__,
)


QUICK = RetryPolicy(initial=0.005, maximum=0.01)
SDK = f"vpsorg-async/{__version__} python/{platform.python_version()}"


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        yield running


def client_of(server, **options):
    return Client("vps_test", base_url=server.base_url, **{"retry": QUICK, **options})


class OwnTransport(httpx.AsyncBaseTransport):
    """A transport of the user's own, that knows nothing of us."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.requests = []
        self.closed = 0

    async def handle_async_request(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json=detail(7))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self):
        self.closed += 1


async def not_plain(event):
    """An `on_event` that would never be awaited."""


REFUSED = {
    "no token": ({"token": None}, "there is no token: pass token=… or set VPS_API_TOKEN"),
    "empty token": ({"token": ""}, "the token is empty: pass token=… or set VPS_API_TOKEN"),
    "no str": ({"token": 7}, "the token must be a str, not int"),
    "transport and proxy": (
        {"transport": OwnTransport(), "proxy": "http://127.0.0.1:1"},
        "transport and proxy exclude each other: give the transport its proxy instead",
    ),
    "no transport": ({"transport": 7}, "transport must be an httpx.AsyncBaseTransport, not int"),
    "no context": ({"ssl_context": "ca.pem"}, "ssl_context must be an ssl.SSLContext, not str"),
    "0 connections": ({"max_connections": 0}, "max_connections=0: give a whole number of 1 or more"),
    "True connections": ({"max_connections": True}, "max_connections=True: give a whole number of 1 or more"),
    "1.5 connections": ({"max_connections": 1.5}, "max_connections=1.5: give a whole number of 1 or more"),
    "on_event": ({"on_event": 7}, "on_event must be a plain function that takes an Event, not 7"),
    "authorization": (
        {"headers": {"AUTHORIZATION": "secret"}},
        "headers must not set AUTHORIZATION: the token goes in as token=…, the host as base_url=…",
    ),
    "host": (
        {"headers": {"Host": "x"}},
        "headers must not set Host: the token goes in as token=…, the host as base_url=…",
    ),
    "framing": (
        {"headers": {"Content-Length": "5"}},
        "headers must not set Content-Length: it frames or routes the message, which the SDK does",
    ),
    "header name": ({"headers": {"a b": "x"}}, "headers has a name that no header can have: 'a b'"),
    "header value": (
        {"headers": {"X-A": "secret\r\nX-B: 1"}},
        "the header X-A takes a str of visible ASCII (its value is not shown)",
    ),
    "not ASCII": ({"headers": {"X-A": "é"}}, "the header X-A takes a str of visible ASCII (its value is not shown)"),
    "user agent": (
        {"user_agent": "app\n"},
        "the header User-Agent takes a str of visible ASCII (its value is not shown)",
    ),
    "plain http": (
        {"base_url": "http://admin.vps.org/api/v1"},
        (
            "base_url is plain http to admin.vps.org, so the token would travel in the clear: "
            "use https://, or allow_http=True if you are sure"
        ),
    ),
    "proxy": (
        {"proxy": "ftp://x"},
        "the proxy must be an http://, https:// or socks5:// URL with a host (not shown here)",
    ),
}


@pytest.mark.anyio
class TestOwnTransport:
    async def test_the_token_and_retries_stay_on_top_of_it(self):
        transport = OwnTransport([httpx.ConnectError("no"), httpx.Response(503), httpx.ReadError("cut")])

        async with Client("vps_test", base_url="https://api.example/v1", transport=transport, retry=QUICK) as client:
            found = await client.servers.get(7)

        assert (found.id, len(transport.requests)) == (7, 4)
        assert {request.headers["authorization"] for request in transport.requests} == {"Bearer vps_test"}

    async def test_it_is_closed_with_the_client_and_not_by_a_view(self):
        transport = OwnTransport()
        client = Client("vps_test", transport=transport)

        await client.with_options().aclose()
        closed_by_view = transport.closed
        await client.aclose()
        await client.aclose()

        assert (closed_by_view, transport.closed) == (0, 1)

    async def test_no_more_than_max_connections_are_in_it_at_once(self):
        inside = most = 0

        class Slow(OwnTransport):
            async def handle_async_request(self, request):
                nonlocal inside, most
                inside += 1
                most = max(most, inside)
                await anyio.lowlevel.checkpoint()
                inside -= 1
                return await super().handle_async_request(request)

        client = Client("vps_test", transport=Slow(), max_connections=3)
        async with client, anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(client.servers.get, 7)

        assert most == 3

    async def test_its_own_mistakes_come_out_as_they_are_and_cost_no_turn(self):
        transport = OwnTransport([KeyError("mine"), KeyError("mine")])

        async with Client("vps_test", transport=transport, max_connections=1) as client:
            for _ in range(2):
                with pytest.raises(KeyError):
                    await client.servers.get(7)
            found = await client.servers.get(7)

        assert found.id == 7
