"""Forwards bytes between a client and a server, and cuts connections at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import select
import socket
import time

from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import attrs

from tests.chaos.invariants import Request
from tests.chaos.witness import HEADER, path_below
from tests.rawserver import A_HANG, LoopThread, RawServer


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rawserver import Peer

ESTABLISHED = 1  # Linux's TCP_ESTABLISHED, the first byte of TCP_INFO


@attrs.frozen
class CutAt:
    """The point at which a connection is cut: after so many bytes `up` or `down`.

    `up` is the direction to the server. `None` means never. With `up=0` it is closed before anything is read.
    """

    up: int | None = None
    down: int | None = None
    reset: bool = False


NEVER_CUT = CutAt()


def at_random(chance: random.Random, share: Callable[[], float], longest: int = 2500) -> Callable[[], CutAt]:
    """Return a function that cuts a *share* of all connections at a random byte."""

    def next_cut() -> CutAt:
        if chance.random() >= share():
            return NEVER_CUT
        reset = chance.random() < 0.5
        match chance.randrange(5):
            case 0:
                return CutAt(up=0, reset=reset)
            case 1 | 2:
                return CutAt(up=chance.randrange(1, longest), reset=reset)
            case _:
                return CutAt(down=chance.randrange(longest), reset=reset)

    return next_cut


class CountsOpen(LoopThread):
    """Counts the open connections of the other side whenever a new one arrives.

    The kernel's state counts: a connection that the client has closed is not open, even if its end was not read yet.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.open_at_each: list[int] = []
        self._sockets: set[socket.socket] = set()

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        self._sockets.add(client)
        try:
            open_ones = [one for one in self._sockets if one.fileno() >= 0]
            states = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] for one in open_ones]
            self.open_at_each.append(states.count(ESTABLISHED))
            await super()._serve(client, peer)
        finally:
            self._sockets.discard(client)


class CountingServer(CountsOpen, RawServer):
    """A raw server that counts its open connections."""


class _Forwarding(LoopThread):
    def __init__(
        self,
        port: int,
        next_cut: Callable[[], CutAt] = lambda: NEVER_CUT,
        *,
        now: Callable[[], float] = time.monotonic,
        tap: bool = False,
    ) -> None:
        super().__init__()
        self.spare_all = False
        self.cuts = 0
        self.calls_cut: set[str] = set()
        self.parts: list[Request] = []
        self.target = port
        self.received = bytearray() if tap else None
        self.bytes_returned = 0
        self._next_cut = next_cut
        self._now = now

    def instead_of(self, base_url: str) -> str:
        """Return *base_url* with the port of this forwarder."""
        return base_url.replace(f":{self.target}/", f":{self.port}/")

    async def pass_on_what_was_sent(self) -> None:
        """Return when the server has all that came over connections whose client has closed them before this call."""
        passed = asyncio.run_coroutine_threadsafe(self._pass_on(), self._loop)
        await anyio.to_thread.run_sync(passed.result, A_HANG)

    async def _pass_on(self) -> None:
        while select.select([self._listener], [], [], 0)[0]:
            self._accept()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        # The loop may be about to accept what was accepted above.
        with contextlib.suppress(BlockingIOError):
            super()._accept()

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        cut = self._next_cut()
        if cut.up == 0 and not self.spare_all:
            self.cuts += 1
            return
        await asyncio.get_running_loop().connect_accepted_socket(lambda: peer, client)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        passing = _Passing()
        with contextlib.closing(writer):
            pumps = (self._pump_up(peer, writer, cut.up, passing), self._pump_down(reader, peer, cut.down, passing))
            tasks = [asyncio.ensure_future(pump) for pump in pumps]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if any(task.exception() is None and task.result() for task in done):
            self.cuts += 1
            self.calls_cut |= passing.calls
            self.parts += passing.part(self._now())
        peer.close(reset=cut.reset and not peer.transport.is_closing())

    async def _pump_up(self, peer: Peer, writer: asyncio.StreamWriter, left: int | None, passing: _Passing) -> bool:
        while data := await peer.reader.read(65536):
            left = None if self.spare_all else left
            passing.up(data, left)
            if self.received is not None:
                self.received += data
            writer.write(data[:left])
            if left is not None and (left := left - len(data)) <= 0:
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                return True
        return False

    async def _pump_down(self, reader: asyncio.StreamReader, peer: Peer, left: int | None, passing: _Passing) -> bool:
        while data := await reader.read(65536):
            left = None if self.spare_all else left
            passing.down()
            self.bytes_returned += len(data)
            peer.write(data[:left])
            if left is not None and (left := left - len(data)) <= 0:
                return True
        return False


class Forwarder(CountsOpen, _Forwarding):
    """Listens on its own port, and calls *next_cut* for each connection.

    Attributes:
        spare_all: whether no connection is cut any longer.
        target: the port of the server; a change applies to new connections.
        received: the bytes that the client has sent, with *tap*.
        bytes_returned: the number of bytes that the server has sent.
        cuts: the number of connections that were cut or refused.
        calls_cut: the calls whose requests or responses were cut.
        parts: the requests of which only a part was forwarded.
        open_at_each: the numbers of open connections of the client, counted whenever a new one arrived.
    """


class _Passing:
    """The request that passes through a connection now, as far as it is known."""

    def __init__(self) -> None:
        self._came = b""
        self._passed = 0
        self._responded = False

    def up(self, data: bytes, left: int | None) -> None:
        if self._responded:
            self._came, self._passed, self._responded = b"", 0, False
        self._came += data
        self._passed += len(data[:left])

    def down(self) -> None:
        self._responded = True

    @property
    def calls(self) -> set[str]:
        return {call} if (call := self._headers().get(HEADER.lower())) else set()

    def part(self, now: float) -> list[Request]:
        """Return the request if only a part of it was forwarded.

        A whole request has arrived at the server.
        """
        head, end, body = self._came.partition(b"\r\n\r\n")
        headers = self._headers()
        if not end or not headers or self._passed >= len(head) + len(end) + int(headers.get("content-length", "0")):
            return []
        method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        path = path_below(target)
        is_create = (method, path) == ("POST", "/servers/") and body
        # The bytes that arrived here may be cut too. Names stand at the begin.
        name = json.loads(body)["name"] if is_create and len(body) == int(headers["content-length"]) else ""
        return [
            Request(
                call=headers.get(HEADER.lower(), ""),
                method=method,
                path=path,
                name=name,
                at=now,
                whole=False,
                status=0,
                delivered=False,
            )
        ]

    def _headers(self) -> dict[str, str]:
        lines = self._came.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
