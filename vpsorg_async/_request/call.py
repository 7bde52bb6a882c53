"""A call: what is asked, how it may be repeated, and what has become of it so far."""

from __future__ import annotations

import enum
import math

from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from .._policies import RetryPolicy


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .limiter import Ticket

T = TypeVar("T")

EXTENSION = "vpsorg_async.call"
"""The key of a `CallState` in `httpx.Request.extensions`: so any `httpx.AsyncBaseTransport` works underneath."""


class RetrySafety(enum.Enum):
    """What may be done when no answer came and a byte of the request had left."""

    SAFE = "safe"
    """Changes nothing: again."""
    IDEMPOTENT = "idempotent"
    """Twice is the same as once: again; a 404 to a repeated DELETE is success."""
    STATE_CHECKED = "state checked"
    """Again; the API refuses the second with a 400, which is then looked into."""
    RECONCILE = "reconcile"
    """Never again: look what became of it."""
    NEVER = "never"
    """Never again, and nothing to look at."""

    @property
    def once_only(self) -> bool:
        """Whether a request that may have been carried out must not be sent again."""
        return self in (RetrySafety.RECONCILE, RetrySafety.NEVER)


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
    """How long a call and each of its tries may take, in seconds, and how often it is tried."""

    timeout: float | None = 30.0
    attempt_timeout: float | None = 10.0
    retry: RetryPolicy = RetryPolicy()
    # A look: goes to the head of the queue, and neither takes from nor gives to the budget of retries.
    look: bool = False

    def within(self, timeout: float | None) -> CallOptions:
        """Return these options with another bound on the whole call."""
        return attrs.evolve(self, timeout=timeout)

    def for_polling(self, timeout: float | None) -> CallOptions:
        """Return the options of one look: a single try at the head of the queue."""
        return attrs.evolve(self, timeout=timeout, retry=RetryPolicy.none(), look=True)


@attrs.frozen(kw_only=True)
class Call(Generic[T]):
    """One request to one of the API's endpoints, as data."""

    method: str
    # Below the base URL, with its slashes: "/servers/7/".
    path: str
    retry_safety: RetrySafety
    decode: Callable[[bytes], T]
    query: Mapping[str, str] | None = None
    json: Mapping[str, object] | None = None
    # Start, stop or reboot, whose 400 means "not in this status".
    action: bool = False

    @property
    def summary(self) -> str:
        """The request in short, such as `"POST /servers/"`: no query, no body."""
        return f"{self.method} {self.path}"


@attrs.define(eq=False, repr=False, kw_only=True)
class CallState:
    """What has become of one call so far; travels in its request's extensions and is written by the wire."""

    retry_safety: RetrySafety
    options: CallOptions
    summary: str
    # Whether the SDK knows what the answer is: then there is no token in it that the caller could want.
    modelled: bool = True
    deadline: float = math.inf
    ticket: Ticket | None = None
    # All tries, and those of them that count against `RetryPolicy.attempts`.
    attempts: int = 0
    charged: int = 0
    pauses: int = 0
    # Whether a try before the present one may have been carried out.
    lost: bool = False
    # Whether a byte of the present try was handed to the stream and no answer to it has come.
    sent: bool = False
    # What was wrong with the last try that ended, in words.
    trouble: str = ""
    # When the present try began, on the client's clock.
    began: float = 0.0

    @property
    def maybe_done(self) -> bool:
        """Whether the API may have carried the call out without our knowing."""
        return self.lost or self.sent


OBSERVER: ContextVar[Callable[[CallState], None] | None] = ContextVar("OBSERVER", default=None)
"""Who is told of each call that this task makes: a fleet, which has to know what was on the wire at a cancel."""


class ResponseLostError(Exception):
    """A create or reboot may have been carried out, and no answer tells (private: `_reconcile` looks into it).

    Attributes:
        began: when the try began whose answer was lost, on the client's clock.
        cause: what ended it.
        closed: whether the client was closed, so that nothing more can be asked.
    """

    def __init__(self, *, began: float, cause: BaseException, closed: bool = False) -> None:
        super().__init__(str(cause))
        self.began = began
        self.cause = cause
        self.closed = closed
