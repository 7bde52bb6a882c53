"""A fleet while its API is out of reach: it begins nothing new, and goes on where it was."""

from __future__ import annotations

import itertools

import anyio
import httpx
import pytest

from tests.helpers_api import SharedClock, client_over
from tests.helpers_fleet import FleetAPI, finish, meddled_client, posts_of, specs, states, until
from tests.rawserver import drop, json
from vpsorg_async import (
    APIConnectionError,
    Client,
    OutcomeUnknownError,
    PollPolicy,
    RetryPolicy,
    ServerError,
    WaitFailedError,
)
from vpsorg_async._fleet.gate import Gate
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.in_process import InProcessTransport


pytestmark = pytest.mark.anyio

WAYS = {
    "refused": lambda: httpx.ConnectError("refused"),
    "cut": lambda: httpx.ReadError("cut"),
    "502": lambda: httpx.Response(502, text="Bad gateway"),
    "504": lambda: httpx.Response(504, text="Gateway timeout"),
    "503": lambda: httpx.Response(503, text="Back soon"),
}


class Outage:
    """Meddles with a sandbox: from a POST on, nothing reaches the API for so many seconds of its clock."""

    def __init__(self, sandbox, way, *, after=4, seconds=40.0):
        self.clock = sandbox._clock
        self.way = WAYS[way]
        self.posts = 0
        self.after = after
        self.seconds = seconds
        self.began = None
        self.asked = []

    @property
    def lasts(self):
        return self.began is not None and self.clock.now() < self.began + self.seconds

    def __call__(self, request):
        if request.method in ("POST", "DELETE"):
            self.posts += 1
            if self.posts > self.after and self.began is None:
                self.began = self.clock.now()
        if not self.lasts:
            return None
        self.asked.append((self.clock.now() - self.began, request.method))
        return self.way()


class TestItComesBack:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("name", ["stop", "delete"])
    async def test_after_40_s_all_succeed_and_none_was_begun_meanwhile(self, way, name):
        """F15: the commands that got no answer are sent again, and the rest follows."""
        sandbox = Sandbox(servers=30)
        outage = Outage(sandbox, way)
        ids = [server["id"] for server in sandbox.servers]
        began = []

        async with meddled_client(sandbox, outage) as client:
            run = getattr(client.fleet(ids), name)(
                at_once=6, progress=lambda progress: began.append((progress.begun, outage.lasts))
            )
            report = await run

        assert states(report) == ["succeeded"] * 30
        assert report.stopped_by is None
        # Those that were in progress when it began, and no others.
        assert max(begun for begun, lasts in began if lasts) <= 6
        assert {server["status"] for server in sandbox.servers} == ({"stopped"} if name == "stop" else set())

    @pytest.mark.parametrize("way", ["refused", "502"])
    async def test_the_api_is_left_in_peace_meanwhile(self, way):
        """F15: one of the items probes for all, further and further apart."""
        sandbox = Sandbox(servers=60)
        outage = Outage(sandbox, way, after=0)
        ids = [server["id"] for server in sandbox.servers]

        async with meddled_client(sandbox, outage, retry=RetryPolicy()) as client:
            report = await client.fleet(ids).stop(at_once=50, wait=False)

        assert states(report) == ["succeeded"] * 60
        # The commands themselves, at most 10 retries, and two requests for each probe.
        assert len(outage.asked) <= 50 + 10 + 2 * 8
        assert max(at for at, method in outage.asked if method == "POST") < 10

    async def test_creates_that_never_left_are_made_and_each_once(self):
        """F15: refused is proof that nothing was made."""
        sandbox = Sandbox()
        outage = Outage(sandbox, "refused")

        async with meddled_client(sandbox, outage) as client:
            report = await client.fleet.create(specs(20), at_once=4)

        assert states(report) == ["succeeded"] * 20
        assert posts_of(sandbox) == len(sandbox.servers) == 20

    @pytest.mark.parametrize("make", ["create", "reboot"])
    async def test_what_may_have_been_carried_out_is_not_sent_again(self, make):
        """F15: a create or reboot that was answered 502 stays unknown, and nothing new is begun beside it."""
        sandbox = Sandbox(servers=20)
        outage = Outage(sandbox, "502")
        ids = [server["id"] for server in sandbox.servers]

        async with meddled_client(sandbox, outage) as client:
            run = client.fleet.create(specs(20), at_once=4) if make == "create" else client.fleet(ids).reboot(at_once=4)
            report = await run

        assert 1 <= len(report.unknown) <= 4
        assert {type(outcome.error) for outcome in report.unknown} == {OutcomeUnknownError}
        assert len(report.succeeded) == 20 - len(report.unknown)
        assert outage.posts == 20
        assert posts_of(sandbox) == len(report.succeeded)

    async def test_a_function_is_not_called_again(self):
        """F15: only its author knows what a second call would do."""
        sandbox = Sandbox(servers=12)
        outage = Outage(sandbox, "refused")
        ids, called = [server["id"] for server in sandbox.servers], []

        async with meddled_client(sandbox, outage) as client:

            async def work(server_id):
                called.append(server_id)
                await client.servers.stop(server_id)

            report = await client.fleet(ids).apply(work, at_once=2)

        assert sorted(called) == ids
        assert 1 <= len(report.failed) <= 2
        assert len(report.succeeded) == 12 - len(report.failed)


class Silent(httpx.AsyncBaseTransport):
    """A sandbox that gives no answer for so many seconds from a POST on, though the connection is there."""

    def __init__(self, sandbox, *, after, seconds):
        self.inner = InProcessTransport(sandbox.app, sandbox._clock)
        self.outage = Outage(sandbox, "cut", after=after, seconds=seconds)

    async def handle_async_request(self, request):
        if self.outage(request) is not None:
            await self.outage.clock.sleep(10**6)
        return await self.inner.handle_async_request(request)


class TestSilence:
    @pytest.mark.parametrize(("seconds", "ended"), [(40.0, "succeeded"), (10.0**5, "unknown")])
    async def test_an_api_that_takes_connections_and_never_answers(self, seconds, ended):
        """F15: each attempt ends by `attempt_timeout`."""
        sandbox = Sandbox(servers=40)
        transport = Silent(sandbox, after=0, seconds=seconds)
        ids = [server["id"] for server in sandbox.servers]
        options = {"token": "vps_sandbox", "base_url": "http://localhost/api/v1"}

        async with Client._over(transport, sandbox._clock, **options) as client:
            report = await client.fleet(ids).stop(at_once=8)

        assert states(report) == [ended] * 8 + (["succeeded"] if ended == "succeeded" else ["skipped"]) * 32
        if ended == "unknown":
            assert sandbox._clock.now() - transport.outage.began < 200
            assert str(report.stopped_by).startswith("the API has not responded for ")


class TestGoneForGood:
    @pytest.mark.parametrize("way", ["refused", "502"])
    async def test_those_under_way_end_and_the_rest_is_skipped(self, way):
        """F15: after `poll.outage` the run is over, and says why."""
        sandbox = Sandbox(servers=100)
        outage = Outage(sandbox, way, seconds=10**6)
        ids = [server["id"] for server in sandbox.servers]

        async with meddled_client(sandbox, outage) as client:
            report = await client.fleet(ids).stop(at_once=8)

        assert states(report)[8:] == ["skipped"] * 92
        assert "succeeded" not in states(report)
        assert {type(outcome.error) for outcome in report.pending} == {WaitFailedError}
        assert len(report.pending) == 4
        # Refused is proof that the command was not carried out; 502 is none.
        assert len(report.failed if way == "refused" else report.unknown) == 4
        assert type(report.stopped_by) is APIConnectionError
        assert str(report.stopped_by).startswith("the API has not responded for ")
        assert 60 <= sandbox._clock.now() - outage.began <= 80

    async def test_a_shorter_patience_is_the_polls_own(self):
        """F15: `poll.outage` and `poll.failures` say how long."""
        sandbox = Sandbox(servers=20)
        outage = Outage(sandbox, "refused", after=0, seconds=10**6)
        ids = [server["id"] for server in sandbox.servers]

        async with meddled_client(sandbox, outage) as client:
            report = await client.fleet(ids).stop(at_once=2, poll=PollPolicy(failures=2, outage=5))

        assert states(report) == ["failed"] * 2 + ["skipped"] * 18
        assert sandbox._clock.now() - outage.began < 20

    async def test_the_time_of_an_item_ends_its_hold(self):
        """F15: an item is held back no longer than it has time."""
        sandbox = Sandbox(servers=2)
        outage = Outage(sandbox, "refused", after=0, seconds=10**6)
        ids = [server["id"] for server in sandbox.servers]

        async with meddled_client(sandbox, outage) as client:
            report = await client.fleet(ids).stop(timeout=20)

        assert states(report) == ["failed", "failed"]
        assert sandbox._clock.now() - outage.began == pytest.approx(20)

    async def test_leaving_the_run_ends_the_hold(self):
        """F15: nothing is left running, and the report knows it all."""
        sandbox = Sandbox(servers=9)
        outage = Outage(sandbox, "refused", after=0, seconds=10**6)
        ids = [server["id"] for server in sandbox.servers]

        async with meddled_client(sandbox, outage) as client:
            async with client.fleet(ids).stop(at_once=2) as run:
                await until(lambda: len(outage.asked) > 8)
            asked = len(outage.asked)
            await sandbox._clock.sleep(100)

        assert states(run.report) == ["failed"] * 2 + ["skipped"] * 7
        assert len(outage.asked) == asked

    async def test_closing_the_client_ends_the_hold(self):
        """F15: as it ends everything."""
        sandbox = Sandbox(servers=9)
        outage = Outage(sandbox, "refused", after=0, seconds=10**6)
        async with anyio.create_task_group() as group, meddled_client(sandbox, outage) as client:
            run = client.fleet([server["id"] for server in sandbox.servers]).stop(at_once=2)
            group.start_soon(finish, run)
            await until(lambda: len(outage.asked) > 8)

        assert states(run.report) == ["failed"] * 2 + ["skipped"] * 7
        assert str(run.report.stopped_by) == "the client is closed"


class TestNoOutage:
    async def test_a_server_that_fails_alone_holds_nobody(self):
        """F15: the API answers the probe, so the failure is that server's own after one more try."""
        sandbox = Sandbox(servers=12)
        ids = [server["id"] for server in sandbox.servers]
        failing = {f"/servers/{ids[0]}/stop/": WAYS["cut"], f"/servers/{ids[1]}/stop/": WAYS["502"]}
        posts = []

        def meddle(request):
            if request.method != "POST":
                return None
            posts.append(request)
            way = next((way for path, way in failing.items() if request.url.path.endswith(path)), None)
            return None if way is None else way()

        async with meddled_client(sandbox, meddle) as client:
            report = await client.fleet(ids).stop(at_once=2)

        assert states(report) == ["unknown", "unknown", *["succeeded"] * 10]
        assert isinstance(report[1].error, ServerError)
        assert len(posts) <= 8 + 8 + 10

    async def test_a_list_that_fails_is_no_outage_while_servers_can_be_read(self, server):
        """F15: the probe asks for the server too."""
        api = FleetAPI(server)
        ids = api.add(4, status="active")
        api.refused[ids[0]] = drop()
        server.answer("GET", "/servers/", json(502, {}))

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet(ids).stop(at_once=1, wait=False)

        assert states(report) == ["unknown", *["succeeded"] * 3]


class TestGate:
    async def test_one_that_is_cancelled_hands_the_probes_on(self):
        """F15: the next one goes on with them, and not from the start."""
        sandbox = Sandbox(servers=2)
        outage = Outage(sandbox, "refused", seconds=40)
        outage.began = sandbox._clock.now()
        client, passed, scope = meddled_client(sandbox, outage), [], anyio.CancelScope()
        gate = Gate(client._context, client._options, PollPolicy())
        gate.failed(APIConnectionError("refused"), outage.began)

        async def first():
            with scope:
                passed.append(await gate.passed(1, lambda: True))

        async def second():
            passed.append(await gate.passed(2, lambda: True))

        async with client, anyio.create_task_group() as group:
            group.start_soon(first)
            await until(lambda: len(outage.asked) >= 6)
            group.start_soon(second)
            await anyio.lowlevel.checkpoint()
            scope.cancel()

        assert passed == [True]
        # Each probe asks twice; nowhere are two of them closer than the policy's pauses.
        times = [at for at, _ in outage.asked][::2]
        assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))

    async def test_what_is_not_needed_any_more_is_not_waited_for(self):
        """F15: a run that has been stopped probes no more."""
        sandbox = Sandbox(servers=1)
        outage = Outage(sandbox, "refused", seconds=10**6)
        outage.began = sandbox._clock.now()
        client, needed = meddled_client(sandbox, outage), [True]
        gate = Gate(client._context, client._options, PollPolicy(failures=None))
        gate.failed(APIConnectionError("refused"), outage.began)
        passed = []

        async def wait():
            passed.append(await gate.passed(1, lambda: needed[0]))

        async with client, anyio.create_task_group() as group:
            group.start_soon(wait)
            await until(lambda: len(outage.asked) >= 6)
            needed[0] = False
            gate.wake()

        assert passed == [True]
