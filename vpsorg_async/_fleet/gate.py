"""Holds the items of a run back while the API does not respond, and probes it until it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from .. import _endpoints
from .._errors import VPSError
from .._models import ServerSpec, checked_id
from .outage import RunOutage, lacks_response


if TYPE_CHECKING:
    from collections.abc import Callable

    from .._clock import Clock, Scope
    from .._context import Context
    from .._policies import PollPolicy
    from .._request.call import Call, CallOptions
    from .report import Item


class Gate:
    """Lets items pass while the API responds. One of the tasks that it holds back makes the probes for all.

    A task that is cancelled while it waits leaves nothing behind: the next one goes on with the probes.
    """

    def __init__(self, parts: Context, options: CallOptions, policy: PollPolicy) -> None:
        self.outage: RunOutage = RunOutage(policy)
        self._context = parts
        bounds = [seconds for seconds in (options.attempt_timeout, options.timeout) if seconds is not None]
        self._options = options.for_polling(min(bounds, default=None))
        self._lock = anyio.Lock()
        # The prober's sleep until the next probe.
        self._nap: Scope | None = None

    @property
    def _clock(self) -> Clock:
        return self._context.clock

    def failed(self, error: Exception, began: float) -> None:
        """Note the error of an item whose last work began at *began*."""
        if lacks_response(error):
            self.outage.failed(error, began, self._clock.now())

    def answered(self) -> None:
        """Note that an item has succeeded: the API responds."""
        self.outage.answered(self._clock.now())
        self.wake()

    def wake(self) -> None:
        """Let the tasks that are held back see whether they are still to wait."""
        if self._nap is not None:
            self._nap.cancel()

    async def passed(self, item: Item, needed: Callable[[], bool]) -> bool:
        """Return whether the API responds, as soon as that is known; false if the outage has lasted too long.

        It also returns when the result is not *needed* any more, and when the client is closed.
        """
        if self.outage.holds and needed():
            async with self._lock:
                while self.outage.holds and needed() and not self._context.lifetime.closed:
                    await self._probe(item)
        return self.outage.given_up is None

    async def recovered(self, item: Item) -> bool:
        """Return whether a probe has found the API out of reach, and a later one was answered.

        If the first probe is answered, the failure may have been the item's own, or an outage has just ended.
        """
        before = self.outage.confirmed - self.outage.is_confirmed
        return await self.passed(item, lambda: True) and self.outage.confirmed > before

    async def _probe(self, item: Item) -> None:
        now = self._clock.now()
        if pause := self.outage.probe_after(now):
            with self._clock.move_on_after(None) as self._nap, self._context.lifetime.running(self._nap):
                await self._clock.sleep(pause)
            self._nap = None
            if not self.outage.holds or self._context.lifetime.closed:
                return
        began = self._clock.now()
        error = await self._ask(_endpoints.list_page({"page_size": "1"}))
        if error is not None and not isinstance(item, ServerSpec):
            # A list may fail where a server can be read.
            error = await self._ask(_endpoints.get(checked_id(item)))
        if error is None:
            self.outage.answered(began)
        else:
            self.outage.unanswered(error, began, self._clock.now())

    async def _ask(self, call: Call[Any]) -> Exception | None:
        """Return the error of a request without a response. Any response will do, an error too."""
        try:
            await self._context.requester.send(call, self._options)
        except VPSError as error:
            return error if lacks_response(error) else None
        except Exception:  # noqa: BLE001 - of a user's hook or transport; the item's own call will tell it
            return None
        return None
