"""An API that says "too many": how long to wait, how fast to go on, and how much a failing API is asked."""

from __future__ import annotations

import collections
import itertools
import json as jsonlib
import math
import random
import re
import threading
import time

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import httpx
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail, listed, page
from tests.rawserver import json, raw
from vpsorg_async import Client, PollPolicy, RetryPolicy, WaitTimeoutError
from vpsorg_async._errors import RateLimitError, ServerError
from vpsorg_async._request.rate_control import FIRST_BURST, SILENCE, SLOWEST, RateControl
from vpsorg_async.sandbox._clocks.virtual import VirtualClock


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.001, maximum=0.001)
PATH = "/servers/7/"
ANY = re.compile(".*")
QUICK_POLL = PollPolicy(minimum=0.1, maximum=0.1)
SLOW_DOWN = {"detail": "Request was throttled."}


def client_of(server, **options):
    return Client("vps_test_token", base_url=server.base_url, **{"retry": QUICK, **options})


def date(seconds=0.0):
    return format_datetime(datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), usegmt=True)


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        "headers",
        [
            {"Retry-After": "0"},
            {"Retry-After": "0.01"},
            {"Retry-After": "-5"},
            {"Retry-After": "-0"},
            {"Retry-After": " 0 "},
            {"Retry-After": date(-3600), "Date": date()},
            {"Retry-After": date(), "Date": date()},
            {"Retry-After": "Tue, 01 Jan 1980 00:00:00 GMT"},
        ],
        ids=str,
    )
    async def test_what_is_short_or_past_is_waited_for(self, server, status, headers):
        """R7: seconds, an HTTP date, 0, negative, a date in the past."""
        limited = json(status, SLOW_DOWN, headers)
        server.answer("GET", PATH, [*[limited] * 6, json(200, detail())])

        async with client_of(server) as client:
            assert (await client.servers.get(7)).id == 7

        assert len(server.requests) == 7

    @pytest.mark.parametrize(
        "value", ["nan", "inf", "-inf", "soon", "", "1e3", "0x10", "1 2", "\u0661", "Wed, 99 Foo 2030", "9" * 400, ","]
    )
    async def test_garbage_on_a_429_is_as_good_as_nothing(self, server, value):
        """R7: at least the policy's first pause is made."""
        server.answer(
            "GET", PATH, [json(429, SLOW_DOWN, {"Retry-After": value.encode().decode("latin-1")}), json(200, detail())]
        )
        events = []

        async with client_of(server, on_event=events.append) as client:
            assert (await client.servers.get(7)).id == 7

        assert [event.fields["seconds"] for event in events if event.name == "call.paused"] == [0.001]

    @pytest.mark.parametrize(
        ("lines", "seconds"),
        [(["5", "90"], 90.0), (["90", "soon"], 90.0), (["90", date(80)], 90.0), ([date(90), "5"], 90.0)],
        ids=str,
    )
    async def test_of_two_the_longer_one_holds(self, server, lines, seconds):
        """R7: two proxies may have added one each."""
        head = "".join(f"Retry-After: {line}\r\n" for line in lines)
        server.answer("GET", PATH, raw(f"HTTP/1.1 429 Slow\r\nDate: {date()}\r\n{head}\r\n{{}}".encode()))

        async with client_of(server, timeout=60) as client:
            with anyio.fail_after(20), pytest.raises(RateLimitError) as caught:
                await client.servers.get(7)

        assert caught.value.retry_after == seconds

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "3600"}, 3600.0),
            ({"Retry-After": "1000000000000"}, 1e12),
            ({"Retry-After": date(90), "Date": date()}, 90.0),
            ({"Retry-After": "60.5"}, 60.5),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 600])
    async def test_one_that_is_longer_than_the_time_left_is_the_error_at_once(self, server, status, headers, seconds):
        """R7: nobody sleeps for what cannot come; `retry_after` tells the caller."""
        server.answer("GET", PATH, json(status, SLOW_DOWN, headers))

        async with client_of(server, timeout=60) as client:
            with anyio.fail_after(20), pytest.raises(RateLimitError if status == 429 else ServerError) as caught:
                await client.servers.get(7)

        assert caught.value.retry_after == seconds
        assert caught.value.attempts == len(server.requests) == 1
        assert str(caught.value) == (
            f"GET /servers/7/ was answered {status}: Request was throttled.; "
            f"it asks for a pause of {math.ceil(seconds)} s"
        )

    async def test_the_api_clock_counts_and_not_ours(self, server):
        """R7: a date is compared with the response's own `Date`."""
        server.answer(
            "GET", PATH, [json(429, SLOW_DOWN, {"Retry-After": date(0.0), "Date": date(-0.0)}), json(200, detail())]
        )

        async with client_of(server, timeout=5) as client:
            assert (await client.servers.get(7)).id == 7

    @pytest.mark.parametrize("call", ["create", "reboot"])
    async def test_a_refused_create_or_reboot_is_sent_again(self, server, call):
        """R7: 429, and 503 with Retry-After, say that it was not carried out."""
        limited = [json(429, SLOW_DOWN, {"Retry-After": "0"}), json(503, {}, {"Retry-After": "0"})]
        server.answer("POST", "/servers/", [*limited, json(201, detail())])
        server.answer("POST", f"{PATH}reboot/", [*limited, json(200, {"status": "success", "server": detail()})])

        async with client_of(server) as client:
            if call == "create":
                await client.servers.create(name="a", plan_id=1, os_id=5, location="us-west")
            else:
                await client.servers.reboot(7)

        assert [request.method for request in server.requests] == ["POST"] * 3

    @pytest.mark.parametrize("status", [429, 503])
    async def test_it_costs_neither_attempts_nor_budget(self, server, status):
        """R7: only the call's time bounds it."""
        server.answer("GET", PATH, [*[json(status, SLOW_DOWN, {"Retry-After": "0"})] * 30, json(200, detail())])

        async with client_of(server, retry=RetryPolicy(attempts=1, initial=0.001, maximum=0.001)) as client:
            assert (await client.servers.get(7)).id == 7

        assert len(server.requests) == 31

    async def test_a_503_makes_its_own_call_wait_and_no_other(self, server):
        """R7: it may be about one server alone, where a 429 counts the calls to all."""
        server.answer("GET", PATH, json(503, {}, {"Retry-After": "30"}))
        server.answer("GET", "/servers/8/", json(200, detail(8)))
        paused = anyio.Event()

        client = client_of(server, timeout=60, on_event=lambda event: event.name == "call.paused" and paused.set())
        async with client, anyio.create_task_group() as group:
            group.start_soon(client.servers.get, 7)
            await paused.wait()
            with anyio.fail_after(60):
                assert (await client.servers.get(8)).id == 8
            group.cancel_scope.cancel()

        assert len(server.requests_to("GET", PATH)) == 1

    async def test_jitter_is_not_what_a_call_fails_by(self, server):
        """R7: there is time for the API's pause, and none for a longer one."""
        server.answer("GET", PATH, [json(429, SLOW_DOWN, {"Retry-After": "0.05"}), json(200, detail())])

        async with client_of(server, timeout=5, retry=RetryPolicy(initial=1e6, maximum=1e6)) as client:
            assert (await client.servers.get(7)).id == 7


class LimitedApi(httpx.AsyncBaseTransport):
    """Takes so many calls a second, as its clock says, and answers the rest 429."""

    def __init__(self, clock, counting, latency):
        self.clock = clock
        self.answered = []
        self._takes = COUNTING[counting]()
        self._latency = latency
        self._chance = random.Random(7)

    async def handle_async_request(self, request):
        with self.clock.answering():
            await self.clock.sleep(self._latency * self._chance.uniform(0.3, 0.7))
            good = self._takes(self.clock.now())
            self.answered.append((self.clock.now(), good))
            await self.clock.sleep(self._latency * self._chance.uniform(0.3, 0.7))
        if good:
            return httpx.Response(200, stream=httpx.ByteStream(jsonlib.dumps(self.answer(request)).encode()))
        return httpx.Response(429, headers={"Retry-After": "1"}, stream=httpx.ByteStream(b"{}"))

    def answer(self, _request):
        return detail()


class LimitedList(LimitedApi):
    """The same, with 3,000 servers on thirty pages, that get active between the second minute and the fifth."""

    def answer(self, request):
        if "page_size" not in request.url.params:
            return detail(7)
        number = int(request.url.params.get("page", "1"))
        link = f"https://api.example/servers/?page_size=100&page={number + 1}" if number < 30 else None
        servers = (listed(100 * (number - 1) + place) for place in range(100))
        return page(*({**one, "status": self.status(one["id"])} for one in servers), count=3_000, next=link)

    def status(self, server_id):
        return "active" if self.clock.now() > 120 + server_id * 7 % 180 else "provisioning"


class SecondPageRefused(LimitedList):
    """The same, with all of them active from the first, and the second page refused so many times."""

    def __init__(self, clock, *, retry_after, times=math.inf):
        super().__init__(clock, "bucket", 0.05)
        self._headers = {"Retry-After": str(retry_after)}
        self._left = times

    async def handle_async_request(self, request):
        response = await super().handle_async_request(request)
        if request.url.params.get("page") == "2" and self._left > 0:
            self._left -= 1
            return httpx.Response(429, headers=self._headers, stream=httpx.ByteStream(b"{}"))
        return response

    def status(self, _server_id):
        return "active"


def fixed_window(limit=10, seconds=1.0, offset=0.6):
    taken = collections.Counter()

    def takes(now):
        window = math.floor((now + offset) / seconds)
        taken[window] += 1
        return taken[window] <= limit

    return takes


def sliding_window(limit=10, seconds=1.0):
    times = collections.deque()

    def takes(now):
        while times and times[0] <= now - seconds:
            times.popleft()
        if len(times) < limit:
            times.append(now)
            return True
        return False

    return takes


def bucket(limit=10, seconds=1.0):
    level, at = float(limit), 0.0

    def takes(now):
        nonlocal level, at
        level, at = min(limit, level + (now - at) * limit / seconds), now
        if level < 1:
            return False
        level -= 1
        return True

    return takes


COUNTING = {"fixed window": fixed_window, "sliding window": sliding_window, "bucket": bucket}


def most_in_a_second(times, second=1.0):
    """Return how many of *times* lie in the fullest second, wherever it begins."""
    most, first = 0, 0
    for index, at in enumerate(times):
        while at - times[first] >= second:
            first += 1
        most = max(most, index - first + 1)
    return most


class TestPaceOfAClient:
    @pytest.mark.heavy
    @pytest.mark.parametrize(
        ("counting", "connections", "latency"),
        [
            ("fixed window", 100, 0.1),
            ("sliding window", 100, 0.1),
            ("bucket", 100, 0.1),
            ("sliding window", 1000, 0.5),
            ("fixed window", 100, 0.5),
            ("bucket", 100, 0.5),
            ("sliding window", 10, 0.005),
        ],
    )
    async def test_a_thousand_calls_at_ten_a_second_all_succeed(self, counting, connections, latency):
        """R8: however the API counts, at most 2 requests a call, and 30 in a second once it said "too many"."""
        clock = VirtualClock()
        api = LimitedApi(clock, counting, latency)
        client = Client._over(
            api, clock, token="t", base_url="https://api.example", timeout=180, max_connections=connections
        )
        found = []

        async def call(number):
            found.append(await client.servers.get(number))

        async with client, anyio.create_task_group() as group:
            for number in range(1000):
                group.start_soon(call, number)

        first = [good for _, good in api.answered].index(False)
        assert len(found) == 1000
        assert len(api.answered) <= 1100
        assert most_in_a_second([at for at, _ in api.answered[first:]]) <= 30

    @pytest.mark.heavy
    @pytest.mark.parametrize("counting", COUNTING)
    async def test_the_same_over_a_socket_and_five_times_as_fast(self, server, counting):
        """R8: 100 calls at 10 in 0.2 s, with `Retry-After: 0.2`."""
        takes, lock, refused_at, after = COUNTING[counting](10, 0.2), threading.Lock(), [], []

        def answer(request):
            with lock:
                now = time.monotonic()
                good = takes(now)
                if not good:
                    refused_at.append(now)
                if refused_at:
                    after.append(now)
            return json(200, detail()) if good else json(429, SLOW_DOWN, {"Retry-After": "0.2"})

        server.answer("GET", PATH, answer)
        async with Client("t", base_url=server.base_url, timeout=60) as client, anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(client.servers.get, 7)

        assert len(server.requests) <= 300
        assert most_in_a_second(after, 0.2) <= 30

    @pytest.mark.heavy
    async def test_an_api_without_a_limit_is_not_held_up(self):
        """R8: the care of a fresh client costs a few round trips and no more."""
        clock = VirtualClock()
        api = LimitedApi(clock, "bucket", 0.1)
        api._takes = lambda now: True
        client = Client._over(api, clock, token="t", base_url="https://api.example")

        async with client, anyio.create_task_group() as group:
            for number in range(1000):
                group.start_soon(client.servers.get, number)

        # 1.0 s would be the least: ten round trips of a hundred calls.
        assert clock.now() < 1.4

    async def test_the_first_hundred_calls_of_a_client_take_three_round_trips(self):
        """R8: what is on the wire doubles with each of them."""
        clock = VirtualClock()
        api = LimitedApi(clock, "bucket", 0.1)
        api._takes = lambda now: True
        client = Client._over(api, clock, token="t", base_url="https://api.example")

        async with client, anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(client.servers.get, number)

        assert clock.now() < 0.4

    @pytest.mark.heavy
    @pytest.mark.parametrize("counting", COUNTING)
    async def test_reads_and_changes_together_keep_to_the_bound_too(self, counting):
        """R8: a 429 to one kind makes the others careful, and the second says that the API counts all together."""
        clock = VirtualClock()
        api, done = LimitedApi(clock, counting, 0.5), []
        client = Client._over(api, clock, token="t", base_url="https://api.example", timeout=180)

        async def call(number):
            change = client.servers.update(number, name="web-01") if number % 2 else client.servers.get(number)
            done.append(await change)

        async with client, anyio.create_task_group() as group:
            for number in range(300):
                group.start_soon(call, number)

        first = [good for _, good in api.answered].index(False)
        assert len(done) == 300
        assert most_in_a_second([at for at, _ in api.answered[first:]]) <= 30


class TestLooks:
    async def waited(self, api, *, poll, count=3_000):
        """Return who was seen to get active, of the last *count*, and when."""
        clock, done = api.clock, set()
        client = Client._over(api, clock, token="t", base_url="https://api.example")

        async def wait(server_id):
            await client.servers.wait_until(server_id, status="active", detail=False, poll=poll)
            done.add(server_id)

        async with client, anyio.create_task_group() as group:
            for server_id in range(3_000 - count, 3_000):
                group.start_soon(wait, server_id)
        return done, clock.now()

    @pytest.mark.heavy
    async def test_the_last_pages_are_reached_although_a_poll_is_more_than_a_second_takes(self):
        """Also by polls so far apart that the pause after the last one's 429 is long over."""
        api = LimitedList(VirtualClock(), "bucket", 0.05)

        done, now = await self.waited(api, poll=PollPolicy(minimum=10, maximum=30))

        assert done == {*range(3_000)}
        assert now < 400

    async def test_the_last_pages_are_reached_although_each_poll_is_refused_on_its_way(self):
        """One call in eight is answered 429: a poll goes on where it was refused."""
        api, numbers = LimitedList(VirtualClock(), "bucket", 0.05), itertools.count(1)
        api._takes = lambda _now: next(numbers) % 8

        done, now = await self.waited(api, poll=PollPolicy(), count=100)

        assert done == {*range(2_900, 3_000)}
        # By the order in which trio takes the pages, 260 to 480 in eighty runs; the last server is there after 300.
        assert now < 600

    async def test_who_has_been_seen_does_not_wait_for_the_pause_that_a_later_page_asks_for(self):
        clock, seen = VirtualClock(), {}
        api = SecondPageRefused(clock, retry_after=30, times=1)
        client = Client._over(api, clock, token="t", base_url="https://api.example")

        async def wait(server_id):
            await client.servers.wait_until(server_id, status="active", detail=False)
            seen[server_id] = clock.now()

        async with client, anyio.create_task_group() as group:
            for server_id in range(200):
                group.start_soon(wait, server_id)

        assert max(seen[number] for number in range(100)) < 5
        assert min(seen[number] for number in range(100, 200)) >= 30
        assert max(seen.values()) < 60

    async def test_a_refusal_that_is_longer_than_somebody_has_time_for_ends_the_poll_with_what_it_has_shown(self):
        clock, ended = VirtualClock(), {}
        api = SecondPageRefused(clock, retry_after=600)
        client = Client._over(api, clock, token="t", base_url="https://api.example")

        async def wait(server_id):
            try:
                await client.servers.wait_until(server_id, status="active", detail=False, timeout=100)
            except WaitTimeoutError as error:
                ended[server_id] = str(error)
            else:
                ended[server_id] = "done"

        async with client, anyio.create_task_group() as group:
            for server_id in range(200):
                group.start_soon(wait, server_id)

        assert [ended[number] for number in range(100)] == ["done"] * 100
        assert all("the API asks not to be called for 600 s" in ended[number] for number in range(100, 200))
        assert clock.now() < 5


class TestTurns:
    @pytest.mark.heavy
    @pytest.mark.parametrize("counting", COUNTING)
    async def test_updates_come_through_the_polls_of_2_000_waits(self, counting):
        """R30: 20 of them within 10 s, on an API of 10 calls a second that the polls alone would use up."""
        api = LimitedList(VirtualClock(), counting, 0.05)
        client = Client._over(api, api.clock, token="t", base_url="https://api.example")
        updated = []

        async def wait(server_id):
            await client.servers.wait_until(server_id, status="active", detail=False)

        async def update(server_id):
            began = api.clock.now()
            await client.servers.update(server_id, name="web-01")
            updated.append(api.clock.now() - began)

        async with client, anyio.create_task_group() as waits:
            for server_id in range(2_000):
                waits.start_soon(wait, server_id)
            await api.clock.sleep(30)
            async with anyio.create_task_group() as updates:
                for server_id in range(20):
                    updates.start_soon(update, server_id)
            waits.cancel_scope.cancel()

        assert len(updated) == 20
        assert max(updated) <= 10


class TestPace:
    def test_a_fresh_client_begins_with_a_small_burst(self):
        pace, on_wire = RateControl(100), 0
        while pace.may_begin(0.0, on_wire):
            pace.begin(0.0, on_wire)
            on_wire += 1

        assert on_wire == FIRST_BURST

    def test_it_never_lets_more_begin_than_there_are_connections(self):
        pace = RateControl(3)

        assert pace.may_begin(0.0, 2)
        assert not pace.may_begin(0.0, 3)
        assert pace.changes_at(3) is None

    def test_calls_that_are_not_answered_hold_up_the_others_for_a_while_only(self):
        pace = RateControl(100)
        pace.begin(0.0, 0)

        assert not pace.may_begin(0.9 * SILENCE, FIRST_BURST)
        assert pace.changes_at(FIRST_BURST) == SILENCE
        assert pace.may_begin(SILENCE, FIRST_BURST)

    def test_answers_to_a_wire_that_is_not_full_let_nothing_grow(self):
        pace = RateControl(100)
        for second in range(500):
            pace.begin(float(second), 0)
            pace.answered(second + 0.5, 1)

        assert not pace.may_begin(499.5 + SILENCE / 2, FIRST_BURST)

    def test_nobody_begins_in_a_pause(self):
        pace = RateControl(100)
        pace.refused(10.0, 3.0)

        assert not pace.may_begin(12.9, 0)
        assert pace.changes_at(0) == 13.0
        assert pace.may_begin(13.0, 0)

    @pytest.mark.parametrize("lost", [0, 10])
    @pytest.mark.parametrize("late", [0, 3])
    def test_after_it_calls_are_spaced_by_what_was_taken_before(self, lost, late):
        pace = RateControl(100)

        def note(numbers):
            # An API counts a call whose response gets lost, too.
            for number in numbers:
                pace.lost(10.0, began=9.9) if number < lost else pace.answered(10.0, 1, began=9.9)

        note(range(late, 10))
        pace.refused(10.1, 1.0, began=10.0)
        note(range(late))

        begun, now = [], 11.1
        while now < 13.1:
            if pace.may_begin(now, 0):
                pace.begin(now, 0)
                begun.append(now)
            now += 0.005
        assert 15 <= len(begun) <= 17
        assert all(0.115 < later - earlier < 0.14 for earlier, later in itertools.pairwise(begun))

    def test_a_crowd_refused_at_once_is_one_refusal(self):
        pace = RateControl(100)
        for _ in range(100):
            pace.answered(10.0, 1)
        for _ in range(50):
            pace.refused(10.1, 1.0, began=10.0)

        pace.begin(11.2, 0)
        assert pace.changes_at(0) == pytest.approx(11.1 + 1 / 80, abs=0.2)

    def test_one_refusal_out_of_the_blue_does_not_stop_a_client_that_asks_little(self):
        pace = RateControl(100)
        pace.refused(0.0, 60.0)
        pace.begin(60.0, 0)

        assert pace.changes_at(0) <= 60.0 + 1 / SLOWEST

    def test_what_was_learned_is_forgotten_after_a_quiet_time(self):
        pace = RateControl(100)
        pace.refused(0.0, 1.0)
        pace.begin(1.0, 0)

        assert pace.may_begin(100.0, 0)
        pace.begin(100.0, 0)
        assert pace.may_begin(100.0, 1)

    def test_what_was_learned_outlives_the_half_minute_between_two_polls(self):
        pace = RateControl(100)
        pace.refused(0.0, 1.0)
        pace.begin(1.0, 0)

        assert pace.may_begin(31.0, 0)
        pace.begin(31.0, 0)
        assert not pace.may_begin(31.0, 1)

    @given(
        st.integers(1, 50),
        st.lists(
            st.tuples(
                st.sampled_from(["begin", "answered", "refused"]), st.floats(0, 5), st.floats(0, 100), st.booleans()
            ),
            max_size=60,
        ),
    )
    def test_whatever_happens_somebody_may_begin_at_the_time_it_names(self, size, story):
        pace, now, on_wire = RateControl(size), 0.0, 0
        for what, passed, pause, late in story:
            now += passed
            if what == "begin" and pace.may_begin(now, on_wire):
                pace.begin(now, on_wire)
                on_wire += 1
            elif what != "begin" and on_wire:
                began = now - 1 if late else now
                pace.answered(now, on_wire, began=began) if what == "answered" else pace.refused(
                    now, pause, began=began
                )
                on_wire -= 1

        changes_at = pace.changes_at(on_wire)
        assert pace.may_begin(now, on_wire) or changes_at is None or pace.may_begin(max(now, changes_at), on_wire)
