"""`DurableFleets` at work: which run a name gives, what is refused, and what each action does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from tests.durable.parts import POLL, Place, place, spec, specs
from vpsorg_async import InvalidArgumentError, PermissionDeniedError, PollPolicy
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    """Return an event loop that dbos runs on."""
    return "asyncio", {}


@pytest.fixture(scope="module")
async def at(anyio_backend: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Return a worker at work, for all tests of this module."""
    async with place(tmp_path_factory.mktemp("store"), servers=4) as at_work:
        yield at_work


async def test_the_same_name_and_arguments_give_the_same_run(at):
    first = await at.fleets.create("same", specs("same-1", "same-2"), poll=POLL)
    again = await at.fleets.create("same", iter(specs("same-1", "same-2")), poll=POLL)
    with anyio.fail_after(60):
        assert await first == await again
    # Its servers are there now: it is the run's own doing, and no reason to refuse it.
    after = await at.fleets.create("same", specs("same-1", "same-2"), poll=POLL)

    assert await after.snapshot() == await first.snapshot()
    assert [server["name"] for server in at.sandbox.servers].count("same-1") == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"specs": specs("other-1", "other-3")}, "items"),
        ({"specs": [spec("other-1", plan_id=2), spec("other-2")]}, "items"),
        ({"specs": specs("other-2", "other-1")}, "items"),
        ({"wait": False}, "wait"),
        ({"at_once": 3}, "at_once"),
        ({"per_second": 5}, "per_second"),
        ({"timeout": None}, "timeout"),
        ({"stop_on": ()}, "stop_on"),
        ({"poll": PollPolicy(minimum=3)}, "poll"),
    ],
)
async def test_other_arguments_under_the_same_name_are_refused(at, changes, told):
    given = {"specs": specs("other-1", "other-2"), "poll": POLL}
    await at.fleets.create("other", **given)

    with pytest.raises(InvalidArgumentError, match=f"'other' already, with other arguments \\({told}\\)"):
        await at.fleets.create("other", **{**given, **changes})


async def test_another_action_under_the_same_name_is_refused(at):
    server_id = at.sandbox.servers[0]["id"]
    await (await at.fleets.stop("action", [server_id], poll=POLL))

    with pytest.raises(InvalidArgumentError, match="action"):
        await at.fleets.start("action", [server_id], poll=POLL)
    with pytest.raises(InvalidArgumentError, match="action"):
        await at.fleets.delete("action", [server_id], poll=POLL)


async def test_names_of_servers_that_exist_are_refused_before_anything_is_kept(at):
    taken = at.sandbox.servers[0]["name"]

    with pytest.raises(InvalidArgumentError, match=f"nothing was begun: 1 of the names .*: {taken}"):
        await at.fleets.create("taken", [spec("new"), spec(taken)], poll=POLL)

    with pytest.raises(InvalidArgumentError, match="no run 'taken'"):
        await at.fleets.attach("taken")
    assert "new" not in [server["name"] for server in at.sandbox.servers]


@pytest.mark.parametrize(
    ("name", "given", "error"),
    [
        ("a/b", specs("x"), InvalidArgumentError),
        (7, specs("x"), TypeError),
        ("x", specs("x", "x"), InvalidArgumentError),
        ("x", [7], TypeError),
        ("x", "x", TypeError),
    ],
)
async def test_what_is_no_run_is_refused(at, name, given, error):
    with pytest.raises(error):
        await at.fleets.create(name, given)


async def test_a_server_that_is_given_twice_is_refused(at):
    with pytest.raises(InvalidArgumentError, match="twice"):
        await at.fleets.start("twice", [5, "5"])


async def test_each_action_takes_servers_and_ids(at):
    servers = await at.client.servers.list()
    server, other = servers[1], servers[2]

    with anyio.fail_after(60):
        reports = [
            await (await at.fleets.stop("all-stop", [server, other.id], poll=POLL)),
            await (await at.fleets.start("all-start", [server, other.id], poll=POLL)),
            await (await at.fleets.reboot("all-reboot", [server.id], poll=POLL)),
            await (await at.fleets.delete("all-delete", [other], poll=POLL)),
        ]

    assert [report.action for report in reports] == ["stop", "start", "reboot", "delete"]
    assert {outcome.state for report in reports for outcome in report} == {"succeeded"}
    assert other.id not in [one["id"] for one in at.sandbox.servers]


async def test_a_server_that_has_the_status_already_is_not_commanded_if_not_needed(at):
    server_id = at.sandbox.servers[0]["id"]
    at.sandbox.set_status(server_id, "active")
    before = at.sent()

    with anyio.fail_after(60):
        report = await (await at.fleets.start("needed", [server_id], if_needed=True, poll=POLL))

    assert [outcome.state for outcome in report] == ["succeeded"]
    assert at.sent() == before


async def test_runs_are_listed_and_attached_to(at):
    await at.fleets.create("listed", specs("listed-1"), poll=POLL)

    listed = [run.name for run in await at.fleets.list()]
    run = await at.fleets.attach("listed")

    assert "listed" in listed
    assert (run.name, run.action) == ("listed", "create")
    with pytest.raises(InvalidArgumentError, match=r"no run 'nobody' in store='sqlite:///.*fleet\.sqlite'"):
        await at.fleets.attach("nobody")


async def test_a_run_of_creates_is_not_begun_when_the_servers_cannot_be_listed(at):
    with at.sandbox.faults.inject(Fault.status(403, method="GET")), pytest.raises(PermissionDeniedError):
        await at.fleets.create("unlisted", specs("unlisted-1"), poll=POLL)

    with pytest.raises(InvalidArgumentError, match="no run"):
        await at.fleets.attach("unlisted")
