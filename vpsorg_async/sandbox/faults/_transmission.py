"""How an answer comes back under faults: as bytes on a socket of the sandbox's own, else as httpx would see them."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING, Protocol

import anyio
import httpx

from . import _kinds


if TYPE_CHECKING:
    import asyncio

    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Send

    from .._clocks.scaled import HandlersClock
    from ._fault import Fault


CONNECTION = "vpsorg_async.sandbox.connection"
"""Under this name a scope's `state` holds the transport of the socket, where there is one."""

_NO_ANSWER = "Server disconnected without sending a response."
_STEP = 0.02
"""Seconds between two drops of a drip, at least: a step for each byte would be too many."""


class _Way(Protocol):
    """How an answer can go wrong on its way."""

    async def pause(self, seconds: float) -> object:
        """Return when *seconds* of the sandbox have passed, or nobody waits for the answer any longer."""

    async def drop(self) -> None:
        """End the connection, nothing answered."""

    async def write(self, response: Response, at: int | None, rate: float | None) -> None:
        """Answer up to byte *at*, at that many bytes a second, and end the connection."""


async def deliver(
    response: Response, faults: Sequence[Fault], clock: HandlersClock, request: Request, send: Send
) -> None:
    """Send *response* as *faults*, in the order in which they apply, let it come back.

    Raises:
        httpx.RemoteProtocolError: the connection ended before the answer, or in its middle; without a socket only.
    """
    way = _way(clock, request, send)
    at: int | None = None
    rate: float | None = None
    for fault in faults:
        match fault.what:
            case _kinds.Delay(seconds):
                await way.pause(seconds)
            case _kinds.Hang():
                await way.pause(math.inf)
                return await way.drop()
            case _kinds.Drop():
                return await way.drop()
            case _kinds.Cut():
                at = fault.what.at
            case _kinds.Drip():
                rate = fault.what.bytes_per_second
    if at is None and rate is None:
        await response(request.scope, request.receive, send)
    else:
        await way.write(response, at, rate)
    return None


def head_of(response: Response) -> bytes:
    """Return the status line and the headers of *response* as bytes on the wire."""
    return b"".join(
        [
            f"HTTP/1.1 {response.status_code} {_phrase(response.status_code)}\r\n".encode(),
            *(name + b": " + value + b"\r\n" for name, value in response.raw_headers),
            b"connection: close\r\n\r\n",
        ]
    )


def _phrase(code: int) -> str:
    return httpx.codes.get_reason_phrase(code)


def _way(clock: HandlersClock, request: Request, send: Send) -> _Way:
    connection: asyncio.Transport | None = request.scope.get("state", {}).get(CONNECTION)
    return _InProcess(clock, send) if connection is None else _Socket(clock, connection, request)


class _InProcess:
    """Raises what httpx would on a socket; its callers look no further than the message."""

    def __init__(self, clock: HandlersClock, send: Send) -> None:
        self._clock = clock
        self._send = send

    async def pause(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def drop(self) -> None:
        raise httpx.RemoteProtocolError(_NO_ANSWER)

    async def write(self, response: Response, at: int | None, rate: float | None) -> None:
        head, body = len(head_of(response)), bytes(response.body)
        sent = min(math.inf if at is None else at, head + len(body))
        if rate is not None:
            await self.pause(sent / rate)
        if sent < head:
            return await self.drop()
        whole = sent == head + len(body)
        await self._send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )
        came = body[: int(sent) - head]
        await self._send({"type": "http.response.body", "body": came, "more_body": not whole})
        if not whole:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {len(came)} bytes, expected {len(body)})"
            )
        return None


class _Socket:
    """Writes past the server's own framing; what it began must always end with the connection.

    The server finds an application that returns without an answer in order once the connection is lost, and only then.
    """

    def __init__(self, clock: HandlersClock, connection: asyncio.Transport, request: Request) -> None:
        self._clock = clock
        self._connection = connection
        self._request = request

    async def pause(self, seconds: float) -> bool:
        due = self._clock.now() + seconds
        async with anyio.create_task_group() as group:
            group.start_soon(self._cancel_when_lost, group.cancel_scope)
            await self._clock.sleep(seconds)
            group.cancel_scope.cancel()
        # A clock that has been stopped lets its sleepers go before their time: the server ends.
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
            await self._drip(raw, rate)
        self._connection.close()
        # One who does not read keeps what is written from leaving.
        await self.pause(math.inf)
        await self.drop()

    async def _drip(self, raw: bytes, rate: float) -> None:
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
