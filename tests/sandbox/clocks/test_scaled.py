"""The clock that runs at a multiple of real time."""

from __future__ import annotations

import math

import anyio
import pytest

from vpsorg_async.sandbox._clocks.scaled import ScaledClock


pytestmark = pytest.mark.anyio


class TestScaledClock:
    async def test_it_runs_until_it_is_frozen(self):
        """After that only `advance` moves it."""
        clock = ScaledClock(10, 1e6)
        first, second = clock.now(), clock.now()
        clock.freeze()
        third = clock.now()
        clock.advance(5)

        assert 10 <= first < second <= third
        assert clock.now() == third + 5

    async def test_a_sleeper_notices_that_time_was_advanced(self):
        """It also notices that the server ends."""
        clock = ScaledClock(0, 1, frozen=True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, 500)
            await anyio.wait_all_tasks_blocked()
            clock.advance(500)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, math.inf)
            await anyio.wait_all_tasks_blocked()
            clock.stop()

        assert clock.now() == 500

    @pytest.mark.parametrize("speed", [0, -1, math.inf, math.nan])
    async def test_a_speed_is_above_zero(self, speed):
        """`freeze` stops time."""
        with pytest.raises(ValueError) as caught:
            ScaledClock(0, speed)

        assert str(caught.value) == f"speed={speed!r} must be a finite number above 0; use freeze() to stop time"
