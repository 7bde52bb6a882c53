"""`client.http`: whoever hooks in sees each call, and what comes back is the same whether somebody does or not."""

from __future__ import annotations

import functools
import logging
import re

from datetime import timedelta

import httpx
import pytest

from tests.helpers import detail
from tests.rawserver import json, raw
from vpsorg_async import Client
from vpsorg_async._request.shortcut import ShortcutClient


pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True, params=["short", "public"])
def way(request, monkeypatch):
    """Each test runs as it is, and as where a private name of httpx's is missing."""
    if request.param == "public":
        monkeypatch.setattr(ShortcutClient, "takes_shortcut", False)


def client_of(server):
    return Client("vps_test", base_url=server.base_url)


async def ignore(_message):
    pass


def facts(response):
    """What a user may read off a response."""
    return {
        "status": response.status_code,
        "reason": response.reason_phrase,
        "version": response.http_version,
        "headers": response.headers.multi_items(),
        "content": response.content,
        "text": response.text,
        "encoding": response.encoding,
        "method": response.request.method,
        "url": str(response.request.url),
        "history": response.history,
        "next": response.next_request,
        "read": (response.is_closed, response.is_stream_consumed),
        "cookies": dict(response.cookies),
    }


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_response_is_the_same_whether_somebody_hooks_in_or_not(server, method):
    head = "HTTP/1.1 200 Fine\r\nContent-Type: text/plain; charset=latin-1\r\nX-One: 1\r\nSet-Cookie: a=b\r\n"
    answer = raw((head + "Content-Length: 4\r\n\r\n").encode() + b"gr\xfcn", close=False)
    server.answer(method, "/x/", [answer, answer])

    async with client_of(server) as client:
        direct = await client.request(method, "/x/")
        client.http.event_hooks = {"request": [ignore], "response": [ignore]}
        through_hooks = await client.request(method, "/x/")

    assert facts(direct) == facts(through_hooks)
    assert direct.text == "grün"
    assert timedelta() < direct.elapsed < timedelta(seconds=60)
    assert await direct.aread() == direct.content
    first, second = server.requests
    assert (first.method, first.path, first.headers, first.body) == (
        second.method,
        second.path,
        second.headers,
        second.body,
    )


async def test_what_stands_in_for_the_send_of_httpx_sees_each_call(server, monkeypatch):
    """So do tracing tools of the kind that replaces methods."""
    server.answer("GET", "/servers/8/", [json(200, detail(8))])
    seen, original = [], httpx.AsyncClient.send

    @functools.wraps(original)
    async def traced(self, request, **options):
        response = await original(self, request, **options)
        seen.append((request.method, request.url.path, response.status_code))
        return response

    monkeypatch.setattr(httpx.AsyncClient, "send", traced)
    async with client_of(server) as client:
        await client.servers.get(8)

    assert seen == [("GET", "/api/v1/servers/8/", 200)]


@pytest.mark.parametrize("hooked", [True, False])
async def test_the_log_of_httpx_does_not_name_the_calls_a_second_time(server, caplog, hooked):
    """The events name them. Requests of the user's own are named as ever, also from a hook in the middle of a call."""
    server.answer("GET", re.compile("/servers/[89]/"), lambda request: json(200, detail(int(request.path[9]))))
    seen = []

    async def ask(response):
        seen.append(response.status_code)
        await own.get(f"{server.base_url}/servers/9/")

    async with client_of(server) as client, httpx.AsyncClient() as own:
        if hooked:
            client.http.event_hooks["response"] = [ask]
        with caplog.at_level(logging.INFO):
            await client.servers.get(8)
            await client.http.get("servers/9/")
            await own.get(f"{server.base_url}/servers/9/")

    line = f'HTTP Request: GET {server.base_url}/servers/9/ "HTTP/1.1 200 OK"'
    told = [record.getMessage() for record in caplog.records if record.name == httpx.__name__]
    assert told == [line] * (4 if hooked else 2)
    assert seen == ([200, 200] if hooked else [])


async def test_authentication_of_the_users_own_goes_its_way(server):
    server.answer("GET", "/x/", [json(401, {}), json(200, {})])

    class Twice(httpx.Auth):
        def auth_flow(self, request):
            response = yield request
            request.headers["X-Seen"] = str(response.status_code)
            yield request

    async with client_of(server) as client:
        client.http.auth = Twice()
        answer = await client.request("GET", "/x/")

    assert answer.status_code == 200
    assert [request.headers.get("x-seen") for request in server.requests] == [None, "401"]


async def test_a_hook_may_read_the_body_of_any_request(server):
    server.answer("GET", "/servers/8/", [json(200, detail(8))])
    server.answer("PUT", "/servers/8/", [json(200, detail(8))])
    seen = []

    async def note(request):
        seen.append((request.content[:1], request.headers.get("content-length"), request.headers["host"]))

    async with client_of(server) as client:
        client.http.event_hooks["request"].append(note)
        await client.servers.get(8)
        await client.servers.replace(8, name="a", hostname=None, backups_enabled=False)

    host = httpx.URL(server.base_url).netloc.decode()
    assert [(body, host) for body, _, host in seen] == [(b"", host), (b"{", host)]
    assert seen[0][1] is None
    assert int(seen[1][1]) > 1


async def test_headers_changed_on_the_way_go_with_the_next_call(server):
    server.answer("GET", "/servers/8/", [json(200, detail(8))] * 3)

    async with client_of(server) as client:
        await client.servers.get(8)
        client.http.headers["X-Trace"] = "7"
        await client.servers.get(8)
        client.http.headers["Host"] = "api.example"
        await client.servers.get(8)

    assert [request.headers.get("x-trace") for request in server.requests] == [None, "7", "7"]
    assert server.requests[2].headers["host"] == "api.example"


async def test_a_transport_of_the_users_own_gets_whole_requests():
    seen = []

    async def handler(request):
        seen.append((request.method, request.headers["host"], request.headers.get("content-length"), request.content))
        return httpx.Response(200, json=detail(8))

    transport = httpx.MockTransport(handler)
    async with Client("vps_test", base_url="http://localhost:1/api", transport=transport) as client:
        await client.servers.get(8)

    assert seen == [("GET", "localhost:1", None, b"")]


async def test_a_body_too_large_for_the_system_to_take_at_once_arrives_whole_and_so_does_what_follows(server):
    server.answer("POST", "/x/", json(200, {}))
    server.answer("GET", "/servers/8/", json(200, detail(8)))
    text = "0123456789" * 800_000

    async with client_of(server) as client:
        await client.servers.get(8)
        await client.request("POST", "/x/", json={"text": text})
        await client.servers.get(8)

    assert server.requests[1].json == {"text": text}
    assert [request.connection for request in server.requests] == [1, 1, 1]


async def test_who_streams_a_response_gets_it_as_from_any_client_of_httpx(server):
    server.answer("GET", "/x/", json(200, {"a": 1}))

    async with client_of(server) as client, client.http.stream("GET", f"{server.base_url}/x/") as response:
        raw_bytes = b"".join([chunk async for chunk in response.aiter_raw()])

    assert raw_bytes == b'{"a": 1}'
    assert response.is_closed
