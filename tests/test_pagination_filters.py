"""Lists whose server ignores a filter, changes the query of `next`, or shows malformed and deleted servers."""

from __future__ import annotations

import anyio
import httpx
import pytest

from tests.helpers import listed, page
from tests.helpers_api import FakeAPI, client_of
from tests.rawserver import hold, json
from vpsorg_async import AmbiguousNameError, ResponseError


pytestmark = pytest.mark.anyio


@pytest.fixture
def api(server):
    return FakeAPI(server)


def shows(server, *items):
    server.answer("GET", "/servers/", json(200, page(*items)))


class TestIgnoredFilters:
    async def test_another_location_is_not_given(self, server):
        """L9: a proxy dropped the query, and a bulk delete by location must not widen."""
        shows(server, listed(1, location="us-west"), listed(2, location="eu-1"), listed(3, location="us-west"))

        async with client_of(server) as client:
            awaited = await client.servers.list(location="us-west")
            seen = [one.id async for one in client.servers.list(location="us-west")]

        assert [one.id for one in awaited] == seen == [1, 3]
        assert server.requests[0].query["location"] == "us-west"

    async def test_another_status_is_not_given(self, server):
        """L9: both filters at once, too."""
        shows(
            server,
            listed(1, status="stopped"),
            listed(2, status="active"),
            listed(3, status="stopped", location="eu-1"),
        )

        async with client_of(server) as client:
            found = await client.servers.list(status="stopped", location="us-west")

        assert [one.id for one in found] == [1]

    async def test_locations_that_are_named_otherwise_are_not_compared(self, server):
        """L9: the items of the vendor's newer clients do not have the code that the filter names."""
        shows(
            server,
            {**listed(1), "location": {"id": 3, "name": "Los Angeles"}},
            {key: value for key, value in listed(2, location_name="Los Angeles").items() if key != "location"},
        )

        async with client_of(server) as client:
            found = await client.servers.list(location="us-west")

        assert [one.id for one in found] == [1, 2]

    async def test_a_deleted_server_is_in_no_list(self, server):
        shows(server, listed(1, status="deleted", name="web"), listed(2, name="web"))

        async with client_of(server) as client:
            found = await client.servers.list()
            named = await client.servers.get_by_name("web")

        assert [one.id for one in found] == [2]
        assert named.id == 2


class TestNextThatRewritesTheQuery:
    @pytest.mark.parametrize(
        "rewritten",
        [
            lambda query: {**query, "page_size": "20"},
            lambda query: dict(reversed(query.items())),
            lambda query: {"ordering": "id", **query},
        ],
        ids=["page_size", "order", "a parameter more"],
    )
    async def test_pages_are_still_fetched_ahead(self, server, api, rewritten):
        """L8: pages 2 to 8 are under way at once, as the second one's `next` need not be read first."""
        everything = api.add(160)
        api.paged_by = 20
        api.next_of = lambda _, link: str(
            httpx.URL(link).copy_with(params=rewritten(dict(httpx.URL(link).params.items())))
        )
        gate = server.gate()
        server.answer(
            "GET",
            "/servers/",
            lambda request: hold(api.page(request), gate) if "page" in request.query else api.page(request),
        )
        found = []

        async with client_of(server) as client, anyio.create_task_group() as group:

            async def read():
                found.extend(await client.servers.list(location="us-west"))

            group.start_soon(read)
            with anyio.fail_after(60):
                await server.arrived(1 + 7)
            gate.open()

        assert [one.id for one in found] == everything


class TestNames:
    async def test_malformed_neighbours_are_passed_over(self, server):
        shows(server, {"name": "b"}, None, 7, listed(2, name="a"), {"name": ["a"]})

        async with client_of(server) as client:
            found = await client.servers.get_by_name("a")
            missing = await client.servers.get_by_name("c")

        assert (found.id, missing) == (2, None)

    async def test_a_malformed_server_of_that_name_is_not_taken_for_none(self, server):
        """A program that creates a server where there is none would create a second one."""
        shows(server, {"name": "a"}, listed(2, name="b"))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match="no usable id"):
                await client.servers.get_by_name("a")

    async def test_several_are_an_error_with_their_ids(self, server):
        shows(server, listed(1, name="a"), listed(2, name="a"))

        async with client_of(server) as client:
            with pytest.raises(AmbiguousNameError) as caught:
                await client.servers.get_by_name("a")

        assert caught.value.ids == (1, 2)
        assert caught.value.request_summary == "GET /servers/"
