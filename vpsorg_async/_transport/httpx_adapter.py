"""Makes a `Transport` of any httpx transport, and reads httpx's responses whole."""

from __future__ import annotations

import contextlib
import inspect
import sys

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from .. import _http as httpx
from .._cancellation import cancels_asked, is_foreign_cancel
from .types import MAX_BODY, Phase, RawResponse, keep_alive_of


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from .types import RawRequest


CLOSING_SECONDS = 1.0
"""How long closing a response may hold up a cancel (assumed)."""

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


class HTTPXAdapter:
    """Any httpx transport as a `Transport`; it cannot tell when the first byte leaves."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def round_trip(self, request: RawRequest, on_phase: Callable[[Phase], None]) -> RawResponse:
        """Send *request* and return the response; see `Transport`."""
        on_phase(Phase.SENDING)
        on_phase(Phase.RESPONSE)
        asked = cancels_asked()
        try:
            return await self._round_trip(request)
        except BaseException as error:
            await _come_out_as_it_is(error, asked)
            raise

    async def _round_trip(self, request: RawRequest) -> RawResponse:
        response = await self._transport.handle_async_request(as_httpx(request))
        try:
            received = await read(response)
        except BaseException:
            # Closed here, also by a task that is cancelled.
            with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                await response.aclose()
            raise
        await response.aclose()
        return received

    async def aclose(self) -> None:
        """Close it."""
        await self._transport.aclose()


async def _come_out_as_it_is(error: BaseException, asked: int) -> None:
    """Raise the cancel that a transport has turned into *error*, or an error for a cancel that nobody has asked for.

    *asked* is how often the task had been cancelled before.

    Raises:
        httpx.ReadError: the transport raised a cancel of its own. The request may have been sent.
    """
    if is_foreign_cancel(error):
        raise httpx.ReadError("the transport was cancelled by its own code") from None
    if isinstance(error, Exception):
        # A deadline, or the cancel of a scope around it.
        await anyio.lowlevel.checkpoint_if_cancelled()
        if cancels_asked() > asked:
            raise anyio.get_cancelled_exc_class() from error


def as_httpx(request: RawRequest, **changed: Any) -> httpx.Request:
    """Return *request* as httpx's transports take it, with what is *changed*."""
    facts: dict[str, Any] = {
        "url": request.url,
        "headers": request.headers,
        "stream": request.body,
        "extensions": request.extensions,
        **changed,
    }
    return httpx.Request(request.method, **facts)


async def _end(chunks: AsyncIterator[bytes]) -> None:
    """End a generator: one that is left half-way would outlive the call."""
    if inspect.isasyncgen(chunks):
        with anyio.CancelScope(shield=True):
            await chunks.aclose()


async def read(
    response: httpx.Response, leave: Callable[[AsyncIterator[bytes]], Awaitable[None]] = _end
) -> RawResponse:
    """Return *response* with its body read, as far as it comes and up to the limit.

    *leave* ends a stream that has not given all of it.

    Cancellation: the stream is ended by *leave*, which is not cancelled.
    """
    reason = response.extensions.get("reason_phrase", b"")
    with contextlib.suppress(httpx.ResponseNotRead):
        # A response made with content, as test doubles do, has been decoded by httpx already.
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
    kept = [keep_alive_of(value) for name, value in response.headers.raw if name.lower() == b"keep-alive"]
    return RawResponse(
        response.status_code,
        reason,
        response.headers.raw,
        bytes(body),
        trouble,
        reusable=complete,
        keep_alive=min((seconds for seconds in kept if seconds is not None), default=None),
    )
