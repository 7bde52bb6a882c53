"""Waits with further conditions: `when` is asked about what a GET shows, and `steady` is not fooled by a flap."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers import detail, listed, page
from tests.rawserver import json
from tests.sharing import Scripted, scripted_client_of, waits_of
from tests.waits import POLL, SEVEN, SkippingClock, accept, client_of, made_polls, shown, skipping_client_of, tell
from vpsorg_async import (
    AuthenticationError,
    PollPolicy,
    ServerGoneError,
    UnexpectedStatusError,
    WaitTimeoutError,
)
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

NO_ADDRESS = shown("active", ip_address=None)


def by_time(server, clock, *story):
    """Let server 7 show what *story* tells: pairs of seconds on *clock* from now on, and what is shown from then on."""
    began = clock.now()

    def answer(_):
        return [reply for at, reply in story if clock.now() - began >= at][-1]

    server.answer("GET", SEVEN, answer)
    return began


def has_address(server):
    return server.ip_address is not None


class TestWhen:
    async def test_it_is_done_when_the_address_has_come(self, server):
        """W34: an address that comes 30 s after `active`."""
        clock = SkippingClock()
        began = by_time(server, clock, (0, shown("provisioning", ip_address=None)), (10, NO_ADDRESS), (40, shown()))

        async with skipping_client_of(server, clock) as client:
            seen = await client.servers.wait_until(7, status="active", when=has_address)

        assert (seen.status, seen.ip_address) == ("active", "192.0.2.7")
        assert 39 <= clock.now() - began <= 46

    @pytest.mark.parametrize("way", ["action", "Server"])
    async def test_it_reaches_the_wait_by_every_way_in(self, server, way):
        """W34: also of an `Action` and a `Server`."""
        accept(server, "reboot")
        tell(server, "active", "rebooting", NO_ADDRESS, NO_ADDRESS, "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            one = await client.servers.get(7)
            action = await one.reboot()
            if way == "action":
                seen = await action.wait(when=has_address)
            else:
                seen = await one.wait_until(status="active", when=has_address)

        assert (seen.ip_address, made_polls(server)) == ("192.0.2.7", 5)

    async def test_it_is_not_asked_while_the_status_is_another(self, server):
        """W34: about servers at the goal only, once for each poll."""
        tell(server, "starting", NO_ADDRESS, "starting", "active")
        asked = []

        async with client_of(server) as client:
            await client.servers.wait_until(
                7, status="active", poll=POLL, when=lambda seen: asked.append(seen.ip_address) or has_address(seen)
            )

        assert asked == [None, "192.0.2.7"]

    @pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside others"])
    async def test_it_is_asked_about_what_a_get_shows(self, alone):
        """W34: a list lacks the IPv6 address."""
        sandbox = Sandbox(servers=40)
        asked, seen = [], []

        def when(one):
            asked.append(one)
            return bool(one.ipv6_address)

        async def wait_for(client, key):
            seen.append(await client.servers.wait_until(key, status="active", when=when))

        async with sandbox.client() as client, anyio.create_task_group() as group:
            active = await client.servers.list(status="active")
            for one in active[: 1 if alone else 30]:
                group.start_soon(wait_for, client, one)

        assert len(seen) == (1 if alone else 30)
        assert seen == asked
        assert all(one.ipv6_address for one in asked)

    async def test_what_it_raises_ends_its_wait_and_no_other(self):
        """W34: with that error, as itself."""
        error = LookupError("no such rack")

        def when(_):
            raise error

        client = Sandbox(servers=2).client()
        async with waits_of(client, timeout=60) as waits:
            keys = [one.id for one in await client.servers.list(status="active")]
            waits.begin(keys[0], name="raises", when=when)
            waits.begin(keys[0], name="other", when=lambda one: bool(one.ipv6_address))
            await waits.have_ended("raises", "other")

        assert waits.ended["raises"] is error
        assert waits.ends["other"] == "active"

    async def test_one_that_returns_an_awaitable_is_refused(self, server):
        """W34: it would be true of everything."""

        async def later(_):
            return False

        tell(server, "active")

        async with client_of(server) as client:
            with pytest.raises(TypeError, match="when must be a plain function"):
                await client.servers.wait_until(7, status="active", when=lambda _: later(7))

    async def test_the_timeout_error_says_that_the_status_was_there(self, server):
        """W34: and that the condition was not."""
        tell(server, NO_ADDRESS)

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=30, when=has_address)

        assert str(caught.value) == (
            "server 7 did not become active within 30 s: it was last seen active, for 30 s; "
            "it got there, but `when` was not true of it"
        )

    @pytest.mark.parametrize(("address", "polls"), [(None, 1), ("192.0.2.7", 1)])
    async def test_no_time_is_one_poll(self, server, address, polls):
        """W34: `timeout=0` asks once."""
        tell(server, shown("active", ip_address=address))

        async with client_of(server) as client:
            if address is None:
                with pytest.raises(WaitTimeoutError):
                    await client.servers.wait_until(7, status="active", timeout=0, when=has_address)
            else:
                await client.servers.wait_until(7, status="active", timeout=0, when=has_address)

        assert made_polls(server) == polls

    async def test_a_server_that_goes_meanwhile_is_gone(self, server):
        """W34: what ends a wait ends it while `when` is not true, too."""
        tell(server, NO_ADDRESS, NO_ADDRESS, json(404, {"detail": "Not found."}))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(ServerGoneError):
                await client.servers.wait_until(7, status="active", when=has_address)

    async def test_a_refused_token_ends_it(self, server):
        """W34: at once."""
        tell(server, NO_ADDRESS, json(401, {"detail": "Invalid token."}))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(AuthenticationError):
                await client.servers.wait_until(7, status="active", when=has_address)

    async def test_many_of_them_keep_to_the_ration(self):
        """W34: 300 waits ask for no more than 20 servers a second each second, beside the lists."""
        sandbox = Sandbox(servers=400)

        async def wait_for(client, key):
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(key, status="active", timeout=60, when=lambda _: False)

        async with sandbox.client() as client:
            active = await client.servers.list(status="active")
            began, before = sandbox._clock.now(), len(sandbox.calls)
            async with anyio.create_task_group() as group:
                for one in active[:300]:
                    group.start_soon(wait_for, client, one)
            gets = [call.at - began for call in sandbox.calls[before:] if call.path != "/servers/"]

        # The last poll of each wait is at its deadline.
        assert max(sum(at <= one < at + 1 for one in gets) for at in range(59)) <= 25

    async def test_it_keeps_to_its_polls_beside_a_list_each_second(self):
        """W34: lists of others do not make it ask more often than its policy says."""

        def answer(method, path, _):
            if path == "/servers/7/":
                return 0.01, 200, detail(7, ip_address=None)
            return 0.01, 200, page(listed(7, ip_address=None))

        transport = Scripted(answer)
        client = scripted_client_of(transport)

        async with client, anyio.create_task_group() as group:

            async def watch():
                async for _ in client.servers.watch(interval=1.0):
                    pass

            group.start_soon(watch)
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(
                    7, status="active", timeout=60, when=has_address, poll=PollPolicy(minimum=10, maximum=10)
                )
            group.cancel_scope.cancel()

        assert transport.asked.count(("GET", "/servers/7/")) <= 10


class TestSteady:
    async def test_it_is_done_when_the_goal_has_held(self, server):
        """W33: a goal that flaps every 3 s, then holds; `steady=5`."""
        clock = SkippingClock()
        flaps = [(3 * n, shown("active" if n % 2 else "starting")) for n in range(9)]
        began = by_time(server, clock, *flaps, (27, shown("active")))

        async with skipping_client_of(server, clock) as client:
            seen = await client.servers.wait_until(7, status="active", steady=5)

        assert seen.status == "active"
        assert 32 <= clock.now() - began <= 38

    @pytest.mark.parametrize("detailed", [True, False])
    async def test_a_goal_that_holds_from_the_first_takes_so_long(self, server, detailed):
        """W33: no less, and little more."""
        tell(server, "active")
        clock = SkippingClock()
        began = clock.now()

        async with skipping_client_of(server, clock) as client:
            await client.servers.wait_until(7, status="active", steady=20, detail=detailed)

        assert 20 <= clock.now() - began <= 21
        assert 5 <= made_polls(server) <= 20

    async def test_when_must_hold_as_long(self, server):
        """W33: an address that goes again begins it anew."""
        clock = SkippingClock()
        began = by_time(server, clock, (0, shown()), (4, NO_ADDRESS), (6, shown()))

        async with skipping_client_of(server, clock) as client:
            await client.servers.wait_until(7, status="active", steady=5, when=has_address)

        assert 11 <= clock.now() - began <= 13

    async def test_a_failed_poll_shows_nothing(self, server):
        """W33: neither that it holds nor that it does not."""
        clock = SkippingClock()
        began = by_time(server, clock, (0, shown()), (2, json(500, {})), (3, shown()))

        async with skipping_client_of(server, clock) as client:
            await client.servers.wait_until(7, status="active", steady=5)

        assert 5 <= clock.now() - began <= 6

    @pytest.mark.parametrize("timeout", [0, 3])
    async def test_at_the_deadline_the_error_says_what_is_missing(self, server, timeout):
        """W33: with too little time it cannot hold for so long."""
        tell(server, "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=timeout, steady=5)

        assert str(caught.value) == (
            f"server 7 did not become active within {timeout} s: it was last seen active, for {timeout} s; "
            f"it had held for {timeout} s, and steady=5 asks for more"
        )
        assert made_polls(server) == (1 if timeout == 0 else 4)

    async def test_many_are_steady_beside_one_another(self):
        """W33: with lists as with GETs."""
        sandbox = Sandbox(servers=60)
        ended = []

        async def wait_for(client, key):
            seen = await client.servers.wait_until(key, status="active", steady=30)
            ended.append((seen.ipv6_address is not None, sandbox._clock.now()))

        async with sandbox.client() as client:
            active = await client.servers.list(status="active")
            began = sandbox._clock.now()
            async with anyio.create_task_group() as group:
                for one in active[:40]:
                    group.start_soon(wait_for, client, one)

        assert len(ended) == 40
        assert all(complete and 30 <= at - began <= 45 for complete, at in ended)

    async def test_what_fails_a_wait_fails_it_meanwhile(self, server):
        """W33: a server that was suspended does not become steady."""
        tell(server, "active", "suspended")

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(UnexpectedStatusError):
                await client.servers.wait_until(7, status="active", steady=10)

    async def test_it_reaches_the_wait_of_an_action(self, server):
        """W33: after a reboot it must stay up."""
        accept(server, "reboot")
        clock = SkippingClock()
        by_time(
            server, clock, (0, shown()), (4, shown("rebooting")), (20, shown()), (24, shown("rebooting")), (30, shown())
        )
        began = clock.now()

        async with skipping_client_of(server, clock) as client:
            action = await client.servers.reboot(7)
            await action.wait(steady=8)

        assert 38 <= clock.now() - began <= 44
