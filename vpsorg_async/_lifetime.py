"""Where and how long a client may be used: one event loop of one process, until it is closed."""

from __future__ import annotations

import os
import sys

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import attrs

from ._errors import APIConnectionError, ConfigurationError


if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ._clock import Scope


class Lifetime:
    """Binds a client to the loop and process of its first call, and ends what runs when it is closed.

    *also_closed* tells whether somebody has closed what is underneath.
    """

    def __init__(self, also_closed: Callable[[], bool]) -> None:
        self._closed = False
        self._also_closed = also_closed
        # The loop object itself: ids of loops are reused.
        self._loop: object = None
        self._pid = 0
        # Invariant: holds exactly the scopes inside whose `running` somebody is.
        self._scopes: set[Scope] = set()
        self._idle: anyio.Event | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing may be asked any more."""
        return self._closed or self._also_closed()

    @property
    def elsewhere(self) -> str:
        """Why the client may not be used here, in words; empty where it may."""
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
            APIConnectionError: it is closed.
            ConfigurationError: this is another event loop or process than that of the first call.
        """
        if self.closed:
            raise APIConnectionError("the client is closed")
        if self._pid == os.getpid() and _is_task_of(self._loop):
            return
        if self._loop is None:
            self._loop, self._pid = anyio.lowlevel.current_token().native_token, os.getpid()
        elif trouble := self.elsewhere:
            raise ConfigurationError(trouble)

    def running(self, scope: Scope) -> AbstractContextManager[None]:
        """Let closing the client cancel *scope*, an entered one, until this ends."""
        return _Running(self, scope)

    def add(self, scope: Scope) -> None:
        """Let closing the client cancel *scope*."""
        self._scopes.add(scope)

    def discard(self, scope: Scope) -> None:
        """Let closing the client leave *scope* alone; it has ended."""
        self._scopes.discard(scope)
        if self._idle is not None and not self._scopes:
            self._idle.set()

    async def end(self, *, patience: float) -> None:
        """Close: cancel what runs, and return when it has ended, or after *patience* seconds.

        In another loop or process it only closes: what runs is not there to be cancelled.

        Cancellation: what runs is ended all the same; only the waiting for it is left.
        """
        self._closed = True
        if not self._scopes or self.elsewhere:
            return
        # One for all who close at the same time.
        self._idle = self._idle or anyio.Event()
        for scope in tuple(self._scopes):
            scope.cancel()
        with anyio.move_on_after(patience):
            await self._idle.wait()


def _is_task_of(loop: object) -> bool:
    """Return whether an asyncio task of *loop* asks: what anyio takes ten times as long to tell."""
    # Imported by whoever runs such a loop, and not by us: it takes as long as half of this library.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return False
    # A trio that is asyncio's guest runs in that loop, too, but in none of its tasks.
    return running is loop and asyncio.current_task(running) is not None


@attrs.define(eq=False, repr=False)
class _Running:
    """A context manager by hand: each call and wait has one, and a generator would take ten times the memory."""

    lifetime: Lifetime
    scope: Scope

    def __enter__(self) -> None:
        self.lifetime.add(self.scope)

    def __exit__(self, *_: object) -> None:
        self.lifetime.discard(self.scope)
