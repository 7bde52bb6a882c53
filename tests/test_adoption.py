"""Which servers of a listing a lost create may have made: a table, and hypothesis."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import OperatingSystem, Plan, Server, ServerSpec
from vpsorg_async._adoption import Evidence, candidates_of, posted_at


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


def found_in(servers, *, posted=NOON, **evidence):
    return candidates_of(SPEC, servers, Evidence(posted, **evidence))


@pytest.mark.parametrize(
    ("changes", "possible", "proven"),
    [
        ({}, True, True),
        ({"name": "web-02"}, False, False),
        ({"name": "WEB-01"}, True, False),
        ({"location": "us-east"}, True, False),
        ({"location": "US West"}, True, False),
        ({"plan": Plan(id=2)}, False, False),
        ({"os": OperatingSystem(id=6)}, False, False),
        ({"hostname": "other.example.com"}, True, False),
        ({"hostname": "WEB.example.COM."}, True, True),
        ({"created_at": NOON - dt.timedelta(seconds=1)}, True, False),
        ({"created_at": NOON - dt.timedelta(minutes=11)}, False, False),
        ({"location": None}, True, False),
        ({"plan": None}, True, False),
        ({"os": OperatingSystem(name="Debian")}, True, False),
        ({"hostname": None}, True, False),
        ({"created_at": None}, True, False),
    ],
    ids=str,
)
def test_one_is_proven_if_all_is_told_and_fits(changes, possible, proven):
    found = found_in([attrs.evolve(MADE, **changes)])

    assert (bool(found.servers), found.proven is not None) == (possible, proven)


@pytest.mark.parametrize(
    "evidence",
    [
        {"posted": posted_at(None, 3.0)},
        {"distrust": "the listing came from a cache"},
        {"zoneless": frozenset({"7"})},
        {"listed": NOON - dt.timedelta(seconds=2)},
    ],
    ids=str,
)
def test_without_a_clock_that_can_be_relied_on_nothing_is_proven(evidence):
    found = found_in([MADE], **evidence)

    assert (found.servers, found.proven) == ([MADE], None)
    assert str(found).startswith("server 7 may be it, but ")


def test_the_post_was_sent_before_the_response_and_clocks_may_differ_by_two_seconds():
    assert posted_at(NOON, 5.0) == NOON - dt.timedelta(seconds=7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([], ""),
        ([{"created_at": None}], "server 7 may be it, but its age cannot be told"),
        ([{}, {}], "server 7 may be it; server 8 may be it"),
        ([{"name": "WEB-01", "plan": None}], "server 7 may be it, but its name is 'WEB-01' and its plan is not shown"),
    ],
)
def test_it_says_in_words_what_was_found(changes, words):
    servers = [attrs.evolve(MADE, id=7 + number, **change) for number, change in enumerate(changes)]

    assert str(found_in(servers)) == words


@given(st.lists(st.sampled_from([None, "us-west", "us-east"]), max_size=5))
def test_one_that_fits_is_proven_beside_those_that_differ_and_not_beside_those_that_may_fit(locations):
    servers = [attrs.evolve(MADE, id=number, location=one) for number, one in enumerate(locations)]

    found = found_in(servers)

    assert [server.id for server in found.servers] == [*range(len(locations))]
    assert (found.proven is not None) == (locations.count("us-west") == 1 and None not in locations)
