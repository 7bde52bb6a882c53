"""Keeps what is known of one item of a run while the run works on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import attrs

from .._errors import APIConnectionError, OutcomeUnknownError, WaitError
from .._models import Server, checked_id
from .._request.call import OBSERVER, CallState, RetrySafety
from .report import Item, Outcome, OutcomeState


@attrs.define(eq=False, repr=False)
class ItemInProgress:
    """The state of an item that a run works on.

    Attributes:
        item: the server, id or spec that was given.
        left: returns the seconds that are left of the item's time; `None` is without end.
        accepted: whether the API accepted the command. It is true too for an item that changes nothing.
        server: the server as it was last seen.
        value: the result of the item's call.
    """

    item: Item
    left: Callable[[], float | None]
    accepted: bool = False
    server: Server | None = None
    value: Any = None
    _calls: list[CallState] = attrs.field(factory=list)
    # The observer of an outer fleet whose `apply` works on this item.
    _outer: Callable[[CallState], None] | None = attrs.field(factory=OBSERVER.get)

    @property
    def server_id(self) -> int | str:
        """The id of the server that was given."""
        return checked_id(self.item)

    def observe(self, call: CallState) -> None:
        """Note a call that is made for the item."""
        if self._outer is not None:
            self._outer(call)
        if call.retry_safety is not RetrySafety.SAFE:
            self._calls.append(call)

    @property
    def in_doubt(self) -> bool:
        """Whether a command was sent and no response tells what became of it."""
        return not self.accepted and any(call.maybe_done for call in self._calls)

    def succeeded(self, index: int) -> Outcome:
        """Return the outcome of an item that succeeded."""
        return Outcome(index=index, item=self.item, state="succeeded", server=self._last_seen(), value=self.value)

    def failed(self, index: int, error: BaseException) -> Outcome:
        """Return the outcome of an item that ended with *error*."""
        if isinstance(error, Exception):
            doubtful = isinstance(error, OutcomeUnknownError) or getattr(error, "sent", False) is True
            state: OutcomeState = "unknown" if doubtful and not self.accepted else "failed"
            reason = error
        else:
            state, reason = self._interrupted()
        server = self._last_seen(getattr(error, "server", None))
        return Outcome(index=index, item=self.item, state=state, server=server, value=self.value, error=reason)

    def _last_seen(self, told: object = None) -> Server | None:
        return next((server for server in (told, self.server, self.item) if isinstance(server, Server)), None)

    def _interrupted(self) -> tuple[OutcomeState, Exception]:
        if self.in_doubt:
            return "unknown", OutcomeUnknownError("cancelled with the command on the wire")
        if self.accepted:
            return "failed", WaitError("cancelled before the server got there", server=self.server)
        if any(call.attempts for call in self._calls):
            return "failed", WaitError("cancelled before it had ended")
        return "failed", APIConnectionError("cancelled before anything was changed")


Step: TypeAlias = Callable[[ItemInProgress], Awaitable[None]]
"""Does for one item what the run does for all, and notes on the item how far it came."""
