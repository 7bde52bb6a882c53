"""What the tests of web apps share: an app on a real socket, and a browser that reads server-sent events."""

from __future__ import annotations

import contextlib
import json
import threading
import time

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.abc
import uvicorn

from anyio.streams.buffered import BufferedByteReceiveStream


class AppServer(uvicorn.Server):
    """Serves an app on a loopback socket, in a thread with its own event loop."""

    def __init__(self, app: Any, port: int = 0) -> None:
        super().__init__(
            uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1, lifespan="on", loop="asyncio")
        )
        self._thread = threading.Thread(target=self.run)

    def begin(self) -> str:
        """Return the app's address once it is served."""
        self._thread.start()
        while not self.started and self._thread.is_alive():
            time.sleep(0.002)
        if not self.started:
            raise RuntimeError("the app did not start")
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def end(self) -> None:
        self.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    server = AppServer(app, port)
    try:
        yield server.begin()
    finally:
        server.end()


class Events:
    """The server-sent events of a response in chunks: the name and the data of each; a comment has no name.

    Read from the socket: httpx leaves async generators behind when it is left early, which trio warns about.
    """

    def __init__(self, stream: anyio.abc.ByteReceiveStream) -> None:
        self._stream = BufferedByteReceiveStream(stream)
        self._text = ""

    async def read_head(self) -> str:
        return (await self._stream.receive_until(b"\r\n\r\n", 4096)).decode()

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> tuple[str, Any]:
        while "\n\n" not in self._text:
            size = int(await self._stream.receive_until(b"\r\n", 20), 16)
            self._text += (await self._stream.receive_exactly(size + 2))[:-2].decode()
            if not size:
                raise StopAsyncIteration
        event, self._text = self._text.split("\n\n", 1)
        lines = dict(line.split(": ", 1) for line in event.splitlines())
        return lines.get("event", ""), json.loads(lines.get("data", "null"))

    async def take(self, count: int) -> list[tuple[str, Any]]:
        """Return the next events, which have to come within a minute."""
        with anyio.fail_after(60):
            return [await anext(self) for _ in range(count)]


@contextlib.asynccontextmanager
async def listening(url: str, path: str = "/events") -> AsyncIterator[Events]:
    """Connect as a browser's `EventSource` does, and leave at the end."""
    async with await anyio.connect_tcp("127.0.0.1", int(url.rsplit(":", 1)[1])) as stream:
        await stream.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())
        events = Events(stream)
        head = await events.read_head()
        assert "200 OK" in head
        assert "content-type: text/event-stream" in head
        yield events
