"""The errors that this library raises: one tree, each picklable, none with a token or a request's body in it.

Every error can also be made from its text alone, as `cls(*error.args)`. JSON result backends of task queues do that.
Its other attributes are then `None`, and never a value that looks harmless.

VPSError
├── ConfigurationError
├── InvalidArgumentError         (also a ValueError)
├── AmbiguousNameError           (also a LookupError)
├── APIConnectionError
│   ├── APITimeoutError          (also a TimeoutError)
│   └── ClientClosedError
├── OutcomeUnknownError
├── ResponseError
├── APIStatusError
│   ├── BadRequestError          400
│   │   └── StateConflictError
│   ├── AuthenticationError      401
│   ├── InsufficientCreditsError 402
│   ├── PermissionDeniedError    403
│   ├── NotFoundError            404
│   ├── RateLimitError           429
│   └── ServerError              5xx
└── WaitError
    ├── WaitTimeoutError         (also a TimeoutError)
    ├── WaitFailedError
    ├── UnexpectedStatusError
    └── ServerGoneError
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

from ._error_base import ConfigurationError, InvalidArgumentError, VPSError, picklable, portable
from ._models import Server, StatusSeen
from ._public import publish


__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AmbiguousNameError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ConfigurationError",
    "InsufficientCreditsError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitError",
    "ResponseError",
    "ServerError",
    "ServerGoneError",
    "StateConflictError",
    "UnexpectedStatusError",
    "VPSError",
    "WaitError",
    "WaitFailedError",
    "WaitTimeoutError",
    "picklable",
    "portable",
]


T = TypeVar("T")


def _known(value: T | None) -> T:
    """Return *value*, typed as it is in every error that a call raises. Only a rebuilt error has `None` there."""
    return cast("T", value)


def _tuple_of(items: Sequence[T] | None) -> tuple[T, ...]:
    return _known(None if items is None else tuple(items))


class APIConnectionError(VPSError):
    """No response arrived. The request either had no effect or can safely be repeated.

    Attributes:
        sent: whether the API may have executed the request all the same. `None`: not known.
    """

    sent: bool | None = None

    def __init__(self, text: str, *, sent: bool | None = None, request_summary: str | None = None) -> None:
        super().__init__(text, request_summary=request_summary)
        self.sent = sent


class APITimeoutError(APIConnectionError, TimeoutError):
    """No response arrived within the time of the call."""


class ClientClosedError(APIConnectionError):
    """The client is closed."""


class AmbiguousNameError(VPSError, LookupError):
    """Several servers have the name that was asked for.

    Attributes:
        ids: the ids of these servers, in the API's order.
    """

    ids: tuple[int | str, ...]

    def __init__(
        self, text: str, *, ids: Sequence[int | str] | None = None, request_summary: str | None = None
    ) -> None:
        super().__init__(text, request_summary=request_summary)
        self.ids = _tuple_of(ids)


class OutcomeUnknownError(VPSError):
    """No response arrived, and the API may have executed the create, the reboot, or a POST of your own.

    Attributes:
        candidates: the servers that the create may have made. None of them is proven.
    """

    candidates: tuple[Server, ...]

    def __init__(
        self, text: str, *, candidates: Sequence[Server] | None = None, request_summary: str | None = None
    ) -> None:
        super().__init__(text, request_summary=request_summary)
        self.candidates = _tuple_of(candidates)


class ResponseError(VPSError):
    """The response is not what the API documents: it is HTML, cut short, too large or has the wrong shape."""


class APIStatusError(VPSError):
    """The response has an error status.

    Attributes:
        status_code: the HTTP status.
        message: the message in the response.
        fields: the errors of single fields, such as `{"name": ["This field is required."]}`.
        request_id: the `X-Request-ID` of the response, or `None`.
        retry_after: the seconds that the response asks to wait, or `None`.
        attempts: the number of attempts that were made.
        headers: the headers of the response.
        body: the body of the response, at most 64 KiB of it.
        sent: whether the API may have executed an earlier attempt, whose response was lost.
    """

    def __init__(
        self,
        text: str,
        *,
        status_code: int | None = None,
        message: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        fields: Mapping[str, list[str]] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        attempts: int | None = None,
        sent: bool | None = None,
        request_summary: str | None = None,
    ) -> None:
        super().__init__(text, request_summary=request_summary)
        self.status_code: int = _known(status_code)
        self.message: str = _known(message)
        self.fields: dict[str, list[str]] = _known(None if fields is None else dict(fields))
        self.request_id = request_id
        self.retry_after = retry_after
        self.attempts: int = _known(attempts)
        self.headers: Mapping[str, str] = _known(headers)
        self.body: bytes = _known(body)
        self.sent = sent


class BadRequestError(APIStatusError):
    """400: the API refuses the arguments. `fields` says which."""


class StateConflictError(BadRequestError):
    """400 to start, stop or reboot: the server is not in a status that allows the command."""


class AuthenticationError(APIStatusError):
    """401: the token is missing, wrong or revoked."""


class InsufficientCreditsError(APIStatusError):
    """402: the account cannot pay for it."""


class PermissionDeniedError(APIStatusError):
    """403: the token may not do this."""


class NotFoundError(APIStatusError):
    """404: there is no such server."""


class RateLimitError(APIStatusError):
    """429: the client made too many calls, and the call has no time left to wait for `retry_after`."""


class ServerError(APIStatusError):
    """5xx: the API failed."""


class WaitError(VPSError):
    """A wait ended without reaching its goal.

    Attributes:
        server: the server as it was last seen, or `None` if it never was.
        history: the statuses that were seen, the oldest first, one entry for each change.
    """

    server: Server | None = None
    history: tuple[StatusSeen, ...]

    def __init__(
        self,
        text: str,
        *,
        server: Server | None = None,
        history: Sequence[StatusSeen] | None = None,
        request_summary: str | None = None,
    ) -> None:
        super().__init__(text, request_summary=request_summary)
        self.server = server
        self.history = _tuple_of(history)


class WaitTimeoutError(WaitError, TimeoutError):
    """The time of the wait passed before the server reached the goal."""


class WaitFailedError(WaitError):
    """The polls of the wait failed for too long. The cause is the last failure."""


class UnexpectedStatusError(WaitError):
    """The server has a status from which it cannot reach the goal."""


class ServerGoneError(WaitError):
    """The API says that the server does not exist, or no longer exists."""


publish(*(kind for kind in vars().values() if isinstance(kind, type) and issubclass(kind, VPSError)))
