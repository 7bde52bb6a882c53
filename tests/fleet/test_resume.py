"""Going on with a run where it was left: what was accepted is never commanded again."""

from __future__ import annotations

import collections
import json

import anyio
import anyio.lowlevel
import attrs
import pytest

from tests.helpers_fleet import ended, finish, left_out, report_of, specs, states
from tests.sharing import spoiled_client_of
from vpsorg_async import FleetReport, InvalidArgumentError, NotFoundError, OutcomeUnknownError, WaitTimeoutError
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio


def carried(report: FleetReport) -> FleetReport:
    """Return *report* as another process reads it."""
    return FleetReport.from_dict(json.loads(json.dumps(report.to_dict())))


async def left_after(sandbox: Sandbox, begin, turns: int) -> tuple[FleetReport, bool]:
    """Return the report of a run that is cancelled after so many turns of the event loop, and whether it had ended."""
    ended_runs = []
    async with sandbox.client() as client:
        run = await begin(client)

        async def work() -> None:
            await run
            ended_runs.append(run)

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        return carried(run.report), bool(ended_runs)


def commanded(sandbox: Sandbox) -> collections.Counter[str]:
    """Return how often each command was executed."""
    return collections.Counter(
        call.path if call.json is None else call.json["name"]
        for call in sandbox.calls
        if call.method == "POST" and call.status < 300
    )


async def reboots(client):
    return client.fleet([server.id for server in await client.servers.list(status="active")][:4]).reboot(at_once=2)


async def creates(client):
    await client.servers.list()
    return client.fleet.create(specs(4), at_once=2)


async def test_a_create_that_was_interrupted_after_it_was_carried_out_is_adopted():
    """F8: the create in doubt is found by the rule that adopts, a minute later, in another client."""
    sandbox = Sandbox()

    async def spoil(request, response):
        if request.method == "POST":
            await sandbox._clock.sleep(1_000)
        return response

    async with spoiled_client_of(sandbox, spoil, attempt_timeout=None) as client:
        await client.servers.list()
        run = client.fleet.create(specs(1))
        async with anyio.create_task_group() as group:
            group.start_soon(finish, run)
            await sandbox._clock.sleep(5)
            group.cancel_scope.cancel()
        report = carried(run.report)
    assert states(report) == ["unknown"]
    sandbox.advance(60)

    async with sandbox.client() as client:
        resumed = await client.fleet.resume(report)

    assert states(resumed) == ["succeeded"]
    assert resumed[0].server.id == sandbox.servers[0]["id"]
    assert commanded(sandbox) == {"app-0": 1}


@pytest.mark.parametrize("own", [True, False], ids=["after the report", "before it"])
async def test_a_name_that_is_there_is_not_created_again(own):
    """F8: a spec that was never begun has a server: made after the report it is adopted, made before it is unknown."""
    sandbox = Sandbox()
    async with sandbox.client() as client:
        if not own:
            await client.servers.create(specs(1)[0])
            sandbox.advance(60)
        await client.servers.list()
        run = client.fleet.create(specs(2), at_once=1)
        report = carried(run.report)
        run._begin()
        assert states(report) == ["skipped", "skipped"]
        if own:
            sandbox.advance(5)
            await client.servers.create(specs(1)[0])

    async with sandbox.client() as client:
        resumed = await client.fleet.resume(report)

    assert states(resumed) == ["succeeded" if own else "unknown", "succeeded"]
    assert commanded(sandbox) == {"app-0": 1, "app-1": 1}
    if not own:
        assert isinstance(resumed[0].error, OutcomeUnknownError)
        assert [server.name for server in resumed[0].error.candidates] == ["app-0"]


@pytest.mark.parametrize(("action", "after"), [("start", "active"), ("stop", "stopped"), ("reboot", "active")])
async def test_what_was_accepted_is_waited_for(action, after):
    """F8: the time of the items is over, so they are pending; resumed, they get there without another command."""
    sandbox = Sandbox(servers=2)
    async with sandbox.client() as client:
        servers = await client.servers.list()
        if action == "start":
            await client.fleet(servers).stop()
        run = getattr(client.fleet(servers), action)(timeout=2)
        await run
    report = carried(run.report)
    assert set(states(report)) == {"pending"}
    assert all(outcome.accepted and isinstance(outcome.error, WaitTimeoutError) for outcome in report)

    async with sandbox.client() as client:
        resumed = await client.fleet.resume(report, timeout=900)
        now = [(await client.servers.get(outcome.item)).status for outcome in resumed]

    assert set(states(resumed)) == {"succeeded"}
    assert set(now) == {after}
    assert set(commanded(sandbox).values()) == {1}


async def test_a_delete_that_was_accepted_succeeds_when_the_server_is_gone():
    """F8: a 404 to what was deleted is success."""
    sandbox = Sandbox(servers=3)
    async with sandbox.client() as client:
        ids = [server.id for server in await client.servers.list()]
        await client.fleet(ids[:2]).delete()
    report = report_of(
        ended(0, "pending", item=ids[0], accepted=True),
        ended(1, "unknown", item=ids[1]),
        ended(2, "failed", item=ids[2]),
        action="delete",
    )

    async with sandbox.client() as client:
        resumed = await client.fleet.resume(carried(report))

    assert states(resumed) == ["succeeded"] * 3
    assert [call.path for call in sandbox.calls if call.method == "DELETE"][2:] == [f"/servers/{ids[2]}/"]


async def test_an_update_is_read_before_it_is_sent_again():
    sandbox = Sandbox(servers=3)
    async with sandbox.client() as client:
        ids = [server.id for server in await client.servers.list()]
        run = client.fleet(ids).update(hostname="a.example.com")
        await run
        ran = run.report
        await client.servers.update(ids[2], hostname="b.example.com")
    told = [ended(0, "pending", item=ids[0], accepted=True), ended(1, "unknown", item=ids[1])]
    report = report_of(*told, ended(2, "unknown", item=ids[2]), action="update", arguments=ran._arguments)
    before = sum(call.method == "PATCH" for call in sandbox.calls)

    async with sandbox.client() as client:
        resumed = await client.fleet.resume(carried(report))

    assert states(resumed) == ["succeeded"] * 3
    assert {outcome.server.hostname for outcome in resumed} == {"a.example.com"}
    assert sum(call.method == "PATCH" for call in sandbox.calls) == before + 1


async def test_what_ended_stays_and_is_not_told_again():
    sandbox = Sandbox(servers=3)
    told = []
    async with sandbox.client() as client:
        ids = [server.id for server in await client.servers.list(status="active")]
        report = report_of(
            ended(0, "succeeded", item=ids[0], accepted=True), ended(1, item=ids[1], accepted=True), action="reboot"
        )
        resumed = await client.fleet.resume(carried(report), on_outcome=told.append, progress=told.append)

    assert states(resumed) == ["succeeded", "failed"]
    assert told == []
    assert commanded(sandbox) == {}


async def test_a_function_is_called_again_only_for_what_it_has_not_changed():
    sandbox = Sandbox(servers=3)
    async with sandbox.client() as client:
        ids = [server.id for server in await client.servers.list()]
        told = [ended(0, "pending", item=ids[0], accepted=True), ended(1, "unknown", item=ids[1])]
        report = carried(report_of(*told, left_out(2), action="apply"))
        with pytest.raises(TypeError, match="takes the function again"):
            client.fleet.resume(report)
        called = []
        resumed = await client.fleet.resume(report, function=called.append)

    assert called == [2]
    assert states(resumed) == ["pending", "unknown", "succeeded"]


async def test_a_wait_is_begun_again_for_what_it_was_for():
    sandbox = Sandbox(servers=3)
    async with sandbox.client() as client:
        ids = [server.id for server in await client.servers.list(status="active")]
        await client.fleet(ids).stop()
        run = client.fleet(ids).wait_until(status="active", timeout=1)
        await run
        report = carried(run.report)
        for server_id in ids:
            await client.servers.start(server_id)
        resumed = await client.fleet.resume(report, timeout=600)

    assert set(states(report)) == {"failed"}
    assert {outcome.server.status for outcome in resumed} == {"active"}


async def test_the_arguments_of_the_run_are_those_of_the_next():
    sandbox = Sandbox(servers=6)
    async with sandbox.client() as client:
        ids = [server.id for server in await client.servers.list()]
        run = client.fleet(ids).delete(wait=False, at_once=3, tolerate=0.5, timeout=7, stop_on=NotFoundError)
        run._begin()
        report = carried(run.report)
        again = client.fleet.resume(report, at_once=2)
        again._begin()
        kept, now = report._arguments, again.report._arguments

    assert (kept.own, kept.at_once, kept.tolerate) == ({"wait": False, "if_needed": False}, 3, 0.5)
    assert (kept.timeout, kept.stop_on) == (7, (NotFoundError,))
    assert (now.own, now.at_once, now.tolerate, now.stop_on) == (kept.own, 2, 0.5, (NotFoundError,))


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (report_of(left_out(0), action="explode"), "no run has such an action"),
        (report_of(left_out(0), action="update"), "no data of a report"),
        (report_of(left_out(0), action="wait_until"), "status is empty"),
        (report_of(left_out(0), left_out(0), action="start"), "there twice"),
        (report_of(ended(0, "pending", item=specs(1)[0]), action="create"), "pending without a server"),
        (
            report_of(ended(0, "skipped", item=attrs.evolve(specs(1)[0], plan_id=None)), action="create"),
            "no data of a report: plan_id must be an int or a str, not None",
        ),
    ],
)
async def test_a_report_that_no_run_has_made_is_refused(report, words):
    async with Sandbox().client() as client:
        with pytest.raises(InvalidArgumentError, match=words):
            client.fleet.resume(report)


async def test_only_a_report_can_be_resumed():
    async with Sandbox().client() as client:
        with pytest.raises(TypeError, match="FleetReport"):
            client.fleet.resume({"version": 1})
        with pytest.raises(TypeError, match="takes no function"):
            client.fleet.resume(report_of(left_out(0), action="start"), function=print)


@pytest.mark.parametrize("known", [True, False], ids=["moves", "not known"])
async def test_a_reboot_that_was_not_executed_is_sent_if_that_is_known(known):
    """F8: the server stays as it was for 15 s. That tells it only at an API whose `updated_at` tells of reboots."""
    sandbox = Sandbox(servers=3)
    async with sandbox.client() as client:
        first, second = [server.id for server in await client.servers.list(status="active")][:2]
        if known:
            await client.fleet([first]).reboot()
        with sandbox.faults.inject(Fault.drop(method="POST")):
            run = client.fleet([second]).reboot(timeout=60)
            await run
        report = carried(run.report)

    async with sandbox.client() as client:
        resumed = await client.fleet.resume(report)

    assert states(report) == ["unknown"]
    assert states(resumed) == ["succeeded" if known else "unknown"]
    # The first one never arrived, and is in the list of calls all the same.
    assert commanded(sandbox)[f"/servers/{second}/reboot/"] == 1 + known


@pytest.mark.parametrize("later", [0, 60])
async def test_a_reboot_in_doubt_that_was_executed_is_proven(later):
    """F8: a GET shows it under way, or `updated_at` newer than before."""
    sandbox = Sandbox(servers=3)

    async def spoil(request, response):
        if request.method == "POST":
            await sandbox._clock.sleep(1_000)
        return response

    async with spoiled_client_of(sandbox, spoil, attempt_timeout=None) as client:
        server = await client.servers.get((await client.servers.list(status="active"))[0])
        run = client.fleet([server.id]).reboot()
        async with anyio.create_task_group() as group:
            group.start_soon(finish, run)
            await sandbox._clock.sleep(2)
            group.cancel_scope.cancel()
    report = carried(run.report)
    sandbox.advance(later)

    async with sandbox.client() as client:
        resumed = await client.fleet.resume(report)

    assert states(report) == ["unknown"]
    assert states(resumed) == ["succeeded"]
    assert commanded(sandbox) == {f"/servers/{server.id}/reboot/": 1}


@pytest.mark.parametrize("begin", [reboots, creates])
@pytest.mark.parametrize("lost", [False, True])
async def test_interrupted_at_every_await_nothing_is_commanded_twice(begin, lost):
    """F8: a run is interrupted at every turn of the event loop, and resumed from JSON by a new client."""
    turns, over, all_states = 0, False, set()
    while not over:
        sandbox = Sandbox(servers=6, seed=turns)
        if lost:
            sandbox.faults.add(Fault.drop(after_commit=True, method="POST", every=3))
        report, over = await left_after(sandbox, begin, turns)
        all_states.update(states(report))

        async with sandbox.client() as client:
            resumed = await client.fleet.resume(report)

        assert set(commanded(sandbox).values()) <= {1}
        assert {outcome.state for outcome in resumed} <= {"succeeded", "unknown"}
        names = [server["name"] for server in sandbox.servers]
        assert len(names) == len({*names})
        turns += 1 + turns // 4

    assert {"succeeded", "pending", "unknown", "skipped"} <= all_states
