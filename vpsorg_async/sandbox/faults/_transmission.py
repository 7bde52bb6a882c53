"""Send a response as the faults demand: as bytes on a socket, or as the errors that httpx would raise."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING, Protocol

import anyio

from ... import _http as httpx
from . import _kinds


if TYPE_CHECKING:
    import asyncio

    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Send

    from .._clocks.interface import HandlerClock
    from ._fault import Fault


CONNECTION = "vpsorg_async.sandbox.connection"
"""The key of the socket's transport in the `state` of an ASGI scope; missing if there is no socket."""

_NO_RESPONSE = "Server disconnected without sending a response."
_STEP = 0.02
"""The least seconds between two writes of a slow response: one write for each byte would be too many."""


class _Channel(Protocol):
    """Carries a response to the client, and can fail on purpose."""

    async def pause(self, seconds: float) -> object:
        """Return after *seconds* sandbox seconds, or when the client has disconnected."""

    async def drop(self) -> None:
        """Close the connection without a response."""

    async def write(self, response: Response, at: int | None, rate: float | None) -> None:
        """Send *response* up to byte *at*, at *rate* bytes per second, and close the connection."""


async def send_response(
    response: Response, faults: Sequence[Fault], clock: HandlerClock, request: Request, send: Send, *, after: float = 0
) -> None:
    """Send *response* after so many sandbox seconds, changed by *faults*, in the order in which they take effect.

    Raises:
        httpx.RemoteProtocolError: the connection closed before the end of the response; only without a socket.
    """
    channel = _channel(clock, request, send)
    at: int | None = None
    rate: float | None = None
    if after:
        await channel.pause(after)
    for fault in faults:
        match fault.what:
            case _kinds.Delay(seconds):
                await channel.pause(seconds)
            case _kinds.Hang():
                await channel.pause(math.inf)
                return await channel.drop()
            case _kinds.Drop():
                return await channel.drop()
            case _kinds.Cut():
                at = fault.what.at
            case _kinds.Drip():
                rate = fault.what.bytes_per_second
    if at is None and rate is None:
        await response(request.scope, request.receive, send)
    else:
        await channel.write(response, at, rate)
    return None


def head_of(response: Response) -> bytes:
    """Return the status line and the headers of *response* as HTTP/1.1 bytes."""
    return b"".join(
        [
            f"HTTP/1.1 {response.status_code} {_phrase(response.status_code)}\r\n".encode(),
            *(name + b": " + value + b"\r\n" for name, value in response.raw_headers),
            b"connection: close\r\n\r\n",
        ]
    )


def _phrase(code: int) -> str:
    return httpx.codes.get_reason_phrase(code)


def _channel(clock: HandlerClock, request: Request, send: Send) -> _Channel:
    connection: asyncio.Transport | None = request.scope.get("state", {}).get(CONNECTION)
    return _InProcess(clock, send) if connection is None else _Socket(clock, connection, request)


class _InProcess:
    """Raises the errors that httpx would raise on a socket, with the same messages."""

    def __init__(self, clock: HandlerClock, send: Send) -> None:
        self._clock = clock
        self._send = send

    async def pause(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def drop(self) -> None:
        raise httpx.RemoteProtocolError(_NO_RESPONSE)

    async def write(self, response: Response, at: int | None, rate: float | None) -> None:
        head, body = len(head_of(response)), bytes(response.body)
        sent = min(math.inf if at is None else at, head + len(body))
        if rate is not None:
            await self.pause(sent / rate)
        if sent < head:
            return await self.drop()
        await self._send_body(response, body, int(sent) - head)
        return None

    async def _send_body(self, response: Response, body: bytes, size: int) -> None:
        whole = size == len(body)
        await self._send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )
        await self._send({"type": "http.response.body", "body": body[:size], "more_body": not whole})
        if not whole:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {size} bytes, expected {len(body)})"
            )


class _Socket:
    """Writes to the socket itself, past the server.

    Once it has begun, it must always close the connection. The server accepts an application that returns without a
    response only after the connection is lost.
    """

    def __init__(self, clock: HandlerClock, connection: asyncio.Transport, request: Request) -> None:
        self._clock = clock
        self._connection = connection
        self._request = request

    async def pause(self, seconds: float) -> bool:
        due = self._clock.now() + seconds
        async with anyio.create_task_group() as group:
            group.start_soon(self._cancel_when_lost, group.cancel_scope)
            await self._clock.sleep(seconds)
            group.cancel_scope.cancel()
        # A clock that was stopped wakes its sleepers early: the server is about to end.
        return self._clock.now() >= due and not self._connection.is_closing()

    async def drop(self) -> None:
        self._connection.abort()
        await self._lost()

    async def write(self, response: Response, at: int | None, rate: float | None) -> None:
        body = b"" if self._request.method == "HEAD" else bytes(response.body)
        raw = (head_of(response) + body)[:at]
        if rate is None:
            self._connection.write(raw)
        else:
            await self._write_slowly(raw, rate)
        self._connection.close()
        # The connection closes only when its buffer is empty. A client that does not read never empties it.
        await self.pause(math.inf)
        await self.drop()

    async def _write_slowly(self, raw: bytes, rate: float) -> None:
        began, sent = self._clock.now(), 0
        while sent < len(raw) and await self.pause(max(1 / rate, _STEP)):
            due = int((self._clock.now() - began) * rate)
            self._connection.write(raw[sent:due])
            sent = max(sent, due)

    async def _lost(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass

    async def _cancel_when_lost(self, scope: anyio.CancelScope) -> None:
        await self._lost()
        scope.cancel()
