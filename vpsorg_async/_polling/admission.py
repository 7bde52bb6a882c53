"""Decides which observations of a server are new enough to be believed. Pure.

Every observation passes `Record.admit` before anything learns from it. The rules, in order:

1. An observation whose request began before that of one which was admitted is out of date.
2. So is a 404 whose request began before the server was first seen: the server may have been created in between.
3. So is a server with an `updated_at` older than one which was admitted: a replica that lags has shown it.
"""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

import attrs


if TYPE_CHECKING:
    from datetime import datetime

    from .._models import Server
    from .lifecycle import Observation


@attrs.define(eq=False)
class Record:
    """The newest that was admitted of one server. Times are seconds on the client's clock.

    Attributes:
        first_seen: when the first observation that showed the server had ended; `None` before.
        began: when the request of the newest admitted observation began.
        ended: when its response had come.
        updated_at: the newest `updated_at` that was admitted.
        gone: whether the newest GET said 404.
    """

    first_seen: float | None = None
    began: float = -math.inf
    ended: float = -math.inf
    updated_at: datetime | None = None
    gone: bool = False

    def admits(self, server: Server | None, began: float) -> bool:
        """Return whether an observation of *server*, or of a 404, is to be believed if its request began at *began*."""
        if began < self.began:
            return False
        if server is None:
            return self.first_seen is None or began >= self.first_seen
        return not _is_older(server.updated_at, self.updated_at)

    def admit(self, server: Server | None, began: float, ended: float, *, listed: bool = False) -> bool:
        """Learn from an observation, and return whether it was believed.

        An observation that is out of date adds only what it alone may know: that the server has been seen, and that
        an `updated_at` as new as this exists, so that replicas that show an older one lag.
        """
        believed = self.admits(server, began)
        if server is not None:
            self.first_seen = ended if self.first_seen is None else self.first_seen
            if server.updated_at is not None and not _is_older(server.updated_at, self.updated_at):
                self.updated_at = server.updated_at
        if not believed:
            return False
        self.began, self.ended = began, ended
        if not listed:
            self.gone = server is None
        return True


def newer(one: Observation, other: Observation) -> Observation:
    """Return the newer of two observations of one server in one list, which shows it twice when it moves a page.

    An older `updated_at` loses. Otherwise *other* wins, which came later.
    """
    assert one.server is not None
    assert other.server is not None
    return one if _is_older(other.server.updated_at, one.server.updated_at) else other


def _is_older(updated_at: datetime | None, than: datetime | None) -> bool:
    return updated_at is not None and than is not None and updated_at < than
