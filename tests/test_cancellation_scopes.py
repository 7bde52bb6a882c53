"""A cancel that somebody asked for is told from a `CancelledError` that user code raised by itself."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from tests.conftest import BACKENDS
from vpsorg_async._cancellation import is_foreign_cancel, scope_cancelled


pytestmark = pytest.mark.anyio

ASYNCIO_ONLY = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(BACKENDS[name], id=name) for name in ("asyncio", "uvloop")]
)


async def judged(wait=anyio.sleep_forever):
    """Return what is said of the cancel that ends *wait*, and whether a scope was cancelled."""
    try:
        await wait()
    except BaseException as error:
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return is_foreign_cancel(error), scope_cancelled()
        raise
    return None


async def somebody_elses():
    """Await a task that somebody has cancelled."""
    task = asyncio.ensure_future(asyncio.sleep(10))
    await asyncio.sleep(0)
    task.cancel()
    await task


class TestScopes:
    async def test_a_cancelled_scope_is_a_request(self):
        with anyio.CancelScope() as scope:
            scope.cancel()
            told = await judged()

        assert told == (False, True)

    async def test_so_is_one_further_out_and_a_deadline(self):
        with anyio.move_on_after(0.01), anyio.CancelScope():
            told = await judged()

        assert told == (False, True)

    async def test_so_is_the_cancel_of_a_task_group(self):
        told = []

        async def work():
            told.append(await judged())

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

        assert told == [(False, True)]

    async def test_without_a_cancel_nothing_was_requested(self):
        with anyio.CancelScope(), anyio.move_on_after(10):
            await anyio.lowlevel.checkpoint()
            cancelled = scope_cancelled()

        assert not cancelled
        assert not is_foreign_cancel(ValueError("no cancel at all"))


@ASYNCIO_ONLY
class TestTasks:
    async def test_the_cancel_of_a_task_that_was_awaited_is_foreign(self):
        with anyio.CancelScope():
            assert await judged(somebody_elses) == (True, False)
        assert await judged(somebody_elses) == (True, False)

    async def test_the_cancel_of_the_task_itself_is_not(self):
        task = asyncio.create_task(judged())
        await asyncio.sleep(0)
        task.cancel()

        assert await task == (False, False)

    async def test_nor_is_a_foreign_one_that_comes_with_a_real_one(self):
        with anyio.CancelScope() as scope:
            scope.cancel()
            told = await judged(somebody_elses)

        assert told == (False, True)
