"""Describes a call as data, and records what has become of it so far."""

from __future__ import annotations

import enum
import math

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import attrs

from .._policies import RetryPolicy
from .._transport.types import Phase
from .shared_pauses import Kind
from .turns import Share


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .. import _http as httpx
    from .._clock import Clock
    from .limiter import Ticket

T = TypeVar("T")

EXTENSION = "vpsorg_async.call"
"""The key of a `CallState` in `httpx.Request.extensions`: so any `httpx.AsyncBaseTransport` works underneath."""


class RetrySafety(enum.Enum):
    """Says how a call may go on when a byte of the request has left and no response came."""

    SAFE = "safe"
    """Changes nothing: send it again."""
    IDEMPOTENT = "idempotent"
    """Twice is the same as once: send it again. A refused repeat of a DELETE is settled by a GET."""
    STATE_CHECKED = "state checked"
    """Send it again: the API refuses the second one, which is settled by a GET."""
    RECONCILE = "reconcile"
    """Never send it again. Find out what became of it."""
    NEVER = "never"
    """Never send it again. There is no way to find out what became of it."""

    if not TYPE_CHECKING:
        # Python's own hashes the name anew at each look-up in a table.
        __hash__ = object.__hash__


LONGEST_RESERVE, SHARE_OF_RESERVE = 3.0, 1 / 3
"""A create or reboot begins only with so many seconds left, or with this share of its call's time, if that is less."""

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
    # A poll neither takes from nor gives to the retry budget: the next poll is the retry.
    poll: bool = False
    # With whom it shares the turns.
    share: Share = Share.CALLS
    # Whether it is a part of another call, or of a poll, and has no events of its own.
    is_part: bool = False
    # Sent in addition to the client's own headers, or in their place.
    headers: Mapping[str, str] | None = None

    def within(self, timeout: float | None) -> CallOptions:
        """Return these options with another bound on the whole call."""
        return attrs.evolve(self, timeout=timeout)

    def as_part(self, timeout: float | None) -> CallOptions:
        """Return the options of a request that is a part of another call, bounded by *timeout*."""
        return attrs.evolve(self, timeout=timeout, is_part=True)

    def for_polling(self, timeout: float | None) -> CallOptions:
        """Return the options of one poll: a single attempt, which takes turns with other polls.

        The attempt takes no longer than any call of the client may. *timeout* bounds its turn and its pauses too.
        """
        bounds = [seconds for seconds in (self.attempt_timeout, self.timeout) if seconds is not None]
        part = self.as_part(timeout)
        return attrs.evolve(
            part, attempt_timeout=min(bounds, default=None), retry=RetryPolicy.none(), poll=True, share=Share.POLLS
        )

    def for_searching(self, timeout: float | None) -> CallOptions:
        """Return the options of one poll that finds out what became of a lost call."""
        return attrs.evolve(self.as_part(timeout), retry=RetryPolicy.none(), poll=True, share=Share.SEARCHES)


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
    # Whether it makes something new, which APIs often limit apart from other calls.
    creates: bool = False
    # Start, stop or reboot, whose 400 means "not in this status".
    action: bool = False
    # The statuses of a later attempt that an earlier one may be the reason for, if its response was lost.
    repeat_refusals: frozenset[int] = frozenset()
    # Whether a 202 or 204 without a body that can be read, or any 2xx with an empty one, is a success: the API has
    # accepted the call.
    accepts_silence: bool = False
    # The server that the path names.
    server_id: int | str | None = None

    @property
    def kind(self) -> Kind:
        """The kind of call: a read, a create, or another change. An API may limit each kind apart."""
        if self.retry_safety is RetrySafety.SAFE:
            return Kind.READ
        return Kind.CREATE if self.creates else Kind.CHANGE

    @property
    def summary(self) -> str:
        """The request in short, such as `"POST /servers/"`: no query, no body."""
        return f"{self.method} {self.path}"


class Record(Protocol):
    """Tells of one call to those who listen.

    Attributes:
        number: the number of the call, in all its events.
    """

    number: int

    def attempt(self) -> None:
        """Tell that a further attempt begins."""

    def paused(self, seconds: float, whose: str) -> None:
        """Tell that the API asked for a pause."""


@attrs.define(eq=False, repr=False)
class CallState:
    """The state of one call. It travels in the extensions of its request, and the attempts write it."""

    call: Call[Any]
    options: CallOptions
    deadline: float = math.inf
    # Seconds before the deadline in which a create or reboot must not begin any more; `None`: by the call's time.
    reserve: float | None = None
    ticket: Ticket | None = None
    # All attempts, and those of them that count against `RetryPolicy.attempts`.
    attempts: int = 0
    charged: int = 0
    pauses: int = 0
    # Whether the API may have executed an attempt that has ended.
    lost: bool = False
    # Whether that is so, and no response at all came to it.
    unanswered: bool = False
    # Whether a byte of the present attempt has left and its response has not reached the caller.
    sent: bool = False
    # Whether a good response has reached the caller.
    done: bool = False
    # What the present attempt, or the call between two of them, is at, and where it is sent to.
    phase: Phase = Phase.TURN
    url: httpx.URL | None = None
    # What was wrong with the last attempt that ended, in words.
    trouble: str = ""
    # When the present attempt began, or the call if there was none yet, on the client's clock.
    began: float = 0.0
    # What the last response decodes to, and the error that the call ends with; written where the verdict is found.
    value: Any = None
    error: Exception | None = None
    # Tells of the call; `None`: nobody listens.
    record: Record | None = None
    # Seconds of waiting for turns and for the name of a create; and since when it waits, if it does.
    queued: float = 0.0
    waits_since: float | None = None
    # Of the last attempt: what came of it in words, and the response's status and headers, if there was one.
    came: str = ""
    status: int | None = None
    headers: Mapping[str, str] | None = None
    # The server that a create has made.
    made: object = None

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

    @property
    def begin_by(self) -> float:
        """When an attempt must have begun; a create or reboot needs time to finish and to find out what it did."""
        if self.call.retry_safety is not RetrySafety.RECONCILE:
            return self.deadline
        return self.deadline - (time_to_find_out(self.options.timeout) if self.reserve is None else self.reserve)

    def goes_on(self, now: float) -> None:
        """Note that it does not wait any more for its turn or its name, if it did."""
        if self.waits_since is not None:
            self.queued += now - self.waits_since
            self.waits_since = None

    def reached(self, phase: Phase) -> None:
        """Note that *phase* of the present attempt begins. From the first byte on the API may execute it."""
        self.phase = phase
        if phase is Phase.SENDING:
            self.sent = True


def time_to_find_out(timeout: float | None) -> float:
    """Return the seconds of *timeout* that a create or reboot must have left when it begins."""
    return LONGEST_RESERVE if timeout is None else min(LONGEST_RESERVE, timeout * SHARE_OF_RESERVE)


OBSERVER: ContextVar[Callable[[CallState], None] | None] = ContextVar("OBSERVER", default=None)
"""Is told of each call that this task makes; a fleet has to know what was on the wire at a cancel."""


class UnsettledError(Exception):
    """The verdict on a call is `Reconcile`; private, as `_commands` catches and settles it.

    Attributes:
        began: when the last attempt began, on the client's clock.
        cause: the error that the call would end with; of a hook of `client.http`, if that is no error of this library.
        response: the last response, if there was one.
        closed: whether the client was closed, so that nothing more can be asked.
        foreign: whether a hook of `client.http` raised the cause.
    """

    def __init__(
        self,
        *,
        began: float,
        cause: Exception,
        response: httpx.Response | None = None,
        closed: bool = False,
        foreign: bool = False,
    ) -> None:
        super().__init__(str(cause))
        self.began = began
        self.cause = cause
        self.response = response
        self.closed = closed
        self.foreign = foreign

    def raise_foreign(self) -> None:
        """Raise the cause if a hook of `client.http` raised it: it comes out once the call is settled."""
        if self.foreign:
            raise self.cause


ANY_REFUSAL = frozenset(range(400, 500)) - {401, 403, 408, 429}
"""Statuses that an API may answer a repeat with because the first request was executed."""

GONE = frozenset({404, 410})
"""Statuses that say so of the repeat of any DELETE."""


def left_until(clock: Clock, deadline: float) -> float | None:
    """Return the seconds until *deadline*, or `None` if there is none."""
    return None if deadline == math.inf else max(0.0, deadline - clock.now())
