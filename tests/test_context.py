"""What a client's parts share: a view has its own options on the same connections."""

from __future__ import annotations

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
