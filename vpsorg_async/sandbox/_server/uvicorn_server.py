"""The app on a real loopback socket, in a thread with an event loop of its own, whatever loop the caller has."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import uvicorn

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ..faults._transmission import CONNECTION


if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.types import ASGIApp


class ServerThread:
    """Uvicorn in a thread. `start` and `stop` block; `stop` may come at any time, and twice.

    *release* is called when it is about to end, and lets handlers that sleep go on.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int, release: Callable[[], None]) -> None:
        self._release = release
        self._socket = _listen(host, port)
        self._server = _Server(app)
        self._thread = threading.Thread(target=self._run, name="vpsorg-sandbox", daemon=True)
        shown = f"[{host}]" if ":" in host else host
        self.origin = f"http://{shown}:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Return when requests are answered."""
        self._thread.start()
        self._server.up.wait()

    def stop(self) -> None:
        """Return when the thread has ended and every socket of it is closed."""
        if self._thread.ident is not None:
            self._server.up.wait()
            self._release()
            self._server.leave()
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._server.up.set()


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Uvicorn's own, which lets the app have the connection, for faults that strike its bytes."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        # Each request's scope gets a copy of it.
        self.app_state = {**self.app_state, CONNECTION: transport}
        super().connection_made(transport)


class _Server(uvicorn.Server):
    """Uvicorn that ends as soon as it is told to, where its own loop looks ten times a second."""

    def __init__(self, app: ASGIApp) -> None:
        # The sandbox's answers have a Date of its own time. Nobody waits for a handler that hangs: 1 s.
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
        self._leave: Callable[[], object] = bool

    async def main_loop(self) -> None:
        loop, left = asyncio.get_running_loop(), asyncio.Event()
        self._leave = lambda: loop.call_soon_threadsafe(left.set)
        self.up.set()
        await left.wait()

    def leave(self) -> None:
        self.should_exit = True
        with contextlib.suppress(RuntimeError):  # told before: the loop has ended
            self._leave()


class Serving:
    """A context manager around a server thread, for `async with` and for `with`; gives the base URL.

    Cancellation: begun is ended; the thread is joined before anything is raised.
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
            # `task.cancel()` goes through a shield; then this waits, else there is nothing left to wait for.
            self._stop()

    def _stop(self) -> None:
        if self._thread is not None:
            self._thread.stop()
            self._thread = None
            self._end()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=2048)
    # A socket made so has no protocol number, by which asyncio tells where to say this; connections inherit it. Without
    # it the second half of each answer waits 40 ms for the first one's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
