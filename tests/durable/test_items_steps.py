"""Works on one item after another with a client: what is noted before a command, the command, the wait."""

from __future__ import annotations

import datetime as dt

from typing import Any

import anyio
import pytest

from tests.durable.parts import Bench, arguments_of, bench, item_record, spec
from tests.helpers import action, detail
from tests.helpers_api import ITS_CLOCK, SPEC, stamp
from tests.rawserver import drop, json, text
from vpsorg_async import ClientClosedError, InsufficientCreditsError, NotFoundError, ServerGoneError
from vpsorg_async._fleet.report import Outcome, carried_of
from vpsorg_async.durable._records import dump_outcome, load_outcome


pytestmark = pytest.mark.anyio

SEVEN = "/servers/7/"
WAITS, WAITS_NOT = arguments_of(own={"wait": True}), arguments_of(own={"wait": False})
CREATE = item_record(spec(SPEC["name"]), arguments=WAITS)


def command_of(name: str, *, wait: bool = True) -> Any:
    return item_record(7, name, arguments=WAITS if wait else WAITS_NOT)


async def begin(on: Bench, record: Any) -> Outcome:
    """Note the intent of an item and send its command, as one process does."""
    return load_outcome(0, record.item, await on.items.command(record, await on.items.intend(record)))


async def end(on: Bench, record: Any, so_far: Outcome) -> Outcome:
    return load_outcome(0, record.item, await on.items.follow(record, dump_outcome(so_far)))


def show(on: Bench, *statuses: str, after: str = "", moved_from: int = 99) -> None:
    """Let server 7 have these statuses at one look after another; a command is accepted, and leads to *after*.

    From the look with the number *moved_from*, `updated_at` is later than the command.
    """
    told, looks = [*statuses], 0

    def accept(_request: Any) -> Any:
        told[:] = [after]
        return json(200, action(status=after), on.api.headers)

    def look(_request: Any) -> Any:
        nonlocal looks
        status = told.pop(0) if len(told) > 1 else told[0]
        updated = on.api.now if looks >= moved_from or status == after else ITS_CLOCK - dt.timedelta(days=1)
        looks += 1
        return json(200, detail(status=status, updated_at=stamp(updated)), on.api.headers)

    on.server.answer("GET", SEVEN, look)
    for name in ("start", "stop", "reboot"):
        on.server.answer("POST", f"{SEVEN}{name}/", accept)


async def test_what_is_kept_before_a_create_is_when_it_is_sent_at_the_earliest_by_the_api_s_clock(server):
    async with bench(server) as on:
        on.clock.slept.append(50)

        intent = await on.items.intend(CREATE)

        assert intent.boot == "now"
        assert ITS_CLOCK <= intent.carried.sent <= on.api.now
        assert on.posts == []


async def test_what_is_kept_before_a_reboot_is_the_server_as_it_was(server):
    async with bench(server) as on:
        show(on, "active", after="rebooting")

        intent = await on.items.intend(command_of("reboot"))

        assert intent.carried.command.baseline == ITS_CLOCK - dt.timedelta(days=1)
        assert intent.carried.command.settings == ("web-01", "web01.example.com", True)
        assert on.posts == []


async def test_a_create_is_sent_once_and_then_waited_for(server):
    async with bench(server) as on:
        so_far = await begin(on, CREATE)

        assert (so_far.state, so_far.accepted) == ("pending", True)
        assert so_far.server.id == on.api.created[0]
        assert on.posts == ["/servers/"]
        on.api.servers[on.api.created[0]]["status"] = "active"

        outcome = await end(on, CREATE, so_far)

        assert (outcome.state, outcome.server.status) == ("succeeded", "active")
        assert on.posts == ["/servers/"]


async def test_a_create_that_is_not_waited_for_has_ended_when_it_was_accepted(server):
    async with bench(server) as on:
        outcome = await begin(on, item_record(spec("web-02"), arguments=WAITS_NOT))

        assert (outcome.state, outcome.accepted) == ("succeeded", True)
        assert outcome.began_at is not None
        assert outcome.ended_at is not None


async def test_a_create_whose_response_is_lost_is_adopted_and_sent_once(server):
    async with bench(server) as on:
        server.answer("POST", "/servers/", on.api.committed(lambda _: drop()))

        so_far = await begin(on, CREATE)

        assert (so_far.state, so_far.accepted) == ("pending", True)
        assert on.posts == ["/servers/"]


async def test_a_create_whose_response_is_lost_and_that_is_shown_late_is_adopted(server):
    """It is shown later than the call itself looks for it."""
    async with bench(server) as on:
        server.answer("POST", "/servers/", on.api.committed(lambda _: drop()))
        on.api.unseen = 25

        so_far = await begin(on, CREATE)

        assert (so_far.state, so_far.accepted) == ("pending", True)
        assert on.posts == ["/servers/"]


async def test_a_create_that_may_have_been_carried_out_is_sent_once(server):
    async with bench(server) as on:
        server.answer("POST", "/servers/", drop())

        outcome = await begin(on, CREATE)

        assert (outcome.state, outcome.accepted) == ("unknown", False)
        assert on.posts == ["/servers/"]


async def test_a_create_that_is_refused_has_failed(server):
    async with bench(server) as on:
        server.answer("POST", "/servers/", json(402, {"error": "zq"}, on.api.headers))

        outcome = await begin(on, CREATE)

        assert (outcome.state, outcome.accepted) == ("failed", False)
        assert isinstance(outcome.error, InsufficientCreditsError)


@pytest.mark.parametrize(
    ("name", "before", "through", "after"),
    [("start", "stopped", "starting", "active"), ("stop", "active", "stopping", "stopped")],
)
async def test_a_command_is_sent_once_and_then_waited_for(server, name, before, through, after):
    async with bench(server) as on:
        show(on, before, after=through)
        record = command_of(name)

        so_far = await begin(on, record)

        assert (so_far.state, so_far.accepted) == ("pending", True)
        show(on, through, after, moved_from=0)
        outcome = await end(on, record, so_far)
        assert (outcome.state, outcome.server.status) == ("succeeded", after)
        assert on.posts == [f"{SEVEN}{name}/"]


async def test_a_wait_goes_on_with_what_was_known_before_the_reboot(server):
    """The old status `active` does not count: the server is rebooting first."""
    async with bench(server) as on:
        show(on, "active", after="rebooting")
        record = command_of("reboot")
        so_far = await begin(on, record)
        assert so_far.state == "pending"
        assert carried_of(so_far).command is not None

        show(on, "active", "active", "rebooting", "active", moved_from=2)
        outcome = await end(on, record, so_far)

        assert outcome.state == "succeeded"
        # One before the reboot, and four of the wait.
        assert len(server.requests_to("GET", SEVEN)) >= 5


@pytest.mark.parametrize(("name", "after"), [("start", "active"), ("stop", "stopped")])
async def test_a_command_of_an_earlier_process_that_was_carried_out_is_not_sent_again(server, name, after):
    async with bench(server) as on:
        show(on, after, after="never")

        outcome = await on.find_out(command_of(name, wait=False))

        assert outcome.state == "succeeded"
        assert on.posts == []


async def test_a_server_that_an_earlier_process_may_have_deleted_is_deleted(server):
    async with bench(server) as on:
        server.answer("DELETE", SEVEN, json(404, {"detail": "Not found."}, on.api.headers))

        outcome = await on.find_out(command_of("delete"))

        assert (outcome.state, outcome.error) == ("succeeded", None)


async def test_a_server_that_is_gone_before_its_command_has_failed(server):
    async with bench(server) as on:
        outcome = await begin(on, command_of("start"))

        assert (outcome.state, outcome.accepted) == ("failed", False)
        assert isinstance(outcome.error, NotFoundError)


async def test_a_server_that_vanishes_after_its_command_has_failed_and_is_not_commanded_again(server):
    async with bench(server) as on:
        show(on, "stopped", after="starting")
        record = command_of("start")
        so_far = await begin(on, record)
        server.answer("GET", SEVEN, lambda _: json(404, {"detail": "Not found."}, on.api.headers))

        outcome = await end(on, record, so_far)

        assert (outcome.state, outcome.accepted) == ("failed", True)
        assert isinstance(outcome.error, ServerGoneError)
        assert on.posts == [f"{SEVEN}start/"]


async def test_nothing_is_said_of_an_item_whose_client_is_closed(server):
    async with bench(server) as on:
        intent = await on.items.intend(CREATE)
        await on.client.aclose()

        with pytest.raises(ClientClosedError):
            on.items.check_client()
        with pytest.raises(ClientClosedError):
            await on.items.command(CREATE, intent)

        assert on.posts == []


async def test_a_client_that_is_closed_ends_a_search(server):
    raised: list[Exception] = []
    async with bench(server, settle=1e4) as on:

        async def search() -> None:
            with pytest.raises(ClientClosedError) as caught:
                await on.find_out(CREATE)
            raised.append(caught.value)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(search)
                await server.until(lambda: on.api.listings >= 3)
                await on.client.aclose()

        assert len(raised) == 1
        assert on.posts == []


async def test_an_api_that_does_not_respond_holds_back_what_was_not_begun(server):
    """The first item finds out that the API is away; the next one is not sent before it is back."""
    async with bench(server) as on:
        server.answer("GET", "/servers/", [*[text(503, "zq")] * 30, on.api.page])
        server.answer("POST", "/servers/", [text(503, "zq"), on.api.create])
        await begin(on, CREATE)
        tried = len(on.posts)

        outcome = await begin(on, item_record(spec("web-03"), index=1, arguments=WAITS_NOT))

        assert outcome.state == "succeeded"
        assert len(on.posts) == tried + 1
