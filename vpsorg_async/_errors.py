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
    """No answer came, and the request is safe to repeat.

    Attributes:
        sent: whether the request may have been carried out all the same.
    """

    sent: bool = False

    def __init__(self, text: str, *, sent: bool = False, request_summary: str | None = None) -> None:
        super().__init__(text, request_summary=request_summary)
        self.sent = sent


class APITimeoutError(APIConnectionError, TimeoutError):
    """The time that the call was given passed without an answer."""


class OutcomeUnknownError(VPSError):
    """No answer came, and a create, a reboot or a POST of your own may have been carried out.

    Attributes:
        candidates: servers that may be the one in question, none of them proven.
    """

    candidates: tuple[Server, ...] = ()

    def __init__(self, text: str, *, candidates: Sequence[Server] = (), request_summary: str | None = None) -> None:
        super().__init__(text, request_summary=request_summary)
        self.candidates = tuple(candidates)


class ResponseError(VPSError):
    """An answer came that is not what the API documents: HTML, truncated, too large, the wrong shape."""


class APIStatusError(VPSError):
    """The API answered with an error status.

    Attributes:
        status_code: the HTTP status.
        message: what the answer says in words.
        fields: errors of single fields, such as `{"name": ["This field is required."]}`.
        request_id: the answer's `X-Request-ID`, or `None`.
        retry_after: seconds that the answer asks to wait, or `None`.
        attempts: how many tries were made.
        headers: the answer's headers.
        body: the answer's body, at most 64 KiB of it.
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
    """400: the API refuses the parameters; see `fields`."""


class StateConflictError(BadRequestError):
    """A 400 to start, stop or reboot that blames no field: the server is not in the status for it."""


class AuthenticationError(APIStatusError):
    """401: the token is missing, wrong or revoked."""


class InsufficientCreditsError(APIStatusError):
    """402: the account cannot pay for it."""


class PermissionDeniedError(APIStatusError):
    """403: the token may not do this."""


class NotFoundError(APIStatusError):
    """404: there is no such server."""


class RateLimitError(APIStatusError):
    """429: too many calls, and waiting for `retry_after` does not fit into the call's time."""


class ServerError(APIStatusError):
    """5xx: the API failed."""


class WaitError(VPSError):
    """A wait ended without its goal.

    Attributes:
        server: the server as it was last seen, or `None` if it never was.
        history: the statuses that were seen, oldest first, one entry a change.
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
    """The time passed before the server got there."""


class UnexpectedStatusError(WaitError):
    """The server is in a status from which the goal is out of reach."""


class ServerGoneError(WaitError):
    """The API says that there is no such server (any more)."""
