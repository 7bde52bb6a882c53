"""Servers are there by name: what is missing is created, once."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.helpers_fleet import specs, states
from tests.sharing import spoiled_client_of
from vpsorg_async import EnsureConflictError, FleetReport
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio


def values(report) -> list[str]:
    return [outcome.value for outcome in report]


def creates_of(sandbox: Sandbox) -> list[str]:
    return sorted(call.json["name"] for call in sandbox.calls if call.method == "POST" and call.path == "/servers/")


@pytest.mark.parametrize("there", [0, 1, 3])
async def test_what_is_missing_is_created_and_the_rest_is_kept(there):
    """F13: none there, some there, all there; a second run creates nothing."""
    sandbox = Sandbox(servers=4)
    async with sandbox.client() as client:
        await client.fleet.create(specs(there))
        preview = await client.fleet.preview(specs(3))
        report = await client.fleet.ensure(specs(3))
        again = await client.fleet.ensure(specs(3))

    assert (len(preview.create), len(preview.keep), len(preview.conflicts)) == (3 - there, there, 0)
    assert values(report) == ["kept"] * there + ["created"] * (3 - there)
    assert values(again) == ["kept"] * 3
    assert {outcome.server.status for outcome in (*report, *again)} == {"active"}
    assert creates_of(sandbox) == ["app-0", "app-1", "app-2"]


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ([{"plan_id": 2}], "its plan is 2, not 1"),
        ([{"os_id": 3}], "its operating system is 3, not 5"),
        ([{"location": "us-east"}], "its location is us-east, not us-west"),
        ([{}, {}], "2 servers have the name"),
    ],
)
async def test_a_conflict_is_refused_before_anything_is_sent(before, words):
    """F13: one with another plan, system or location, or one name twice, is refused with the preview."""
    sandbox = Sandbox()
    async with sandbox.client() as client:
        for changes in before:
            await client.servers.create(specs(2, **changes)[1])
        preview = await client.fleet.preview(specs(3))
        run = client.fleet.ensure(specs(3))
        with pytest.raises(EnsureConflictError, match=words) as caught:
            await run

    assert caught.value.preview == preview
    assert [conflict.spec.name for conflict in preview.conflicts] == ["app-1"]
    assert len(preview.conflicts[0].servers) == len(before)
    assert states(run.report) == ["skipped"] * 3
    assert len(creates_of(sandbox)) == len(before)


@pytest.mark.parametrize("part", ["plan", "os"])
@pytest.mark.parametrize("detailed", [True, False])
async def test_what_a_list_does_not_tell_is_asked_by_get(part, detailed):
    """F13: a list without plan or system is completed by a GET; what that does not tell either is a conflict."""
    sandbox = Sandbox()

    async def spoil(request, response):
        if request.method != "GET":
            return response
        told = json.loads(await response.aread())
        for shown in told.get("results", [] if detailed else [told]):
            shown.pop(part, None)
        return httpx.Response(response.status_code, json=told)

    async with spoiled_client_of(sandbox, spoil) as client:
        await client.fleet.create(specs(2))
        preview = await client.fleet.preview(specs(2))

    assert len(preview.keep) == (2 if detailed else 0)
    assert len(preview.conflicts) == (0 if detailed else 2)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_lost_answer_makes_no_second_server(committed):
    """F13: the answer to a create is lost; it is found, or created when a minute of listings has not shown it."""
    sandbox = Sandbox()
    async with sandbox.client() as client:
        with sandbox.faults.inject(Fault.drop(after_commit=committed, method="POST")):
            await client.fleet.ensure(specs(2))
        report = await client.fleet.ensure(specs(2))

    assert states(report) == ["succeeded"] * 2
    assert values(report) == ["kept" if committed else "created"] * 2
    assert sorted(server["name"] for server in sandbox.servers) == ["app-0", "app-1"]


async def test_a_lost_answer_makes_no_second_server_while_the_list_lags():
    """F13: the list shows what was created only after 40 s, so that the first run cannot tell."""
    sandbox = Sandbox()
    async with sandbox.client() as client:
        sandbox.advance(60)
        sandbox.faults.add(Fault.stale(40, path=r"/servers/$", method="GET"))
        with sandbox.faults.inject(Fault.drop(after_commit=True, method="POST")):
            first = await client.fleet.ensure(specs(2))
        report = await client.fleet.ensure(specs(2))

    assert states(first) == ["unknown"] * 2
    assert values(report) == ["kept"] * 2
    assert creates_of(sandbox) == ["app-0", "app-1"]


async def test_a_server_that_was_created_a_moment_ago_is_there_also_if_the_list_lags():
    """F13: runs after one another over a list that shows the past create each name once."""
    sandbox = Sandbox()
    async with sandbox.client() as client:
        sandbox.advance(60)
        sandbox.faults.add(Fault.stale(60, path=r"/servers/$"))
        for _ in range(3):
            report = await client.fleet.ensure(specs(3), wait=False)

    assert values(report) == ["kept"] * 3
    assert creates_of(sandbox) == ["app-0", "app-1", "app-2"]


async def test_a_server_that_no_read_shows_for_longer_than_the_grace_is_not_created_again():
    """F13: a GET by its id says 404 for 40 s, too; an item may fail then, and no name is created twice."""
    sandbox = Sandbox()
    async with sandbox.client() as client:
        sandbox.advance(60)
        sandbox.faults.add(Fault.stale(40, method="GET"))
        reports = [await client.fleet.ensure(specs(2)) for _ in range(5)]

    assert values(reports[-1]) == ["kept"] * 2
    assert creates_of(sandbox) == ["app-0", "app-1"]


async def test_a_server_that_is_gone_is_created_again():
    sandbox = Sandbox()
    async with sandbox.client() as client:
        first = await client.fleet.ensure(specs(1))
        await client.servers.delete(first[0].server)
        again = await client.fleet.ensure(specs(1))

    assert values(again) == ["created"]


async def test_an_ensured_run_ensures_again_when_it_is_resumed():
    """F8: what was left of an ensured run is looked for by name, and nothing is created twice."""
    sandbox = Sandbox()
    async with sandbox.client() as client:
        run = client.fleet.ensure(specs(3), at_once=1)
        async with run as outcomes:
            async for _ in outcomes:
                break
        report = FleetReport.from_dict(json.loads(json.dumps(run.report.to_dict())))

    async with sandbox.client() as client:
        resumed = await client.fleet.resume(report)

    assert resumed.action == "ensure"
    assert states(resumed) == ["succeeded"] * 3
    assert creates_of(sandbox) == ["app-0", "app-1", "app-2"]
