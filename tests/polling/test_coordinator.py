"""The shared poll: waits of one client poll for one another, and what befalls one is not felt by the others."""

from __future__ import annotations

import re

from collections import Counter

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.helpers import action, detail, listed, page
from tests.helpers_api import FakeAPI, client_of
from tests.rawserver import drop, hang, hold, json, text
from tests.sharing import client_by, path_of, same, spoiled_client_of, waits_of
from tests.waits import POLL, SkippingClock, skipping_client_of
from vpsorg_async import (
    PollPolicy,
    RateLimitError,
    ServerError,
    UnexpectedStatusError,
    WaitFailedError,
)
from vpsorg_async._models import bound_to
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio
# One poll at the begin, and the next so late that whoever waits for it is late.
SLOW = PollPolicy(minimum=30, maximum=30, grace=60)
LIST = "/servers/"
ONE = re.compile(r"/servers/\d+/")
GONE = json(404, {"detail": "Not found."})
# More than are asked for one by one on an account of unknown size.
MANY = tuple(range(1, 13))


class HookedClock:
    """A clock whose every sleep, when it has ended, does what the test says."""

    def __init__(self, clock):
        self._clock = clock
        self.after_sleep = lambda: None

    def now(self):
        return self._clock.now()

    async def sleep(self, seconds):
        await self._clock.sleep(seconds)
        self.after_sleep()

    def move_on_after(self, seconds):
        return self._clock.move_on_after(seconds)


@pytest.fixture
def api(server):
    """Twelve running servers on one page."""
    api = FakeAPI(server)
    api.add(len(MANY), status="active")
    return api


def among(client, **options):
    """Give waits of *client* that poll once, never end by themselves, and are content with what a list shows."""
    return waits_of(client, **{"poll": SLOW, "timeout": None, "detail": False, **options})


def stopping(sandbox, **ends_in):
    """Let all servers of the sandbox be stopped, and return their ids."""
    ids = [one["id"] for one in sandbox.servers]
    account = sandbox._backend.accounts[0]
    for key in ids:
        account.command(account.server(str(key), 0), "stop", 0, ends_in=ends_in.get(f"_{key}"))
    return ids


def asked(server):
    """Return how many lists and how many GETs of one server have been asked for."""
    return len(server.requests_to("GET", LIST)), len(server.requests_to("GET", ONE))


def all_of(keys=MANY, **changes):
    """Return a list of servers on one page."""
    return json(200, page(*(listed(key, **changes) for key in keys)))


def told_by_id(server, **told):
    """Let the GETs of one server, `_3` say, show these statuses, the last one for ever."""
    for name, statuses in told.items():
        key = int(name.removeprefix("_"))
        replies = [json(200, detail(key, status=one)) if isinstance(one, str) else one for one in statuses]
        server.answer("GET", f"/servers/{key}/", replies)


class TestTheOneWhoLooks:
    async def test_when_the_lists_carrier_is_cancelled_its_successor_polls_at_once(self, server, api):
        """W17: nobody waits for the next interval."""
        server.answer("GET", LIST, [hang(), all_of()])

        async with among(client_of(server)) as waits:
            waits.begin("1")
            waits.begin(*MANY[1:], timeout=900)
            await server.arrived(1, "GET", LIST)
            waits.cancel("1")

        assert waits.ends == {"1": "cancelled", **same(MANY[1:], "active")}
        assert asked(server) == (2, 0)

    async def test_when_the_gets_carrier_is_cancelled_its_successor_polls_at_once(self, server, api):
        """W17: the same for a poll at a single server."""
        told_by_id(server, _7=[hang(), "active"])

        async with among(client_of(server)) as waits:
            waits.begin(7, name="first")
            waits.begin(7, name="second", timeout=900)
            waits.begin(7, name="third", timeout=800)
            await server.arrived(1, "GET", ONE)
            waits.cancel("first")

        assert waits.ends == {"first": "cancelled", **same(["second", "third"], "active")}
        assert asked(server) == (0, 2)

    @pytest.mark.parametrize("kind", ["list", "get"])
    async def test_one_carrier_after_another_may_be_cancelled(self, server, kind):
        """W17: each time the next one polls once."""
        FakeAPI(server).add(20)
        path = LIST if kind == "list" else "/servers/7/"
        server.answer("GET", LIST, [*[hang()] * 5, all_of(range(1, 21))])
        told_by_id(server, _7=[*[hang()] * 5, "active"])

        async with among(client_of(server)) as waits:
            for name in range(20):
                waits.begin(name + 1 if kind == "list" else 7, name=name, timeout=1000 - name)
            for name in range(5):
                await server.arrived(name + 1, "GET", path)
                waits.cancel(name)

        assert waits.ends == {**same(range(5), "cancelled"), **same(range(5, 20), "active")}
        assert asked(server) == ((6, 0) if kind == "list" else (0, 6))

    async def test_one_cancelled_in_the_moment_in_which_it_is_to_poll_has_a_successor(self):
        """W17: it has been given the poll and has not begun it; the others poll at once."""
        sandbox = Sandbox(servers=2)
        first, second = stopping(sandbox)
        clock = HookedClock(sandbox._clock)

        async with among(client_by(sandbox, clock), poll=PollPolicy()) as waits:
            waits.begin(first, status="stopped", name="other")
            waits.begin(second, status="stopped", name="carrier", timeout=1000)
            waits.begin(second, status="stopped", name="successor", timeout=900)
            # Who watches the time is woken, and with the next step gives a poll to one who is being cancelled.
            clock.after_sleep = lambda: waits.cancel("carrier")

        assert waits.ends == {"carrier": "cancelled", "successor": "stopped", "other": "stopped"}
        assert sandbox._clock.now() < 40

    async def test_a_leader_that_is_cancelled_while_it_watches_the_time_has_a_successor(self, server, api):
        """W17: the others' next poll is made when it is due."""
        polled = anyio.Event()
        server.answer("GET", LIST, [all_of(status="stopped"), all_of()])

        def on_event(event):
            if event.name == "poll.ended":
                polled.set()

        async with among(client_of(server, on_event=on_event), poll=POLL) as waits:
            waits.begin("1", poll=SLOW)
            waits.begin(*MANY[1:], timeout=900)
            await polled.wait()
            waits.cancel("1")

        assert waits.ends == {"1": "cancelled", **same(MANY[1:], "active")}

    async def test_a_leader_whose_on_change_hangs_polls_no_more(self, server, api):
        """W17: it is neither leader nor served while it runs; the others miss nothing."""
        changed = anyio.Event()
        server.answer("GET", LIST, [all_of(status="stopped"), all_of()])

        async def on_change(shown):
            changed.set()
            await anyio.sleep_forever()

        async with among(client_of(server), poll=POLL) as waits:
            waits.begin("1", on_change=on_change)
            waits.begin(*MANY[1:], timeout=900)
            await changed.wait()
            await waits.have_ended(*MANY[1:])
            waits.cancel("1")

        assert waits.ends == {"1": "cancelled", **same(MANY[1:], "active")}

    async def test_a_leader_whose_wait_ends_passes_the_lead_on(self, server, api):
        """W17: those who wait longer are polled for."""
        server.answer("GET", LIST, [all_of(status="stopped"), all_of()])

        async with among(client_of(server), poll=POLL) as waits:
            waits.begin("1", status="stopped")
            waits.begin(*MANY[1:], timeout=900)

        assert waits.ends == {"1": "stopped", **same(MANY[1:], "active")}
        assert waits.ended["1"].status == "stopped"

    async def test_a_carrier_whose_time_is_over_has_a_successor(self, server, api):
        """W17: one who came late, with more time, polls when the poll of the others is given up."""
        server.answer("GET", LIST, hang())
        told_by_id(server, _1=[hang(), "active"])

        async with among(client_of(server)) as waits:
            waits.begin(*MANY[1:], timeout=1)
            await server.arrived(1, "GET", LIST)
            waits.begin(1)
            await server.arrived(1, "GET", ONE)
            await waits.have_ended(*MANY[1:])
            waits.begin(1, name="later")
            await waits.have_ended("later")
            waits.cancel(1)

        assert waits.ends == {**same(MANY[1:], "WaitTimeoutError"), "later": "active", 1: waits.ends[1]}


class TestComingAndGoing:
    async def test_one_who_comes_while_a_list_is_on_the_wire_is_polled_beside_it(self, server, api):
        """W17: it hears nothing of a poll begun before it came, and does not wait for its end either."""
        limiter = server.gate()
        server.answer("GET", LIST, hold(all_of([*MANY, 50], status="stopped"), limiter))
        told_by_id(server, _50=["active"])

        async with among(client_of(server)) as waits:
            waits.begin(*MANY, status="stopped")
            await server.arrived(1, "GET", LIST)
            waits.begin(50)
            await waits.have_ended(50)
            ended = dict(waits.ends)
            limiter.open()

        assert ended == {50: "active"}
        assert waits.ends == {50: "active", **same(MANY, "stopped")}
        assert asked(server) == (1, 1)

    async def test_those_who_leave_while_a_list_is_on_the_wire_do_not_end_it(self, server, api):
        """W17: it is made once, for those who stay."""
        limiter = server.gate()
        server.answer("GET", LIST, hold(all_of(), limiter))

        async with among(client_of(server)) as waits:
            waits.begin(1)
            waits.begin(*MANY[1:], timeout=900)
            await server.arrived(1, "GET", LIST)
            waits.cancel(*MANY[1:8])
            await waits.have_ended(*MANY[1:8])
            limiter.open()

        assert waits.ends == {1: "active", **same(MANY[1:8], "cancelled"), **same(MANY[8:], "active")}
        assert asked(server) == (1, 0)

    async def test_a_poll_begun_before_the_wait_is_not_heard_by_it(self, server, api):
        """W17: what was asked before the wait began may be older than what it waits for."""
        first, second = server.gate(), server.gate()
        stopped = hold(json(200, detail(7, status="stopped")), second)
        told_by_id(server, _7=[hold(json(200, detail(7)), first), stopped, "active"])

        async with among(client_of(server)) as waits:
            waits.begin(7, name="early")
            await server.arrived(1, "GET", ONE)
            waits.begin(7, name="late", poll=PollPolicy(minimum=0.2, maximum=0.2))
            await server.arrived(2, "GET", ONE)
            first.open()
            await waits.have_ended("early")
            ended = dict(waits.ends)
            second.open()

        assert ended == {"early": "active"}
        assert waits.ends == {"early": "active", "late": "active"}
        assert asked(server) == (0, 3)

    async def test_one_who_comes_is_polled_at_once(self, server, api):
        """W17: also when the leader sleeps for long."""
        told_by_id(server, _1=["stopped"])

        async with among(client_of(server)) as waits:
            waits.begin(1)
            await server.arrived(1, "GET", ONE)
            await anyio.wait_all_tasks_blocked()
            waits.begin(2)
            await waits.have_ended(2)
            waits.cancel(1)

        assert waits.ends == {1: "cancelled", 2: "active"}

    async def test_when_all_have_gone_nothing_is_left(self, server, api):
        """W17: neither anybody who would be led, nor a turn on the wire."""
        server.answer("GET", LIST, hang())
        client = client_of(server, max_connections=1)

        async with among(client) as waits:
            waits.begin(*MANY)
            await server.arrived(1, "GET", LIST)
            waits.cancel(*MANY)
            await waits.have_ended(*MANY)
            await server.until(lambda: server.connections_open == 0)
            coordinator = client._context.coordinator
            left = (
                coordinator._leader,
                coordinator._subscribers._waits,
                coordinator._schedule._attending,
                coordinator._schedule.next_at,
            )
            waits.begin(3, name="after")
            await server.arrived(1, "GET", ONE)

        assert left == (None, {}, {}, float("inf"))
        assert waits.ends["after"] == "active"


class TestOnChange:
    @pytest.mark.parametrize("kind", ["plain", "async"])
    @pytest.mark.parametrize("who", [1, 5], ids=["who polls", "another"])
    async def test_one_that_raises_ends_its_own_wait_alone(self, server, api, kind, who):
        """W18: whoever polls for all, and however it raises."""
        server.answer("GET", LIST, [all_of(status="stopped"), all_of()])

        def plain(shown):
            raise LookupError("mine")

        async def later(shown):
            await anyio.lowlevel.checkpoint()
            plain(shown)

        async with among(client_of(server), poll=POLL) as waits:
            for key in MANY:
                hook = {"on_change": plain if kind == "plain" else later} if key == who else {}
                waits.begin(key, timeout=1000 - key, **hook)

        assert waits.ends == {**same(MANY, "active"), who: "LookupError"}
        assert asked(server)[0] == 2

    @pytest.mark.parametrize("who", [1, 5], ids=["who polls", "another"])
    async def test_one_that_never_returns_holds_up_its_own_wait_alone(self, who):
        """W18: the others end when their servers are there, and it at its deadline."""
        sandbox = Sandbox(servers=12)
        ids = stopping(sandbox)
        times = {}

        async def on_change(shown):
            await anyio.sleep_forever()

        async with waits_of(spoiled_client_of(sandbox), detail=False) as waits:
            waits.group.start_soon(sandbox._clock.sleep, 1100)
            for number, key in enumerate(ids):
                hook = {"on_change": on_change} if number == who else {}
                waits.begin(key, status="stopped", timeout=1000 - number, **hook)
            for number, key in enumerate(ids):
                if number != who:
                    await waits.have_ended(key)
            times["others"] = sandbox._clock.now()
            await waits.have_ended(ids[who])
            times["it"] = sandbox._clock.now()

        assert waits.ends == {**same(ids, "stopped"), ids[who]: "WaitTimeoutError"}
        assert times["others"] <= 35
        assert 1000 - who <= times["it"] <= 1001 - who


class TestOneOfMany:
    @pytest.mark.heavy
    @pytest.mark.parametrize("detail", [True, False])
    async def test_one_fails_and_999_go_on(self, detail):
        """W19: a server that ends up elsewhere ends the wait for it, and no other."""
        sandbox = Sandbox(servers=1000)
        ids = stopping(sandbox, _12845="active")

        async with waits_of(spoiled_client_of(sandbox), seconds=120, detail=detail) as waits:
            waits.begin(*ids, status="stopped")

        assert waits.ends == {**same(ids, "stopped"), ids[500]: "UnexpectedStatusError"}
        assert type(waits.ended[ids[500]]) is UnexpectedStatusError
        # Over in 30 s, of a list of ten pages each second at first; and a GET of each where that is wanted.
        assert len(sandbox.calls) <= 10 * 32 + (1000 if detail else 0)

    async def test_one_whose_server_is_gone_and_eleven_go_on(self, server, api):
        """W19: and so does one that is gone."""
        server.answer("GET", LIST, [all_of(status="stopped"), all_of(MANY[1:])])
        told_by_id(server, _1=[GONE])

        async with among(client_of(server), poll=POLL) as waits:
            waits.begin(*MANY)

        assert waits.ends == {**same(MANY, "active"), 1: "ServerGoneError"}

    async def test_a_get_that_fails_counts_for_its_id_only(self, server, api):
        """W19: five failures in a row of one server are nothing to another."""
        told_by_id(server, _1=[json(500, {})], _2=[*["stopped"] * 8, "active"])

        async with among(skipping_client_of(server, SkippingClock()), poll=PollPolicy(outage=0)) as waits:
            waits.begin(1, 2)

        assert waits.ends == {1: "WaitFailedError", 2: "active"}
        assert len(server.requests_to("GET", "/servers/1/")) == 5


class TestListsThatLeaveOut:
    async def test_one_that_a_list_does_not_show_is_asked_for(self, server, api):
        """W21: it is there, says a GET: nothing is gone."""
        server.answer("GET", LIST, all_of(MANY[:-1]))

        async with among(client_of(server)) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")
        assert asked(server) == (1, 1)

    @pytest.mark.parametrize(
        "malformed",
        [{"name": "web-12"}, {"id": None}, {"id": True, "status": "active"}, None, "12", []],
        ids=repr,
    )
    async def test_one_that_a_list_shows_malformed_is_asked_for(self, server, api, malformed):
        """W21: an item that cannot be read is no proof of anything."""
        server.answer("GET", LIST, json(200, page(*(listed(key) for key in MANY[:-1]), malformed)))

        async with among(client_of(server)) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")
        assert asked(server) == (1, 1)

    async def test_one_that_a_get_does_not_know_either_is_gone(self, server, api):
        """W21: only a 404 to a GET says so."""
        server.answer("GET", LIST, all_of(MANY[:-1]))
        told_by_id(server, _12=["active", GONE])

        async with among(client_of(server)) as waits:
            await waits.client.servers.get(12)
            waits.begin(*MANY)

        assert waits.ends == {**same(MANY, "active"), 12: "ServerGoneError"}

    async def test_the_wait_for_deletion_does_not_believe_a_list_either(self, server, api):
        """W21: left out by a list and shown by a GET, it is there yet."""
        server.answer("GET", LIST, all_of(MANY[:-1]))
        told_by_id(server, _12=["active", "active", GONE])
        deleted = []

        async def wait_until_deleted():
            await client.servers.wait_until_deleted(12, timeout=None)
            deleted.append(12)

        client = skipping_client_of(server, SkippingClock())
        async with among(client) as waits:
            waits.begin(*MANY[:-1])
            waits.group.start_soon(wait_until_deleted)

        assert (deleted, waits.ends) == ([12], same(MANY[:-1], "active"))
        assert len(server.requests_to("GET", "/servers/12/")) == 3

    async def test_a_patient_wait_does_not_lose_its_patience_with_that_of_another(self):
        """W8: five failed polls of its own in a row end a wait, and not those that another made meanwhile."""
        sandbox = Sandbox(servers=1)
        quick = PollPolicy(minimum=0.1, maximum=0.1, failures=4, outage=0)
        slow = PollPolicy(minimum=5, maximum=5, failures=4, outage=0)
        ended = {}

        async def wait(name, poll):
            try:
                await client.servers.wait_until(12345, status="stopped", timeout=60, poll=poll)
                ended[name] = "done"
            except WaitFailedError:
                ended[name] = sandbox._clock.now()

        async with sandbox.client() as client, anyio.create_task_group() as tasks:
            tasks.start_soon(wait, "slow", slow)
            await sandbox._clock.sleep(1)
            with sandbox.faults.inject(Fault.status(500)):
                tasks.start_soon(wait, "quick", quick)
                await sandbox._clock.sleep(12)
            await client.servers.stop(12345)

        assert ended == {"quick": pytest.approx(1 + 1 + 2 + 4), "slow": "done"}

    async def test_a_get_that_fails_then_leaves_it_undecided(self, server, api):
        """W21: it is asked for again, and is there."""
        server.answer("GET", LIST, all_of(MANY[:-1]))
        told_by_id(server, _12=[json(500, {}), drop(), "active"])

        async with among(client_of(server), poll=POLL) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")

    async def test_of_many_left_out_each_is_asked_for(self, server, api):
        """W21: a list that shows nothing at all is completed by GETs, whatever it costs."""
        server.answer("GET", LIST, json(200, page()))

        async with among(client_of(server)) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")
        assert asked(server) == (1, 12)


class TestListsThatShowOneTwice:
    OLD, NEW = "2025-10-15T10:35:00Z", "2025-10-15T10:35:05Z"

    @pytest.mark.parametrize("newest_first", [True, False])
    @pytest.mark.parametrize(("old", "new"), [("stopped", "active"), ("active", "stopped")])
    async def test_the_newest_wins_in_whatever_order(self, server, api, newest_first, old, new):
        """W22: by `updated_at`, not by the pages' order."""
        first, second = ((new, self.NEW), (old, self.OLD)) if newest_first else ((old, self.OLD), (new, self.NEW))
        self.tell(server, first, second)

        async with among(client_of(server)) as waits:
            waits.begin(*MANY[:-1])
            waits.begin(12, status=["active", "stopped"])

        assert waits.ends == {**same(MANY[:-1], "active"), 12: new}
        assert asked(server) == (2, 0)

    @pytest.mark.parametrize("updated_at", [OLD, None])
    async def test_of_two_that_are_as_old_the_one_that_came_last(self, server, api, updated_at):
        """W22: what `updated_at` does not decide, arrival does."""
        self.tell(server, ("stopped", updated_at), ("active", updated_at))

        async with among(client_of(server)) as waits:
            waits.begin(*MANY[:-1])
            waits.begin(12, status=["active", "stopped"])

        assert waits.ends == same(MANY, "active")

    def tell(self, server, *shown):
        """Let a list show server 12 on both its pages, so."""
        twice = [listed(12, status=status, updated_at=updated_at) for status, updated_at in shown]
        following = f"{server.base_url}/servers/?page_size=100&page=2"
        pages = {
            "1": page(*(listed(key) for key in MANY[:6]), twice[0], count=13, next=following),
            "2": page(*(listed(key) for key in MANY[6:-1]), twice[1], count=13, next=None),
        }
        server.answer("GET", LIST, lambda request: json(200, pages[request.query.get("page", "1")]))


class TestCost:
    @pytest.mark.parametrize(("count", "pages"), [(11, 1), (100, 1), (101, 2), (250, 3)])
    async def test_many_waits_cost_the_lists_pages(self, server, count, pages):
        """And not a GET each."""
        FakeAPI(server).add(count, status="active")

        async with among(client_of(server)) as waits:
            waits.begin(*range(1, count + 1))

        assert waits.ends == same(range(1, count + 1), "active")
        assert asked(server) == (pages, 0)

    async def test_few_waits_on_an_account_of_unknown_size_are_gets(self, server, api):
        """Up to ten."""
        async with among(client_of(server)) as waits:
            waits.begin(*MANY[:10])

        assert waits.ends == same(MANY[:10], "active")
        assert asked(server) == (0, 10)

    async def test_two_waits_on_an_account_of_one_page_are_one_list(self, server, api):
        """Once its size has been seen."""
        async with among(client_of(server)) as waits:
            await waits.client.servers.list()
            waits.begin(1, 2)

        assert waits.ends == same([1, 2], "active")
        assert asked(server) == (2, 0)

    async def test_one_poll_serves_all_who_wait_for_one_server(self, server, api):
        """Whatever they wait for."""
        told_by_id(server, _7=["stopped", "active"])

        async with among(client_of(server), poll=POLL) as waits:
            for number in range(20):
                waits.begin(7, status="active" if number % 2 else "stopped", name=number)

        assert waits.ends == {number: "active" if number % 2 else "stopped" for number in range(20)}
        assert asked(server) == (0, 2)

    async def test_many_are_asked_for_together(self):
        """W37: waits that began at different moments share a list from then on."""
        sandbox = Sandbox(servers=12)
        ids = [one["id"] for one in sandbox.servers]

        async def begin(waits, key, after):
            await sandbox._clock.sleep(after)
            waits.begin(key, status="stopped", timeout=100)

        async with among(spoiled_client_of(sandbox), poll=PollPolicy(minimum=10, maximum=10)) as waits:
            for number, key in enumerate(ids):
                waits.group.start_soon(begin, waits, key, 0.7 * number)

        polls = Counter("list" if call.path == "/servers/" else "get" for call in sandbox.calls)
        assert waits.ends == same(ids, "WaitTimeoutError")
        # The first and the last poll of each, and a list every 10 seconds.
        assert polls["get"] <= 12 + 12 + 4
        assert polls["list"] <= 11

    @pytest.mark.parametrize("wants", [True, False])
    async def test_what_a_get_shows_besides_is_asked_for_where_it_is_wanted(self, server, api, wants):
        """`detail=True`: one GET each after the list has shown the goal; `detail=False`: none."""
        server.answer("GET", ONE, lambda request: json(200, detail(int(request.path.split("/")[2]))))

        async with among(client_of(server), detail=wants) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")
        assert {one.ipv6_address for one in waits.ended.values()} == {"2001:db8::7" if wants else None}
        assert asked(server) == (1, 12 if wants else 0)

    async def test_a_poll_tells_what_it_cost(self, server, api):
        """`poll.ended`, with what it showed and how many requests it took."""
        events = []

        async with among(client_of(server, on_event=events.append)) as waits:
            waits.begin(*MANY)
            await waits.have_ended(*MANY)
            waits.begin(7, name="again")

        told = [dict(event.fields) for event in events if event.name == "poll.ended"]
        assert [(one["servers"], one["requests"], one["failed"]) for one in told] == [(12, 1, False), (1, 1, False)]


class TestDetail:
    async def test_a_get_that_contradicts_the_list_lets_the_wait_go_on(self, server, api):
        """The list lags behind, or the server has left since."""
        told_by_id(server, _3=["stopped", "starting", "active"])

        async with among(client_of(server), poll=POLL, detail=True) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")
        assert len(server.requests_to("GET", "/servers/3/")) == 3

    async def test_a_get_that_fails_to_the_end_leaves_what_the_list_showed(self):
        """At the deadline, not before: the goal has been seen."""
        sandbox = Sandbox(servers=12)
        ids = [one["id"] for one in sandbox.servers]

        async def spoil(request, response):
            return httpx.Response(500) if path_of(request) == f"/servers/{ids[3]}/" else response

        poll = PollPolicy(minimum=5, maximum=5, failures=1000)
        async with among(spoiled_client_of(sandbox, spoil), poll=poll, timeout=30, detail=True) as waits:
            waits.begin(*ids)

        assert waits.ends == same(ids, "active")
        assert [key for key in ids if waits.ended[key].ipv6_address is None] == [ids[3]]
        assert sandbox._clock.now() == 30

    async def test_a_get_that_fails_too_often_leaves_what_the_list_showed(self, server, api):
        """It is not worse than a wait that is content with a list."""
        told_by_id(server, _3=[json(500, {})])
        poll = PollPolicy(minimum=0.1, maximum=0.1, failures=1, outage=0)

        async with among(client_of(server), poll=poll, detail=True) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")

    async def test_a_get_that_hangs_at_the_deadline_leaves_what_the_list_showed(self, server, api):
        """It was seen at the goal in time."""
        told_by_id(server, _3=[hang()])

        async with among(client_of(server), timeout=1.5, detail=True) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")

    async def test_a_get_that_says_gone_is_believed(self, server, api):
        """It was deleted between the two."""
        told_by_id(server, _3=[GONE])

        async with among(client_of(server), detail=True) as waits:
            waits.begin(*MANY)

        assert waits.ends == {**same(MANY, "active"), 3: "ServerGoneError"}


class TestCommands:
    async def test_a_list_begun_before_a_command_was_answered_is_no_proof(self, server, api):
        """W3: one who waits for the command hears it, and does not take it for the command's effect."""
        answered, shown = server.gate(), server.gate()
        server.answer("POST", "/servers/3/reboot/", hold(json(200, action(3, "rebooting")), answered))
        server.answer("GET", LIST, [hold(all_of(), shown), all_of(status="stopped")])
        told_by_id(server, _3=["active", "rebooting", "active"])

        async with among(client_of(server), poll=POLL) as waits:
            waits.group.start_soon(waits.client.servers.reboot, 3)
            await server.arrived(1, "POST")
            waits.begin(*MANY)
            await server.arrived(1, "GET", LIST)
            answered.open()
            await server.until(lambda: server.requests)
            shown.open()
            await waits.have_ended(3)

        assert waits.ends == same(MANY, "active")
        assert len(server.requests_to("GET", "/servers/3/")) == 3


class TestFailures:
    async def test_a_token_that_the_list_refuses_ends_all_waits_of_that_poll(self, server, api):
        """Each with an error of its own: one object would gather the tracebacks of all."""
        server.answer("GET", LIST, json(401, {"detail": "no"}))

        async with among(client_of(server)) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "AuthenticationError")
        assert len({id(error) for error in waits.ended.values()}) == len(MANY)
        assert asked(server) == (1, 0)

    async def test_a_refused_get_ends_the_waits_for_that_server(self, server, api):
        """Those who were served by another poll hear it from that."""
        told_by_id(server, _7=[json(401, {})], _8=["active"])

        async with among(client_of(server)) as waits:
            waits.begin(8)
            for name in "abc":
                waits.begin(7, name=name)

        assert waits.ends == {8: "active", **same("abc", "AuthenticationError")}
        assert len({id(error) for error in waits.ended.values()}) == 4

    @pytest.mark.parametrize("kind", ["429", "503"])
    async def test_a_list_that_asks_for_a_pause_ends_those_only_whose_time_is_over_by_then(self, kind):
        """The others poll when the API lets itself be asked again."""
        sandbox = Sandbox(servers=12)
        ids = [one["id"] for one in sandbox.servers]
        refusals = [httpx.Response(int(kind), headers={"Retry-After": "30"})]

        async def spoil(request, response):
            return refusals.pop() if refusals else response

        async with among(spoiled_client_of(sandbox, spoil)) as waits:
            waits.begin(*ids[:6], timeout=20)
            waits.begin(*ids[6:], timeout=40)
            await waits.have_ended(*ids[:6])
            at = sandbox._clock.now()

        assert waits.ends == {**same(ids[:6], "WaitTimeoutError"), **same(ids[6:], "active")}
        assert type(waits.ended[ids[0]].__cause__) is (RateLimitError if kind == "429" else ServerError)
        assert at == 0
        # And not all at once, after the API said "too many".
        assert 30 <= sandbox._clock.now() <= 35

    @pytest.mark.parametrize(
        "answer",
        [text(200, "<html>log in</html>", "text/html"), GONE, json(200, {}), json(200, None), json(405, {})],
        ids=["HTML", "404", "{}", "null", "405"],
    )
    async def test_a_list_that_cannot_be_read_is_completed_by_gets(self, server, api, answer):
        """It says nothing of the servers themselves."""
        server.answer("GET", LIST, answer)

        async with among(client_of(server)) as waits:
            waits.begin(*MANY)

        assert waits.ends == same(MANY, "active")
        assert asked(server)[1] == len(MANY)

    async def test_of_a_page_that_fails_each_server_is_asked_for(self, server):
        """Those on the pages before it have been seen."""
        api = FakeAPI(server)
        api.add(30, status="active")
        api.paged_by = 10
        answer = api.page
        broken = json(500, {"detail": "boom"})
        server.answer("GET", LIST, lambda request: broken if request.query.get("page") == "2" else answer(request))
        poll = PollPolicy(minimum=0.1, maximum=0.1, failures=1, outage=0)

        async with among(client_of(server), poll=poll) as waits:
            waits.begin(*range(1, 31))

        assert waits.ends == same(range(1, 31), "active")
        assert {request.path for request in server.requests_to("GET") if request.path != LIST} == {
            f"/servers/{key}/" for key in range(11, 31)
        }

    async def test_a_page_that_fails_once_is_polled_over(self, server):
        """The next poll is the retry."""
        api = FakeAPI(server)
        api.add(30, status="active")
        api.paged_by = 10
        answer, broken = api.page, [json(500, {}), drop(), json(502, {}), json(503, {})]

        def answered(request):
            return broken.pop() if broken and request.query.get("page") == "3" else answer(request)

        server.answer("GET", LIST, answered)

        async with among(skipping_client_of(server, SkippingClock()), poll=PollPolicy()) as waits:
            waits.begin(*range(1, 31))

        assert waits.ends == same(range(1, 31), "active")

    @pytest.mark.parametrize(("then", "ends"), [(GONE, "ServerGoneError"), ("active", "active")])
    async def test_one_that_was_gone_and_is_listed_again_is_asked_for(self, server, api, then, ends):
        """The list lags behind, or it is there again: a GET knows."""
        told_by_id(server, _3=["active", GONE, then])

        async with among(client_of(server)) as waits:
            await waits.client.servers.get(3)
            await waits.client.servers.wait_until_deleted(3, timeout=0)
            waits.begin(*MANY)

        assert waits.ends == {**same(MANY, "active"), 3: ends}
        assert asked(server) == (1, 3)

    async def test_closing_the_client_ends_all(self, server, api):
        """At once, each with an error of its own."""
        server.answer("GET", LIST, hang())

        async with among(client_of(server)) as waits:
            waits.begin(*MANY)
            await server.arrived(1, "GET", LIST)
            await waits.client.aclose()

        assert {str(error) for error in waits.ended.values()} == {"the client is closed"}
        assert waits.ends == same(MANY, "ClientClosedError")
        assert len({id(error) for error in waits.ended.values()}) == len(MANY)


class TestViews:
    async def test_each_gets_a_server_of_its_own_view(self, server, api):
        """Whoever polled, and by whose options."""
        told_by_id(server, _7=["active"])
        root = client_of(server)
        views = {"root": root, "one": root.with_options(timeout=5), "two": root.with_options(timeout=7)}

        async with among(root) as waits:
            for name, view in views.items():
                waits.begin(7, name=name, client=view)
            for key in MANY:
                waits.begin(key, client=views["one"])

        assert {name: bound_to(waits.ended[name]) for name in views} == {
            name: view.servers for name, view in views.items()
        }
        assert {bound_to(waits.ended[key]) for key in MANY} == {views["one"].servers}
        assert asked(server)[0] == 1
