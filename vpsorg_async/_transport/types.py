"""An answer as it came over the wire, and its body made readable within limits."""

from __future__ import annotations

import zlib

import attrs


MAX_HEADERS = 64 * 1024
MAX_BODY = 32 * 1024 * 1024
"""Of a body as it comes, and as it unpacks."""

HEADERS_TOO_LARGE = f"the answer's headers are larger than {MAX_HEADERS // 1024} KiB"

_ERRORS_FROM = 400
_GZIP = ("gzip", "x-gzip", "deflate")
_GZIP_OR_ZLIB = 32 + 15  # zlib tells them apart by their headers


class UnreadableError(Exception):
    """An answer that is too large, or whose encoding is not what it says."""


@attrs.define(eq=False, repr=False)
class RawResponse:
    """An answer as it came.

    Attributes:
        body: as far as it came; reading stops soon after `MAX_BODY`.
        trouble: why it is not whole; `None` where it is, or where reading stopped.
        reusable: whether the connection may bear another exchange.
        plain: whether somebody has undone its encoding already.
    """

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    trouble: Exception | None = None
    reusable: bool = False
    plain: bool = False


def decoded(answer: RawResponse) -> bytes:
    """Return the body of *answer*, unpacked; of an error answer as much as can be had.

    Raises:
        Exception: it broke off, as `trouble` says.
        UnreadableError: it is too large, or not in the encoding that it claims.
    """
    if sum(len(name) + len(value) for name, value in answer.headers) > MAX_HEADERS:
        raise UnreadableError(HEADERS_TOO_LARGE)
    if answer.status >= _ERRORS_FROM:
        # The status has come whole, and it says more than its explanation.
        return _best(answer)
    if answer.trouble is not None and len(answer.body) <= MAX_BODY:
        raise answer.trouble
    body = _unpacked(answer)
    if max(len(body), len(answer.body)) > MAX_BODY:
        raise UnreadableError(f"the answer is larger than {MAX_BODY // (1024 * 1024)} MiB")
    return body


def _best(answer: RawResponse) -> bytes:
    try:
        return _unpacked(answer, whole=False)[:MAX_BODY]
    except UnreadableError:
        return answer.body[:MAX_BODY]


def _unpacked(answer: RawResponse, *, whole: bool = True) -> bytes:
    encoding = _encoding(answer)
    if encoding in ("", "identity"):
        return answer.body
    if encoding not in _GZIP:
        raise UnreadableError(f"the answer's Content-Encoding {encoding[:40]!r} was not asked for")
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        body = inflate.decompress(answer.body, MAX_BODY + 1)
    except zlib.error:
        raise UnreadableError("the answer's body is not the gzip that it claims to be") from None
    if whole and answer.body and not inflate.eof and len(body) <= MAX_BODY:
        raise UnreadableError("the answer's compressed body is cut short")
    return body


def _encoding(answer: RawResponse) -> str:
    if answer.plain:
        return ""
    found = [value for name, value in answer.headers if name.lower() == b"content-encoding"]
    return b", ".join(found).decode("latin-1").strip().lower()
