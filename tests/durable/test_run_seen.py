"""A durable run as a program sees it: awaited, iterated, looked at, stopped, forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from tests.durable.parts import POLL, Place, place, spec, specs
from vpsorg_async import AuthenticationError, FleetReport, InsufficientCreditsError, InvalidArgumentError
from vpsorg_async.durable import DurableRun
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    """Return an event loop that dbos runs on."""
    return "asyncio", {}


@pytest.fixture(scope="module")
async def at(anyio_backend: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Return a worker at work, for all tests of this module."""
    async with place(tmp_path_factory.mktemp("store"), servers=2) as at_work:
        yield at_work


def names_of(report: FleetReport) -> list[Any]:
    return [outcome.item.name for outcome in report]


async def test_a_run_is_awaited_for_its_report(at):
    run = await at.fleets.create("await", specs("await-1", "await-2", "await-3"), poll=POLL)

    with anyio.fail_after(60):
        report = await run

    assert [outcome.state for outcome in report] == ["succeeded"] * 3
    assert names_of(report) == ["await-1", "await-2", "await-3"]
    assert [outcome.server.name for outcome in report] == names_of(report)
    assert {outcome.server.status for outcome in report} == {"active"}
    assert all(outcome.began_at <= outcome.ended_at for outcome in report)
    assert (run.name, run.action, report.action) == ("await", "create", "create")
    assert repr(run) == "<DurableRun 'await': create of 3 servers>"


async def test_a_run_is_iterated_for_each_outcome_once_and_again_from_its_begin(at):
    run = await at.fleets.create("iterate", specs("iterate-1", "iterate-2", "iterate-3"), poll=POLL)

    with anyio.fail_after(60):
        first = [outcome.index async for outcome in run]
        again = [outcome.index async for outcome in run]

    assert sorted(first) == sorted(again) == [0, 1, 2]


async def test_an_iteration_that_is_cancelled_leaves_the_run_as_it_is(at):
    run = await at.fleets.create("leave", specs("leave-1", "leave-2"), poll=POLL)
    with anyio.move_on_after(0.05):
        await run

    with anyio.fail_after(60):
        assert [outcome.state for outcome in await run] == ["succeeded"] * 2


async def test_several_await_one_run(at):
    run = await at.fleets.create("several", specs("several-1"), poll=POLL)
    reports: list[FleetReport] = []

    async def wait() -> None:
        reports.append(await (await at.fleets.attach("several")))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait)

    assert reports == [await run.snapshot()] * 3


async def test_a_snapshot_tells_what_was_not_begun_and_what_is_in_progress(at):
    run = await at.fleets.create("slow", specs("slow-1", "slow-2", "slow-3"), at_once=1, per_second=0.2, poll=POLL)

    report = await run.snapshot()

    assert len(report) == 3
    assert {outcome.state for outcome in report} <= {"skipped", "unknown", "pending", "succeeded"}
    assert report[2].state == "skipped"
    assert FleetReport.from_dict(report.to_dict()).to_dict() == report.to_dict()
    await run.cancel()
    with anyio.fail_after(60):
        await run


async def test_a_run_that_is_cancelled_begins_nothing_more_and_says_so(at):
    run = await at.fleets.create("cancel", specs("cancel-1", "cancel-2", "cancel-3"), per_second=0.01, poll=POLL)

    await run.cancel()
    await run.cancel()

    with anyio.fail_after(60):
        report = await run
        told = [outcome.index async for outcome in run]
    sent = [server["name"] for server in at.sandbox.servers if server["name"].startswith("cancel-")]
    assert {outcome.state for outcome in report} <= {"succeeded", "skipped"}
    assert report[2].state == "skipped"
    assert [outcome.item.name for outcome in report if outcome.state == "succeeded"] == sent
    # Nothing is told of what was never begun.
    assert told == [outcome.index for outcome in report if outcome.state == "succeeded"]


@pytest.mark.parametrize("ended", [1, 9, 25])
async def test_what_a_cancelled_run_has_made_is_what_it_tells(at, ended):
    """It is cancelled when so many of its items have ended, and others are begun at every moment."""
    run = await at.fleets.create(
        f"made-{ended}", specs(*[f"made-{ended}-{number}" for number in range(60)]), at_once=20, wait=False, poll=POLL
    )
    with anyio.fail_after(60):
        count = 0
        async for _ in run:
            if (count := count + 1) == ended:
                await run.cancel()
        report = await run

    made = [server["name"] for server in at.sandbox.servers if server["name"].startswith(f"made-{ended}-")]
    assert {outcome.state for outcome in report} <= {"succeeded", "skipped"}
    assert sorted(made) == sorted(outcome.item.name for outcome in report if outcome.state == "succeeded")


async def test_a_run_that_has_not_ended_is_not_forgotten(at):
    run = await at.fleets.create("keep", specs("keep-1", "keep-2"), per_second=0.01, poll=POLL)

    with pytest.raises(InvalidArgumentError, match="'keep' has not ended"):
        await run.forget()

    await run.cancel()
    with anyio.fail_after(60):
        await run


async def test_a_run_that_was_forgotten_is_gone_and_says_so(at):
    run = await at.fleets.create("forget", specs("forget-1"), poll=POLL)
    with anyio.fail_after(60):
        await run
    await run.forget()

    for use in (run.snapshot(), run.cancel(), anext(aiter(run)), run):
        with pytest.raises(InvalidArgumentError, match="'forget' any more"), anyio.fail_after(30):
            await use
    with pytest.raises(InvalidArgumentError, match="no run 'forget'"):
        await at.fleets.attach("forget")
    assert "forget" not in [one.name for one in await at.fleets.list()]


async def test_a_run_of_the_name_of_a_forgotten_one_sends_its_own_commands(at):
    """Stop a server, start it elsewhere, and stop it again under the same name."""
    server_id = at.sandbox.servers[0]["id"]
    for _ in range(2):
        at.sandbox.set_status(server_id, "active")
        run = await at.fleets.stop("nightly", [server_id], poll=POLL)
        with anyio.fail_after(60):
            report = await run
        assert [outcome.state for outcome in report] == ["succeeded"]
        await run.forget()

    assert at.sent().count(f"/servers/{server_id}/stop/") == 2


async def test_a_forgotten_run_that_is_cancelled_leaves_the_next_one_of_its_name_alone(at):
    forgotten = await at.fleets.create("next", specs("next-1"), poll=POLL)
    with anyio.fail_after(30):
        await forgotten
    await forgotten.forget()
    with pytest.raises(InvalidArgumentError, match="it was forgotten"):
        await forgotten.cancel()

    run = await at.fleets.create("next", specs("next-2"), poll=POLL)

    with anyio.fail_after(30):
        assert [outcome.state for outcome in await run] == ["succeeded"]


async def test_a_run_goes_on_that_has_the_name_of_a_cancelled_one(at):
    run = await at.fleets.create("again", specs("again-1", "again-2"), per_second=0.01, poll=POLL)
    await run.cancel()
    with anyio.fail_after(60):
        await run
    await run.forget()

    run = await at.fleets.create("again", specs("again-3", "again-4"), poll=POLL)

    with anyio.fail_after(60):
        assert [outcome.state for outcome in await run] == ["succeeded"] * 2


async def test_an_error_of_stop_on_ends_the_run_and_is_told(at):
    refused = Fault.status(402, method="POST", times=1)
    with at.sandbox.faults.inject(refused):
        run = await at.fleets.create(
            "stop-on", [spec(f"stop-on-{number}") for number in range(4)], at_once=1, per_second=2, poll=POLL
        )
        with anyio.fail_after(60):
            report = await run

    assert [outcome.state for outcome in report] == ["failed"] + ["skipped"] * 3
    assert isinstance(report.stopped_by, InsufficientCreditsError)
    assert isinstance(report[0].error, InsufficientCreditsError)
    assert report[0].error.status_code == 402


async def test_an_error_of_stop_on_while_an_item_is_followed_ends_the_run_too(at):
    """F6: the token is revoked once the first server is made; no further create is sent."""
    with at.sandbox.faults.inject(Fault.status(401, method="GET", path=r"^/servers/[^/]+/$")):
        run = await at.fleets.create(
            "revoked", [spec(f"revoked-{number}") for number in range(4)], at_once=1, poll=POLL
        )
        with anyio.fail_after(60):
            report = await run

    assert [outcome.state for outcome in report] == ["pending"] + ["skipped"] * 3
    assert isinstance(report.stopped_by, AuthenticationError)


async def test_a_run_of_nothing_is_over_at_once(at):
    run: DurableRun = await at.fleets.start("nothing", [], poll=POLL)

    with anyio.fail_after(60):
        report = await run

    assert len(report) == 0
    assert repr(run) == "<DurableRun 'nothing': start of 0 servers>"
