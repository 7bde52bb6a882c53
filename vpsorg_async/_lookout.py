"""Looks at servers for those who wait for them, and hands the readings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _endpoints
from ._errors import NotFoundError, VPSError
from ._lifecycle import Reading


if TYPE_CHECKING:
    from collections.abc import Callable

    from ._clock import Clock
    from ._events import Events
    from ._journal import Journal
    from ._models import Server
    from ._schedule import Waiter
    from ._wire.call import CallOptions
    from ._wire.sending import Sender


class Lookout:
    """Gives each waiter its next reading, when its next look is due.

    A look is one try at the head of the queue: the next look is the retry.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        clock: Clock,
        journal: Journal,
        events: Events,
        options: CallOptions,
        bind: Callable[[Server], Server],
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._journal = journal
        self._events = events
        self._options = options
        self._bind = bind

    async def next(self, waiter: Waiter) -> Reading | VPSError | None:
        """Return the waiter's next reading, the error that its look ended with, or `None` for one out of date.

        Cancellation: the look is abandoned.
        """
        delay = waiter.due - self._clock.now()
        if delay > 0:
            await self._clock.sleep(delay)
        began = self._clock.now()
        outcome: Reading | VPSError
        try:
            outcome = await self._look(waiter, began)
        except VPSError as error:
            outcome = error
        now = self._clock.now()
        waiter.looked(began, now)
        self._events.emit("look.done", servers=1, requests=1, seconds=now - began, failed=isinstance(outcome, VPSError))
        if isinstance(outcome, Reading) and not self._journal.note(waiter.server_id, outcome):
            return None
        return outcome

    async def _look(self, waiter: Waiter, began: float) -> Reading:
        options = self._options.for_looking(waiter.look_timeout(began, self._options.attempt_timeout))
        server: Server | None
        try:
            answer = await self._sender.send(_endpoints.get(waiter.server_id), options)
            server = self._bind(answer.value)
        except NotFoundError:
            server = None
        return Reading(began=began, ended=self._clock.now(), server=server)
