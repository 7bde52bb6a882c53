"""The limiter: order of asking, polls first, no turn lost to a cancel, and no cost in the number that wait."""

from __future__ import annotations

import random

import anyio
import pytest

from anyio.lowlevel import checkpoint

from vpsorg_async._clock import SystemClock
from vpsorg_async._request.limiter import Limiter
from vpsorg_async._request.rate_control import FIRST_BURST
from vpsorg_async._request.shared_pauses import Kind
from vpsorg_async._request.turns import Share
from vpsorg_async.sandbox._clocks.virtual import VirtualClock


ONE = (Share.CALLS, 0, Kind.READ)

pytestmark = pytest.mark.anyio


class CountingClock(SystemClock):
    """The machine's clock, that counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def now(self):
        self.asked += 1
        return super().now()


class HastyClock(CountingClock):
    """The same, on which a sleep is over at once, the time passed."""

    def __init__(self):
        super().__init__()
        self.slept = 0.0

    def now(self):
        return super().now() + self.slept

    async def sleep(self, seconds):
        self.slept += seconds
        await checkpoint()


class StillClock(SystemClock):
    """A clock on which no time passes."""

    def now(self):
        return 0.0

    async def sleep(self, seconds):
        await anyio.sleep_forever()


async def settle():
    """Let every task that can run do so."""
    for _ in range(10):
        await checkpoint()


class TestOrder:
    async def test_turns_are_given_in_the_order_of_asking(self):
        limiter, order = Limiter(1, SystemClock()), []
        await limiter.enter(limiter.ticket())

        async def call(number, ticket):
            await limiter.enter(ticket)
            order.append(number)
            await checkpoint()
            limiter.leave(ONE)

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(call, number, limiter.ticket())
            await settle()
            limiter.leave(ONE)

        assert order == list(range(50))

    async def test_a_poll_goes_first_and_the_others_take_turns(self):
        """P2: neither polls nor calls wait for all that asked before them."""
        limiter, order = Limiter(1, SystemClock()), []
        await limiter.enter(limiter.ticket())

        async def call(name, ticket):
            await limiter.enter(ticket)
            order.append(name)
            limiter.leave(ONE)

        async with anyio.create_task_group() as group:
            for name in ("call 1", "call 2", "call 3", "call 4", "poll 1", "poll 2"):
                group.start_soon(call, name, limiter.ticket(Share.POLLS if name.startswith("poll") else Share.CALLS))
            await settle()
            limiter.leave(ONE)

        assert order == ["poll 1", "call 1", "call 2", "call 3", "poll 2", "call 4"]

    async def test_a_call_that_comes_back_keeps_its_place(self):
        limiter, order = Limiter(1, SystemClock()), []
        first, second, third = (limiter.ticket() for _ in range(3))
        await limiter.enter(second)

        async def call(name, ticket):
            await limiter.enter(ticket)
            order.append(name)
            limiter.leave(ONE)

        async with anyio.create_task_group() as group:
            group.start_soon(call, "third", third)
            await settle()
            group.start_soon(call, "first", first)
            await settle()
            limiter.leave(ONE)

        assert order == ["first", "third"]

    async def test_never_more_than_its_size_are_inside(self):
        limiter, inside, most = Limiter(7, SystemClock()), 0, 0

        async def call():
            nonlocal inside, most
            await limiter.enter(limiter.ticket())
            inside += 1
            most = max(most, inside)
            await checkpoint()
            inside -= 1
            limiter.leave(ONE)

        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(call)

        assert most == 7


class TestRamp:
    @pytest.mark.parametrize("size", [11, 100])
    async def test_all_get_in_although_the_first_ones_never_answer(self, size):
        limiter, inside, all_inside = Limiter(size, SystemClock()), 0, anyio.Event()

        async def call():
            nonlocal inside
            await limiter.enter(limiter.ticket())
            inside += 1
            if inside == size:
                all_inside.set()
            await anyio.sleep_forever()

        async with anyio.create_task_group() as group:
            for _ in range(size):
                group.start_soon(call)
            with anyio.fail_after(60):
                await all_inside.wait()
            group.cancel_scope.cancel()

        assert inside == size

    async def test_the_first_burst_is_small(self):
        limiter, inside = Limiter(100, StillClock()), 0

        async def call():
            nonlocal inside
            await limiter.enter(limiter.ticket())
            inside += 1
            await anyio.sleep_forever()

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(call)
            await settle()
            begun = inside
            group.cancel_scope.cancel()

        assert begun == FIRST_BURST


class TestCancelling:
    @pytest.mark.heavy
    async def test_no_turn_is_lost_over_thousands_of_cancels_at_any_moment(self):
        chance, limiter, inside, most = random.Random(7), Limiter(3, SystemClock()), 0, 0

        async def call():
            nonlocal inside, most
            await limiter.enter(limiter.ticket(Share.POLLS if chance.random() < 0.2 else Share.CALLS))
            try:
                inside += 1
                most = max(most, inside)
                for _ in range(chance.randrange(3)):
                    await checkpoint()
            finally:
                inside -= 1
                limiter.leave(ONE)

        async def cancelled_call(rounds):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(call)
                    for _ in range(rounds):
                        await checkpoint()
                    scope.cancel()

        async with anyio.create_task_group() as group:
            for _ in range(2_000):
                group.start_soon(cancelled_call, chance.randrange(12))
        with anyio.fail_after(60):
            for _ in range(3):
                await limiter.enter(limiter.ticket())

        assert (inside, most) == (0, 3)

    @pytest.mark.parametrize("cancelled_first", [True, False])
    async def test_a_turn_given_to_a_call_at_the_moment_of_its_cancel_goes_to_the_next(self, cancelled_first):
        """P1: a turn that nobody takes any more is not lost."""
        limiter, entered = Limiter(1, SystemClock()), anyio.Event()
        await limiter.enter(limiter.ticket())
        scope = anyio.CancelScope()

        async def cancelled():
            with scope:
                await limiter.enter(limiter.ticket())
                limiter.leave(ONE)

        async def next_one():
            await limiter.enter(limiter.ticket())
            entered.set()

        async with anyio.create_task_group() as group:
            group.start_soon(cancelled)
            await settle()
            group.start_soon(next_one)
            await settle()

            def leave():
                limiter.leave(ONE)

            for step in (scope.cancel, leave) if cancelled_first else (leave, scope.cancel):
                step()
            with anyio.fail_after(60):
                await entered.wait()

        assert entered.is_set()

    @pytest.mark.parametrize("cancelled", [1, 2, 3])
    async def test_after_a_pause_others_get_in_when_those_who_watched_the_time_are_cancelled(self, cancelled):
        limiter, scopes, entered = Limiter(5, SystemClock()), [], 0
        limiter.refused(0.5)

        async def call(scope):
            nonlocal entered
            with scope:
                await limiter.enter(limiter.ticket())
                entered += 1
                limiter.leave(ONE)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(cancelled + 2):
                    scopes.append(anyio.CancelScope())
                    group.start_soon(call, scopes[-1])
                await settle()
                # At once: the successor is cancelled before it has heard that it is one.
                for scope in scopes[:cancelled]:
                    scope.cancel()

        assert entered == 2

    async def test_the_successor_is_cancelled_after_the_keeper_in_the_next_moment(self):
        limiter, scopes, entered = Limiter(5, SystemClock()), [anyio.CancelScope() for _ in range(4)], 0
        limiter.refused(0.1)

        async def call(scope):
            nonlocal entered
            with scope:
                await limiter.enter(limiter.ticket())
                entered += 1
                limiter.leave(ONE)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for scope in scopes:
                    group.start_soon(call, scope)
                await settle()
                for scope in scopes[:3]:
                    scope.cancel()
                    await checkpoint()

        assert entered == 1


class TestCost:
    @pytest.mark.heavy
    async def test_a_turn_costs_the_same_however_many_wait(self):
        """P2: the clock is asked as often for each of 100 as for each of 5,000 that wait."""

        async def asked_per_call(waiting):
            clock = CountingClock()
            limiter = Limiter(10, clock)

            async def call():
                await limiter.enter(limiter.ticket())
                await checkpoint()
                limiter.answered()
                limiter.leave(ONE)

            async with anyio.create_task_group() as group:
                for _ in range(waiting):
                    group.start_soon(call)
            return clock.asked / waiting

        few, many = await asked_per_call(100), await asked_per_call(5_000)

        assert many <= few + 1

    async def test_nobody_spins_while_the_wire_is_full_and_time_alone_would_let_the_next_in(self):
        clock = HastyClock()
        limiter = Limiter(1, clock)
        limiter.refused(10)
        await limiter.enter(limiter.ticket())

        async def call():
            await limiter.enter(limiter.ticket())
            limiter.leave(ONE)

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            for _ in range(20):
                await settle()
            asked = clock.asked
            limiter.leave(ONE)

        assert asked < 20


class TestKinds:
    async def test_a_pause_of_creates_holds_up_no_read(self):
        """R19: and the other way round; nobody waits for the clock who need not."""
        limiter = Limiter(5, VirtualClock(100.0))

        assert limiter.refused(3_600, kind=Kind.CREATE, by="POST /servers/") == {Kind.CREATE}
        assert await limiter.enter(limiter.ticket())
        assert await limiter.enter(limiter.ticket(kind=Kind.CHANGE))

        assert limiter.opens_at(Kind.CREATE) == 160
        assert limiter.opens_at() < 100
        assert limiter.paused_by(Kind.CREATE) == "POST /servers/"

    async def test_a_turn_goes_to_whoever_has_asked_first_of_all_kinds(self):
        """R19: polls first, as before."""
        limiter, order = Limiter(1, SystemClock()), []
        held = limiter.ticket()
        await limiter.enter(held)

        async def call(name, ticket):
            await limiter.enter(ticket)
            order.append(name)
            limiter.leave(ticket)

        async with anyio.create_task_group() as group:
            for name, share, kind in (
                ("create", Share.CALLS, Kind.CREATE),
                ("read", Share.CALLS, Kind.READ),
                ("change", Share.CALLS, Kind.CHANGE),
                ("poll", Share.POLLS, Kind.READ),
            ):
                group.start_soon(call, name, limiter.ticket(share, kind))
                await settle()
            limiter.leave(held)

        assert order == ["poll", "create", "read", "change"]
