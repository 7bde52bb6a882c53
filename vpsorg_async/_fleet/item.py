"""Keeps what is known of one item of a run while the run works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._errors import APIConnectionError, OutcomeUnknownError, WaitError
from .._models import Server, ServerSpec, checked_id
from .._request.call import OBSERVER, CallState, RetrySafety
from .report import Item, Outcome, carried_of
from .states import OutcomeState, next_of, state_after, state_under_way


if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from .report_data import Carried


@attrs.define(eq=False, repr=False, kw_only=True)
class ItemInProgress:
    """The state of an item that a run works on.

    Attributes:
        index: the position of the item.
        item: the server, id or spec that was given.
        left: returns the seconds that are left of the item's time; `None` is without end.
        began_at: when the item began, in UTC.
        changes: whether the item's work may change something. A wait changes nothing, so nothing can be in doubt.
        accepted: whether the API has accepted the command.
        server: the server as it was last seen.
        value: the result of the item's call.
        earlier: the outcome of an earlier run that this one goes on from.
        doubtful: whether that run has sent a command of which nobody knows what became of it.
        carried: what that run has left of what it knew.
        carries: returns what a later run has to know of the item's command.
    """

    index: int
    item: Item
    left: Callable[[], float | None]
    began_at: datetime
    changes: bool = True
    accepted: bool = False
    server: Server | None = None
    value: Any = None
    earlier: Outcome | None = None
    doubtful: bool = False
    carried: Carried | None = None
    carries: Callable[[ItemInProgress], Carried | None] | None = None
    _calls: list[CallState] = attrs.field(factory=list[CallState])
    # The observer of an outer fleet whose `apply` works on this item.
    _outer: Callable[[CallState], None] | None = attrs.field(factory=OBSERVER.get)

    def __attrs_post_init__(self) -> None:
        earlier = self.earlier
        if earlier is None or next_of(earlier.state) not in ("wait", "find out"):
            return
        self.accepted, self.doubtful = earlier.state == "pending", earlier.state == "unknown" and self.changes
        self.server, self.value, self.carried = earlier.server, earlier.value, carried_of(earlier)
        self.began_at = earlier.began_at or self.began_at

    @property
    def server_id(self) -> int | str:
        """The id of the server that was given, or of the one that was made of a spec."""
        given = self.server if isinstance(self.item, ServerSpec) else self.item
        return checked_id(given)

    def observe(self, call: CallState) -> None:
        """Note a call that is made for the item."""
        if self._outer is not None:
            self._outer(call)
        if call.retry_safety is not RetrySafety.SAFE:
            self._calls.append(call)

    @property
    def in_doubt(self) -> bool:
        """Whether a command was sent and no response tells what became of it."""
        return not self.accepted and (self.doubtful or any(call.maybe_done for call in self._calls))

    @property
    def sent(self) -> float | None:
        """When the command was sent of which no response tells, on the client's clock; `None`: there is none."""
        return next((call.began for call in reversed(self._calls) if call.maybe_done), None)

    @property
    def is_accepted(self) -> bool:
        """Whether the API has accepted a command of the item, and none is in doubt.

        The calls tell of the commands of a function that was given to `apply`.
        """
        return self.accepted or (not self.in_doubt and any(call.done for call in self._calls))

    def succeeded(self, ended_at: datetime) -> Outcome:
        """Return the outcome of an item that succeeded."""
        return self._outcome("succeeded", None, ended_at)

    def failed(self, error: Exception, ended_at: datetime) -> Outcome:
        """Return the outcome of an item that ended with *error*."""
        state: OutcomeState = "failed"
        if self.changes:
            state = state_after(error, accepted=self.is_accepted, in_doubt=self.in_doubt)
        return self._outcome(state, error, ended_at)

    def interrupted(self, ended_at: datetime, how: str = "cancelled") -> Outcome:
        """Return the outcome of an item that was cancelled. *how* says so in words."""
        return self.failed(self._interruption(how), ended_at)

    def so_far(self) -> Outcome:
        """Return the outcome of the item while it is in progress."""
        state = state_under_way(accepted=self.is_accepted)
        text = "it has not ended"
        error = OutcomeUnknownError(text, candidates=()) if state == "unknown" else self._wait_error(text)
        return self._outcome(state, error, None)

    def _outcome(self, state: OutcomeState, error: Exception | None, ended_at: datetime | None) -> Outcome:
        return Outcome(
            index=self.index,
            item=self.item,
            state=state,
            server=self._last_seen(getattr(error, "server", None)),
            value=self.value,
            error=error,
            accepted=self.is_accepted,
            began_at=self.began_at,
            ended_at=ended_at,
            carried=self.carries(self) if self.carries is not None and state in ("pending", "unknown") else None,
        )

    def _last_seen(self, told: object = None) -> Server | None:
        return next((server for server in (told, self.server, self.item) if isinstance(server, Server)), None)

    def _interruption(self, how: str) -> Exception:
        if self.in_doubt:
            return OutcomeUnknownError(f"{how} with the command on the wire", candidates=())
        if self.is_accepted:
            return self._wait_error(f"{how} after the command was accepted")
        if not self.changes or any(call.attempts for call in self._calls):
            return self._wait_error(f"{how} before it had ended")
        return APIConnectionError(f"{how} before anything was changed", sent=False)

    def _wait_error(self, text: str) -> WaitError:
        return WaitError(text, server=self._last_seen(), history=())
