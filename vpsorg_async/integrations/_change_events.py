"""Streams the changes of a watch to a browser as server-sent events, and ends the watch when the browser leaves."""

from __future__ import annotations

import contextlib
import json
import signal

from collections.abc import AsyncIterator
from typing import Any, Final

import anyio

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from .._errors import VPSError
from .._polling.watching import ServerWatch, end, has_news, next_news
from .._schemas import written
from ._problems import problem_of, retry_after


KEEP_ALIVE: Final = 15.0
"""Every so many seconds the stream says that it is alive: proxies cut silent ones (assumed)."""

LOOK_EVERY: Final = 0.5
"""Every so many seconds it looks whether the server stops."""

AT_ONCE: Final = 200
"""At most so many changes go into one part of the stream."""


def change_events(request: Request, watch: ServerWatch) -> ChangeEvents:
    """Return a response that streams the changes of *watch* to a browser as server-sent events, until it leaves.

    Each event is named after the change's `kind`. Its data are JSON: `before`, `after`, `fields`, and `synced`, which
    is true once the browser knows every server. An event named `synced` says that too, once, also if there is no
    server. An error of the watch is the last event, named `problem`; the browser connects again by itself, and is told
    of every server anew. The stream ends when uvicorn begins to stop. Make a watch for each browser: they share their
    polls.

    Raises:
        TypeError: *request* is no `Request` of Starlette or FastAPI, or *watch* is not what `watch()` returns.

    Cancellation: the watch ends at once.
    """
    if not isinstance(request, Request):
        raise TypeError(f"request must be the Request of the route, not {request!r}")
    if not isinstance(watch, ServerWatch):
        raise TypeError(f"watch must be what client.servers.watch() returns, not {watch!r}")
    return ChangeEvents(request, watch)


class ChangeEvents(StreamingResponse, AsyncIterator[bytes]):
    """A response of server-sent events.

    An iteration over it gives the parts of its body, for a response of your own, and no signs of life.
    """

    def __init__(self, request: Request, watch: ServerWatch) -> None:
        self._receive = request.receive
        # `None` once the stream has ended.
        self._watch: ServerWatch | None = watch
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self, media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, to its end: the browser leaves, the watch fails, the server stops, or it is cancelled."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with anyio.create_task_group() as group:
                if scope.get("method") == "HEAD":
                    # It is over with the headers, and so is the watch.
                    group.cancel_scope.cancel()
                group.start_soon(_end_with_browser, receive, group.cancel_scope)
                group.start_soon(_end_with_server, group.cancel_scope)
                group.start_soon(_keep_alive, send)
                while (part := await self._part()) is not None:
                    await _send(send, part)
                group.cancel_scope.cancel()
        finally:
            self._end()
        await _send(send, b"", more=False)

    async def __anext__(self) -> bytes:
        part: bytes | None = None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_end_with_browser, self._receive, group.cancel_scope)
                group.start_soon(_end_with_server, group.cancel_scope)
                part = await self._part()
                group.cancel_scope.cancel()
        except BaseException:
            # Cancelled, maybe with a part in hand: the stream is over.
            self._end()
            raise
        if part is None:
            self._end()
            raise StopAsyncIteration
        return part

    def _end(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            end(watch)

    async def _part(self) -> bytes | None:
        if self._watch is None:
            return None
        events: list[bytes] = []
        try:
            events.append(await _next_event(self._watch))
            while len(events) < AT_ONCE and has_news(self._watch):
                events.append(await _next_event(self._watch))
        except VPSError as error:
            self._end()
            events.append(_event("problem", problem_of(error), retry=retry_after(error)))
        return b"".join(events)


async def _end_with_browser(receive: Receive, stream: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.cancel()


async def _end_with_server(stream: anyio.CancelScope) -> None:
    # Nothing else tells of it.
    while not _server_stops():  # noqa: ASYNC110
        await anyio.sleep(LOOK_EVERY)
    stream.cancel()


def _server_stops() -> bool:
    """Return whether uvicorn, which serves this app, has been told to stop.

    It tells an app only after all streams have ended, and cancels those that have not, each with a traceback in its
    log. Its server is found by the function that it has set for signals.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", False) is True


async def _keep_alive(send: Send) -> None:
    while True:
        await anyio.sleep(KEEP_ALIVE)
        await _send(send, b": still here\n\n")


async def _send(send: Send, part: bytes, *, more: bool = True) -> None:
    # A server may raise when the browser has left, before it says so.
    with contextlib.suppress(OSError):
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def _next_event(watch: ServerWatch) -> bytes:
    change = await next_news(watch)
    if change is None:
        return _event("synced", {"synced": True})
    return _event(change.kind, {**written(change), "synced": watch.synced})


def _event(name: str, data: dict[str, Any], *, retry: int | None = None) -> bytes:
    told = f"retry: {retry * 1000}\n" if retry else ""
    return f"{told}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
