"""Turns a response of 400 or more into the error that it is."""

from __future__ import annotations

import html
import http

from typing import TYPE_CHECKING, Final

from .. import _errors
from .. import _http as httpx
from .._errors import APIStatusError, ResponseError
from .._secrets import MASK, is_secret_name, masked_json
from .codec import BODY_LIMIT, EXCERPT, is_html, loads, one_line


if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._decoding import JSON

MESSAGE_LIMIT: Final = 500
"""So many characters of an error's body are its message (assumed: what a log line holds)."""

_NO_FIELD = "non_field_errors"
_IN_WORDS: Final = ("detail", "message", "error", "errors", "msg")
_CLASSES: Final[Mapping[int, type[APIStatusError]]] = {
    400: _errors.BadRequestError,
    401: _errors.AuthenticationError,
    402: _errors.InsufficientCreditsError,
    403: _errors.PermissionDeniedError,
    404: _errors.NotFoundError,
    429: _errors.RateLimitError,
}
_BAD_REQUEST, _SERVER_ERROR = 400, 500


def error_from(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    summary: str,
    attempts: int,
    retry_after: float | None,
    sent: bool = False,
    action: bool = False,
    hint: str = "",
) -> APIStatusError:
    """Return the error that a response of 400 or more is; whatever its body, this does not raise.

    Args:
        status: the response's status.
        headers: its headers, case-insensitive.
        body: its body.
        summary: the request, such as `"POST /servers/"`.
        attempts: how many attempts were made.
        retry_after: seconds that the response asks to wait.
        sent: whether an earlier attempt may have been executed.
        action: whether the request was a start, stop or reboot.
        hint: what to do about it, after the API's own words.
    """
    kept = masked_json(body[:BODY_LIMIT])
    text = kept.decode("utf-8", "replace")
    try:
        data = loads(text.encode() if len(body) <= BODY_LIMIT else b"")
    except ResponseError:
        data = _page_in_words(text)
    fields = _field_errors(data)
    said = _words(data) or _fields_in_words(fields) or (text if data else "")
    message = one_line(said, MESSAGE_LIMIT) or _reason(status)
    request_id = headers.get("X-Request-ID")
    suffix = f" (request id {one_line(request_id, EXCERPT)})" if request_id else ""
    return _class_of(status, blames_server=action and not fields.keys() - {_NO_FIELD})(
        f"{summary} was answered {status}: {message}{hint}{suffix}",
        status_code=status,
        message=message,
        headers=_without_secrets(headers),
        body=kept,
        fields=fields,
        request_id=request_id,
        retry_after=retry_after,
        attempts=attempts,
        sent=sent,
        request_summary=summary,
    )


def _class_of(status: int, *, blames_server: bool) -> type[APIStatusError]:
    if status >= _SERVER_ERROR:
        return _errors.ServerError
    if status == _BAD_REQUEST and blames_server:
        return _errors.StateConflictError
    return _CLASSES.get(status, APIStatusError)


def _without_secrets(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return *headers* with a mask for the value of each one that its name says to be secret."""
    if not any(map(_is_secret, headers)):
        return headers
    return httpx.Headers(
        [(name, MASK if _is_secret(name) else value) for name, value in httpx.Headers(headers).multi_items()]
    )


def _is_secret(name: str) -> bool:
    return is_secret_name(name) or "cookie" in name.lower()


def _field_errors(data: JSON) -> dict[str, list[str]]:
    """Return Django REST framework's errors of single fields, also if they are wrapped in `errors`."""
    if type(data) is not dict:
        return {}
    wrapped: JSON = data.get("errors")
    candidates = {**data, **wrapped} if type(wrapped) is dict else data
    fields: dict[str, list[str]] = {}
    errors: JSON
    for name, errors in candidates.items():
        if name not in _IN_WORDS and type(errors) is list and (texts := [*filter(None, map(_words, errors))]):
            fields[name] = texts
    return fields


def _fields_in_words(fields: Mapping[str, list[str]]) -> str:
    return "; ".join(
        " ".join(texts) if name == _NO_FIELD else f"{name}: {' '.join(texts)}" for name, texts in fields.items()
    )


def _words(data: JSON) -> str:
    """Return what an error's JSON says in words, or nothing."""
    if type(data) is str:
        return data
    if type(data) is list:
        return "; ".join(filter(None, map(_words, data)))
    if type(data) is not dict:
        return ""
    return next((words for name in _IN_WORDS if (words := _words(data.get(name)))), "")


def _page_in_words(text: str) -> str:
    if not is_html(text.lstrip()):
        return text
    # Found, not matched: a regular expression takes quadratic time on a page of "<title<title".
    lower = text.lower()
    begin = lower.find(">", lower.find("<title")) + 1 if "<title" in lower else 0
    end = lower.find("</title", begin)
    title = html.unescape(text[begin : min(end, begin + MESSAGE_LIMIT)]).strip() if begin and end >= 0 else ""
    return title or "an HTML page"


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "no reason given"
