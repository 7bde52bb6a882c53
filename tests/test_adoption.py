"""Which servers of a listing a lost create may have made: a table, and hypothesis."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import OperatingSystem, Plan, Server, ServerSpec
from vpsorg_async._adoption import candidates_of, posted_at


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)
SPEC = ServerSpec(name="web-01", plan_id=1, os_id="5", location="us-west", hostname="web.example.com")
MADE = Server(
    id=7,
    name="web-01",
    status="provisioning",
    location="us-west",
    plan=Plan(id="1"),
    os=OperatingSystem(id=5),
    hostname="web.example.com",
    created_at=NOON + dt.timedelta(seconds=1),
)


@pytest.mark.parametrize(
    ("changes", "possible", "proven"),
    [
        ({}, True, True),
        ({"name": "web-02"}, False, False),
        ({"location": "us-east"}, False, False),
        ({"plan": Plan(id=2)}, False, False),
        ({"os": OperatingSystem(id=6)}, False, False),
        ({"hostname": "other.example.com"}, False, False),
        ({"created_at": NOON - dt.timedelta(seconds=1)}, False, False),
        ({"location": None}, True, False),
        ({"plan": None}, True, False),
        ({"os": OperatingSystem(name="Debian")}, True, False),
        ({"hostname": None}, True, False),
        ({"created_at": None}, True, False),
    ],
    ids=str,
)
def test_one_is_proven_if_all_is_told_and_fits(changes, possible, proven):
    found = candidates_of(SPEC, [attrs.evolve(MADE, **changes)], posted=NOON)

    assert (bool(found.servers), found.proven) == (possible, proven)


def test_without_the_apis_clock_nothing_is_proven():
    found = candidates_of(SPEC, [MADE], posted=posted_at(None, 3.0))

    assert (found.servers, found.proven) == ([MADE], False)


def test_the_post_was_sent_before_the_response_and_clocks_may_differ_by_two_seconds():
    assert posted_at(NOON, 5.0) == NOON - dt.timedelta(seconds=7)


@pytest.mark.parametrize(
    ("ids", "proven", "words"),
    [
        ([], True, "no such server was found so far"),
        ([7], False, "server 7 may be it, and cannot be proven to be"),
        ([7, 8], True, "2 servers may be it: 7, 8"),
    ],
)
def test_it_says_in_words_what_was_found(ids, proven, words):
    servers = [attrs.evolve(MADE, id=key, created_at=MADE.created_at if proven else None) for key in ids]

    assert str(candidates_of(SPEC, servers, posted=NOON)) == words


@given(st.lists(st.sampled_from([None, "us-west", "us-east"]), max_size=5))
def test_all_that_may_be_it_are_named_in_the_lists_order(locations):
    servers = [attrs.evolve(MADE, id=number, location=one) for number, one in enumerate(locations)]

    found = candidates_of(SPEC, servers, posted=NOON)

    assert [server.id for server in found.servers] == [n for n, one in enumerate(locations) if one != "us-east"]
    assert found.proven == (bool(found.servers) and None not in locations)
