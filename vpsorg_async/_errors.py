"""The errors that this library raises: one tree, each picklable, none with a token or a request's body in it.

VPSError
├── ConfigurationError
├── APIConnectionError
│   └── APITimeoutError          (also a TimeoutError)
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
    ├── UnexpectedStatusError
    └── ServerGoneError
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._error_base import ConfigurationError, VPSError, picklable, portable


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._models import Server, StatusSeen

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "InsufficientCreditsError",
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
    "WaitTimeoutError",
    "picklable",
    "portable",
]


class APIConnectionError(VPSError):
    """No response arrived. The request either had no effect or can safely be repeated.

    Attributes:
        sent: whether the API may have executed the request all the same.
    """

    sent: bool = False

    def __init__(self, text: str, *, sent: bool = False, request_summary: str | None = None) -> None:
        super().__init__(text, request_summary=request_summary)
        self.sent = sent


class APITimeoutError(APIConnectionError, TimeoutError):
    """No response arrived within the time of the call."""


class OutcomeUnknownError(VPSError):
    """No response arrived, and the API may have executed the create, the reboot, or a POST of your own.

    Attributes:
        candidates: the servers that the create may have made. None of them is proven.
    """

    candidates: tuple[Server, ...] = ()

    def __init__(self, text: str, *, candidates: Sequence[Server] = (), request_summary: str | None = None) -> None:
        super().__init__(text, request_summary=request_summary)
        self.candidates = tuple(candidates)


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
    """

    def __init__(
        self,
        text: str,
        *,
        status_code: int,
        message: str,
        headers: Mapping[str, str],
        body: bytes,
        fields: Mapping[str, list[str]] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        attempts: int = 1,
        request_summary: str | None = None,
    ) -> None:
        super().__init__(text, request_summary=request_summary)
        self.status_code = status_code
        self.message = message
        self.fields = dict(fields or {})
        self.request_id = request_id
        self.retry_after = retry_after
        self.attempts = attempts
        self.headers = headers
        self.body = body


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
    history: tuple[StatusSeen, ...] = ()

    def __init__(
        self,
        text: str,
        *,
        server: Server | None = None,
        history: Sequence[StatusSeen] = (),
        request_summary: str | None = None,
    ) -> None:
        super().__init__(text, request_summary=request_summary)
        self.server = server
        self.history = tuple(history)


class WaitTimeoutError(WaitError, TimeoutError):
    """The time of the wait passed before the server reached the goal."""


class UnexpectedStatusError(WaitError):
    """The server has a status from which it cannot reach the goal."""


class ServerGoneError(WaitError):
    """The API says that the server does not exist, or no longer exists."""
