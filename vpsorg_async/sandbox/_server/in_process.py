"""Call the app directly in the task that makes the request, without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio.lowlevel

from ... import _http as httpx


if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

    from .._clocks.virtual import VirtualClock


class InProcessTransport(httpx.AsyncBaseTransport):
    """Calls an ASGI app in the task that makes the request.

    It has no task of its own, so that a cancel reaches the app directly. A response whose body is cut by a fault is
    returned and raises while it is read, as it would on a socket.

    Cancellation: takes effect before or after the app has answered, as on a socket, never in the middle of a change of
    the app's state.
    """

    def __init__(self, app: ASGIApp, clock: VirtualClock) -> None:
        self._app = app
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the app's response with its whole body. Exceptions of the app are raised unchanged."""
        body = await request.aread()
        round_trip = _RoundTrip(body)
        with self._clock.answering():
            # A real network yields to other tasks; a call that never yields would starve them.
            await anyio.lowlevel.checkpoint()
            try:
                await self._app(_scope_of(request), round_trip.receive, round_trip.send)
            except httpx.TransportError as error:
                if not round_trip.status:
                    raise
                round_trip.cut_by = error
            await anyio.lowlevel.checkpoint()
        stream = _Body(round_trip.body, round_trip.cut_by)
        return httpx.Response(round_trip.status, headers=round_trip.headers, stream=stream)


class _RoundTrip:
    """One request and its response, as the two callables of an ASGI app."""

    def __init__(self, body: bytes) -> None:
        self._unread: bytes | None = body
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.cut_by: httpx.TransportError | None = None

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
    """The body of a response; an async generator that is left half-way would outlive its call."""

    def __init__(self, body: bytes, cut_by: httpx.TransportError | None) -> None:
        self._unread = body
        self._cut_by = cut_by

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        body, self._unread = self._unread, b""
        if body:
            return body
        if self._cut_by is not None:
            raise self._cut_by
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
