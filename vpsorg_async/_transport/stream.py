"""Writes to, reads from and looks at a connection of anyio's with fewer turns of the event loop."""

from __future__ import annotations

import os
import select
import sys

from collections import deque
from typing import Any

import anyio.abc
import anyio.lowlevel

from .types import MaskedBytes


MOST_UNREAD = 256 * 1024
"""Bytes that may lie here before the system is asked to hold back the rest (assumed)."""


class Stream:
    """Bytes over *stream*, for as long as that is open; closing this one closes that one."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._raw: Any = None
        # On asyncio and uvloop only.
        self._transport: Any = None
        self._inbox: _Inbox | None = None
        # Whether nothing can be on its way through the stream.
        self._direct = False

    def open(self) -> None:
        """Begin to use the system's own socket.

        Raises:
            AttributeError: uvloop has none any more for a connection that was reset already.
        """
        self._raw = self._stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
        # Elsewhere a socket is no file.
        self._direct = os.name == "posix"
        self._transport, protocol = (getattr(self._stream, name, None) for name in ("_transport", "_protocol"))
        # What has ended has said so to anyio's already.
        if hasattr(protocol, "read_queue") and not self._is_closing:
            self._inbox = _Inbox(self._transport, protocol)

    async def send(self, item: bytes) -> None:
        """Hand *item* to the system, which nearly always takes all of it at once.

        anyio would have each call wait a turn of the event loop for that. What is not taken goes through the stream,
        and all that follows behind it.

        Cancellation: comes through only where the system does not take all; a part may have been sent.
        """
        if self._direct and not self._is_closing:
            try:
                taken = os.write(self._raw.fileno(), item)
            except BlockingIOError:
                taken = 0
            if taken == len(item):
                return
            self._direct = False
            # A part of what a traceback shows masked is masked too.
            item = MaskedBytes(item[taken:])
        await self._stream.send(item)

    @property
    def _is_closing(self) -> bool:
        # uvloop's socket goes on giving its number, which by then may be that of another file.
        return self._raw.fileno() < 0 or (self._transport is not None and self._transport.is_closing())

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what comes next; on trio at most so many bytes.

        Cancellation: nothing is lost.
        """
        return await (self._stream.receive(max_bytes) if self._inbox is None else self._inbox.receive())

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody has received, and the other side has not ended it."""
        if self._raw is None or self._is_closing or _readable(self._raw.fileno()):
            return False
        return self._inbox is None or self._inbox.is_quiet

    async def aclose(self) -> None:
        """Close it, with no word to the other side."""
        if self._inbox is not None:
            self._inbox.closed = True
        await self._stream.aclose()


class _Inbox:
    """What an asyncio transport delivers to, in place of *protocol*, anyio's own.

    With that one reading begins and ends with each answer: two system calls, and 10 µs a call. Here it goes on.
    """

    def __init__(self, transport: Any, protocol: Any) -> None:
        self._transport = transport
        # Hears what it needs for sending.
        self._protocol = protocol
        # What had come before anyio stopped the observation.
        self._unread: deque[bytes] = deque(protocol.read_queue)
        self._ended = bool(protocol.is_at_eof)
        self._error: Exception | None = protocol.exception
        self._waiter: Any = None
        self._held_back = False
        self.closed = False
        transport.set_protocol(self)
        transport.resume_reading()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody has received, and it has not ended."""
        return not self._unread and not self._ended

    async def receive(self) -> bytes:
        if self._unread:
            await anyio.lowlevel.checkpoint()
        elif not self._ended:
            self._waiter = sys.modules["asyncio"].get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._unread:
            data = self._unread.popleft()
            if self._held_back and not self._transport.is_closing():
                self._held_back = False
                self._transport.resume_reading()
            return data
        if self.closed:
            raise anyio.ClosedResourceError
        if self._error is not None:
            raise anyio.BrokenResourceError from self._error
        raise anyio.EndOfStream

    def data_received(self, data: bytes) -> None:
        # A bytearray at times.
        self._unread.append(bytes(data))
        if not self._held_back and sum(map(len, self._unread)) > MOST_UNREAD:
            self._held_back = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        # Ours to close.
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._ended, self._error = True, error
        self._protocol.connection_lost(error)
        self._wake()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _readable(number: int) -> bool:
    """Return whether the socket of that number has bytes or has ended; one that is closed (-1) has ended."""
    if number < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([number], [], [], 0)[0])
