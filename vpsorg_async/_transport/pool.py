"""Keeps free connections on a stack, and closes one whose round trip did not end cleanly."""

from __future__ import annotations

import contextlib
import ssl
import time

from typing import TYPE_CHECKING, Self

import anyio
import attrs
import httpx

from .connection import CLOSING_SECONDS, Connection
from .proxy_connection import ProxyConnection
from .types import RawRequest, nobody, origin_of


if TYPE_CHECKING:
    from collections.abc import Callable

    from .types import Origin, RawResponse

    AnyConnection = Connection | ProxyConnection

IDLE_SECONDS = 30.0
"""An idle connection older than this is closed when its turn comes (assumed; servers close after 5 to 75 s)."""


@attrs.define(eq=False, repr=False)
class _Idle:
    origin: Origin
    connection: AnyConnection
    since: float


class ConnectionPool(httpx.AsyncBaseTransport):
    """An httpx transport that never waits for a free connection: the limiter above it does.

    One round trip at a time uses a connection. Invariant: a connection is on the stack, or belongs to exactly one round
    trip, which gives it back or closes it, also when it is cancelled. There are at most *size* connections, because the
    limiter lets no more round trips begin. Before one too many is opened, the one that was idle for longest is closed.
    """

    def __init__(
        self,
        make_ssl_context: Callable[[], ssl.SSLContext],
        proxy: httpx.Proxy | None = None,
        *,
        size: int = 100,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_ssl_context = make_ssl_context
        self._ssl_context: ssl.SSLContext | None = None
        self._bare_context: ssl.SSLContext | None = None
        if proxy is not None:
            # By its first connection a process may have no descriptor left to open a module with.
            import httpcore  # noqa: F401, PLC0415
        self._proxy = proxy
        self._size = size
        self._now = now
        # The one at the bottom has been idle for longest.
        self._free: list[_Idle] = []
        self._in_use = 0
        self._closed = False

    async def round_trip(self, request: RawRequest, on_first_byte: Callable[[], None]) -> RawResponse:
        """Send *request* and return the response; see `Transport`.

        Raises:
            httpx.TransportError: no response came.

        Cancellation: closed here are the connection in use, and those that had to go before it was used.
        """
        connection, unwanted = self._take(request.origin)
        kept = False
        try:
            while unwanted:
                await _close(unwanted[-1])
                unwanted.pop()
            response = await connection.round_trip(request, on_first_byte)
            kept = response.reusable and self._give_back(request.origin, connection)
        finally:
            for one in unwanted:
                await _close(one)
            if not kept:
                await self._discard(connection)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* as it is: for those who put the pool under a transport of their own."""
        raw = RawRequest(
            request.method,
            request.url,
            origin_of(request.url),
            request.headers.raw,
            request.stream,
            request.extensions,
        )
        received = await self.round_trip(raw, nobody)
        extensions = {"http_version": b"HTTP/1.1", "reason_phrase": received.reason}
        stream = _Body(received.body, received.trouble)
        return httpx.Response(received.status, headers=received.headers, stream=stream, extensions=extensions)

    async def aclose(self) -> None:
        """Close the free connections; those in use are closed when their round trips end."""
        self._closed = True
        free, self._free = self._free, []
        for idle in free:
            await _close(idle.connection)

    def _give_back(self, origin: Origin, connection: AnyConnection) -> bool:
        """Return whether the connection was kept; if not, the caller closes it."""
        if not self._closed:
            self._free.append(_Idle(origin, connection, self._now()))
            self._in_use -= 1
        return not self._closed

    async def _discard(self, connection: AnyConnection) -> None:
        """Close the connection of a round trip that did not end cleanly."""
        try:
            await _close(connection)
        finally:
            self._in_use -= 1

    def _take(self, origin: Origin) -> tuple[AnyConnection, list[AnyConnection]]:
        """Return a connection for a round trip, and those that the caller closes before it is used."""
        fresh = self._now() - IDLE_SECONDS
        unwanted: list[AnyConnection] = []
        connection = self._take_free(origin, fresh, unwanted) or self._new(origin)
        self._in_use += 1
        while self._free and (self._free[0].since < fresh or self._in_use + len(self._free) > self._size):
            unwanted.append(self._free.pop(0).connection)
        return connection, unwanted

    def _take_free(self, origin: Origin, fresh: float, unwanted: list[AnyConnection]) -> AnyConnection | None:
        """Return a connection for another round trip. Those that cannot be used become *unwanted*."""
        for number in reversed(range(len(self._free))):
            idle = self._free[number]
            if idle.origin == origin and idle.since >= fresh:
                del self._free[number]
                if idle.connection.is_quiet:
                    return idle.connection
                unwanted.append(idle.connection)
        return None

    def _new(self, origin: Origin) -> AnyConnection:
        if self._proxy is None:
            return Connection(origin, self._trusting)
        return ProxyConnection(self._context_for(origin), self._proxy)

    def _trusting(self) -> ssl.SSLContext:
        self._ssl_context = self._ssl_context or self._make_ssl_context()
        return self._ssl_context

    def _context_for(self, origin: Origin) -> ssl.SSLContext:
        if origin[0] == "https" or (self._proxy is not None and self._proxy.url.scheme == "https"):
            return self._trusting()
        # Asked for and never used, so one that trusts nobody will do: loading certificates takes time.
        self._bare_context = self._bare_context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._bare_context


class _Body(httpx.AsyncByteStream):
    """A response's body, which has come. An iterator: an async generator left half-way would outlive its call."""

    def __init__(self, body: bytes, trouble: Exception | None) -> None:
        self._unread = body
        self._trouble = trouble

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        body, self._unread = self._unread, b""
        if body:
            return body
        if self._trouble is not None:
            raise self._trouble
        raise StopAsyncIteration


async def _close(connection: AnyConnection) -> None:
    """Close it. What goes wrong is of no interest, and must not stand in for a cancel that brought us here."""
    with anyio.move_on_after(CLOSING_SECONDS, shield=True), contextlib.suppress(Exception):
        await connection.aclose()
