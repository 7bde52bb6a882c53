"""`watch()`: what is a change and what is none, what ends an iteration, and what it costs."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re

import anyio
import anyio.lowlevel
import pytest
import sniffio

from tests.helpers import detail, listed, page
from tests.helpers_api import FakeAPI, client_of
from tests.rawserver import drop, hang, hold, json
from tests.sharing import path_of, spoiled_client_of
from tests.waits import SkippingClock, skipping_client_of
from vpsorg_async import (
    APIConnectionError,
    AuthenticationError,
    PermissionDeniedError,
    PollPolicy,
    Server,
    ServerError,
)
from vpsorg_async._models import bound_to
from vpsorg_async._polling.watching import checked_interval
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio
LIST = "/servers/"
SEVEN = "/servers/7/"
ONE = re.compile(r"/servers/\d+/")
GONE = json(404, {"detail": "Not found."})
QUICK = 0.005


@pytest.fixture
def api(server):
    """Three running servers."""
    api = FakeAPI(server)
    api.add(3, status="active")
    return api


def asked(server):
    """Return how many lists and how many GETs of one server have been asked for."""
    return len(server.requests_to("GET", LIST)), len(server.requests_to("GET", ONE))


async def take(watch, count):
    """Return the next changes, which have to come within a minute."""
    with anyio.fail_after(60):
        return [await anext(watch) for _ in range(count)]


def words(changes):
    """Return each change as the server's id and its statuses before and after."""
    return [
        ((change.after or change.before).id, *(one and str(one.status) for one in (change.before, change.after)))
        for change in changes
    ]


class TestFirstRound:
    async def test_it_tells_of_every_server_as_appeared(self, server, api):
        """In the API's order, with what the list shows."""
        async with client_of(server) as client:
            changes = await take(client.servers.watch(interval=QUICK), 3)

        assert words(changes) == [(1, None, "active"), (2, None, "active"), (3, None, "active")]
        assert [change.after.to_dict() for change in changes] == list(api.servers.values())
        assert asked(server) == (1, 0)

    async def test_it_tells_of_those_given_only(self, server, api):
        """By id, as a number or as text, or by the server itself; one given twice is one."""
        async with client_of(server) as client:
            second = await client.servers.get(2)
            watch = client.servers.watch(["1", second, 1], interval=QUICK)
            first = await take(watch, 2)
            api.servers[3]["status"] = api.servers[1]["status"] = "stopped"
            second = await take(watch, 1)

        assert sorted(words(first)) == [(1, None, "active"), (2, None, "active")]
        assert words(second) == [(1, "active", "stopped")]

    async def test_it_tells_of_all_those_given_that_are_polled_one_by_one(self, server, api):
        """The response to the first GET does not put the others off until the next round."""
        limiter = server.gate()
        server.answer("GET", "/servers/3/", [hold(json(200, api.servers[3]), limiter), json(200, api.servers[3])])

        async with client_of(server) as client:
            watch = client.servers.watch([1, 2, 3], interval=60)
            changes = await take(watch, 2)
            limiter.open()
            changes += await take(watch, 1)

        assert sorted(words(changes)) == [(1, None, "active"), (2, None, "active"), (3, None, "active")]

    @pytest.mark.parametrize("size_is_known", [True, False], ids=["by a list", "by GETs"])
    async def test_an_id_that_was_never_there_gives_nothing(self, server, api, size_is_known):
        """It is not gone, as it was never seen."""
        changes = []

        async def watch(client):
            async for change in client.servers.watch([1, 99], interval=QUICK):
                changes.append(change)

        async with client_of(server) as client, anyio.create_task_group() as group:
            if size_is_known:
                await client.servers.list()
            group.start_soon(watch, client)
            await server.arrived(3, "GET", "/servers/99/")
            api.servers[1]["status"] = "stopped"
            await server.arrived(6, "GET", "/servers/99/")
            group.cancel_scope.cancel()

        assert words(changes) == [(1, None, "active"), (1, "active", "stopped")]

    async def test_an_account_without_servers_gives_nothing_until_there_is_one(self, server):
        """The poll is made again and again."""
        api = FakeAPI(server)

        async def add():
            await server.arrived(3, "GET", LIST)
            api.add(1, status="provisioning")

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(add)
            changes = await take(client.servers.watch(interval=QUICK), 1)

        assert words(changes) == [(1, None, "provisioning")]


class TestChanges:
    @pytest.mark.parametrize(
        "change",
        [
            {"status": "stopped"},
            {"status": "migrating"},
            {"name": "web-99"},
            {"hostname": None},
            {"ip_address": "192.0.2.99"},
            {"backups_enabled": False},
            {"plan": {"id": 2, "name": "Large VPS", "vcpus": 4, "memory": 8192, "storage": 160, "bandwidth": 4096}},
            {"plan": {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4097, "storage": 80, "bandwidth": 2048}},
            {"os": None},
            {"tags": ["new"]},
        ],
        ids=repr,
    )
    async def test_a_field_that_differs_is_one(self, server, change):
        """Also one of the plan, one that is null, and one that nobody documented."""
        server.answer("GET", SEVEN, [json(200, detail(tags=[])), json(200, detail(**{"tags": [], **change}))])

        async with client_of(server) as client:
            changes = await take(client.servers.watch([7], interval=QUICK), 2)

        assert changes[0].before is None
        assert changes[1].before == changes[0].after
        assert changes[1].after.to_dict() == detail(**{"tags": [], **change})

    @pytest.mark.parametrize(
        "noise",
        [
            {"resource_usage": {"cpu_percent": 99.0, "memory_used": 1, "disk_used": 2, "bandwidth_used": 3}},
            {"resource_usage": None},
            {"updated_at": "2025-10-15T12:00:00Z"},
            {"message": "Server is being provisioned."},
        ],
        ids=repr,
    )
    async def test_what_differs_all_the_time_is_none(self, server, noise):
        """`resource_usage`, `updated_at` and `message`."""
        quiet, loud = detail(), detail(**noise)
        later = {"updated_at": "2025-10-15T13:00:00Z", "name": "web-99"}
        server.answer("GET", SEVEN, [json(200, one) for one in (quiet, loud, {**loud, **later})])

        async with client_of(server) as client:
            changes = await take(client.servers.watch([7], interval=QUICK), 2)

        assert [(change.before and change.before.name, change.after.name) for change in changes] == [
            (None, "web-01"),
            ("web-01", "web-99"),
        ]
        assert asked(server)[1] == 3

    async def test_what_only_one_of_two_readings_gives_is_none(self, server):
        """A list lacks `ipv6_address` and the like, and a GET has them."""
        shown = [listed(7)], [listed(7)], [listed(7, name="web-99")]
        server.answer("GET", LIST, [json(200, page(*one)) for one in shown])
        server.answer("GET", SEVEN, json(200, detail()))

        async with client_of(server) as client:
            watch = client.servers.watch(interval=QUICK)
            first = await take(watch, 1)
            await client.servers.wait_until(7, status="active")
            second = await take(watch, 1)

        assert [change.before and change.before.name for change in first + second] == [None, "web-01"]
        assert (second[0].after.name, asked(server)[1]) == ("web-99", 1)

    async def test_a_field_that_a_list_lacks_is_compared_with_the_last_that_gave_it(self, server, api):
        """A GET, a list, and a GET with another address: that is a change."""
        replies = [json(200, detail()), json(200, detail(ipv6_address="2001:db8::8"))]
        server.answer("GET", LIST, json(200, page(listed(7))))
        server.answer("GET", SEVEN, replies)

        async with client_of(server) as client:
            watch = client.servers.watch([7], interval=30)
            first = await take(watch, 1)
            for keys in ([7, 8], [7]):
                # Somebody else's poll: a list for two, a GET for one.
                other = client.servers.watch() if len(keys) > 1 else client.servers.watch(keys)
                await take(other, 1)
            second = await take(watch, 1)

        (change,) = second
        assert (first[0].before, change.before.ipv6_address) == (None, "2001:db8::7")
        assert change.after.ipv6_address == "2001:db8::8"

    async def test_there_and_back_between_two_takings_is_none(self, server):
        """What was told last is what is compared with."""
        states = ["active", "stopped", "active"]
        server.answer("GET", SEVEN, [json(200, detail(status=one)) for one in states] + [json(200, detail(name="new"))])

        async with client_of(server) as client:
            watch = client.servers.watch([7], interval=30)
            first = await take(watch, 1)
            for _ in range(3):
                # Each makes a poll of its own, which the other hears.
                await take(client.servers.watch([7], interval=30), 1)
            second = await take(watch, 1)

        assert words(first) == [(7, None, "active")]
        assert [(change.before.name, change.after.name) for change in second] == [("web-01", "new")]

    async def test_a_server_made_meanwhile_has_appeared(self, server, api):
        """Whoever made it."""
        async with client_of(server) as client:
            watch = client.servers.watch(interval=QUICK)
            await take(watch, 3)
            api.add(1, status="provisioning")
            changes = await take(watch, 1)

        assert words(changes) == [(4, None, "provisioning")]


class TestGone:
    async def test_one_that_a_list_leaves_out_is_not_gone(self, server, api):
        """A GET says that it is there."""
        shown = [page(listed(1), listed(2)), page(listed(1)), page(listed(1), listed(2, status="stopped"))]
        server.answer("GET", LIST, [json(200, one) for one in shown])
        server.answer("GET", "/servers/2/", json(200, listed(2)))

        async with client_of(server) as client:
            changes = await take(client.servers.watch(interval=QUICK), 3)

        assert words(changes) == [(1, None, "active"), (2, None, "active"), (2, "active", "stopped")]
        assert asked(server)[1] == 1

    async def test_one_that_a_get_does_not_know_is_gone(self, server, api):
        """Told with what it was last."""
        async with client_of(server) as client:
            watch = client.servers.watch(interval=QUICK)
            await take(watch, 3)
            del api.servers[2]
            changes = await take(watch, 1)
            api.servers[1]["status"] = "stopped"
            changes += await take(watch, 1)

        assert words(changes) == [(2, "active", None), (1, "active", "stopped")]
        assert len(server.requests_to("GET", "/servers/2/")) == 1

    async def test_one_of_those_given_that_is_gone(self, server, api):
        """The same; it is asked for on, and appears again."""
        async with client_of(server) as client:
            watch = client.servers.watch([2], interval=QUICK)
            await take(watch, 1)
            was = api.servers.pop(2)
            changes = await take(watch, 1)
            api.servers[2] = was
            changes += await take(watch, 1)

        assert words(changes) == [(2, "active", None), (2, None, "active")]

    async def test_one_that_a_lagging_list_shows_again_is_asked_for(self, server, api):
        """It stays gone while a GET says so, and is there again when one does."""
        full, short = page(listed(1), listed(2)), page(listed(1))
        server.answer("GET", LIST, [json(200, one) for one in (full, short, full, full, full)])
        server.answer("GET", "/servers/2/", [GONE, GONE, json(200, listed(2, status="stopped"))])

        async with client_of(server) as client:
            changes = await take(client.servers.watch(interval=QUICK), 4)

        assert words(changes)[2:] == [(2, "active", None), (2, None, "stopped")]

    async def test_a_get_that_fails_leaves_it_undecided(self, server, api):
        """The next list is asked anew, and so is the GET."""
        server.answer("GET", LIST, [json(200, page(listed(1), listed(2))), json(200, page(listed(1)))])
        server.answer("GET", "/servers/2/", [*[json(500, {})] * 7, GONE])

        async with client_of(server) as client:
            changes = await take(client.servers.watch(interval=QUICK), 3)

        assert words(changes)[2:] == [(2, "active", None)]
        assert len(server.requests_to("GET", "/servers/2/")) == 8


class TestFailures:
    @pytest.mark.parametrize("path", [LIST, SEVEN], ids=["list", "get"])
    async def test_five_failed_polls_in_a_row_raise_and_iterating_may_go_on(self, server, path):
        """The last one's error, where the count alone decides; the count begins anew."""
        good = json(200, page(listed(7)) if path == LIST else detail())
        broken = [json(500, {}), drop(), json(502, {}), drop(reset=True), json(503, {"detail": "the fifth"})]
        server.answer("GET", path, [*broken, *broken[:4], good])

        async with skipping_client_of(server, SkippingClock()) as client:
            watch = client.servers.watch(None if path == LIST else [7], interval=QUICK, outage=0)
            with pytest.raises(ServerError, match="the fifth") as caught:
                await take(watch, 1)
            failed = sum(asked(server))
            changes = await take(watch, 1)

        assert (caught.value.status_code, failed) == (503, 5)
        assert words(changes) == [(7, None, "active")]
        assert sum(asked(server)) == 10

    @pytest.mark.parametrize("ids", [None, [12345]], ids=["all", "one"])
    async def test_it_does_not_lose_its_patience_with_that_of_a_wait(self, ids):
        """Each counts the polls that it wanted itself: of those of a wait beside it, a watch counts none."""
        sandbox = Sandbox(servers=1)
        quick = PollPolicy(minimum=0.1, maximum=0.1, failures=None)

        async with sandbox.client() as client, anyio.create_task_group() as tasks:
            watch = client.servers.watch(ids, interval=10, failures=3, outage=0)
            assert words(await take(watch, 1)) == [(12345, None, "active")]
            with sandbox.faults.inject(Fault.status(500)):
                tasks.start_soon(lambda: client.servers.wait_until(12345, status="stopped", poll=quick))
                with sandbox._clock.move_on_after(16):
                    await anext(watch)
            await client.servers.stop(12345)
            changes = await take(watch, 2)

        assert words(changes) == [(12345, "active", "stopping"), (12345, "stopping", "stopped")]
        assert len(sandbox.faults.log) > 4

    @pytest.mark.parametrize("path", [LIST, SEVEN], ids=["list", "get"])
    async def test_a_good_poll_between_them_resets_the_count(self, server, path):
        """Four, a good one and four are not five in a row."""
        broken = [json(500, {})] * 4
        seen = [json(200, page(one) if path == LIST else one) for one in (detail(), detail(status="stopped"))]
        server.answer("GET", path, [*broken, seen[0], *broken, seen[0], *broken, seen[1]])

        async with skipping_client_of(server, SkippingClock()) as client:
            changes = await take(client.servers.watch(None if path == LIST else [7], interval=QUICK, outage=0), 2)

        assert words(changes) == [(7, None, "active"), (7, "active", "stopped")]

    async def test_a_wait_for_the_same_server_does_not_count_a_failed_poll_twice(self):
        """Four failed GETs in a row are four for the watch, which hears of each once."""
        sandbox = Sandbox(servers=1)
        # Its own first poll is a GET; then it is served by those of the watch, and never due alone.
        seldom = PollPolicy(minimum=60, maximum=60)

        async with sandbox.client() as client, anyio.create_task_group() as group:
            watch = client.servers.watch([12345], interval=1, outage=0)
            changes = await take(watch, 1)
            group.start_soon(lambda: client.servers.wait_until(12345, status="stopped", poll=seldom))
            await sandbox._clock.sleep(0.5)
            with sandbox.faults.inject(Fault.status(500, times=4, method="GET")):
                await client.servers.stop(12345)
                changes += await take(watch, 1)
            assert len(sandbox.faults.log) == 4
            group.cancel_scope.cancel()

        assert words(changes)[-1][:2] == (12345, "active")

    @pytest.mark.parametrize("path", [LIST, SEVEN], ids=["list", "get"])
    async def test_being_asked_to_wait_is_no_failure(self, server, path):
        """A 429, or 503 with Retry-After, only moves the next poll."""
        limited = [json(status, {}, {"Retry-After": "2"}) for status in (429, 503) for _ in range(4)]
        server.answer("GET", path, [*limited, json(200, page(listed(7)) if path == LIST else detail())])
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            changes = await take(client.servers.watch(None if path == LIST else [7], interval=QUICK), 1)

        assert words(changes) == [(7, None, "active")]
        assert sum(clock.slept) >= 15
        assert sum(asked(server)) == 9

    @pytest.mark.parametrize("path", [LIST, SEVEN], ids=["list", "get"])
    @pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError)])
    async def test_a_refused_token_raises_at_once(self, server, path, status, kind):
        """No poll will do better."""
        server.answer("GET", path, json(status, {"detail": "no"}))

        async with client_of(server) as client:
            watch = client.servers.watch(None if path == LIST else [7], interval=QUICK)
            with pytest.raises(kind):
                await take(watch, 1)

        assert sum(asked(server)) == 1

    async def test_each_of_several_watches_has_an_error_of_its_own(self, server):
        """One object would gather the tracebacks of all."""
        server.answer("GET", LIST, json(401, {}))
        caught = []

        async def watch():
            with pytest.raises(AuthenticationError) as info:
                await anext(client.servers.watch())
            caught.append(info.value)

        async with client_of(server) as client, anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(watch)

        assert len({id(error) for error in caught}) == 5

    @pytest.mark.parametrize("where", ["asleep", "polling"])
    async def test_a_closed_client_raises(self, server, api, where):
        """Whoever awaits the next change, at once; and whoever would."""
        client = client_of(server)
        watch = client.servers.watch(interval=60)
        caught = []

        async def wait():
            with pytest.raises(APIConnectionError) as info:
                await anext(watch)
            caught.append(info.value)

        if where == "polling":
            server.answer("GET", LIST, hang())
        else:
            await take(watch, 3)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await (server.arrived(1, "GET") if where == "polling" else anyio.wait_all_tasks_blocked())
                await client.aclose()
        await wait()

        assert [str(error) for error in caught] == ["the client is closed"] * 2

    async def test_a_watch_of_a_closed_client_asks_nothing(self, server, api):
        """As every call."""
        client = client_of(server)
        await client.aclose()

        with pytest.raises(APIConnectionError, match=r"^the client is closed$"):
            await anext(client.servers.watch())

        assert server.requests == []


class TestSharing:
    async def test_ten_watches_cost_what_one_costs(self, server, api):
        """One list for all."""
        taken = []

        async def watch():
            taken.append(words(await take(client.servers.watch(interval=60), 3)))

        async with client_of(server) as client, anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(watch)

        assert taken == [[(1, None, "active"), (2, None, "active"), (3, None, "active")]] * 10
        assert asked(server) == (1, 0)

    @pytest.mark.parametrize("count", [1, 10])
    async def test_ten_watches_of_a_minute_cost_what_one_costs(self, count):
        """Also those that began at different moments: they are taken along."""
        sandbox = Sandbox(servers=150)
        taken = []

        async def watch(after):
            await sandbox._clock.sleep(after)
            with sandbox._clock.move_on_after(60):
                async for change in client.servers.watch():
                    taken.append(change)

        async with spoiled_client_of(sandbox) as client, anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(watch, 0.1 * number)

        # Two pages every 5 s, and two for each when it comes.
        assert len(taken) == 150 * count
        assert len(sandbox.calls) <= 2 * 13 + 2 * count

    async def test_it_hears_the_polls_of_waits(self):
        """A wait polls every second; the watch tells of what that shows, and asks nothing itself."""
        sandbox = Sandbox(servers=1)
        key = sandbox.servers[0]["id"]
        account = sandbox._backend.accounts[0]
        seen = []

        async def watch():
            async for change in client.servers.watch([key], interval=3600):
                seen.append((str(change.after.status), sandbox._clock.now()))

        async with spoiled_client_of(sandbox) as client, anyio.create_task_group() as group:
            group.start_soon(watch)
            await sandbox._clock.sleep(100)
            account.command(account.server(str(key), 100), "stop", 100)
            await client.servers.wait_until(key, status="stopped", poll=PollPolicy(maximum=1))
            while len(seen) < 3:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

        assert [status for status, _ in seen] == ["active", "stopping", "stopped"]
        assert 100 <= seen[1][1] < 101
        assert len(sandbox.calls) == 1 + 1 + round(seen[2][1] - 100)

    async def test_a_wait_is_served_by_its_polls(self):
        """And the other way round: a wait for one, which would poll once in a minute."""
        sandbox = Sandbox(servers=12)
        ids = [one["id"] for one in sandbox.servers]
        account = sandbox._backend.accounts[0]
        account.command(account.server(str(ids[0]), 0), "stop", 0)

        async def watch():
            async for _ in client.servers.watch():
                pass

        async with spoiled_client_of(sandbox) as client, anyio.create_task_group() as group:
            group.start_soon(watch)
            poll = PollPolicy(minimum=60, maximum=60)
            await client.servers.wait_until(ids[0], status="stopped", detail=False, poll=poll)
            group.cancel_scope.cancel()

        assert sandbox._clock.now() <= 35
        assert {call.path for call in sandbox.calls} <= {LIST, f"/servers/{ids[0]}/"}
        assert len(sandbox.calls) <= 9

    @pytest.mark.parametrize("slow", ["its own", "all"])
    async def test_a_watch_of_several_slow_servers_goes_on_beside_waits(self, slow):
        """Its polls take longer than its interval: it is due again as soon as the last has ended."""
        sandbox = Sandbox(servers=5)
        first, second, *others = (one["id"] for one in sandbox.servers)
        stopping = sandbox._backend.accounts[0]

        async def spoil(request, response):
            if slow == "all" or path_of(request) in {f"/servers/{first}/", f"/servers/{second}/"}:
                await sandbox._clock.sleep(1)
            return response

        async def watch():
            async for _ in client.servers.watch([first, second], interval=0.1):
                pass

        async def wait(key):
            poll = PollPolicy(minimum=0.3, maximum=0.3)
            await client.servers.wait_until(key, status="stopped", detail=False, poll=poll)

        for key in others:
            stopping.command(stopping.server(str(key), 0), "stop", 0)
        async with spoiled_client_of(sandbox, spoil) as client, anyio.create_task_group() as group:
            group.start_soon(watch)
            async with anyio.create_task_group() as waits:
                for key in others:
                    waits.start_soon(wait, key)
            group.cancel_scope.cancel()

        seconds = sandbox._clock.now()
        times = [0.0, *(call.at for call in sandbox.calls if call.path == f"/servers/{first}/"), seconds]
        assert seconds < 40
        assert max(later - time for time, later in itertools.pairwise(times)) <= 3

    async def test_a_view_gives_servers_of_its_own(self, server, api):
        """Both of a change, whoever polled."""
        async with client_of(server) as client:
            view = client.with_options(timeout=5)
            watches = [client.servers.watch(interval=QUICK), view.servers.watch(interval=QUICK)]
            for watch in watches:
                await take(watch, 3)
            api.servers[1]["status"] = "stopped"
            changes = [(await take(watch, 1))[0] for watch in watches]

        bound = [{bound_to(change.before), bound_to(change.after)} for change in changes]
        assert bound == [{client.servers}, {view.servers}]


class TestSlowConsumer:
    async def test_it_gets_the_newest_state(self, server, api):
        """Not every one between, and each server once."""
        async with client_of(server) as client:
            slow, quick = client.servers.watch(interval=QUICK), client.servers.watch(interval=QUICK)
            await take(slow, 3)
            await take(quick, 3)
            for number in range(20):
                for key in (1, 2):
                    api.servers[key]["name"] = f"web-{number}"
                await take(quick, 2)
            changes = await take(slow, 2)
            api.servers[3]["status"] = "stopped"
            changes += await take(slow, 1)

        names = [(change.before.name, change.after.name) for change in changes]
        assert names == [("web-1", "web-19"), ("web-2", "web-19"), ("web-3", "web-3")]

    async def test_what_it_has_not_taken_is_kept_once_for_each_server(self, server):
        """Servers that came and went meanwhile are not kept at all."""
        api = FakeAPI(server)
        api.add(1, status="active")

        async with client_of(server) as client:
            slow, quick = client.servers.watch(interval=QUICK), client.servers.watch(interval=QUICK)
            await take(slow, 1)
            await take(quick, 1)
            for _ in range(30):
                (key,) = api.add(1, status="active")
                await take(quick, 1)
                del api.servers[key]
                await take(quick, 1)
            kept = (len(slow._changes._known), len(slow._changes._changed))
            api.servers[1]["status"] = "stopped"
            changes = await take(slow, 1)

        assert kept == (1, 0)
        assert words(changes) == [(1, "active", "stopped")]

    async def test_nothing_is_asked_while_nobody_takes(self):
        """A watch that is not iterated does not poll."""
        sandbox = Sandbox(servers=3)

        async with spoiled_client_of(sandbox) as client:
            watch = client.servers.watch()
            await take(watch, 3)
            await sandbox._clock.sleep(1000)

        assert len(sandbox.calls) == 1


class TestInterval:
    @pytest.mark.parametrize(("given", "seconds"), [({}, 5.0), ({"interval": 2}, 2.0), ({"interval": 0.5}, 0.5)])
    async def test_a_poll_is_made_every_so_many_seconds(self, given, seconds):
        """By default every five."""
        sandbox = Sandbox(servers=2)

        async with spoiled_client_of(sandbox) as client:
            with sandbox._clock.move_on_after(60):
                async for _ in client.servers.watch(**given):
                    pass

        times = [call.at for call in sandbox.calls]
        assert times[0] == 0
        assert {round(later - time, 3) for time, later in itertools.pairwise(times)} == {seconds}


class TestEnds:
    def left(self, client):
        coordinator = client._context.coordinator
        return (coordinator._schedule._attending, coordinator._leader, client._context.lifetime._scopes)

    async def test_after_break_nothing_is_left(self, server, api):
        """No task, nobody who polls, nothing on the wire; forgotten as soon as nobody holds it."""
        tasks = asyncio.all_tasks if sniffio.current_async_library() == "asyncio" else set
        before = tasks()

        async with client_of(server) as client:
            async for change in client.servers.watch(interval=QUICK):
                if change.after.id == 3:
                    break
            left = self.left(client)
            del change
            gc.collect()
            watchers = len(client._context.coordinator._subscribers.watches)
            assert tasks() == before

        assert left == ({}, None, set())
        assert watchers == 0
        assert asked(server) == (1, 0)

    @pytest.mark.parametrize("where", ["asleep", "polling"])
    async def test_after_a_cancel_nothing_is_left(self, server, api, where):
        """It ends at once; the poll is abandoned, and its connection given back."""
        async with client_of(server, max_connections=1) as client:
            watch = client.servers.watch(interval=60)
            if where == "asleep":
                await take(watch, 3)
            else:
                server.answer("GET", LIST, hang())
            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    group.start_soon(anext, watch)
                    await (server.arrived(1, "GET") if where == "polling" else anyio.wait_all_tasks_blocked())
                    group.cancel_scope.cancel()
            left = self.left(client)
            if where == "polling":
                await server.until(lambda: server.connections_open == 0)
            await client.servers.get(1)

        assert left == ({}, None, set())

    async def test_a_cancel_loses_no_change(self, server, api):
        """What came while nobody awaited is told next; a poll that was abandoned is made again, at once."""
        limiter = server.gate()
        async with client_of(server) as client:
            watch = client.servers.watch(interval=60)
            server.answer("GET", LIST, [hold(json(200, page(listed(1))), limiter), json(200, page(listed(1)))])
            async with anyio.create_task_group() as group:
                group.start_soon(anext, watch)
                await server.arrived(1, "GET")
                group.cancel_scope.cancel()
            limiter.open()
            changes = await take(watch, 1)

        assert words(changes) == [(1, None, "active")]

    async def test_another_poll_goes_on_when_the_one_who_polled_both_is_cancelled(self, server, api):
        """The successor polls once."""
        server.answer("GET", LIST, [hang(), json(200, page(listed(1)))])
        changes = []

        async def wait():
            changes.extend(await take(client.servers.watch(interval=60), 1))

        async with client_of(server) as client, anyio.create_task_group() as group:
            first = client.servers.watch(interval=60)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(anext, first)
                    await server.arrived(1, "GET")
                    group.start_soon(wait)
                    # It is polled for beside the poll that began before it came.
                    await server.arrived(2, "GET")
                    scope.cancel()

        assert words(changes) == [(1, None, "active")]

    async def test_a_second_task_on_one_watch_is_refused(self, server, api):
        """Each needs a watch of its own; the first is not disturbed."""
        taken = []

        async def wait():
            taken.extend(await take(watch, 1))

        async with client_of(server) as client:
            watch = client.servers.watch(interval=QUICK)
            await take(watch, 3)
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await server.arrived(2, "GET")
                with pytest.raises(RuntimeError) as caught:
                    await anext(watch)
                api.servers[1]["status"] = "stopped"

        assert str(caught.value) == "another task awaits this watch's next change: make a watch for each"
        assert words(taken) == [(1, "active", "stopped")]


class TestArguments:
    @pytest.mark.parametrize(
        ("given", "kind", "text"),
        [
            ({"interval": 0}, ValueError, "interval=0: give more than 0 seconds, and not infinitely many"),
            ({"interval": -1.5}, ValueError, "interval=-1.5: give more than 0 seconds, and not infinitely many"),
            ({"interval": float("inf")}, ValueError, "interval=inf: give more than 0 seconds, and not infinitely many"),
            ({"interval": 10**400}, ValueError, "interval is a number of more than 300 digits: give a smaller one"),
            ({"failures": 0}, ValueError, "failures=0: give a finite number of 1 or more"),
            ({"failures": 1.5}, TypeError, "failures takes a whole number, not 1.5"),
            ({"outage": -1}, ValueError, "outage=-1: give a finite number of 0 or more"),
            ({"outage": None}, TypeError, "outage takes a number, not None"),
            ({"interval": float("nan")}, ValueError, "interval=nan: give more than 0 seconds, and not infinitely many"),
            ({"interval": True}, TypeError, "interval takes seconds as a number, not True"),
            ({"interval": "5"}, TypeError, "interval takes seconds as a number, not '5'"),
            ({"interval": None}, TypeError, "interval takes seconds as a number, not None"),
            ({"server_ids": 7}, TypeError, "server_ids takes several servers or ids, or None for all, not 7"),
            ({"server_ids": "7"}, TypeError, "server_ids takes several servers or ids, or None for all, not '7'"),
            ({"server_ids": b"7"}, TypeError, "server_ids takes several servers or ids, or None for all, not b'7'"),
            (
                {"server_ids": ()},
                ValueError,
                "server_ids is empty: give at least one server or id, or None for all",
            ),
        ],
        ids=lambda value: repr(value) if isinstance(value, dict) else "",
    )
    async def test_a_wrong_one_is_named(self, server, given, kind, text):
        """At the call, and nothing is sent."""
        async with client_of(server) as client:
            with pytest.raises(kind) as caught:
                client.servers.watch(**given)

        assert str(caught.value) == text
        assert server.requests == []

    @pytest.mark.parametrize(("given", "seconds"), [(1e-300, 0.1), (0.001, 0.1), (0.1, 0.1), (5, 5.0)])
    def test_a_watch_polls_no_more_than_ten_times_a_second(self, given, seconds):
        """W45: as a wait does."""
        assert checked_interval(given) == seconds

    @pytest.mark.parametrize("wrong", ["", "..", -1, True, None, 1.5], ids=repr)
    async def test_an_id_that_cannot_be_is_refused(self, server, wrong):
        """As everywhere."""
        async with client_of(server) as client:
            with pytest.raises((ValueError, TypeError), match="server_id"):
                client.servers.watch([1, wrong])

        assert server.requests == []

    async def test_a_server_alone_is_refused(self, server):
        """A watch takes several."""
        one = Server.from_dict(detail())

        async with client_of(server) as client:
            with pytest.raises(TypeError, match="server_ids takes several servers or ids"):
                client.servers.watch(one)

    async def test_ids_may_come_from_a_generator(self, server, api):
        """Whatever can be iterated."""
        async with client_of(server) as client:
            changes = await take(client.servers.watch((key for key in (3,)), interval=QUICK), 1)

        assert words(changes) == [(3, None, "active")]
