"""A durable run, as a program sees it: awaited, iterated, looked at, stopped, forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator

import anyio

from .._error_base import InvalidArgumentError
from .._fleet.report import FleetReport, Outcome
from ._records import RunRecord
from ._working import Working


_LOOKS: tuple[float, float] = (0.2, 1.0)
"""Seconds between two looks for items that have ended: at first, and at most where many are awaited (assumed)."""


class DurableRun:
    """A run of `DurableFleets`. It goes on whether or not anybody awaits it.

    Await it for its `FleetReport`, when all its items have ended. Or iterate over it, `async for outcome in run`, for
    each `Outcome` as it ends; an iteration begins with those that have ended already.

    The `server` of an outcome has its id, name and status: more is not kept. An error is of its class, with the status
    and request id of the response; its text has no words of the API.

    Attributes:
        name: the name under which it was begun.
        action: what is done with each item, such as `"create"`.
    """

    def __init__(self, name: str, record: RunRecord, working: Working) -> None:
        self.name = name
        self.action: str = record.action
        self._record = record
        self._working = working

    def __repr__(self) -> str:
        count = self._record.count
        return f"<DurableRun {self.name!r}: {self.action} of {count} {'server' if count == 1 else 'servers'}>"

    def __await__(self) -> Generator[object, None, FleetReport]:
        return self._over().__await__()

    async def _over(self) -> FleetReport:
        async for _ in self:
            pass
        return await self.snapshot()

    async def __aiter__(self) -> AsyncIterator[Outcome]:
        """Yield each outcome once.

        Raises:
            InvalidArgumentError: the run was forgotten.
            RuntimeError: the `DurableFleets` were left.
            ConfigurationError: another process has taken the worker's name.
            ClientClosedError: the client was closed.

        Cancellation: the run goes on, and another iteration begins with all that have ended.
        """
        seen: set[int] = set()
        after, pause = 0, _LOOKS[0]
        while True:
            store = self._working.store()
            ended_here = self._working.worker().ended
            over = await store.is_over(self.name)
            if over and len(seen) == self._record.count:
                return
            outcomes, after = await store.ended(self.name, 0 if over else after)
            for outcome in outcomes:
                if outcome.index not in seen:
                    seen.add(outcome.index)
                    if outcome.state != "skipped":
                        yield outcome
            if over:
                await self._check_is_kept()
                return
            with anyio.move_on_after(pause):
                await ended_here.wait()
            # The end of an item here is kept a moment after it.
            await anyio.sleep(_LOOKS[0])
            pause = min(pause * 1.2, _LOOKS[1])

    async def snapshot(self) -> FleetReport:
        """Return the state of every item now: one in progress is pending or unknown, one not begun is skipped.

        Raises:
            InvalidArgumentError: the run was forgotten.
            RuntimeError: the `DurableFleets` were left.
        """
        outcomes = await self._working.store().outcomes(self.name, self._record.count)
        if len(outcomes) < self._record.count:
            raise self._forgotten()
        stopped_by = next(
            (one.error for one in outcomes if isinstance(one.error, self._record.arguments.stop_on or ())), None
        )
        return FleetReport(
            action=self.action,
            outcomes=tuple(outcomes),
            stopped_by=stopped_by,
            arguments=self._record.arguments,
            made_at=self._working.api_time(),
        )

    async def cancel(self) -> None:
        """Begin no further item. Those in progress go on to their ends, and the others are skipped.

        Raises:
            InvalidArgumentError: the run was forgotten.
            RuntimeError: the `DurableFleets` were left.
            ConfigurationError: the store cannot be written, and the run goes on.
        """
        # A later run may have the name, and would be cancelled before its begin.
        await self._check_is_kept()
        await self._working.store().stop(self.name)

    async def forget(self) -> None:
        """Delete all that is kept of the run. Its name is free again.

        Raises:
            InvalidArgumentError: it has not ended.
            RuntimeError: the `DurableFleets` were left.
            ConfigurationError: the store cannot be written. Forget the run again then.
        """
        store = self._working.store()
        if not await store.is_over(self.name):
            raise InvalidArgumentError(
                f"the run {self.name!r} has not ended: await it, or cancel it, and then forget it"
            )
        await store.forget(self.name)

    async def _check_is_kept(self) -> None:
        if await self._working.store().run_of(self.name) is None:
            raise self._forgotten()

    def _forgotten(self) -> InvalidArgumentError:
        return InvalidArgumentError(f"there is no run {self.name!r} any more: it was forgotten")
