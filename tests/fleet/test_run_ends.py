"""How a fleet's run goes on: begun once, so many at a time, told of, left early, ended by what its helpers raise."""

from __future__ import annotations

import asyncio
import pickle

import anyio
import pytest

from anyio.lowlevel import checkpoint

from tests.conftest import BACKENDS
from tests.helpers_api import client_of
from tests.helpers_fleet import FleetAPI, Hearing, finish, states, until
from tests.rawserver import hang
from vpsorg_async import (
    APIConnectionError,
    ClientClosedError,
    FleetReport,
    NotFoundError,
    OutcomeUnknownError,
    Progress,
    RetryPolicy,
)
from vpsorg_async._fleet.states import STATES
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

IDS = list(range(10))


class OddError(Exception):
    """What no caller of the library would raise but a test."""


@pytest.fixture
def client():
    """Return a client without network; what runs on it sends nothing."""
    return Sandbox().client()


@pytest.fixture
def api(server):
    return FleetAPI(server)


async def give_way(item):
    await checkpoint()
    return item


def fail_at(*items):
    """Return a function for `apply` that fails for these."""

    async def work(item):
        await checkpoint()
        if item in items:
            raise OddError(f"at {item}")
        return item

    return work


class Stalled:
    """A function for `apply` that ends for each item when it is told to."""

    def __init__(self):
        self.begun = []
        self.ended = {}
        self._news = anyio.Event()

    async def __call__(self, item):
        self.begun.append(item)
        self.ended[item] = anyio.Event()
        self._news.set()
        await self.ended[item].wait()
        return item

    async def until_begun(self, count):
        with anyio.fail_after(60):
            while len(self.begun) < count:
                self._news = anyio.Event()
                await self._news.wait()

    def end(self, *items):
        for item in items:
            self.ended[item].set()


class TestAtOnce:
    @pytest.mark.parametrize(("at_once", "together"), [(1, 1), (3, 3), (9, 9), (10, 10), (1_000, 10)])
    async def test_so_many_are_in_progress_and_never_more(self, client, at_once, together):
        work = Stalled()

        async with client.fleet(IDS).apply(work, at_once=at_once) as run:
            for done in range(10):
                await work.until_begun(min(10, done + together))
                for _ in range(5):
                    await checkpoint()
                assert len(work.begun) == min(10, done + together)
                work.end(work.begun[done])
            ended = [outcome.index async for outcome in run]

        assert ended == work.begun == IDS

    async def test_it_is_20_unless_told_otherwise(self, client):
        work = Stalled()

        async with client.fleet(range(30)).apply(work):
            await work.until_begun(20)
            for _ in range(5):
                await checkpoint()

        assert len(work.begun) == 20


class TestAwaited:
    async def test_it_gives_a_report_in_the_order_given(self, client):
        report = await client.fleet([3, "1", 2]).apply(give_way)

        assert isinstance(report, FleetReport)
        assert [(one.index, one.item, one.state, one.value, one.error) for one in report] == [
            (0, 3, "succeeded", 3, None),
            (1, "1", "succeeded", "1", None),
            (2, 2, "succeeded", 2, None),
        ]
        report.raise_for_failures()

    async def test_no_items_are_no_trouble(self, client):
        told = []

        for run in (
            client.fleet([]).start(tolerate=0.5, progress=told.append),
            client.fleet.create([], tolerate=0),
            client.fleet(iter(())).apply(give_way),
        ):
            report = await run
            assert (len(report), report.outcomes, report.stopped_by) == (0, (), None)
            assert str(report).endswith(" of 0 items: 0 succeeded, 0 failed, 0 pending, 0 unknown, 0 skipped")
        async with client.fleet([]).stop() as run:
            assert [outcome async for outcome in run] == []
        assert told == []

    async def test_one_fleet_makes_many_runs(self, client):
        fleet = client.fleet(iter(IDS))

        assert [len(await fleet.apply(give_way)) for _ in range(2)] == [10, 10]


class TestEntered:
    async def test_each_outcome_comes_as_it_ends(self, client):
        work, seen = Stalled(), []

        async with client.fleet(IDS[:4]).apply(work) as run:
            await work.until_begun(4)
            for index in (2, 0, 3, 1):
                work.end(index)
                outcome = await anext(run)
                seen.append(outcome.index)
                assert run.report[index] is outcome
            with pytest.raises(StopAsyncIteration):
                await anext(run)
            with pytest.raises(StopAsyncIteration):
                await anext(run)

        assert seen == [2, 0, 3, 1]
        assert [outcome.index for outcome in run.report] == IDS[:4]

    async def test_the_report_in_the_middle_misses_nothing(self, client):
        work = Stalled()
        run = client.fleet(IDS).apply(work, at_once=3)
        assert states(run.report) == ["skipped"] * 10

        async with run:
            await work.until_begun(3)
            work.end(1)
            await anext(run)
            await work.until_begun(4)
            report = run.report

        assert states(report) == ["unknown", "succeeded", "unknown", "unknown", *["skipped"] * 6]
        assert {str(outcome.error) for outcome in report.unknown} == {"it has not ended"}
        assert {type(outcome.error) for outcome in report.unknown} == {OutcomeUnknownError}
        assert states(run.report) == ["failed", "succeeded", "failed", "failed", *["skipped"] * 6]

    async def test_what_has_ended_and_was_not_taken_is_in_the_report(self, client):
        async with client.fleet(IDS).apply(give_way) as run:
            async for _ in run:
                await until(lambda: len(run.report.succeeded) == 10)
                break

        assert states(run.report) == ["succeeded"] * 10

    async def test_an_error_of_the_body_comes_out_as_itself_and_cancels_the_rest(self, client):
        work = Stalled()
        odd = OddError("of the body")
        run = client.fleet(IDS).apply(work, at_once=3)

        with pytest.raises(OddError) as caught:
            async with run as outcomes:
                await work.until_begun(3)
                work.end(0)
                async for _ in outcomes:
                    raise odd

        assert caught.value is odd
        assert states(run.report)[:3] == ["succeeded", "failed", "failed"]
        assert run.report.stopped_by is None

    async def test_an_error_of_the_body_comes_before_that_of_a_helper(self, client):
        def refuse(outcome):
            raise OddError("of a helper")

        run = client.fleet(IDS).apply(give_way, on_outcome=refuse)

        with pytest.raises(ZeroDivisionError):
            async with run:
                await until(lambda: run.report.stopped_by)
                raise ZeroDivisionError

        assert str(run.report.stopped_by) == "of a helper"

    async def test_cancelled_around_it(self, client):
        work = Stalled()
        run = client.fleet(IDS).apply(work, at_once=3)

        with anyio.CancelScope() as scope:
            async with run as outcomes:
                await work.until_begun(3)
                scope.cancel()
                async for _ in outcomes:
                    pass

        assert scope.cancelled_caught
        assert states(run.report) == ["failed"] * 3 + ["skipped"] * 7
        assert {str(outcome.error) for outcome in run.report.failed} == {"cancelled before anything was changed"}

    @pytest.mark.parametrize("anyio_backend", [BACKENDS["asyncio"], BACKENDS["uvloop"]], ids=["asyncio", "uvloop"])
    async def test_cancelled_as_asyncio_does_it(self, client):
        """By `task.cancel()` and `asyncio.timeout`, which go through anyio's scopes."""
        work = Stalled()
        run = client.fleet(IDS).apply(work, at_once=3)

        async def wait():
            return await run

        task = asyncio.create_task(wait())
        await work.until_begun(3)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        again = client.fleet(IDS).apply(Stalled())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await again

        assert states(run.report) == ["failed"] * 3 + ["skipped"] * 7
        assert states(again.report) == ["failed"] * 10


class TestOnce:
    async def test_a_run_is_not_begun_twice(self, client):
        awaited, entered = client.fleet(IDS).apply(give_way), client.fleet(IDS).apply(give_way)
        await awaited
        async with entered:
            pass

        for run in (awaited, entered):
            report = run.report
            with pytest.raises(RuntimeError) as caught:
                await run
            assert str(caught.value) == "a run is begun once: make another one for another go"
            with pytest.raises(RuntimeError):
                async with run:
                    pass
            assert run.report == report

    async def test_nor_while_it_runs(self, client):
        async with client.fleet(IDS).apply(give_way) as run:
            with pytest.raises(RuntimeError):
                await run
            assert sorted([outcome.index async for outcome in run]) == IDS

    async def test_it_is_not_iterated_before_it_is_entered(self, client):
        with pytest.raises(RuntimeError) as caught:
            async for _ in client.fleet(IDS).apply(give_way):
                pass

        assert str(caught.value) == "enter the run first: async with run as outcomes"


def plain(function):
    return function


def as_async(function):
    async def told(value):
        function(value)
        await checkpoint()

    return told


def raising(error):
    def refuse(_):
        raise error

    return refuse


async def all_but_1_stay(item):
    await checkpoint()
    if item != 1:
        await anyio.sleep_forever()
    return item


async def iterated(run):
    async with run as outcomes:
        async for _ in outcomes:
            pass


async def left(run):
    """Leave the run when it has been ended, without having asked for an outcome."""
    async with run:
        await until(lambda: run.report.stopped_by)


@pytest.mark.parametrize("kind", [plain, as_async])
class TestTold:
    async def test_on_outcome_hears_of_each(self, client, kind):
        told = []

        report = await client.fleet(IDS).apply(fail_at(3), at_once=3, on_outcome=kind(told.append))

        assert sorted(told, key=lambda outcome: outcome.index) == list(report)

    async def test_progress_adds_up_and_ends_as_the_report(self, client, kind):
        told = []

        report = await client.fleet(IDS).apply(
            fail_at(2, 3, 5), at_once=3, tolerate=2, progress=kind(told.append), on_outcome=kind(lambda _: None)
        )

        for one in told:
            done = one.succeeded + one.failed + one.pending + one.unknown
            assert (one.total, done <= one.begun <= 10, one.begun - done <= 3) == (10, True, True)
            assert one.skipped in (0, 10 - one.begun)
        counts = {state: len(getattr(report, state)) for state in STATES}
        assert told[-1] == Progress(total=10, begun=10 - counts["skipped"], **counts)
        assert told[0] == Progress(total=10, begun=1, succeeded=0, failed=0, pending=0, unknown=0, skipped=0)
        assert len(told) == 2 * told[-1].begun
        assert counts["skipped"]

    @pytest.mark.parametrize("go", [finish, iterated, left], ids=lambda go: go.__name__)
    async def test_what_on_outcome_raises_ends_the_run_as_itself(self, client, kind, go):
        odd = OddError("no more")
        run = client.fleet(IDS).apply(all_but_1_stay, at_once=3, on_outcome=kind(raising(odd)))

        with pytest.raises(OddError) as caught:
            await go(run)

        assert caught.value is odd is run.report.stopped_by
        assert states(run.report) == ["failed", "succeeded", "failed", *["skipped"] * 7]

    @pytest.mark.parametrize("go", [finish, iterated, left], ids=lambda go: go.__name__)
    @pytest.mark.parametrize("at_end", [False, True])
    async def test_what_progress_raises_ends_the_run_as_itself(self, client, kind, go, at_end):
        odd, begun = OddError("no more"), []

        def refuse(progress):
            if progress.begun == 3 and progress.succeeded == at_end:
                raise odd

        async def work(item):
            begun.append(item)
            return await all_but_1_stay(item)

        run = client.fleet(IDS).apply(work, at_once=3, progress=kind(refuse))
        with pytest.raises(OddError) as caught:
            await go(run)

        assert caught.value is odd is run.report.stopped_by
        if at_end:
            assert states(run.report) == ["failed", "succeeded", "failed", *["skipped"] * 7]
        else:
            # What had not got as far as its work is not in doubt.
            assert states(run.report) == ["failed"] * 3 + ["skipped"] * 7
            assert 2 not in begun


class TestEnds:
    async def test_closing_the_client_in_the_middle(self, server, api):
        ids = api.add(6, status="stopped")
        api.slow.add(ids[0])
        api.spoiled[ids[1]] = lambda _: hang()
        hearing, reports = Hearing(), []

        async with client_of(server, on_event=hearing) as client:
            run = client.fleet(ids).start(at_once=2)

            async def go():
                reports.append(await run)

            async with anyio.create_task_group() as group:
                group.start_soon(go)
                await server.arrived(2, "POST")
                await hearing.of("wait.began", server=ids[0])
                await client.aclose()

        [report] = reports
        assert states(report) == ["pending", "unknown", *["skipped"] * 4]
        assert [type(outcome.error) for outcome in report[:2]] == [ClientClosedError, ClientClosedError]
        assert str(report.stopped_by) == "the client is closed"
        assert len(server.requests_to("POST")) == 2

    async def test_a_client_that_is_closed_begins_none(self, client):
        told = []
        run = client.fleet(IDS).start(on_outcome=told.append)
        await client.aclose()

        with pytest.raises(APIConnectionError) as caught:
            await run

        assert str(caught.value) == "the client is closed"
        assert (states(run.report), told) == (["skipped"] * 10, [])

    async def test_calls_of_a_task_and_of_a_fleet_within_are_the_items_too(self, server, api):
        ids = api.add(3, status="stopped")
        api.spoiled = dict.fromkeys(ids, lambda _: hang())

        async with client_of(server) as client:

            async def in_a_task(server_id):
                async with anyio.create_task_group() as group:
                    group.start_soon(client.servers.start, server_id)

            async def in_a_fleet(server_id):
                await client.fleet([server_id]).start()

            async def polling(server_id):
                await client.servers.get(server_id)
                await anyio.sleep_forever()

            works = dict(zip(ids, (in_a_task, in_a_fleet, polling), strict=True))
            async with client.fleet(ids).apply(lambda server_id: works[server_id](server_id)) as run:
                await server.arrived(2, "POST")
                await server.arrived(1, "GET")

        assert states(run.report) == ["unknown", "unknown", "failed"]
        assert str(run.report[2].error) == "cancelled before anything was changed"


class TestAround:
    async def test_a_view_of_the_client_has_fleets_of_its_own(self, server, api):
        ids = api.add(2, status="stopped")
        api.spoiled = dict.fromkeys(ids, lambda _: hang())

        async with client_of(server) as client:
            quick = client.with_options(attempt_timeout=0.5, retry=RetryPolicy.none())
            report = await quick.fleet(ids).start(timeout=60)
            await client.with_options(timeout=None, attempt_timeout=None).fleet(ids).start(timeout=0.1)

        # The commands were executed, as a look shows after the attempts have ended.
        assert states(report) == ["succeeded", "succeeded"]

    async def test_events_tell_of_each_item(self):
        sandbox, hearing = Sandbox(servers=1), Hearing()
        [server] = sandbox.servers

        async with sandbox.client(on_event=hearing) as client:
            await client.fleet([server["id"], 999]).stop(at_once=1)

        told = [dict(event.fields) for event in hearing.events if event.name == "fleet.item"]
        assert [(one["index"], one["state"]) for one in told] == [(0, "succeeded"), (1, "failed")]
        assert told[0]["item"] == f"server {server['id']}: succeeded"
        assert told[1]["item"].startswith("server 999: failed: POST /servers/999/stop/")

    async def test_the_report_of_a_run_can_be_sent_elsewhere(self):
        sandbox = Sandbox(servers=2)

        async with sandbox.client() as client:
            report = await client.fleet([*await client.servers.list(), 999]).stop()

        back = pickle.loads(pickle.dumps(report))
        assert str(back) == str(report)
        assert [outcome.server for outcome in back] == [outcome.server for outcome in report]
        assert isinstance(back[2].error, NotFoundError)
        assert b"vps_sandbox" not in pickle.dumps(report)
