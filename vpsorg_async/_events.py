"""Reports what happens inside a client to its `on_event` function and to the logger `vpsorg_async`."""

from __future__ import annotations

import logging

from typing import TYPE_CHECKING, Any

import attrs


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._clock import Clock

logger = logging.getLogger("vpsorg_async")

# An abandoned create may leave a server that no code knows, so it is a warning.
_LEVELS = {
    "create.abandoned": logging.WARNING,
    "create.reconciled": logging.INFO,
    "call.paused": logging.INFO,
    "call.retry": logging.INFO,
}


@attrs.frozen
class Event:
    """One thing that happened inside a client.

    Attributes:
        name: the constant, dotted name of the event, such as `"call.retry"`.
        at: the time, in seconds on the client's monotonic clock. Only differences mean something.
        fields: the details. They never hold a token or the body of a request.
    """

    name: str
    at: float
    fields: Mapping[str, Any] = attrs.field(hash=False)


class Events:
    """Sends events to a function and to the logger. An error of the function is logged once, and breaks nothing."""

    def __init__(self, clock: Clock, on_event: Callable[[Event], object] | None = None) -> None:
        self._clock = clock
        self._on_event = on_event
        self._complained = False

    def emit(self, name: str, /, **fields: Any) -> None:
        """Report that *name* happened now."""
        level = _LEVELS.get(name, logging.DEBUG)
        if logger.isEnabledFor(level):
            logger.log(level, "%s %s", name, " ".join(f"{key}={value!r}" for key, value in fields.items()))
        if self._on_event is None:
            return
        try:
            self._on_event(Event(name, self._clock.now(), fields))
        except Exception:
            if not self._complained:
                self._complained = True
                logger.exception("on_event raised an error. It is still called, and its further errors are not logged.")
