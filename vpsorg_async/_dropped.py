"""Closes the connections of a client that was dropped without being closed, and warns about it."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings

from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import attrs


if TYPE_CHECKING:
    import asyncio


@runtime_checkable
class Closable(Protocol):
    """Holds connections."""

    @property
    def holds_connections(self) -> bool:
        """Whether a connection is open."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""


@attrs.frozen(eq=False, repr=False)
class Dropped:
    """Is called when a client is garbage. It must not refer to the client itself, which would then never be garbage.

    An event loop refers to its sockets, so they would stay open for as long as the loop runs. They are closed by a task
    of that loop: garbage may be collected in any thread.
    """

    connections: Closable
    # What the warning calls the client.
    called: str

    def __call__(self, loop: Any, pid: int) -> None:
        """Close the connections, which belong to *loop* in the process *pid*.

        A fork's child leaves them alone: they are its parent's. A loop that is closed has let go of its sockets, which
        are then garbage too.
        """
        if pid != os.getpid() or not self.connections.holds_connections:
            return
        with contextlib.suppress(RuntimeError):
            if hasattr(loop, "call_soon_threadsafe"):
                loop.call_soon_threadsafe(self._begin, loop)
            else:
                loop.run_sync_soon(sys.modules["trio"].lowlevel.spawn_system_task, self._close)
        warnings.warn(f"unclosed {self.called}", ResourceWarning, stacklevel=1)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        task = loop.create_task(self._close())
        _CLOSING.add(task)
        task.add_done_callback(_CLOSING.discard)

    async def _close(self) -> None:
        # An error in a task of the system would end a trio run.
        with contextlib.suppress(Exception):
            await self.connections.aclose()


_CLOSING: Final[set[Any]] = set()
"""The tasks that close connections: asyncio itself does not keep a task alive."""
