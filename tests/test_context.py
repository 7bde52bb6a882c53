"""What a client's parts share: a view has its own options on the same connections."""

from __future__ import annotations

import httpx
import pytest

from tests.helpers import detail
from tests.rawserver import RawServer, json
from vpsorg_async import (
    APIStatusError,
    Client,
    RetryPolicy,
)


QUICK = RetryPolicy(initial=0.005, maximum=0.01)


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
class TestViews:
    async def test_a_view_has_its_own_times_on_the_same_connections(self, server):
        server.answer("GET", "/servers/8/", json(500, {}))
        limiter = server.gate()

        async with client_of(server) as client:
            view = client.with_options(timeout=5, retry=RetryPolicy.none())
            await client.servers.get(7)
            with pytest.raises(APIStatusError) as caught:
                await view.servers.get(8)
            limiter.open()

        assert (caught.value.attempts, server.connections_total) == (1, 1)

    async def test_a_view_of_a_view_keeps_what_it_is_not_given(self, server):
        server.answer("GET", "/servers/8/", json(500, {}))

        async with client_of(server) as client:
            view = client.with_options(retry=RetryPolicy(attempts=2, initial=0.001)).with_options(timeout=9)
            with pytest.raises(APIStatusError) as caught:
                await view.servers.get(8)

        assert caught.value.attempts == 2

    async def test_a_server_keeps_the_options_of_the_view_that_gave_it(self, server):
        async with client_of(server) as client:
            found = await client.with_options(retry=RetryPolicy.none()).servers.get(7)
            server.answer("GET", "/servers/7/", json(500, {}))
            with pytest.raises(APIStatusError) as caught:
                await found.refresh()

        assert caught.value.attempts == 1

    async def test_the_repr_tells_a_closed_client_and_no_token(self, server):
        client = client_of(server)
        await client.servers.get(7)
        await client.aclose()

        assert repr(client) == f"<Client {server.base_url}/ closed>"
        assert repr(client.with_options()) == f"<Client {server.base_url}/ closed>"
