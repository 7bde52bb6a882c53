"""Does the steps of each item in their order, and looks after what this worker has left undone."""

from __future__ import annotations

import asyncio
import logging
import math

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import anyio

from .._errors import VPSError
from .._fleet.report import Outcome
from .._fleet.report_data import Carried, load_error
from ._engine import CURRENT, destroy, park
from ._items import NotSent
from ._records import NOT_SENT, Intent, ItemRecord, dump_outcome


if TYPE_CHECKING:
    from ._engine import Step
    from ._items import Items
    from ._store import Store
    from ._worker_lock import WorkerLock

_LOGGER: Final = logging.getLogger("vpsorg_async")

_ROUNDS: Final = 5.0
"""Seconds between two looks after what was left undone (assumed)."""

_STOP_KNOWN_FOR: Final = 1.0
"""Seconds for which a look whether a run was stopped is good (assumed)."""


class ItemWorker:
    """Works on items one step after another: the intent is kept before the command is sent, and its result after."""

    def __init__(self, items: Items, store: Store, lock: WorkerLock, worker: str, *, ends_dbos: bool) -> None:
        self._items = items
        self._store = store
        self._lock = lock
        self._worker = worker
        self._ends_dbos = ends_dbos
        # By row: the results of the commands that this process has sent; `None` while one is being sent.
        self._sent: dict[str, dict[str, Any] | None] = {}
        # By run: when it was last seen not to be stopped.
        self._goes_on: dict[str, float] = {}
        # Set anew whenever an item has ended here.
        self.ended: anyio.Event = anyio.Event()
        # Why this worker has ended by itself.
        self.failure: VPSError | None = None

    async def item(self, row: str, record: dict[str, Any], step: Step) -> dict[str, Any]:
        """Work on an item, and return the record of its outcome.

        Raises:
            Exception: the store cannot be written now, the worker's name is lost, or the client is closed. The item is
                to be begun again.

        Cancellation: the item is to be begun again. If it is known that its command was never sent, that is kept.
        """
        try:
            return await self._steps(row, ItemRecord.from_dict(record), step)
        finally:
            ended, self.ended = self.ended, anyio.Event()
            ended.set()

    async def _steps(self, row: str, item: ItemRecord, step: Step) -> dict[str, Any]:
        async def intend() -> dict[str, Any]:
            self._check_at_work()
            await self._lock.check()
            if await self._is_stopped(item.run):
                return _nothing_sent().to_dict()
            return (await self._items.intend(item)).to_dict()

        parked = False

        async def command() -> dict[str, Any]:
            nonlocal parked
            try:
                return await self._command_once(row, item, intent)
            except NotSent:
                # This is kept, unless another process works on the item by now.
                await self._lock.check()
                parked = True
                return {"state": NOT_SENT}

        while True:
            intent = Intent.from_dict(await step("intent", intend))
            if intent.stopped:
                return dump_outcome(Outcome(index=item.index, item=item.item, state="skipped"))
            so_far = await step("command", command)
            if parked:
                raise asyncio.CancelledError
            if so_far["state"] != NOT_SENT:
                break
        # The store has it now. Another run may have the name of this one some day, and so its rows' ids.
        self._sent.pop(row, None)
        await self._stop_after(so_far, item, step)
        if so_far["state"] != "pending":
            return so_far
        self._check_at_work()
        outcome = await self._items.follow(item, so_far)
        await self._stop_after(outcome, item, step)
        return outcome

    async def _stop_after(self, outcome: dict[str, Any], item: ItemRecord, step: Step) -> None:
        """Stop the run of an item that has ended with an error after which nothing more is to be begun."""
        if not isinstance(load_error(outcome["error"]), item.arguments.stop_on):
            return

        async def stop() -> dict[str, Any]:
            await self._store.stop(item.run)
            self._goes_on.pop(item.run, None)
            return {}

        await step("stop", stop)

    async def _command_once(self, row: str, item: ItemRecord, intent: Intent) -> dict[str, Any]:
        """Send the command of an item, and remember the result until the store is known to have it."""
        if (result := self._sent.get(row)) is not None:
            return result
        if row in self._sent:
            # It was interrupted here before.
            intent = Intent(boot="", began_at=intent.began_at, carried=intent.carried)
        elif self._items.is_own(intent) and CURRENT.worker is not self:
            raise NotSent
        # Finding out takes a while, and may send the command again: that is for the next process.
        self._check_at_work()
        self._sent[row] = None
        await self._lock.check()
        try:
            result = await self._items.command(item, intent)
        except NotSent:
            del self._sent[row]
            raise
        self._sent[row] = result
        return result

    def _check_at_work(self) -> None:
        """Return if this worker is at work: an item whose step was being stored when it ended was not cancelled."""
        if CURRENT.worker is not self:
            raise asyncio.CancelledError

    async def _is_stopped(self, run: str) -> bool:
        now = anyio.current_time()
        if now - self._goes_on.get(run, -math.inf) < _STOP_KNOWN_FOR:
            return False
        # That it was stopped is not remembered: it may be forgotten, and its name be that of another run.
        if await self._store.is_stopped(run):
            return True
        self._goes_on[run] = now
        return False

    async def look_after(self) -> None:
        """Close the queues of runs that are over, and begin again what was parked, as long as the worker works.

        It ends if another process has taken the worker's name, or if the client is closed.
        """
        left: set[str] = set()
        while True:
            await anyio.sleep(_ROUNDS)
            try:
                await self._lock.check()
                self._items.check_client()
            except VPSError as error:
                self.failure = error
                self.ended.set()
                await park()
                if self._ends_dbos:
                    await destroy()
                return
            try:
                for name in await self._store.queues():
                    if await self._store.run_of(name) is not None and await self._store.is_over(name):
                        await self._store.close_queue(name)
                rows = [row for row in await self._store.in_progress_of(self._worker) if row.id not in CURRENT.tasks]
                # One that was begun a moment ago has no task yet.
                await self._store.release([row for row in rows if row.id in left])
                left = {row.id for row in rows} - left
            except Exception as error:  # noqa: BLE001 - of a database, its driver or dbos: the next look may do
                _LOGGER.warning("a look after what was left undone failed: %s", type(error).__name__)


def _nothing_sent() -> Intent:
    return Intent(boot="", began_at=datetime.now(UTC), carried=Carried(), stopped=True)
