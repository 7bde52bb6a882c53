"""The waits of `client.servers`, a `Server` and an `Action`: every argument reaches the wait, whatever the way."""

from __future__ import annotations

import anyio
import pytest

from tests.rawserver import json
from tests.waits import SEVEN, SkippingClock, accept, shown, skipping_client_of, tell
from vpsorg_async import PollPolicy, WaitFailedError
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

GONE = json(404, {"detail": "Not found."})


async def by_action(client, **knobs):
    """Reboot server 7, and wait by the action."""
    action = await client.servers.reboot(7)
    return await action.wait(**knobs)


async def by_client(client, **knobs):
    """Reboot server 7, and wait by its id."""
    await client.servers.reboot(7)
    return await client.servers.wait_until(7, status="active", **knobs)


async def by_server(client, **knobs):
    """Reboot server 7, and wait by the `Server`."""
    server = await client.servers.get(7)
    await server.reboot()
    return await server.wait_until(status="active", **knobs)


WAYS = pytest.mark.parametrize("wait", [by_action, by_client, by_server])


@WAYS
class TestEveryWayIn:
    async def test_the_grace_is_the_one_that_was_given(self, server, wait):
        """W32: time proves a reboot after 60 s, not after the usual 15 s."""
        accept(server, "reboot")
        tell(server, shown("active", updated_at=None))
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            seen = await wait(client, poll=PollPolicy(grace=60))

        assert seen.status == "active"
        assert 59.5 <= sum(clock.slept) <= 66

    async def test_one_failed_poll_ends_it_if_that_was_asked_for(self, server, wait):
        """W32: failures of 1, where the count alone decides."""
        accept(server, "reboot")
        tell(server, shown("active"), json(500, {}))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitFailedError, match="its polls have failed once"):
                await wait(client, poll=PollPolicy(failures=1, outage=0))

    async def test_no_two_polls_are_closer_than_the_minimum(self, server, wait):
        """W32: polls are 10 s apart."""
        accept(server, "reboot")
        tell(server, shown("active", updated_at=None))
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            await wait(client, poll=PollPolicy(minimum=10, maximum=10, grace=40))

        assert all(seconds > 9.5 for seconds in clock.slept)
        assert 39.5 <= sum(clock.slept) <= 51

    async def test_every_status_is_told(self, server, wait):
        """W32: `on_change` is called with each status, in order."""
        accept(server, "reboot")
        tell(server, "active", "rebooting", "active")
        told = []

        async with skipping_client_of(server, SkippingClock()) as client:
            await wait(client, on_change=lambda seen: told.append(seen.status))

        assert told[-2:] == ["rebooting", "active"]

    async def test_an_on_change_that_cannot_be_called_is_refused(self, server, wait):
        """W32: it is checked in every way in."""
        accept(server, "reboot")
        tell(server, "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(TypeError, match=r"^on_change must be callable with a Server, not 7$"):
                await wait(client, on_change=7)


@pytest.mark.parametrize("detail", [True, False])
async def test_a_list_will_do_without_detail(detail):
    """W32: `detail=False` returns what a list shows, which lacks the IPv6 address."""
    sandbox = Sandbox(servers=60)
    seen = []

    async def reboot_and_wait(server):
        action = await server.reboot()
        seen.append(await action.wait(detail=detail))

    async with sandbox.client() as client, anyio.create_task_group() as group:
        for server in await client.servers.list():
            if server.status == "active":
                group.start_soon(reboot_and_wait, server)

    assert len(seen) > 50
    assert {server.status for server in seen} == {"active"}
    assert all(server.ipv6_address for server in seen) == detail


class TestDeletion:
    @pytest.mark.parametrize("way", ["client", "Server"])
    async def test_its_polls_are_as_far_apart_as_was_asked(self, server, way):
        """W32: `wait_until_deleted` takes a policy of its own."""
        tell(server, "active", "active", GONE)
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            poll = PollPolicy(minimum=10, maximum=10)
            if way == "client":
                await client.servers.wait_until_deleted(7, poll=poll)
            else:
                await (await client.servers.get(7)).wait_until_deleted(poll=poll)

        assert all(seconds > 9.5 for seconds in clock.slept)
        assert len(clock.slept) == (2 if way == "client" else 1)

    async def test_a_policy_of_another_type_is_refused(self, server):
        """W32: before anything is sent."""
        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(TypeError, match=r"^poll must be a PollPolicy, not 5$"):
                await client.servers.wait_until_deleted(7, poll=5)

        assert server.requests_to("GET", SEVEN) == []


@pytest.mark.parametrize("name", ["start", "stop", "reboot"])
async def test_an_action_has_the_name_of_its_command(server, name):
    accept(server, name)

    async with skipping_client_of(server, SkippingClock()) as client:
        action = await getattr(client.servers, name)(7)

    assert action.name == name
