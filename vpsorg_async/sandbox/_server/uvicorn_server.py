"""Serve the app on a real socket, in a thread with its own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import uvicorn

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ..faults._transmission import CONNECTION


if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp


class ServerThread:
    """Uvicorn in a thread of its own.

    `start` and `stop` block. `stop` may be called at any time, also twice. *release* is called before the server ends,
    and must wake the handlers that sleep.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int, release: Callable[[], None]) -> None:
        self._release = release
        self._socket = _listen(host, port)
        self._server = _Server(app)
        self._thread = threading.Thread(target=self._run, name="vpsorg-sandbox", daemon=True)
        shown = f"[{host}]" if ":" in host else host
        self.origin = f"http://{shown}:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Return when the server accepts requests."""
        self._thread.start()
        self._server.up.wait()

    def stop(self) -> None:
        """Return when the thread has ended and all of its sockets are closed."""
        if self._thread.ident is not None:
            self._server.up.wait()
            self._release()
            self._server.end()
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._server.up.set()


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Uvicorn's protocol, which also gives the connection to the app, for faults in the bytes."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Each request gets a copy of this dictionary in its scope.
        self.app_state = {**self.app_state, CONNECTION: transport}
        super().connection_made(transport)


class _Server(uvicorn.Server):
    """Uvicorn that ends at once when it is told to; its own loop checks ten times a second."""

    def __init__(self, app: ASGIApp) -> None:
        # No Date header: the sandbox sends its own time. Shutdown waits 1 s for a handler that hangs.
        config = uvicorn.Config(
            app,
            http=_Protocol,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self.up = threading.Event()
        self._end: Callable[[], object] = bool

    async def main_loop(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._end = lambda: loop.call_soon_threadsafe(ended.set)
        self.up.set()
        await ended.wait()

    def end(self) -> None:
        self.should_exit = True
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            self._end()


class Serving:
    """Starts a server thread, gives its base URL and ends it; for `async with` and `with`.

    Cancellation: a thread that was started is always joined before the cancel is raised.
    """

    def __init__(self, begin: Callable[[], ServerThread], end: Callable[[], None], path: str) -> None:
        self._begin = begin
        self._end = end
        self._path = path
        self._thread: ServerThread | None = None

    def __enter__(self) -> str:
        self._thread = self._begin()
        try:
            self._thread.start()
        except BaseException:
            self._stop()
            raise
        return self._thread.origin + self._path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    async def __aenter__(self) -> str:
        self._thread = self._begin()
        try:
            await anyio.to_thread.run_sync(self._thread.start)
        except BaseException:
            self._stop()
            raise
        return self._thread.origin + self._path

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._thread is not None
        try:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._thread.stop)
        finally:
            # asyncio's `task.cancel()` passes through a shield. Then this call waits; else the thread has ended.
            self._stop()

    def _stop(self) -> None:
        if self._thread is not None:
            self._thread.stop()
            self._thread = None
            self._end()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=2048)
    # asyncio sets TCP_NODELAY only on sockets with a protocol number, which this one lacks; connections inherit it from
    # here. Without it the second half of each response waits 40 ms for the acknowledgement of the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
