"""Tells of each call when it begins, goes on and ends, and follows its attempts. Each begin has exactly one end.

A call is what one `timeout` bounds: its attempts and pauses, and finding out what became of a lost response. Polls and
searches are parts of something else, and are not told.
"""

from __future__ import annotations

import re

from typing import TYPE_CHECKING, Any

import attrs

from .._events import FLEET, WAIT, next_number, outcome_of


if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from .. import _http as httpx
    from .._clock import Clock
    from .._events import EndOfAttempt, Events, Tracer
    from .call import Call, CallState

_PLAIN = re.compile(r"[a-z][a-z_-]*|v[0-9]+")
_REQUEST_ID = "X-Request-ID"


def template_of(call: Call[Any]) -> str:
    """Return the path of *call* with `{id}` in the place of ids, and of all else that is no plain word."""
    if call.server_id is None:
        return "/".join(part if not part or _PLAIN.fullmatch(part) else "{id}" for part in call.path.split("/"))
    _, root, _, *rest = call.path.split("/")
    return "/".join(["", root, "{id}", *rest])


class Calls:
    """Tells of the calls of a client."""

    def __init__(self, events: Events, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    def of(self, state: CallState) -> AbstractContextManager[object]:
        """Return a context manager: the call begins and ends where it is entered and left.

        It does nothing if nobody listens, if the call is a part of something else, or if it has begun already.
        """
        if state.record is not None or state.options.is_part or not self._events.are_heard:
            return _NOT_TOLD
        return CallRecord(self._events, self._clock, state)


class _NotTold:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


_NOT_TOLD = _NotTold()


@attrs.define(eq=False, repr=False)
class CallRecord:
    """Tells of one call. A context manager.

    Attributes:
        number: the number of the call.
    """

    _events: Events
    _clock: Clock
    _state: CallState
    number: int = attrs.field(factory=next_number)
    _began: float = attrs.field(default=0.0, init=False)
    # The fields of all events of the call.
    _fields: dict[str, object] = attrs.field(factory=dict[str, object], init=False)

    def __enter__(self) -> None:
        state, call = self._state, self._state.call
        state.record, self._began = self, self._clock.now()
        self._fields = {
            "call": self.number,
            "wait": WAIT.get(),
            "fleet": FLEET.get(),
            "method": call.method,
            "template": template_of(call),
            "server": call.server_id,
        }
        self._events.emit("call.began", **self._fields)

    def attempt(self) -> None:
        """Tell that a further attempt begins."""
        self._events.emit("call.attempt", **self._fields, number=self._state.attempts, reason=self._state.came)

    def paused(self, seconds: float, whose: str) -> None:
        """Tell that the API asked for a pause."""
        self._events.emit("call.paused", **self._fields, seconds=seconds, reason=self._state.came, whose=whose)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        state, now = self._state, self._clock.now()
        state.goes_on(now)
        if self._fields["server"] is None:
            # A create names the server that it has made.
            self._fields["server"] = getattr(state.made, "id", None)
        self._events.emit(
            "call.ended",
            **self._fields,
            status=state.status,
            attempts=state.attempts,
            seconds=now - self._began,
            queued=state.queued,
            sent=state.done or state.maybe_done,
            request_id=None if state.headers is None else state.headers.get(_REQUEST_ID),
            outcome=outcome_of(kind),
        )
        # What refers to the request would keep it alive in a circle.
        state.record = None


@attrs.define(eq=False, repr=False)
class _Traced:
    """Follows one attempt to its end."""

    state: CallState
    end: EndOfAttempt

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        status, error = self.state.status, self.state.error
        if kind is not None:
            self.end(status, outcome_of(kind))
        else:
            self.end(status, None if error is None else type(error).__name__)


def traced(tracer: Tracer | None, request: httpx.Request, state: CallState) -> AbstractContextManager[object]:
    """Return a context manager for an attempt. The tracer adds to the headers of *request*."""
    if tracer is None:
        return _NOT_TOLD
    url = str(request.url.copy_with(userinfo=b"", query=None, fragment=None))
    template = template_of(state.call)
    return _Traced(state, tracer.attempt(request.method, url, template, state.attempts, request.headers))
