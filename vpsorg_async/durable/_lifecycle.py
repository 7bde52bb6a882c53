"""Begins the work of a worker, and ends it. What it takes on the way in, it gives back on the way out."""

from __future__ import annotations

import asyncio
import uuid

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from .._errors import ConfigurationError
from ._engine import CURRENT, DEFAULT_SCHEMA, database, destroy, identity, is_launched, launch, park, runs_here, schema
from ._items import Items
from ._store import Store
from ._store_url import prepare_file
from ._worker import ItemWorker


if TYPE_CHECKING:
    from ._working import Setup


class Lifecycle:
    """The time for which `DurableFleets` are entered."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._store: Store | None = None
        self._worker: ItemWorker | None = None
        self._looking_after: asyncio.Task[None] | None = None

    async def begin(self) -> tuple[Store, ItemWorker]:
        """Take the worker's name, open the store, and begin to work on what is there.

        Raises:
            ClientClosedError: the client is closed.
            ConfigurationError: one of them cannot be had. Nothing was sent.

        Cancellation: all that was taken is given back.
        """
        setup = self._setup
        setup.client._context.lifetime.check()  # noqa: SLF001 - a part of this library
        self._check_dbos()
        if setup.url.file is not None:
            await anyio.to_thread.run_sync(prepare_file, setup.url)
        await setup.lock.acquire()
        try:
            self._store = store = self._opened()
            await store.check_version()
            # Each time it is entered, it is another process to what was left by the one before.
            items = Items(setup.client, uuid.uuid4().hex, setup.settling)
            self._worker = worker = ItemWorker(
                items, store, setup.lock, setup.worker, ends_dbos=not setup.uses_existing
            )
            CURRENT.worker = worker
            if not setup.uses_existing:
                await launch(setup.url, setup.worker)
            self._looking_after = asyncio.create_task(worker.look_after())
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._give_back()
            raise
        return store, worker

    async def end(self) -> None:
        """End the work here. What is in progress is left in the store as it is."""
        assert self._looking_after is not None
        assert self._worker is not None
        try:
            # A worker that has ended by itself ends dbos too, and that is not to be cut short.
            if self._worker.failure is None:
                self._looking_after.cancel()
            await asyncio.gather(self._looking_after, return_exceptions=True)
            await park()
            if not self._setup.uses_existing and self._worker.failure is None:
                await destroy()
        finally:
            await self._give_back()

    def _opened(self) -> Store:
        if not self._setup.uses_existing:
            return Store(self._setup.url)
        _, application, version = identity()
        return Store(self._setup.url, application=application, version=version)

    async def _give_back(self) -> None:
        CURRENT.worker = None
        try:
            if self._store is not None:
                await self._store.close()
        finally:
            await self._setup.lock.release()

    def _check_dbos(self) -> None:
        setup, launched = self._setup, is_launched()
        if launched and not setup.uses_existing:
            raise ConfigurationError("this process runs dbos already: pass use_existing=True to use it")
        if not setup.uses_existing:
            return
        if not launched:
            raise ConfigurationError("use_existing=True, but no dbos was launched: call DBOS.launch() first")
        if not runs_here():
            raise ConfigurationError(
                "the dbos of this process does not work in this event loop: call DBOS.launch() in a coroutine of it"
            )
        if (executor := identity()[0]) != setup.worker:
            raise ConfigurationError(
                f"worker={setup.worker!r}, but the executor_id of this process's dbos is {executor!r}: give the same"
            )
        if not setup.url.is_same(database()):
            raise ConfigurationError(f"store={setup.url.shown!r} is not the database of this process's dbos: give that")
        if schema() != DEFAULT_SCHEMA:
            raise ConfigurationError(
                f"this process's dbos has the schema {schema()!r}: durable fleets need dbos_system_schema unset"
            )
