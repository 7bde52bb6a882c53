"""An HTTP server that can cut, delay and garble bytes, in a thread of its own, for tests on every backend."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import datetime as dt
import functools
import json as jsonlib
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Self, TypeAlias, TypeVar

import anyio
import attrs
import trio
import trustme


PREFIX = "/api/v1"
LIMIT = 64 * 1024 * 1024
# What has not happened by then never will, on however busy a machine.
A_HANG = 60.0
# SO_LINGER on, zero seconds: closing sends RST instead of FIN.
RST_ON_CLOSE = struct.pack("ii", 1, 0)
T = TypeVar("T")


@attrs.frozen
class Request:
    """One request as it arrived; `path` is what follows `/api/v1`, still percent-encoded and without the query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float
    connection: int
    target: str

    @property
    def json(self) -> Any:
        return jsonlib.loads(self.body) if self.body else None


@attrs.frozen
class Bytes:
    """An answer, byte for byte; afterwards the connection is kept or closed."""

    data: bytes
    close: bool = False


@attrs.frozen
class Cut:
    reply: Bytes
    at: int
    reset: bool = False


@attrs.frozen
class Drop:
    reset: bool = False


@attrs.frozen
class Hang:
    pass


@attrs.frozen
class Hold:
    reply: Reply
    gate: Gate


@attrs.frozen
class Drip:
    reply: Bytes
    chunk: int


@attrs.frozen
class Delayed:
    reply: Reply
    seconds: float


@attrs.frozen
class After:
    call: Callable[[], object]
    reply: Reply


Reply: TypeAlias = Bytes | Cut | Drop | Hang | Hold | Drip | Delayed | After
Answer: TypeAlias = Reply | Callable[[Request], Reply]
REASONS = {200: "OK", 201: "Created", 204: "No Content", 404: "Not Found", 429: "Too Many Requests"}


def raw(data: bytes, *, close: bool = True) -> Bytes:
    """Answer with exactly these bytes."""
    return Bytes(data, close)


def text(
    status: int, body: str | bytes, content_type: str = "text/plain", headers: Mapping[str, str] | None = None
) -> Bytes:
    data = body.encode() if isinstance(body, str) else body
    lengths = {} if status == 204 else {"Content-Type": content_type, "Content-Length": str(len(data))}
    return Bytes(_head(status, lengths, headers) + data)


def json(status: int, data: Any, headers: Mapping[str, str] | None = None) -> Bytes:
    """Answer with *data* as JSON; with 204 there is no body."""
    return text(status, b"" if status == 204 else jsonlib.dumps(data).encode(), "application/json", headers)


def chunked(
    status: int, chunks: Sequence[bytes], headers: Mapping[str, str] | None = None, *, end: bool = True
) -> Bytes:
    """Answer in chunks; without *end*, the last and empty one is missing and the connection is closed."""
    own = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return Bytes(_head(status, own, headers) + body + (b"0\r\n\r\n" if end else b""), close=not end)


def close_delimited(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Bytes:
    """Answer with a body whose end is the end of the connection."""
    return Bytes(_head(status, {"Content-Type": "application/json"}, headers) + body, close=True)


def cut(reply: Bytes, at: int, *, reset: bool = False) -> Cut:
    """Send only the first *at* bytes (a negative one counts from the end), then close or reset the connection."""
    return Cut(reply, at, reset)


def drop(*, reset: bool = False) -> Drop:
    """Read the request, then close or reset the connection without a byte."""
    return Drop(reset)


def hang() -> Hang:
    """Never answer; ends when either side closes."""
    return Hang()


def hold(reply: Reply, gate: Gate) -> Hold:
    """Answer when the gate is opened; what the reply does is done even if the client has gone by then."""
    return Hold(reply, gate)


def drip(reply: Bytes, chunk: int = 1) -> Drip:
    """Answer *chunk* bytes at a time, one turn of the loop after another."""
    return Drip(reply, chunk)


def delayed(seconds: float, reply: Reply) -> Delayed:
    """Answer after so many real seconds; for what cannot be shown with a gate."""
    return Delayed(reply, seconds)


def after(call: Callable[[], object], reply: Reply) -> After:
    """Let *call* take effect (commit a create, say), in the server's thread, then reply."""
    return After(call, reply)


def _head(status: int, own: Mapping[str, str], headers: Mapping[str, str] | None) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}"]
    lines += [f"{name}: {value}" for name, value in {**own, **(headers or {})}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Gate:
    """Closed until the test opens it, from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        await self._event.wait()


class Peer(asyncio.StreamReaderProtocol):
    """The client's end of one connection; `gone` is set as soon as it has closed, whatever is being answered."""

    def __init__(self, number: int, on_gone: Callable[[], None], peers: set[Peer]) -> None:
        self.number = number
        self.gone = asyncio.Event()
        self.idle = False
        self.reader = asyncio.StreamReader(limit=LIMIT)
        self.transport: Any = None
        self._on_gone = on_gone
        self._peers = peers
        super().__init__(self.reader)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._peers.add(self)
        super().connection_made(transport)

    def eof_received(self) -> bool:
        self.leave()
        return bool(super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        self._peers.discard(self)
        super().connection_lost(exc)

    def leave(self) -> None:
        if not self.gone.is_set():
            self.gone.set()
            self._on_gone()

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def close(self, *, reset: bool = False) -> None:
        if reset:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            self.transport.abort()
        else:
            self.transport.close()
        self.leave()


class LoopThread:
    """An event loop in a thread that accepts connections, one task for each, and leaves nothing behind."""

    def __init__(self) -> None:
        self.connections_open = 0
        self.connections_peak = 0
        self.connections_total = 0
        self.errors: list[Exception] = []
        self._lock = threading.RLock()
        self._waiting: list[tuple[Callable[[], bool], Callable[[], object]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._peers: set[Peer] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        ready: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(ready)), name=type(self).__name__)
        self._thread.start()
        self._loop = ready.result(A_HANG)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(A_HANG)
        if self.errors and kind is None:
            raise ExceptionGroup("in the server's thread", self.errors)

    async def until(self, holds: Callable[[], object], *, timeout: float = A_HANG) -> None:
        """Return as soon as *holds* is true; it is asked, in the server's thread, whenever something changes there."""
        event = anyio.Event()
        with anyio.fail_after(timeout):
            with self._lock:
                if holds():
                    return
                self._waiting.append((lambda: bool(holds()), _waker(event)))
            await event.wait()

    def _changed(self) -> None:
        with self._lock:
            ready = [entry for entry in self._waiting if entry[0]()]
            self._waiting = [entry for entry in self._waiting if entry not in ready]
        for _, wake in ready:
            # The test may have ended, and its loop with it.
            with contextlib.suppress(RuntimeError, trio.RunFinishedError):
                wake()

    def _in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(A_HANG)

    async def _main(self, ready: concurrent.futures.Future[asyncio.AbstractEventLoop]) -> None:
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self._listener:
            loop.add_reader(self._listener, self._accept)
            ready.set_result(loop)
            await self._stop.wait()
            loop.remove_reader(self._listener)
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for peer in list(self._peers):
                peer.transport.abort()
            while self._peers:
                await asyncio.sleep(0)

    def _accept(self) -> None:
        """Take a connection in one step, so that stopping never loses one between two awaits."""
        client, _ = self._listener.accept()
        client.setblocking(False)
        self._count(1)
        peer = Peer(self.connections_total, lambda: self._count(-1), self._peers)
        task = asyncio.get_running_loop().create_task(self._guarded(client, peer))
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._end(task, client, peer))

    def _end(self, task: asyncio.Task[None], client: socket.socket, peer: Peer) -> None:
        self._tasks.discard(task)
        if peer.transport is None:
            client.close()
        else:
            peer.transport.close()
        peer.leave()

    def _count(self, change: int) -> None:
        with self._lock:
            self.connections_open += change
            self.connections_total += max(change, 0)
            self.connections_peak = max(self.connections_peak, self.connections_open)
        self._changed()

    async def _guarded(self, client: socket.socket, peer: Peer) -> None:
        try:
            await self._serve(client, peer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
            pass
        except Exception as error:  # noqa: BLE001 - told at the end of the test, where somebody sees it
            self.errors.append(error)

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        raise NotImplementedError


class ScriptedServer(LoopThread):
    """Serves each connection by a function of the test's: `await script(peer)` reads and writes bytes as it likes."""

    def __init__(
        self, script: Callable[[Peer], Coroutine[Any, Any, object]], *, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__()
        self.base_url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}{PREFIX}"
        self._script = script
        self._tls = tls

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: peer, client, ssl=self._tls)
        await self._script(peer)


def _waker(event: anyio.Event) -> Callable[[], object]:
    """Return what sets *event* from another thread, on whichever backend runs here."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        token = trio.lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(event.set)
    return lambda: loop.call_soon_threadsafe(event.set)


class RawServer(LoopThread):
    """Answers as it was told: `server.answer("GET", "/servers/7/", json(200, {...}))`; anything else is 404."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.base_url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}{PREFIX}"
        # How many replies have been performed to their end.
        self.performed = 0
        self._tls = tls
        self._rules: list[tuple[str, str | re.Pattern[str], collections.deque[Answer]]] = []
        self._to_refuse = 0

    def answer(self, method: str, path: str | re.Pattern[str], answer: Answer | Sequence[Answer]) -> None:
        """Answer so from now on; of several answers one after another, the last one for ever. The newest rule wins.

        A path is exact, or a pattern that must match all of it.
        """
        answers = collections.deque(answer if isinstance(answer, Sequence) else [answer])
        with self._lock:
            self._rules.insert(0, (method, path, answers))

    def refuse_first(self, count: int) -> None:
        """Close the next *count* connections as soon as they are accepted, before a byte (or a handshake) is read."""
        with self._lock:
            self._to_refuse = count

    def gate(self) -> Gate:
        return Gate(self._loop)

    def requests_to(self, method: str | None = None, path: str | re.Pattern[str] | None = None) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if _asks(request, method, path)]

    async def arrived(
        self, count: int = 1, method: str | None = None, path: str | re.Pattern[str] | None = None
    ) -> list[Request]:
        """Return the matching requests as soon as *count* of them have arrived to their last byte."""
        found: list[Request] = []
        looked_at = 0

        def enough() -> bool:
            nonlocal looked_at
            found.extend(request for request in self.requests[looked_at:] if _asks(request, method, path))
            looked_at = len(self.requests)
            return len(found) >= count

        await self.until(enough)
        return found

    def close_idle(self) -> None:
        """Close every connection on which nothing is being asked, now."""
        self._in_loop(self._close_idle())

    async def _close_idle(self) -> None:
        idle = [peer for peer in self._peers if peer.idle]
        for peer in idle:
            peer.close()
        while any(peer in self._peers for peer in idle):
            await asyncio.sleep(0)

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        with self._lock:
            if self._to_refuse:
                self._to_refuse -= 1
                return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        # Without a limit a TLS peer that does not say goodbye would keep its connection for 30 s.
        shutdown = 0.2 if self._tls else None
        await loop.connect_accepted_socket(lambda: peer, client, ssl=self._tls, ssl_shutdown_timeout=shutdown)
        while not peer.transport.is_closing():
            peer.idle = True
            head = await peer.reader.readuntil(b"\r\n\r\n")
            peer.idle = False
            request = await _read_request(head, peer)
            await self._perform(self._reply_to(request), peer)
            self.performed += 1
            self._changed()
            if request.headers.get("connection", "").lower() == "close":
                return

    def _reply_to(self, request: Request) -> Reply:
        with self._lock:
            answer = self._find(request)
            self.requests.append(request)
        self._changed()
        return answer(request) if callable(answer) else answer

    def _find(self, request: Request) -> Answer:
        for method, path, answers in self._rules:
            if method == request.method and _matches(path, request.path):
                return answers.popleft() if len(answers) > 1 else answers[0]
        return json(404, {"detail": "Not found."})

    async def _perform(self, reply: Reply, peer: Peer) -> None:
        match reply:
            case Bytes(data, close):
                peer.write(data)
                if close:
                    peer.close()
            case Cut(inner, at, reset):
                peer.write(inner.data[:at])
                peer.close(reset=reset)
            case Drop(reset):
                peer.close(reset=reset)
            case Hang():
                await peer.gone.wait()
            case Drip(inner, chunk):
                await self._drip(inner, chunk, peer)
            case Hold(inner, gate):
                await gate.wait()
                await self._perform(inner, peer)
            case Delayed(inner, seconds):
                await asyncio.sleep(seconds)
                await self._perform(inner, peer)
            case After(call, inner):
                call()
                await self._perform(inner, peer)
            case _:
                raise TypeError(f"not a reply: {reply!r}")

    async def _drip(self, reply: Bytes, chunk: int, peer: Peer) -> None:
        for start in range(0, len(reply.data), chunk):
            peer.write(reply.data[start : start + chunk])
            await asyncio.sleep(0)
        if reply.close:
            peer.close()


def _asks(request: Request, method: str | None, path: str | re.Pattern[str] | None) -> bool:
    return method in (None, request.method) and (path is None or _matches(path, request.path))


def _matches(pattern: str | re.Pattern[str], path: str) -> bool:
    return pattern == path if isinstance(pattern, str) else pattern.fullmatch(path) is not None


async def _read_request(head: bytes, peer: Peer) -> Request:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines):
        # A header that is sent twice must not look like one that is sent once (RFC 9110, 5.3).
        headers[name.lower()] = ", ".join([*filter(None, [headers.get(name.lower())]), value.strip()])
    if headers.get("transfer-encoding") == "chunked":
        body = await _read_chunks(peer.reader)
    else:
        body = await peer.reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = target.partition("?")
    return Request(
        method=method,
        path=path.removeprefix(PREFIX),
        query=dict(urllib.parse.parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        body=body,
        at=time.monotonic(),
        connection=peer.number,
        target=target,
    )


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Give a port that stays ours and refuses every connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@attrs.frozen
class Certificates:
    """A client's trust, and the server's contexts that meet it and that do not."""

    trust: ssl.SSLContext
    valid: ssl.SSLContext
    expired: ssl.SSLContext
    wrong_host: ssl.SSLContext
    unknown: ssl.SSLContext


@functools.cache
def certificates() -> Certificates:
    """Return contexts for 127.0.0.1 and localhost, made once for a run."""
    authority = trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    long_ago = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    return Certificates(
        trust=trust,
        valid=_server_context(authority.issue_cert("127.0.0.1", "localhost")),
        expired=_server_context(authority.issue_cert("127.0.0.1", not_after=long_ago)),
        wrong_host=_server_context(authority.issue_cert("elsewhere.example")),
        unknown=_server_context(trustme.CA().issue_cert("127.0.0.1")),
    )


def _server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
