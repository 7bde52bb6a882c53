"""Decides what a failed poll means for those who wait for it. Pure."""

from __future__ import annotations

from .._errors import (
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    VPSError,
)


_REQUEST_TIMEOUT, _UNAVAILABLE = 408, 503


def ends_a_wait(error: VPSError) -> bool:
    """Whether another poll after *error* is of no use."""
    return isinstance(error, (AuthenticationError, PermissionDeniedError, ConfigurationError))


def requested_pause(error: VPSError) -> float | None:
    """Return the seconds for which the API asks for no requests, or `None` if it does not ask."""
    if isinstance(error, RateLimitError):
        return error.retry_after or 0.0
    if isinstance(error, ServerError) and error.status_code == _UNAVAILABLE:
        return error.retry_after
    return None


def concerns_the_list_alone(error: VPSError) -> bool:
    """Whether a list that failed with *error* says nothing about a GET of a single server."""
    if isinstance(error, APIStatusError):
        refused = not isinstance(error, (ServerError, RateLimitError)) and error.status_code != _REQUEST_TIMEOUT
        return refused and not ends_a_wait(error)
    return isinstance(error, ResponseError)
