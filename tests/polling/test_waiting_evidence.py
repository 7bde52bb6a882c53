"""What polls prove when the API's clock goes back, when it queues commands, and when a status does not last."""

from __future__ import annotations

import functools

import anyio
import attrs
import pytest

from tests.helpers import action, detail, listed, page
from tests.rawserver import json
from tests.sharing import Scripted, scripted_client_of
from tests.waits import SEVEN, SkippingClock, skipping_client_of, tell
from vpsorg_async import PollPolicy, ServerGoneError, UnexpectedStatusError, WaitTimeoutError
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio
EACH_SECOND = PollPolicy(minimum=1, maximum=1)
DATE = "Wed, 15 Oct 2025 12:00:00 GMT"


def at(clock_time):
    return f"2025-10-15T{clock_time}Z"


@attrs.define(eq=False)
class TimedAPI:
    """An API whose servers show one state after another, by seconds on the client's clock since they were commanded.

    A state is the seconds from which it is shown, its status, and the other fields that it changes.
    """

    server: object
    clock: SkippingClock
    states: list = attrs.field(factory=list)
    says: str = "rebooting"
    keys: tuple = (7,)
    commanded: dict = attrs.field(factory=dict)
    down: int = 0

    def __attrs_post_init__(self):
        self.server.answer("GET", "/servers/", self.list)
        for key in self.keys:
            self.server.answer("GET", f"/servers/{key}/", functools.partial(self.get, key))
            for name in ("start", "stop", "reboot"):
                self.server.answer("POST", f"/servers/{key}/{name}/", functools.partial(self.command, key))
            self.server.answer("PATCH", f"/servers/{key}/", functools.partial(self.get, key))

    def age(self, key):
        return self.clock.now() - self.commanded[key] if key in self.commanded else -1.0

    def state(self, key):
        age = self.age(key)
        *_, (_, status, changes) = [state for state in self.states if state[0] <= age]
        return {"status": status, **changes}

    def get(self, key, _request):
        return json(200, detail(key, **self.state(key)))

    def list(self, _request):
        return json(200, page(*(listed(key, **self.state(key)) for key in self.keys)))

    def command(self, key, _request):
        self.commanded[key] = self.clock.now()
        self.down = max(self.down, sum(self.age(one) >= 0 and not self.is_back(one) for one in self.keys))
        return json(200, action(key, status=self.says), {"Date": DATE})

    def is_back(self, key):
        return self.age(key) >= self.states[-1][0]


def status(seconds, shown, updated_at=None, /, **changes):
    return seconds, shown, {**({} if updated_at is None else {"updated_at": at(updated_at)}), **changes}


# A node with a fast clock has set `stopping`; another one shows what comes after, with an older `updated_at`.
FAST_NODE = [
    status(-1, "active", "12:00:00"),
    status(0, "stopping", "12:03:10"),
    status(5, "stopped", "12:00:30"),
]


class TestClocksThatGoBack:
    async def test_what_polls_go_on_to_show_is_believed_after_the_grace(self, server):
        """W28: a node with a fast clock delays a wait by the grace and a poll, and does not blind it."""
        clock = SkippingClock()
        api = TimedAPI(server, clock, FAST_NODE)

        async with skipping_client_of(server, clock) as client:
            await client.servers.get(7)
            await client.servers.stop(7)
            await client.servers.wait_until(7, status="stopped", timeout=60)

        assert 20 <= api.age(7) < 5 + 15 + 5 + 1

    async def test_it_is_believed_by_many_waits_as_well(self):
        """W28: thirty waits, by lists and GETs."""
        began, ended, keys = {}, [], range(1, 31)

        def shown(key):
            age = transport.clock.now() - began.get(key, 1e9)
            if age < 0:
                return {"status": "active", "updated_at": at("12:00:00")}
            *_, (_, status_then, changes) = [state for state in FAST_NODE if state[0] <= age]
            return {"status": status_then, **changes}

        def answer(method, path, _number):
            if path == "/servers/":
                return 0.1, 200, page(*(listed(key, **shown(key)) for key in keys))
            key = int(path.split("/")[2])
            if method == "POST":
                began[key] = transport.clock.now()
                return 0.1, 200, action(key, status="stopping")
            return 0.1, 200, detail(key, **shown(key))

        async def stop(key):
            await client.servers.stop(key)
            stopped = await client.servers.wait_until(key, status="stopped", timeout=60)
            ended.append((stopped.status, transport.clock.now() - began[key] < 5 + 15 + 5 + 2))

        transport = Scripted(answer)
        began.update(dict.fromkeys(keys, 1e9))
        async with scripted_client_of(transport) as client:
            await client.servers.list()
            async with anyio.create_task_group() as group:
                for key in keys:
                    group.start_soon(stop, key)

        assert ended == [("stopped", True)] * 30

    async def test_many_waits_end_where_the_list_has_a_faster_clock_than_the_servers(self):
        """W28: a list shows the goal, and each GET that should confirm it looks older."""
        keys, made = range(1, 13), 10.0

        def shown(seconds):
            now = transport.clock.now()
            moment = f"2025-10-15T12:00:{int(made if now >= made else 0) + seconds:02}Z"
            return {"status": "active" if now >= made else "starting", "updated_at": moment}

        def answer(_method, path, _number):
            if path == "/servers/":
                return 0.1, 200, page(*(listed(key, **shown(3)) for key in keys))
            return 0.1, 200, detail(int(path.split("/")[2]), **shown(0))

        transport = Scripted(answer)
        late = []

        async def wait(key):
            await client.servers.wait_until(key, status="active", timeout=300)
            late.append(transport.clock.now() - made)

        async with scripted_client_of(transport) as client, anyio.create_task_group() as group:
            for key in keys:
                group.start_soon(wait, key)

        assert len(late) == 12
        assert max(late) <= 15 + 2 * PollPolicy().maximum

    async def test_a_shorter_grace_is_the_waits_own(self, server):
        """W28: each wait compares the time with its own grace."""
        clock = SkippingClock()
        api = TimedAPI(server, clock, FAST_NODE)

        async with skipping_client_of(server, clock) as client:
            await client.servers.get(7)
            await client.servers.stop(7)
            poll = PollPolicy(minimum=1, maximum=1, grace=2)
            await client.servers.wait_until(7, status="stopped", timeout=60, poll=poll)

        assert 7 <= api.age(7) < 10

    async def test_a_longer_grace_too(self, server):
        """W28: what the client believes after 15 s, a wait with a longer grace does not."""
        clock = SkippingClock()
        TimedAPI(server, clock, FAST_NODE)

        async with skipping_client_of(server, clock) as client:
            await client.servers.get(7)
            await client.servers.stop(7)
            poll = PollPolicy(minimum=1, maximum=1, grace=50)
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="stopped", timeout=40, poll=poll)

        assert (
            "polls have shown stopped since, which was held back: its updated_at 2025-10-15T12:00:30Z is older than "
            "2025-10-15T12:03:10Z, which was shown before"
        ) in str(caught.value)

    async def test_the_client_keeps_since_when_for_the_waits_that_follow(self, server):
        """W28: waits that are shorter than the grace do not begin it anew."""
        clock = SkippingClock()
        api = TimedAPI(server, clock, FAST_NODE)

        async with skipping_client_of(server, clock) as client:
            await client.servers.get(7)
            await client.servers.stop(7)
            for _ in range(4):
                with pytest.raises(WaitTimeoutError):
                    await client.servers.wait_until(7, status="stopped", timeout=4, poll=EACH_SECOND)
            await client.servers.wait_until(7, status="stopped", timeout=7, poll=EACH_SECOND)

        assert api.age(7) < 24

    async def test_a_replica_that_lags_for_less_than_the_grace_is_not_believed(self, server):
        """W28: an older `stopped` beside newer observations is the end of an earlier stop."""
        clock = SkippingClock()
        stale = [status(second, "stopped", "11:00:00") for second in range(1, 40, 2)]
        fresh = [status(second, "active", "12:00:00") for second in range(0, 40, 2)]
        states = sorted([status(-1, "active", "12:00:00"), *stale, *fresh, status(41, "stopped", "12:00:41")])
        api = TimedAPI(server, clock, states)

        async with skipping_client_of(server, clock) as client:
            await client.servers.get(7)
            await client.servers.stop(7)
            stopped = await client.servers.wait_until(
                7, status="stopped", timeout=90, poll=PollPolicy(minimum=0.5, maximum=0.5)
            )

        assert (stopped.updated_at.minute, stopped.updated_at.second, api.age(7) >= 41) == (0, 41, True)

    async def test_a_status_that_changes_within_the_same_stamp_counts(self, server):
        """W28: `updated_at` to the second tells no order within it."""
        clock = SkippingClock()
        TimedAPI(server, clock, [status(-1, "active"), status(0, "stopping"), status(2, "stopped")])

        async with skipping_client_of(server, clock) as client:
            await client.servers.get(7)
            await client.servers.stop(7)
            stopped = await client.servers.wait_until(7, status="stopped", timeout=10, poll=EACH_SECOND)

        assert stopped.status == "stopped"

    @pytest.mark.parametrize("first", ["list", "get"])
    async def test_a_list_to_the_second_is_no_contradiction_to_a_get(self, server, first):
        """W28: compared at the coarser precision, neither is older: the wait ends at its first poll."""
        stamps = {"list": ("12:00:00", "12:00:00.654321"), "get": ("12:00:00.654321", "12:00:00")}[first]
        server.answer("GET", "/servers/", json(200, page(listed(7, status="stopped", updated_at=at(stamps[0])))))
        first_get = detail(7, status="stopped", updated_at=at(stamps[0]))
        then = detail(7, status="active", updated_at=at(stamps[1]))
        server.answer("GET", SEVEN, [*([json(200, first_get)] if first == "get" else []), json(200, then)])

        async with skipping_client_of(server, SkippingClock()) as client:
            if first == "list":
                await client.servers.list()
            else:
                await client.servers.get(7)
            seen = await client.servers.wait_until(7, status="active", timeout=0)

        assert seen.status == "active"

    async def test_a_watch_tells_it_after_15_seconds(self, server):
        """W28: the watch goes on, too."""
        clock, told = SkippingClock(), []
        api = TimedAPI(server, clock, FAST_NODE)

        async with skipping_client_of(server, clock) as client:
            async for change in client.servers.watch([7], interval=1):
                told.append((change.after.status, 20 <= api.age(7) < 5 + 15 + 3))
                if change.after.status == "active":
                    await client.servers.stop(7)
                if change.after.status == "stopped":
                    break

        assert told == [("active", False), ("stopping", False), ("stopped", True)]


def queued(seconds, *, moves):
    """Return the states of a server whose reboot begins after so many seconds."""
    times = ("11:30:00", "12:01:30", "12:01:50") if moves else ("11:30:00",) * 3
    return [
        status(-1, "active", times[0]),
        status(seconds, "rebooting", times[1]),
        status(seconds + 20, "active", times[2]),
    ]


class TestQueuedReboots:
    @pytest.mark.parametrize(
        ("seconds", "says", "moves", "seen"),
        [
            (20, "rebooting", True, True),
            (20, "rebooting", True, False),
            (20, "active", True, False),
            (20, "active", False, True),
            (50, "rebooting", False, False),
            (90, "active", True, False),
            (90, "rebooting", True, True),
            (600, "rebooting", True, True),
        ],
    )
    async def test_a_reboot_is_not_over_before_it_has_begun(self, server, seconds, says, moves, seen):
        """W29: whatever its response says; 90 s later too where `updated_at` was seen to move with the status."""
        clock = SkippingClock()
        api = TimedAPI(server, clock, says=says)
        api.states = [
            status(-1, "active", "11:00:00"),
            status(0, "stopping", "11:00:05"),
            status(9, "stopped", "11:00:15"),
        ]

        async with skipping_client_of(server, clock) as client:
            if seen and moves:
                await (await (await client.servers.get(7)).stop()).wait()
            api.commanded.clear()
            api.states = queued(seconds, moves=moves)
            action = await (await client.servers.get(7)).reboot()
            rebooted = await action.wait()

        assert (rebooted.status, api.age(7) >= seconds + 20) == ("active", True)

    @pytest.mark.parametrize("moved", [False, True])
    async def test_where_updated_at_says_nothing_four_graces_decide_or_one(self, server, moved):
        """W29: once a change of the status without a move of `updated_at` was seen, one grace does."""
        clock = SkippingClock()
        api = TimedAPI(server, clock)
        api.states = [status(-1, "active"), status(0, "stopping"), status(9, "stopped")]

        async with skipping_client_of(server, clock) as client:
            if moved:
                await client.servers.get(7)
                await (await client.servers.stop(7)).wait()
            api.commanded.clear()
            api.states = [status(-1, "active")]
            await (await (await client.servers.get(7)).reboot()).wait()

        low, high = (15, 21) if moved else (60, 66)
        assert low <= api.age(7) < high

    @pytest.mark.parametrize("by", ["ids", "servers"])
    async def test_a_rolling_reboot_never_has_two_down(self, server, by):
        """W29: a fleet with `at_once=1` goes on when the server is back."""
        clock = SkippingClock()
        api = TimedAPI(server, clock, queued(20, moves=True), keys=(1, 2, 3))

        async with skipping_client_of(server, clock) as client:
            servers = api.keys if by == "ids" else await client.servers.list()
            report = await client.fleet(servers).reboot(at_once=1)

        assert (len(report.succeeded), api.down) == (3, 1)


class TestOtherChanges:
    @pytest.mark.parametrize("whose", ["somebody's", "ours"])
    async def test_a_rename_before_the_reboot_begins_proves_nothing(self, server, whose):
        """W41: the newer `updated_at` is that of the rename."""
        clock = SkippingClock()
        renamed = {} if whose == "ours" else {"name": "web-02"}
        states = queued(10, moves=True)
        states.insert(1, status(0 if whose == "ours" else 3, "active", "12:00:03", **renamed))
        states[2:] = [(seconds, name, {**changes, **renamed}) for seconds, name, changes in states[2:]]
        api = TimedAPI(server, clock, states)

        async with skipping_client_of(server, clock) as client:
            action = await (await client.servers.get(7)).reboot()
            if whose == "ours":
                await client.servers.update(7, name="web-01")
            await action.wait(poll=EACH_SECOND)

        assert api.age(7) >= 30

    async def test_an_api_that_moves_it_with_every_use_proves_nothing_by_it(self, server):
        """W41: two observations before have shown that nothing need have changed."""
        clock, ticks = SkippingClock(), iter(range(10**6))
        api = TimedAPI(server, clock, [status(-1, "active"), status(12, "rebooting"), status(30, "active")])

        def tick(_request):
            minutes, seconds = divmod(next(ticks), 60)
            return json(200, detail(7, **{**api.state(7), "updated_at": at(f"12:{minutes:02}:{seconds:02}")}))

        server.answer("GET", SEVEN, tick)
        async with skipping_client_of(server, clock) as client:
            await client.servers.get(7)
            await client.servers.get(7)
            await (await client.servers.reboot(7)).wait()

        assert api.age(7) >= 30


class TestBelief:
    async def test_a_reboot_by_way_of_stopped_is_no_failure(self, server):
        """W33: `stopped` for a moment is not where the reboot has ended."""
        clock = SkippingClock()
        TimedAPI(
            server, clock, [status(-1, "active"), status(1, "rebooting"), status(4, "stopped"), status(6, "active")]
        )

        async with skipping_client_of(server, clock) as client:
            action = await client.servers.reboot(7)
            rebooted = await action.wait(poll=EACH_SECOND)

        assert rebooted.status == "active"

    async def test_one_that_ends_in_stopped_between_two_polls_fails_when_no_replica_can_lag_any_more(self, server):
        """W33: no poll showed it `rebooting`, and `stopped` is for good."""
        clock = SkippingClock()
        api = TimedAPI(server, clock, [status(-1, "active"), status(2, "stopped")])

        async with skipping_client_of(server, clock) as client:
            await client.servers.get(7)
            with pytest.raises(UnexpectedStatusError, match="it was told to reboot and is now stopped"):
                await (await client.servers.reboot(7)).wait(timeout=900)

        assert 15 <= api.age(7) < 22

    async def test_nor_is_a_replica_that_shows_a_stop_of_before(self, server):
        """W33: every poll of the first 10 s shows it."""
        clock = SkippingClock()
        TimedAPI(
            server,
            clock,
            [status(-1, "active"), status(0.5, "stopped"), status(10, "rebooting"), status(14, "active")],
        )

        async with skipping_client_of(server, clock) as client:
            rebooted = await (await client.servers.reboot(7)).wait(poll=EACH_SECOND)

        assert rebooted.status == "active"

    async def test_a_flapping_replica_fails_nothing(self, server):
        """W33: the wrong status has to be shown by every poll over 3 s."""
        flaps = ["suspended", "starting"] * 10
        tell(server, "starting", *flaps, "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            seen = await client.servers.wait_until(7, status="active", poll=EACH_SECOND)

        assert seen.status == "active"

    @pytest.mark.parametrize(("first", "lasting"), [("starting", "stopped"), ("active", "suspended")])
    async def test_one_that_lasts_is_believed_after_3_seconds(self, server, first, lasting):
        """W33: and a poll is due then, whatever pause the wait has come to."""
        clock = SkippingClock()
        TimedAPI(server, clock, [status(-1, first), status(300, lasting)])

        async with skipping_client_of(server, clock) as client:
            await client.servers.stop(7)
            goal = "active" if first == "starting" else "stopped"
            with pytest.raises(UnexpectedStatusError) as caught:
                await client.servers.wait_until(7, status=goal, timeout=900)

        assert 2.9 <= clock.now() - caught.value.history[-1].at < 4.5

    async def test_longer_intervals_of_the_users_stand(self, server):
        """W33: with 10 s between polls, the second one that shows it is believed."""
        clock = SkippingClock()
        tell(server, "starting", "stopped")

        async with skipping_client_of(server, clock) as client:
            with pytest.raises(UnexpectedStatusError):
                await client.servers.wait_until(7, status="active", poll=PollPolicy(minimum=10, maximum=10))

        assert len(server.requests) == 3

    @pytest.mark.parametrize("told", [("starting", "stopped"), ("suspended",)], ids=["ended elsewhere", "suspended"])
    async def test_it_is_believed_at_the_deadline(self, server, told):
        """W33: also if it was shown by the last poll alone."""
        tell(server, *told)

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(UnexpectedStatusError):
                await client.servers.wait_until(
                    7, status="active", timeout=0 if len(told) == 1 else 10, poll=PollPolicy(minimum=10, maximum=10)
                )

    async def test_404_of_one_nobody_knows_is_believed_at_the_deadline(self, server):
        """W35: `timeout=0` is one poll."""
        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(ServerGoneError):
                await client.servers.wait_until(7, status="active", timeout=0)


class TestAge:
    @pytest.mark.parametrize(("command", "then"), [("start", "stop"), ("stop", "start")])
    async def test_a_command_that_nobody_waited_for_decides_nothing_hours_later(self, command, then):
        """W42: others have changed the server since."""
        sandbox = Sandbox(servers=1)
        mine, other = sandbox.client(), sandbox.client()
        (server,) = await mine.servers.list()
        if command == "start":
            await (await mine.servers.stop(server)).wait()
        await getattr(mine.servers, command)(server)
        sandbox.advance(1800)
        goal = "stopped" if then == "stop" else "active"
        await (await getattr(other.servers, then)(server)).wait()

        seen = await mine.servers.wait_until(server, status=goal, timeout=0)

        assert seen.status == goal
        await mine.aclose()
        await other.aclose()

    async def test_within_a_wait_it_ages_too(self, server):
        """W42: 15 minutes after the start was accepted `stopped` is `stopped`."""
        clock = SkippingClock()
        api = TimedAPI(server, clock, [status(-1, "stopped")])

        async with skipping_client_of(server, clock) as client:
            await client.servers.start(7)
            stopped = await client.servers.wait_until(7, status="stopped", timeout=3600)

        assert (stopped.status, 900 <= api.age(7) < 910) == ("stopped", True)
