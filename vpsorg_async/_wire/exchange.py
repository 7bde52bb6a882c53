"""One exchange: a request authorized and sent, its answer read whole and within limits, or how it failed."""

from __future__ import annotations

import functools
import inspect
import ssl
import zlib

from typing import TYPE_CHECKING

import anyio
import attrs
import httpx

from .._errors import portable
from .authorizing import ON_THE_WIRE
from .classify import Kind


if TYPE_CHECKING:
    from collections.abc import Iterator

    from .authorizing import Authorizer, Secret
    from .call import CallState

MAX_HEADERS = 64 * 1024
MAX_BODY = 32 * 1024 * 1024
_REDIRECTS_FROM, _ERRORS_FROM = 300, 400

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# h11's hint on a message whose head, or a chunk's, it does not take (more than httpcore's 100 KiB).
_HEAD_TOO_LARGE = 431
_IMPOSSIBLE = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


@functools.cache
def _failures() -> tuple[type[Exception], ...]:
    """Return what transports fail with; all else is a fault in the program, and comes out as it is."""
    import h11  # noqa: PLC0415 - httpx imports it late too, with httpcore

    return (
        httpx.TransportError,
        httpx.StreamError,
        # httpcore lets it through where a body is not as long as its header says; the head has left by then.
        h11.LocalProtocolError,
        OSError,
        EOFError,
        anyio.BrokenResourceError,
        anyio.ClosedResourceError,
        anyio.EndOfStream,
    )


@attrs.frozen
class Failure:
    """Why there is no answer."""

    kind: Kind
    text: str
    cause: BaseException | None = None
    timed_out: bool = False


class _UnreadableError(Exception):
    """An answer that is too large, or whose encoding is not what it says."""


async def exchange(
    inner: httpx.AsyncBaseTransport, authorizer: Authorizer, request: httpx.Request, state: CallState
) -> httpx.Response | Failure:
    """Return the answer with its body decoded, or the failure.

    No frame from below comes out with a failure or a cancel: their locals hold the token.

    Raises:
        ConfigurationError: the token's callable failed.

    Cancellation: the request may have been sent, as `state.sent` says; the connection is closed.
    """
    try:
        return await _exchange(inner, authorizer, request, state)
    except BaseException as error:  # noqa: BLE001 - raised again
        raise _without_frames(error) from error.__cause__


def _without_frames(error: BaseException) -> BaseException:
    """Return *error*, a cancel or a fault in a transport, with what it carries along stripped of its frames."""
    error.__context__ = None
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is not None and found.__traceback__ is not None:
            found.__traceback__ = None
            waiting += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]
    return error


async def _exchange(
    inner: httpx.AsyncBaseTransport, authorizer: Authorizer, request: httpx.Request, state: CallState
) -> httpx.Response | Failure:
    authorized, token = await authorizer.authorize(request)
    logged = ON_THE_WIRE.set(token)
    try:
        return await _answer_to(authorized, inner, token, request, state)
    except _UnreadableError as error:
        return Failure(Kind.UNREADABLE, token.masked_text(str(error)))
    except _failures() as error:
        return _failure_of(error, state, token)
    finally:
        ON_THE_WIRE.reset(logged)


async def _answer_to(
    authorized: httpx.Request, inner: httpx.AsyncBaseTransport, token: Secret, request: httpx.Request, state: CallState
) -> httpx.Response:
    # A transport that does not tell may have sent it from the moment it has it.
    state.sent = not getattr(inner, "tells_sent", False)
    response = await inner.handle_async_request(authorized)
    try:
        body = await _read(response)
    except BaseException:
        with anyio.move_on_after(1, shield=True):
            await response.aclose()
        raise
    await response.aclose()
    headers = _plain(response.headers)
    # What stands in an answer may come to stand in an error, and an API may quote what it was sent.
    if state.modelled or response.status_code >= _REDIRECTS_FROM:
        body = token.masked(body)
        headers = httpx.Headers([(name, token.masked(value)) for name, value in headers.raw])
    return httpx.Response(
        response.status_code,
        headers=headers,
        stream=httpx.ByteStream(body),
        extensions={
            # The reason phrase is quoted by httpx's log.
            key: token.masked(value) if isinstance(value, bytes) else value
            for key, value in response.extensions.items()
            if key != "network_stream"
        },
        request=request,
    )


def _failure_of(error: Exception, state: CallState, token: Secret) -> Failure:
    if any(getattr(cause, "error_status_hint", None) == _HEAD_TOO_LARGE for cause in _causes(error)):
        return Failure(Kind.UNREADABLE, _HEADERS_TOO_LARGE)
    kind = Kind.LOST if state.sent else Kind.NOT_SENT
    if isinstance(error, _NOT_SENT):
        kind = Kind.NOT_SENT
        if certificate := _certificate_error(error):
            reason = getattr(certificate, "verify_message", None) or certificate
            return Failure(
                Kind.UNVERIFIED, f"the server's certificate does not verify: {reason}", portable(certificate)
            )
    elif isinstance(error, _IMPOSSIBLE):
        kind = Kind.IMPOSSIBLE
    # A parser quotes what it cannot read.
    text = token.masked_text(str(error))
    cause = portable(error, text)
    return Failure(kind, text or type(error).__name__, cause, timed_out=isinstance(error, httpx.TimeoutException))


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    return next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what it came from, the nearest first."""
    for _ in range(20):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


async def _read(response: httpx.Response) -> bytes:
    """Return the decoded body; of an error answer as much as can be had."""
    if sum(len(name) + len(value) for name, value in response.headers.raw) > MAX_HEADERS:
        raise _UnreadableError(_HEADERS_TOO_LARGE)
    tolerant = response.status_code >= _ERRORS_FROM
    decoder = _Decoder(response.headers.get("Content-Encoding", ""), tolerant=tolerant)
    # An answer made with content, as doubles do, has been decoded by httpx already.
    if hasattr(response, "_content"):
        return response.content[:MAX_BODY] if tolerant else _checked(response.content)
    chunks = aiter(response.stream)  # type: ignore[arg-type]
    try:
        async for chunk in chunks:
            if not decoder.feed(chunk):
                break
    except _failures():
        # The status has come whole, and it says more than its explanation.
        if not tolerant:
            raise
    finally:
        # A generator that is left half-way would outlive the call.
        if inspect.isasyncgen(chunks):
            with anyio.CancelScope(shield=True):
                await chunks.aclose()
    return decoder.finish()


def _checked(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise _UnreadableError(_TOO_LARGE)
    return body


_HEADERS_TOO_LARGE = f"the answer's headers are larger than {MAX_HEADERS // 1024} KiB"
_TOO_LARGE = f"the answer is larger than {MAX_BODY // (1024 * 1024)} MiB"


class _Decoder:
    """Undoes `Content-Encoding` piece by piece, never past the limit; a tolerant one keeps what it could read."""

    def __init__(self, encoding: str, *, tolerant: bool) -> None:
        self._tolerant = tolerant
        self._encoding = encoding.strip().lower()
        self._received = 0
        self._raw = bytearray()
        self._body = bytearray()
        # 32 + 15: gzip or zlib, told apart by their headers.
        self._inflate = zlib.decompressobj(47) if self._encoding in ("gzip", "x-gzip", "deflate") else None
        if self._inflate is None and self._encoding not in ("", "identity") and not tolerant:
            raise _UnreadableError(f"the answer's Content-Encoding {self._encoding[:40]!r} was not asked for")

    def feed(self, chunk: bytes) -> bool:
        """Take *chunk*; return whether more is wanted."""
        self._received += len(chunk)
        if self._inflate is None:
            self._body += chunk
        else:
            if self._tolerant:
                self._raw += chunk
            try:
                self._body += self._inflate.decompress(chunk, MAX_BODY + 1 - len(self._body))
            except zlib.error:
                return self._give_up("the answer's body is not the gzip that it claims to be")
        # Bytes behind the end of a compressed body count as well: zlib keeps them.
        if max(len(self._body), self._received) <= MAX_BODY:
            return True
        if self._tolerant:
            return False
        raise _UnreadableError(_TOO_LARGE)

    def finish(self) -> bytes:
        """Return the body.

        Raises:
            _UnreadableError: the compressed body ended before its end.
        """
        if self._inflate is not None and self._received and not self._inflate.eof and not self._tolerant:
            raise _UnreadableError("the answer's compressed body is cut short")
        return bytes(self._body)

    def _give_up(self, reason: str) -> bool:
        if not self._tolerant:
            raise _UnreadableError(reason)
        self._inflate, self._body = None, self._raw
        return True


def _plain(headers: httpx.Headers) -> httpx.Headers:
    """Return the headers without what described the body's way here."""
    gone = {b"content-encoding", b"content-length", b"transfer-encoding"}
    return httpx.Headers([item for item in headers.raw if item[0].lower() not in gone])
