"""What servers can be made from: asked for once an hour, whatever the number of browsers."""

from __future__ import annotations

import anyio
import attrs

from vpsorg_async import Client, Location, OperatingSystem, Plan


KEPT = 3600.0
"""The seconds for which an answer is kept."""


@attrs.frozen
class Catalogue:
    """The plans, locations and systems that a server can be created with."""

    plans: list[Plan]
    locations: list[Location]
    systems: list[OperatingSystem]


class Choices:
    """Keeps the catalogue of a client's account."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: Catalogue | None = None
        self._until = 0.0
        self._lock = anyio.Lock()

    async def get(self) -> Catalogue:
        """Return the catalogue. Browsers that ask at the same time share one answer."""
        async with self._lock:
            if self._kept is None or anyio.current_time() > self._until:
                self._kept = Catalogue(
                    await self._client.plans.list(),
                    await self._client.locations.list(),
                    await self._client.operating_systems.list(),
                )
                self._until = anyio.current_time() + KEPT
            return self._kept
