"""Takes the body of a response out of its encoding, within limits."""

from __future__ import annotations

import zlib

from typing import TYPE_CHECKING

from .._transport.types import MAX_BODY


if TYPE_CHECKING:
    from .._transport.types import RawResponse

MAX_HEADERS = 64 * 1024
HEADERS_TOO_LARGE = f"the response's headers are larger than {MAX_HEADERS // 1024} KiB"

_ERRORS_FROM = 400
_GZIP = ("gzip", "x-gzip", "deflate")
_GZIP_OR_ZLIB = 32 + 15  # zlib tells them apart by their headers
# Describe the body's way here, which is over.
_OF_THE_WAY = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class UnreadableError(Exception):
    """A response that is too large, or whose encoding is not what it says."""


def unpacked(response: RawResponse) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the headers without those of the body's way, and the body, unpacked; of an error what can be had of it.

    Raises:
        Exception: the body broke off, as `trouble` says.
        UnreadableError: it is too large, or not in the encoding that it claims.
    """
    size, encodings, headers = 0, [], []
    for item in response.headers:
        name = item[0].lower()
        size += len(name) + len(item[1])
        if name not in _OF_THE_WAY:
            headers.append(item)
        elif name == b"content-encoding":
            encodings.append(item[1])
    if size > MAX_HEADERS:
        raise UnreadableError(HEADERS_TOO_LARGE)
    encoding = "" if response.plain else b", ".join(encodings).decode("latin-1").strip().lower()
    if response.status >= _ERRORS_FROM:
        # The status has come whole, and it says more than its explanation.
        return headers, _best(response, encoding)
    if response.trouble is not None and len(response.body) <= MAX_BODY:
        raise response.trouble
    body = _decoded(response.body, encoding)
    if max(len(body), len(response.body)) > MAX_BODY:
        raise UnreadableError(f"the response is larger than {MAX_BODY // (1024 * 1024)} MiB")
    return headers, body


def _best(response: RawResponse, encoding: str) -> bytes:
    try:
        return _decoded(response.body, encoding, whole=False)[:MAX_BODY]
    except UnreadableError:
        return response.body[:MAX_BODY]


def _decoded(body: bytes, encoding: str, *, whole: bool = True) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in _GZIP:
        raise UnreadableError(f"the response's Content-Encoding {encoding[:40]!r} was not asked for")
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        found = inflate.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise UnreadableError("the response's body is not the gzip that it claims to be") from None
    if whole and body and not inflate.eof and len(found) <= MAX_BODY:
        raise UnreadableError("the response's compressed body is cut short")
    return found
