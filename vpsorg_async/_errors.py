"""The errors that this library raises: one tree, each picklable, none with a token or a request's body in it."""

from __future__ import annotations

import pickle

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._models import Server
    from ._polling.lifecycle import StatusSeen


def portable(error: BaseException | None, text: str | None = None) -> BaseException | None:
    """Return *error* as its type and text alone: no traceback, context or request, which may hold the token.

    *text* stands in for an error's own that may hold the token as well.

    Errors of this library are returned as they are.
    """
    if error is None or isinstance(error, VPSError):
        return error
    text = str(error) if text is None else text
    try:
        copy = type(error)(text)
    except Exception:  # noqa: BLE001 - a foreign constructor may raise anything
        return RuntimeError(f"{type(error).__qualname__}: {text}")
    return copy


def picklable(error: BaseException | None) -> BaseException | None:
    """Return *error*, or its text where pickle does not know its class: one made in a function, say."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
    except Exception:  # noqa: BLE001 - pickling runs a foreign class's code, which may raise anything
        return RuntimeError(f"{type(error).__qualname__}: {error}")
    return error


def _restore(cls: type[VPSError], text: str, state: dict[str, Any], cause: BaseException | None) -> VPSError:
    error = cls.__new__(cls)
    # An OSError with an `__init__` of its own leaves this to that.
    error.args = (text,)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class VPSError(Exception):
    """The base of everything that this library raises of its own.

    Attributes:
        request_summary: the request it is about, such as `"POST /servers/"`, or `None` where there was none.
    """

    request_summary: str | None = None

    def __init__(self, text: str, *, request_summary: str | None = None) -> None:
        # One argument only: an OSError (TimeoutError is one) prints two as "[Errno a] b".
        super().__init__(text)
        self.request_summary = request_summary

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), str(self), self.__dict__.copy(), picklable(portable(self.__cause__)))


class ConfigurationError(VPSError):
    """The client cannot be used as it was set up, or not here: nothing was sent."""


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
