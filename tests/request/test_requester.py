"""A call from its data to what its response decodes to."""

from __future__ import annotations

import httpx
import pytest

from tests.helpers import action, detail
from tests.rawserver import RawServer, drop, json
from vpsorg_async import APIConnectionError, Client, NotFoundError, ResponseError, RetryPolicy, VPSError


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.001, maximum=0.001)


def client_of(server):
    return Client("vps_test", base_url=server.base_url, retry=QUICK)


@pytest.mark.parametrize("status", [200, 404])
async def test_what_stands_in_for_the_send_of_httpx_may_respond_itself(server, monkeypatch, status):
    async def send(_client, request, **_options):
        return httpx.Response(status, json=detail(8), request=request)

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    async with client_of(server) as client:
        if status == 200:
            assert (await client.servers.get(8)).id == 8
        else:
            with pytest.raises(NotFoundError):
                await client.servers.get(8)

    assert server.requests == []


async def test_a_client_whose_httpx_client_was_closed_says_so_in_our_words(server):
    client = client_of(server)
    await client.http.aclose()

    for call in (client.servers.get(8), client.request("GET", "/x/")):
        with pytest.raises(APIConnectionError, match="the client is closed"):
            await call


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("DELETE", None), ("POST", "0")])
async def test_a_request_without_a_body_has_the_headers_that_httpx_gives_it(server, method, length):
    server.answer("GET", "/servers/7/", json(200, detail()))
    server.answer("DELETE", "/servers/7/", json(204, None))
    server.answer("POST", "/servers/7/start/", json(200, action()))
    server.answer(method, "/x/", json(200, {}))

    async with client_of(server) as client:
        calls = {"GET": client.servers.get, "DELETE": client.servers.delete, "POST": client.servers.start}
        await calls[method](7)
        await client.http.request(method, "/x/")

    ours, theirs = server.requests
    assert ours.headers == theirs.headers
    assert ours.headers.get("content-length") == length


async def test_a_deleted_server_is_a_204_to_a_request_by_hand_too(server):
    """R4: where the lost attempt did it, with the headers of the response that came."""
    server.answer("DELETE", "/servers/7/", [drop(), json(404, {"detail": "Not found."}, {"X-Request-ID": "r-1"})])

    async with client_of(server) as client:
        response = await client.request("DELETE", "/servers/7/")

    assert (response.status_code, response.content, response.headers["X-Request-ID"]) == (204, b"", "r-1")
    assert response.request.method == "DELETE"
    assert response.elapsed.total_seconds() > 0


class TestRedirectsOfHTTPX:
    """`client.http.follow_redirects = True` is the user's, for requests of their own."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_they_lead_no_call_of_the_library_elsewhere(self, server, status):
        """R15: neither a GET nor a create leaves the API's origin."""
        with RawServer() as other:
            server.answer("GET", "/servers/7/", json(status, {}, {"Location": f"{other.base_url}/servers/7/"}))
            server.answer("POST", "/servers/", json(status, {}, {"Location": f"{other.base_url}/servers/"}))
            server.answer("POST", "/x/", json(status, {}, {"Location": f"{other.base_url}/x/"}))
            async with client_of(server) as client:
                client.http.follow_redirects = True
                with pytest.raises(ResponseError, match="a redirect to"):
                    await client.servers.get(7)
                with pytest.raises(VPSError, match="a redirect to"):
                    await client.servers.create(name="web", plan_id=1, os_id=5, location="us-west", timeout=1)
                with pytest.raises(VPSError, match="a redirect to"):
                    await client.request("POST", "/x/", json={})

            assert other.connections_total == 0

    @pytest.mark.parametrize("status", [302, 307])
    async def test_they_never_turn_a_post_into_a_get(self, server, status):
        """R14: within the origin neither."""
        server.answer("POST", "/x/", json(status, {}, {"Location": f"{server.base_url}/y/"}))
        async with client_of(server) as client:
            client.http.follow_redirects = True
            with pytest.raises(VPSError, match="a redirect to"):
                await client.request("POST", "/x/", json={})

        assert [request.path for request in server.requests] == ["/x/"]
