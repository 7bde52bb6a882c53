"""Tells of each run of a fleet when it begins, an item ends, and it ends. Each begin has exactly one end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._events import FLEET, outcome_of


if TYPE_CHECKING:
    import anyio

    from .._clock import Clock
    from .._events import Events
    from .ledger import Ledger
    from .report import Outcome

_STATES = ("succeeded", "failed", "pending", "unknown")


@attrs.define(eq=False, repr=False)
class Telling:
    """A context manager: the run of a fleet begins and ends where it is entered and left."""

    events: Events
    clock: Clock
    number: int
    ledger: Ledger
    at_once: int
    # Cancelled if the run is left before its end.
    scope: anyio.CancelScope
    _began: float = 0.0

    def __enter__(self) -> None:
        self._began = self.clock.now()
        self._emit("fleet.began", at_once=self.at_once)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ledger = self.ledger
        counts = {state: getattr(ledger.progress, state) for state in _STATES}
        counts["skipped"] = len(ledger.items) - sum(counts.values())
        self._emit("fleet.ended", **counts, seconds=self.clock.now() - self._began, error=self._error(kind))

    def _error(self, kind: type[BaseException] | None) -> str | None:
        if self.ledger.stopped_by is not None:
            return type(self.ledger.stopped_by).__name__
        return "cancelled" if self.scope.cancel_called else None if kind is None else outcome_of(kind)

    def _emit(self, name: str, **fields: object) -> None:
        ledger = self.ledger
        self.events.emit(name, fleet=self.number, action=ledger.action, total=len(ledger.items), **fields)


def tell_item(events: Events, action: str, outcome: Outcome) -> None:
    """Tell that an item of the run which the running task works for has ended."""
    if not events.are_heard:
        # The outcome in words takes longer than all else here.
        return
    began, ended = outcome.began_at, outcome.ended_at
    events.emit(
        "fleet.item",
        fleet=FLEET.get(),
        action=action,
        index=outcome.index,
        state=outcome.state,
        server=_server_of(outcome),
        error=None if outcome.error is None else type(outcome.error).__name__,
        item=str(outcome),
        seconds=0.0 if began is None or ended is None else (ended - began).total_seconds(),
    )


def _server_of(outcome: Outcome) -> int | str | None:
    """Return the id of the item's server; `None` for one that was to be created and is not known."""
    server = outcome.item if outcome.server is None else outcome.server
    return server if isinstance(server, (int, str)) else getattr(server, "id", None)
