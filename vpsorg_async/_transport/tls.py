"""Speaks TLS over a `Stream`, by the ssl module in memory, which is asked only for what may have come."""

from __future__ import annotations

import functools
import ssl

from typing import TYPE_CHECKING, Self, TypeVar

import anyio
import anyio.to_thread

from .. import _http as httpx


if TYPE_CHECKING:
    from collections.abc import Callable

    from .stream import Stream

T = TypeVar("T")


class TLSStream:
    """Bytes over *below*, in the TLS of *session*, which takes from *incoming* and leaves in *outgoing*.

    anyio's own asks the session first, then the socket, then the session again, and the first is in vain for nearly
    every response: 5 to 16 % of a call (docs/decisions.md). Here the socket is asked first unless more has come.
    """

    def __init__(self, below: Stream, session: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._below = below
        self._session = session
        self._incoming = incoming
        self._outgoing = outgoing
        # Whether more has come than was received. A session takes from *incoming* no more than the record it reads.
        self._unread = False
        self._flushing = False

    @classmethod
    async def open(cls, below: Stream, host: str, context: ssl.SSLContext) -> Self:
        """Shake hands with *host* over *below*, which stays the caller's to close.

        Raises:
            ssl.SSLError: it is not TLS, or the certificate does not verify.
            anyio.EndOfStream: the other side ended it.
        """
        context.set_alpn_protocols(["http/1.1"])
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # A certificate never has the last dot that says that a name is complete (RFC 6066, 3).
        name = raw_host(host).removesuffix(".")
        begin = functools.partial(context.wrap_bio, incoming, outgoing, server_hostname=name)
        # Another's may read files for it.
        session = begin() if type(context) is ssl.SSLContext else await anyio.to_thread.run_sync(begin)
        stream = cls(below, session, incoming, outgoing)
        await stream._until_done(session.do_handshake)
        return stream

    async def send(self, item: bytes) -> None:
        """Encipher *item* and hand it to the system.

        Cancellation: a part may have been sent; the socket must be closed.
        """
        await self._until_done(self._session.write, item)

    async def receive(self, max_bytes: int) -> bytes:
        """Return at most so many of the bytes that come next.

        Raises:
            anyio.EndOfStream: there are no more, with or without a goodbye: a response tells its length, or is JSON.

        Cancellation: what was deciphered may be lost; the socket must be closed.
        """
        if not self._unread:
            await self._feed()
        data = await self._until_done(self._session.read, max_bytes)
        if not data:
            raise anyio.EndOfStream
        return data

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody has received, a goodbye neither, and the other side has not left."""
        return not self._unread and self._below.is_quiet

    async def _until_done(self, step: Callable[..., T], *arguments: object) -> T:
        """Return what *step* of the session gives, as soon as it has what it needs from the other side."""
        while True:
            try:
                result = step(*arguments)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
                continue
            self._unread = self._session.pending() > 0 or self._incoming.pending > 0
            await self._flush()
            return result

    async def _flush(self) -> None:
        """Send what the session has left. Who sends already, while another task reads, sends this too."""
        while self._outgoing.pending and not self._flushing:
            self._flushing = True
            try:
                await self._below.send(self._outgoing.read())
            finally:
                self._flushing = False

    async def _feed(self) -> None:
        self._incoming.write(await self._below.receive())


def raw_host(host: str) -> str:
    """Return *host* as it stands in the Host header; the standard library by itself knows an older way to write it."""
    return httpx.URL(scheme="https", host=host).raw_host.decode("ascii")
