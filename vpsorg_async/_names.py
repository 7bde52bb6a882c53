"""Lets creates of one name go one after another, and knows those of other clients, so that none adopts another's."""

from __future__ import annotations

import threading
import time
import weakref

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import attrs

from ._errors import APITimeoutError
from ._request.call import left_until
from ._transport.replaced import BELOW_THE_CLIENT


if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Hashable

    from ._clock import Clock
    from ._lifetime import Lifetime


@attrs.define(eq=False, repr=False)
class Create:
    """One create, for the other clients of this process that create the same name at the same time.

    Attributes:
        made: the id of the server that it has returned.
        in_doubt: whether it may make, or have made, a server of which nobody knows.
        beside: the creates of other clients that were under way at the same time or shortly before.
        ended: when it ended, on the machine's monotonic clock.
    """

    made: str | None = None
    in_doubt: bool = True
    beside: list[Create] = attrs.field(factory=list["Create"])
    ended: float = 0.0
    # The mark of its client, which keeps its own doubts.
    owner: object = None
    # Whether that client is in use. A program that has closed it starts anew, perhaps with another API at its address.
    in_use: Callable[[], bool] = attrs.field(default=lambda: True)

    def returned(self, server_id: int | str) -> None:
        """Note that it has returned the server of that id."""
        self.made, self.in_doubt = str(server_id), False

    @property
    def claimed(self) -> set[str | None]:
        """The ids of the servers that those beside it have returned."""
        return {other.made for other in self.beside}

    @property
    def has_rival(self) -> bool:
        """Whether a server of the name may be that of one beside it."""
        return any(other.in_doubt for other in self.beside)

    @property
    def has_running_rival(self) -> bool:
        """The same for a create of an earlier run, which may itself be one that has ended beside it, in doubt."""
        return any(other.in_doubt and not other.ended for other in self.beside)


REMEMBERED_SECONDS = 60.0
"""So long another client could take for its own what a create has made, or makes after it was abandoned (assumed)."""

_UNDER_WAY: dict[Hashable, list[Create]] = {}
"""The creates of all clients of this process, by API and name."""

_ENDED: dict[Hashable, list[Create]] = {}
"""Those that have ended, and have made a server or may have, the latest last."""

# Clients may be used in several threads.
_UNDER_WAY_LOCK = threading.Lock()


@contextmanager
def _under_way(key: Hashable, owner: object, in_use: Callable[[], bool]) -> Generator[Create]:
    """Let the creates of *key* know of each other. One that ends well, or was refused, is no rival any more."""
    create = Create(owner=owner, in_use=in_use)
    with _UNDER_WAY_LOCK:
        _forget_old(time.monotonic() - REMEMBERED_SECONDS)
        create.beside.extend(one for one in _ENDED.get(key, ()) if one.owner is not owner and one.in_use())
        others = _UNDER_WAY.setdefault(key, [])
        for other in others:
            other.beside.append(create)
        create.beside.extend(others)
        others.append(create)
    try:
        yield create
    finally:
        with _UNDER_WAY_LOCK:
            others.remove(create)
            if not others:
                del _UNDER_WAY[key]
            # What a mock has made is no server, and the next test may make it again.
            if (create.in_doubt or create.made is not None) and not BELOW_THE_CLIENT.is_replaced():
                create.ended, create.beside = time.monotonic(), []
                _ENDED[key] = [*_ENDED.pop(key, ()), create]


def _forget_old(since: float) -> None:
    while _ENDED and _ENDED[first := next(iter(_ENDED))][-1].ended < since:
        del _ENDED[first]


@attrs.define(eq=False, repr=False)
class _Name:
    """The creates of one name."""

    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    users: int = 0


class Names:
    """The names that creates of a client use at the moment, or have left in doubt. An API may change a name's case.

    Clients with the same *api* know of each other's creates.
    """

    def __init__(self, clock: Clock, api: Hashable = None, lifetime: Lifetime | None = None) -> None:
        self._clock = clock
        # Not the lifetime itself: what remembers a create must not keep its client.
        self._lifetime = None if lifetime is None else weakref.ref(lifetime)
        self._api = self if api is None else api
        # Tells its creates from those of others, also when it is gone.
        self._mark = object()
        self._names: dict[str, _Name] = {}
        # When the last of them was given up, by name.
        self._doubtful: dict[str, float] = {}

    def _user(self) -> Callable[[], bool]:
        reference = self._lifetime
        if reference is None:
            return lambda: True
        return lambda: (lifetime := reference()) is not None and not lifetime.closed

    def doubt(self, name: str) -> None:
        """Note that a create may have made a server of *name* which no code knows: none is adopted any more."""
        self._doubtful[name.casefold()] = self._clock.now()

    def in_doubt(self, name: str) -> bool:
        """Return whether an earlier create may have made a server of *name* which no code knows."""
        return name.casefold() in self._doubtful

    def doubted_at(self, name: str) -> float | None:
        """Return when the last create of *name* was given up of which nobody knows what it made, or `None`."""
        return self._doubtful.get(name.casefold())

    @asynccontextmanager
    async def turn(self, name: str, deadline: float, summary: str) -> AsyncGenerator[Create]:
        """Hold *name* for a create.

        Raises:
            APITimeoutError: other creates of the name took the time until *deadline*.

        Cancellation: the name goes to the next.
        """
        key = name.casefold()
        entry = self._names.setdefault(key, _Name())
        entry.users += 1
        try:
            if entry.lock.locked():
                with self._clock.move_on_after(left_until(self._clock, deadline)) as scope:
                    await entry.lock.acquire()
                if scope.cancelled_caught:
                    raise APITimeoutError(
                        f"{summary}: other creates of the name {name!r} took too much of the time; nothing was sent",
                        sent=False,
                        request_summary=summary,
                    )
            else:
                entry.lock.acquire_nowait()
            try:
                with _under_way((self._api, key), self._mark, self._user()) as create:
                    yield create
            finally:
                entry.lock.release()
        finally:
            entry.users -= 1
            if not entry.users:
                del self._names[key]
