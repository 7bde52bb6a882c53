"""Makes one round trip after another over one connection to one origin."""

from __future__ import annotations

import contextlib
import re
import ssl

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import attrs

from .. import _http as httpx
from .direct_stream import stream_over
from .name_lookup import connect_to, is_address
from .reasons import certificate_alert, reason_of
from .response_parser import ResponseParser
from .tls import TLSStream, raw_host
from .types import CertificateRefusedError, MaskedBytes, Phase


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .name_lookup import NameLookup
    from .stream import Stream
    from .types import Origin, RawRequest, RawResponse

CLOSING_SECONDS = 2.0
"""How long closing may hold up a cancel (assumed)."""

_AT_ONCE = 64 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 9110, 5.5: no control character but the tab, and no white space around.
_VALUE = rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?"
_HEAD = re.compile(rb"%b [!-~]+ HTTP/1\.1\r\n(?:%b: %b\r\n)+\r\n" % (_TOKEN, _TOKEN, _VALUE))

_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError, OSError)


class Connection:
    """A connection, opened by its first round trip. The pool closes it where a round trip raises or is cancelled."""

    def __init__(self, origin: Origin, ssl_context: Callable[[], ssl.SSLContext], names: NameLookup) -> None:
        self._origin = origin
        self._ssl_context = ssl_context
        self._names = names
        # Closed by `aclose`. TLS goes through it; without TLS it is the stream itself.
        self._bytes: Stream | None = None
        self._stream: Stream | TLSStream | None = None

    async def round_trip(self, request: RawRequest, on_phase: Callable[[Phase], None]) -> RawResponse:
        """Send *request* and return the response, its body as far as it came; see `Transport`.

        Raises:
            CertificateRefusedError: the server refused this side's certificate.
            httpx.TransportError: no response came.

        Cancellation: the request may have been sent; the caller must close the connection.
        """
        message = await _message_of(request)
        fresh = self._stream is None
        stream = self._stream or await self._connect(on_phase)
        await anyio.lowlevel.checkpoint_if_cancelled()
        parser = ResponseParser(request.method)
        try:
            if len(message) > _AT_ONCE:
                return await _read_while_sending(stream, message, parser, on_phase)
            on_phase(Phase.SENDING)
            # A server that responds without reading all may end the connection: the response may be there all the same.
            with contextlib.suppress(*_GONE):
                await stream.send(message)
                on_phase(Phase.RESPONSE)
            return await _read(stream, parser)
        except httpx.ReadError as error:
            # With TLS 1.3 the server reads a certificate when the handshake is over for this side.
            if fresh and parser.untouched and (alert := certificate_alert(error)):
                raise CertificateRefusedError(f"certificate refused: {alert}") from error
            raise

    @property
    def is_quiet(self) -> bool:
        """Whether another round trip may use it: it is open, and has no bytes that nobody asked for.

        They would be taken for the next call's response.
        """
        return self._stream is not None and self._stream.is_quiet

    async def _connect(self, on_phase: Callable[[Phase], None]) -> Stream | TLSStream:
        """Open the socket.

        Raises:
            httpx.ConnectError: no server is there, or it does not speak TLS, or its certificate does not verify.

        Cancellation: what is open by then is closed by `aclose`.
        """
        scheme, host, port = self._origin
        if scheme not in ("http", "https") or port is None:
            raise httpx.UnsupportedProtocol(f"a request to {scheme}:// cannot be sent")
        context = self._ssl_context() if scheme == "https" else None
        try:
            addresses = [host] if is_address(host) else await self._addresses_of(host, on_phase)
            on_phase(Phase.CONNECTING)
            self._bytes = stream_over(await connect_to(addresses, port))
            self._bytes.open()
            if context is None:
                self._stream = self._bytes
            else:
                on_phase(Phase.TLS)
                self._stream = await TLSStream.open(self._bytes, host, context)
        except (*_GONE, anyio.EndOfStream) as error:
            if alert := certificate_alert(error, in_handshake=True):
                raise CertificateRefusedError(f"certificate refused: {alert}") from error
            raise httpx.ConnectError(reason_of(error)) from error
        except AttributeError as error:
            # anyio asks a socket for its addresses; uvloop has none for one that is reset already.
            if error.obj is not None:
                raise
            raise httpx.ConnectError("reset as soon as it was there") from error
        return self._stream

    async def _addresses_of(self, host: str, on_phase: Callable[[Phase], None]) -> Sequence[str]:
        on_phase(Phase.NAME)
        # As it stands in the Host header; the system's resolver by itself knows an older way to write it, and its table
        # of hosts knows no name with a last dot.
        return await self._names.addresses_of((host if host.isascii() else raw_host(host)).removesuffix("."))

    async def aclose(self) -> None:
        """Close the socket, with no word to the other side: no round trip is open."""
        if self._bytes is not None:
            await self._bytes.aclose()


async def _read(stream: Stream | TLSStream, parser: ResponseParser) -> RawResponse:
    while not parser.done:
        try:
            parser.feed(await stream.receive(_AT_ONCE))
        except anyio.EndOfStream:
            break
        except _GONE as error:
            broken = httpx.ReadError(reason_of(error))
            broken.__cause__ = error
            return parser.finish(broken)
    return parser.finish()


async def _read_while_sending(
    stream: Stream | TLSStream, message: bytes, parser: ResponseParser, on_phase: Callable[[Phase], None]
) -> RawResponse:
    """Return the response to a long *message*, also where the server responds before it has read all of it."""
    sent, trouble, response = False, None, None

    async def send() -> None:
        nonlocal sent
        with contextlib.suppress(*_GONE):
            await stream.send(message)
            sent = True
            on_phase(Phase.RESPONSE)

    async with anyio.create_task_group() as group:
        on_phase(Phase.SENDING)
        group.start_soon(send)
        try:
            response = await _read(stream, parser)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised below: here it would come out in a group
            trouble = error
        group.cancel_scope.cancel()
    if response is None:
        assert trouble is not None
        raise trouble
    return response if sent else attrs.evolve(response, reusable=False)


async def _message_of(request: RawRequest) -> MaskedBytes:
    """Return *request* as bytes on the wire: whole before one is sent, so that what is wrong with it costs nothing.

    Raises:
        httpx.LocalProtocolError: it would not be read as it was given, or its body is not as long as it says.

    Cancellation: a generator that gives the body is ended.
    """
    stream = request.body
    body = b"".join(stream) if isinstance(stream, httpx.ByteStream) else await _joined(stream)
    head, length = head_of(request)
    if length is None:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif b"%d" % len(body) != length:
        raise httpx.LocalProtocolError("the body is not as long as its Content-Length says")
    # A traceback may show the locals of what sends it.
    return MaskedBytes(head + body)


def head_of(request: RawRequest) -> tuple[MaskedBytes, bytes | None]:
    """Return the head of *request* as bytes on the wire, and the length of its body; `None`: it is sent in pieces.

    Raises:
        httpx.LocalProtocolError: it would not be read as it was given.
    """
    line = b"%b %b HTTP/1.1\r\n" % (request.method.encode("latin-1", "replace"), request.url.raw_path)
    length: bytes | None = b"0"
    lines = [line]
    for name, value in request.headers:
        lines.append(b"%b: %b\r\n" % (name, value))
        lowered = name.lower()
        if lowered == b"content-length" and length is not None:
            length = value
        elif lowered == b"transfer-encoding":
            length = None
    head = b"".join([*lines, b"\r\n"])
    if not _HEAD.fullmatch(head) or head.count(b"\n") != len(lines) + 1:
        raise httpx.LocalProtocolError("the method, the path or a header has a character that it must not have")
    return MaskedBytes(head), length


async def _joined(stream: Any) -> bytes:
    chunks = aiter(stream)
    try:
        return b"".join([chunk async for chunk in chunks])
    finally:
        if isinstance(chunks, AsyncGenerator):
            with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                await chunks.aclose()
