"""Makes one round trip after another through a proxy, with httpx's own transport kept to a single connection."""

from __future__ import annotations

import contextlib

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, Self

import anyio
import attrs
import httpx

from .connection import CLOSING_SECONDS
from .httpx_adapter import as_httpx, read
from .leftover import has_leftover


if TYPE_CHECKING:
    import ssl

    from collections.abc import Callable

    from .types import RawRequest, RawResponse

_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
_CONNECTED = ".connect_tcp.complete"
_SENDING = ("http11.send_request_headers.started", "http2.send_request_headers.started")


class _Outgoing(httpx.AsyncByteStream):
    """A request's body. httpcore leaves its generator half-way when sending is cut short: here it is ended."""

    def __init__(self, stream: Any) -> None:
        self._chunks: AsyncIterator[bytes] = aiter(stream)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        if isinstance(self._chunks, AsyncGenerator):
            with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                await self._chunks.aclose()


class ProxyConnection:
    """A pool of a single connection of httpx's, which reconnects by itself when the peer has closed.

    httpcore looks before each use whether the idle socket is readable: an EOF, or bytes that nobody asked for, end it.
    """

    def __init__(self, ssl_context: ssl.SSLContext, proxy: httpx.Proxy | None) -> None:
        self._transport = httpx.AsyncHTTPTransport(verify=ssl_context, trust_env=False, limits=_ONE, proxy=proxy)
        # What TLS stands on: httpcore forgets it, open, when a handshake is cancelled.
        self._socket: Any = None

    async def round_trip(self, request: RawRequest, on_first_byte: Callable[[], None]) -> RawResponse:
        """Send *request* and return the response; see `Connection.round_trip`."""

        async def trace(event: str, info: dict[str, Any]) -> None:
            if event.endswith(_CONNECTED):
                self._socket = info["return_value"]
            # A CONNECT to a proxy is not the request yet.
            elif event in _SENDING and info["request"].method != b"CONNECT":
                on_first_byte()

        body = _Outgoing(request.body)
        traced = as_httpx(request, stream=body, extensions={**request.extensions, "trace": trace})
        try:
            response = await self._transport.handle_async_request(traced)
        except AttributeError as error:
            # httpcore asks for a socket's name when a handshake is done; uvloop has no socket for one reset by then.
            if error.name != "getpeername":
                raise
            raise httpx.ReadError("the connection was reset as soon as it was there") from error
        finally:
            await body.aclose()
        received = await read(response, self._exhaust)
        if received.reusable:
            await response.aclose()
        return attrs.evolve(received, reusable=received.reusable and self.is_quiet)

    async def _exhaust(self, chunks: AsyncIterator[bytes]) -> None:
        """End the generators of httpx and httpcore underneath: on a closed socket they raise once they are empty."""
        with anyio.move_on_after(CLOSING_SECONDS, shield=True), contextlib.suppress(Exception):
            await self.aclose()
            while True:
                await anext(chunks)

    @property
    def is_quiet(self) -> bool:
        """Whether no bytes came behind the last response: httpcore would take them for the next call's."""
        return not has_leftover(self._transport)

    async def aclose(self) -> None:
        """Close the socket."""
        try:
            await self._transport.aclose()
        finally:
            if self._socket is not None:
                await self._socket.aclose()
