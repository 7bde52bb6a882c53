"""The client's configuration, its views, and the requests that it does not model."""

from __future__ import annotations

import enum
import platform

import pytest

from tests.helpers import detail
from tests.rawserver import RawServer, drop, json, text
from vpsorg_async import (
    APIConnectionError,
    APITimeoutError,
    Client,
    ClientClosedError,
    ConfigurationError,
    NotFoundError,
    OutcomeUnknownError,
    ResponseError,
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


@pytest.mark.anyio
class TestHeaders:
    async def headers_of(self, server, **options):
        async with client_of(server, **options) as client:
            await client.servers.get(7)
        return server.requests[-1].headers

    async def test_what_every_call_says(self, server):
        headers = await self.headers_of(server)

        assert headers == {
            "host": f"127.0.0.1:{server.port}",
            "connection": "keep-alive",
            "accept": "application/json",
            "accept-encoding": "gzip",
            "content-type": "application/json",
            "user-agent": SDK,
            "authorization": "Bearer vps_test",
        }

    async def test_the_users_agent_goes_before_the_sdks(self, server):
        assert (await self.headers_of(server, user_agent="app/1.0"))["user-agent"] == f"app/1.0 {SDK}"

    async def test_a_user_agent_among_the_headers_is_sent_as_it_is(self, server):
        assert (await self.headers_of(server, headers={"user-agent": "mine"}))["user-agent"] == "mine"

    async def test_the_argument_beats_the_header(self, server):
        options = {"headers": {"user-agent": "mine"}, "user_agent": "app/1.0"}

        assert (await self.headers_of(server, **options))["user-agent"] == f"app/1.0 {SDK}"
        [sent] = list(server.requests)
        assert list(sent.headers).count("user-agent") == 1

    async def test_headers_of_ones_own_go_with_every_call(self, server):
        headers = await self.headers_of(server, headers={"X-Team": "a b", "Accept": "text/plain"})

        assert (headers["x-team"], headers["accept"]) == ("a b", "text/plain")

    async def test_cookies_are_neither_kept_nor_sent(self, server):
        server.answer("GET", "/servers/7/", json(200, detail(7), {"Set-Cookie": "session=1; Path=/"}))

        async with client_of(server) as client:
            await client.servers.get(7)
            await client.servers.get(7)
            kept = list(client.http.cookies.jar)

        assert (kept, ["cookie" in request.headers for request in server.requests]) == ([], [False, False])


@pytest.mark.anyio
class TestWithoutEntering:
    async def test_it_works_and_is_closed_twice(self, server):
        client = client_of(server)

        found = await client.servers.get(7)
        await client.aclose()
        await client.aclose()

        assert found.id == 7
        await server.until(lambda: server.connections_open == 0)

    async def test_it_is_closed_by_the_end_of_its_block_also_after_an_error(self, server):
        with pytest.raises(ZeroDivisionError):
            async with client_of(server) as client:
                await client.servers.get(7)
                raise ZeroDivisionError

        await server.until(lambda: server.connections_open == 0)


@pytest.mark.anyio
class TestRequest:
    async def test_a_path_below_the_base_url_is_asked(self, server):
        server.answer("GET", "/plans/", json(200, [1]))

        async with client_of(server) as client:
            answers = [await client.request("get", path, params={"a": "1"}) for path in ("/plans/", "plans/")]

        assert [answer.json() for answer in answers] == [[1], [1]]
        assert [(request.method, request.target) for request in server.requests] == [
            ("GET", "/api/v1/plans/?a=1"),
            ("GET", "/api/v1/plans/?a=1"),
        ]

    async def test_a_query_in_the_path_is_kept_beside_the_params(self, server):
        server.answer("GET", "/plans/", json(200, []))

        async with client_of(server) as client:
            await client.request("GET", "/plans/?a=1&b=..%2F", params={"a": "2", "c": "3"})
            await client.request("GET", "/plans/?a=1&b=x", params={})

        assert [request.target.partition("?")[2] for request in server.requests] == [
            "a=1&a=2&b=..%2F&c=3",
            "a=1&b=x",
        ]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"params": 7}, "params must be a mapping of names to values, not 7"),
            ({"params": [1]}, "params must be a mapping of names to values, not [1]"),
            ({"json": {"size": {1}}}, "json cannot be sent: Object of type set is not JSON serializable"),
        ],
    )
    async def test_what_cannot_be_sent_is_refused_by_its_name(self, server, given, message):
        async with client_of(server) as client:
            with pytest.raises(TypeError) as caught:
                await client.request("POST", "/plans/", **given)

        assert str(caught.value) == message
        assert server.requests == []

    async def test_an_enums_path_is_its_value(self, server):
        server.answer("GET", "/plans/", json(200, []))
        path = enum.Enum("Path", {"PLANS": "/plans/"}, type=str).PLANS

        async with client_of(server) as client:
            assert (await client.request("GET", path)).json() == []

    async def test_dots_that_lead_nowhere_are_part_of_a_name(self, server):
        server.answer("GET", "/a..b/...", json(200, []))

        async with client_of(server) as client:
            assert (await client.request("GET", "/a..b/...?next=/../")).status_code == 200

    async def test_json_is_sent(self, server):
        server.answer("POST", "/keys/", json(201, {}))

        async with client_of(server) as client:
            answer = await client.request("POST", "/keys/", json={"name": "é"})

        assert (answer.status_code, server.requests[0].json) == (201, {"name": "é"})

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    async def test_what_may_be_repeated_is(self, server, method):
        server.answer(method, "/x/", [drop(), json(500, {}), json(200, {})])

        async with client_of(server) as client:
            answer = await client.request(method, "/x/")

        assert (answer.status_code, len(server.requests)) == (200, 3)

    async def test_a_post_is_never_sent_twice(self, server):
        server.answer("POST", "/x/", [drop(), json(200, {})])

        async with client_of(server) as client:
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.request("POST", "/x/?secret=1", json={})

        assert len(server.requests) == 1
        assert caught.value.request_summary == "POST /x/"
        assert str(caught.value).startswith("POST /x/: ")
        assert str(caught.value).endswith("it may have been executed")

    async def test_an_error_status_is_raised(self, server):
        async with client_of(server) as client:
            with pytest.raises(NotFoundError) as caught:
                await client.request("GET", "/nothing/")

        assert (caught.value.status_code, caught.value.request_summary) == (404, "GET /nothing/")

    async def test_a_redirect_elsewhere_is_no_response(self, server):
        server.answer("GET", "/x/", text(302, "", headers={"Location": "https://elsewhere.example/y?z=1"}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.request("GET", "/x/")

        assert str(caught.value) == (
            "GET /x/ was answered 302, a redirect to https://elsewhere.example/y: not followed"
        )

    @pytest.mark.parametrize(
        "path",
        [
            "https://elsewhere.example/",
            "HTTP://x",
            "//elsewhere.example/",
            7,
            "/x\x00/",
            "/x\n",
            "..",
            "/../admin/",
            "/servers/7/../8/",
            "/servers/%2e%2E/",
            "/servers/.%2E?a=b",
            "/servers/..%2fadmin/",
            "/servers/..\\admin/",
            "/x/..#y",
        ],
    )
    async def test_what_is_no_path_is_refused_unsent(self, server, path):
        async with client_of(server) as client:
            with pytest.raises(ValueError, match="path="):
                await client.request("GET", path)

        assert server.requests == []

    @pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", None])
    async def test_what_is_no_method_is_refused_unsent(self, server, method):
        async with client_of(server) as client:
            with pytest.raises(ValueError, match="is no HTTP method"):
                await client.request(method, "/x/")

        assert server.requests == []

    async def test_its_own_timeout_counts(self, server):
        server.answer("GET", "/x/", json(503, {}))

        async with client_of(server, retry=RetryPolicy(initial=1000, maximum=1000), timeout=None) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.request("GET", "/x/", timeout=1)

        assert str(caught.value) == (
            "GET /x/: no response within timeout=1 s: pausing before it asks "
            f"127.0.0.1:{server.port} again (the last attempt: answered 503)"
        )


@pytest.mark.anyio
class TestUnderneath:
    async def test_hooks_run_once_a_call_above_the_retries_and_see_no_token(self, server):
        server.answer("GET", "/servers/8/", [json(500, {}), json(200, detail(8))])
        seen = []

        async def on_request(request):
            seen.append((request.method, "authorization" in request.headers))

        async def on_response(response):
            seen.append((response.status_code, "authorization" in response.request.headers))

        async with client_of(server) as client:
            client.http.event_hooks = {"request": [on_request], "response": [on_response]}
            await client.servers.get(8)

        assert seen == [("GET", False), (200, False)]
        assert len(server.requests) == 2

    async def test_it_may_be_used_for_something_else_without_the_token(self, server):
        with RawServer() as other:
            other.answer("GET", "/x/", json(200, {}))
            async with client_of(server) as client:
                answer = await client.http.get(f"{other.base_url}/x/")

            assert (answer.status_code, "authorization" in other.requests[0].headers) == (200, False)


@pytest.mark.anyio
class TestHeadersOfAView:
    async def test_they_are_added_to_the_clients(self, server):
        server.answer("PATCH", "/servers/7/", json(200, detail(7)))
        async with client_of(server, headers={"X-App": "a", "X-Trace": "0"}) as client:
            view = client.with_options(headers={"x-trace": "1"}).with_options(headers={"X-Key": "k"}, timeout=5)

            await view.servers.get(7)
            await view.servers.update(7, name="web")
            await view.request("GET", "/servers/7/")
            await client.servers.get(7)
            await view.with_options(headers={"x-key": "l"}).servers.get(7)
            await view.with_options(timeout=4).request("GET", "/servers/7/")

        sent = [{name: one.headers.get(name) for name in ("x-app", "x-trace", "x-key")} for one in server.requests]
        assert sent == [{"x-app": "a", "x-trace": "1", "x-key": "k"}] * 3 + [
            {"x-app": "a", "x-trace": "0", "x-key": None},
            {"x-app": "a", "x-trace": "1", "x-key": "l"},
            {"x-app": "a", "x-trace": "1", "x-key": "k"},
        ]

    @pytest.mark.parametrize("name", ["Authorization", "host", "Content-Length", "bad name"])
    async def test_some_are_refused(self, server, name):
        async with client_of(server) as client:
            with pytest.raises(ConfigurationError, match="headers"):
                client.with_options(headers={name: "hunter2"})
            with pytest.raises(TypeError):
                client.with_options(headers=[("X-A", "b")])


@pytest.mark.anyio
class TestClosed:
    @pytest.mark.parametrize(
        "call",
        [
            lambda client: client.servers.get(7),
            lambda client: client.servers.get_by_name("web"),
            lambda client: client.servers.list().all(),
            lambda client: anext(aiter(client.servers.list())),
            lambda client: anext(aiter(client.servers.watch())),
            lambda client: client.servers.create(name="a", plan_id=1, os_id=1, location="us-west"),
            lambda client: client.servers.update(7, name="a"),
            lambda client: client.servers.delete(7),
            lambda client: client.servers.reboot(7),
            lambda client: client.servers.wait_until(7, status="active"),
            lambda client: client.servers.wait_until_deleted(7),
            lambda client: client.request("GET", "/servers/"),
            lambda client: client.http.get("/servers/"),
            lambda client: client.with_options(timeout=1).servers.get(7),
        ],
        ids=[
            *("get", "by name", "list", "iterate", "watch", "create", "update", "delete", "reboot"),
            *("wait", "wait until deleted", "request", "http", "view"),
        ],
    )
    async def test_every_call_says_that_the_client_is_closed(self, server, call):
        async with client_of(server) as client:
            assert not client.is_closed
        assert client.is_closed
        assert client.with_options(timeout=1).is_closed

        with pytest.raises(ClientClosedError) as caught:
            await call(client)

        assert "the client is closed" in str(caught.value)
        assert isinstance(caught.value, APIConnectionError)
        assert caught.value.sent is False
        assert not server.requests

    async def test_a_fleet_says_so_too(self, server):
        async with client_of(server) as client:
            pass

        with pytest.raises(ClientClosedError):
            await client.fleet([7]).start()

    async def test_closed_underneath_is_closed(self, server):
        client = client_of(server)

        await client.http.aclose()

        assert client.is_closed
        with pytest.raises(ClientClosedError):
            await client.servers.get(7)


def test_a_plain_with_says_what_to_write(server):
    with pytest.raises(TypeError, match="async with"), client_of(server):
        pass
