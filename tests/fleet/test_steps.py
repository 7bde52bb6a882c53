"""What a fleet does for one item: only what is needed, in the item's own time, with the polls that were asked for."""

from __future__ import annotations

import itertools

import httpx
import pytest

from tests.helpers import detail
from tests.helpers_fleet import meddled_client, posts_of, specs, states
from tests.sharing import Scripted, scripted_client_of
from vpsorg_async import NotFoundError, PermissionDeniedError, PollPolicy, ServerGoneError, WaitFailedError
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(servers=8)


@pytest.fixture
def ids(sandbox):
    return [server["id"] for server in sandbox.servers]


async def stopped(sandbox, *ids, wait=True):
    """Stop servers by a client that is not the one under test."""
    async with sandbox.client() as other:
        await other.fleet(ids).stop(wait=wait)


def asked_of(sandbox, method, *, since=0):
    """Return the paths that were asked for with *method*, in their order, after so many calls."""
    return sorted(call.path for call in sandbox.calls[since:] if call.method == method)


class TestIfNeeded:
    async def test_what_is_there_already_gets_no_command(self, sandbox, ids):
        """F11: half are stopped already; each of the others gets one command."""
        await stopped(sandbox, *ids[:4])

        async with sandbox.client() as client:
            report = await client.fleet(ids).stop(if_needed=True)

        assert states(report) == ["succeeded"] * 8
        assert asked_of(sandbox, "POST") == [f"/servers/{server_id}/stop/" for server_id in ids]
        assert [outcome.server.status for outcome in report] == ["stopped"] * 8
        assert [outcome.value is None for outcome in report] == [True] * 4 + [False] * 4
        assert [outcome.accepted for outcome in report] == [False] * 4 + [True] * 4

    async def test_what_is_on_its_way_there_is_waited_for(self, sandbox, ids):
        """F11: somebody else has stopped them a moment ago."""
        await stopped(sandbox, *ids, wait=False)

        async with sandbox.client() as client:
            report = await client.fleet(ids).stop(if_needed=True)

        assert states(report) == ["succeeded"] * 8
        assert posts_of(sandbox) == 8
        assert {outcome.server.status for outcome in report} == {"stopped"}

    async def test_on_its_way_and_late_it_must_not_be_commanded_again(self, sandbox, ids):
        """F11: its stop was accepted, whoever sent it."""
        await stopped(sandbox, ids[0], wait=False)

        async with sandbox.client() as client:
            report = await client.fleet(ids[:1]).stop(if_needed=True, timeout=2)

        assert states(report) == ["pending"]
        assert posts_of(sandbox) == 1

    async def test_without_waiting_it_is_done_when_it_is_on_its_way(self, sandbox, ids):
        """F11: accepted is accepted."""
        await stopped(sandbox, *ids, wait=False)

        async with sandbox.client() as client:
            report = await client.fleet(ids).stop(if_needed=True, wait=False)

        assert states(report) == ["succeeded"] * 8
        assert posts_of(sandbox) == 8
        assert {outcome.server.status for outcome in report} == {"stopping"}

    async def test_a_start_that_this_client_sent_a_moment_ago_is_not_sent_again(self, sandbox, ids):
        """F11: the status from before a command does not count."""
        await stopped(sandbox, ids[0])

        async with sandbox.client() as client:
            await client.servers.start(ids[0])
            report = await client.fleet(ids[:1]).start(if_needed=True)

        assert states(report) == ["succeeded"]
        assert asked_of(sandbox, "POST") == [f"/servers/{ids[0]}/{name}/" for name in ("start", "stop")]

    async def test_a_delete_of_what_is_gone_succeeds(self, sandbox, ids):
        """F11: without it, 404 is a failure."""
        async with sandbox.client() as client:
            await client.fleet(ids[:3]).delete()
            since = len(sandbox.calls)
            report = await client.fleet([*ids[:5], 999]).delete(if_needed=True)
            plain = await client.fleet(ids[:1]).delete()

        assert states(report) == ["succeeded"] * 6
        assert len(sandbox.servers) == 3
        assert asked_of(sandbox, "DELETE", since=since) == [
            f"/servers/{server_id}/" for server_id in (ids[0], *ids[3:5])
        ]
        assert (plain[0].state, type(plain[0].error)) == ("failed", NotFoundError)

    async def test_a_start_of_what_is_gone_fails_without_a_command(self, sandbox):
        """F11: there is nothing to start."""
        async with sandbox.client() as client:
            report = await client.fleet([999]).start(if_needed=True)

        assert (report[0].state, type(report[0].error)) == ("failed", ServerGoneError)
        assert posts_of(sandbox) == 0

    async def test_a_status_that_nobody_documented_is_left_to_the_api(self, sandbox, ids):
        """F11: the command is sent, and the API decides."""

        def meddle(request):
            if request.method == "GET" and not posts_of(sandbox):
                return httpx.Response(200, json=detail(ids[0], status="migrating", updated_at="2020-01-01T00:00:00Z"))
            return None

        async with meddled_client(sandbox, meddle) as client:
            report = await client.fleet(ids[:1]).stop(if_needed=True)

        assert states(report) == ["succeeded"]
        assert posts_of(sandbox) == 1

    async def test_a_thousand_cost_about_what_one_does(self):
        """F11: they share their polls."""
        sandbox = Sandbox(servers=1_000)
        ids = [server["id"] for server in sandbox.servers]

        async with sandbox.client() as client:
            report = await client.fleet(ids).start(if_needed=True, at_once=1_000)

        assert states(report) == ["succeeded"] * 1_000
        assert posts_of(sandbox) == 0
        # A list of ten pages, and little more.
        assert len(asked_of(sandbox, "GET")) <= 30

    @pytest.mark.parametrize("name", ["start", "stop", "delete"])
    @pytest.mark.parametrize("flag", ["wait", "if_needed"])
    async def test_it_is_true_or_false(self, sandbox, ids, name, flag):
        """F11: a word that is true by chance would send commands."""
        async with sandbox.client() as client:
            with pytest.raises(TypeError) as caught:
                getattr(client.fleet(ids), name)(**{flag: "no"})

        assert str(caught.value) == f"{flag} takes True or False, not 'no'"


class TestStopOn:
    @pytest.mark.parametrize(("stop_on", "succeeded"), [((), 49), (NotFoundError, 49), (PermissionDeniedError, 10)])
    async def test_one_of_50_is_refused_with_403(self, stop_on, succeeded):
        """F11: with `()` the other 49 go on."""
        sandbox = Sandbox(servers=50)
        ids = [server["id"] for server in sandbox.servers]

        def meddle(request):
            if request.url.path.endswith(f"/{ids[10]}/stop/"):
                return httpx.Response(403, json={"detail": "Not this one."})
            return None

        async with meddled_client(sandbox, meddle) as client:
            report = await client.fleet(ids).stop(at_once=1, stop_on=stop_on)

        assert len(report.succeeded) == succeeded
        assert states(report)[10] == "failed"
        assert isinstance(report.stopped_by, PermissionDeniedError) is (succeeded == 10)
        assert len(report.skipped) == 49 - succeeded


class TestTime:
    async def test_creates_on_an_api_of_5_every_30_s(self, sandbox):
        """F9: the client's own timeout of 30 s does not end what has 900 s."""
        clock, made = sandbox._clock, {}

        def meddle(request):
            if request.method != "POST":
                return None
            window, into = divmod(clock.now(), 30)
            made[window] = made.get(window, 0) + 1
            if made[window] > 5:
                return httpx.Response(429, headers={"Retry-After": f"{30 - into:.2f}"})
            return None

        async with meddled_client(sandbox, meddle) as client:
            report = await client.fleet.create(specs(20), wait=False, timeout=900)

        assert states(report) == ["succeeded"] * 20
        assert posts_of(sandbox) == 20

    async def test_300_at_once_over_20_connections_of_4_s_each(self):
        """F9: the last one waits a minute for its turn."""
        transport = Scripted(lambda method, path, number: (4.0, 200, detail(int(path.split("/")[2]))))

        async with scripted_client_of(transport, max_connections=20) as client:
            report = await client.fleet(range(300)).update(backups_enabled=True, at_once=300, timeout=900)

        assert states(report) == ["succeeded"] * 300
        assert transport.clock.now() >= 60

    async def test_the_items_own_time_still_ends_its_call(self):
        """F9: and what never had its turn was not carried out."""
        transport = Scripted(lambda method, path, number: (4.0, 200, detail(int(path.split("/")[2]))))

        async with scripted_client_of(transport, max_connections=1) as client:
            report = await client.fleet(range(5)).update(backups_enabled=True, timeout=9)

        assert states(report) == ["succeeded", "succeeded", "unknown", "failed", "failed"]

    async def test_an_attempt_is_bounded_by_the_clients_attempt_timeout(self):
        """F9: a server that hangs is given up after 10 s, not after 900."""
        transport = Scripted(lambda method, path, number: (10_000.0, 200, {}))

        async with scripted_client_of(transport) as client:
            report = await client.fleet([7]).update(backups_enabled=True, timeout=900)

        assert states(report) == ["unknown"]
        assert len([method for method, _ in transport.asked if method == "PATCH"]) >= 4


METHODS = {
    "start": lambda client, ids, poll: client.fleet(ids).start(poll=poll),
    "stop": lambda client, ids, poll: client.fleet(ids).stop(poll=poll),
    "reboot": lambda client, ids, poll: client.fleet(ids).reboot(poll=poll),
    "delete": lambda client, ids, poll: client.fleet(ids).delete(poll=poll),
    "wait_until": lambda client, ids, poll: client.fleet(ids).wait_until(status="stopped", poll=poll),
    "create": lambda client, ids, poll: client.fleet.create(specs(1), poll=poll),
}


class TestPoll:
    @pytest.mark.parametrize("name", METHODS)
    async def test_its_patience_reaches_the_wait_of_each_item(self, sandbox, ids, name):
        """W32: with `failures=1` and no outage, one failed poll ends a wait."""
        if name == "start":
            await stopped(sandbox, ids[0])

        def meddle(request):
            return httpx.Response(500) if request.method == "GET" else None

        async with meddled_client(sandbox, meddle) as client:
            report = await METHODS[name](client, ids[:1], PollPolicy(failures=1, outage=0))

        assert states(report) == ["failed" if name == "wait_until" else "pending"]
        assert isinstance(report[0].error, WaitFailedError)
        assert report[0].accepted is (name != "wait_until")

    @pytest.mark.parametrize("name", ["stop", "reboot", "create"])
    async def test_its_pace_reaches_the_wait_of_each_item(self, sandbox, ids, name):
        """W32: with a minimum of 10 s, no two polls of an item are closer."""
        times = []

        def meddle(request):
            if request.method == "GET":
                times.append(sandbox._clock.now())

        async with meddled_client(sandbox, meddle) as client:
            report = await METHODS[name](client, ids[:1], PollPolicy(minimum=10, maximum=20))

        assert states(report) == ["succeeded"]
        assert len(times) >= 2
        assert all(later - earlier >= 10 for earlier, later in itertools.pairwise(times))
