"""Serves prepared responses over HTTP and TLS with little CPU of its own.

`python -m benchmarks.server FOLDER` prints the two ports as JSON and serves until its standard input ends. It writes
`ca.pem`, the authority that a client has to trust, into *FOLDER*. The response for `/delay-50/api/v1/servers/` comes
50 ms later than the one for `/api/v1/servers/`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import pathlib
import re
import ssl
import sys

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import uvloop

from benchmarks.shapes import DIALECTS, PAGE, SERVERS, Dialect, Page, vps


_DELAY = re.compile(r"/delay-(\d+)(?=/)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost: *([^\r\n]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_VERBS = {"start": "starting", "stop": "stopping", "reboot": "rebooting"}
_REASONS = {200: "OK", 404: "Not Found", 411: "Length Required"}
_NOT_FOUND = 404, {"detail": "Not found."}
_MOST_HEAD = 64 * 1024


@functools.lru_cache(maxsize=4_096)
def response_to(method: str, target: str, origin: str) -> bytes:
    """Return the bytes of the response to a request, always the same for the same request."""
    status, body = _status_and_body(method, target, origin)
    content = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nDate: Wed, 15 Jan 2025 10:20:00 GMT\r\n"
        f"Content-Type: application/json\r\nX-Request-ID: 0193c1a2\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _status_and_body(method: str, target: str, origin: str) -> tuple[int, Any]:
    url = urlsplit(target)
    path = _DELAY.sub("", url.path, count=1).rstrip("/")
    for collection, dialect in DIALECTS.items():
        if method == "GET" and path == collection:
            return _listed(dialect, dict(parse_qsl(url.query)), origin + url.path)
        if path.startswith(f"{collection}/"):
            return _one(dialect, method, *path.removeprefix(f"{collection}/").partition("/")[::2])
    return _NOT_FOUND


def _one(dialect: Dialect, method: str, name: str, verb: str) -> tuple[int, Any]:
    if name.isdecimal() and method == "GET" and not verb:
        return 200, dialect.detail(int(name))
    if name.isdecimal() and method == "POST" and verb in _VERBS:
        server = {"id": int(name), "name": vps(int(name))["name"], "status": _VERBS[verb]}
        return 200, {"status": "success", "message": f"Server is {_VERBS[verb]}", "server": server}
    return _NOT_FOUND


def _listed(dialect: Dialect, query: dict[str, str], where: str) -> tuple[int, Any]:
    size = min(int(query.get(dialect.size, PAGE)), PAGE)
    number, pages = int(query.get("page", 1)), -(-SERVERS // size)
    if not 1 <= number <= pages:
        return _NOT_FOUND
    items = [dialect.server(1 + place) for place in range((number - 1) * size, min(number * size, SERVERS))]
    return 200, dialect.page(Page(items, number, pages, size, lambda n: f"{where}?{urlencode({**query, 'page': n})}"))


class Protocol(asyncio.Protocol):
    """One connection, which sends its responses in the order of the requests.

    A delayed response is sent when its delay is over.
    """

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._buffer = b""
        # Responses by the exact bytes of a request's head: a client sends the same head again and again.
        self._known: dict[bytes, bytes] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _MOST_HEAD:
                    self._transport.close()
                return
            head = self._buffer[:end]
            known = self._known.get(head)
            if known is not None:
                self._buffer = self._buffer[end + 4 :]
                self._transport.write(known)
                continue
            length = int(match[1]) if (match := _LENGTH.search(head)) else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._respond(head, has_body=length > 0)

    def _respond(self, head: bytes, *, has_body: bool) -> None:
        method, _, rest = head.partition(b" ")
        target = rest.partition(b" ")[0].decode("latin-1")
        if _CHUNKED.search(head):
            self._transport.write(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self._transport.close()
            return
        host = match[1].decode("latin-1") if (match := _HOST.search(head)) else "localhost"
        data = response_to(method.decode("latin-1"), target, f"{self._scheme}://{host}")
        if delayed := _DELAY.match(target):
            asyncio.get_running_loop().call_later(int(delayed[1]) / 1_000, self._transport.write, data)
            return
        self._transport.write(data)
        if _CLOSE.search(head):
            self._transport.close()
        elif not has_body and len(self._known) < SERVERS:
            self._known[head] = data


def tls(folder: pathlib.Path) -> ssl.SSLContext:
    """Return a TLS context for 127.0.0.1, and write its authority to *folder*."""
    import trustme  # noqa: PLC0415 - plain HTTP does not need it

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


async def main(folder: str | None) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    contexts = {"http": None} | ({"https": tls(pathlib.Path(folder))} if folder else {})
    ports = {}
    for scheme, context in contexts.items():
        server = await loop.create_server(
            functools.partial(Protocol, scheme), "127.0.0.1", 0, ssl=context, backlog=1_024
        )
        ports[scheme] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
