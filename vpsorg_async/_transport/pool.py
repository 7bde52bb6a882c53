"""Connections that are free, on a stack; one whose exchange did not end cleanly is thrown away."""

from __future__ import annotations

import contextlib
import ssl
import time

from typing import TYPE_CHECKING, Self

import anyio
import attrs
import httpx

from .._request.auth import NO_TOKEN, origin_of
from .connection import CLOSING_SECONDS, Connection
from .proxy_connection import ProxyConnection


if TYPE_CHECKING:
    from collections.abc import Callable

    from .._request.auth import Origin, Secret
    from .types import RawResponse

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

    One exchange is on one connection at a time. Invariant: a connection is on the stack, or belongs to exactly one
    exchange, which gives it back or closes it, also when it is cancelled. Together they are at most *size*, as the
    limiter lets no more exchanges begin: a new one is opened when the one idle for longest has been closed.
    """

    tells_sent = True
    """See `Exchanger`."""

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

    async def exchange(self, request: httpx.Request, token: Secret) -> RawResponse:
        """Send *request* with *token* on it, unless that is empty, and return the answer.

        Raises:
            httpx.TransportError: no answer came.

        Cancellation: the connection taken is closed, and so are those that had to go before it was used.
        """
        origin = origin_of(request.url)
        connection, unwanted = self._take(origin)
        kept = False
        try:
            while unwanted:
                await _close(unwanted[-1])
                unwanted.pop()
            answer = await connection.exchange(request, token)
            kept = answer.reusable and self._give_back(origin, connection)
        finally:
            for one in unwanted:
                await _close(one)
            if not kept:
                await self._discard(connection)
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* as it is: for those who put the pool under a transport of their own."""
        answer = await self.exchange(request, NO_TOKEN)
        extensions = {"http_version": b"HTTP/1.1", "reason_phrase": answer.reason}
        stream = _Body(answer.body, answer.trouble)
        return httpx.Response(answer.status, headers=answer.headers, stream=stream, extensions=extensions)

    async def aclose(self) -> None:
        """Close the free connections; those in use are closed when their exchanges end."""
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
        """Close the connection of an exchange that did not end cleanly."""
        try:
            await _close(connection)
        finally:
            self._in_use -= 1

    def _take(self, origin: Origin) -> tuple[AnyConnection, list[AnyConnection]]:
        """Return a connection for an exchange, and those that the caller closes before it is used."""
        fresh = self._now() - IDLE_SECONDS
        unwanted: list[AnyConnection] = []
        connection = self._take_free(origin, fresh, unwanted) or self._new(origin)
        self._in_use += 1
        while self._free and (self._free[0].since < fresh or self._in_use + len(self._free) > self._size):
            unwanted.append(self._free.pop(0).connection)
        return connection, unwanted

    def _take_free(self, origin: Origin, fresh: float, unwanted: list[AnyConnection]) -> AnyConnection | None:
        """Return one that may bear another exchange; those that may not become *unwanted*."""
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
    """An answer's body, which has come. An iterator: an async generator left half-way would outlive its call."""

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
