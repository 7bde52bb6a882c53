"""Runs items as dbos's workflows: what was kept of a step is not done again, in this process or in the next one.

dbos is one per process, and so is the worker that its workflows use. Importing this module registers them.
"""

from __future__ import annotations

import asyncio
import logging

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.to_thread

from dbos import DBOS, WorkflowSerializationFormat
from dbos._serialization import DBOSPortableJSON

from .._errors import ConfigurationError
from ._database import engine_of
from ._store import APP_VERSION, APPLICATION, ITEM, RUN, STOP


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import sqlalchemy

    from ._store_url import StoreURL

    Step = Callable[[str, Callable[[], Awaitable[dict[str, Any]]]], Awaitable[dict[str, Any]]]


_LOGGER = logging.getLogger("vpsorg_async")

STORING_FOR = 5.0
"""Seconds that a store may take for a step when the work ends (assumed: one that takes longer is away)."""

DEFAULT_SCHEMA = "dbos"
"""The schema of dbos's tables, unless it is told another one."""


class Worker(Protocol):
    """Works on the items of this process."""

    async def item(self, row: str, record: dict[str, Any], step: Step) -> dict[str, Any]:
        """Work on an item, and return the record of its outcome. *step* does a function once for all, and keeps it."""
        ...


class Parked(BaseException):
    """Ends an item here and keeps nothing of that, so that it goes on elsewhere or later.

    dbos takes every `Exception`, a cancel of its task too, for the end of the workflow. An item ends by returning its
    outcome, and by nothing else.
    """


class _Current:
    """The worker of this process, and the items it works on."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        # By the id of the row. An item takes itself out again, whatever it ends by.
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        # The rows for which dbos reads or writes the store right now. A step puts its row in, and takes it out again.
        self.storing: set[str] = set()


CURRENT = _Current()


class _Open:
    """The connections to a SQLite store that dbos was given; `destroy` closes them."""

    engine: sqlalchemy.Engine | None = None


_OPEN = _Open()


@DBOS.workflow(name=ITEM, max_recovery_attempts=None, serialization_type=WorkflowSerializationFormat.PORTABLE)
async def run_item(record: dict[str, Any]) -> dict[str, Any]:
    """Work on an item.

    Raises:
        Parked: the worker has ended, or something was raised: the store cannot be written, for example.
    """
    row, task = DBOS.workflow_id, asyncio.current_task()
    if row is None or task is None or CURRENT.worker is None or row in CURRENT.tasks:
        raise Parked
    CURRENT.tasks[row] = task
    try:
        return await CURRENT.worker.item(row, record, _step)
    except Exception as error:  # noqa: BLE001 - whatever it is, the item is begun again
        _log_parked(row, error)
        raise Parked from None
    except asyncio.CancelledError:
        raise Parked from None
    finally:
        del CURRENT.tasks[row]


@DBOS.workflow(name=RUN, max_recovery_attempts=None, serialization_type=WorkflowSerializationFormat.PORTABLE)
async def hold_run(_record: dict[str, Any]) -> None:
    """Do nothing: the row holds the arguments of a run."""


@DBOS.workflow(name=STOP, max_recovery_attempts=None, serialization_type=WorkflowSerializationFormat.PORTABLE)
async def hold_stop(_record: dict[str, Any]) -> None:
    """Do nothing: that the row is there says that its run was stopped."""


async def _step(name: str, function: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    row = str(DBOS.workflow_id)

    async def call() -> dict[str, Any]:
        # What a step raises dbos would keep as its result for ever, and a cancel it would log.
        CURRENT.storing.discard(row)
        try:
            return await function()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no result of the step
            _log_parked(row, error)
            raise Parked from None
        except asyncio.CancelledError:
            raise Parked from None
        finally:
            CURRENT.storing.add(row)

    CURRENT.storing.add(row)
    try:
        kept: dict[str, Any] = await DBOS.run_step_async({"name": name}, call)
    finally:
        CURRENT.storing.discard(row)
    return kept


def _log_parked(row: str, error: Exception) -> None:
    # Its text may quote anything.
    _LOGGER.warning("item %s is left as it is, and begun again later: %s", row, type(error).__name__)


async def launch(url: StoreURL, worker: str) -> None:
    """Begin to work: dbos of this process takes up what *worker* has left, and whatever is on the queues.

    Raises:
        ConfigurationError: the store cannot be used.
    """
    # dbos makes its own engine for Postgres.
    _OPEN.engine = None if url.file is None else engine_of(url, connections=20)
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": url.url,
            "system_database_engine": _OPEN.engine,
            "executor_id": worker,
            "application_version": APP_VERSION,
            "serializer": DBOSPortableJSON,
            "log_level": "CRITICAL",
        }
    )
    try:
        # On this thread: it takes the running event loop for its own.
        DBOS.launch()
    except Exception as error:  # noqa: BLE001 - of a database's driver, a file or dbos: all say why it cannot be used
        await destroy()
        reason = " ".join(str(error).split())[:300]
        raise ConfigurationError(f"store={url.shown!r} cannot be used: {reason}") from None


async def park() -> None:
    """End all items of this process. Nothing is kept of that, but that a command was not sent, where that is known.

    What dbos is storing is let come to its end first, unless the store takes longer than `STORING_FOR`.

    Cancellation: waits until they have ended.
    """
    CURRENT.worker = None
    tasks = {**CURRENT.tasks}
    for row, task in tasks.items():
        if row not in CURRENT.storing:
            task.cancel()
    with anyio.CancelScope(shield=True):
        if tasks:
            await asyncio.wait(tasks.values(), timeout=STORING_FOR)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def destroy() -> None:
    """End dbos of this process, and give the event loop an executor of its own again."""
    loop, executor = asyncio.get_running_loop(), ThreadPoolExecutor(thread_name_prefix="asyncio")
    # dbos has put its own there. What others run in threads must not meet it when it takes no work any more.
    loop.set_default_executor(executor)
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(DBOS.destroy)
        if _OPEN.engine is not None:
            await anyio.to_thread.run_sync(_OPEN.engine.dispose)
            _OPEN.engine = None
    # A step that was just ending may have put dbos's there once more.
    loop.set_default_executor(executor)


def is_launched() -> bool:
    """Return whether dbos of this process is at work."""
    from dbos._dbos import _dbos_global_instance  # noqa: PLC0415

    return _dbos_global_instance is not None and _dbos_global_instance._launched  # noqa: SLF001 - it has no other way


def identity() -> tuple[str, str, str]:
    """Return the executor id, the application's name and its version that dbos of this process has."""
    from dbos._utils import GlobalParams  # noqa: PLC0415 - it has no other way

    return str(DBOS.executor_id), str(GlobalParams.app_name), str(DBOS.application_version)


def database() -> str:
    """Return the address of the database that dbos of this process has."""
    config = _config()
    engine = config.get("system_database_engine")
    # Beside an engine, the address in the configuration is one that is not used.
    if engine is None:
        return str(config["system_database_url"])
    return str(engine.url.render_as_string(hide_password=False))


def schema() -> str:
    """Return the schema that dbos of this process has in its database."""
    return str(_config().get("dbos_system_schema") or DEFAULT_SCHEMA)


def runs_here() -> bool:
    """Return whether dbos of this process works in the running event loop: the one that it was launched in."""
    loop = _instance()._background_event_loop  # noqa: SLF001 - it has no other way
    return loop._main_loop is asyncio.get_running_loop()  # noqa: SLF001 - the same


def _config() -> dict[str, Any]:
    return dict(_instance()._config)  # noqa: SLF001 - it has no other way


def _instance() -> DBOS:
    from dbos._dbos import _dbos_global_instance  # noqa: PLC0415 - it has no other way

    assert _dbos_global_instance is not None
    return _dbos_global_instance
