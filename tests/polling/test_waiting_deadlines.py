"""The ends of waits that are not the server's: deadlines, cancels, a closed client, and clocks that jump."""

from __future__ import annotations

import asyncio
import datetime as dt
import time

import anyio
import anyio.lowlevel
import pytest
import sniffio

from tests.helpers import detail
from tests.rawserver import hang, hold, json
from tests.sharing import Scripted, scripted_client_of
from tests.waits import POLL, SEVEN, SkippingClock, accept, client_of, made_polls, shown, skipping_client_of, tell
from vpsorg_async import APIConnectionError, APITimeoutError, ClientClosedError, PollPolicy, WaitTimeoutError


pytestmark = pytest.mark.anyio
SLOW = PollPolicy(minimum=30, maximum=30)


class TestDeadline:
    @pytest.mark.parametrize("seen_before", [True, False])
    async def test_a_poll_that_hangs_at_the_deadline_is_abandoned(self, server, seen_before):
        """W13: the wait ends within a second of its deadline, and the next call finds a pool that works."""
        tell(server, *(["stopped"] if seen_before else []), hang(), "active")

        async with client_of(server, max_connections=1) as client:
            began = time.monotonic()
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=0.5, poll=POLL)
            took = time.monotonic() - began
            await server.until(lambda: server.connections_open == 0)
            seen = await client.servers.get(7)

        assert 0.5 <= took < 3
        assert str(caught.value).endswith(
            "; the last poll failed: GET /servers/7/: no response came in time: "
            f"waiting for the response of {server.base_url.split('/')[2]}"
        )
        assert isinstance(caught.value.__cause__, APITimeoutError)
        assert (seen.status, made_polls(server)) == ("active", 3 if seen_before else 2)

    async def test_the_poll_on_the_wire_at_the_deadline_may_still_be_the_goal(self, server):
        """W13: it gets a second more, and what it says counts."""
        limiter = server.gate()
        tell(server, hold(shown("active"), limiter))

        async def open_after_the_deadline():
            await server.arrived(1, "GET")
            await anyio.sleep(0.06)
            limiter.open()

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(open_after_the_deadline)
            seen = await client.servers.wait_until(7, status="active", timeout=0.05, poll=POLL)

        assert (seen.status, made_polls(server)) == ("active", 1)

    async def test_the_last_poll_is_at_the_deadline(self, server):
        """W13: what becomes true shortly before the deadline is not missed, and nothing is asked after it."""
        tell(server, "stopped", "active")
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            seen = await client.servers.wait_until(7, status="active", timeout=25, poll=SLOW)

        assert (seen.status, made_polls(server)) == ("active", 2)
        assert sum(clock.slept) == pytest.approx(25, abs=0.5)

    async def test_polls_are_rarer_the_longer_it_waits(self, server):
        """W13: at least 1 s and at most 5 s apart, never more than a tenth of the time waited."""
        tell(server, "stopped")
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(7, status="active", timeout=300)

        waited = 0.0
        for pause in clock.slept[:-1]:
            assert pause <= min(5, max(1, waited / 10)) + 0.1
            waited += pause
        assert 0 < clock.slept[0] <= 1
        assert 70 < made_polls(server) < 110


class TestOneLook:
    @pytest.mark.parametrize(
        "answer",
        [shown("stopped"), shown("migrating"), json(500, {}), json(429, {}), json(429, {}, {"Retry-After": "0"})],
        ids=["stopped", "migrating", "500", "429", "429 at once"],
    )
    async def test_timeout_0_is_exactly_one_poll(self, server, answer):
        """W14: also when it fails."""
        tell(server, answer, "active")

        async with client_of(server) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=0, poll=POLL)

        assert made_polls(server) == 1
        assert str(caught.value).startswith("server 7 did not become active within 0 s: it was ")

    async def test_that_poll_may_be_the_goal(self, server):
        """W14: one poll is enough if it is there."""
        tell(server, "active")

        async with client_of(server) as client:
            seen = await client.servers.wait_until(7, status="active", timeout=0)

        assert (seen.status, made_polls(server)) == ("active", 1)

    async def test_it_has_the_time_of_one_attempt(self, server):
        """W14: it hangs until `attempt_timeout`, and not for ever."""
        tell(server, hang())

        async with client_of(server, attempt_timeout=0.5) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=0)

        assert str(caught.value).startswith(
            "server 7 did not become active within 0 s: it was never seen; the last poll"
        )
        assert made_polls(server) == 1

    async def test_a_pending_command_makes_it_no_success(self, server):
        """W14: the one poll after a reboot shows `active`, which is no proof."""
        accept(server, "reboot")
        tell(server, "active")

        async with client_of(server) as client:
            action = await client.servers.reboot(7)
            with pytest.raises(WaitTimeoutError):
                await action.wait(timeout=0)

        assert made_polls(server) == 1


class TestWallClock:
    @pytest.mark.parametrize("days", [1, -1])
    async def test_a_jump_of_a_day_changes_nothing(self, server, monkeypatch, days):
        """W16: monotonic time only."""
        real, jump = time.time, {"by": 0.0}
        monkeypatch.setattr(time, "time", lambda: real() + jump["by"])

        class Jumping(dt.datetime):
            @classmethod
            def now(cls, tz=None):
                return super().now(tz) + dt.timedelta(seconds=jump["by"])

        monkeypatch.setattr("vpsorg_async._request.attempt.datetime", Jumping)

        def change(shown):
            jump["by"] += days * 86_400

        tell(server, "stopped", "starting", "stopping", json(429, {}, {"Retry-After": "0"}), "migrating", "active")

        async with client_of(server) as client:
            with anyio.fail_after(60):
                seen = await client.servers.wait_until(7, status="active", timeout=5, poll=POLL, on_change=change)

        assert (seen.status, made_polls(server)) == ("active", 6)


class TestBusyAtTheDeadline:
    @pytest.mark.parametrize("busy", [4.5, 5.0, 5.5, 5.9, 20])
    async def test_on_change_that_is_running_then_gives_no_more_time(self, busy):
        """W13: the wait ends within a second of its deadline, also while the last poll hangs."""
        transport = Scripted(lambda _method, _path, number: (0 if number == 1 else 1e6, 200, detail(status="stopped")))
        clock = transport.clock

        async with scripted_client_of(transport) as client:
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(
                    7, status="active", timeout=5, on_change=lambda _: clock.sleep(busy), poll=PollPolicy()
                )

        assert 5 <= clock.now() <= 6

    async def test_a_plain_one_that_blocks_the_loop_until_long_after_it_gets_the_last_poll(self):
        """W13: nothing could be done at the deadline; the goal may have been reached meanwhile."""
        transport = Scripted(lambda _m, _p, number: (0, 200, detail(status="stopped" if number == 1 else "active")))
        clock = transport.clock

        async with scripted_client_of(transport) as client:
            seen = await client.servers.wait_until(
                7, status="active", timeout=5, on_change=lambda server: server.status == "stopped" and clock.advance(30)
            )

        assert (seen.status, clock.now()) == ("active", 30)


async def cancel_natively(wait, ready):
    """Cancel a task as each backend's users do, once *ready* returns."""
    if sniffio.current_async_library() == "asyncio":
        task = asyncio.ensure_future(wait())
        await ready()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await ready()
        group.cancel_scope.cancel()


async def cancel_by_scope(wait, ready):
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await ready()
        group.cancel_scope.cancel()


async def cancel_by_timeout(wait, ready):
    """Let a timeout of the caller's own strike, once *ready* returns."""
    if sniffio.current_async_library() != "asyncio":
        with pytest.raises(TimeoutError), anyio.fail_after(3600) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await ready()
                scope.deadline = anyio.current_time()
        return

    async def strike():
        await ready()
        timeout.reschedule(asyncio.get_running_loop().time())

    striker = None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600) as timeout:
            striker = asyncio.ensure_future(strike())
            await wait()
    await striker


class TestCancel:
    @pytest.mark.parametrize("cancel", [cancel_natively, cancel_by_scope, cancel_by_timeout])
    @pytest.mark.parametrize("where", ["asleep", "polling", "in on_change", "waiting for a turn"])
    async def test_it_ends_at_once_and_leaves_nothing(self, server, cancel, where):
        """W24: cancelled at any await: no task, no connection, no turn is held, and the client works on."""
        changed, asleep = anyio.Event(), anyio.Event()
        told = {"asleep": ["stopped"], "in on_change": ["stopped"]}
        tell(server, *told.get(where, [hang()]), "active")
        server.answer("GET", "/servers/8/", hang())

        async def on_change(shown):
            changed.set()
            await anyio.sleep_forever()

        def on_event(event):
            if event.name == "poll.ended":
                asleep.set()

        async def polling():
            await server.arrived(1, "GET", SEVEN)

        places = {"asleep": asleep.wait, "polling": polling, "in on_change": changed.wait}
        ready = places.get(where, anyio.wait_all_tasks_blocked)

        tasks = asyncio.all_tasks if sniffio.current_async_library() == "asyncio" else set
        before = tasks()
        async with client_of(server, max_connections=1, on_event=on_event) as client:

            async def wait():
                await client.servers.wait_until(
                    7, status="active", poll=SLOW, on_change=on_change if where == "in on_change" else None
                )

            async with anyio.create_task_group() as group:
                if where == "waiting for a turn":
                    group.start_soon(client.servers.get, 8)
                    await server.arrived(1, "GET", "/servers/8/")
                with anyio.fail_after(20):
                    await cancel(wait, ready)
                group.cancel_scope.cancel()
            if where in ("polling", "waiting for a turn"):
                await server.until(lambda: server.connections_open == 0)
            tell(server, "active")
            seen = await client.servers.wait_until(7, status="active")
            assert client._context.lifetime._scopes == set()
            assert tasks() == before

        assert seen.status == "active"

    async def test_a_cancelled_wait_is_told_as_such(self, server):
        """W24: its end is an event like any other."""
        tell(server, "stopped")
        events = []

        async with client_of(server, on_event=events.append) as client:
            with anyio.CancelScope() as scope:
                await client.servers.wait_until(7, status="active", on_change=lambda _: scope.cancel())

        assert events[-1].fields["outcome"] == "cancelled"


class TestClose:
    @pytest.mark.parametrize("where", ["asleep", "polling", "in on_change"])
    async def test_closing_ends_waits_at_once(self, server, where):
        """Wherever a wait is, it ends because the client is closed, and says so."""
        changed = anyio.Event()
        tell(server, hang() if where == "polling" else "stopped")
        caught, events = [], []

        async def on_change(shown):
            changed.set()
            if where == "in on_change":
                await anyio.sleep_forever()

        async def wait():
            with pytest.raises(APIConnectionError) as info:
                await client.servers.wait_until(7, status="active", timeout=None, poll=SLOW, on_change=on_change)
            caught.append(info.value)

        client = client_of(server, on_event=events.append)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                if where == "polling":
                    await server.arrived(1, "GET")
                else:
                    await changed.wait()
                await client.aclose()

        assert [(type(error), str(error)) for error in caught] == [(ClientClosedError, "the client is closed")]
        assert events[-1].fields["outcome"] == "ClientClosedError"

    async def test_a_closed_client_begins_no_wait(self, server):
        """It is refused before anything is sent."""
        client = client_of(server)
        await client.aclose()

        for wait in (client.servers.wait_until(7, status="active"), client.servers.wait_until_deleted(7)):
            with pytest.raises(APIConnectionError, match=r"^the client is closed$"):
                await wait

        assert server.requests == []
