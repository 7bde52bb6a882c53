"""Turns an error into a problem (RFC 9457) that the user of a browser may see. Pure.

It has a status and a sentence of this library. The words of the API are left out: they are about this program and its
token, and would mislead the user.
"""

from __future__ import annotations

import json
import math

from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from .. import _errors as errors
from .._errors import APIStatusError, VPSError
from .._fleet.preview import EnsureConflictError
from .._models import ServerSpec


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LATER: Final = 5
"""The seconds after which a browser may ask again, if the API does not say (assumed)."""

# The first entry that fits an error is its answer. Without a sentence, the error's own text is: this library's words.
_ANSWERS: Final[tuple[tuple[type[VPSError], int, str], ...]] = (
    (EnsureConflictError, 409, ""),
    (errors.InvalidArgumentError, 400, ""),
    (errors.AmbiguousNameError, 409, "Several servers have this name."),
    (errors.StateConflictError, 409, "The status of the server does not allow this."),
    (errors.UnexpectedStatusError, 409, "The server has got into another status."),
    (errors.BadRequestError, 400, "The server API refused the request."),
    (errors.NotFoundError, 404, "There is no such server."),
    (errors.ServerGoneError, 404, "The server does not exist, or no longer exists."),
    (errors.AuthenticationError, 502, "The server API does not accept the credentials of this service."),
    (errors.PermissionDeniedError, 502, "The server API does not let this service do that."),
    (errors.InsufficientCreditsError, 502, "The account of this service has not enough credits."),
    (errors.RateLimitError, 503, "The server API is asked too often at the moment."),
    (errors.ClientClosedError, 503, "This service is about to stop."),
    (errors.APITimeoutError, 504, "The server API did not answer in time."),
    (errors.WaitTimeoutError, 504, "The server did not get there in time."),
    (errors.OutcomeUnknownError, 502, "The server API did not answer: look whether it was done before you repeat it."),
    (errors.ConfigurationError, 500, "This service is not set up correctly."),
    (VPSError, 502, "The server API did not answer as it should."),
)
_BY_STATUS: Final = {
    410: (404, "There is no such server."),
    409: (409, "The server API says that this is in conflict with something else."),
    422: (400, "The server API refused the request."),
    503: (503, "The server API is not available at the moment."),
    504: (504, "The server API did not answer in time."),
}
_TITLES: Final = {
    400: "Bad Request",
    404: "Not Found",
    409: "Conflict",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_FIELDS: Final = frozenset(field.name for field in attrs.fields(ServerSpec))


def errors_in(error: Exception) -> list[VPSError] | None:
    """Return the errors of this library that *error* is, or is a group of; `None` if there is another one in it."""
    leaves = list(_leaves(error))
    ours = [leaf for leaf in leaves if isinstance(leaf, VPSError)]
    return ours if len(ours) == len(leaves) else None


def _leaves(error: Exception) -> Iterator[Exception]:
    # A loop, and no recursion: a group may be as deep as a program likes.
    left = [error]
    while left:
        last = left.pop()
        if isinstance(last, ExceptionGroup):
            left += reversed(cast("ExceptionGroup[Exception]", last).exceptions)
        else:
            yield last


def retry_after(error: VPSError) -> int:
    """Return the seconds after which a browser may ask again."""
    seconds = error.retry_after if isinstance(error, APIStatusError) else None
    return _LATER if seconds is None else max(1, math.ceil(seconds))


def problem_of(error: VPSError) -> dict[str, Any]:
    """Return what a browser may know of *error*."""
    status, detail = next((status, text) for kind, status, text in _ANSWERS if isinstance(error, kind))
    if isinstance(error, APIStatusError) and type(error) in {APIStatusError, errors.ServerError}:
        status, detail = _BY_STATUS.get(error.status_code, (status, detail))
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES[status],
        "status": status,
        "detail": detail or str(error),
    }
    if isinstance(error, errors.BadRequestError) and (fields := sorted(_FIELDS.intersection(error.fields or ()))):
        problem["fields"] = fields
    return problem


def problem_of_all(together: Sequence[VPSError]) -> dict[str, Any]:
    """Return what a browser may know of errors that came *together*: of each different one once, in `errors`.

    The status is the gravest of theirs: an API that failed counts more than a server that is not there.
    """
    # By their JSON, as there may be thousands of errors.
    problems = list({json.dumps(problem): problem for problem in map(problem_of, together)}.values())
    if len(problems) == 1:
        return problems[0]
    status = max(problem["status"] for problem in problems)
    return {
        "type": "about:blank",
        "title": _TITLES[status],
        "status": status,
        "detail": f"{len(together)} errors came together.",
        "errors": problems,
    }
