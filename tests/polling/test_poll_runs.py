"""Lists that are refused or broken while GETs work: the same waits end the same way, whatever their number."""

from __future__ import annotations

import collections
import re

import anyio
import pytest

from tests.helpers import detail, listed, page
from tests.sharing import Scripted, same, scripted_client_of, waits_of
from vpsorg_async import PermissionDeniedError, PollPolicy, ServerError


pytestmark = pytest.mark.anyio
ONE = re.compile(r"/servers/(\d+)/")
SECONDS = 8
"""Every server is active after so many seconds."""


class Account:
    """Servers that become active, and a list that is answered as *lists* says: seconds, status and body.

    Attributes:
        gets: the answers to GETs of single servers that differ, by id.
        down: from when until when nothing is answered but 502.
    """

    def __init__(self, count, lists=None, gets=None, down=(0, 0), active_at=SECONDS):
        self.active_at = active_at
        self.count, self.lists, self.gets, self.down = count, lists, gets or {}, down
        self.transport = Scripted(self.answer)
        self.clock = self.transport.clock
        self.asked_at = collections.defaultdict(list)

    def answer(self, _method, path, _number):
        now, one = self.clock.now(), ONE.fullmatch(path)
        self.asked_at[one[1] if one else "list"].append(now)
        if self.down[0] <= now < self.down[1]:
            return 0.02, 502, {}
        status = "active" if now >= self.active_at else "provisioning"
        if one:
            return self.gets.get(int(one[1]), (0.02, 200, detail(int(one[1]), status=status)))
        if self.lists in (None, "half", "no status"):
            keys = range(self.count // 2 if self.lists == "half" else self.count)
            shown = None if self.lists == "no status" else status
            return 0.1, 200, page(*[listed(key, status=shown) for key in keys])
        return self.lists

    @property
    def gets_at(self):
        return sorted(at for key, times in self.asked_at.items() if key != "list" for at in times)

    @property
    def busiest_second(self):
        return max((sum(at <= other < at + 1 for other in self.gets_at) for at in self.gets_at), default=0)


async def ends_of(account, **options):
    """Return how the waits for all servers of *account* have ended."""
    async with waits_of(scripted_client_of(account.transport), seconds=60) as waits:
        waits.begin(*range(account.count), **options)
    return waits


BROKEN = {
    "works": None,
    "403": (0.02, 403, {"detail": "no"}),
    "404": (0.02, 404, {"detail": "no"}),
    "405": (0.02, 405, {"detail": "no"}),
    "500": (0.02, 500, {}),
    "502": (0.02, 502, {}),
    "slow": (7, 502, {}),
    "hangs": (10**6, 200, {}),
    "no list": (0.02, 200, {"detail": "log in"}),
    "half": "half",
    "no status": "no status",
}
each_kind = pytest.mark.parametrize("kind", BROKEN)
each_count = pytest.mark.parametrize("count", [1, 10, 11, 300])


class TestListsThatFail:
    @each_count
    @each_kind
    async def test_waits_end_well_by_gets(self, kind, count):
        """W30: as one wait does alone, and with at most 20 GETs a second."""
        account = Account(count, BROKEN[kind])

        waits = await ends_of(account, detail=False)

        assert waits.ends == same(range(count), "active")
        assert account.busiest_second <= 20
        assert account.clock.now() <= SECONDS + (6 if count < 20 else 35)

    @each_count
    @each_kind
    async def test_a_get_decides_for_its_own_server(self, kind, count):
        """W30: a refusal of one server, or a server that is gone, ends the wait for that one."""
        account = Account(count, BROKEN[kind], {0: (0.02, 403, {"detail": "not yours"})})

        waits = await ends_of(account)

        assert waits.ends == {**same(range(count), "active"), 0: "PermissionDeniedError"}

    @each_count
    async def test_waits_end_well_where_lists_have_a_limit_of_their_own(self, count):
        """W30: every list is answered 429, and no GET is; each 429 slows reads down, so this takes longer."""
        account = Account(count, (0.02, 429, {}))

        waits = await ends_of(account, detail=False)

        assert waits.ends == same(range(count), "active")
        assert account.busiest_second <= 20

    async def test_one_429_to_a_list_is_no_reason_for_gets(self):
        """W30: it may be a limit that counts every call."""
        account = Account(100, (0.02, 429, {}), active_at=10**6)

        async with waits_of(scripted_client_of(account.transport), seconds=60) as waits:
            waits.begin(*range(100), timeout=90)
            await account.clock.sleep(1)
            account.lists = None

        assert waits.ends == same(range(100), "WaitTimeoutError")
        assert account.gets_at == []

    @pytest.mark.parametrize("kind", ["403", "404", "405"])
    async def test_a_refused_list_is_tried_again_after_a_minute(self, kind):
        """W30: it would be refused again; the waits go on by GETs meanwhile."""
        account = Account(30, BROKEN[kind], active_at=10**6)

        waits = await ends_of(account, timeout=130)

        assert waits.ends == same(range(30), "WaitTimeoutError")
        assert list(dict.fromkeys(round(at) // 10 for at in account.asked_at["list"])) == [0, 6, 12]
        assert all(len(times) > 20 for key, times in account.asked_at.items() if key != "list")

    async def test_a_broken_list_that_works_again_is_relied_on(self):
        """W30: within some seconds, with no GETs any more."""
        account = Account(100, BROKEN["500"], active_at=10**6)

        async with waits_of(scripted_client_of(account.transport), seconds=60) as waits:
            waits.begin(*range(100), timeout=90)
            await account.clock.sleep(20)
            account.lists = None
            await account.clock.sleep(20)
            account.asked_at.clear()

        assert waits.ends == same(range(100), "WaitTimeoutError")
        assert account.gets_at == []
        assert len(account.asked_at["list"]) >= 8

    async def test_servers_that_fail_by_themselves_hold_up_no_other(self):
        """W30: the first three GETs always fail, as the list does; the API works all the same."""
        broken = {key: (0.02, 500, {}) for key in range(5)}
        account = Account(40, BROKEN["500"], broken)

        waits = await ends_of(account, timeout=300)

        assert waits.ends == {**same(range(5), "WaitFailedError"), **same(range(5, 40), "active")}
        assert type(waits.ended[0].__cause__) is ServerError

    @pytest.mark.parametrize("count", [1, 10, 11, 40])
    async def test_the_same_deadline_is_kept_while_the_list_hangs(self, count):
        """W30: nobody waits for it until its attempt has timed out."""
        account = Account(count, BROKEN["hangs"], active_at=6)

        waits = await ends_of(account, timeout=9.5)

        assert waits.ends == same(range(count), "active")


class TestOutages:
    @each_count
    @pytest.mark.parametrize("seconds", [6, 45])
    async def test_one_that_passes_ends_no_wait(self, count, seconds):
        """W31: nor does it cause more requests for many waits than for one."""
        account = Account(count, down=(2, 2 + seconds))

        waits = await ends_of(account)

        assert waits.ends == same(range(count), "active")
        if count > 20:
            during = [at for times in account.asked_at.values() for at in times if 2 <= at < 2 + seconds]
            assert len(during) <= 8 * 4

    @each_count
    async def test_one_that_lasts_ends_all_after_a_minute(self, count):
        """W31: at most 20 GETs a second then, which confirm it for each."""
        account = Account(count, down=(0, 10**6))

        waits = await ends_of(account)

        assert waits.ends == same(range(count), "WaitFailedError")
        assert account.busiest_second <= 20
        assert 60 <= account.clock.now() <= 60 + 15 + count / 16
        assert len(account.gets_at) <= (8 * count if count < 11 else 2 * count + 40)

    async def test_an_api_that_asks_for_pauses_is_not_gone(self):
        """W31: a 429 to every GET, beside a list that fails, only moves the polls."""
        account = Account(30, BROKEN["500"], {key: (0.02, 429, {}, {"Retry-After": "2"}) for key in range(30)})

        async with waits_of(scripted_client_of(account.transport), seconds=60) as waits:
            waits.begin(*range(30), poll=PollPolicy(failures=2, outage=0), timeout=300)
            await account.clock.sleep(100)
            account.gets.clear()

        assert waits.ends == same(range(30), "active")

    async def test_without_an_end_it_causes_few_requests(self):
        """W30: an API that is down is asked for 1,000 waits about as often as for a few."""
        account = Account(1_000, down=(0, 10**6))

        waits = await ends_of(account, timeout=600, poll=PollPolicy(failures=None))

        assert waits.ends == same(range(1_000), "WaitTimeoutError")
        before = [at for times in account.asked_at.values() for at in times if at < 590]
        assert len(before) <= 4 * 50


class TestWatches:
    @pytest.mark.parametrize("kind", ["403", "404", "500", "hangs", "half", "no status"])
    async def test_one_of_given_servers_goes_on_by_gets(self, kind):
        """W30: a list that says nothing of its servers does not end it."""
        account, seen = Account(40, BROKEN[kind]), set()

        with anyio.fail_after(60):
            async with scripted_client_of(account.transport) as client:
                async for change in client.servers.watch(range(40)):
                    if change.after.status == "active":
                        seen.add(change.after.id)
                    if len(seen) == 40:
                        break

        assert account.busiest_second <= 20

    async def test_a_refused_list_ends_one_of_all_servers(self):
        """W30: for such a watch nothing but the list will do."""
        account = Account(40, BROKEN["403"])

        async with scripted_client_of(account.transport) as client:
            with pytest.raises(PermissionDeniedError):
                await anext(client.servers.watch())

    async def test_a_broken_list_ends_one_of_all_servers_after_a_minute(self):
        """W30: beside it, waits go on by GETs."""
        account, ended = Account(40, BROKEN["500"]), []

        async def watch():
            with pytest.raises(ServerError):
                async for _ in client.servers.watch():
                    pass
            ended.append(account.clock.now())

        async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:
            group.start_soon(watch)
            for key in range(40):
                group.start_soon(lambda key=key: client.servers.wait_until(key, status="active"))

        assert 60 <= ended[0] <= 75


class TestContradictions:
    async def test_a_list_that_a_get_contradicts_to_the_end_is_not_returned(self):
        """What a list shows at the goal counts until a GET shows otherwise, also at the deadline."""
        account = Account(12, gets={3: (0.02, 200, detail(3, status="stopped"))}, active_at=0)

        waits = await ends_of(account, timeout=12)

        assert waits.ends == {**same(range(12), "active"), 3: "WaitTimeoutError"}
        assert waits.ended[3].server.status == "stopped"
