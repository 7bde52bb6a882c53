"""Running a poll is apart from waiting: nobody's news abandons a poll, and what a list leaves out is rationed."""

from __future__ import annotations

import collections
import itertools
import re

import anyio
import pytest

from tests.helpers import detail, listed, page
from tests.sharing import Scripted, scripted_client_of
from vpsorg_async import APITimeoutError, PollPolicy, WaitFailedError


pytestmark = pytest.mark.anyio
SERVERS, SIZE = 3_000, 100
PAGES = SERVERS // SIZE
ONE = re.compile(r"/servers/(\d+)/")


class Account:
    """Servers on thirty pages, of which each takes 0.15 s; what a test sets changes what is shown."""

    def __init__(self):
        self.status = collections.defaultdict(lambda: "active")
        self.shown = range(SERVERS)
        self.ticks = itertools.count()
        self.transport = Scripted(self.answer)

    def answer(self, _method, path, _number):
        if one := ONE.fullmatch(path):
            key = int(one[1])
            if key not in self.shown:
                return 0.02, 404, {"detail": "Not found."}
            # Something ticks, so that a watch has news at each poll.
            return 0.02, 200, {**detail(key, status=self.status[key]), "uptime": next(self.ticks)}
        number = int(path.partition("?page=")[2] or 1)
        keys = self.shown[(number - 1) * SIZE : number * SIZE]
        link = f"https://api.example/api/v1/servers/?page_size=100&page={number + 1}" if number < PAGES else None
        items = [listed(key, status=self.status[key]) for key in keys]
        return 0.15, 200, page(*items, count=len(self.shown), next=link if self.shown else None)

    def requests(self, kind):
        """Return the lists' pages ("page"), or the ids of the servers that were asked for one by one ("get")."""
        paths = [path for method, path in self.transport.asked if method == "GET"]
        if kind == "get":
            return [int(one[1]) for path in paths if (one := ONE.fullmatch(path))]
        return [int(path.partition("?page=")[2] or 1) for path in paths if not ONE.fullmatch(path)]


class TestNews:
    @pytest.mark.parametrize("watched", [False, True], ids=["alone", "beside a watch"])
    async def test_it_abandons_no_list(self, watched):
        """W43: 300 waits beside one watch and servers that change every 0.3 s are as quick as without."""
        account = Account()
        clock, ended = account.transport.clock, []
        account.status.update(dict.fromkeys(range(300), "starting"))

        async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:

            async def wait(key):
                await client.servers.wait_until(key, status="active", timeout=90, detail=False)
                ended.append(clock.now())

            async def watch():
                async for _ in client.servers.watch():
                    pass

            async def short():
                for key in itertools.cycle(range(2_000, 2_005)):
                    await client.servers.wait_until(key, status="active", timeout=3)
                    await clock.sleep(0.3)

            if watched:
                group.start_soon(watch)
                await clock.sleep(2)
            for key in range(300):
                group.start_soon(wait, key)
            group.start_soon(short)
            await clock.sleep(3)
            account.status.clear()
            began = clock.now()
            while len(ended) < 300 and clock.now() < began + 60:
                await clock.sleep(0.5)
            group.cancel_scope.cancel()

        assert len(ended) == 300
        assert max(ended) <= began + 6
        # What was on its way when the test ended.
        assert len(account.transport.abandoned) <= 10

    async def test_a_watch_that_hears_of_one_server_drops_no_get_of_the_others(self):
        """W43: nine servers asked for one by one, of which one changes with each poll."""
        account = Account()
        account.shown = range(1, 10)
        clock, told = account.transport.clock, []
        takes = itertools.cycle([0.02, 0.07, 0.04, 0.03, 0.06])

        def answer(method, path, number):
            _, status, body = account_answer(method, path, number)
            return next(takes), status, body

        account_answer, account.transport.answer = account.answer, answer
        async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:

            async def watch():
                async for change in client.servers.watch(range(1, 10), interval=1.0):
                    told.append(change.after.id)

            group.start_soon(watch)
            await clock.sleep(10.5)
            group.cancel_scope.cancel()

        gets = collections.Counter(account.requests("get"))
        assert account.transport.abandoned == []
        assert set(gets) == set(range(1, 10))
        assert max(gets.values()) <= 11
        assert len(told) >= 90


class TestHandingOn:
    async def test_a_list_whose_runner_is_cancelled_goes_on_where_it_was(self):
        """W43: no page that was read is asked for again, whoever runs the list."""
        account = Account()
        clock = account.transport.clock
        account.status.update(dict.fromkeys(range(300), "starting"))
        ended = []

        async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:
            await client.servers.list()
            account.transport.asked.clear()
            scopes = {}

            async def wait(key):
                with anyio.CancelScope() as scopes[key]:
                    patient = PollPolicy(minimum=30, maximum=30)
                    await client.servers.wait_until(
                        key, status="active", timeout=10_000 - key, detail=False, poll=patient
                    )
                    ended.append(key)

            for key in range(300):
                group.start_soon(wait, key)
            account.status.clear()
            # A round of eight pages takes 0.15 s. Every 0.16 s the runner, who has the latest deadline, is cancelled.
            for key in range(3):
                await clock.sleep(0.16)
                scopes[key].cancel()
            await clock.sleep(5)
            group.cancel_scope.cancel()

        pages = collections.Counter(account.requests("page"))
        assert sorted(ended) == [*range(3, 300)]
        assert set(pages) == set(range(1, PAGES + 1))
        # Each cancel costs at most the round of pages that was on its way.
        assert pages[1] == 1
        assert sum(pages.values()) <= PAGES + 3 * 8

    async def test_the_pages_that_came_before_a_cancel_stay(self):
        """W43: one page of a round hangs; the others are not asked for again."""
        account = Account()
        clock = account.transport.clock
        account.status.update(dict.fromkeys(range(300), "starting"))
        hung = [True]

        def answer(method, path, number):
            seconds, status, body = account.answer(method, path, number)
            return (9.0 if path.endswith("?page=6") and hung else seconds), status, body

        account.transport.answer = answer
        async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:
            patient = PollPolicy(minimum=30, maximum=30)
            scopes = {}

            async def wait(key):
                with anyio.CancelScope() as scopes[key]:
                    await client.servers.wait_until(
                        key, status="active", timeout=10_000 - key, detail=False, poll=patient
                    )

            for key in range(300):
                group.start_soon(wait, key)
            await clock.sleep(1)
            hung.clear()
            scopes[0].cancel()
            await clock.sleep(4)
            group.cancel_scope.cancel()

        pages = collections.Counter(account.requests("page"))
        assert [pages[number] for number in range(1, 6)] == [1] * 5
        assert pages[6] == 2
        assert set(pages) == set(range(1, PAGES + 1))

    async def test_a_runner_at_its_deadline_hands_the_list_on(self):
        """W43: it ends in time, and the others get what it had read."""
        account = Account()
        clock = account.transport.clock
        account.status.update(dict.fromkeys(range(12), "starting"))
        ended = {}

        def answer(method, path, number):
            seconds, status, body = account.answer(method, path, number)
            return (5.0 if path.endswith("?page=2") else seconds), status, body

        account.transport.answer = answer
        async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:

            async def wait(key, timeout):
                try:
                    await client.servers.wait_until(key, status="active", timeout=timeout, detail=False)
                    ended[key] = "done", clock.now()
                except TimeoutError:
                    ended[key] = "timed out", clock.now()

            # The one that comes last has the latest deadline, and so runs the list.
            for key in range(12):
                group.start_soon(wait, key, 3.0 if key < 11 else 4.0)

        assert {key: word for key, (word, _) in ended.items()} == dict.fromkeys(range(12), "timed out")
        assert max(at for _, at in ended.values()) <= 5


class TestMissing:
    @pytest.mark.parametrize("way", ["watched", "awaited"])
    async def test_many_that_vanish_are_asked_for_once_each_and_slowly(self, way):
        """W44: a GET each, at most 20 a second, and none is given up."""
        account = Account()
        account.shown = range(300)
        clock, gone, asked_at = account.transport.clock, [], []

        def answer(method, path, number):
            if ONE.fullmatch(path):
                asked_at.append(clock.now())
            return account.answer(method, path, number)

        account.transport.answer = answer
        async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:

            async def watch():
                async for change in client.servers.watch(interval=5):
                    if change.after is None:
                        gone.append(change.before.id)

            async def wait(key):
                await client.servers.wait_until_deleted(key, timeout=300)
                gone.append(key)

            if way == "watched":
                group.start_soon(watch)
            else:
                for key in range(300):
                    group.start_soon(wait, key)
            await clock.sleep(4)
            account.shown = range(0)
            account.transport.asked.clear()
            asked_at.clear()
            await clock.sleep(40)
            group.cancel_scope.cancel()

        gets = account.requests("get")
        assert sorted(gone) == [*range(300)]
        assert sorted(gets) == [*range(300)]
        assert account.transport.abandoned == []
        assert max(sum(at <= other < at + 1 for other in asked_at) for at in asked_at) <= 20

    async def test_one_empty_list_calls_nothing_gone_and_costs_little(self):
        """W44: what the next list shows again is not asked for any more."""
        account = Account()
        account.shown = range(1_000)
        clock, glitch, changes = account.transport.clock, [], []

        def answer(method, path, number):
            if glitch and not ONE.fullmatch(path):
                glitch.clear()
                return 0.15, 200, page()
            return account.answer(method, path, number)

        account.transport.answer = answer
        async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:

            async def watch():
                async for change in client.servers.watch(interval=5):
                    changes.append(change)

            group.start_soon(watch)
            await clock.sleep(7)
            glitch.append(True)
            account.transport.asked.clear()
            await clock.sleep(20)
            group.cancel_scope.cancel()

        assert [change for change in changes if change.after is None] == []
        assert 0 < len(account.requests("get")) <= 140


class TestTrouble:
    @pytest.mark.parametrize("count", [1, 3], ids=["one GET", "several GETs"])
    async def test_what_a_hook_raises_is_a_failed_poll(self, count):
        """A wait goes on over it, and ends by it as by any outage; a watch raises it as it is, in no group."""
        account = Account()

        async def spoil(_response):
            raise LookupError("of the hook")

        async with scripted_client_of(account.transport) as client:
            client.http.event_hooks = {"response": [spoil]}
            with pytest.raises((WaitFailedError, LookupError)) as caught:
                if count == 1:
                    await client.servers.wait_until(7, status="active")
                else:
                    await anext(client.servers.watch([1, 2, 3]))

        error = caught.value.__cause__ if count == 1 else caught.value
        assert type(error) is LookupError
        assert str(error) == "of the hook"
        assert 60 <= account.transport.clock.now() <= 75


class TestServersThatHang:
    async def test_news_of_the_others_is_late_by_a_second_at_most(self):
        """W43: a GET that never ends must not hold up the rounds of its watch."""
        told_at = []

        def answer(_method, path, number):
            key = int(ONE.fullmatch(path)[1])
            return (1e6 if key == 3 else 0.02), 200, detail(key, hostname=f"host-{number}")

        transport = Scripted(answer)
        async with scripted_client_of(transport) as client:
            with transport.clock.move_on_after(120):
                async for change in client.servers.watch([1, 2, 3], interval=5, failures=None):
                    if change.after.id == 1:
                        told_at.append(transport.clock.now())

        gaps = [later - earlier for earlier, later in itertools.pairwise(told_at)]
        # The GET has its whole time once; then it is known to hang.
        assert sum(gap > 6.5 for gap in gaps) <= 1
        assert len(told_at) >= 20

    async def test_one_that_hangs_for_good_ends_the_watch_as_an_outage(self):
        """W43: although none of its GETs has had its whole time."""
        transport = Scripted(
            lambda _method, path, number: (1e6 if "3" in path else 0.02, 200, detail(1, hostname=f"host-{number}"))
        )

        async with scripted_client_of(transport) as client:
            with pytest.raises(APITimeoutError):
                async for _ in client.servers.watch([1, 2, 3], interval=5):
                    pass

        assert 60 <= transport.clock.now() <= 100

    async def test_one_that_responds_again_is_seen(self):
        """W43: also if it takes its time, and the others change at each round."""
        seen = []

        def answer(_method, path, number):
            key = int(ONE.fullmatch(path)[1])
            slow = 1e6 if transport.clock.now() < 40 else 3
            return (slow if key == 3 else 0.02), 200, detail(key, hostname=f"host-{number}")

        transport = Scripted(answer)
        async with scripted_client_of(transport) as client:
            with transport.clock.move_on_after(90):
                async for change in client.servers.watch([1, 2, 3], interval=5, failures=None):
                    if change.after.id == 3:
                        seen.append(transport.clock.now())

        assert len(seen) >= 5
