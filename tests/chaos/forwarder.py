"""Passes bytes on between a client and a server, and cuts connections at any byte of either direction."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import time

from typing import TYPE_CHECKING, Any

import attrs

from tests.chaos.invariants import Request
from tests.chaos.witness import HEADER, path_below
from tests.rawserver import LoopThread, RawServer


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rawserver import Peer

ESTABLISHED = 1  # Linux's TCP_ESTABLISHED, the first byte of TCP_INFO


@attrs.frozen
class Fate:
    """What becomes of a connection: cut after so many bytes `up`, to the server, or `down`; `None`: never.

    `up=0` is refused: closed before anything is read.
    """

    up: int | None = None
    down: int | None = None
    reset: bool = False


SPARED = Fate()


def at_random(chance: random.Random, share: Callable[[], float], longest: int = 2500) -> Callable[[], Fate]:
    """Return what cuts a *share* of all connections at a random byte."""

    def draw() -> Fate:
        if chance.random() >= share():
            return SPARED
        reset = chance.random() < 0.5
        match chance.randrange(5):
            case 0:
                return Fate(up=0, reset=reset)
            case 1 | 2:
                return Fate(up=chance.randrange(1, longest), reset=reset)
            case _:
                return Fate(down=chance.randrange(longest), reset=reset)

    return draw


class CountsOpen(LoopThread):
    """Counts, whenever a connection comes, how many the other side has open.

    By what the kernel knows: one that the client has closed counts no longer, whether its end has been read or not.
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
    """A raw server that counts them."""


class _Forwarding(LoopThread):
    def __init__(
        self,
        port: int,
        fate: Callable[[], Fate] = lambda: SPARED,
        *,
        now: Callable[[], float] = time.monotonic,
        tap: bool = False,
    ) -> None:
        super().__init__()
        self.merciful = False
        self.cuts = 0
        self.calls_cut: set[str] = set()
        self.parts: list[Request] = []
        self.target = port
        self.heard = bytearray() if tap else None
        self.told = 0
        self._fate = fate
        self._now = now

    def instead_of(self, base_url: str) -> str:
        """Return *base_url* by way of here."""
        return base_url.replace(f":{self.target}/", f":{self.port}/")

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        fate = self._fate()
        if fate.up == 0 and not self.merciful:
            self.cuts += 1
            return
        await asyncio.get_running_loop().connect_accepted_socket(lambda: peer, client)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        passing = _Passing()
        with contextlib.closing(writer):
            pumps = (self._pump_up(peer, writer, fate.up, passing), self._pump_down(reader, peer, fate.down, passing))
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
        peer.close(reset=fate.reset and not peer.transport.is_closing())

    async def _pump_up(self, peer: Peer, writer: asyncio.StreamWriter, left: int | None, passing: _Passing) -> bool:
        while data := await peer.reader.read(65536):
            left = None if self.merciful else left
            passing.up(data, left)
            if self.heard is not None:
                self.heard += data
            writer.write(data[:left])
            if left is not None and (left := left - len(data)) <= 0:
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                return True
        return False

    async def _pump_down(self, reader: asyncio.StreamReader, peer: Peer, left: int | None, passing: _Passing) -> bool:
        while data := await reader.read(65536):
            left = None if self.merciful else left
            passing.down()
            self.told += len(data)
            peer.write(data[:left])
            if left is not None and (left := left - len(data)) <= 0:
                return True
        return False


class Forwarder(CountsOpen, _Forwarding):
    """Listens on a port of its own; *fate* is asked about each connection.

    Attributes:
        merciful: whether no connection is cut any longer, whatever its fate was.
        target: the port that it passes on to; of a new connection, the one of then.
        heard: what the client has sent, with *tap*.
        told: how many bytes have come back.
        cuts: how many connections were cut or refused.
        calls_cut: whose requests or answers were cut.
        parts: the requests of which only a part was passed on.
        open_at_each: how many connections the client had open, counted whenever a new one came.
    """


class _Passing:
    """What is known of the request that passes a connection now."""

    def __init__(self) -> None:
        self._came = b""
        self._passed = 0
        self._answered = False

    def up(self, data: bytes, left: int | None) -> None:
        if self._answered:
            self._came, self._passed, self._answered = b"", 0, False
        self._came += data
        self._passed += len(data[:left])

    def down(self) -> None:
        self._answered = True

    @property
    def calls(self) -> set[str]:
        return {call} if (call := self._headers().get(HEADER.lower())) else set()

    def part(self, now: float) -> list[Request]:
        """Return the request if only a part of it was passed on; one that is whole has arrived at the server."""
        head, end, body = self._came.partition(b"\r\n\r\n")
        headers = self._headers()
        if not end or not headers or self._passed >= len(head) + len(end) + int(headers.get("content-length", "0")):
            return []
        method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        path = path_below(target)
        is_create = (method, path) == ("POST", "/servers/") and body
        # What has come here may be cut as well; names stand at the begin.
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
