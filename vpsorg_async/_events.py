"""What happens inside a client, told to its `on_event` and to the logger `vpsorg_async`."""

from __future__ import annotations

import logging

from typing import TYPE_CHECKING, Any

import attrs


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._clock import Clock

logger = logging.getLogger("vpsorg_async")

# What an operator should hear of without asking: a server may exist that no code holds.
_LEVELS = {
    "create.abandoned": logging.WARNING,
    "create.reconciled": logging.INFO,
    "call.paused": logging.INFO,
    "call.retry": logging.INFO,
}


@attrs.frozen
class Event:
    """One thing that happened.

    Attributes:
        name: what, such as `"call.retry"`: constant and dotted.
        at: when, in seconds on the client's clock (monotonic: only differences mean something).
        fields: the particulars. Neither a token nor a request's body is among them.
    """

    name: str
    at: float
    fields: Mapping[str, Any] = attrs.field(hash=False)


class Events:
    """Tells events to a plain function and to the logger; one that fails is heard of once, and breaks nothing."""

    def __init__(self, clock: Clock, on_event: Callable[[Event], object] | None = None) -> None:
        self._clock = clock
        self._on_event = on_event
        self._complained = False

    def emit(self, name: str, /, **fields: Any) -> None:
        """Tell that *name* happened now."""
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
                logger.exception("on_event raised; it goes on being called, further errors of it are not logged")
