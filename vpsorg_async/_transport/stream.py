"""Sends and receives the bytes of one connection, on anyio's public names alone."""

from __future__ import annotations

import contextlib
import select
import socket

from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel


class Stream:
    """Bytes over *stream*, for as long as that is open; closing this one closes that one.

    It reads and writes the system's socket itself. asyncio keeps that to itself, so there it is a second descriptor for
    the same connection: anyio's stream hides what has come and was not received, which would be taken for the next
    call's response. `DirectStream` does without, where it can.
    """

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._raw: Any = None
        # Closed by `aclose`, also where it is a second descriptor.
        self._own: socket.socket | None = None

    def open(self) -> None:
        """Begin to use the system's own socket.

        Raises:
            AttributeError: uvloop has none any more for a connection that was reset already.
            anyio.ClosedResourceError: it is closed already.
        """
        self._raw = self._stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
        if self._raw.fileno() < 0:
            raise anyio.ClosedResourceError
        self._own = self._raw if isinstance(self._raw, socket.socket) else _second(self._raw)

    async def send(self, item: bytes) -> None:
        """Hand *item* to the system.

        Cancellation: comes through only where the system does not take all at once; a part may have been sent.
        """
        own = self._opened()
        # A view is shown in a traceback by its address alone.
        unsent = memoryview(item)
        while True:
            with contextlib.suppress(BlockingIOError):
                unsent = unsent[own.send(unsent) :]
            if not unsent:
                return
            await anyio.wait_writable(own)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what comes next, at most so many bytes.

        Raises:
            anyio.EndOfStream: the other side has ended it.

        Cancellation: nothing is lost.
        """
        own = self._opened()
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                data = own.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(own)
            except OSError as error:
                raise anyio.BrokenResourceError from error
            else:
                if not data:
                    raise anyio.EndOfStream
                return data

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody has received, and the other side has not ended it."""
        return self._own is not None and self._raw.fileno() >= 0 and not readable(self._own.fileno())

    async def aclose(self) -> None:
        """Close it, with no word to the other side.

        Cancellation: it is closed all the same.
        """
        if self._own is not None and self._own is not self._raw:
            self._own.close()
        await self._stream.aclose()

    def _opened(self) -> socket.socket:
        if self._own is None or self._own.fileno() < 0 or self._raw.fileno() < 0:
            raise anyio.ClosedResourceError
        return self._own


def _second(raw: Any) -> socket.socket:
    made = socket.fromfd(raw.fileno(), raw.family, raw.type)
    made.setblocking(False)
    return made


def readable(number: int) -> bool:
    """Return whether the socket of that number has bytes or has ended; one that is closed (-1) has ended."""
    if number < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([number], [], [], 0)[0])
