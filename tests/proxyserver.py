"""A plain HTTP proxy: forwards absolute-form requests, tunnels CONNECT, and keeps a list of what passed."""

from __future__ import annotations

import asyncio
import contextlib

from typing import TYPE_CHECKING

import attrs

from tests.rawserver import LoopThread


if TYPE_CHECKING:
    import socket
    import ssl

    from collections.abc import Callable

    from tests.rawserver import Peer


@attrs.frozen
class Passed:
    """One request to the proxy: `target` is `host:port` of a CONNECT, else the whole URL."""

    method: str
    target: str
    headers: dict[str, str]


class ProxyServer(LoopThread):
    """`redirect={"api.example": 8800}` sends what is meant for that host to a port of this machine.

    With *tls* it speaks TLS with its clients.
    """

    def __init__(self, *, redirect: dict[str, int] | None = None, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.passed: list[Passed] = []
        self._redirect = redirect or {}

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: peer, client, ssl=self._tls)
        head = await peer.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        with self._lock:
            self.passed.append(Passed(method, target, headers))
        self._changed()
        if method == "CONNECT":
            await self._between(peer, target, b"")
        else:
            place, _, rest = target.removeprefix("http://").partition("/")
            # One exchange a connection, so that the end of the response is the end of the connection.
            kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
            request = "\r\n".join([f"{method} /{rest} HTTP/1.1", *kept, "Connection: close", "", ""])
            await self._between(peer, place, request.encode("latin-1"))

    async def _between(self, peer: Peer, place: str, first: bytes) -> None:
        host, _, port = place.partition(":")
        if host in self._redirect:
            host, port = "127.0.0.1", str(self._redirect[host])
        reader, writer = await asyncio.open_connection(host, int(port or 80))
        try:
            if first:
                writer.write(first)
            else:
                peer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            up = asyncio.ensure_future(_pump(peer.reader, writer.write))
            try:
                if first:
                    peer.write(await _head_of_the_last(reader))
                await _pump(reader, peer.write)
            finally:
                up.cancel()
                await asyncio.gather(up, return_exceptions=True)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def _head_of_the_last(reader: asyncio.StreamReader) -> bytes:
    """Return the head of an answer, as far as it comes, that says that the connection ends with it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        head = error.partial
    # Who is not told may take the connection for his next request, before he sees its end.
    return head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


async def _pump(reader: asyncio.StreamReader, write: Callable[[bytes], object]) -> None:
    while data := await reader.read(65536):
        write(data)
