"""One attempt: redirects that are followed, and successes that are none."""

from __future__ import annotations

import gzip
import zlib

import pytest

from tests.helpers import detail, listed, page
from tests.helpers_api import StillClock, client_over
from tests.rawserver import RawServer, certificates, close_delimited, drop, json, text
from tests.request.calls import make
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._errors import (
    APIStatusError,
    OutcomeUnknownError,
    ResponseError,
)


pytestmark = pytest.mark.anyio

PATH = "/servers/7/"
TOKEN = "vps_live_0123456789abcdef"
PORTAL = "<!DOCTYPE html><html><head><title>Sign in to Wi-Fi</title></head><body>…</body></html>"
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


def client_of(server, **options):
    return Client(TOKEN, base_url=server.base_url, **{"retry": RetryPolicy.none(), **options})


def absolute(server, path):
    return server.base_url.removesuffix("/api/v1") + path


class TestWrongSuccess:
    @pytest.mark.parametrize(
        ("reply", "trouble"),
        [
            (text(200, PORTAL, "text/html"), "the response is HTML, not JSON (a proxy or captive portal?)"),
            (text(200, PORTAL, "application/json"), "the response is HTML, not JSON (a proxy or captive portal?)"),
            (text(200, "null"), "no object but null"),
            (text(200, "[]"), "no object but an array"),
            (text(200, "7"), "no object but a number"),
            (text(200, ""), "the response is empty"),
            (json(204, None), "the response is empty"),
            (text(200, "{}"), "no usable id"),
            (text(200, "OK"), "the response is not JSON but "),
            (close_delimited(200, b'{"id": 7, "name": "web'), "the response is broken JSON of 22 bytes"),
            (close_delimited(200, b""), "the response is empty"),
        ],
        ids=str,
    )
    async def test_it_is_a_response_error(self, server, reply, trouble):
        """R12: HTML, null, a list where an object belongs, a body that is not whole."""
        server.answer("GET", PATH, reply)

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.get(7)

        assert str(caught.value).startswith("GET /servers/7/: ")
        assert trouble in str(caught.value)
        assert caught.value.request_summary == "GET /servers/7/"
        assert len(server.requests) == 1

    async def test_a_captive_portal_deletes_nothing(self, server):
        """R12: nothing is needed of the response to a delete, but it must be the API's."""
        server.answer("DELETE", PATH, text(200, PORTAL, "text/html"))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match="DELETE /servers/7/: the response is HTML, not JSON") as caught:
                await client.servers.delete(7)

        assert caught.value.request_summary == "DELETE /servers/7/"

    @pytest.mark.parametrize("content_type", ["text/html", "text/plain; charset=latin-1", "", "nonsense"])
    async def test_good_json_under_a_wrong_type_is_read(self, server, content_type):
        """R12: the last one."""
        body = json(200, detail()).data.partition(b"\r\n\r\n")[2]
        server.answer("GET", PATH, text(200, body, content_type))

        async with client_of(server) as client:
            assert (await client.servers.get(7)).to_dict() == detail()

    async def test_a_close_delimited_body_that_is_whole_is_read(self, server):
        """R12: some proxies still do that."""
        body = json(200, detail()).data.partition(b"\r\n\r\n")[2]
        server.answer("GET", PATH, close_delimited(200, body))

        async with client_of(server) as client:
            assert (await client.servers.get(7)).to_dict() == detail()

    @pytest.mark.parametrize("reply", [text(201, PORTAL, "text/html"), text(200, "null"), text(200, "")], ids=str)
    async def test_a_create_answered_so_may_have_been_carried_out(self, server, reply):
        """R12: and is not sent again."""
        server.answer("POST", "/servers/", reply)
        server.answer("GET", "/servers/", json(200, page()))

        async with client_over(server, StillClock(), timeout=0.5) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.servers.create(**SPEC)

        assert len(server.requests_to("POST")) == 1

    @pytest.mark.parametrize("encoding", ["gzip", "br"])
    async def test_an_encoding_that_cannot_be_undone(self, server, encoding):
        """R12: not what it claims, or not asked for."""
        server.answer("GET", PATH, json(200, detail(), {"Content-Encoding": encoding}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match="GET /servers/7/: the response's "):
                await client.servers.get(7)

    async def test_a_compressed_body_cut_short(self, server):
        """R12: a gzip without its end."""
        body = gzip.compress(json(200, detail()).data)[:-9]
        server.answer("GET", PATH, text(200, body, "application/json", {"Content-Encoding": "gzip"}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.get(7)

        assert str(caught.value) == "GET /servers/7/: the response's compressed body is cut short"

    @pytest.mark.parametrize("wbits", [31, 15], ids=["gzip", "deflate"])
    async def test_a_compressed_body_is_read(self, server, wbits):
        """R12: the liveness of it."""
        packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
        body = packer.compress(json(200, detail()).data.partition(b"\r\n\r\n")[2]) + packer.flush()
        encoding = "gzip" if wbits == 31 else "deflate"
        server.answer("GET", PATH, text(200, body, "application/json", {"Content-Encoding": encoding}))

        async with client_of(server) as client:
            assert (await client.servers.get(7)).to_dict() == detail()

        assert server.requests[0].headers["accept-encoding"] == "gzip"


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("relative", [True, False])
    async def test_a_get_is_sent_on_within_its_origin(self, server, status, relative):
        """R14: followed."""
        target = "/api/v1/servers/8/?a=b"
        server.answer(
            "GET", PATH, text(status, "", headers={"Location": target if relative else absolute(server, target)})
        )
        server.answer("GET", "/servers/8/", json(200, detail(8)))

        async with client_of(server) as client:
            assert (await client.servers.get(7)).id == 8

        assert server.requests[1].query == {"a": "b"}
        assert server.requests[1].headers["authorization"] == f"Bearer {TOKEN}"

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("call", ["update", "delete", "start"])
    async def test_anything_else_is_not_and_never_becomes_a_get(self, server, status, call):
        """R14: an error naming the target."""
        for method, path in (("PATCH", PATH), ("DELETE", PATH), ("POST", f"{PATH}start/")):
            server.answer(method, path, text(status, "", headers={"Location": "/api/v2/servers/?x=1"}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await make(client, call)

        assert str(caught.value).endswith(f" was answered {status}, a redirect to /api/v2/servers/: not followed")
        assert len(server.requests) == 1

    async def test_a_circle_ends(self, server):
        """R14: after three."""
        server.answer("GET", PATH, text(302, "", headers={"Location": "/api/v1/servers/7/"}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.get(7)

        assert str(caught.value).endswith("a redirect to /api/v1/servers/7/: not followed")
        assert len(server.requests) == 4

    @pytest.mark.parametrize("location", [None, "", "http://["])
    async def test_one_to_nowhere(self, server, location):
        """R14: said, and no crash."""
        server.answer("GET", PATH, text(302, "", headers={} if location is None else {"Location": location}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match="a redirect to "):
                await client.servers.get(7)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    @pytest.mark.parametrize("call", ["get", "list"])
    async def test_one_to_another_host_gets_no_token_and_is_named(self, server, status, call):
        """R15: not even a connection."""
        with RawServer() as elsewhere:
            target = f"{elsewhere.base_url}/servers/7/"
            reply = text(status, "", headers={"Location": f"{target}?token=secret#x"})
            for method, path in (("GET", PATH), ("GET", "/servers/")):
                server.answer(method, path, reply)

            async with client_of(server) as client:
                with pytest.raises(ResponseError) as caught:
                    await make(client, call)

            assert elsewhere.connections_total == 0
        assert str(caught.value).endswith(f" was answered {status}, a redirect to {target}: not followed")

    async def test_one_to_plain_http_is_named(self):
        """R15: the same host without TLS is another place."""
        with RawServer(tls=certificates().valid) as server:
            target = server.base_url.replace("https:", "http:")
            server.answer("GET", PATH, text(302, "", headers={"Location": f"{target}/servers/7/"}))
            async with client_of(server, ssl_context=certificates().trust) as client:
                with pytest.raises(ResponseError) as caught:
                    await client.servers.get(7)

            assert len(server.requests) == 1
        assert str(caught.value).endswith(f"a redirect to {target}/servers/7/: not followed")

    @pytest.mark.parametrize("user", ["user@", "user:hunter2@", ":@"])
    async def test_one_with_a_user_in_it_is_not_followed(self, server, user):
        """R15: and what it holds is not shown."""
        target = server.base_url.replace("http://", f"http://{user}") + "/servers/8/"
        server.answer("GET", PATH, text(302, "", headers={"Location": target}))

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.get(7)

        assert "hunter2" not in str(caught.value)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1:1", "https://127.0.0.1", ""])
    async def test_a_next_link_is_followed_by_its_query_alone(self, server, origin):
        """R15: a proxy's wrong scheme or host costs nothing, and gets nothing."""
        following = f"{origin}/api/v1/servers/?page=2&page_size=100"
        first, second = page(listed(1), count=2, next=following), page(listed(2), count=2)
        server.answer("GET", "/servers/", lambda request: json(200, second if "page" in request.query else first))

        async with client_of(server) as client:
            assert [found.id for found in await client.servers.list()] == [1, 2]

        assert server.connections_total <= 2

    @pytest.mark.parametrize("following", ["https://elsewhere.example/steal/?page=2", "http://[", "/login/?page=2"])
    async def test_a_next_link_to_another_place_is_named(self, server, following):
        """R15: it is no page of this list."""
        server.answer("GET", "/servers/", json(200, page(listed(1), count=2, next=following)))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match="the list's 'next' leads to ") as caught:
                await client.servers.list()

        assert following.partition("?")[0] in str(caught.value)

    async def test_the_token_goes_to_the_api_alone_also_by_client_http(self, server):
        """R15: whatever else is asked with it, redirects followed by httpx included."""
        with RawServer() as elsewhere:
            elsewhere.answer("GET", "/x/", json(200, {}))
            server.answer("GET", "/x/", text(302, "", headers={"Location": f"{elsewhere.base_url}/x/"}))
            async with client_of(server) as client:
                await client.http.get(f"{elsewhere.base_url}/x/")
                await client.http.get("/x/", follow_redirects=True)

            assert [request.headers.get("authorization") for request in elsewhere.requests] == [None, None]
        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"

    async def test_cookies_are_neither_kept_nor_sent(self, server):
        """R15: nothing of one response travels in the next request."""
        server.answer("GET", PATH, json(200, detail(), {"Set-Cookie": "session=1; Path=/"}))

        async with client_of(server) as client:
            await client.servers.get(7)
            await client.servers.get(7)

            assert list(client.http.cookies.jar) == []
        assert "cookie" not in server.requests[1].headers


class TestWhetherItWasSent:
    @pytest.mark.parametrize(
        ("replies", "sent"),
        [
            ([json(400, {})], False),
            ([json(429, {}, {"Retry-After": "0"}), json(400, {})], False),
            ([drop(), json(400, {})], True),
            ([json(502, {}), json(400, {})], True),
            ([json(500, {})], False),
            ([drop(), json(500, {})], True),
        ],
        ids=["refused", "limited", "lost", "502", "only 500s", "lost, then 500s"],
    )
    async def test_an_error_says_whether_an_earlier_attempt_may_have_been_executed(self, server, replies, sent):
        server.answer("PATCH", PATH, replies)

        async with client_of(server, retry=RetryPolicy(attempts=3, initial=0.001, maximum=0.002)) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.servers.update(7, name="web-02")

        assert caught.value.sent is sent
