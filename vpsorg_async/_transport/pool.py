"""Keeps free connections on a stack, and closes one whose round trip did not end cleanly."""

from __future__ import annotations

import contextlib
import importlib
import ssl
import time

from typing import TYPE_CHECKING, Self

import anyio
import attrs

from .. import _http as httpx
from .connection import CLOSING_SECONDS, Connection
from .httpx_connection import HTTPXConnection
from .name_lookup import NameLookup
from .replaced import BELOW_THE_CLIENT
from .types import RawRequest, nobody, origin_of


if TYPE_CHECKING:
    from collections.abc import Callable

    from .proxy_config import ChosenProxy
    from .types import Origin, Phase, RawResponse

    AnyConnection = Connection | HTTPXConnection

IDLE_SECONDS = 30.0
"""An idle connection older than this is closed when its turn comes (assumed; servers close after 5 to 75 s)."""

MARGIN = 1.0
"""Seconds before the end of the server's own `Keep-Alive: timeout=…` at which a connection is not used any more."""


@attrs.define(eq=False, repr=False)
class _Idle:
    origin: Origin
    connection: AnyConnection
    # When it is not to be used any more.
    until: float


class ConnectionPool(httpx.AsyncBaseTransport):
    """An httpx transport that never waits for a free connection: the limiter above it does.

    One round trip at a time uses a connection. Invariant: a connection is on the stack, or belongs to exactly one round
    trip, which gives it back or closes it, also when it is cancelled. There are at most *size* connections, because the
    limiter lets no more round trips begin. Before one too many is opened, the one that was idle for longest is closed.
    """

    def __init__(
        self,
        make_ssl_context: Callable[[], ssl.SSLContext],
        proxy: ChosenProxy | None = None,
        *,
        size: int = 100,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_ssl_context = make_ssl_context
        self._ssl_context: ssl.SSLContext | None = None
        self._bare_context: ssl.SSLContext | None = None
        if proxy is not None:
            # By its first connection a process may have no descriptor left to open a module with.
            importlib.import_module(httpx.CORE)
        self._proxy = None if proxy is None else proxy.proxy
        # Where the way leads by, for errors.
        self.route = "" if proxy is None else proxy.route
        self._names = NameLookup(now)
        self._size = size
        self._now = now
        # The one at the bottom has been idle for longest.
        self._free: list[_Idle] = []
        self._in_use = 0
        self._closed = False

    async def round_trip(self, request: RawRequest, on_phase: Callable[[Phase], None]) -> RawResponse:
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
            response = await connection.round_trip(request, on_phase)
            kept = response.reusable and self._give_back(request.origin, connection, response.keep_alive)
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

    def obstacle(self, host: str) -> str:
        """Return what holds up every call to *host* at present, as errors say it; empty where nothing does."""
        return ", whose name is still being looked up" if self._names.is_running(host.removesuffix(".")) else ""

    @property
    def holds_connections(self) -> bool:
        """Whether a connection is open and free."""
        return bool(self._free)

    async def aclose(self) -> None:
        """Close the free connections; those in use are closed when their round trips end."""
        self._closed = True
        free, self._free = self._free, []
        for idle in free:
            await _close(idle.connection)

    def _give_back(self, origin: Origin, connection: AnyConnection, keep_alive: float | None) -> bool:
        """Return whether the connection was kept; if not, the caller closes it."""
        seconds = idle_seconds(keep_alive)
        if self._closed or not seconds:
            return False
        self._free.append(_Idle(origin, connection, self._now() + seconds))
        self._in_use -= 1
        return True

    async def _discard(self, connection: AnyConnection) -> None:
        """Close the connection of a round trip that did not end cleanly."""
        try:
            await _close(connection)
        finally:
            self._in_use -= 1

    def _take(self, origin: Origin) -> tuple[AnyConnection, list[AnyConnection]]:
        """Return a connection for a round trip, and those that the caller closes before it is used."""
        now = self._now()
        unwanted: list[AnyConnection] = []
        connection = self._take_free(origin, now, unwanted) or self._new(origin)
        self._in_use += 1
        while self._free and (self._free[0].until < now or self._in_use + len(self._free) > self._size):
            unwanted.append(self._free.pop(0).connection)
        return connection, unwanted

    def _take_free(self, origin: Origin, now: float, unwanted: list[AnyConnection]) -> AnyConnection | None:
        """Return a connection for another round trip. Those that cannot be used become *unwanted*."""
        kind = self._kind
        for number in reversed(range(len(self._free))):
            idle = self._free[number]
            if idle.origin == origin and type(idle.connection) is kind:
                del self._free[number]
                if idle.until >= now and idle.connection.is_quiet:
                    return idle.connection
                unwanted.append(idle.connection)
        return None

    @property
    def _kind(self) -> type[AnyConnection]:
        """The kind of connection for the next round trip. A mock or tracer of httpx's sees only httpx's own."""
        return HTTPXConnection if self._proxy is not None or BELOW_THE_CLIENT.is_replaced() else Connection

    def _new(self, origin: Origin) -> AnyConnection:
        if self._kind is Connection:
            return Connection(origin, self._trusting, self._names)
        return HTTPXConnection(self._context_for(origin), self._proxy)

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


def idle_seconds(keep_alive: float | None) -> float:
    """Return for how long an idle connection may be used, where the server keeps it for *keep_alive* seconds.

    The server counts from when it sent the response, and a request takes its time to arrive.
    """
    if keep_alive is None:
        return IDLE_SECONDS
    return min(IDLE_SECONDS, max(keep_alive - MARGIN, keep_alive / 2))


async def _close(connection: AnyConnection) -> None:
    """Close it. What goes wrong is of no interest, and must not stand in for a cancel that brought us here."""
    with anyio.move_on_after(CLOSING_SECONDS, shield=True), contextlib.suppress(Exception):
        await connection.aclose()
