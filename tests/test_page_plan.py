"""Which pages of a list come next, and whether it was read whole: tables, and lists that hypothesis makes up."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import ResponseError, Server
from vpsorg_async._page_plan import AHEAD, ListPass, PageRead, filter_of


FIRST = {"page_size": "100"}


def query_of(link):
    """Any path is this list's; a link without a query leads out of it."""
    return dict(parse_qsl(urlsplit(link).query)) or None


def link_to(number):
    return f"https://api.example/servers/?page_size=100&page={number}"


def page(ids, *, count=None, following=None, unread=()):
    """Return a page with those servers, of which the *unread* ones are nobody's."""
    servers = [Server(id=key, name=f"web-{key}", status="active") for key in ids if key not in unread]
    others = [str(key) for key in ids if key in unread]
    return PageRead(servers, len(ids), count, following, 0.0, 1.0, None, others=others)


def numbered(number):
    return {**FIRST, "page": str(number)}


def begun(first):
    reading = ListPass(dict(FIRST), query_of)
    reading.begin(first)
    return reading


class TestUpcoming:
    def test_numbered_pages_are_requested_ahead_as_far_as_the_count_promises(self):
        reading = begun(page([1, 2], count=7, following=link_to(2)))

        assert reading.upcoming(link_to(2)) == [numbered(2), numbered(3), numbered(4)]

    @pytest.mark.parametrize(
        "query",
        ["page=2&page_size=50", "page_size=100&page=2", "ordering=id&page=2&page_size=100", "page=2&page_size=20&v=1"],
    )
    def test_what_a_server_adopts_or_adds_is_kept_for_the_pages_ahead(self, query):
        link = f"https://api.example/servers/?{query}"

        reading = begun(page([1, 2], count=6, following=link))

        second = query_of(link)
        assert reading.upcoming(link) == [second, {**second, "page": "3"}]

    def test_no_more_at_once_than_eight(self):
        reading = begun(page([1], count=100, following=link_to(2)))

        assert reading.upcoming(link_to(2)) == [numbered(number) for number in range(2, 2 + AHEAD)]

    @pytest.mark.parametrize(
        ("count", "following"),
        [
            (None, link_to(2)),
            (7, "https://api.example/servers/?cursor=abc"),
            (7, link_to(3)),
            (7, "https://api.example/servers/?page=2"),
            (7, "https://api.example/servers/?page=02&page_size=100"),
        ],
        ids=["no count", "a cursor", "a jump", "another query", "another number"],
    )
    def test_other_pages_are_followed_one_by_one(self, count, following):
        reading = begun(page([1, 2], count=count, following=following))

        assert reading.upcoming(following) == [query_of(following)]

    @pytest.mark.parametrize(
        ("link", "trouble"),
        [
            ("https://user:hunter2@evil.example/", "the list's 'next' leads to 'https://evil.example/': not followed"),
            (
                "https://api.example/servers/?page_size=100",
                "the list's 'next' leads back to a page that was read: {'page_size': '100'}",
            ),
        ],
    )
    def test_a_link_out_of_the_list_or_back_is_refused(self, link, trouble):
        reading = begun(page([1], following=link))

        with pytest.raises(ResponseError) as caught:
            reading.upcoming(link)

        assert str(caught.value) == f"GET /servers/: {trouble}"

    def test_three_pages_without_a_new_server_are_the_end_of_patience(self):
        reading = begun(page([1], following=link_to(2)))
        for number in (2, 3, 4):
            reading.take(numbered(number), page([1], following=link_to(number + 1)))

        with pytest.raises(ResponseError) as caught:
            reading.upcoming(link_to(5))

        assert str(caught.value) == "GET /servers/: the list's 'next' never ends (4 pages read)"


class TestConsistent:
    @pytest.mark.parametrize(
        ("pages", "consistent"),
        [
            ([page([1, 2], count=4), page([3, 4], count=4)], True),
            ([page([1, 2]), page([3])], True),
            ([page([1, 2], count=4), page([3, 4], count=3)], False),
            ([page([1, 2], count=4), page([2, 3], count=4)], False),
            ([page([1, 2], count=4), page([3], count=4)], False),
        ],
        ids=["whole", "without a count", "another count", "a server twice", "short"],
    )
    def test_what_ids_and_counts_tell(self, pages, consistent):
        reading = begun(pages[0])
        for number, one in enumerate(pages[1:], 2):
            reading.take(numbered(number), one)

        assert reading.consistent is consistent


class TestAnyList:
    @given(st.lists(st.lists(st.integers(1, 30), max_size=6), min_size=1, max_size=8))
    def test_each_server_is_taken_once_in_the_order_in_which_it_came(self, ids):
        reading = ListPass(dict(FIRST), query_of)
        fresh = reading.begin(page(ids[0], following=link_to(2)))
        for number, some in enumerate(ids[1:], 2):
            fresh += reading.take(numbered(number), page(some, following=link_to(number + 1)))

        every = [key for some in ids for key in some]
        assert [server.id for server in reading.servers] == [*dict.fromkeys(every)]
        assert fresh == reading.servers
        assert reading.length == len(every)

    @given(st.lists(st.lists(st.integers(1, 9), max_size=4), min_size=1, max_size=5), st.sets(st.integers(1, 9)))
    def test_servers_that_are_not_read_count_as_much_as_those_that_are(self, ids, unread):
        def read(some):
            reading = ListPass(dict(FIRST), query_of)
            servers = [reading.begin(page(ids[0], following=link_to(2), unread=some))]
            for number, keys in enumerate(ids[1:], 2):
                link = link_to(number + 1)
                servers.append(reading.take(numbered(number), page(keys, following=link, unread=some)))
            return reading, servers

        (whole, all_servers), (part, some_servers) = read(()), read(unread)

        assert (part.ids, part.consistent, part.length, part._empty) == (
            whole.ids,
            whole.consistent,
            whole.length,
            whole._empty,
        )
        assert some_servers == [[one for one in servers if one.id not in unread] for servers in all_servers]

    @given(st.integers(1, 200), st.integers(1, 12))
    def test_no_page_past_the_end_and_none_twice_is_asked_for(self, total, size):
        """Every page of a list that does not change is requested once."""
        chunks = [range(begin, min(begin + size, total)) for begin in range(0, total, size)]
        pages = {
            number: page(chunk, count=total, following=link_to(number + 1) if number < len(chunks) else None)
            for number, chunk in enumerate(chunks, 1)
        }
        reading, requested = begun(pages[1]), [1]

        while reading.next is not None:
            for query in reading.upcoming(reading.next):
                requested.append(int(query["page"]))
                reading.take(query, pages[requested[-1]])

        assert requested == [*pages]
        assert len(reading.servers) == total
        assert reading.consistent


def item(**changed):
    return Server.from_dict({"id": 7, "name": "web-07", "status": "active", "location": "us-west", **changed})


class TestFilter:
    @pytest.mark.parametrize(
        ("data", "location", "fits"),
        [
            ({}, "us-west", True),
            ({}, "US-West", True),
            ({}, "eu-1", False),
            ({}, "us", False),
            ({}, None, True),
            ({"location": {"code": "us-west"}}, "eu-1", True),
            ({"location": None, "location_name": "US West"}, "us-west", True),
            ({"location": None}, "us-west", True),
            ({"location": 7}, "us-west", True),
            ({"location": ""}, "us-west", False),
        ],
    )
    def test_only_a_location_of_the_documented_shape_is_compared(self, data, location, fits):
        assert filter_of(None, location)(item(**data)) is fits

    @pytest.mark.parametrize(
        ("status", "wanted", "fits"),
        [
            ("active", {"active"}, True),
            ("active", {"stopped", "active"}, True),
            ("stopped", {"active"}, False),
            ("migrating", {"active"}, False),
            ("migrating", None, True),
            (None, {"active"}, False),
            ("deleted", None, False),
        ],
    )
    def test_a_status_is_compared_and_what_is_deleted_is_in_no_list(self, status, wanted, fits):
        assert filter_of(wanted, None)(item(status=status)) is fits
