"""Every page of a list is read by its links, which may neither leave it nor lead on for ever."""

from __future__ import annotations

import pytest

from tests.helpers_api import client_of
from tests.rawserver import json
from vpsorg_async import APITimeoutError, ResponseError
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio


def a_page(*ids, following=None):
    return json(200, {"count": 99, "next": following, "previous": None, "results": [{"id": one} for one in ids]})


async def read(server):
    async with client_of(server) as client:
        return [plan.id for plan in await client.plans.list()]


class TestLinks:
    @pytest.mark.parametrize(
        "link", ["{}/plans/?page=2", "http://internal.example/api/v1/plans/?page=2", "/plans/?page=2", "?page=2"]
    )
    async def test_each_is_followed_to_the_client_s_own_origin(self, server, link):
        """A proxy may have changed scheme, host and prefix; only the query is taken."""
        server.answer("GET", "/plans/", [a_page(1, 2, following=link.format(server.base_url)), a_page(3)])

        assert await read(server) == [1, 2, 3]
        assert [request.query for request in server.requests] == [{}, {"page": "2"}]

    async def test_the_filter_goes_along_as_the_link_has_it(self, server):
        server.answer("GET", "/plans/", [a_page(1, following="/plans/?location=eu&page=2"), a_page(3)])

        async with client_of(server) as client:
            await client.plans.list(location="eu")

        assert [request.query for request in server.requests] == [{"location": "eu"}, {"location": "eu", "page": "2"}]

    @pytest.mark.parametrize("link", ["http://a.example/api/v1/servers/?page=2", "/plans/7/?page=2", "/plans/", "//["])
    async def test_one_that_leaves_the_list_is_an_error(self, server, link):
        server.answer("GET", "/plans/", a_page(1, following=link))

        with pytest.raises(ResponseError) as caught:
            await read(server)

        assert str(caught.value).startswith("GET /plans/: the list's 'next' leads to")
        assert caught.value.request_summary == "GET /plans/"

    async def test_one_that_leads_back_is_an_error(self, server):
        server.answer("GET", "/plans/", a_page(1, following="/plans/?page=2"))

        with pytest.raises(ResponseError) as caught:
            await read(server)

        assert str(caught.value) == "GET /plans/: the list's 'next' never ends (2 pages read)"

    async def test_one_that_always_leads_on_is_an_error(self, server):
        server.answer(
            "GET",
            "/plans/",
            lambda request: a_page(1, following=f"/plans/?page={int(request.query.get('page', 1)) + 1}"),
        )

        with pytest.raises(ResponseError, match=r"never ends \(100 pages read\)"):
            await read(server)


@pytest.mark.parametrize("body", [[{"id": 1}], {"results": [{"id": 1}]}, {"count": 1, "results": [{"id": 1}]}])
async def test_a_list_may_have_no_pages(server, body):
    """A bare array is the whole list."""
    server.answer("GET", "/plans/", json(200, body))

    assert await read(server) == [1]


@pytest.mark.parametrize("body", [{}, 7, {"results": 7}, {"results": [], "next": 7}])
async def test_what_is_no_page_is_an_error(server, body):
    server.answer("GET", "/plans/", json(200, body))

    with pytest.raises(ResponseError, match=r"^GET /plans/: the response"):
        await read(server)


async def test_what_is_nested_too_deeply_is_an_error(server):
    """It could not be compared or copied."""
    deep = 7
    for _ in range(200):
        deep = [deep]
    server.answer("GET", "/plans/", json(200, [{"id": 1, "more": deep}]))

    with pytest.raises(ResponseError, match="nested deeper"):
        await read(server)


class TestTime:
    async def test_the_timeout_of_a_list_is_for_each_page(self):
        sandbox = Sandbox()
        sandbox.faults.add(Fault.delay(3, path="/locations/"))
        async with sandbox.client(timeout=5) as client:
            began = sandbox._clock.now()
            assert len(await client.locations.list(timeout=4)) == 6

        assert sandbox._clock.now() == began + 3

    async def test_that_of_a_search_is_for_all_of_them(self, monkeypatch):
        """A page that comes in time does not begin it anew."""
        monkeypatch.setattr("vpsorg_async.sandbox._api.endpoints.PAGE_SIZE", 2)
        sandbox = Sandbox()
        sandbox.faults.add(Fault.delay(3, path="/locations/"))
        async with sandbox.client() as client:
            assert len(await client.locations.list(timeout=5)) == 6
            with pytest.raises(APITimeoutError) as caught:
                await client.locations.get_by_name("us-west", timeout=5)
            found = await client.locations.get_by_name("us-west", timeout=10)

        assert str(caught.value) == "GET /locations/: not all pages could be read within 5 s"
        assert (caught.value.sent, caught.value.request_summary) == (False, "GET /locations/")
        assert found.id == 1
