"""Finds out what became of a create or reboot that an earlier process may have sent, and sends it again or does not."""

from __future__ import annotations

import datetime as dt

from typing import Any

import attrs
import pytest

from tests.durable.parts import Bench, arguments_of, bench, item_record, spec
from tests.helpers import action, detail
from tests.helpers_api import ITS_CLOCK, SPEC, stamp
from tests.rawserver import drop, json, text
from vpsorg_async import OutcomeUnknownError
from vpsorg_async._action_parts import Memory


pytestmark = pytest.mark.anyio

RECORD = item_record(spec(SPEC["name"]), arguments=arguments_of(own={"wait": False}))
BOTH = pytest.mark.parametrize("on_ambiguous", ["unknown", "resend"])


def created_before(on: Bench, **changes: Any) -> int:
    """Let the create of the earlier process have made a server, whatever became of its response."""
    server_id = on.api.add_like(SPEC, **changes)
    on.api.created.append(server_id)
    return server_id


class TestCreates:
    @BOTH
    async def test_a_server_that_is_proven_is_adopted(self, server, on_ambiguous):
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            there = created_before(on)

            outcome = await on.find_out(RECORD)

            assert (outcome.state, outcome.accepted, outcome.server.id) == ("succeeded", True, there)
            assert on.posts == []

    @BOTH
    async def test_a_server_that_a_list_shows_late_is_adopted(self, server, on_ambiguous):
        """The list lags by several looks, but by less than `settle`."""
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            there = created_before(on)
            on.api.unseen = 8

            outcome = await on.find_out(RECORD)

            assert (outcome.state, outcome.server.id) == ("succeeded", there)
            assert on.api.listings > 8
            assert on.posts == []

    async def test_a_create_that_no_listing_shows_is_unknown(self, server):
        async with bench(server) as on:
            outcome = await on.find_out(RECORD)

            assert outcome.state == "unknown"
            assert isinstance(outcome.error, OutcomeUnknownError)
            assert on.posts == []
            assert sum(on.clock.slept) >= 60

    async def test_a_create_that_no_listing_shows_is_sent_once_more_if_wanted(self, server):
        async with bench(server, on_ambiguous="resend") as on:
            outcome = await on.find_out(RECORD)

            assert (outcome.state, outcome.accepted) == ("succeeded", True)
            assert [outcome.server.id] == on.api.created
            assert on.posts == ["/servers/"]
            # Not before listings over all the time had not shown it.
            assert sum(on.clock.slept) >= 60

    async def test_a_create_that_is_sent_again_and_whose_response_is_lost_is_not_sent_a_third_time(self, server):
        async with bench(server, on_ambiguous="resend") as on:
            server.answer("POST", "/servers/", on.api.committed(lambda _: drop()))

            outcome = await on.find_out(RECORD)

            assert on.posts == ["/servers/"]
            assert outcome.state in {"succeeded", "unknown"}

    @BOTH
    @pytest.mark.parametrize(
        "changes",
        [
            {"age": 300},
            {"age": 86_400},
            {"location": "eu-central"},
            {"location": None},
            {"created_at": None},
            {"name": SPEC["name"].upper()},
        ],
        ids=["older", "much older", "elsewhere", "nowhere", "ageless", "in capitals"],
    )
    async def test_a_server_of_the_name_that_is_not_proven_leaves_it_unknown(self, server, on_ambiguous, changes):
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            on.api.add_like(SPEC, **changes)

            outcome = await on.find_out(RECORD)

            assert outcome.state == "unknown"
            assert isinstance(outcome.error, OutcomeUnknownError)
            assert on.posts == []

    @BOTH
    async def test_a_name_that_was_seen_once_does_not_count_as_absent_afterwards(self, server, on_ambiguous):
        """A replica that lags does not show a server that another one has shown, and that nothing proves."""
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            there = on.api.add_like(SPEC, location=None)

            def hide(number: int) -> None:
                if number == 2:
                    del on.api.servers[there]

            on.api.before_list = hide

            outcome = await on.find_out(RECORD)

            assert outcome.state == "unknown"
            assert on.posts == []

    @BOTH
    async def test_listings_that_fail_for_a_while_do_not_end_the_search(self, server, on_ambiguous):
        """They fail for longer than `settle`."""
        async with bench(server, settle=5.0, on_ambiguous=on_ambiguous) as on:
            there = created_before(on)
            server.answer("GET", "/servers/", [*[text(502, "<html>zq</html>", "text/html")] * 40, on.api.page])

            outcome = await on.find_out(RECORD)

            assert (outcome.state, outcome.server.id) == ("succeeded", there)
            assert on.posts == []

    @BOTH
    async def test_listings_that_fail_on_and_on_leave_it_unknown(self, server, on_ambiguous):
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            server.answer("GET", "/servers/", text(502, "<html>zq</html>", "text/html"))

            outcome = await on.find_out(RECORD)

            assert outcome.state == "unknown"
            assert "zq" not in str(outcome.error)
            assert on.posts == []

    @BOTH
    async def test_a_malformed_item_of_the_name_is_not_absent(self, server, on_ambiguous):
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            on.api.servers[1] = {"name": SPEC["name"].upper(), "status": "provisioning"}

            outcome = await on.find_out(RECORD)

            assert outcome.state == "unknown"
            assert on.posts == []

    async def test_a_malformed_item_of_another_name_says_nothing(self, server):
        async with bench(server, on_ambiguous="resend") as on:
            page = on.api.page

            def with_one_more(request):
                on.api.servers[99] = {"id": None, "name": "another", "status": "active"}
                return page(request)

            server.answer("GET", "/servers/", with_one_more)

            outcome = await on.find_out(RECORD)

            assert outcome.state == "succeeded"
            assert on.posts == ["/servers/"]


SEVEN = "/servers/7/"
BEFORE = ITS_CLOCK - dt.timedelta(days=1)
REBOOT = item_record(7, "reboot", arguments=arguments_of(own={"wait": False}))
SETTINGS = tuple(detail()[name] for name in ("name", "hostname", "backups_enabled"))
MEMORY = Memory(baseline=BEFORE, newest=BEFORE, settings=SETTINGS, habits=("moves",))


def show(on: Bench, updated_at: dt.datetime, status: str = "active") -> None:
    """Let server 7 be shown so."""
    on.server.answer(
        "GET", SEVEN, lambda _: json(200, detail(status=status, updated_at=stamp(updated_at)), on.api.headers)
    )
    on.server.answer("POST", f"{SEVEN}reboot/", lambda _: json(200, action(status="rebooting"), on.api.headers))


class TestReboots:
    @BOTH
    @pytest.mark.parametrize("status", ["rebooting", "active"])
    async def test_a_reboot_that_is_proven_is_taken_over(self, server, on_ambiguous, status):
        """It is under way, or over."""
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            on.clock.slept.append(20)
            show(on, ITS_CLOCK + dt.timedelta(seconds=9), status)

            outcome = await on.find_out(REBOOT, command=MEMORY)

            assert (outcome.state, outcome.accepted) == ("succeeded", True)
            assert on.posts == []

    async def test_a_reboot_that_has_not_happened_is_unknown(self, server):
        async with bench(server) as on:
            show(on, BEFORE)

            outcome = await on.find_out(REBOOT, command=MEMORY)

            assert outcome.state == "unknown"
            assert isinstance(outcome.error, OutcomeUnknownError)
            assert on.posts == []

    async def test_a_reboot_that_has_not_happened_is_sent_once_more_if_wanted(self, server):
        async with bench(server, on_ambiguous="resend") as on:
            show(on, BEFORE)

            outcome = await on.find_out(REBOOT, command=MEMORY)

            assert (outcome.state, outcome.accepted) == ("succeeded", True)
            assert on.posts == [f"{SEVEN}reboot/"]
            assert sum(on.clock.slept) >= 60

    @BOTH
    @pytest.mark.parametrize(
        "memory",
        [
            attrs.evolve(MEMORY, baseline=None, newest=None),
            attrs.evolve(MEMORY, habits=()),
            attrs.evolve(MEMORY, habits=("moves", "stays")),
        ],
        ids=["not seen before", "habits not known", "an API that does not move it"],
    )
    async def test_a_reboot_of_which_nothing_is_proven_is_unknown(self, server, on_ambiguous, memory):
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            show(on, BEFORE)

            outcome = await on.find_out(REBOOT, command=memory)

            assert outcome.state == "unknown"
            assert on.posts == []

    @BOTH
    async def test_a_change_much_later_than_the_reboot_proves_nothing(self, server, on_ambiguous):
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            show(on, ITS_CLOCK + dt.timedelta(days=2))

            outcome = await on.find_out(REBOOT, command=MEMORY)

            assert outcome.state == "unknown"
            assert on.posts == []

    @BOTH
    async def test_a_server_that_is_gone_is_not_rebooted_again(self, server, on_ambiguous):
        async with bench(server, on_ambiguous=on_ambiguous) as on:
            outcome = await on.find_out(REBOOT, command=MEMORY)

            assert outcome.state in {"failed", "unknown"}
            assert on.posts == []
