"""The virtual clock: when it jumps, when it does not, and which tasks it wakes."""

from __future__ import annotations

import asyncio
import math
import random

import anyio
import pytest

from anyio.lowlevel import checkpoint

from vpsorg_async.sandbox._clocks.scaled import ScaledClock
from vpsorg_async.sandbox._clocks.virtual import QUIET, VirtualClock


pytestmark = pytest.mark.anyio


@pytest.fixture
def clock():
    return VirtualClock()


async def turns(number=QUIET * 3):
    for _ in range(number):
        await checkpoint()


class TestJumping:
    async def test_a_sleep_ends_exactly_when_it_is_due(self, clock):
        """The sleep takes no real time."""
        await clock.sleep(300)
        await clock.sleep(0.25)

        assert clock.now() == 300.25

    async def test_sleepers_wake_in_order_of_due_time(self, clock):
        """Each wakes at its own time, whatever the order of the calls."""
        woken = []

        async def sleep(seconds):
            await clock.sleep(seconds)
            woken.append((seconds, clock.now()))

        async with anyio.create_task_group() as tasks:
            for seconds in (30, 10, 20, 86_400):
                tasks.start_soon(sleep, seconds)

        assert woken == [(seconds, seconds) for seconds in (10, 20, 30, 86_400)]

    async def test_sleeping_for_nothing_only_yields(self, clock):
        """Zero and negative seconds are allowed."""
        await clock.sleep(0)
        await clock.sleep(-5)

        assert clock.now() == 0

    async def test_tasks_that_wake_tasks_are_waited_for(self, clock):
        """A chain of two task groups and an event takes no time of the clock."""
        seen = []

        async def leaf():
            await checkpoint()

        async def branch(levels):
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(*((branch, levels - 1) if levels else (leaf,)))

        async def work():
            done = anyio.Event()

            async def wait():
                await done.wait()
                seen.append(clock.now())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await clock.sleep(5)
                await branch(1)
                done.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, 5.5)
            tasks.start_soon(work)

        assert seen == [5]

    @pytest.mark.heavy
    async def test_ten_thousand_sleepers_are_all_woken(self, clock):
        """Each wakes at its own time, whatever the order."""
        chance = random.Random(7)
        late = []

        async def sleep(seconds):
            await clock.sleep(seconds)
            late.append(clock.now() - seconds)

        async with anyio.create_task_group() as tasks:
            for _ in range(10_000):
                tasks.start_soon(sleep, chance.randrange(1, 500))

        assert (len(late), set(late), clock.now()) == (10_000, {0}, 499)

    @pytest.mark.heavy
    async def test_time_stands_still_while_ten_thousand_sleepers_work_in_between(self, clock):
        """Some yield a few times, some answer a request for many more than `QUIET` turns."""
        chance = random.Random(8)
        late, worked = [], 0

        async def work(number):
            for _ in range(number % 5):
                await anyio.lowlevel.checkpoint()
            if number % 100 == 0:
                with clock.answering():
                    for _ in range(50):
                        await anyio.lowlevel.checkpoint()

        async def sleep_and_work(number):
            nonlocal worked
            due = 0
            for _ in range(3):
                seconds = chance.randrange(1, 200)
                await clock.sleep(seconds)
                due += seconds
                await work(number)
                late.append(clock.now() - due)
                worked += 1

        async with anyio.create_task_group() as tasks:
            for number in range(10_000):
                tasks.start_soon(sleep_and_work, number)

        assert (worked, set(late)) == (30_000, {0})

    async def test_any_mix_of_sleeps_deadlines_and_cancels_ends(self, clock):
        """No wakeup is lost, no deadline is missed, and no entry is left."""
        chance = random.Random(1)
        wrong = []

        async def one(sleep, limit):
            began = clock.now()
            with clock.move_on_after(limit) as scope:
                await clock.sleep(sleep)
            if (scope.cancelled_caught, clock.now() - began) != (limit < sleep, min(limit, sleep)):
                wrong.append((sleep, limit, clock.now() - began))

        async def doomed():
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(clock.sleep, chance.randrange(1, 100))
                    await turns(chance.randrange(20))
                    scope.cancel()

        async with anyio.create_task_group() as tasks:
            for _ in range(300):
                sleep, limit = chance.sample(range(1, 100), 2)
                tasks.start_soon(one, sleep, limit)
                tasks.start_soon(doomed)

        assert wrong == []
        assert (clock._leader, len(clock._sleepers)) == (None, 0)


class TestDeadlines:
    async def test_a_scope_ends_at_its_deadline_and_says_so(self, clock):
        """The inner scope ends, because it is due first."""
        with clock.move_on_after(20) as outer:
            with clock.move_on_after(10) as inner:
                await clock.sleep(math.inf)
            seen = clock.now()

        assert (inner.cancelled_caught, outer.cancelled_caught, seen) == (True, False, 10)

    async def test_the_outer_scope_s_deadline_is_not_the_inner_one_s(self, clock):
        """Each scope knows whether it ended the code."""
        with clock.move_on_after(10) as outer, clock.move_on_after(20) as inner:
            await clock.sleep(15)

        assert (inner.cancelled_caught, outer.cancelled_caught, clock.now()) == (False, True, 10)

    async def test_a_scope_that_was_left_is_never_reached(self, clock):
        """Its deadline has no effect."""
        with clock.move_on_after(10) as scope:
            await clock.sleep(3)
        await clock.sleep(20)

        assert (scope.cancelled_caught, clock.now()) == (False, 23)

    @pytest.mark.parametrize("seconds", [None, math.inf])
    async def test_a_scope_without_end_has_none(self, clock, seconds):
        """Only `cancel` ends it."""
        with clock.move_on_after(seconds) as scope:
            await clock.sleep(1000)
            scope.cancel()
            await checkpoint()

        assert (scope.cancelled_caught, clock.now()) == (True, 1000)

    @pytest.mark.parametrize("seconds", [0, -1])
    async def test_a_deadline_that_has_passed_cancels_at_once(self, clock, seconds):
        """The cancel arrives at the first checkpoint, as with anyio's own scopes."""
        with clock.move_on_after(seconds) as scope:
            await checkpoint()

        assert (scope.cancelled_caught, clock.now()) == (True, 0)

    async def test_without_a_sleeper_time_stands_still(self, clock):
        """A task must be doing other work then."""
        with clock.move_on_after(1) as scope:
            await turns()

        assert (scope.cancelled_caught, clock.now()) == (False, 0)

    async def test_scopes_left_early_do_not_pile_up(self, clock):
        """10,000 calls that end long before their deadlines leave almost no entries."""
        for _ in range(10_000):
            with clock.move_on_after(30):
                pass

        assert len(clock._heap) < 250


class TestCancelling:
    async def test_another_sleeper_leads_when_the_leader_is_cancelled(self, clock):
        """The cancel may come at any moment."""
        for moment in range(QUIET + 3):
            began = clock.now()
            async with anyio.create_task_group() as tasks:
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as doomed:
                        doomed.start_soon(clock.sleep, 100)
                        await checkpoint()
                        tasks.start_soon(clock.sleep, 200)
                        await turns(moment)
                        scope.cancel()
            assert clock.now() - began in {200, 300}

    async def test_the_leader_may_be_woken_first(self, clock):
        """The other sleepers continue."""
        async with anyio.create_task_group() as tasks:
            for seconds in (1, 2, 3):
                tasks.start_soon(clock.sleep, seconds)

        assert clock.now() == 3


@pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"]
)
class TestAsyncioItself:
    async def test_a_cancelled_task_s_sleep_leaves_nothing(self, clock):
        """`task.cancel()` may hit the leader or another sleeper."""
        tasks = [asyncio.create_task(clock.sleep(seconds)) for seconds in (math.inf, math.inf, 5)]
        await turns(1)
        tasks[0].cancel()
        tasks[1].cancel()

        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert [type(result).__name__ for result in results] == ["CancelledError", "CancelledError", "NoneType"]
        assert (clock.now(), len(clock._sleepers)) == (5, 0)

    async def test_asyncio_s_timeout_ends_a_sleep(self, clock):
        """The deadline is in real time, and the sleep has no end."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await clock.sleep(math.inf)

        await clock.sleep(5)
        assert clock.now() == 5

    async def test_a_gather_that_ends_is_waited_for(self, clock):
        """A nested `gather` is waited for too."""

        async def work():
            await clock.sleep(5)
            await asyncio.gather(*(asyncio.gather(checkpoint(), checkpoint()) for _ in range(2)))
            return clock.now()

        assert await asyncio.gather(work(), clock.sleep(5.5)) == [5, None]


class TestAnswering:
    async def test_time_stands_still_while_a_request_is_answered(self, clock):
        """The duration does not matter."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, 5)
            with clock.answering():
                await turns(100)
                seen = clock.now()

        assert (seen, clock.now()) == (0, 5)

    async def test_a_handler_that_sleeps_lets_time_pass(self, clock):
        """Time stands still again when the handler continues."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, 50)
            with clock.answering():
                await clock.sleep(10)
                await turns(100)
                seen = clock.now()

        assert (seen, clock.now()) == (10, 50)

    async def test_a_handler_that_hangs_is_ended_by_its_caller_s_deadline(self, clock):
        """No other task sleeps: the hanging handler itself is the leader."""
        with clock.move_on_after(10) as scope, clock.answering():
            await clock.sleep(math.inf)
        await clock.sleep(1)

        assert (scope.cancelled_caught, clock.now(), clock._answering) == (True, 11, 0)

    async def test_a_hundred_calls_of_which_ten_hang(self, clock):
        """All have ended when the deadline of the ten has passed."""
        timed_out = []

        async def call(number):
            with clock.move_on_after(10) as scope, clock.answering():
                await clock.sleep(math.inf if number % 10 == 0 else 0.05)
            timed_out.append(scope.cancelled_caught)

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(call, number)

        assert (sum(timed_out), len(timed_out), clock.now()) == (10, 100, 10)


class TestFreezing:
    async def test_a_frozen_clock_waits_for_advance(self, clock):
        """`advance` wakes what is due; until then the clock uses no CPU."""
        clock.freeze()
        woken = []

        async def sleep(seconds):
            await clock.sleep(seconds)
            woken.append((seconds, clock.now()))

        async with anyio.create_task_group() as tasks:
            for seconds in (7, 5, 30):
                tasks.start_soon(sleep, seconds)
            await anyio.wait_all_tasks_blocked()
            assert woken == []
            clock.advance(6)
            await anyio.wait_all_tasks_blocked()
            assert woken == [(5, 6)]
            clock.advance(100)

        assert sorted(woken) == [(5, 6), (7, 106), (30, 106)]

    async def test_freezing_stops_a_leader_at_work(self, clock):
        """The freeze comes in the middle of the quiet turns."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, 5)
            await turns(QUIET // 2)
            clock.freeze()
            await anyio.wait_all_tasks_blocked()
            assert clock.now() == 0
            clock.advance(5)

    async def test_advance_reaches_deadlines_too(self, clock):
        """The cancel arrives at the next checkpoint of the task."""
        clock.freeze()
        with clock.move_on_after(10) as scope:
            clock.advance(10)
            await checkpoint()

        assert scope.cancelled_caught

    @pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
    async def test_time_never_goes_back_nor_to_its_end(self, clock, seconds):
        """Both clocks refuse it."""
        for one in (clock, ScaledClock(0, 1)):
            with pytest.raises(ValueError) as caught:
                one.advance(seconds)
            assert (
                str(caught.value) == f"seconds={seconds!r} must be a finite number of at least 0; time never goes back"
            )
