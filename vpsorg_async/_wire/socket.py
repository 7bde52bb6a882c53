"""A socket of anyio's that is written to, and looked at, without a detour by way of the event loop."""

from __future__ import annotations

import os
import select

from typing import TYPE_CHECKING, Any

import anyio.abc

from .authorizing import Secret


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Socket(anyio.abc.ByteStream):
    """A byte stream over *stream*, for as long as that is open; closing this one closes that one."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._raw: Any = None
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
            item = Secret(item[taken:])
        await self._stream.send(item)

    @property
    def _is_closing(self) -> bool:
        # uvloop's socket goes on giving its number, which by then may be that of another file.
        transport = getattr(self._stream, "_transport", None)
        return self._raw.fileno() < 0 or (transport is not None and transport.is_closing())

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what comes next, at most so many bytes."""
        return await self._stream.receive(max_bytes)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody has received, and the other side has not ended it.

        A socket that is readable has some bytes, or has ended; what anyio has taken from it already stands in a queue
        of its own.
        """
        if self._raw is None or _readable(self._raw.fileno()):
            return False
        protocol = getattr(self._stream, "_protocol", None)
        return protocol is None or not protocol.read_queue

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """See the stream's own."""
        return self._stream.extra_attributes

    async def send_eof(self) -> None:
        """End the sending."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close it, with no word to the other side."""
        await self._stream.aclose()


def _readable(number: int) -> bool:
    """Return whether the socket of that number has bytes or has ended; one that is closed (-1) has ended."""
    if number < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([number], [], [], 0)[0])
