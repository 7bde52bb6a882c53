"""Describes a call as data, and records what has become of it so far."""

from __future__ import annotations

import enum
import math

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from .._policies import RetryPolicy


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from .._errors import APIStatusError, VPSError
    from .limiter import Ticket

T = TypeVar("T")

EXTENSION = "vpsorg_async.call"
"""The key of a `CallState` in `httpx.Request.extensions`: so any `httpx.AsyncBaseTransport` works underneath."""


class RetrySafety(enum.Enum):
    """Says how a call may go on when a byte of the request has left and no response came."""

    SAFE = "safe"
    """Changes nothing: send it again."""
    IDEMPOTENT = "idempotent"
    """Twice is the same as once: send it again. A 404 to a repeated DELETE is success."""
    STATE_CHECKED = "state checked"
    """Send it again: the API refuses the second one with a 400, which is settled by a GET."""
    RECONCILE = "reconcile"
    """Never send it again. Find out what became of it."""
    NEVER = "never"
    """Never send it again. There is no way to find out what became of it."""

    # Python's own hashes the name anew at each look-up in a table.
    __hash__ = object.__hash__


ONCE_ONLY = frozenset({RetrySafety.RECONCILE, RetrySafety.NEVER})
"""A request with one of these must not be sent again if the API may have executed it."""

RETRY_SAFETY_BY_METHOD = {
    "GET": RetrySafety.SAFE,
    "HEAD": RetrySafety.SAFE,
    "OPTIONS": RetrySafety.SAFE,
    "PUT": RetrySafety.IDEMPOTENT,
    "PATCH": RetrySafety.IDEMPOTENT,
    "DELETE": RetrySafety.IDEMPOTENT,
}
"""What a request that the SDK does not model may do; any other method: `RetrySafety.NEVER`."""


@attrs.frozen(eq=False, repr=False, kw_only=True)
class CallOptions:
    """How long a call and each of its attempts may take, in seconds, and how often it is attempted."""

    timeout: float | None = 30.0
    attempt_timeout: float | None = 10.0
    retry: RetryPolicy = RetryPolicy()
    # A poll goes to the head of the queue, and neither takes from nor gives to the retry budget.
    poll: bool = False

    def within(self, timeout: float | None) -> CallOptions:
        """Return these options with another bound on the whole call."""
        return attrs.evolve(self, timeout=timeout)

    def for_polling(self, timeout: float | None) -> CallOptions:
        """Return the options of one poll: a single attempt at the head of the queue."""
        return attrs.evolve(self, timeout=timeout, retry=RetryPolicy.none(), poll=True)


@attrs.frozen(kw_only=True)
class Call(Generic[T]):
    """One request to one of the API's endpoints, as data."""

    method: str
    # Below the base URL, with its slashes: "/servers/7/".
    path: str
    retry_safety: RetrySafety
    # `None`: a request that the SDK does not model, whose response is the caller's to read.
    decode: Callable[[bytes], T] | None = None
    query: Mapping[str, str] | None = None
    json: Mapping[str, object] | None = None
    # Start, stop or reboot, whose 400 means "not in this status".
    action: bool = False
    # The error of a later attempt if an earlier one was executed.
    repeat_refused_with: type[APIStatusError] | None = None

    @property
    def summary(self) -> str:
        """The request in short, such as `"POST /servers/"`: no query, no body."""
        return f"{self.method} {self.path}"


@attrs.define(eq=False, repr=False)
class CallState:
    """The state of one call. It travels in the extensions of its request, and the attempts write it."""

    call: Call[Any]
    options: CallOptions
    deadline: float = math.inf
    ticket: Ticket | None = None
    # All attempts, and those of them that count against `RetryPolicy.attempts`.
    attempts: int = 0
    charged: int = 0
    pauses: int = 0
    # Whether the API may have executed an attempt that has ended.
    lost: bool = False
    # Whether a byte of the present attempt has left and its response has not reached the caller.
    sent: bool = False
    # What was wrong with the last attempt that ended, in words.
    trouble: str = ""
    # When the present attempt began, on the client's clock.
    began: float = 0.0
    # What the last response decodes to, and the error that the call ends with; written where the verdict is found.
    value: Any = None
    error: Exception | None = None

    @property
    def retry_safety(self) -> RetrySafety:
        """Says how the call may go on when its response is lost."""
        return self.call.retry_safety

    @property
    def maybe_done(self) -> bool:
        """Whether the API may have executed the call, and no response says so."""
        return self.lost or self.sent

    def left(self, now: float) -> float | None:
        """Return the seconds that are left of the call's time; `None`: it has no end."""
        return None if self.deadline == math.inf else max(0.0, self.deadline - now)

    def sending(self) -> None:
        """Note that the first byte of the present attempt leaves. From now on the API may execute it."""
        self.sent = True


OBSERVER: ContextVar[Callable[[CallState], None] | None] = ContextVar("OBSERVER", default=None)
"""Is told of each call that this task makes; a fleet has to know what was on the wire at a cancel."""


class UnsettledError(Exception):
    """The verdict on a call is `Reconcile`; private, as `_commands` catches and settles it.

    Attributes:
        began: when the last attempt began, on the client's clock.
        cause: the error that the call would end with.
        response: the last response, if there was one.
        closed: whether the client was closed, so that nothing more can be asked.
    """

    def __init__(
        self, *, began: float, cause: VPSError, response: httpx.Response | None = None, closed: bool = False
    ) -> None:
        super().__init__(str(cause))
        self.began = began
        self.cause = cause
        self.response = response
        self.closed = closed
