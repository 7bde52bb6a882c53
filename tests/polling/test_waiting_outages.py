"""Waits while the API is gone: for a while they wait on; for good they end, and say why."""

from __future__ import annotations

import anyio
import pytest

from tests.rawserver import json
from tests.waits import SkippingClock, made_polls, shown, skipping_client_of, tell
from vpsorg_async import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    PollPolicy,
    ServerError,
    ServerSpec,
    VPSError,
    WaitError,
    WaitFailedError,
)
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio

# Only polls fail, so that each command gets through.
POLLS = {"method": "GET"}
GONE_BY = {
    "502": (Fault.status(502, **POLLS), ServerError),
    "dropped": (Fault.drop(**POLLS), APIConnectionError),
    "never answers": (Fault.hang(**POLLS), APITimeoutError),
}
each_way_to_be_gone = pytest.mark.parametrize("gone", GONE_BY)


async def wait_until(client, key):
    await client.servers.stop(key)
    return await client.servers.wait_until(key, status="stopped")


async def action_wait(client, key):
    return await (await client.servers.reboot(key)).wait()


async def wait_until_deleted(client, key):
    await client.servers.delete(key)
    await client.servers.wait_until_deleted(key)


def fleet(name, *, created=False, **options):
    async def run(client, key):
        spec = ServerSpec(name="web-01", plan_id=1, os_id=5, location="us-west")
        make = client.fleet.create([spec], **options) if created else getattr(client.fleet([key]), name)(**options)
        [outcome] = await make
        if outcome.error is not None:
            raise outcome.error
        return outcome.server

    return run


WAYS = {
    "wait_until": wait_until,
    "Action.wait": action_wait,
    "wait_until_deleted": wait_until_deleted,
    "fleet.stop": fleet("stop"),
    "fleet.reboot": fleet("reboot"),
    "fleet.delete": fleet("delete"),
    "fleet.create": fleet("create", created=True),
    "fleet.wait_until": fleet("wait_until", status="active"),
}


async def run(way, fault, seconds=None):
    """Run *way* while polls fail for so many seconds from the begin. Return the sandbox, and the error or `None`."""
    sandbox = Sandbox(servers=1)
    added = sandbox.faults.inject(fault)

    async def come_back():
        if seconds is not None:
            await sandbox._clock.sleep(seconds)
            sandbox.faults.clear()

    with added:
        async with sandbox.client() as client, anyio.create_task_group() as group:
            group.start_soon(come_back)
            try:
                await WAYS[way](client, sandbox.servers[0]["id"])
            except WaitError as error:
                return sandbox, error
    return sandbox, None


def polled_at(sandbox):
    return [entry.at for entry in sandbox.faults.log]


class TestOutages:
    @pytest.mark.parametrize("seconds", [6, 45])
    @each_way_to_be_gone
    @pytest.mark.parametrize("way", WAYS)
    async def test_one_that_passes_ends_no_wait(self, way, gone, seconds):
        """W31: a deploy of 6 s, or an outage of 45 s, is ridden out, whatever waits."""
        sandbox, error = await run(way, GONE_BY[gone][0], seconds)

        assert error is None
        assert seconds <= sandbox._clock.now() <= seconds + 400

    @each_way_to_be_gone
    @pytest.mark.parametrize("way", WAYS)
    async def test_one_that_lasts_ends_it_after_a_minute(self, way, gone):
        """W31: with what it has seen, and the last failure as the cause."""
        fault, kind = GONE_BY[gone]

        sandbox, error = await run(way, fault)

        assert type(error) is WaitFailedError
        assert type(error.__cause__) is kind
        assert (error.server, error.history) == (None, ())
        assert 60 <= sandbox._clock.now() <= 60 + 15 + 10

    async def test_what_was_seen_before_it_is_in_the_error(self):
        """W31: the server and the statuses, in the error and in its words."""
        sandbox = Sandbox(servers=1)
        key = sandbox.servers[0]["id"]

        async with sandbox.client() as client, anyio.create_task_group() as group:

            async def wait():
                with pytest.raises(WaitFailedError) as caught:
                    await client.servers.wait_until(key, status="stopped")
                errors.append(caught.value)

            errors = []
            group.start_soon(wait)
            await sandbox._clock.sleep(2.5)
            sandbox.faults.add(Fault.status(502))

        [error] = errors
        assert error.server.status == "active"
        assert [seen.status for seen in error.history] == ["active"]
        assert "its polls have failed 8 times in a row within 60 s: it was last seen active, for " in str(error)
        assert "the last poll failed: GET /servers/" in str(error)
        assert "wait again when the API responds" in str(error)

    async def test_polls_are_further_and_further_apart(self, server):
        """W31: 1, 2, 4, 8, then 15 s."""
        tell(server, json(502, {}))
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            with pytest.raises(WaitFailedError):
                await client.servers.wait_until(7, status="active")

        assert [round(seconds) for seconds in clock.slept if seconds > 0.5] == [1, 2, 4, 8, 15, 15, 15]
        assert made_polls(server) == 8

    async def test_longer_intervals_of_the_user_stand(self, server):
        """W31: a retry comes no sooner than the policy's own interval."""
        tell(server, json(502, {}))
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            with pytest.raises(WaitFailedError):
                await client.servers.wait_until(7, status="active", poll=PollPolicy(minimum=12, maximum=40))

        assert [round(seconds) for seconds in clock.slept if seconds > 0.5] == [12, 12, 12, 12, 15]

    @pytest.mark.parametrize(
        ("policy", "polls"),
        [
            (PollPolicy(outage=0), 5),
            (PollPolicy(outage=0, failures=1), 1),
            (PollPolicy(outage=10, failures=1), 5),
            (PollPolicy(outage=10, failures=7), 7),
            (PollPolicy(outage=200), 18),
        ],
        ids=repr,
    )
    async def test_both_the_count_and_the_time_can_be_set(self, server, policy, polls):
        """W31: `outage=0` is by the count alone."""
        tell(server, json(502, {}))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitFailedError):
                await client.servers.wait_until(7, status="active", poll=policy)

        assert made_polls(server) == polls

    async def test_without_failures_it_never_ends_by_them(self, server):
        """W31: `failures=None` waits on until the API is back."""
        tell(server, *[json(502, {})] * 100, shown("active"))

        async with skipping_client_of(server, SkippingClock()) as client:
            seen = await client.servers.wait_until(
                7, status="active", timeout=None, poll=PollPolicy(failures=None, outage=0)
            )

        assert (seen.status, made_polls(server)) == ("active", 101)


@pytest.mark.parametrize("ids", [None, [12345]], ids=["all", "one"])
class TestWatches:
    async def told_over(self, ids, seconds, **options):
        """Return when a watch has raised during an outage of so many seconds, or `None`."""
        sandbox = Sandbox(servers=1)
        clock = sandbox._clock

        async with sandbox.client() as client:
            watch = client.servers.watch(ids, **options)
            await anext(watch)
            began = clock.now()
            with sandbox.faults.inject(Fault.status(502)), clock.move_on_after(seconds):
                try:
                    await anext(watch)
                except ServerError:
                    return clock.now() - began
            await client.servers.stop(12345)
            assert (await anext(watch)).after.status == "stopping"
        return None

    @pytest.mark.parametrize(
        ("seconds", "options"),
        [(6, {}), (55, {}), (150, {"outage": 200}), (1000, {"failures": None}), (20, {"failures": 5, "outage": 0})],
    )
    async def test_an_outage_that_passes_ends_none(self, ids, seconds, options):
        """W31: and it tells what has changed meanwhile."""
        assert await self.told_over(ids, seconds, **options) is None

    @pytest.mark.parametrize(
        ("options", "least", "most"),
        [({}, 60, 80), ({"outage": 0}, 20, 45), ({"outage": 0, "failures": 1}, 0, 5), ({"outage": 100}, 100, 120)],
    )
    async def test_one_that_lasts_raises_its_last_failure(self, ids, options, least, most):
        """W31: after the time and the number of failed polls that were given."""
        assert least <= await self.told_over(ids, 1000, **options) <= most


class TestTokenCallables:
    @pytest.mark.parametrize("count", [1, 30])
    @pytest.mark.parametrize("fails", [1, 3])
    async def test_one_that_fails_for_a_while_is_a_failed_poll(self, fails, count):
        """W47: no wait ends by it, whether its server is asked for alone or with the others in a list."""
        sandbox = Sandbox(servers=count)
        asked, ended = iter(range(fails)), []

        def token():
            if next(asked, None) is not None:
                raise RuntimeError("the vault is sealed")
            return "vps_sandbox"

        async def wait(key):
            ended.append(await client.servers.wait_until(key, status=["active", "stopped"]))

        async with sandbox.client(token=token) as client, anyio.create_task_group() as group:
            for server in sandbox.servers:
                group.start_soon(wait, server["id"])

        assert len(ended) == count

    async def test_one_that_fails_for_good_ends_it_as_an_outage(self):
        """W47: with the error of the callable as the cause."""
        sandbox = Sandbox(servers=1)

        def token():
            raise RuntimeError("the vault is sealed")

        async with sandbox.client(token=token) as client:
            with pytest.raises(WaitFailedError) as caught:
                await client.servers.wait_until(12345, status="stopped")

        assert isinstance(caught.value.__cause__, ConfigurationError)
        assert 60 <= sandbox._clock.now() <= 75


class Refusing:
    """A sandbox whose second token is valid, and a callable that gives tokens in turn, the last one for ever."""

    def __init__(self, *tokens, count=1):
        self.sandbox = Sandbox(token="vps_new_token", servers=count)
        self.tokens, self.given = tokens, 0

    def __call__(self):
        token = self.tokens[min(self.given, len(self.tokens) - 1)]
        self.given += 1
        if isinstance(token, Exception):
            raise token
        return token

    @property
    def statuses(self):
        return [call.status for call in self.sandbox.calls]


@pytest.mark.parametrize("count", [1, 30])
class TestRefusedTokens:
    async def ends_of(self, api, token):
        ends = []

        async def wait(key):
            try:
                ends.append(await client.servers.wait_until(key, status=["active", "stopped"], detail=False))
            except VPSError as error:
                ends.append(error)

        async with api.sandbox.client(token=token) as client, anyio.create_task_group() as group:
            for server in api.sandbox.servers:
                group.start_soon(wait, server["id"])
        return {type(end).__name__ for end in ends}

    async def test_another_token_is_tried(self, count):
        """W36: and the waits go on with it."""
        api = Refusing("vps_old_token", "vps_new_token", count=count)

        assert await self.ends_of(api, api) == {"Server"}
        assert api.statuses.count(401) == 1

    @pytest.mark.parametrize("second", ["vps_old_token", "vps_other_token"])
    async def test_the_same_token_or_a_second_401_ends_them(self, count, second):
        """W36: at once."""
        api = Refusing("vps_old_token", second, count=count)

        assert await self.ends_of(api, api) == {"AuthenticationError"}
        assert set(api.statuses) == {401}
        assert api.sandbox._clock.now() < 1

    async def test_a_plain_string_ends_them(self, count):
        """W36: it cannot have changed."""
        api = Refusing(count=count)

        assert await self.ends_of(api, "vps_old_token") == {"AuthenticationError"}

    async def test_a_callable_that_raises_then_is_a_failed_poll(self, count):
        """W36: the next poll has a token again."""
        api = Refusing("vps_old_token", OSError("sealed"), "vps_new_token", count=count)

        assert await self.ends_of(api, api) == {"Server"}

    async def test_a_watch_tries_another_token(self, count):
        """W36: it goes on with it, and ends when that is refused as well."""
        api = Refusing("vps_old_token", "vps_new_token", count=count)
        refused = Refusing("vps_old_token", "vps_other_token", count=count)

        async with api.sandbox.client(token=api) as client:
            changes = [change async for change in _first(client.servers.watch(), count)]
        async with refused.sandbox.client(token=refused) as client:
            with pytest.raises(AuthenticationError):
                await anext(client.servers.watch())

        assert len(changes) == count


async def _first(watch, count):
    for _ in range(count):
        yield await anext(watch)
