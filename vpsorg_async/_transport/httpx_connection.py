"""Makes one round trip after another with httpx's own transport, kept to a single connection.

It serves proxies, and lets a mock, a tracer or a recorder that has replaced a part of httpx or httpcore see requests.
"""

from __future__ import annotations

import contextlib
import inspect

from operator import is_
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.lowlevel
import attrs

from .. import _http as httpx
from .connection import CLOSING_SECONDS, head_of
from .httpx_adapter import as_httpx, read
from .leftover import has_leftover
from .reasons import certificate_alert, reason_of
from .replaced import BELOW_THE_CLIENT
from .types import CertificateRefusedError, Phase, ProxyHandshakeError


if TYPE_CHECKING:
    import ssl

    from collections.abc import AsyncIterator, Callable

    from .types import RawRequest, RawResponse

_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
_CONNECTED = ".connect_tcp.complete"
# With the first stop of the way. Behind a tunnel the one with the API is told by another name.
_HANDSHAKE = "connection.start_tls."
_PHASES = {
    "connect_tcp.started": Phase.CONNECTING,
    "start_tls.started": Phase.TLS,
    "send_request_headers.started": Phase.SENDING,
    "receive_response_headers.started": Phase.RESPONSE,
}
_BEFORE_SENDING = frozenset({Phase.CONNECTING, Phase.TLS})


class _Outgoing(httpx.AsyncByteStream):
    """A request's body. httpcore leaves its generator half-way when sending is cut short: here it is ended."""

    def __init__(self, stream: Any) -> None:
        self._chunks: AsyncIterator[bytes] = aiter(stream)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        chunks: object = self._chunks
        if inspect.isasyncgen(chunks):
            with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                await chunks.aclose()


class HTTPXConnection:
    """A pool of a single connection of httpx's, which reconnects by itself when the peer has closed.

    httpcore looks before each use whether the idle socket is readable: an EOF, or bytes that nobody asked for, end it.
    """

    def __init__(self, ssl_context: ssl.SSLContext, proxy: httpx.Proxy | None) -> None:
        self._to_secure_proxy = proxy is not None and proxy.url.scheme == "https"
        if proxy is not None and self._to_secure_proxy:
            # httpx trusts certificates of its own there, whatever it is given for the rest of the way.
            proxy = httpx.Proxy(proxy.url, ssl_context=ssl_context, auth=proxy.auth, headers=proxy.headers)
        self._transport = httpx.make_transport(verify=ssl_context, trust_env=False, limits=_ONE, proxy=proxy)
        # Kept by it: a mock that comes later would not see what goes through this transport, or over this socket.
        self._made_with = BELOW_THE_CLIENT.present()
        # What TLS stands on: httpcore forgets it, open, when a handshake is cancelled.
        self._socket: Any = None

    async def round_trip(self, request: RawRequest, on_phase: Callable[[Phase], None]) -> RawResponse:
        """Send *request* and return the response; see `Connection.round_trip`."""
        # Before anything is opened: what is wrong with it costs nothing.
        head_of(request)
        await anyio.lowlevel.checkpoint_if_cancelled()
        tracing = _Tracing(on_phase, self, secure_proxy=self._to_secure_proxy)
        body = _Outgoing(request.body)
        traced = as_httpx(
            request,
            url=_without_last_dot(request.url),
            stream=body,
            extensions={**request.extensions, "trace": tracing.told},
        )
        try:
            response = await self._transport.handle_async_request(traced)
        except AttributeError as error:
            # httpcore asks for a socket's name when a handshake is done; uvloop has no socket for one reset by then.
            if error.name != "getpeername":
                raise
            raise httpx.ReadError("reset as soon as it was there") from error
        except BaseException as error:
            tracing.failed(error)
            raise
        finally:
            await body.aclose()
        tracing.maybe_sent()
        received = await read(response, self._exhaust)
        if received.reusable:
            await response.aclose()
        return attrs.evolve(received, reusable=received.reusable and self.is_quiet)

    def connected(self, stream: Any) -> None:
        """Note the socket of a new connection."""
        self._socket = stream

    async def _exhaust(self, chunks: AsyncIterator[bytes]) -> None:
        """End the generators of httpx and httpcore underneath: on a closed socket they raise once they are empty."""
        with anyio.move_on_after(CLOSING_SECONDS, shield=True), contextlib.suppress(Exception):
            await self.aclose()
            while True:
                await anext(chunks)

    @property
    def is_quiet(self) -> bool:
        """Whether another round trip may use it.

        That is so if no bytes came behind the last response, which httpcore would take for the next call's, and nobody
        has put anything in the place of what it was made with.
        """
        return not has_leftover(self._transport) and all(map(is_, BELOW_THE_CLIENT.present(), self._made_with))

    async def aclose(self) -> None:
        """Close the socket."""
        try:
            await self._transport.aclose()
        finally:
            if self._socket is not None:
                await self._socket.aclose()


class _Tracing:
    """Is told by httpcore how far a request has come."""

    def __init__(
        self, on_phase: Callable[[Phase], None], connection: HTTPXConnection, *, secure_proxy: bool = False
    ) -> None:
        self._on_phase = on_phase
        self._connection = connection
        self._phase = Phase.TURN
        self._fresh = False
        # Whether what comes first is a handshake with the proxy.
        self._secure_proxy = secure_proxy
        self._greets_proxy = False

    async def told(self, event: str, info: dict[str, Any]) -> None:
        """Take an event of httpcore's extension `trace`."""
        if event.endswith(_CONNECTED):
            self._fresh = True
            self._connection.connected(info["return_value"])
            return
        phase = _PHASES.get(event.partition(".")[2])
        if self._secure_proxy and event.startswith(_HANDSHAKE):
            self._greets_proxy = not event.endswith(".complete")
            phase = Phase.CONNECTING
        # A CONNECT to a proxy is not the request yet.
        if phase is not None and (phase in _BEFORE_SENDING or info["request"].method != b"CONNECT"):
            self._phase = phase
            self._on_phase(phase)

    def maybe_sent(self) -> None:
        """Note that the request may have been sent by what stands in the place of httpcore and tells nothing."""
        if self._phase is Phase.TURN:
            self._on_phase(Phase.SENDING)
            self._on_phase(Phase.RESPONSE)

    def failed(self, error: BaseException) -> None:
        """Note that the request ended with *error*, or was cancelled.

        Raises:
            CertificateRefusedError: the server refused this side's certificate.
            ProxyHandshakeError: the proxy has no certificate that verifies, or speaks no TLS.
        """
        if BELOW_THE_CLIENT.is_replaced():
            self.maybe_sent()
        if self._greets_proxy and isinstance(error, httpx.TransportError):
            raise ProxyHandshakeError(reason_of(error)) from error
        if (
            self._fresh
            and isinstance(error, Exception)
            and (alert := certificate_alert(error, in_handshake=self._phase is Phase.TLS))
        ):
            raise CertificateRefusedError(f"certificate refused: {alert}") from error


def _without_last_dot(url: httpx.URL) -> httpx.URL:
    """Return *url* with its host as certificates have it; httpcore takes it for the name to verify."""
    return url.copy_with(host=url.host.removesuffix(".")) if url.host.endswith(".") else url
