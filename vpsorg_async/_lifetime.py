"""Limits where and how long a client is used: in one event loop of one process, until it is closed."""

from __future__ import annotations

import os
import sys
import weakref

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import attrs

from ._errors import ClientClosedError, ConfigurationError


if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ._clock import Scope


class Lifetime:
    """Binds a client to the event loop and process of its first call, and ends running calls when it is closed.

    *also_closed* tells whether the `httpx.AsyncClient` underneath was closed directly. *on_dropped* is called with the
    event loop and the process if the client becomes garbage without being closed.
    """

    def __init__(
        self, also_closed: Callable[[], bool], on_dropped: Callable[[object, int], None] | None = None
    ) -> None:
        self._closed = False
        self._also_closed = also_closed
        self._on_dropped = on_dropped
        # The loop object itself, because ids of loops are reused.
        self._loop: object = None
        self._pid = 0
        # Invariant: holds exactly the scopes that a task is inside of by `running`.
        self._scopes: set[Scope] = set()
        self._idle: anyio.Event | None = None

    @property
    def closed(self) -> bool:
        """Whether the client is closed."""
        return self._closed or self._also_closed()

    @property
    def elsewhere(self) -> str:
        """The reason why the client may not be used here; empty if it may."""
        if self._loop is None:
            return ""
        if self._pid != os.getpid():
            return "this client was used before the process forked: make a new Client in the child"
        if self._loop is not anyio.lowlevel.current_token().native_token:
            return "this client belongs to another event loop: make a new Client in each loop"
        return ""

    def check(self) -> None:
        """Return if the client may be used here and now.

        Raises:
            ClientClosedError: the client is closed.
            ConfigurationError: this is not the event loop and process of the first call.
        """
        if self.closed:
            raise ClientClosedError("the client is closed", sent=False)
        if self._pid == os.getpid() and _is_task_of(self._loop):
            return
        if self._loop is None:
            self._loop, self._pid = anyio.lowlevel.current_token().native_token, os.getpid()
            self._tell_when_dropped()
        elif trouble := self.elsewhere:
            raise ConfigurationError(trouble)

    def _tell_when_dropped(self) -> None:
        if self._on_dropped is not None:
            # All that can make a call refers to this object. Sockets are no trouble when the interpreter exits.
            weakref.finalize(self, self._on_dropped, self._loop, self._pid).atexit = False

    def running(self, scope: Scope) -> AbstractContextManager[None]:
        """Return a context manager: while it is entered, closing the client cancels the entered *scope*."""
        return _Running(self, scope)

    def add(self, scope: Scope) -> None:
        """Make closing the client cancel *scope*."""
        self._scopes.add(scope)

    def discard(self, scope: Scope) -> None:
        """Forget *scope*, which has ended."""
        self._scopes.discard(scope)
        if self._idle is not None and not self._scopes:
            self._idle.set()

    async def end(self, *, patience: float) -> None:
        """Close the client: cancel running calls, and return when they have ended, or after *patience* seconds.

        In another event loop or process, this only marks the client as closed: its calls do not run there.

        Cancellation: running calls are cancelled all the same. Only the wait for their end is given up.
        """
        self._closed = True
        if not self._scopes or self.elsewhere:
            return
        # All tasks that close the client at the same time wait for one event.
        self._idle = self._idle or anyio.Event()
        for scope in tuple(self._scopes):
            scope.cancel()
        with anyio.move_on_after(patience):
            await self._idle.wait()


def _is_task_of(loop: object) -> bool:
    """Return whether this is a task of the asyncio loop *loop*. anyio takes ten times as long to tell."""
    # Not imported here: it takes half as long as importing this library. A running asyncio loop has imported it.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return False
    # A trio run that is a guest of asyncio runs in that loop too, but in none of its tasks.
    return running is loop and asyncio.current_task(running) is not None


@attrs.define(eq=False, repr=False)
class _Running:
    """A context manager as a class: each call and wait has one, and a generator takes ten times the memory."""

    lifetime: Lifetime
    scope: Scope

    def __enter__(self) -> None:
        self.lifetime.add(self.scope)

    def __exit__(self, *_: object) -> None:
        self.lifetime.discard(self.scope)
