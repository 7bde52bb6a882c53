"""Learns from what a client sees how its API treats `updated_at`. Pure.

The API documents no more than that there is an `updated_at`. Some APIs move it with each change of the status, some
leave it alone then, and some move it whenever a server is used. How much it proves after a reboot depends on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from .._action_parts import HABITS
from .lifecycle import LASTING, TRANSITIONS
from .stamps import has_fractions, is_same


if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from .._models import Server

Settings: TypeAlias = tuple[str | None, str | None, bool | None]
"""The fields that a PATCH can change: name, hostname, backups_enabled."""

SECOND = 1.0
"""Two changes within a second can have the same `updated_at`, if that tells no more than the second."""

COINCIDENCES = 3
RARELY = 0.1
"""Two nodes whose clocks differ can give two changes the same second (twice in a simulation of 10,000 waits).

So where a move was seen before, that must have been seen three times, and in one change of ten (assumed), before it is
taken for what the API does.
"""

LONGEST_GAP = 60.0
"""Seconds. Between two observations that are further apart, a server may have been rebooted unseen (assumed)."""


def settings_of(server: Server) -> Settings:
    """Return the fields that a PATCH can change."""
    return server.name, server.hostname, server.backups_enabled


@attrs.frozen(kw_only=True)
class Sight:
    """An admitted observation of a server, as far as habits are concerned.

    Attributes:
        status: the status.
        updated_at: the time of the last change, by the API.
        settings: the fields that a PATCH can change; `None` if a list showed the server, which lacks some of them.
        began: when the request began, in seconds on the client's clock.
        stamped: when the first observation with the same `updated_at` had ended.
    """

    status: str
    updated_at: datetime | None
    settings: Settings | None
    began: float
    stamped: float


@attrs.define(eq=False)
class Habits:
    """The observed behaviour of the API's `updated_at`.

    Attributes:
        moves: whether it has moved with a change of the status.
        stays: whether it has stayed the same over a change of the status.
        ticks: whether it has moved without a change of the status or of a field that a PATCH can change.
    """

    moves: bool = False
    stays: bool = False
    ticks: bool = False
    # Changes of a status over which it has moved, and over which it has stayed the same to the second.
    _moved: int = attrs.field(default=0, init=False, eq=False)
    _stayed: int = attrs.field(default=0, init=False, eq=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that were seen."""
        return tuple(name for name in HABITS if getattr(self, name))

    def take_over(self, names: Iterable[str]) -> None:
        """Learn what another process has seen of the API."""
        for name in names:
            setattr(self, name, True)

    @property
    def always_moves(self) -> bool:
        """Whether it has moved with each change of the status that was seen, and there was one."""
        return self.moves and not self.stays

    def learn(self, before: Sight, after: Sight, *, undisturbed: bool) -> None:
        """Learn from two consecutive observations of one server.

        *undisturbed* is whether this client has changed nothing that may explain a difference.
        """
        if before.updated_at is None or after.updated_at is None or not (before.status and after.status):
            return
        moved = not is_same(before.updated_at, after.updated_at)
        if before.status != after.status:
            self._learn_step(before, after, moved=moved)
        elif moved and undisturbed and _is_unexplained(before, after):
            self.ticks = True

    def _learn_step(self, before: Sight, after: Sight, *, moved: bool) -> None:
        """Learn from a change of the status."""
        if moved:
            self.moves = True
            self._moved += 1
        # A replica that shows a wrong status once has not changed it.
        elif (before.status, after.status) in _STEPS:
            if _tells_fractions(before, after):
                self.stays = True
            elif before.began - before.stamped >= SECOND:
                self._stayed += 1
                needed = max(COINCIDENCES, RARELY * self._moved) if self._moved else 1
                self.stays = self.stays or self._stayed >= needed


_STEPS = frozenset(
    step
    for one in TRANSITIONS.values()
    for step in (
        (one.status_before, one.transitional_status),
        (one.transitional_status, one.status_after),
        (one.status_before, one.status_after),
    )
)
"""The changes of a status that a command makes, with and without its transitional status."""


def _tells_fractions(before: Sight, after: Sight) -> bool:
    """Return whether a move within the second would have shown."""
    assert before.updated_at is not None
    assert after.updated_at is not None
    return has_fractions(before.updated_at) and has_fractions(after.updated_at)


def _is_unexplained(before: Sight, after: Sight) -> bool:
    at_rest = before.status in LASTING
    unchanged = before.settings is not None and before.settings == after.settings
    return at_rest and unchanged and after.began - before.began <= LONGEST_GAP


NONE_SEEN = Habits()
"""The habits of an API of which nothing was seen. It is never changed."""
