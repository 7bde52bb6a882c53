"""Which `CancelledError` is a cancel."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from vpsorg_async._cancellation import current_asyncio_task, is_foreign_cancel


async def caught(function):
    try:
        await function()
    except asyncio.CancelledError as error:
        return is_foreign_cancel(error)
    return None


async def raise_one():
    raise asyncio.CancelledError


async def await_a_cancelled_task():
    task = asyncio.ensure_future(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


@pytest.mark.parametrize("function", [raise_one, await_a_cancelled_task])
def test_one_that_nobody_asked_this_task_for_is_foreign(function):
    assert asyncio.run(caught(function)) is True


@pytest.mark.parametrize("kind", ["task", "timeout", "scope"])
def test_a_cancel_of_this_task_is_none(kind):
    async def main():
        seen = []

        async def sleeps():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError as error:
                seen.append(is_foreign_cancel(error))
                raise

        if kind == "task":
            task = asyncio.ensure_future(sleeps())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        elif kind == "timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await sleeps()
        else:
            with anyio.move_on_after(0):
                await sleeps()
        return seen

    assert asyncio.run(main()) == [False]


def test_under_trio_every_one_of_asyncio_s_is_foreign():
    async def main():
        return await caught(raise_one), current_asyncio_task()

    assert anyio.run(main, backend="trio") == (True, None)


def test_no_other_error_is_one():
    assert not is_foreign_cancel(ValueError())
