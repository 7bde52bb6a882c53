"""Lists on many pages: all servers, each once, whatever the paging says of itself."""

from __future__ import annotations

import itertools
import logging
import random

import anyio
import httpx
import pytest

from tests.helpers import listed, page
from tests.helpers_api import FakeAPI, client_of
from tests.rawserver import drop, hang, hold, json, text
from vpsorg_async import (
    AmbiguousNameError,
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    ResponseError,
    ServerError,
    ServerStatus,
)


pytestmark = pytest.mark.anyio


@pytest.fixture
def api(server):
    return FakeAPI(server)


def ids(servers):
    return [one.id for one in servers]


def asked(server):
    """Return the numbers of the pages that were asked for, in the order of their arrival."""
    return [int(request.query.get("page", 1)) for request in server.requests_to("GET", "/servers/")]


async def iterated(servers):
    """Return the ids that iterating gives, and the error that ends it, if one does."""
    seen = []
    try:
        async for one in servers:
            seen.append(one.id)
    except ResponseError as error:
        return seen, error
    return seen, None


class TestAllPages:
    @pytest.mark.parametrize("size", [20, 100])
    async def test_each_server_once_and_in_order(self, server, api, size):
        """L1: 2,500 servers, whether or not the API heeds `page_size`."""
        everything = api.add(2_500)
        api.paged_by = size

        async with client_of(server) as client:
            awaited = await client.servers.list()
            seen = [one.id async for one in client.servers.list()]

        assert ids(awaited) == seen == everything
        assert sorted(asked(server)) == sorted([*range(1, 2_500 // size + 1)] * 2)

    async def test_later_pages_are_fetched_ahead_eight_at_once(self, server, api):
        """L1: no page waits for the one before it, and no more than eight are under way."""
        api.add(20 * 30)
        api.paged_by = 20
        limiter = server.gate()
        server.answer(
            "GET",
            "/servers/",
            lambda request: hold(api.page(request), limiter) if "page" in request.query else api.page(request),
        )
        listed_ids = []

        async with client_of(server) as client, anyio.create_task_group() as group:

            async def read():
                listed_ids.extend(ids(await client.servers.list()))

            group.start_soon(read)
            await server.arrived(1 + 8)
            limiter.open()

        assert len(listed_ids) == 600
        assert server.connections_peak == 8

    async def test_awaiting_twice_lists_anew(self, server, api):
        """L1: a list is a question, asked each time it is used."""
        api.add(3)

        async with client_of(server) as client:
            servers = client.servers.list()
            first = await servers
            api.add(1)
            second, third = await servers.all(), [one async for one in servers]

        assert [len(first), len(second), len(third)] == [3, 4, 4]

    async def test_an_empty_account_has_an_empty_list(self, server, api):
        """L1: none is a list too."""
        async with client_of(server) as client:
            assert await client.servers.list() == []

        assert len(server.requests) == 1

    async def test_every_server_has_its_methods(self, server, api):
        """L1: servers of later pages too are bound to their client."""
        api.add(150)

        async with client_of(server) as client:
            servers = await client.servers.list()
            seen = await servers[-1].refresh()

        assert seen.id == 150

    @pytest.mark.parametrize("status", [400, 404])
    async def test_an_api_without_page_size_is_asked_once_without_it_and_so_ever_after(self, server, api, status):
        """L1: a parameter that the API does not know is given up."""
        everything = api.add(45)
        server.answer(
            "GET",
            "/servers/",
            lambda request: json(status, {}) if "page_size" in request.query else api.page(request),
        )

        async with client_of(server) as client:
            first, second = ids(await client.servers.list()), ids(await client.servers.list())

        assert first == second == everything
        assert [request.query for request in server.requests if "page_size" in request.query] == [{"page_size": "100"}]
        assert len(server.requests) == 7

    @pytest.mark.parametrize(("status", "error"), [(400, BadRequestError), (404, NotFoundError)])
    async def test_a_refusal_for_another_reason_is_not_blamed_on_page_size(self, server, api, status, error):
        """L1: what is refused without `page_size` too is the caller's, and the next list asks for 100 again."""
        server.answer("GET", "/servers/", [json(status, {}), json(status, {"detail": "No such place."}), api.page])

        async with client_of(server) as client:
            with pytest.raises(error) as caught:
                await client.servers.list(location="nowhere")
            await client.servers.list()

        assert caught.value.message == "No such place."
        assert [request.query.get("page_size") for request in server.requests] == ["100", None, "100"]

    async def test_filters_are_asked_of_every_page(self, server, api):
        """L1: later pages are pages of the same list."""
        api.add(150, location="eu-central")
        wanted = api.add(250, location="us-west", status="stopped")
        api.add(10, location="us-west")

        async with client_of(server) as client:
            servers = await client.servers.list(status=ServerStatus.STOPPED, location="us-west")

        assert ids(servers) == wanted
        assert {(one.query["status"], one.query["location"]) for one in server.requests} == {("stopped", "us-west")}

    @pytest.mark.parametrize("status", [("active", "stopped"), {"active", "stopped", "rebooting"}, "starting", ()])
    async def test_what_the_api_cannot_filter_by_is_filtered_here(self, server, api, status):
        """L1: several statuses, and those that the API does not document as filters."""
        api.add(120, status="active")
        api.add(70, status="stopped")
        api.add(1, status="starting")
        api.add(5, status="migrating")

        async with client_of(server) as client:
            servers = await client.servers.list(status=status)
            seen = [one.id async for one in client.servers.list(status=status)]

        wanted = {status} if isinstance(status, str) else set(status)
        assert ids(servers) == seen == [key for key, one in api.servers.items() if one["status"] in wanted]
        assert all("status" not in request.query for request in server.requests)

    @pytest.mark.parametrize(
        ("status", "error"),
        [("actve", ValueError), (["active", "Stopped"], ValueError), (7, TypeError), ([7], ValueError)],
    )
    async def test_a_status_that_is_none_is_never_asked_for(self, server, status, error):
        """L1: a typing error must not give an empty list."""
        async with client_of(server) as client:
            with pytest.raises(error, match="status"):
                client.servers.list(status=status)

        assert server.requests == []

    async def test_by_name(self, server, api):
        """L1: one server of a name on any page, none, or several."""
        api.add(150)
        api.add(2, name="twin")

        async with client_of(server) as client:
            found, missing = await client.servers.get_by_name("web-150"), await client.servers.get_by_name("web-9999")
            with pytest.raises(AmbiguousNameError) as caught:
                await client.servers.get_by_name("twin")
            with pytest.raises(TypeError):
                await client.servers.get_by_name(7)

        assert (found.id, missing) == (150, None)
        assert str(caught.value) == "2 servers are named 'twin': 151, 152"
        assert caught.value.ids == (151, 152)
        assert isinstance(caught.value, LookupError)

    async def test_the_time_of_a_search_by_name_is_for_all_pages(self, server, api):
        """L1: a call's `timeout` is for the whole call, where a list's is for each page."""
        api.add(300)
        server.answer("GET", "/servers/", lambda request: hang() if "page" in request.query else api.page(request))

        async with client_of(server, timeout=None) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.get_by_name("web-1", timeout=0.2)

        assert caught.value.request_summary == "GET /servers/"


class TestChangesWhileReading:
    @pytest.mark.parametrize("seed", range(25))
    async def test_what_existed_throughout_is_there_once(self, server, api, seed):
        """L2: servers deleted, or made, at random moments of the first observation."""
        rng = random.Random(seed)
        before = api.add(rng.randint(41, 250))
        api.paged_by = 20
        api.newest_first = rng.random() < 0.5
        deleting = rng.random() < 0.5
        pages = -(-len(before) // 20)
        moments = {rng.randrange(1, pages) for _ in range(rng.randint(1, 3))}

        def change(listings):
            if listings not in moments:
                return
            for _ in range(rng.randint(1, 5)):
                if deleting:
                    del api.servers[rng.choice(list(api.servers))]
                else:
                    api.add(1)

        api.before_list = change

        async with client_of(server) as client:
            servers = ids(await client.servers.list())

        shown = list(api.servers)
        assert servers == (shown[::-1] if api.newest_first else shown)

    @pytest.mark.parametrize("seed", range(25))
    async def test_iterating_gives_it_once_too(self, server, api, seed):
        """L2: one after another, what was missed comes last."""
        rng = random.Random(seed)
        before = api.add(rng.randint(41, 250))
        api.paged_by = 20
        moment = rng.randrange(1, -(-len(before) // 20))
        doomed = rng.sample(before, rng.randint(1, 30))

        def change(listings):
            if listings == moment:
                for server_id in doomed:
                    del api.servers[server_id]

        api.before_list = change

        async with client_of(server) as client:
            seen = [one.id async for one in client.servers.list()]

        assert len(seen) == len(set(seen))
        assert set(before) - set(doomed) <= set(seen) <= set(before)

    async def test_a_list_that_never_rests_is_read_three_times_at_most(self, server, api):
        """L2: constant change is no reason to read for ever."""
        throughout = api.add(60)
        api.paged_by = 20
        api.before_list = lambda _: api.add(1)

        async with client_of(server) as client:
            servers = ids(await client.servers.list())

        assert len(servers) == len(set(servers))
        assert set(throughout) <= set(servers)
        assert asked(server).count(1) == 3

    async def test_a_server_shown_twice_is_given_once(self, server):
        """L2: an item that slid to the next page is the same server."""
        server.answer("GET", "/servers/", pages_of([1, 2], [2, 3], [4]))

        async with client_of(server) as client:
            servers = await client.servers.list()
            seen, _ = await iterated(client.servers.list())

        assert ids(servers) == seen == [1, 2, 3, 4]

    async def test_the_last_page_gone_meanwhile_is_the_end(self, server, api):
        """L2: a 404 on a later page is no error."""
        api.add(41)
        api.paged_by = 20
        api.before_list = lambda listings: api.servers.pop(41, None) if listings == 2 else None

        async with client_of(server) as client:
            servers = await client.servers.list()

        assert ids(servers) == list(range(1, 41))


def pages_of(*pages, count=Ellipsis, next_of=None):
    """Return a response that lists servers of these ids on these pages, and says 404 to any other."""
    total = sum(map(len, pages)) if count is Ellipsis else count

    def answer(request):
        number = int(request.query.get("page", 1))
        if number > len(pages):
            return json(404, {"detail": "Invalid page."})
        query = httpx.QueryParams({**request.query, "page": str(number + 1)})
        following = f"http://{request.headers['host']}/api/v1/servers/?{query}" if number < len(pages) else None
        if next_of is not None:
            following = next_of(number, request)
        more = {} if total is None else {"count": total}
        results = [listed(one) if isinstance(one, int) and one is not True else one for one in pages[number - 1]]
        return json(200, {"next": following, "results": results, **more})

    return answer


def here(request, **query):
    return f"http://{request.headers['host']}/api/v1/servers/?{httpx.QueryParams(query)}"


LOOPS = {
    "to itself": lambda number, request: here(request, **request.query),
    "to the first page": lambda number, request: here(request, page_size="100"),
    "to page 1": lambda number, request: here(request, page_size="100", page="1"),
    "to page 2": lambda number, request: here(request, page_size="100", page="2"),
    "to the page before": lambda number, request: here(request, page_size="100", page=str(max(1, number - 1))),
    "between two": lambda number, request: here(request, page_size="100", page=str(3 - number % 2)),
}


class TestNextThatDoesNotEnd:
    @pytest.mark.parametrize("count", [None, 6, 0, 10**12])
    @pytest.mark.parametrize("next_of", LOOPS.values(), ids=LOOPS)
    async def test_a_loop_is_noticed(self, server, next_of, count):
        """L3: `next` that leads back ends in an error, after what was read."""
        server.answer("GET", "/servers/", pages_of([1, 2], [3, 4], [5, 6], count=count, next_of=next_of))

        async with client_of(server) as client:
            with anyio.fail_after(60):
                seen, error = await iterated(client.servers.list())
                with pytest.raises(ResponseError):
                    await client.servers.list()

        assert str(error).startswith("GET /servers/: the list's 'next' ")
        assert error.request_summary == "GET /servers/"
        assert seen[:2] == [1, 2]
        assert len(seen) == len(set(seen))
        assert len(server.requests) <= 2 * 12

    @pytest.mark.parametrize("count", [None, 3, 10**12])
    @pytest.mark.parametrize("results", [[], [listed(1)], [listed(1), listed(2)]], ids=len)
    async def test_pages_without_anything_new_are_noticed(self, server, results, count):
        """L3: the same page under ever new numbers."""

        def answer(request):
            number = int(request.query.get("page", 1))
            link = here(request, **{**request.query, "page": str(number + 1)})
            return json(200, {"next": link, "count": count, "results": results})

        server.answer("GET", "/servers/", answer)

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.list()

        assert "the list's 'next' never ends (" in str(caught.value)
        assert caught.value.request_summary == "GET /servers/"
        assert len(server.requests) <= 20

    @pytest.mark.heavy
    @pytest.mark.parametrize("count", [None, 3])
    async def test_pages_with_ever_new_servers_are_bounded(self, server, count):
        """L3: an endless list of new servers is one that nobody counted on."""
        numbers = itertools.count(1)

        def answer(request):
            number = int(request.query.get("page", 1))
            link = here(request, **{**request.query, "page": str(number + 1)})
            return json(200, {"next": link, "count": count, "results": [listed(next(numbers))]})

        server.answer("GET", "/servers/", answer)

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.list()

        assert "never ends (1" in str(caught.value)
        assert len(server.requests) < 1_100

    @pytest.mark.parametrize("count", [None, 7])
    async def test_a_next_that_skips_about_is_followed(self, server, count):
        """L3: `next` decides, not what its number suggests."""
        order = {1: 2, 2: 5, 5: 3, 3: None}

        def answer(request):
            number = int(request.query.get("page", 1))
            follows = order.get(number)
            link = None if follows is None else here(request, **{**request.query, "page": str(follows)})
            return json(200, {"next": link, "count": count, "results": [listed(10 * number), listed(10 * number + 1)]})

        server.answer("GET", "/servers/", answer)

        async with client_of(server) as client:
            servers = await client.servers.list()

        assert ids(servers) == [10, 11, 20, 21, 50, 51, 30, 31]

    async def test_a_cursor_is_followed_one_by_one(self, server):
        """L3: a `next` that is no page number."""
        cursors = {None: ("a", 1), "a": ("b", 2), "b": (None, 3)}

        def answer(request):
            follows, server_id = cursors[request.query.get("cursor")]
            link = f"?cursor={follows}" if follows else None
            return json(200, {"next": link, "count": 3, "results": [listed(server_id)]})

        server.answer("GET", "/servers/", answer)

        async with client_of(server) as client:
            servers = await client.servers.list()

        assert ids(servers) == [1, 2, 3]
        assert [request.query for request in server.requests] == [
            {"page_size": "100"},
            {"cursor": "a"},
            {"cursor": "b"},
        ]


class TestNextThatLeadsElsewhere:
    @pytest.mark.parametrize(
        "origin",
        [
            "http://admin.vps.org/api/v1",
            "https://elsewhere.example/api/v1",
            "https://user:secret@elsewhere.example/api/v1",
            "//elsewhere.example/api/v1",
            "http://10.0.0.7:8000/internal/api/v1",
            "http://10.0.0.7:8000",
            "/api/v1",
        ],
    )
    async def test_of_a_wrong_origin_the_query_alone_is_followed(self, server, api, origin):
        """R15: a proxy in front of the API makes such links; the token goes to the base URL only."""
        everything = api.add(250)
        api.origin = origin

        async with client_of(server) as client:
            servers = await client.servers.list()

        assert ids(servers) == everything
        assert sorted(asked(server)) == [1, 2, 3]

    @pytest.mark.parametrize(
        "link",
        [
            "https://elsewhere.example/steal/?page=2",
            "http://127.0.0.1/steal?page=2",
            "https://elsewhere.example/?page=2",
            "https://elsewhere.example?page=2",
            "/api/v2/servers/?page=2",
            "/api/v1/servers/7/?page=2",
            "/api/v1/servers/",
            "https://user:secret@elsewhere.example/steal/?page=secret",
            "https://[broken/servers/?page=2",
            "nowhere",
            "javascript:alert(1)?page=2",
        ],
    )
    async def test_another_path_is_not_followed(self, server, link):
        """R15: what leads out of the list is an error that names it, after the page that was read."""
        server.answer("GET", "/servers/", pages_of([1, 2], [3], next_of=lambda number, request: link))

        async with client_of(server) as client:
            seen, error = await iterated(client.servers.list())

        assert seen == [1, 2]
        assert "GET /servers/: the list's 'next' leads to " in str(error)
        assert error.request_summary == "GET /servers/"
        assert "secret" not in str(error)
        assert len(server.requests) == 1


COUNTS = [None, 0, 1, 21, 44, 46, 1_000, 10**12, 10**30, -5, "45", "many", 45.0, True, [], {}]


class TestCounts:
    @pytest.mark.parametrize("count", COUNTS, ids=repr)
    async def test_all_servers_come_whatever_the_count(self, server, api, count):
        """L4: `count` is a hint for observation ahead, and nothing rests on it."""
        everything = api.add(45)
        api.paged_by, api.count = 20, count

        async with client_of(server) as client:
            with anyio.fail_after(60):
                servers = ids(await client.servers.list())
                seen = [one.id async for one in client.servers.list()]

        assert servers == seen == everything
        assert len(server.requests) <= 4 * 9

    async def test_a_count_of_the_page_alone_is_wrong_and_harmless(self, server):
        """L4: a count that differs from page to page costs a second observation, no more."""

        def answer(request):
            number = int(request.query.get("page", 1))
            count = 1 if number == 3 else 2
            return pages_of([1, 2], [3, 4], [5], count=count)(request)

        server.answer("GET", "/servers/", answer)

        async with client_of(server) as client:
            assert ids(await client.servers.list()) == [1, 2, 3, 4, 5]

        assert sorted(asked(server)) == [1, 1, 2, 2, 3, 3]

    async def test_missing_counts_do_not_make_it_read_twice(self, server, api):
        """L4: without `count` the pages are followed one by one, once."""
        api.add(45)
        api.paged_by, api.count = 20, None

        async with client_of(server) as client:
            await client.servers.list()

        assert sorted(asked(server)) == [1, 2, 3]


class TestBareArray:
    @pytest.mark.parametrize("count", [0, 1, 150])
    async def test_it_is_the_whole_list(self, server, count):
        """L5: an array without an object around it is one page."""
        server.answer("GET", "/servers/", json(200, [listed(number) for number in range(count)]))

        async with client_of(server) as client:
            servers = await client.servers.list()

        assert ids(servers) == list(range(count))
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("body", "trouble"),
        [
            ("null", "the response is no object nor an array but null"),
            ("{}", "the response has no list @ $.results but null"),
            ('{"results": {}}', "the response has no list @ $.results but an object"),
            ('{"results": [], "next": 7}', "the response has no link @ $.next but a number"),
            ("<html>", "the response is HTML"),
        ],
    )
    async def test_what_is_no_list_is_an_error(self, server, body, trouble):
        """L5: anything else is not taken for an empty list."""
        server.answer("GET", "/servers/", text(200, body, "application/json"))

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.list()

        assert str(caught.value).startswith(f"GET /servers/: {trouble}")


MALFORMED = {
    "null": None,
    "a number": 7.5,
    "a list": [],
    "no id": {"name": "web-01"},
    "id null": {"id": None},
    "id a bool": {"id": True},
    "id empty": {"id": ""},
    "id a list": {"id": [1]},
}


class TestMalformedItems:
    @pytest.mark.parametrize("item", MALFORMED.values(), ids=MALFORMED)
    async def test_the_error_names_the_position_and_the_reason(self, server, item):
        """L6: one item of 100 that is no server."""
        results = [listed(number) for number in range(100)]
        results[37] = item
        server.answer("GET", "/servers/", json(200, page(*results)))

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.list()

        assert str(caught.value).startswith("GET /servers/: item 37 of the list ($.results[37] of its page): no ")
        assert caught.value.request_summary == "GET /servers/"
        assert len(server.requests) == 1

    @pytest.mark.parametrize("count", [6, None])
    async def test_on_a_later_page_it_is_counted_through(self, server, count):
        """L6: the position is the one in the whole list, and what came before is not lost."""
        server.answer("GET", "/servers/", pages_of([1, 2], [3, None], [5, 6], count=count))

        async with client_of(server) as client:
            seen, error = await iterated(client.servers.list())

        assert "item 3 of the list ($.results[1] of its page): " in str(error)
        assert seen == [1, 2]

    async def test_in_a_bare_array_too(self, server):
        """L6: there is no `results` to name."""
        server.answer("GET", "/servers/", json(200, [listed(1), "x"]))

        async with client_of(server) as client:
            with pytest.raises(ResponseError) as caught:
                await client.servers.list()

        assert "item 1 of the list ($[1]): " in str(caught.value)

    @pytest.mark.parametrize("item", MALFORMED.values(), ids=MALFORMED)
    async def test_skip_invalid_leaves_it_out_and_logs_it(self, server, item, caplog):
        """L6: the others come all the same, without a second observation."""
        caplog.set_level(logging.WARNING, "vpsorg_async")
        server.answer("GET", "/servers/", pages_of([1, 2], [3, item], [5, 6]))

        async with client_of(server) as client:
            servers = await client.servers.list(skip_invalid=True)

        assert ids(servers) == [1, 2, 3, 5, 6]
        [record] = caplog.records
        assert record.getMessage().startswith("GET /servers/: left out item 3 of the list ($.results[1] of its page): ")
        assert sorted(asked(server)) == [1, 2, 3]

    async def test_any_other_oddness_is_no_error(self, server):
        """L6: fields that do not fit are `None`, with the original in `extra`."""
        odd = {"id": 1, "name": 7, "status": ["active"], "plan": "big", "os": 5, "created_at": "soon", "location": {}}
        server.answer("GET", "/servers/", json(200, page(odd, {"uuid": "a-b", "status": "migrating"})))

        async with client_of(server) as client:
            first, second = await client.servers.list()

        assert (first.name, first.status, first.plan, first.os, first.created_at) == ("", "", None, None, None)
        assert first.extra["status"] == ["active"]
        assert (second.id, second.status) == ("a-b", "migrating")


class TestStopping:
    async def test_after_three_items_nothing_more_is_asked(self, server, api):
        """L7: what the caller does not want is not fetched, and the connection is free again."""
        api.add(500)
        seen = []

        async with client_of(server) as client:
            async for one in client.servers.list():
                seen.append(one.id)
                if len(seen) == 3:
                    break
            await client.servers.get(1)

        assert seen == [1, 2, 3]
        assert [request.path for request in server.requests] == ["/servers/", "/servers/1/"]
        assert server.connections_total == 1

    async def test_in_the_middle_of_later_pages_the_connections_are_free_again(self, server, api):
        """L7: pages that were fetched ahead were read to their ends."""
        api.add(1_200)

        async with client_of(server) as client:
            async for one in client.servers.list():
                if one.id == 150:
                    break
            opened = server.connections_total
            for _ in range(3):
                await client.servers.get(1)

        assert server.connections_total == opened
        assert sorted(asked(server)) == [*range(1, 10)]

    async def test_a_list_that_is_never_used_asks_nothing(self, server, api):
        """L7: only using a list sends something."""
        async with client_of(server) as client:
            with pytest.warns(RuntimeWarning, match="never awaited"):
                client.servers.list()

        assert server.requests == []


class TestErrorsInTheMiddle:
    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (json(403, {"detail": "Not for you."}), PermissionDeniedError),
            (json(500, {}), ServerError),
            (drop(), APIConnectionError),
            (text(200, "<html>"), ResponseError),
        ],
    )
    async def test_what_comes_before_the_page_that_fails_is_given_first(self, server, api, reply, error):
        """L1: a page that fails does not take the others with it, and no group of errors is raised."""
        api.add(500)
        server.answer(
            "GET", "/servers/", lambda request: reply if request.query.get("page") == "4" else api.page(request)
        )
        seen = []

        async with client_of(server) as client:
            with pytest.raises(error):
                async for one in client.servers.list():
                    seen.append(one.id)
            with pytest.raises(error):
                await client.servers.list()

        assert seen == list(range(1, 301))

    async def test_after_an_error_iterating_may_go_on(self, server, api):
        """L1: nothing is skipped in silence: what failed is asked for again."""
        everything = api.add(500)
        broken = True

        def answer(request):
            return json(403, {}) if broken and request.query.get("page") == "3" else api.page(request)

        server.answer("GET", "/servers/", answer)
        seen = []

        async with client_of(server) as client:
            walk = aiter(client.servers.list())
            with pytest.raises(PermissionDeniedError):
                while True:
                    seen.append((await anext(walk)).id)
            broken = False
            seen += [one.id async for one in walk]

        assert seen == everything

    @pytest.mark.parametrize("page_number", ["1", "2", "5"])
    async def test_after_a_cancel_iterating_may_go_on(self, server, api, page_number):
        """L1: pages whose fetching was cancelled are asked for again."""
        everything = api.add(500)
        hanging = True

        def answer(request):
            stuck = hanging and request.query.get("page", "1") == page_number
            return hang() if stuck else api.page(request)

        server.answer("GET", "/servers/", answer)
        seen = []

        async with client_of(server) as client:
            walk = aiter(client.servers.list())
            async with anyio.create_task_group() as group:

                async def read():
                    async for one in walk:
                        seen.append(one.id)

                group.start_soon(read)
                await server.until(lambda: int(page_number) in asked(server))
                group.cancel_scope.cancel()
            hanging = False
            seen += [one.id async for one in walk]

        assert seen == everything

    async def test_a_client_closed_in_the_middle_ends_the_list(self, server, api):
        """L1: closing ends a list as any call."""
        api.add(500)
        server.answer("GET", "/servers/", lambda request: hang() if "page" in request.query else api.page(request))
        client = client_of(server)
        errors = []

        async def read():
            with pytest.raises(APIConnectionError) as caught:
                await client.servers.list()
            errors.append(str(caught.value))

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await server.arrived(5)
            await client.aclose()

        assert errors == ["GET /servers/: the client is closed"]

    async def test_what_a_hook_of_the_users_raises_comes_out_as_itself(self, server, api):
        """L1: no group of errors, also when it is raised for a page fetched ahead."""
        api.add(500)

        async def hook(request):
            if "page=3" in str(request.url):
                raise LookupError("no")

        async with client_of(server) as client:
            client.http.event_hooks["request"].append(hook)
            with pytest.raises(LookupError):
                await client.servers.list()
