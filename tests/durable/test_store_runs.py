"""Keeps runs in a store, all or nothing, and reads them: no worker is at work here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy

from tests.durable.parts import given_run, opened, sql, submit
from vpsorg_async import ConfigurationError
from vpsorg_async.durable._store import Store
from vpsorg_async.durable._store_url import checked_store, prepare_file


pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", [("asyncio", {})], ids=["asyncio"])]


BEGIN_THE_FIRST = """
UPDATE workflow_status SET status = 'PENDING', executor_id = 'm2', started_at_epoch_ms = 1
WHERE workflow_uuid = 'vpsorg/web/0' AND status = 'ENQUEUED' RETURNING workflow_uuid
"""


FAIL_AT_THE_LAST_ITEM = """
CREATE TRIGGER fails BEFORE DELETE ON workflow_status WHEN OLD.workflow_uuid = 'vpsorg/web/1099'
BEGIN SELECT RAISE(ABORT, 'the disk is gone'); END
"""


@pytest.fixture
async def store(anyio_backend, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store


def cut_short() -> Iterator[Any]:
    """Raise before the first item."""
    raise LookupError("an item that cannot be made")
    yield


class TestSubmit:
    async def test_a_run_is_kept_with_its_items_in_their_order(self, store):
        assert await submit(store, "web", ["a", "b", "c"])

        assert (await store.run_of("web")).differences(given_run(["a", "b", "c"]).record()) == []
        outcomes = await store.outcomes("web", 3)
        assert [(one.index, one.item.name, one.state) for one in outcomes] == [
            (0, "a", "skipped"),
            (1, "b", "skipped"),
            (2, "c", "skipped"),
        ]
        assert not await store.is_over("web")
        assert await store.ended("web", 0) == ([], 0)

    async def test_a_name_that_is_taken_keeps_its_run(self, store):
        await submit(store, "web", ["a"])

        assert not await submit(store, "web", ["b", "c"], at_once=1)

        assert (await store.run_of("web")).count == 1
        assert [one.item.name for one in await store.outcomes("web", 3)] == ["a"]

    async def test_of_many_that_begin_one_run_at_once_one_does(self, store):
        begun: list[bool] = []

        async def begin() -> None:
            begun.append(await submit(store, "web"))

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(begin)

        assert sorted(begun) == [False] * 7 + [True]
        assert len(await store.outcomes("web", 3)) == 3

    async def test_a_run_that_cannot_be_kept_whole_is_not_kept(self, store):
        run = given_run(["a", "b", "c"])

        def items():
            first, *_ = run.items_of("web")
            yield first
            raise LookupError("an item that cannot be made")

        with pytest.raises(LookupError):
            await store.submit("web", run.record(), items())

        assert await store.run_of("web") is None
        assert await store.names() == []
        assert await submit(store, "web")

    async def test_a_submission_that_is_cancelled_keeps_all_or_nothing(self, store):
        names = [f"a{number}" for number in range(100)]
        for number, delay in enumerate([0, 0.005, 0.02, 0.05]):
            with anyio.move_on_after(delay):
                await submit(store, f"web-{number}", names)

            kept = await store.run_of(f"web-{number}")
            assert len(await store.outcomes(f"web-{number}", 100)) in ({0} if kept is None else {100})
            assert await submit(store, f"web-{number}", names) is (kept is None)

    async def test_a_store_that_cannot_be_written_says_that_nothing_was_begun(self, store):
        sql(store, "DROP TABLE queues")

        with pytest.raises(ConfigurationError, match="cannot be written, and nothing was begun"):
            await submit(store, "web")

        assert await store.names() == []


class TestNames:
    async def test_runs_are_listed_the_oldest_first(self, store):
        for name in ("web-2", "web-1", "Web.1"):
            await submit(store, name)

        assert await store.names() == ["web-2", "web-1", "Web.1"]

    @pytest.mark.parametrize(
        ("name", "other"),
        [("web", "Web"), ("a_b", "axb"), ("web", "web.1"), ("web.1", "web"), ("7", "stop"), ("stop", "7")],
    )
    async def test_a_run_whose_name_is_like_that_of_another_one_is_told_apart(self, store, name, other):
        await submit(store, other, ["x", "y", "z", "w", "v"])
        await submit(store, name, ["a"])

        await store.stop(other)
        assert await store.is_over(other)
        assert not await store.is_over(name)
        await store.stop(name)
        assert await store.is_over(name)
        await store.forget(other)

        assert await store.names() == [name]
        assert [one.item.name for one in await store.outcomes(name, 1)] == ["a"]
        assert await store.is_stopped(name)

    @pytest.mark.parametrize(("name", "other"), [("web", "Web"), ("web", "web.1")])
    async def test_a_run_is_not_over_because_another_one_like_it_has_begun_before(self, store, name, other):
        await submit(store, other, ["x", "y", "z", "w", "v"])
        await submit(store, name, ["a"])

        assert not await store.is_over(name)
        assert not await store.is_over(other)


class TestStop:
    async def test_what_was_not_begun_is_skipped(self, store):
        await submit(store, "web")
        assert not await store.is_stopped("web")

        await store.stop("web")

        assert await store.is_stopped("web")
        assert await store.is_over("web")
        assert [one.state for one in await store.outcomes("web", 3)] == ["skipped"] * 3

    async def test_it_can_be_said_twice(self, store):
        await submit(store, "web")

        await store.stop("web")
        await store.stop("web")

        assert await store.is_over("web")

    @pytest.mark.parametrize("moment", range(6))
    async def test_an_item_that_a_worker_begins_at_that_moment_goes_on(self, store, moment):
        """Between any two of its transactions: it is not cancelled, or it was not begun."""
        await submit(store, "web")
        passed, begun = 0, False

        def begin(*_: object) -> None:
            nonlocal passed, begun
            if passed == moment:
                found = sql(store, BEGIN_THE_FIRST)
                begun = bool(found)
            passed += 1

        sqlalchemy.event.listen(store._engine.pool, "checkin", begin)

        await store.stop("web")

        sqlalchemy.event.remove(store._engine.pool, "checkin", begin)
        [(status,)] = sql(store, "SELECT status FROM workflow_status WHERE workflow_uuid = 'vpsorg/web/0'")
        assert status == ("PENDING" if begun else "CANCELLED")
        others = sql(
            store, "SELECT status FROM workflow_status WHERE workflow_uuid IN ('vpsorg/web/1', 'vpsorg/web/2')"
        )
        assert others == [("CANCELLED",)] * 2

    async def test_a_store_that_cannot_be_written_says_so_without_what_it_was_to_keep(self, store):
        await submit(store, "web")
        sql(store, "CREATE TRIGGER fails BEFORE INSERT ON workflow_status BEGIN SELECT RAISE(ABORT, 'it is full'); END")

        with pytest.raises(ConfigurationError, match=r"cannot be written: it is full$"):
            await store.stop("web")

        assert not await store.is_stopped("web")

    async def test_another_run_goes_on(self, store):
        await submit(store, "web")
        await submit(store, "other")

        await store.stop("web")

        assert not await store.is_over("other")
        assert not await store.is_stopped("other")


class TestForget:
    async def test_nothing_is_left_of_it_and_its_name_is_free(self, store):
        await submit(store, "web")
        await store.stop("web")

        await store.forget("web")

        assert await store.run_of("web") is None
        assert await store.outcomes("web", 3) == []
        assert not await store.is_stopped("web")
        assert await store.queues() == []
        assert sql(store, "SELECT workflow_uuid FROM workflow_status") == []
        assert await submit(store, "web", ["other"])
        assert not await store.is_over("web")

    async def test_a_run_of_more_items_than_are_deleted_at_once_is_gone(self, store):
        await submit(store, "web", [f"a{number}" for number in range(1_100)])
        await store.stop("web")
        assert len(await store.outcomes("web", 1_100)) == 1_100

        await store.forget("web")

        assert sql(store, "SELECT workflow_uuid FROM workflow_status") == []

    async def test_a_run_that_was_forgotten_in_part_can_be_forgotten_again(self, store):
        await submit(store, "web", [f"a{number}" for number in range(1_100)])
        await store.stop("web")
        sql(store, FAIL_AT_THE_LAST_ITEM)
        with pytest.raises(ConfigurationError, match=r"cannot be written: .*the disk is gone$"):
            await store.forget("web")
        assert len(await store.outcomes("web", 1_100)) < 1_100
        sql(store, "DROP TRIGGER fails")

        assert await store.names() == ["web"]
        await store.forget("web")

        assert sql(store, "SELECT workflow_uuid FROM workflow_status") == []
        assert await submit(store, "web")


class TestADatabaseThatIsDamagedMeanwhile:
    async def test_what_cannot_be_read_is_told_without_the_statement(self, store):
        await submit(store, "web")
        sql(store, "ALTER TABLE workflow_status RENAME TO elsewhere")

        for read in (store.run_of("web"), store.outcomes("web", 3), store.is_over("web")):
            with pytest.raises(ConfigurationError, match=r"cannot be read: no such table: [\w.]+$"):
                await read


class TestQueues:
    async def test_a_run_has_a_queue_until_it_is_closed(self, store):
        await submit(store, "web")
        await submit(store, "other")
        assert sorted(await store.queues()) == ["other", "web"]

        await store.close_queue("web")

        assert await store.queues() == ["other"]

    async def test_its_bounds_are_those_of_the_run(self, store):
        await submit(store, "web", at_once=7, per_second=2.5)

        assert sql(store, "SELECT concurrency, rate_limit_max, rate_limit_period_sec FROM queues") == [(7, 5, 2.0)]

    async def test_a_run_that_was_never_kept_leaves_no_bounds_to_the_next_one_of_its_name(self, store):
        run = given_run(["a"], at_once=9, per_second=3.0)
        with pytest.raises(LookupError):
            await store.submit("web", run.record(), cut_short())

        await submit(store, "web", at_once=2)

        assert sql(store, "SELECT concurrency, rate_limit_max, rate_limit_period_sec FROM queues") == [(2, None, None)]

    async def test_a_run_that_is_there_keeps_its_bounds(self, store):
        await submit(store, "web", at_once=2)

        assert not await submit(store, "web", at_once=9)

        assert sql(store, "SELECT concurrency FROM queues") == [(2,)]


class TestVersion:
    async def test_tables_of_a_later_dbos_are_refused(self, store):
        sql(store, "UPDATE dbos_migrations SET version = version + 1")

        with pytest.raises(ConfigurationError, match="upgrade dbos"):
            await store.check_version()

    async def test_a_store_that_is_new_is_taken(self, tmp_path):
        url = checked_store(f"sqlite:///{tmp_path / 'new.sqlite'}")
        prepare_file(url)
        store = Store(url)

        assert not await store.check_version()
        await store.close()

    async def test_a_store_that_cannot_be_read_is_refused(self, tmp_path):
        store = Store(checked_store(f"sqlite:///{tmp_path / 'nowhere' / 'a.sqlite'}"))

        with pytest.raises(ConfigurationError, match="cannot be read"):
            assert not await store.check_version()
        await store.close()

    async def test_a_store_that_was_used_is_told_apart(self, store):
        assert await store.check_version()
