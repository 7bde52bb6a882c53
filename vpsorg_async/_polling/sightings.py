"""Finds once for all watches what an observation has changed, and what a watch has to tell of it. Pure.

Many watches follow the same servers, and most observations show a server as it was. Therefore the fields of a server
are compared with the previous observation's, once for all watches. A watch that has taken everything so far is shown
only what is new.

What a watch knows of a server is a `Knowledge`, which never changes. Watches that have seen and told the same share
one, so that an observation that is new is compared once for all of them, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._decoding import is_alike
from .merging import changed_fields, facts, filled, has_changed


if TYPE_CHECKING:
    from .._models import Server
    from .lifecycle import Observation

CAPACITY = 20_000
"""The number of servers that are compared with their last observation (assumed: an account has no more)."""


@attrs.define(eq=False, repr=False)
class Sighting:
    """A server as an observation showed it, and every observation since that showed the same facts.

    Attributes:
        server: the server as the newest of these observations showed it; `None` if it is gone.
        facts: its fields, without those that differ all the time.
    """

    server: Server | None
    facts: dict[str, Any] = attrs.field(factory=dict[str, Any])
    # What a watch knows that knew nothing before: each new watch.
    _first: Knowledge | None = attrs.field(default=None, init=False)
    # What other watches know after it, by what they knew before, while it is being shown to watches.
    _after: dict[Knowledge, Knowledge] | None = attrs.field(default=None, init=False)

    def settle(self) -> None:
        """Forget what watches know of it: all have been shown it. What they knew before is not kept for it."""
        self._after = None

    def known_after(self, before: Knowledge) -> Knowledge:
        """Return what a watch knows that has been shown this and knew *before*."""
        if before is NOTHING:
            if self._first is None:
                self._first = before._shown(self)  # noqa: SLF001 - the two belong together
            return self._first
        if self._after is None:
            self._after = {}
        after = self._after.get(before)
        if after is None:
            after = self._after[before] = before._shown(self)  # noqa: SLF001 - the two belong together
        return after


@attrs.define(eq=False, repr=False)
class Knowledge:
    """The state of a watch for one server: what it has told, and seen. A field that is not given stays as it was.

    Attributes:
        told: the server as the last change showed it; `None` if it was not told of, or told to be gone.
        changed: whether there is a change to tell.
    """

    told: Server | None = None
    changed: bool = False
    _told_facts: dict[str, Any] = attrs.field(factory=dict[str, Any])
    _facts: dict[str, Any] = attrs.field(factory=dict[str, Any])
    # The last sighting; `None` if the server is gone, or was never seen.
    _sighting: Sighting | None = None
    # The server as it was before the last sighting, if that does not say all that was known; or before it was gone.
    _before: Server | None = None
    # What is known once the change is told.
    _after: Knowledge | None = attrs.field(default=None, init=False)
    # The server of the last sighting, as it came and with what was known before.
    _filled: tuple[Server, Server] | None = attrs.field(default=None, init=False)
    _fields: frozenset[str] | None = attrs.field(default=None, init=False)

    @property
    def server(self) -> Server | None:
        """The server as it is now, with all that is known of it; `None` if it is gone, or was never seen."""
        if self._sighting is None or self._sighting.server is None:
            return None
        shown = self._sighting.server
        if self._before is None:
            return shown
        if self._filled is None or self._filled[0] is not shown:
            self._filled = shown, filled(shown, self._before)
        return self._filled[1]

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that have changed since the server was last told of, if it was and is there."""
        if self.told is None or self._sighting is None:
            return frozenset()
        if self._fields is None:
            self._fields = changed_fields(self._told_facts, self._facts)
        return self._fields

    def tell(self) -> Knowledge:
        """Return what is known once the server was told of as it is now."""
        server = self.server
        if self._after is None or self._after.told is not server:
            self._after = Knowledge(server, False, self._facts, self._facts, self._sighting, self._before)
        return self._after

    def _shown(self, sighting: Sighting) -> Knowledge:
        last = self._before if self._sighting is None else self.server
        if sighting.server is None:
            return Knowledge(self.told, self.told is not None, self._told_facts, self._facts, None, last)
        server = sighting.server if last is None else filled(sighting.server, last)
        given, before = (sighting.facts, None) if server is sighting.server else (facts(server), last)
        # A field that is given for the first time is no change.
        told_facts = _merged(given, self._told_facts)
        if self.told is None or has_changed(told_facts, given):
            return Knowledge(self.told, True, told_facts, given, sighting, before)
        return Knowledge(self.told, False, given, given, sighting, before)


def _merged(older: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of both, those of *newer* first. It is *newer* itself where that has all, as most times."""
    return newer if older.keys() <= newer.keys() else {**older, **newer}


NOTHING = Knowledge()
"""What a watch knows of a server that it has never seen."""

GONE = Sighting(None)


class Sightings:
    """The newest sighting of each server that is watched."""

    def __init__(self) -> None:
        # By all ids under which the API shows the server. If another one is learned, watches may know different things.
        self._newest: dict[tuple[str, ...], Sighting] = {}

    def take(self, spellings: tuple[str, ...], observation: Observation) -> tuple[Sighting, bool]:
        """Return what an observation that is believed has shown, and whether that is new.

        It is new if the last one of the server has shown other facts, or is not known.
        """
        server = observation.server
        if server is None or observation.status is None:
            self._newest.pop(spellings, None)
            return GONE, True
        last = self._newest.get(spellings)
        if last is not None and last.server is not None and is_alike(server, last.server):
            last.server = server
            return last, False
        given = facts(server)
        if last is not None and last.server is not None and last.facts == given:
            # A list may give all facts and no resource usage.
            last.server = filled(server, last.server)
            return last, False
        if len(self._newest) >= CAPACITY:
            self._newest.clear()
        self._newest[spellings] = new = Sighting(server, given)
        return new, True

    def clear(self) -> None:
        """Forget all, as nobody watches."""
        self._newest.clear()
