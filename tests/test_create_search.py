"""What listings show of a create whose response did not come."""

from __future__ import annotations

import datetime as dt

import pytest

from vpsorg_async import OperatingSystem, Plan, Server, ServerSpec
from vpsorg_async._create_search import Listed, Search


pytestmark = pytest.mark.anyio
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SPEC = ServerSpec(name="app-0", plan_id=1, os_id=5, location="us-west")


def server(number: int, **changes) -> Server:
    given = {
        "name": "app-0",
        "status": "active",
        "location": "us-west",
        "plan": Plan(id=1),
        "os": OperatingSystem(id=5),
        "created_at": NOON,
    }
    return Server(id=number, **{**given, **changes})


def listed(*servers: Server, **changes) -> Listed:
    given = {"began": 0.0, "ended": 1.0, "date": NOON, "cached": False, "zoneless": frozenset()}
    return Listed(servers=[*servers], **{**given, **changes})


@pytest.mark.parametrize(
    ("listing", "rival", "proven"),
    [
        (listed(server(1)), False, True),
        (listed(server(1)), True, False),
        (listed(server(1), cached=True), False, False),
        (listed(server(1), zoneless=frozenset({"1"})), False, False),
        (listed(server(1), server(2)), False, False),
        (listed(server(1, created_at=NOON - dt.timedelta(seconds=1))), False, False),
        (listed(server(1), date=NOON + dt.timedelta(seconds=9)), False, False),
    ],
)
def test_a_listing_proves_a_create_or_not(listing, rival, proven):
    # Of other responses, which vouch for its clock.
    offsets = [NOON.timestamp() - 1.0]

    candidates = listing.candidates(SPEC, NOON, offsets=offsets, has_rival=rival)

    assert candidates.servers
    assert (candidates.proven is not None) is proven


async def test_a_search_takes_together_what_listings_show():
    pages = [listed(), listed(server(1), server(2)), listed(server(2))]
    search = Search(
        lambda options: _given(pages),
        lambda found: found.candidates(SPEC, NOON, offsets=[NOON.timestamp() - 1.0], has_rival=False),
        lambda one: one.id != 2,
    )

    assert await search.poll(None) is None
    assert search.told == "it was not found in 1 listing so far"
    assert (await search.poll(None)).id == 1
    # What one listing has shown is not forgotten because the next one lacks it.
    assert (await search.poll(None)).id == 1


async def _given(pages):
    return pages.pop(0)
