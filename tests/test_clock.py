"""The machine's clock: monotonic, with anyio's sleep and scopes."""

from __future__ import annotations

import time

import anyio
import pytest

from vpsorg_async._clock import SystemClock


pytestmark = pytest.mark.anyio


async def test_its_time_is_the_monotonic_one():
    before, now, after = time.monotonic(), SystemClock().now(), time.monotonic()

    assert before <= now <= after


async def test_a_sleep_ends_when_its_time_has_passed_and_not_before():
    clock = SystemClock()
    began = clock.now()

    await clock.sleep(0.01)

    # Timers may be early by the loop's own resolution.
    assert clock.now() - began >= 0.009


async def test_a_scope_ends_its_block_and_tells_so():
    with SystemClock().move_on_after(0) as scope:
        await anyio.sleep_forever()

    assert scope.cancelled_caught


async def test_a_scope_without_a_time_ends_only_when_it_is_cancelled():
    with SystemClock().move_on_after(None) as scope:
        await anyio.lowlevel.checkpoint()
        scope.cancel()
        await anyio.sleep_forever()

    assert scope.cancelled_caught
