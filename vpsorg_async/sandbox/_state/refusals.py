"""Build the refusals of the API: a status and a body in the shape of Django REST framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Mapping


class Refused(Exception):  # noqa: N818 -- a response, not an error of the program
    """Raised to respond with *status* and *body*; nothing has changed.

    Attributes:
        status: the HTTP status.
        body: `{"detail": "..."}` or `{"field": ["...", ...]}`.
        headers: the headers that belong to this refusal.
    """

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def detail(status: int, text: str, headers: Mapping[str, str] | None = None) -> Refused:
    """Return a refusal that is not about a field."""
    return Refused(status, {"detail": text}, headers)


def not_found(text: str = "Not found.") -> Refused:
    """Return a 404."""
    return detail(404, text)


def wrong_fields(errors: Mapping[str, list[str]]) -> Refused:
    """Return a 400 that says what is wrong with each field."""
    return Refused(400, dict(errors))
