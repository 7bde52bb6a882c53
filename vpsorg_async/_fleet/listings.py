"""Reads the listing that many items of a run need, once for all of them."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

import anyio
import attrs

from .._decoding import member
from .._errors import VPSError
from .._polling.failures import own_copy


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .._clock import Clock
    from .._create_search import Listed
    from .._decoding import JSON
    from .._request.call import CallOptions


class SharedListing:
    """Reads listings, one at a time, of which it keeps the servers with one of *names*.

    *read* reads one. A malformed item with one of the names makes it fail: a server of that name may be there.
    """

    def __init__(self, read: Callable[..., Awaitable[Listed]], clock: Clock, names: Iterable[str]) -> None:
        self._read = read
        self._clock = clock
        self._names = frozenset(name.casefold() for name in names)
        self._lock = anyio.Lock()
        self._latest: Listed | None = None
        self._failed_at, self._failure = -math.inf, VPSError("")

    async def read(self, options: CallOptions, *, since: float = math.inf) -> Listed:
        """Return a listing that began after this call, or at *since* or later.

        Raises:
            VPSError: it could not be read.

        Cancellation: the next one that needs a listing reads it.
        """
        asked = self._clock.now()
        async with self._lock:
            if self._latest is not None and self._latest.began >= min(since, asked):
                return self._latest
            if self._failed_at >= asked:
                raise own_copy(self._failure)
            began = self._clock.now()
            try:
                listed = await self._read(options, skip_invalid=self._is_another)
            except VPSError as error:
                self._failed_at, self._failure = began, error
                raise
            kept = [server for server in listed.servers if server.name.casefold() in self._names]
            self._latest = attrs.evolve(listed, servers=kept)
            return self._latest

    def _is_another(self, item: JSON) -> bool:
        """Return whether a malformed item of a listing has none of the names."""
        name = member(item, "name")
        return not (isinstance(name, str) and name.casefold() in self._names)
