"""Connections that are free, on a stack; one whose exchange did not end cleanly is thrown away."""

from __future__ import annotations

import contextlib
import ssl
import time

from typing import TYPE_CHECKING, Self

import anyio
import attrs
import httpx

from .authorizing import origin_of
from .connection import CLOSING_SECONDS, IDLE_SECONDS, Connection


if TYPE_CHECKING:
    from collections.abc import Callable

    Origin = tuple[str, str, int | None]


@attrs.frozen
class _Idle:
    origin: Origin
    connection: Connection
    since: float


class ConnectionPool(httpx.AsyncBaseTransport):
    """An httpx transport that never waits for a free connection: the gate above it does.

    One exchange is on one connection at a time. Invariant: a connection is on the stack, or belongs to exactly one
    exchange, which gives it back or closes it, also when it is cancelled. Together they are at most *size*, as the gate
    lets no more exchanges begin: a new one is opened when the one idle for longest has been closed in its place.
    """

    tells_sent = True
    """`CallState.sent` is set when the first byte leaves, not before."""

    def __init__(
        self,
        make_ssl_context: Callable[[], ssl.SSLContext],
        proxy: httpx.Proxy | None = None,
        *,
        size: int = 100,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        # What httpx imports with its first connection: by then a process may have no descriptor left to open it with.
        import httpcore  # noqa: F401, PLC0415

        self._make_ssl_context = make_ssl_context
        self._ssl_context: ssl.SSLContext | None = None
        self._bare_context: ssl.SSLContext | None = None
        self._proxy = proxy
        self._size = size
        self._idle_seconds = idle_seconds
        # The one at the bottom has been idle for longest.
        self._free: list[_Idle] = []
        self._in_use = 0
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* on a free connection or a new one; the body is to be read, and the answer closed.

        Raises:
            httpx.TransportError: no answer came.

        Cancellation: the connection taken is closed, and so are those that had to go before it was used. From the
        answer on the connection is the body's: its `aclose` gives it back if all was read, and closes it if not.
        """
        origin = origin_of(request.url)
        connection, unwanted = self._take(origin)
        try:
            while unwanted:
                await _close(unwanted[-1])
                unwanted.pop()
            response = await connection.exchange(request)
        except BaseException:
            for one in unwanted:
                await _close(one)
            await self.discard(connection)
            raise
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Body(self, origin, connection, response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the free connections; those in use are closed when their exchanges end."""
        self._closed = True
        free, self._free = self._free, []
        for idle in free:
            await _close(idle.connection)

    def give_back(self, origin: Origin, connection: Connection) -> bool:
        """Return whether the connection was kept; if not, the caller closes it."""
        if not self._closed:
            self._free.append(_Idle(origin, connection, time.monotonic()))
            self._in_use -= 1
        return not self._closed

    async def discard(self, connection: Connection) -> None:
        """Close the connection of an exchange that did not end cleanly."""
        try:
            await _close(connection)
        finally:
            self._in_use -= 1

    def _take(self, origin: Origin) -> tuple[Connection, list[Connection]]:
        """Return a connection for an exchange, and those that the caller closes before it is used."""
        fresh = time.monotonic() - self._idle_seconds
        connection = self._take_free(origin, fresh) or Connection(self._context_for(origin), self._proxy)
        self._in_use += 1
        unwanted = []
        while self._free and (self._free[0].since < fresh or self._in_use + len(self._free) > self._size):
            unwanted.append(self._free.pop(0).connection)
        return connection, unwanted

    def _take_free(self, origin: Origin, fresh: float) -> Connection | None:
        for number in reversed(range(len(self._free))):
            idle = self._free[number]
            if idle.origin == origin and idle.since >= fresh:
                return self._free.pop(number).connection
        return None

    def _context_for(self, origin: Origin) -> ssl.SSLContext:
        if origin[0] != "https" and (self._proxy is None or self._proxy.url.scheme != "https"):
            # Asked for and never used, so one that trusts nobody will do: loading certificates takes time.
            self._bare_context = self._bare_context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return self._bare_context
        self._ssl_context = self._ssl_context or self._make_ssl_context()
        return self._ssl_context


class _Body(httpx.AsyncByteStream):
    """An answer's body. An iterator: an async generator that is left half-way would outlive its call."""

    def __init__(self, pool: ConnectionPool, origin: Origin, connection: Connection, response: httpx.Response) -> None:
        self._pool = pool
        self._origin = origin
        # `None` once it has been given back or closed.
        self._connection: Connection | None = connection
        self._response = response
        self._chunks = aiter(response.stream)  # type: ignore[arg-type]
        self._whole = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self._whole = True
            raise

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if self._whole:
                await self._response.aclose()
                if not connection.has_unasked_bytes and self._pool.give_back(self._origin, connection):
                    return
        except BaseException:
            await self._pool.discard(connection)
            raise
        await self._pool.discard(connection)
        await self._exhaust()

    async def _exhaust(self) -> None:
        """End the generators of httpx and httpcore underneath: on a closed socket they raise once they are empty."""
        with anyio.move_on_after(CLOSING_SECONDS, shield=True), contextlib.suppress(Exception):
            while True:
                await anext(self._chunks)


async def _close(connection: Connection) -> None:
    """Close it. What goes wrong is of no interest, and must not stand in for a cancel that brought us here."""
    with anyio.move_on_after(CLOSING_SECONDS, shield=True), contextlib.suppress(Exception):
        await connection.aclose()
