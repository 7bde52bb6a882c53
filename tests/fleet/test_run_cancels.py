"""A run and cancels: of the run, and of something that an item awaits, which is no cancel of the run."""

from __future__ import annotations

import asyncio
import copy

import anyio
import httpx
import pytest

from anyio.lowlevel import checkpoint

from tests.conftest import BACKENDS
from tests.helpers import listed
from tests.helpers_api import client_of
from tests.helpers_fleet import FleetAPI, Hearing, specs, states, until
from tests.rawserver import hold, json
from vpsorg_async import Client, OutcomeUnknownError, VPSError, WaitError
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.in_process import InProcessTransport


pytestmark = pytest.mark.anyio

IDS = list(range(10))
ASYNCIO_ONLY = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(BACKENDS[name], id=name) for name in ("asyncio", "uvloop")]
)


@pytest.fixture
def api(server):
    return FleetAPI(server)


@pytest.fixture
def client():
    """Return a client without network."""
    return Sandbox().client()


async def cancelled_by_somebody():
    """Raise the cancel of something else, as awaiting a cancelled task does."""
    error = None
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await checkpoint()
        except BaseException as caught:
            error = caught
            raise
    raise copy.copy(error) if isinstance(error, asyncio.CancelledError) else error


async def cancelled_task():
    task = asyncio.ensure_future(asyncio.sleep(10))
    await asyncio.sleep(0)
    task.cancel()
    await task


class TestOfAnItemsOwn:
    async def test_it_fails_that_item_and_no_other(self, client):
        """F14: a stale cancel that a function raises ends its own item."""

        async def work(item):
            await checkpoint()
            if item == 3:
                await cancelled_by_somebody()
            return item

        report = await client.fleet(IDS).apply(work, at_once=3)

        assert states(report) == ["succeeded"] * 3 + ["failed"] + ["succeeded"] * 6
        assert report.stopped_by is None
        assert str(report[3].error) == (
            "it awaited something that was cancelled, and so ended before anything was changed"
        )
        with pytest.raises(ExceptionGroup):
            report.raise_for_failures()

    @ASYNCIO_ONLY
    async def test_so_does_a_task_that_somebody_has_cancelled(self, client):
        """F14: the common way to meet it."""

        async def work(item):
            if item in (0, 4, 9):
                await cancelled_task()
            return item

        report = await client.fleet(IDS).apply(work, at_once=4)

        assert [outcome.index for outcome in report.failed] == [0, 4, 9]
        assert len(report.succeeded) == 7

    async def test_with_its_command_accepted_it_is_pending(self, server, api):
        """F14: the function's command was answered before."""
        ids = api.add(3, status="stopped")

        async with client_of(server) as client:

            async def work(server_id):
                await client.servers.start(server_id)
                if server_id == ids[1]:
                    await cancelled_by_somebody()

            report = await client.fleet(ids).apply(work)

        assert states(report) == ["succeeded", "pending", "succeeded"]
        assert type(report[1].error) is WaitError
        assert [outcome.accepted for outcome in report] == [True] * 3

    @ASYNCIO_ONLY
    async def test_a_token_callable_that_awaits_one_fails_one_create(self, server, api):
        """F14: no other create is abandoned on the wire."""
        asked, hearing = [], Hearing()

        async def token():
            asked.append(1)
            if len(asked) == 5:
                await cancelled_task()
            return "vps_12345678"

        async with Client(token, base_url=server.base_url, on_event=hearing) as client:
            report = await client.fleet.create(specs(12), at_once=5, wait=False)

        assert sorted(states(report)) == ["failed"] + ["succeeded"] * 11
        assert len(api.created) == 11
        assert "create.abandoned" not in [event.name for event in hearing.events]

    async def test_of_on_outcome_it_ends_the_run_with_words(self, client):
        """F14: as any error of that function does."""

        async def told(outcome):
            await cancelled_by_somebody()

        run = client.fleet(IDS).apply(lambda item: item, at_once=2, on_outcome=told)
        with pytest.raises(RuntimeError) as caught:
            await run

        assert str(caught.value) == "on_outcome awaited something that was cancelled"
        assert run.report.stopped_by is caught.value
        assert "skipped" in states(run.report)

    async def test_of_progress_too(self, client):
        """F14: at the begin of an item, before its work."""

        async def told(progress):
            if progress.begun == 4:
                await cancelled_by_somebody()

        run = client.fleet(IDS).apply(lambda item: item, at_once=1, progress=told)
        with pytest.raises(RuntimeError) as caught:
            await run

        assert str(caught.value) == "progress awaited something that was cancelled"
        assert states(run.report) == ["succeeded"] * 3 + ["failed"] + ["skipped"] * 6

    @ASYNCIO_ONLY
    async def test_a_function_that_cancels_its_own_task_is_not_silent(self, client):
        """F14: that is a cancel of the run's task, and the run says that it could not go on."""

        async def work(item):
            if item == 2:
                asyncio.current_task().cancel()
            await checkpoint()

        run = client.fleet(IDS).apply(work, at_once=1)
        with pytest.raises(RuntimeError) as caught:
            await run

        assert str(caught.value) == "a task of the run was cancelled, and not by the run: it cannot go on"
        assert states(run.report) == ["succeeded"] * 2 + ["failed"] + ["skipped"] * 7

    async def test_a_real_cancel_at_the_same_time_is_a_cancel(self, client):
        """F14: the run ends, and begins nothing more."""
        with anyio.CancelScope() as scope:
            run = client.fleet(IDS).apply(self_after(scope), at_once=1)
            await run

        assert scope.cancelled_caught
        assert states(run.report) == ["failed"] + ["skipped"] * 9


def self_after(scope):
    async def work(item):
        scope.cancel()
        await cancelled_by_somebody()

    return work


class TestLists:
    @ASYNCIO_ONLY
    @pytest.mark.parametrize("page", [1, 2, 3, 4])
    @pytest.mark.parametrize("where", ["token", "hook"])
    async def test_a_list_is_whole_or_raises(self, server, page, where):
        """F14: whichever page's token callable or hook awaits a cancelled task."""
        servers, asked = [listed(number) for number in range(70)], []

        def answer(request):
            number = int(request.query.get("page", 1))
            link = f"{server.base_url}/servers/?page_size=100&page={number + 1}" if number < 4 else None
            shown = servers[(number - 1) * 20 : number * 20]
            return json(200, {"count": 70, "next": link, "results": shown})

        async def ask(*_):
            asked.append(1)
            if len(asked) == page:
                await cancelled_task()
            return "vps_12345678"

        server.answer("GET", "/servers/", answer)
        async with Client(ask if where == "token" else "vps_12345678", base_url=server.base_url) as client:
            if where == "hook":
                client.http.event_hooks["request"].append(ask)
            with pytest.raises((VPSError, asyncio.CancelledError)):
                await client.servers.list()
            again = await client.servers.list()

        assert len(again) == 70


class TestLeaving:
    @pytest.mark.parametrize("at_once", [1, 4, 20])
    async def test_it_cancels_the_workers_that_would_never_end(self, client, at_once):
        """F3: leaving does not wait for items."""
        begun, ended = [], []

        async def work(item):
            begun.append(item)
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(item)

        with anyio.fail_after(60):
            async with client.fleet(IDS).apply(work, at_once=at_once) as run:
                await until(lambda: len(begun) == min(at_once, 10))

        assert sorted(ended) == sorted(begun) == IDS[: min(at_once, 10)]
        assert "succeeded" not in states(run.report)

    async def test_no_worker_begins_another_item(self, client):
        """F3: a function that swallows the cancel ends its item, and no other begins."""
        begun = []

        async def stubborn(item):
            begun.append(item)
            with anyio.CancelScope(shield=True):
                await until(lambda: left)

        left = []
        async with client.fleet(IDS).apply(stubborn, at_once=2) as run:
            await until(lambda: len(begun) == 2)
            left.append(True)

        assert begun == [0, 1]
        assert states(run.report)[2:] == ["skipped"] * 8


class TestUnderWay:
    async def test_the_report_is_pending_once_accepted_and_unknown_before(self, server, api):
        """F8: asked for in the middle of the run."""
        ids = api.add(4, status="active")
        api.slow |= {*ids}
        gate = server.gate()
        api.spoiled[ids[1]] = lambda reply: hold(reply, gate)
        hearing = Hearing()

        async with client_of(server, on_event=hearing) as client:
            async with client.fleet(ids).stop(at_once=2) as run:
                await hearing.of("wait.began", server=ids[0])
                await server.arrived(2, "POST")
                report = run.report
            gate.open()

        assert states(report) == ["pending", "unknown", "skipped", "skipped"]
        assert [outcome.accepted for outcome in report] == [True, False, False, False]
        assert report[0].value.server.id == ids[0]
        assert {str(outcome.error) for outcome in report[:2]} == {"it has not ended"}
        assert isinstance(report[1].error, OutcomeUnknownError)
        assert [(one.began_at is None, one.ended_at) for one in report] == [(False, None)] * 2 + [(True, None)] * 2
        assert all(one.ended_at >= one.began_at for one in run.report[:2])


class CancelAt(httpx.AsyncBaseTransport):
    """Cancels a scope at a request, before or after the API has carried it out."""

    def __init__(self, sandbox, number, *, after):
        self.inner = InProcessTransport(sandbox.app, sandbox._clock)
        self.number = number
        self.after = after
        self.scope = anyio.CancelScope()
        self.count = 0

    async def handle_async_request(self, request):
        self.count += 1
        due = self.count == self.number
        if due and not self.after:
            self.scope.cancel()
            await checkpoint()
        response = await self.inner.handle_async_request(request)
        if due:
            self.scope.cancel()
            await checkpoint()
        return response


class TestRepeating:
    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("number", range(1, 16))
    async def test_what_failed_or_was_skipped_may_be_repeated_and_nothing_is_rebooted_twice(self, number, after):
        """F8: interrupted at any request, the report tells what may be done again."""
        sandbox = Sandbox(servers=6)
        ids = [server["id"] for server in sandbox.servers]
        cancelling = CancelAt(sandbox, number, after=after)
        client = Client._over(cancelling, sandbox._clock, token="vps_sandbox", base_url="http://localhost/api/v1")

        async with client:
            run = client.fleet(ids).reboot(at_once=2)
            with cancelling.scope:
                await run
            again = await client.fleet([one.item for one in run.report if one.state in ("failed", "skipped")]).reboot()

        accepted = [call.path for call in sandbox.calls if call.method == "POST" and call.status < 300]
        assert len(accepted) == len(set(accepted))
        assert states(again) == ["succeeded"] * len(again)
        untouched = {f"/servers/{one.item}/reboot/" for one in run.report.unknown} - {*accepted}
        assert {*accepted} | untouched == {f"/servers/{server_id}/reboot/" for server_id in ids}
