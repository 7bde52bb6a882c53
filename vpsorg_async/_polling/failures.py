"""Decides what a failed poll means for those who wait for it. Pure."""

from __future__ import annotations

import copy

from .._errors import (
    APIStatusError,
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    VPSError,
)


_NOT_FOUND, _REQUEST_TIMEOUT, _GONE, _UNAVAILABLE = 404, 408, 410, 503


def ends_a_wait(error: Exception) -> bool:
    """Whether another poll after *error* is of no use.

    A token callable that fails once may succeed the next time, so a `ConfigurationError` is a failed poll.
    """
    return isinstance(error, (AuthenticationError, PermissionDeniedError))


def says_gone(error: Exception) -> bool:
    """Whether *error* is the response that there is no such server."""
    return isinstance(error, APIStatusError) and error.status_code in (_NOT_FOUND, _GONE)


def requested_pause(error: Exception) -> float | None:
    """Return the seconds for which the API asks for no requests, or `None` if it does not ask."""
    if isinstance(error, RateLimitError):
        return error.retry_after or 0.0
    if isinstance(error, ServerError) and error.status_code == _UNAVAILABLE:
        return error.retry_after
    return None


def ends_all_waits(error: Exception) -> bool:
    """Whether every poll would fail with *error*, whatever it asks for."""
    return isinstance(error, AuthenticationError)


def refuses(error: Exception) -> bool:
    """Whether *error* is an answer 4xx, by an API that works, which the same request will get again."""
    if not isinstance(error, APIStatusError) or ends_all_waits(error):
        return False
    passing = isinstance(error, (ServerError, RateLimitError)) or error.status_code == _REQUEST_TIMEOUT
    return not passing


def own_copy(error: Exception) -> Exception:
    """Return a copy of *error* for one of several that raise it: one object would gather the tracebacks of all."""
    return copy.copy(error) if isinstance(error, VPSError) else error
