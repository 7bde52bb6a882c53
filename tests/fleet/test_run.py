"""Fleets: what becomes of many servers, of some of which something goes wrong (the rows F1 to F7)."""

from __future__ import annotations

import re
import tracemalloc

from collections import Counter

import anyio
import httpx
import pytest

from tests.helpers import detail
from tests.helpers_api import SharedClock, client_of, client_over
from tests.helpers_fleet import FleetAPI, finish, meddled_client, posts_of, specs, states, until
from tests.rawserver import cut, drop, hang, hold, json, text
from vpsorg_async import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    Client,
    InsufficientCreditsError,
    NotFoundError,
    PermissionDeniedError,
    ResponseError,
    Server,
    ServerError,
    StateConflictError,
    UnexpectedStatusError,
    WaitTimeoutError,
)
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._state.account import Event


pytestmark = pytest.mark.anyio


UUID = "9f1c2d3e-0000-4a5b-8c6d-7e8f90a1b2c3"


@pytest.fixture
def api(server):
    return FleetAPI(server)


class Trouble:
    """Meddles with the stops of a sandbox: eight ways to fail, told by what the server's id leaves over."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.ids = [server["id"] for server in sandbox.servers]
        # 37 of the 1,000: five of each of the first five ways, four of each of the rest.
        self.ways = dict(zip(self.ids[3::27], [*range(8)] * 4 + [*range(5)], strict=True))

    def __call__(self, request):
        found = re.fullmatch(r"/api/v1/servers/(\d+)/stop/", request.url.path)
        match self.ways.get(int(found[1])) if found else None:
            case 0:
                return httpx.Response(404, json={"detail": "Not found."})
            case 1:
                return httpx.Response(400, json={"detail": "Server is not running."})
            case 2:
                return httpx.Response(400, json={"force": ["This field is required."]})
            case 3:
                return httpx.Response(500, json={"detail": "Oops."})
            case 4:
                return httpx.Response(200, html="<html>Welcome</html>")
            case 5:
                return httpx.ReadError("cut")
            case 6:
                return self.stop(int(found[1]), seconds=20, ends_in="suspended")
            case 7:
                return self.stop(int(found[1]), seconds=100_000, ends_in="stopped")

    def stop(self, server_id, **data):
        """Have it stop, and end as the sandbox would not of itself."""
        backend = self.sandbox._backend
        backend.accounts[0].apply(Event(backend.clock.now(), "commanded", server_id, {"command": "stop", **data}))
        answer = {"id": server_id, "name": "web", "status": "stopping"}
        return httpx.Response(200, json={"status": "success", "message": "Server is stopping", "server": answer})


WAYS = [
    ("failed", NotFoundError),
    ("failed", StateConflictError),
    ("failed", BadRequestError),
    ("unknown", ServerError),
    ("unknown", ResponseError),
    ("unknown", APIConnectionError),
    ("failed", UnexpectedStatusError),
    ("pending", WaitTimeoutError),
]


class TestManyFailures:
    @pytest.mark.heavy
    async def test_a_thousand_of_which_37_fail_in_eight_ways(self):
        """F1: 1,000 outcomes, each right and in the order given, and 37 errors in one group."""
        sandbox = Sandbox(servers=1_000)
        trouble = Trouble(sandbox)

        async with meddled_client(sandbox, trouble) as client:
            report = await client.fleet(trouble.ids).stop(at_once=250, timeout=150)

        assert [outcome.index for outcome in report] == list(range(1_000))
        assert [outcome.item for outcome in report] == trouble.ids
        expected = [WAYS[trouble.ways[key]] if key in trouble.ways else ("succeeded", None) for key in trouble.ids]
        assert [(one.state, one.error and type(one.error)) for one in report] == expected
        assert all(one.server.status == "stopped" for one in report.succeeded)
        assert Counter(states(report)) == {"succeeded": 963, "failed": 19, "pending": 4, "unknown": 14}
        with pytest.raises(ExceptionGroup) as caught:
            report.raise_for_failures()
        assert list(caught.value.exceptions) == [one.error for one in report if one.item in trouble.ways]
        assert len(caught.value.exceptions) == 37
        assert report.stopped_by is None

    @pytest.mark.by_turns
    async def test_failures_on_real_sockets(self, server, api):
        """F1: eight ways to fail, of 60 servers on a socket that cuts, garbles and hangs."""
        ids = api.add(60, status="active")
        api.refused |= {
            ids[0]: json(400, {"detail": "Server is not running."}),
            ids[1]: json(400, {"force": ["This field is required."]}),
            ids[2]: json(500, {"detail": "Oops."}),
            ids[3]: text(200, "<html>Welcome</html>", "text/html"),
            ids[4]: drop(reset=True),
            ids[5]: cut(json(200, {}), 20),
            ids[6]: hang(),
        }
        del api.servers[ids[7]]

        async with client_of(server, timeout=5, attempt_timeout=1) as client:
            report = await client.fleet(ids).stop()

        assert [(outcome.state, type(outcome.error)) for outcome in report[:8]] == [
            ("failed", StateConflictError),
            ("failed", BadRequestError),
            ("unknown", ServerError),
            ("unknown", ResponseError),
            ("unknown", APIConnectionError),
            ("unknown", APIConnectionError),
            ("unknown", type(report[6].error)),
            ("failed", NotFoundError),
        ]
        assert isinstance(report[6].error, TimeoutError)
        assert states(report[8:]) == ["succeeded"] * 52


class TestTolerance:
    async def test_more_failures_than_tolerated_begin_nothing_more(self, server, api):
        """F2: the sixth failure of 100 is one too many; those in progress finish, the rest is skipped."""
        ids = api.add(100)
        gates = {key: server.gate() for key in ids}
        last = server.gate()
        for key in ids:
            reply = json(400, {"detail": "No."}) if key <= ids[5] else json(200, detail(key))
            server.answer("PATCH", f"/servers/{key}/", hold(reply, gates[key] if key <= ids[5] else last))

        async with client_of(server) as client, anyio.create_task_group() as group:
            run = client.fleet(ids).update(backups_enabled=True, at_once=10, tolerate=0.05)
            group.start_soon(finish, run)
            await server.arrived(10)
            for key in ids[:5]:
                gates[key].open()
            # Five of 100 is not more than 0.05.
            await server.arrived(15)
            assert run.report.stopped_by is None
            gates[ids[5]].open()
            await until(lambda: run.report.stopped_by)
            last.open()

        report = run.report
        assert len(server.requests) == 15
        assert states(report) == ["failed"] * 6 + ["succeeded"] * 9 + ["skipped"] * 85
        assert report.stopped_by is report[5].error
        assert all(outcome.error is None and outcome.server is None for outcome in report.skipped)

    @pytest.mark.parametrize(
        ("tolerate", "begun"), [(0, 1), (2, 3), (0.0, 1), (0.1, 3), (None, 20), (20, 20), (1.0, 20)]
    )
    async def test_an_int_counts_and_a_float_is_a_share(self, server, api, tolerate, begun):
        """F2: 20 items that all fail, one after another."""
        async with client_of(server) as client:
            report = await client.fleet(range(20)).start(at_once=1, tolerate=tolerate)

        assert states(report) == ["failed"] * begun + ["skipped"] * (20 - begun)
        assert len(server.requests) == begun

    async def test_what_is_unknown_counts_too(self, server, api):
        """F2: a doubt is as bad as a failure."""
        ids = api.add(5, status="stopped")
        api.refused |= dict.fromkeys(ids, drop())

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet(ids).start(at_once=1, tolerate=1)

        assert states(report) == ["unknown", "unknown", "skipped", "skipped", "skipped"]
        assert report.stopped_by is report[1].error


class TestWhichServers:
    @pytest.mark.parametrize(
        ("items", "key"),
        [
            ([7, 8, 7], "7"),
            ([7, "7"], "7"),
            (["a-b", 7, "a-b"], "a-b"),
            ([Server.from_dict(detail(7)), 7], "7"),
            (["7", Server.from_dict(detail(7))], "7"),
            (["07", 7], "7"),
            ([7, "007"], "7"),
            ([UUID, UUID.upper()], UUID),
            ([Server.from_dict(detail(7, uuid=UUID)), UUID.upper()], UUID),
            ([UUID, Server.from_dict(detail(7, uuid=UUID))], "7"),
        ],
    )
    async def test_the_same_server_twice_is_refused(self, server, items, key):
        """F4: before anything is sent, in whatever spelling."""
        async with client_of(server) as client:
            with pytest.raises(ValueError) as caught:
                client.fleet(items)

        assert str(caught.value) == f"server {key} is there twice: give each server once"
        assert server.requests == []

    async def test_an_unknown_id_is_a_failed_outcome(self):
        """F4: the others are not harmed."""
        sandbox = Sandbox(servers=2)
        first, second = (server["id"] for server in sandbox.servers)

        async with sandbox.client() as client:
            report = await client.fleet([first, 999, second, "no-such"]).stop()

        assert states(report) == ["succeeded", "failed", "succeeded", "failed"]
        assert [type(outcome.error) for outcome in report.failed] == [NotFoundError, NotFoundError]


class TestNothingMore:
    @pytest.mark.parametrize("at_once", [1, 10])
    async def test_when_the_credits_are_used_up(self, at_once):
        """F5: 402 at the 40th create ends it; the 39 that were made are there."""
        sandbox = Sandbox(credits=39)

        async with sandbox.client() as client:
            report = await client.fleet.create(specs(80), at_once=at_once)

        assert len(report.succeeded) == len(sandbox.servers) == 39
        assert {outcome.server.id for outcome in report.succeeded} == {one["id"] for one in sandbox.servers}
        assert {outcome.server.status for outcome in report.succeeded} == {"active"}
        assert {type(outcome.error) for outcome in report.failed} == {InsufficientCreditsError}
        assert len(report.failed) <= at_once
        assert posts_of(sandbox) == 39 + len(report.failed)
        assert len(report.skipped) == 80 - posts_of(sandbox)
        assert isinstance(report.stopped_by, InsufficientCreditsError)

    @pytest.mark.parametrize("tolerate", [None, 1.0])
    async def test_when_the_token_may_not(self, tolerate):
        """F5: 403 is everyone's, whatever is tolerated."""
        sandbox = Sandbox(servers=8)
        sandbox.add_account("vps_reader", read_only=True)
        ids = [server["id"] for server in sandbox.servers]

        async with sandbox.client(token="vps_reader") as client:
            report = await client.fleet(ids).delete(at_once=2, tolerate=tolerate)

        assert states(report) == ["failed", "failed", *["skipped"] * 6]
        assert isinstance(report.stopped_by, PermissionDeniedError)
        assert len(sandbox.servers) == 8

    async def test_when_the_token_is_revoked_in_the_middle(self):
        """F6: nothing more is begun; what had arrived by then has."""
        sandbox = Sandbox(servers=30)
        ids = [server["id"] for server in sandbox.servers]
        token = "vps_sandbox"

        def revoke(outcome):
            nonlocal token
            if outcome.state == "succeeded":
                token = "vps_revoked"

        async with sandbox.client(token=lambda: token) as client:
            run = client.fleet(ids).stop(at_once=5, on_outcome=revoke)
            report = await run

        first = [outcome.index for outcome in report.succeeded]
        assert 1 <= len(first) <= 5
        assert {type(outcome.error) for outcome in report.failed} == {AuthenticationError}
        assert isinstance(report.stopped_by, AuthenticationError)
        assert len(report.failed) <= 5
        assert states(report) == [*states(report[: 30 - len(report.skipped)]), *["skipped"] * len(report.skipped)]
        # What was accepted by then may have arrived: nobody knows.
        assert all(isinstance(outcome.error, AuthenticationError) for outcome in report.pending)
        assert posts_of(sandbox) == len(first) + len(report.failed) + len(report.pending)


class Counted(httpx.AsyncBaseTransport):
    """Responses every change of a server with that server, and remembers how many were under way."""

    def __init__(self):
        self.under_way = self.peak = 0

    async def handle_async_request(self, request):
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        self.under_way -= 1
        server_id = int(request.url.path.split("/")[-2])
        return httpx.Response(200, json=detail(server_id, name=f"web-{server_id}"))


class TestVeryMany:
    @pytest.mark.heavy
    async def test_ten_thousand_items(self, anyio_backend_options):
        """F7: at most 10 kB for each, in the order given, and never more than 20 in progress."""
        count, transport = 10_000 if anyio_backend_options.get("use_uvloop") else 1_000, Counted()
        told = []

        async with Client("vps_test", transport=transport, timeout=None) as client:
            await client.fleet(range(100)).update(backups_enabled=True)
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                report = await client.fleet(range(count)).update(
                    backups_enabled=True, on_outcome=lambda outcome: told.append(outcome.index)
                )
                after, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()

        assert [outcome.index for outcome in report] == list(range(count))
        assert [outcome.server.id for outcome in report.succeeded] == list(range(count))
        assert sorted(told) == list(range(count))
        assert transport.peak == 20
        assert (after - before) / count <= 10_000
        assert (peak - before) / count <= 10_000
