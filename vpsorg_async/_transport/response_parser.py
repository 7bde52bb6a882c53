"""Reads the bytes of one HTTP/1.1 response, by httptools, and refuses what could be read in two ways. No I/O."""

from __future__ import annotations

import re

import httptools
import httpx

from .types import MAX_BODY, RawResponse


MAX_HEAD = 100 * 1024
"""Of the bytes before a body, those of interim responses included; httpcore's limit too."""

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
        self._fed = 0
        self._began = b""
        self._in_body = False
        self._status = 0
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._length = 0
        self._expected: bytes | None = None
        self._chunked = False
        self._keep_alive = False
        self._complete = False
        self._unasked = False
        self._wrong = ""

    def feed(self, data: bytes) -> None:
        """Take *data*.

        Raises:
            httpx.RemoteProtocolError: it is no response, or one that could be read in two ways.
            BaseException: what a signal's handler raised meanwhile, such as KeyboardInterrupt.
        """
        if not self._in_body:
            self._check_head(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise httpx.RemoteProtocolError("the server switched to another protocol unasked") from None
        except httptools.HttpParserCallbackError as error:
            # Nothing below raises by itself; httptools wraps whatever comes from there, a Ctrl-C too.
            raise (error.__context__ or error) from None
        except httptools.HttpParserError as error:
            # What comes behind a whole response takes nothing away from it.
            if not self._complete:
                raise httpx.RemoteProtocolError(self._wrong or f"not an HTTP response: {error}") from None
            self._unasked = True
        if self._wrong:
            raise httpx.RemoteProtocolError(self._wrong)
        self.done = self._complete or self._length > MAX_BODY

    def _check_head(self, data: bytes) -> None:
        self._fed += len(data)
        if len(self._began) < len(_BEGIN):
            self._began = (self._began + data)[: len(_BEGIN)]
            if not _BEGIN.startswith(self._began):
                raise httpx.RemoteProtocolError("the response does not begin as HTTP/1.1 does")
        # The last of them may hold the body's beginning.
        if self._fed - len(data) > MAX_HEAD:
            raise HeadTooLargeError(f"the response's head is larger than {MAX_HEAD // 1024} KiB")

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
            return
        self._in_body = True
        self._keep_alive = self._parser.should_keep_alive()
        self._frame()
        if self._bodiless:
            self._complete = True

    def _frame(self) -> None:
        """Find by what the body ends, and refuse what another reader might see otherwise."""
        encodings, shown = [], [self._reason]
        for name, value in self._headers:
            shown.append(value)
            lowered = name.lower()
            if lowered == b"transfer-encoding":
                encodings.append(value.lower())
            elif lowered == b"content-length":
                self._expected = value
            elif lowered == b"connection" and b"close" in value.lower():
                self._keep_alive = False
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
