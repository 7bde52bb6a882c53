"""Reads and writes the runs in a store, with dbos's client. It executes nothing.

A run is the row of a workflow `vpsorg/NAME` that does nothing but hold its arguments. Each of its items is the workflow
`vpsorg/NAME/INDEX` on the run's own queue. The row `vpsorg/NAME/stop` says that nothing more begins.
"""

from __future__ import annotations

import contextlib

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import attrs
import sqlalchemy.exc

from dbos import DBOSClient, WorkflowSerializationFormat
from dbos._error import DBOSWorkflowIDInUseError
from dbos._migration import get_migration_versions, get_sqlite_migration_versions
from dbos._serialization import DBOSPortableJSON

from .._errors import ConfigurationError
from .._fleet.report import Outcome
from ._database import engine_of, telling
from ._given import limiter_of
from ._records import ItemRecord, RunRecord, load_outcome, newest_of


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .._decoding import JSON
    from ._store_url import StoreURL

APPLICATION: Final = "vpsorg_async"
APP_VERSION: Final = "vpsorg_async.durable/1"
"""Changes only when the order of an item's steps does: work of another version is left alone."""

ITEM, RUN, STOP = "vpsorg.fleet.item", "vpsorg.fleet.run", "vpsorg.fleet.stop"
"""The workflows' names."""

OVER: Final = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_BROKEN: Final = frozenset({"ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
"""dbos itself has ended the workflow. No item of this library ends so, and what it has done is not known."""

_OPEN: Final = ["ENQUEUED", "PENDING", "DELAYED"]
_POLL: Final = 0.1
"""Seconds between two looks of a worker for items to begin (measured: the default of 1 s begins 18 items a second)."""


@attrs.frozen(kw_only=True)
class Row:
    """A row of a workflow, as far as it is read.

    Attributes:
        id: its id.
        status: dbos's status of it.
        begun: whether a worker has ever begun it. One that goes on after a restart waits on its queue meanwhile.
        ended: when it ended, in milliseconds since 1970; `None`: it has not.
        given: what it was given; `None`: it was not read.
        result: what it has returned; `None`: it has not, or it was not read.
    """

    id: str
    status: str
    begun: bool
    ended: int | None
    given: Any = None
    result: Any = None

    @property
    def index(self) -> int | None:
        """The position of the item; `None` for a row that is none of an item."""
        last = self.id.rpartition("/")[2]
        return int(last) if last.isdigit() and self.id.count("/") == 2 else None  # noqa: PLR2004 - vpsorg/NAME/INDEX


class Store:
    """The runs of one store.

    *application* and *version* are those of the dbos that works on them.
    """

    def __init__(self, url: StoreURL, *, application: str = APPLICATION, version: str = APP_VERSION) -> None:
        self.url = url
        self._version = version
        self._engine = engine_of(url)
        self._client = DBOSClient(
            system_database_engine=self._engine,
            serializer=DBOSPortableJSON,
            application_name=application,
            lazy=True,
        )

    async def check_version(self) -> bool:
        """Return whether the store has tables, which this dbos knows then. A new one has none.

        Raises:
            ConfigurationError: a later dbos has changed them, or the store cannot be read.
        """

        def versions() -> tuple[int, int]:
            if self.url.file is None:
                return get_migration_versions(self._engine, "dbos", use_listen_notify=True)
            return get_sqlite_migration_versions(self._engine)

        with telling(self.url, "read"):
            found, known = await _in_thread(versions)
        if found > known:
            raise ConfigurationError(
                f"store={self.url.shown!r} has tables of version {found}, and this dbos knows them up to {known}: "
                "upgrade dbos, or give another store"
            )
        return bool(found > 0)

    async def close(self) -> None:
        """Give its connections back."""
        self._client.destroy()
        await _in_thread(self._engine.dispose)

    async def submit(self, name: str, run: RunRecord, items: Iterable[ItemRecord]) -> bool:
        """Keep a run and all its items, or nothing. Return false if the name is taken.

        Raises:
            ConfigurationError: the store cannot be written.

        Cancellation: the run is kept or not, as a whole.
        """
        with telling(self.url, "written, and nothing was begun"):
            await self._client.register_queue_async(
                _queue(name),
                global_concurrency=run.arguments.at_once,
                limiter=limiter_of(run.per_second),
                polling_interval_sec=_POLL,
                on_conflict="never_update",
            )
            return await self._keep(name, run, items)

    async def _keep(self, name: str, run: RunRecord, items: Iterable[ItemRecord]) -> bool:

        def keep() -> bool:
            try:
                with self._engine.begin() as connection:
                    enqueue = self._enqueueing(connection, name)
                    enqueue(RUN, "", run.to_dict())
                    self._bound(connection, name, run)
                    for item in items:
                        enqueue(ITEM, f"/{item.index}", item.to_dict())
            except DBOSWorkflowIDInUseError:
                return False
            return True

        kept: bool = await _in_thread(keep)
        return kept

    def _bound(self, connection: Any, name: str, run: RunRecord) -> None:
        """Give the queue of a run the bounds of the run, within the transaction of *connection*.

        The queue may be left from a run of that name that was never kept, or that is begun elsewhere at this moment.
        """
        queues = self._client._sys_db.tables.queues  # noqa: SLF001 - it has no other way
        limiter = limiter_of(run.per_second)
        bounds = {
            "concurrency": run.arguments.at_once,
            "rate_limit_max": None if limiter is None else limiter["limit"],
            "rate_limit_period_sec": None if limiter is None else limiter["period"],
        }
        connection.execute(sqlalchemy.update(queues).where(queues.c.name == _queue(name)).values(**bounds))

    def _enqueueing(self, connection: Any, name: str) -> Callable[[str, str, dict[str, Any]], None]:
        """Return the function that puts a workflow on the queue of a run, within the transaction of *connection*.

        It takes the workflow's name, what its id has after that of the run, and its argument. It raises
        `DBOSWorkflowIDInUseError` if the id is there.
        """

        def enqueue(workflow: str, part: str, record: dict[str, Any]) -> None:
            self._client.enqueue_in_transaction(
                connection,
                {
                    "queue_name": _queue(name),
                    "workflow_name": workflow,
                    "workflow_id": f"{_id(name)}{part}",
                    "workflow_id_reuse_policy": "reject",
                    "app_version": self._version,
                    "serialization_type": WorkflowSerializationFormat.PORTABLE,
                },
                record,
            )

        return enqueue

    async def run_of(self, name: str) -> RunRecord | None:
        """Return what is kept of a run; `None`: there is no such run.

        Raises:
            InvalidArgumentError: it was kept by a later version of this library.
        """
        rows = await self._rows(workflow_ids=[_id(name)], load_output=False)
        return RunRecord.from_dict(rows[0].given) if rows else None

    async def names(self) -> list[str]:
        """Return the names of all runs, the oldest first."""
        rows = await self._rows(name=RUN, load_input=False, load_output=False)
        return [row.id.partition("/")[2] for row in rows]

    async def ended(self, name: str, after: int) -> tuple[list[Outcome], int]:
        """Return the outcomes of the items that have ended at *after* or later, and when the last one did."""
        since = {} if not after else {"completed_after": _iso(after - _OVERLAP)}
        rows = await self._items(name, status=sorted(OVER), **since)
        found: list[Outcome] = []
        for row in rows:
            outcome = await self._outcome(row)
            if outcome is not None:
                found.append(outcome)
            after = max(after, row.ended or 0)
        return found, after

    async def outcomes(self, name: str, count: int) -> list[Outcome]:
        """Return the outcome of each of *count* items now, in their order; of a run that was forgotten, of fewer."""
        found: list[Outcome] = []
        for start in range(0, count, _BATCH):
            ids = [f"{_id(name)}/{index}" for index in range(start, min(start + _BATCH, count))]
            rows = await self._rows(workflow_ids=ids)
            outcomes = [await self._outcome(row) or _not_begun(row) for row in rows]
            found += sorted(outcomes, key=lambda outcome: outcome.index)
        return found

    async def is_over(self, name: str) -> bool:
        """Return whether every item of the run has ended."""
        # By the queue, which is exact: to SQLite, the prefix of an id is the same in capitals. One row is that of the
        # run itself, and one says that it is stopped.
        rows = await self._rows(queue_name=_queue(name), status=_OPEN, limit=3, load_input=False, load_output=False)
        return all(row.index is None for row in rows)

    async def is_stopped(self, name: str) -> bool:
        """Return whether nothing more of the run begins."""
        rows = await self._rows(workflow_ids=[f"{_id(name)}/stop"], load_input=False, load_output=False)
        return bool(rows)

    async def stop(self, name: str) -> None:
        """Let nothing more of the run begin. Items in progress go on."""

        def mark() -> None:
            with self._engine.begin() as connection:
                self._enqueueing(connection, name)(STOP, "/stop", {})

        # If it was stopped before, the rest of it may be left to do.
        with telling(self.url, "written"):
            with contextlib.suppress(DBOSWorkflowIDInUseError):
                await _in_thread(mark)
            await _in_thread(lambda: self._cancel_what_waits(name))

    def _cancel_what_waits(self, name: str) -> None:
        """Cancel the items that no worker has ever begun, in one statement.

        dbos's own cancel would take in an item that a worker begins meanwhile, and forget that it was begun. One that
        an earlier process has begun waits on the queue again, and its command may have been accepted.
        """
        system = self._client._sys_db  # noqa: SLF001 - it has no other way
        rows, now = system.tables.workflow_status, system._now_ms_sql()  # noqa: SLF001 - the same
        waiting = (rows.c.queue_name == _queue(name), rows.c.name == ITEM, rows.c.status == "ENQUEUED")
        never_begun = rows.c.executor_id.is_(None)
        ended = {"status": "CANCELLED", "queue_name": None, "completed_at": now, "updated_at": now}
        with system.engine.begin() as connection:
            connection.execute(sqlalchemy.update(rows).where(*waiting, never_begun).values(**ended))

    async def forget(self, name: str) -> None:
        """Delete a run with all that is kept of it.

        Raises:
            ConfigurationError: the store cannot be written. A part of its items may be left, and the run then too.

        Cancellation: the same. It is to be forgotten again.
        """
        rows = await self._rows(workflow_id_prefix=_id(name), load_input=False, load_output=False)
        mine = [row.id for row in rows if row.id.startswith(f"{_id(name)}/")]
        with telling(self.url, "written"):
            await self._client.delete_queue_async(_queue(name))
            for start in range(0, len(mine), _BATCH):
                await self._client.delete_workflows_async(mine[start : start + _BATCH])
            # The last of it: without the run, nobody could forget the items that are left where this is cut short.
            await self._client.delete_workflows_async([_id(name)])

    async def queues(self) -> list[str]:
        """Return the names of the runs that have a queue, which workers look at."""
        queues = await self._client.list_queues_async()
        return [queue.name.removeprefix("vpsorg.") for queue in queues if queue.name.startswith("vpsorg.")]

    async def close_queue(self, name: str) -> None:
        """Let no worker look at the queue of a run that is over."""
        await self._client.delete_queue_async(_queue(name))

    async def in_progress_of(self, worker: str) -> list[Row]:
        """Return the rows that *worker* has begun, and that have not ended."""
        return await self._rows(
            name=[ITEM, RUN, STOP], status="PENDING", executor_id=worker, load_input=False, load_output=False
        )

    async def release(self, rows: Sequence[Row]) -> None:
        """Let a worker begin *rows* again, on the queues of their runs."""
        for row in rows:
            await self._client.resume_workflows_async([row.id], queue_name=_queue(row.id.split("/")[1]))

    async def _outcome(self, row: Row) -> Outcome | None:
        """Return the outcome of an item that was begun or has ended; `None`: nothing was begun."""
        assert row.index is not None
        item = ItemRecord.from_dict(row.given).item
        if row.status == "SUCCESS":
            return load_outcome(row.index, item, row.result)
        if not row.begun:
            return None
        return await self._under_way(row, item)

    async def _under_way(self, row: Row, item: Any) -> Outcome | None:
        with telling(self.url, "read"):
            steps = await self._client.list_workflow_steps_async(row.id)
        kept = newest_of((step["function_name"], step["output"]) for step in steps)
        assert row.index is not None
        if (so_far := kept.get("command")) is not None:
            return load_outcome(row.index, item, so_far)
        intent = kept.get("intent")
        if row.status in _BROKEN and intent is None:
            return load_outcome(row.index, item, _UNKNOWN)
        if intent is None or intent.get("stopped"):
            return None
        return load_outcome(row.index, item, {**_UNKNOWN, "began_at": intent["began_at"], "carried": intent["carried"]})

    async def _items(self, name: str, **which: Any) -> list[Row]:
        rows = await self._rows(workflow_id_prefix=f"{_id(name)}/", **which)
        # To SQLite, the prefix is the same in capitals.
        return [row for row in rows if row.id.startswith(f"{_id(name)}/") and row.index is not None]

    async def _rows(self, **which: Any) -> list[Row]:
        """Return the rows of workflows. A database that is away is waited for."""
        while True:
            with telling(self.url, "read"):
                try:
                    return [*map(_row, await self._client.list_workflows_async(**which))]
                except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError):
                    if self.url.file is not None:
                        raise
            await anyio.sleep(_AGAIN)


_AGAIN = 1.0
"""Seconds between two attempts to reach a database that is away (assumed)."""

_BATCH = 500
_OVERLAP = 5_000
"""Milliseconds that two looks for ended items have in common: an end is kept a little later than it is dated."""

_UNKNOWN = {
    "state": "unknown",
    "server": None,
    "error": {"class": "OutcomeUnknownError", "text": "it has not ended", "request": None},
    "accepted": False,
    "ended_at": None,
}


def _row(found: Any) -> Row:
    given: JSON = found.input
    arguments = given.get("args") if isinstance(given, dict) else None
    return Row(
        id=found.workflow_id,
        status=str(found.status),
        # When it was begun is taken back by whatever puts it on its queue again. Who has begun it stays.
        begun=found.executor_id is not None,
        ended=found.completed_at,
        given=arguments[0] if arguments else None,
        result=found.output,
    )


def _not_begun(row: Row) -> Outcome:
    assert row.index is not None
    return Outcome(index=row.index, item=ItemRecord.from_dict(row.given).item, state="skipped")


def _id(name: str) -> str:
    return f"vpsorg/{name}"


def _queue(name: str) -> str:
    return f"vpsorg.{name}"


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


async def _in_thread(function: Callable[[], Any]) -> Any:
    return await anyio.to_thread.run_sync(function)
