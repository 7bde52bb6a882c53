"""What the parts of a client have to do with each other, and with those of another client."""

from __future__ import annotations

import pytest

from tests.helpers import detail
from tests.rawserver import RawServer, json
from vpsorg_async import Client, ClientClosedError


pytestmark = pytest.mark.anyio


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        yield running


async def test_who_closes_the_httpx_client_closes_the_client(server):
    async with Client("vps_test", base_url=server.base_url) as client:
        await client.http.aclose()

        assert client.is_closed
        with pytest.raises(ClientClosedError, match="closed"):
            await client.servers.get(7)


async def test_a_server_that_a_poll_shows_has_the_methods_of_its_client(server):
    async with Client("vps_test", base_url=server.base_url) as client:
        shown = await client.servers.wait_until(7, status=detail(7)["status"])

        assert (await shown.refresh()).id == 7


async def test_two_clients_of_one_api_share_no_figures(server):
    async with (
        Client("vps_test", base_url=server.base_url) as first,
        Client("vps_test", base_url=server.base_url) as second,
    ):
        await first.servers.get(7)

        assert (first.stats().requests, second.stats().requests) == (1, 0)
