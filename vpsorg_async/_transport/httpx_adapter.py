"""Any httpx transport as what the wire exchanges by: the request authorized on a copy, the answer read whole."""

from __future__ import annotations

import inspect
import sys

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio
import httpx

from .types import MAX_BODY, RawResponse


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from .._request.auth import Secret


_FAILURES = (
    httpx.TransportError,
    httpx.StreamError,
    OSError,
    EOFError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)


def failures() -> tuple[type[Exception], ...]:
    """Return what transports fail with; all else is a fault in the program, and comes out as it is."""
    # httpcore lets one of h11 through where a body is not as long as its header says; the head has left by then.
    h11 = sys.modules.get("h11")
    return _FAILURES if h11 is None else (*_FAILURES, h11.LocalProtocolError)


@runtime_checkable
class Exchanger(Protocol):
    """What sends a request and reads its answer.

    Attributes:
        tells_sent: whether it sets `CallState.sent` of a request's call when the first byte leaves, not before.
    """

    tells_sent: bool

    async def exchange(self, request: httpx.Request, token: Secret) -> RawResponse:
        """Send *request* with *token* on it, unless that is empty, and return the answer.

        Raises:
            httpx.TransportError: no answer came.

        Cancellation: the request may have been sent; nothing is left open.
        """

    async def aclose(self) -> None:
        """Close every connection."""


class HTTPXAdapter:
    """A transport that was passed in."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self.tells_sent = bool(getattr(transport, "tells_sent", False))

    async def exchange(self, request: httpx.Request, token: Secret) -> RawResponse:
        """Send it; see `Exchanger`."""
        response = await self._transport.handle_async_request(authorized(request, token))
        try:
            answer = await read(response)
        except BaseException:
            with anyio.move_on_after(1, shield=True):
                await response.aclose()
            raise
        await response.aclose()
        return answer

    async def aclose(self) -> None:
        """Close it."""
        await self._transport.aclose()


def authorized(request: httpx.Request, token: Secret) -> httpx.Request:
    """Return a copy of *request* with *token* on it, so that no hook or error ever holds it; without one, itself."""
    if not token:
        return request
    copy = httpx.Request(
        request.method, request.url, headers=request.headers, stream=request.stream, extensions=request.extensions
    )
    others = [item for item in request.headers.raw if item[0].lower() != b"authorization"]
    copy.headers = httpx.Headers([*others, (b"Authorization", token)])
    return copy


async def _end(chunks: AsyncIterator[bytes]) -> None:
    """End a generator: one that is left half-way would outlive the call."""
    if inspect.isasyncgen(chunks):
        with anyio.CancelScope(shield=True):
            await chunks.aclose()


async def read(
    response: httpx.Response, leave: Callable[[AsyncIterator[bytes]], Awaitable[None]] = _end
) -> RawResponse:
    """Return *response* with its body read, as far as it comes and up to the limit.

    *leave* ends what has not given all of it.

    Cancellation: the same; *leave* is not cancelled.
    """
    reason = response.extensions.get("reason_phrase", b"")
    # An answer made with content, as doubles do, has been decoded by httpx already.
    if hasattr(response, "_content"):
        return RawResponse(response.status_code, reason, response.headers.raw, response.content, plain=True)
    chunks: AsyncIterator[bytes] = aiter(response.stream)  # type: ignore[arg-type]
    body, complete = bytearray(), False
    trouble: Exception | None = None
    try:
        while len(body) <= MAX_BODY:
            body += await anext(chunks)
    except StopAsyncIteration:
        complete = True
    except failures() as error:
        trouble = error
    finally:
        if not complete:
            await leave(chunks)
    return RawResponse(response.status_code, reason, response.headers.raw, bytes(body), trouble, reusable=complete)
