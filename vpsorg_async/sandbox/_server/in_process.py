"""The transport without a socket: the app is called in the task that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio.lowlevel
import httpx


if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

    from .._clocks.virtual import VirtualClock


class InProcessTransport(httpx.AsyncBaseTransport):
    """Hands requests to an ASGI app, with no task of its own, so that a cancel goes straight through it.

    An answer that a fault cuts in its body is returned, and raises while it is read, as on a socket.

    Cancellation: before or after the app has answered, as on a socket; never in the middle of a change of its state.
    """

    def __init__(self, app: ASGIApp, clock: VirtualClock) -> None:
        self._app = app
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the app's answer, its body whole. Whatever the app raises comes out as itself."""
        body = await request.aread()
        exchange = _Exchange(body)
        with self._clock.answering():
            # A real network gives way here and there; a call that never does would starve all others.
            await anyio.lowlevel.checkpoint()
            try:
                await self._app(_scope_of(request), exchange.receive, exchange.send)
            except httpx.TransportError as error:
                if not exchange.status:
                    raise
                exchange.broken = error
            await anyio.lowlevel.checkpoint()
        return httpx.Response(exchange.status, headers=exchange.headers, stream=_Body(exchange.body, exchange.broken))


class _Exchange:
    def __init__(self, body: bytes) -> None:
        self._unread: bytes | None = body
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.broken: httpx.TransportError | None = None

    async def receive(self) -> Message:
        if self._unread is None:
            return {"type": "http.disconnect"}
        body, self._unread = self._unread, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
        else:
            self.body += message.get("body", b"")


class _Body(httpx.AsyncByteStream):
    """An answer's body. An iterator: an async generator that is left half-way would outlive its call."""

    def __init__(self, body: bytes, broken: httpx.TransportError | None) -> None:
        self._unread = body
        self._broken = broken

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        body, self._unread = self._unread, b""
        if body:
            return body
        if self._broken is not None:
            raise self._broken
        raise StopAsyncIteration


def _scope_of(request: httpx.Request) -> Scope:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 123),
        "state": {},
    }
