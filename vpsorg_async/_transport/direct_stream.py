"""Sends and receives with fewer turns of asyncio's loop, by private names of anyio's stream.

anyio waits a turn of the event loop after each write, and around each response it has the system begin and end to tell
of what there is to read: two system calls and 10 µs a call. This module is the only one that knows these names. Where
one is missing, `stream_over` gives a `Stream` that needs none.
"""

from __future__ import annotations

import os
import sys

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.lowlevel

from .stream import Stream, readable
from .types import MaskedBytes


if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_UNREAD = 256 * 1024
"""Bytes that may lie here before the system is asked to hold back the rest (assumed)."""

_OF_THE_STREAM = ("_transport", "_protocol")
_OF_THE_PROTOCOL = ("read_queue", "is_at_eof", "exception", "connection_lost", "pause_writing", "resume_writing")


def missing_names(stream: anyio.abc.SocketStream) -> Sequence[str]:
    """Return which of the private names *stream* lacks; of a stream of trio's, all of them."""
    missing = [name for name in _OF_THE_STREAM if not hasattr(stream, name)]
    protocol = getattr(stream, "_protocol", None)
    return missing or [f"_protocol.{name}" for name in _OF_THE_PROTOCOL if not hasattr(protocol, name)]


def stream_over(stream: anyio.abc.SocketStream) -> Stream:
    """Return what sends and receives over *stream*."""
    # Elsewhere a socket is no file.
    return Stream(stream) if os.name != "posix" or missing_names(stream) else DirectStream(stream)


class DirectStream(Stream):
    """Puts itself in the place of anyio's protocol, so that reading goes on between responses."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        super().__init__(stream)
        self._transport: Any = getattr(stream, "_transport")  # noqa: B009 - says that it may be missing
        # Is told what it needs for sending.
        self._protocol: Any = getattr(stream, "_protocol")  # noqa: B009 - the same
        self._unread: deque[bytes] = deque()
        self._ended = self._closed = False
        self._error: Exception | None = None
        self._waiter: Any = None
        self._held_back = False
        # Whether nothing can be on its way through anyio's stream.
        self._direct = True

    def open(self) -> None:
        """Begin to use the system's own socket; see `Stream`."""
        self._raw = self._stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
        if self._transport.is_closing() or self._raw.fileno() < 0:
            raise anyio.ClosedResourceError
        # What had come before anyio stopped reading.
        self._unread.extend(self._protocol.read_queue)
        self._ended, self._error = bool(self._protocol.is_at_eof), self._protocol.exception
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    async def send(self, item: bytes) -> None:
        """Hand *item* to the system, which nearly always takes all of it at once.

        What is not taken goes through anyio's stream, and all that follows behind it.

        Cancellation: comes through only where the system does not take all; a part may have been sent.
        """
        # Asked each time: the number of a socket that is closed may be another file's by now.
        if self._direct and not self._transport.is_closing() and (number := self._raw.fileno()) >= 0:
            try:
                taken = os.write(number, item)
            except BlockingIOError:
                taken = 0
            if taken == len(item):
                return
            self._direct = False
            item = MaskedBytes(item[taken:])
        await self._stream.send(item)
        # A connection that is lost meanwhile ends anyio's wait without an error.
        if self._transport.is_closing():
            raise anyio.BrokenResourceError from self._error

    async def receive(self, max_bytes: int = 65536) -> bytes:  # noqa: ARG002 - named as in the base class
        """Return what comes next; see `Stream`."""
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
        if self._closed:
            raise anyio.ClosedResourceError
        if self._error is not None:
            raise anyio.BrokenResourceError from self._error
        raise anyio.EndOfStream

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody has received, and the other side has not ended it."""
        # uvloop's socket may go on giving its number once it is closed.
        if self._raw is None or self._unread or self._ended or self._transport.is_closing():
            return False
        return not readable(self._raw.fileno())

    async def aclose(self) -> None:
        """Close it, with no word to the other side; see `Stream`."""
        self._closed = True
        await self._stream.aclose()

    # The event loop calls these.

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
