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
_GZIP = frozenset({"gzip", "x-gzip", "deflate"})
# RFC 9110, 8.4.1, and IANA's list. Any other word compresses nothing: servers put a charset there, or "none".
_OTHERS = frozenset({"br", "compress", "x-compress", "zstd", "exi", "pack200-gzip", "aes128gcm", "dcb", "dcz"})
_GZIP_OR_ZLIB = 32 + 15  # zlib tells them apart by their headers
_GZIP_BEGINS = b"\x1f\x8b"
_MOST_MEMBERS = 10_000
"""Of a gzip body (assumed); each is at least 18 bytes."""

_PIECE = 64 * 1024
"""Bytes that are unpacked at a time: what is behind the end of a member is copied."""
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
    size = 0
    encodings: list[bytes] = []
    headers: list[tuple[bytes, bytes]] = []
    for item in response.headers:
        name = item[0].lower()
        size += len(name) + len(item[1])
        if name not in _OF_THE_WAY:
            headers.append(item)
        elif name == b"content-encoding":
            encodings.append(item[1])
    if size > MAX_HEADERS:
        raise UnreadableError(HEADERS_TOO_LARGE)
    encoding = "" if response.plain else _compression(b",".join(encodings).decode("latin-1"))
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
    if not encoding:
        return body
    if encoding not in _GZIP:
        raise UnreadableError(f"the response's Content-Encoding {encoding[:40]!r} was not asked for")
    inflate = _Inflate()
    try:
        for start in range(0, len(body), _PIECE):
            inflate.feed(body[start : start + _PIECE])
    except zlib.error:
        raise UnreadableError("the response's body is not the gzip that it claims to be") from None
    if whole and body and not inflate.complete and inflate.left:
        raise UnreadableError("the response's compressed body is cut short")
    return b"".join(inflate.found)


def _compression(encodings: str) -> str:
    """Return how a body is compressed, by its `Content-Encoding`; empty: it is not."""
    names = [name.strip().lower() for name in encodings.split(",")]
    return ", ".join(name for name in names if name in _GZIP or name in _OTHERS)


class _Inflate:
    """Unpacks a body of one gzip member after another, up to the limit."""

    def __init__(self) -> None:
        self.found: list[bytes] = []
        self.left = MAX_BODY + 1
        self._members = 1
        self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
        # What is behind a member, where it may be the beginning of another.
        self._behind: bytes = b""
        self._padded = False

    @property
    def complete(self) -> bool:
        return self._member.eof

    def feed(self, data: bytes) -> None:
        while data and self.left:
            if self._member.eof and not (data := self._next_member(data)):
                return
            found = self._member.decompress(data, self.left)
            self.found.append(found)
            self.left -= len(found)
            data = self._member.unused_data

    def _next_member(self, data: bytes) -> bytes:
        """Begin another member and return its bytes, or nothing where none begins: what is there is padding."""
        data = self._behind + data
        self._behind = data if len(data) < len(_GZIP_BEGINS) else b""
        if self._padded or not data.startswith(_GZIP_BEGINS):
            self._padded = self._padded or not self._behind
            return b""
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise UnreadableError(f"the response's gzip has more than {_MOST_MEMBERS} members")
        self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
        return data
