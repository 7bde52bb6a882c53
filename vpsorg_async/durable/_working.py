"""Holds what `DurableFleets` were given, and what their runs use while they are entered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs


if TYPE_CHECKING:
    from datetime import datetime

    from .._client import Client
    from ._settling import Settling
    from ._store import Store
    from ._store_url import StoreURL
    from ._worker import ItemWorker
    from ._worker_lock import WorkerLock


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Setup:
    """The checked arguments of `DurableFleets`; see there."""

    client: Client
    url: StoreURL
    worker: str
    settling: Settling
    lock: WorkerLock
    uses_existing: bool


class Working:
    """Gives runs the store and the worker of their `DurableFleets`, while these are entered."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.parts: tuple[Store, ItemWorker] | None = None

    def store(self) -> Store:
        """Return the store."""
        return self._entered()[0]

    def worker(self) -> ItemWorker:
        """Return the worker."""
        return self._entered()[1]

    def api_time(self) -> datetime | None:
        """Return the API's clock, if it is known."""
        context = self._client._context  # noqa: SLF001 - a part of this library
        return context.requester.api_clock.at(context.clock.now())

    def _entered(self) -> tuple[Store, ItemWorker]:
        if self.parts is None:
            raise RuntimeError("enter it first: async with DurableFleets(…) as fleets")
        if self.parts[1].failure is not None:
            raise self.parts[1].failure
        return self.parts
