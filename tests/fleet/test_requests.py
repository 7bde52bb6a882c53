"""The requests of a fleet beside those of a plain loop: one GET every 5 s for each server."""

from __future__ import annotations

import math
import statistics

from collections import Counter

import anyio
import pytest

from tests.helpers_fleet import specs
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

EVERY = 5.0


async def run(sandbox, what, at_once, count=60):
    """Run a fleet. Return the polls, how late each end was noticed, and both of the loop."""
    account, clock = sandbox._backend.accounts[0], sandbox._clock
    noticed = {}

    def note(outcome):
        noticed[outcome.server.id] = clock.now()

    ids = [server["id"] for server in sandbox.servers][:: max(1, len(sandbox.servers) // count)][:count]
    asked = len(sandbox.calls)
    async with sandbox.client() as client:
        if what == "create":
            report = await client.fleet.create(specs(count), at_once=at_once, on_outcome=note)
        else:
            report = await getattr(client.fleet(ids), what)(at_once=at_once, on_outcome=note)
    assert len(report.succeeded) == count
    ended = {event.server_id: (event.data["seconds"], event.at) for event in account.log if "seconds" in event.data}
    took = {server_id: ended[server_id] for server_id in noticed}
    late = [noticed[server_id] - at - seconds for server_id, (seconds, at) in took.items()]
    loop = [math.ceil(seconds / EVERY) for seconds, _ in took.values()]
    loop_late = [EVERY * gets - seconds for gets, (seconds, _) in zip(loop, took.values(), strict=True)]
    polls = [call for call in sandbox.calls[asked:] if call.method == "GET"]
    return polls, late, sum(loop), loop_late


class TestLoop:
    @pytest.mark.parametrize(
        ("servers", "at_once", "what", "times"),
        [
            (300, 20, "reboot", 0.6),
            (1_000, 20, "stop", 0.6),
            (300, 60, "reboot", 0.4),
            (1_000, 10, "stop", 1.0),
            (2_500, 20, "stop", 1.0),
            (20, 20, "create", 0.6),
        ],
    )
    async def test_a_fleet_takes_no_more_requests_and_is_no_later(self, servers, at_once, what, times):
        """W37: a part of them where twice as many are in progress as the list has pages."""
        polls, late, loop, loop_late = await run(Sandbox(servers=servers, seed=5), what, at_once)

        assert len(polls) <= times * loop + 1
        assert statistics.median(late) <= 1.1 * statistics.median(loop_late)
        assert max(late) <= EVERY + 0.5

    @pytest.mark.parametrize(("servers", "at_once"), [(100, 1), (1_000, 5)])
    async def test_a_few_are_noticed_sooner(self, servers, at_once):
        """W37: with two requests a second at most."""
        sandbox = Sandbox(servers=servers, seed=5)
        polls, late, _, loop_late = await run(sandbox, "reboot", at_once, count=30)

        assert statistics.median(late) <= 0.7 * statistics.median(loop_late)
        seconds = Counter(int(call.at // 30) for call in polls)
        # The first and the last poll of each wait come on top.
        assert max(seconds.values()) <= 60 + 2 * at_once * 3


class TestFirst:
    async def test_deletes_that_are_done_at_once_are_noticed_at_once(self):
        """W37: the first two show it for the others."""
        sandbox = Sandbox(servers=40)
        began = sandbox._clock.now()

        async with sandbox.client() as client:
            report = await client.fleet([server["id"] for server in sandbox.servers]).delete(at_once=20)

        assert len(report.succeeded) == 40
        assert sandbox._clock.now() - began < 2

    async def test_many_deletes_are_confirmed_as_soon_as_by_a_loop(self):
        """W37: each by a GET, of which a loop makes one in five seconds for each."""
        sandbox = Sandbox(servers=400)
        began = sandbox._clock.now()

        async with sandbox.client() as client:
            report = await client.fleet([server["id"] for server in sandbox.servers]).delete(at_once=400)

        assert len(report.succeeded) == 400
        assert sandbox._clock.now() - began <= EVERY + 1


class TestOwnWaits:
    """The waits of a user's own functions, which are called while a fleet runs."""

    @pytest.fixture
    def sandbox(self):
        return Sandbox(servers=40, seed=5)

    async def polls_of_a_reboot(self, sandbox, client, server_id):
        """Reboot a server, and return when it was asked for, in seconds from the response on."""
        action = await client.servers.reboot(server_id)
        asked, began = len(sandbox.calls), sandbox._clock.now()
        await action.wait()
        return [call.at - began for call in sandbox.calls[asked:] if call.path.endswith(f"/{server_id}/")]

    async def test_a_task_that_a_callback_leaves_behind_is_no_part_of_the_fleet(self, sandbox):
        """W37: a few are asked for closely, the first time at once."""
        ids = [server["id"] for server in sandbox.servers]
        asked = []

        async def later(server_id, seconds):
            await sandbox._clock.sleep(seconds)
            asked.append(await self.polls_of_a_reboot(sandbox, client, server_id))

        def begin(index):
            if index == 3:
                group.start_soon(later, ids[30], 100)

        def end(outcome):
            if outcome.index == 3:
                group.start_soon(later, ids[31], 300)

        async with sandbox.client() as client, anyio.create_task_group() as group:
            await client.fleet(ids[:20]).apply(lambda server_id: begin(ids.index(server_id)), on_outcome=end)

        assert [polls[:4] for polls in asked] == [pytest.approx([0.0, 1.0, 2.0, 3.0])] * 2

    async def test_a_function_that_waits_is_answered_at_once(self, sandbox):
        """W37: the first poll of a wait is at once."""
        async with sandbox.client() as client:
            report = await client.fleet([sandbox.servers[0]["id"]]).apply(
                lambda server_id: self.polls_of_a_reboot(sandbox, client, server_id)
            )

        assert report[0].value[0] == pytest.approx(0.0)

    async def test_a_fleet_of_waits_asks_at_once_for_what_was_commanded_long_ago(self, sandbox):
        """W37: nothing is awaited that has happened already."""
        ids = [server["id"] for server in sandbox.servers][:20]
        async with sandbox.client() as client:
            await client.fleet(ids).stop(wait=False)
            await sandbox._clock.sleep(60)
            began = sandbox._clock.now()
            report = await client.fleet(ids).wait_until(status="stopped")

        assert (len(report.succeeded), sandbox._clock.now() - began) == (20, pytest.approx(0.0))

    async def test_a_goal_before_the_end_of_a_command_tells_nothing_of_it(self, sandbox):
        """W37: otherwise reboots would be taken for quick."""
        async with sandbox.client() as client:
            for server in sandbox.servers[:5]:
                await client.servers.reboot(server["id"])
                await client.servers.wait_until(server["id"], status=["rebooting", "active"])

            assert client._context.waits.durations.is_quick("reboot") is None
