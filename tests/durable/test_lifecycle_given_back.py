"""What a worker takes on its way in it gives back, wherever that ends."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.durable.parts import TOKEN, store_in
from vpsorg_async import Client, ClientClosedError, ConfigurationError
from vpsorg_async.durable import DurableFleets
from vpsorg_async.durable._engine import CURRENT, is_launched
from vpsorg_async.durable._store_url import checked_store
from vpsorg_async.durable._worker_lock import worker_lock


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    """Return an event loop that dbos runs on."""
    return "asyncio", {}


@pytest.fixture
async def client(anyio_backend: Any) -> AsyncIterator[Client]:
    """Return a client that nothing is sent by."""
    async with Client(TOKEN, base_url="http://127.0.0.1:1/api/v1") as client:
        yield client


def fleets_of(client: Client, folder: Path, **options: Any) -> DurableFleets:
    return DurableFleets(client, **{"store": store_in(folder), "worker": "m1", **options})


async def assert_free(folder: Path) -> None:
    """Fail unless everything was given back."""
    assert not is_launched()
    assert CURRENT.worker is None
    assert CURRENT.tasks == {}
    lock = worker_lock(checked_store(store_in(folder)), "m1")
    await lock.acquire()
    await lock.release()
    # The event loop has an executor of its own again: dbos's takes no work any more.
    assert await asyncio.to_thread(lambda: 7) == 7
    gc.collect()


async def assert_usable(client: Client, folder: Path) -> None:
    """Fail unless everything was given back, so that it can be had again."""
    await assert_free(folder)
    async with fleets_of(client, folder) as fleets:
        assert await fleets.list() == []


@pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"]
)
async def test_everything_is_given_back_at_the_end(client, tmp_path):
    async with fleets_of(client, tmp_path):
        assert is_launched()

    await assert_free(tmp_path)


async def test_what_others_run_in_threads_meanwhile_is_not_refused(client, tmp_path):
    async def run_in_threads(left: anyio.Event) -> None:
        while not left.is_set():
            assert await asyncio.to_thread(lambda: 7) == 7

    left = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(run_in_threads, left)
        async with fleets_of(client, tmp_path) as fleets:
            await fleets.start("web", [1])
            # From the first item on, the event loop's threads are those of dbos.
            while not (await asyncio.to_thread(threading.current_thread)).name.startswith("dbos"):
                await asyncio.sleep(0.05)
        left.set()


async def test_everything_is_given_back_after_an_error_within(client, tmp_path):
    with pytest.raises(LookupError):
        async with fleets_of(client, tmp_path):
            raise LookupError

    await assert_free(tmp_path)


async def test_the_same_fleets_can_be_entered_again(client, tmp_path):
    fleets = fleets_of(client, tmp_path)
    for _ in range(2):
        async with fleets:
            assert await fleets.list() == []


async def test_a_closed_client_is_refused(client, tmp_path):
    await client.aclose()

    with pytest.raises(ClientClosedError):
        async with fleets_of(client, tmp_path):
            pass

    await assert_free(tmp_path)


async def test_everything_is_given_back_where_it_is_left_as_soon_as_the_client_is_closed(client, tmp_path):
    with pytest.raises(ClientClosedError):
        async with fleets_of(client, tmp_path) as fleets:
            run = await fleets.start("web", [1])
            await client.aclose()
            # Raises as soon as the worker has ended by itself.
            await run

    await assert_free(tmp_path)


def of_a_later_version(folder: Path) -> None:
    """Let a later dbos have made the store."""
    database = sqlite3.connect(folder / "fleet.sqlite")
    database.execute("CREATE TABLE dbos_migrations (version INTEGER)")
    database.execute("INSERT INTO dbos_migrations VALUES (9999)")
    database.commit()
    database.close()


def with_a_table_in_the_way(folder: Path) -> None:
    """Let somebody else have a table of the name of one of dbos's."""
    database = sqlite3.connect(folder / "fleet.sqlite")
    database.execute("CREATE TABLE workflow_status (mine INTEGER)")
    database.commit()
    database.close()


def of_another_kind(folder: Path) -> None:
    """Let the file be a text."""
    (folder / "fleet.sqlite").write_text("a text, and no database\n" * 100)


@pytest.mark.parametrize("spoil", [of_a_later_version, with_a_table_in_the_way, of_another_kind])
async def test_everything_is_given_back_when_the_store_is_refused(client, tmp_path, spoil: Callable[[Path], None]):
    spoil(tmp_path)

    with pytest.raises(ConfigurationError, match=r"fleet\.sqlite"):
        async with fleets_of(client, tmp_path):
            raise AssertionError("it was entered")

    (tmp_path / "fleet.sqlite").unlink()
    await assert_free(tmp_path)


async def test_everything_is_given_back_when_the_name_is_taken(client, tmp_path):
    taken = worker_lock(checked_store(store_in(tmp_path)), "m1")
    await taken.acquire()

    with pytest.raises(ConfigurationError, match="at work already"):
        async with fleets_of(client, tmp_path):
            raise AssertionError("it was entered")

    await taken.release()
    await assert_free(tmp_path)


async def test_everything_is_given_back_when_it_is_cancelled_on_the_way_in(client, tmp_path):
    """After more and more turns of the event loop, each of which may be at another step."""

    async def enter() -> None:
        async with fleets_of(client, tmp_path):
            await anyio.sleep_forever()

    for turns in (0, 1, 2, 3, 4, 6, 10, 20):
        async with anyio.create_task_group() as group:
            group.start_soon(enter)
            for _ in range(turns):
                await anyio.sleep(0.001)
            group.cancel_scope.cancel()

        await assert_free(tmp_path)

    await assert_usable(client, tmp_path)


async def test_everything_is_given_back_when_it_is_cancelled_on_the_way_out(client, tmp_path):
    with anyio.CancelScope() as scope:
        async with fleets_of(client, tmp_path):
            scope.cancel()

    await assert_usable(client, tmp_path)


async def test_a_second_one_in_a_process_is_refused_and_the_first_one_goes_on(client, tmp_path):
    (tmp_path / "other").mkdir()
    async with fleets_of(client, tmp_path) as fleets:
        for other in (fleets, fleets_of(client, tmp_path, worker="m2"), fleets_of(client, tmp_path / "other")):
            with pytest.raises(ConfigurationError, match="dbos is one per process"):
                async with other:
                    raise AssertionError("it was entered")

        assert await fleets.list() == []
    await assert_free(tmp_path)


async def test_an_application_s_own_dbos_has_to_be_launched_before_it_is_used(client, tmp_path):
    with pytest.raises(ConfigurationError, match=r"DBOS\.launch"):
        async with fleets_of(client, tmp_path, use_existing=True):
            raise AssertionError("it was entered")

    await assert_free(tmp_path)
