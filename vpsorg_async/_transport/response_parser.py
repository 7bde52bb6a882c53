"""Reads the bytes of one HTTP/1.1 response, by httptools, and refuses what could be read in two ways. No I/O."""

from __future__ import annotations

import re

import httptools

from .. import _http as httpx
from .types import MAX_BODY, OversizedError, RawResponse, keep_alive_of


MAX_HEAD = 100 * 1024
"""Of the bytes before a body, those of interim responses included, and of those behind it; httpcore's limit too."""

MAX_INTERIM = 100
"""Of the interim responses (1xx) before the response (assumed)."""

_FINAL = 200
_LOWEST_STATUS = 100
_SWITCHING = 101
_BODILESS = frozenset({204, 304})
_VERSIONS = frozenset({"1.0", "1.1"})
_BEGIN = b"HTTP/1."
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class HeadTooLargeError(httpx.RemoteProtocolError):
    """The response's head is larger than `MAX_HEAD`."""

    error_status_hint = 431


_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d[ \r]")
_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*(\d[\d, \t]*?)[ \t]*(?=\r\n(?![ \t]))", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"


def with_one_length(message: bytes) -> bytes | None:
    """Return *message*, a whole head and what follows, with one of several equal values of `Content-Length`.

    llhttp would read none of them. `None`: they are not equal, so that the message could be read in two ways (RFC 9110,
    8.6); empty: the head has not come whole.
    """
    start = 0
    while _INTERIM.match(message, start) and (end := message.find(_END_OF_HEAD, start)) >= 0:
        start = end + len(_END_OF_HEAD)
    end = message.find(_END_OF_HEAD, start)
    if end < 0:
        return b""
    head, rest = message[start : end + 2], message[end + 2 :]
    values: set[bytes] = {value.strip() for line in _LENGTH.findall(head) for value in line.split(b",")}
    if len(values) != 1:
        return None
    first, *more = _LENGTH.split(head)[::2]
    return message[:start] + first + b"\r\nContent-Length: " + values.pop() + b"".join(more) + rest


class ResponseParser:
    """Takes bytes until it is `done`.

    llhttp, underneath, reads more than RFC 9112 allows; what h11 refuses is refused here. It knows no end of the
    connection, so that is judged here as well.
    """

    def __init__(self, method: str) -> None:
        # Whether no more bytes are wanted.
        self.done = False
        self._bodiless = method == "HEAD"
        self._parser = httptools.HttpResponseParser(self)
        # Of the head, and of what stands between the pieces of a body, and behind them.
        self._fed = 0
        self._interim = 0
        # Kept until the head has come whole: it is read again where it repeats itself.
        self._head: list[bytes] = []
        # Whether it gives its length more than once.
        self._repeats = False
        self._in_body = False
        self._status = 0
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._length = 0
        self._expected: bytes | None = None
        self._chunked = False
        self._keep_alive = False
        self._seconds: float | None = None
        self._complete = False
        self._unasked = False
        self._wrong = ""

    @property
    def untouched(self) -> bool:
        """Whether not a byte has been fed."""
        return not self._fed

    def feed(self, data: bytes) -> None:
        """Take *data*.

        Raises:
            httpx.RemoteProtocolError: it is no response, or one that could be read in two ways.
            BaseException: what a signal's handler raised meanwhile, such as KeyboardInterrupt.
        """
        length = self._length
        self._check_size(data)
        if not self._in_body:
            self._check_head(data)
        if self._repeats:
            self._read_again()
        else:
            self._parse(data)
        if self._wrong:
            raise httpx.RemoteProtocolError(self._wrong)
        if self._interim > MAX_INTERIM:
            raise OversizedError(f"there are more than {MAX_INTERIM} interim responses before the response")
        if self._length > length:
            self._fed = 1
        self.done = self._complete or self._length > MAX_BODY

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise httpx.RemoteProtocolError("the server switched to another protocol unasked") from None
        except httptools.HttpParserCallbackError as error:
            # Nothing below raises by itself; httptools wraps whatever comes from there, a Ctrl-C too.
            raise (error.__context__ or error) from None
        except httptools.HttpParserError as error:
            if self._complete:
                # What comes behind a whole response takes nothing away from it.
                self._unasked = True
            elif self._in_body or self._repeats or "Content-Length" not in str(error):
                raise httpx.RemoteProtocolError(self._wrong or f"not an HTTP response: {error}") from None
            else:
                self._repeats = True
                self._read_again()

    def _read_again(self) -> None:
        """Read a head that gives its length more than once from its beginning, when it has come whole."""
        came = b"".join(self._head)
        message = with_one_length(came)
        if message is None:
            several = _LENGTH.search(came) is not None
            raise httpx.RemoteProtocolError(
                f"the response gives {'more than one length' if several else 'a length that is no number'}"
            )
        if message:
            self._parser = httptools.HttpResponseParser(self)
            self._head, self._interim, self._reason, self._headers = [], 0, b"", []
            self._parse(message)
            self._repeats = False

    def _check_size(self, data: bytes) -> None:
        # The last of them may hold the body's beginning.
        if self._fed > MAX_HEAD:
            if self._in_body:
                raise OversizedError(f"the response's trailers are larger than {MAX_HEAD // 1024} KiB")
            raise HeadTooLargeError(f"the response's head is larger than {MAX_HEAD // 1024} KiB")
        self._fed += len(data)

    def _check_head(self, data: bytes) -> None:
        self._head.append(data)
        if self._fed - len(data) < len(_BEGIN):
            began = b"".join(self._head)[: len(_BEGIN)]
            if not _BEGIN.startswith(began):
                raise httpx.RemoteProtocolError("what came does not begin as HTTP/1.1 does")

    def finish(self, broken: httpx.TransportError | None = None) -> RawResponse:
        """Return the response, no more bytes being wanted, or the connection having ended, or being *broken*.

        Raises:
            httpx.TransportError: its head had not come whole.
        """
        if not self._in_body:
            raise broken or self._headless()
        return RawResponse(
            self._status,
            self._reason,
            self._headers,
            b"".join(self._body),
            None if self.done else broken or self._shortfall(),
            self._complete and self._keep_alive and not self._unasked,
            keep_alive=self._seconds,
        )

    def _headless(self) -> httpx.RemoteProtocolError:
        if not self._fed:
            return httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.RemoteProtocolError("the server ended the connection within the response's head")

    def _shortfall(self) -> httpx.RemoteProtocolError | None:
        """Return what the connection ended too early for; `None`: its end is the body's."""
        if self._chunked:
            return httpx.RemoteProtocolError("the server ended the connection within a chunked body")
        if self._expected is None:
            return None
        return httpx.RemoteProtocolError(
            f"the server ended the connection after {self._length} of {int(self._expected)} bytes of the body"
        )

    # httptools calls these. It wraps exceptions raised in them, so what is wrong is stored, and raised by `feed`.

    def on_message_begin(self) -> None:
        if self._complete:
            self._unasked = True

    def on_status(self, status: bytes) -> None:
        if not self._complete:
            self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        # Behind the last chunk there may be trailers, and behind the response another, unasked one.
        if not self._in_body:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        if self._parser.get_http_version() not in _VERSIONS or self._status < _LOWEST_STATUS:
            self._wrong = self._wrong or "the response's status line is not one of HTTP/1.1"
        if self._status < _FINAL:
            if self._status == _SWITCHING:
                self._wrong = "the server switched to another protocol unasked"
            self._reason, self._headers = b"", []
            self._interim += 1
            return
        self._in_body, self._head = True, []
        self._keep_alive = self._parser.should_keep_alive()
        self._frame()
        if self._bodiless:
            self._complete = True

    def _frame(self) -> None:
        """Find by what the body ends, and refuse what another reader might see otherwise."""
        encodings: list[bytes] = []
        shown = [self._reason]
        for name, value in self._headers:
            shown.append(value)
            lowered = name.lower()
            if lowered == b"transfer-encoding":
                encodings.append(value.lower())
            elif lowered == b"content-length":
                self._expected = value
            elif lowered == b"connection" and b"close" in value.lower():
                self._keep_alive = False
            elif lowered == b"keep-alive":
                self._seconds = keep_alive_of(value)
        if _CONTROL.search(b"".join(shown)):
            self._wrong = "the response's head has a control character"
        if encodings and encodings != [b"chunked"]:
            self._wrong = "the response's Transfer-Encoding is not the one that HTTP/1.1 knows"
        self._chunked = bool(encodings)
        if self._status in _BODILESS:
            self._expected = b"0"

    def on_body(self, body: bytes) -> None:
        if self._complete:
            self._unasked = True
            return
        self._length += len(body)
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._in_body:
            self._complete = True
