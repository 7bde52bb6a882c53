"""Runs items as workflows of dbos: what ends one, what is kept of it, and what is begun again."""

from __future__ import annotations

import asyncio
import logging

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from tests.durable.parts import opened, sql, store_in, submit
from vpsorg_async import ConfigurationError
from vpsorg_async._fleet.report import Outcome
from vpsorg_async.durable import _engine
from vpsorg_async.durable._engine import CURRENT, destroy, is_launched, launch, park
from vpsorg_async.durable._records import dump_outcome
from vpsorg_async.durable._store import Store
from vpsorg_async.durable._store_url import checked_store


pytestmark = pytest.mark.anyio

DONE = dump_outcome(Outcome(index=0, item=7, state="succeeded"))


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    """Return an event loop that dbos runs on."""
    return "asyncio", {}


@pytest.fixture(scope="module")
async def store(anyio_backend: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    """Return a store that dbos of this process works on, for all tests of this module."""
    async with opened(tmp_path_factory.mktemp("store")) as store:
        await launch(store.url, "m1")
        try:
            yield store
        finally:
            await park()
            await destroy()


class Work:
    """A worker whose items do as the test says, and that remembers which were begun."""

    def __init__(self, do: Callable[[Any], Awaitable[dict[str, Any]]]) -> None:
        self.do = do
        self.begun: list[str] = []
        self._changed = anyio.Event()

    async def item(self, row: str, record: dict[str, Any], step: Any) -> dict[str, Any]:
        self.begun.append(row)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        return await self.do(step)

    async def has_begun(self, count: int = 1) -> None:
        with anyio.fail_after(60):
            while len(self.begun) < count:
                await self._changed.wait()


@pytest.fixture
async def work(anyio_backend: Any) -> AsyncIterator[Callable[..., Work]]:
    """Return what makes the worker of this process."""

    def begin(do: Callable[[Any], Awaitable[dict[str, Any]]]) -> Work:
        CURRENT.worker = worker = Work(do)
        return worker

    yield begin
    await park()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(60):
        while not await holds():
            await anyio.sleep(0.05)


def status_of(store: Store, name: str) -> str:
    [(status,)] = sql(store, f"SELECT status FROM workflow_status WHERE workflow_uuid = 'vpsorg/{name}/0'")
    return status


def steps_of(store: Store, name: str) -> list[Any]:
    return sql(store, f"SELECT function_name, error FROM operation_outputs WHERE workflow_uuid = 'vpsorg/{name}/0'")


async def begin_again(store: Store) -> None:
    await store.release(await store.in_progress_of("m1"))


async def test_what_an_item_returns_is_its_outcome(store, work):
    async def do(step: Any) -> dict[str, Any]:
        return await step("command", lambda: asyncio.sleep(0, DONE))

    work(do)
    await submit(store, "returns", ["a"])

    await until(lambda: store.is_over("returns"))
    assert [one.state for one in await store.outcomes("returns", 1)] == ["succeeded"]
    assert steps_of(store, "returns") == [("command", None)]


@pytest.mark.parametrize("where", ["item", "step"])
async def test_an_error_ends_nothing_and_is_kept_nowhere(store, work, where, caplog):
    """The item is begun again, by this process too."""
    fails = True

    async def result() -> dict[str, Any]:
        if fails:
            raise LookupError("zq: a word of a response")
        return DONE

    async def do(step: Any) -> dict[str, Any]:
        return await (result() if where == "item" else step("command", result))

    worker = work(do)
    with caplog.at_level(logging.WARNING, "vpsorg_async"):
        await submit(store, f"fails-{where}", ["a"])
        await worker.has_begun()
        await until(lambda: asyncio.sleep(0, not CURRENT.tasks))
    assert status_of(store, f"fails-{where}") == "PENDING"
    assert steps_of(store, f"fails-{where}") == []
    assert "LookupError" in caplog.text
    assert "zq" not in caplog.text

    fails = False
    await begin_again(store)

    await until(lambda: store.is_over(f"fails-{where}"))
    assert status_of(store, f"fails-{where}") == "SUCCESS"
    assert len(worker.begun) == 2


async def test_a_step_that_is_kept_is_not_done_again(store, work):
    done: list[str] = []

    async def do(step: Any) -> dict[str, Any]:
        async def once() -> dict[str, Any]:
            done.append("once")
            return DONE

        result = await step("command", once)
        if len(worker.begun) == 1:
            raise LookupError
        return result

    worker = work(do)
    await submit(store, "once", ["a"])
    await worker.has_begun()
    await until(lambda: asyncio.sleep(0, not CURRENT.tasks))
    await begin_again(store)

    await until(lambda: store.is_over("once"))
    assert (len(worker.begun), done) == (2, ["once"])


async def test_items_that_are_parked_are_left_as_they_are(store, work):
    async def do(step: Any) -> dict[str, Any]:
        return await step("command", anyio.sleep_forever)

    worker = work(do)
    await submit(store, "parked", ["a"])
    await worker.has_begun()
    assert [*CURRENT.tasks] == ["vpsorg/parked/0"]

    await park()

    assert CURRENT.tasks == {}
    assert status_of(store, "parked") == "PENDING"
    assert steps_of(store, "parked") == []


async def test_what_a_step_returns_when_it_is_cancelled_is_kept(store, work):
    """D1: that a command was not sent, for example."""

    async def do(step: Any) -> dict[str, Any]:
        async def not_sent() -> dict[str, Any]:
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                return {"state": "not sent"}

        await step("command", not_sent)
        raise asyncio.CancelledError

    worker = work(do)
    await submit(store, "unsent", ["a"])
    await worker.has_begun()

    await park()

    assert (status_of(store, "unsent"), steps_of(store, "unsent")) == ("PENDING", [("command", None)])


async def test_without_a_worker_nothing_is_worked_on_and_nothing_is_lost(store, work):
    await submit(store, "nobody", ["a"])
    await until(lambda: asyncio.sleep(0, status_of(store, "nobody") == "PENDING"))
    await anyio.sleep(0.1)
    assert not await store.is_over("nobody")

    work(lambda step: step("command", lambda: asyncio.sleep(0, DONE)))
    await begin_again(store)

    await until(lambda: store.is_over("nobody"))


async def test_it_says_whose_it_is(store):
    assert is_launched()
    assert _engine.identity()[0] == "m1"
    assert store.url.is_same(_engine.database())


async def test_a_store_that_cannot_be_used_is_told_and_nothing_is_left(store, tmp_path):
    """In a process of its own, since dbos is at work in this one."""
    url = checked_store(store_in(tmp_path / "nowhere"))
    code = (
        "import asyncio, sys\n"
        "from vpsorg_async import ConfigurationError\n"
        "from vpsorg_async.durable._engine import is_launched, launch\n"
        "from vpsorg_async.durable._store_url import checked_store\n"
        "async def main():\n"
        "    try:\n"
        "        await launch(checked_store(sys.argv[1]), 'm1')\n"
        "    except ConfigurationError as error:\n"
        "        print(error, is_launched(), await asyncio.to_thread(lambda: 7))\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        __import__("sys").executable, "-c", code, url.url, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()

    assert "cannot be used" in told.decode()
    assert told.decode().endswith("False 7\n")
    assert ConfigurationError.__name__ not in told.decode()
