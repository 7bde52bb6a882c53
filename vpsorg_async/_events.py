"""Reports what happens inside a client to its `on_event` function and to the logger `vpsorg_async`."""

from __future__ import annotations

import itertools
import logging

from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Protocol

import attrs

from ._clock import Clock
from ._event_kinds import EVENTS
from ._public import publish


logger = logging.getLogger("vpsorg_async")

_LEVELS = {name: kind.level for name, kind in EVENTS.items()}

FLEET: ContextVar[int | None] = ContextVar("FLEET", default=None)
"""The number of the fleet's run that the running task works for."""

WAIT: ContextVar[int | None] = ContextVar("WAIT", default=None)
"""The number of the wait whose `on_change` or `when` the running task may be in."""

# Of all clients, because a fleet of one client may make calls of another.
_NUMBERS = itertools.count(1)


def next_number() -> int:
    """Return the number of a new call, wait or run. It is unique in the process."""
    return next(_NUMBERS)


def outcome_of(kind: type[BaseException] | None) -> str:
    """Return in a word what something has ended with: the class of an error, if there was one."""
    if kind is None:
        return "done"
    return kind.__name__ if issubclass(kind, Exception) else "cancelled"


def _read_only(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(fields)


@attrs.frozen
class Event:
    """One thing that happened inside a client.

    These are the names, and the fields of each:

    - `call.began`: `call`, `wait`, `fleet`, `method`, `template`, `server`
    - `call.attempt`: the same, `number`, `reason`. For each attempt after the first.
    - `call.paused`: the same, `seconds`, `reason`, `whose`. The API asked for a pause.
    - `call.ended`: the same, `status`, `attempts`, `seconds`, `queued`, `sent`, `request_id`, `outcome`
    - `poll.ended`: `poll`, `server`, `servers`, `requests`, `seconds`, `failed`
    - `wait.began`: `wait`, `fleet`, `server`, `goal`, `timeout`
    - `wait.status`: `wait`, `fleet`, `server`, `status`
    - `wait.ended`: `wait`, `fleet`, `server`, `goal`, `outcome`, `seconds`
    - `watch.failed`: `servers`, `error`, `reason`
    - `fleet.began`: `fleet`, `action`, `total`, `at_once`
    - `fleet.item`: `fleet`, `action`, `index`, `state`, `server`, `error`, `item`, `seconds`
    - `fleet.ended`: `fleet`, `action`, `total`, `succeeded`, `failed`, `pending`, `unknown`, `skipped`, `seconds`,
      `error`
    - `create.abandoned`: `call`, `fleet`, `name`, `location`
    - `create.reconciled`: `call`, `fleet`, `name`, `location`, `server`

    Each call that began has exactly one `call.ended`, also if it was cancelled or refused. The page `docs/events.md`
    has the types and meanings of all fields.

    Attributes:
        name: the constant, dotted name of the event, such as `"call.ended"`.
        at: the time, in seconds on the client's monotonic clock. Only differences mean something.
        fields: the details, which cannot be changed. They never hold a token, a query or the body of a request.
    """

    name: str
    at: float
    fields: Mapping[str, Any] = attrs.field(hash=False, converter=_read_only)

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view cannot be pickled itself.
        return Event, (self.name, self.at, dict(self.fields))


class PollTrace(Protocol):
    """Follows one poll, whose requests several tasks may make, one after another."""

    def current(self) -> AbstractContextManager[None]:
        """Return a context manager: while it is entered, the running task works on the poll."""
        ...

    def end(self, *, failed: bool) -> None:
        """Note that the poll has ended, or that nobody goes on with it."""


EndOfAttempt = Callable[[int | None, str | None], None]
"""Called when an attempt has ended, in its task, with the status of the response and the name of the error."""


class Tracer(Protocol):
    """Follows attempts and polls as well, of whose beginnings no event tells. For the integrations."""

    def attempt(
        self, method: str, url: str, template: str, number: int, headers: MutableMapping[str, str]
    ) -> EndOfAttempt:
        """Note that an attempt begins in the running task, and add to its *headers*. *url* has no user and no query."""
        ...

    def poll(self, server: str | None) -> PollTrace:
        """Note that a poll begins, of one server or of the list."""
        ...

    def served(self, wait: int) -> None:
        """Note that the poll which the running task works on has brought something for a wait."""


on_new: Callable[[Events], None] | None = None
"""Is given the events of each client that is made, if an integration follows all of them."""


class Events:
    """Sends events to functions and to the logger. An error of a function is logged once, and breaks nothing.

    Attributes:
        tracer: follows attempts and polls as well.
    """

    def __init__(self, clock: Clock, on_event: Callable[[Event], object] | None = None) -> None:
        self._clock = clock
        self._listeners: tuple[Callable[[Event], object], ...] = () if on_event is None else (on_event,)
        self._complained = False
        self.tracer: Tracer | None = None
        if on_new is not None:
            on_new(self)

    @property
    def are_heard(self) -> bool:
        """Whether anybody listens to what happens in every call."""
        return bool(self._listeners) or logger.isEnabledFor(logging.INFO)

    def add(self, listener: Callable[[Event], object]) -> None:
        """Send all further events to *listener* too."""
        self._listeners += (listener,)

    def remove(self, listener: Callable[[Event], object]) -> None:
        """Send *listener* no further events."""
        self._listeners = tuple(one for one in self._listeners if one != listener)

    def emit(self, name: str, /, **fields: Any) -> None:
        """Report that *name* happened now."""
        level = _LEVELS[name]
        if logger.isEnabledFor(level):
            logger.log(level, "%s %s", name, " ".join(f"{key}={value!r}" for key, value in fields.items()))
        if self._listeners:
            event = Event(name, self._clock.now(), fields)
            for listener in self._listeners:
                self._tell(listener, event)

    def _tell(self, listener: Callable[[Event], object], event: Event) -> None:
        try:
            listener(event)
        except Exception:
            if not self._complained:
                self._complained = True
                logger.exception("on_event raised an error. It is still called, and its further errors are not logged.")


publish(Event)
