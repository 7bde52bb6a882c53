"""Connections that are free, on a stack for each origin; one whose exchange did not end cleanly is thrown away."""

from __future__ import annotations

import contextlib
import ssl
import time

from collections import deque
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
    connection: Connection
    since: float


class ConnectionPool(httpx.AsyncBaseTransport):
    """An httpx transport that never waits for a free connection: the gate above it does.

    One exchange is on one connection at a time. Invariant: a connection is on a stack, or belongs to exactly one
    exchange, which gives it back or closes it, also when it is cancelled.
    """

    tells_sent = True
    """`CallState.sent` is set when the first byte leaves, not before."""

    def __init__(
        self,
        make_ssl_context: Callable[[], ssl.SSLContext],
        proxy: httpx.Proxy | None = None,
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._make_ssl_context = make_ssl_context
        self._ssl_context: ssl.SSLContext | None = None
        self._bare_context: ssl.SSLContext | None = None
        self._proxy = proxy
        self._idle_seconds = idle_seconds
        # Those at the bottom have been idle for longest.
        self._free: dict[Origin, deque[_Idle]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* on a free connection or a new one; the body is to be read, and the answer closed.

        Raises:
            httpx.TransportError: no answer came.

        Cancellation: the connection is closed.
        """
        for expired in self._take_expired():
            await _close(expired)
        origin = origin_of(request.url)
        connection = self._take(origin)
        try:
            response = await connection.exchange(request)
        except BaseException:
            await _close(connection)
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
        free = [idle.connection for stack in self._free.values() for idle in stack]
        self._free.clear()
        for connection in free:
            await _close(connection)

    def give_back(self, origin: Origin, connection: Connection) -> bool:
        """Return whether the connection was kept; if not, the caller closes it."""
        if not self._closed:
            self._free.setdefault(origin, deque()).append(_Idle(connection, time.monotonic()))
        return not self._closed

    def _take_expired(self) -> list[Connection]:
        before = time.monotonic() - self._idle_seconds
        expired = []
        for stack in self._free.values():
            while stack and stack[0].since < before:
                expired.append(stack.popleft().connection)
        return expired

    def _take(self, origin: Origin) -> Connection:
        stack = self._free.get(origin)
        if stack:
            return stack.pop().connection
        return Connection(self._context_for(origin), self._proxy)

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
            await _close(connection)
            raise
        await _close(connection)
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
