"""What does nothing until it is awaited says so: fleets, and lists of servers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings

import anyio
import pytest

from tests.conftest import BACKENDS
from tests.helpers_api import client_of
from tests.helpers_fleet import specs
from vpsorg_async import ServerSpec
from vpsorg_async._unawaited import Unawaited
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

ASYNCIO_ONLY = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(BACKENDS[name], id=name) for name in ("asyncio", "uvloop")]
)


@contextlib.contextmanager
def warned():
    """Give the texts of the RuntimeWarnings that objects give which are dropped meanwhile."""
    texts = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
        gc.collect()
    texts += [str(one.message) for one in caught if issubclass(one.category, RuntimeWarning)]


@pytest.fixture
def client():
    """Return a client without network."""
    return Sandbox(servers=3).client()


RUNS = {
    "reboot of 3 servers": lambda client: client.fleet([1, 2, 3]).reboot(),
    "start of 1 server": lambda client: client.fleet([1]).start(),
    "delete of 2 servers": lambda client: client.fleet([1, 2]).delete(),
    "apply of 0 servers": lambda client: client.fleet([]).apply(print),
    "create of 2 servers": lambda client: client.fleet.create(specs(2)),
}


class TestForgotten:
    @pytest.mark.parametrize(("name", "make"), RUNS.items(), ids=RUNS)
    async def test_a_run_that_nobody_awaits_warns_and_says_what_to_do(self, client, name, make):
        """F12: it is named as a coroutine is, and nothing was sent."""
        with warned() as texts:
            make(client)

        assert texts == [
            f"fleet {name} was never awaited, so nothing was done: await it, or enter it with 'async with'"
        ]

    async def test_so_does_a_list(self, server):
        """F12: nothing is asked, and the program is told."""
        async with client_of(server) as client:
            with warned() as texts:
                client.servers.list()

        assert texts == [
            "a list of servers was never awaited, so nothing was done: await it, or iterate it with 'async for'"
        ]
        assert server.requests == []

    async def test_what_was_begun_does_not(self, client):
        """F12: awaited, entered, iterated, by whatever way."""
        ids = [one.id for one in await client.servers.list()]

        with warned() as texts:
            await client.fleet(ids).update(backups_enabled=True)
            async with client.fleet(ids).update(backups_enabled=True):
                pass
            await client.fleet(ids).update(backups_enabled=True).run()
            await client.servers.list()
            await client.servers.list().all()
            async for _ in client.servers.list():
                break

        assert texts == []

    async def test_a_fleet_without_a_run_is_nothing_to_await(self, client):
        """F12: only what would have done something warns."""
        with warned() as texts:
            client.fleet([1, 2])

        assert texts == []

    async def test_what_was_refused_with_an_error_says_no_more(self, client):
        """F12: one telling is enough."""
        with warned() as texts:
            with pytest.raises(TypeError):
                client.fleet(client.servers.list())
            with pytest.raises(ValueError):
                client.fleet([1]).start(at_once=0)
            with pytest.raises(TypeError):
                bool(client.servers.list())
            with pytest.raises(RuntimeError):
                async for _ in client.fleet([1]).start():
                    pass

        assert texts == []

    async def test_the_warning_tells_the_line_that_dropped_it(self):
        """F12: as near to the culprit as can be known."""

        class Thing(Unawaited):
            def __init__(self):
                self._not_yet("a thing", "await it")

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Thing()
            gc.collect()

        assert [(one.filename, type(one.source)) for one in caught] == [(__file__, Thing)]


class TestTruth:
    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (
                lambda client: client.fleet([1]).start(),
                "a FleetRun is neither true nor false: await it, or enter it with 'async with', and test the result",
            ),
            (
                lambda client: client.servers.list(),
                "a ServerList is neither true nor false: await it, or iterate it with 'async for', and test the result",
            ),
        ],
    )
    async def test_it_has_none_before_it_is_awaited(self, client, make, text):
        """F12: `if run:` would always be true."""
        with pytest.raises(TypeError) as caught:
            bool(make(client))

        assert str(caught.value) == text

    async def test_a_report_and_a_list_have_one(self, client):
        """F12: what was awaited is what it is."""
        assert await client.servers.list()
        assert not await client.fleet([]).start()


class TestRepr:
    async def test_it_says_what_to_do_and_how_far_it_is(self, client):
        """F12: a print of a run is no puzzle."""
        ids = [one.id for one in await client.servers.list()]
        run, listed = client.fleet(ids).update(backups_enabled=True), client.servers.list()

        assert repr(run) == "<FleetRun update of 3 servers: not begun; await it, or enter it with 'async with'>"
        assert repr(listed) == "<ServerList: await it, or iterate it with 'async for'>"
        async with run:
            assert repr(run) == "<FleetRun update of 3 servers: running, 0 ended; its report has them all>"
            async for _ in run:
                pass
        assert repr(run) == "<FleetRun update of 3 servers: over, 3 ended; its report has them all>"
        await listed


class TestCoroutine:
    @ASYNCIO_ONLY
    async def test_a_task_that_is_cancelled_before_it_begins_was_no_oversight(self, client):
        """F12: the coroutine was given to a task."""
        with warned() as texts:
            tasks = [asyncio.create_task(client.fleet([1]).start().run())]
            tasks += [asyncio.create_task(client.servers.list().all())]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            del task, tasks

        assert texts == []

    @ASYNCIO_ONLY
    async def test_a_task_can_be_made_of_it(self, client):
        """F12: `create_task` and `TaskGroup` want a coroutine."""
        spec = ServerSpec(name="a", plan_id=1, os_id=5, location="us-west")
        report = await asyncio.create_task(client.fleet.create([spec], wait=False).run())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(client.fleet([report[0].server]).wait_until(status="active").run())

        assert len(report.succeeded) == len(task.result().succeeded) == 1

    async def test_a_task_group_can_start_it(self, client):
        """F12: anyio's and trio's start functions."""
        run = client.fleet([one.id for one in await client.servers.list()]).update(backups_enabled=True)

        async with anyio.create_task_group() as group:
            group.start_soon(run.run)

        assert len(run.report.succeeded) == 3
