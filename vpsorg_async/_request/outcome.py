"""Names what came of an attempt, and what it may mean for its call. Pure."""

from __future__ import annotations

import enum

from typing import TYPE_CHECKING, Protocol

import attrs


if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from .. import _http as httpx
    from .call import CallState
    from .shared_pauses import Kind

_REDIRECTION, _CLIENT_ERROR, _SERVER_ERROR = 300, 400, 500
_REQUEST_TIMEOUT, _TOO_MANY, _UNAVAILABLE = 408, 429, 503
# RFC 9110: not implemented, and version not supported. RFC 6585: log in to the network.
_LASTING = frozenset({501, 505, 511})


class Outcome(enum.Enum):
    """The ways in which one attempt ends."""

    SUCCEEDED = "a 2xx that was decoded"
    UNREADABLE = "a 2xx that is not what the API documents, or a response too large or not in its encoding"
    REDIRECTED = "a 3xx that is not followed"
    REFUSED = "a 4xx but 408 and 429"
    REPEAT_REFUSED = "a refusal of a later attempt, where an earlier one may have been executed"
    GAVE_UP = "408: the API gave up waiting for the request"
    UNSUPPORTED = "501, 505 or 511, which will not change"
    LIMITED = "429, or 503 with Retry-After"
    FAILED = "any other 5xx, or a status of 600 or more"
    NOT_SENT = "no byte of the request left"
    LOST = "a byte of the request left, and no response came"
    UNVERIFIED = "the server's certificate does not verify"
    UNSENDABLE = "a request that cannot be sent as it is"

    __hash__ = object.__hash__


@attrs.frozen
class Return:
    """The call ends with what this attempt brought: a value or an error."""


@attrs.frozen
class Retry:
    """Attempt it again *after* so many seconds; one that is *free* costs neither attempts nor budget.

    *least* is the part of them that must pass: without time for that there is no other attempt.
    """

    after: float
    least: float = 0.0
    free: bool = False


@attrs.frozen
class Reconcile:
    """The API may have executed the call, and only a GET can tell. `_commands` settles it."""


Verdict = Return | Retry | Reconcile


@attrs.define(eq=False, repr=False)
class Attempt:
    """How one attempt ended.

    Attributes:
        verdict: what it means for its call.
        ended: when, on the client's clock.
        trouble: what was wrong with it, in words; empty where nothing was.
        works: whether the API works: it responded, with no 5xx, and nothing is to be attempted again.
        response: the response; `None` where none came, or none that can be read.
        closed: whether closing the client ended it.
        pauses: the kinds of calls that the pause it was answered with concerns; empty: this call alone.
    """

    verdict: Verdict
    ended: float
    trouble: str = ""
    works: bool = False
    response: httpx.Response | None = None
    closed: bool = False
    pauses: AbstractSet[Kind] = frozenset()


class AttemptMaker(Protocol):
    """Makes the attempts of a call, and gives each its verdict."""

    async def make(self, request: httpx.Request, state: CallState) -> Attempt:
        """Make an attempt in its turn, and return how it ended."""
        ...

    def cut_short(self, state: CallState, *, closed: bool) -> Attempt:
        """Return how the attempt ended that the call's time, or the end of the client, has cut short."""
        ...


def outcome_of_status(status: int, *, retry_after: float | None) -> Outcome:
    """Return what came of an attempt by its *status*; *retry_after* is what its `Retry-After` says, if anything."""
    if status < _REDIRECTION:
        return Outcome.SUCCEEDED
    if status < _CLIENT_ERROR:
        return Outcome.REDIRECTED
    if status == _TOO_MANY or (status == _UNAVAILABLE and retry_after is not None):
        return Outcome.LIMITED
    if status == _REQUEST_TIMEOUT:
        return Outcome.GAVE_UP
    if status < _SERVER_ERROR:
        return Outcome.REFUSED
    return Outcome.UNSUPPORTED if status in _LASTING else Outcome.FAILED
