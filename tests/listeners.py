"""Sockets that a test connects to: one that accepts, one that drops what comes, and one that refuses."""

from __future__ import annotations

import contextlib
import socket

from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.rawserver import A_HANG


@attrs.frozen
class Listener:
    """A socket that listens, and the port."""

    socket: socket.socket

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def received(self) -> bytes:
        """Return all that came over the next connection until its end."""
        connection, _ = self.socket.accept()
        with connection:
            connection.settimeout(A_HANG)
            return connection.recv(100)


def _bound(address: str, port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    return made


@contextlib.contextmanager
def listening(address: str = "127.0.0.1", port: int = 0) -> Iterator[Listener]:
    """Give a socket that listens."""
    with _bound(address, port) as made:
        made.settimeout(A_HANG)
        made.listen()
        yield Listener(made)


@contextlib.contextmanager
def refusing(address: str = "127.0.0.1", port: int = 0) -> Iterator[Listener]:
    """Give a socket that does not listen, so that nobody else takes its port: the system refuses what comes.

    The test may let it listen later, or another process that sets `SO_REUSEADDR` may listen at its port.
    """
    with _bound(address, port) as made:
        yield Listener(made)


@contextlib.contextmanager
def saturated() -> Iterator[int]:
    """Give a port whose queue is full: the system drops what else comes."""
    with _bound("127.0.0.1") as made, contextlib.ExitStack() as stack:
        made.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(made.getsockname())
        yield made.getsockname()[1]


def open_files() -> int:
    """Return the number of files and sockets that this process has open."""
    return len([*Path("/proc/self/fd").iterdir()])
