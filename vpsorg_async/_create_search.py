"""Searches listings for the server that a create has made whose response did not come."""

from __future__ import annotations

import math

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from ._adoption import Candidate, Candidates, Evidence, candidates_of
from ._api_clock import distrust


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ._models import Server, ServerSpec
    from ._request.call import CallOptions


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Listed:
    """One whole listing, read to find what creates have made.

    Attributes:
        servers: all its servers.
        began: when its first request began, in seconds on the client's clock.
        ended: when its first page had come.
        date: the API's clock then; `None`: it does not tell.
        cached: whether a cache has answered in the API's place.
        zoneless: the ids of servers whose `created_at` names no time zone.
    """

    servers: list[Server]
    began: float
    ended: float
    date: datetime | None
    cached: bool
    zoneless: frozenset[str]

    def candidates(
        self, spec: ServerSpec, posted: datetime | None, *, offsets: Sequence[float], has_rival: bool
    ) -> Candidates:
        """Return the servers that a create of *spec*, sent at *posted* by the API's clock, may have made.

        *has_rival* says whether another client may have made them.
        """
        reason = "the listing came from a cache" if self.cached else ""
        if self.date is not None and not reason:
            reason = distrust(self.date, self.ended, offsets=offsets, local=datetime.now(UTC))
        if not reason and has_rival:
            reason = "another client of this program may have made it"
        return candidates_of(spec, self.servers, Evidence(posted, self.date, reason, self.zoneless))


class Search:
    """The listings of one search for what a create has made.

    *read* reads a listing, *candidates_in* returns the servers in it that the create may have made, and *is_ours* says
    of one of them whether no other create has made it. A listing that began before *since* may lack the server.
    """

    def __init__(
        self,
        read: Callable[[CallOptions], Awaitable[Listed]],
        candidates_in: Callable[[Listed], Candidates],
        is_ours: Callable[[Server], bool],
        since: float = -math.inf,
    ) -> None:
        self._since = since
        self._read = read
        self._candidates_in = candidates_in
        self._is_ours = is_ours
        self._listings = 0
        # By id, each as the latest listing that has it shows it. A listing of a replica that lags may lack some.
        self._seen: dict[str, Candidate] = {}

    @property
    def latest(self) -> Candidates:
        """All that the listings have shown, as it was shown last."""
        return Candidates([one for one in self._seen.values() if self._is_ours(one.server)])

    async def poll(self, options: CallOptions) -> Server | None:
        """Return the server, if a listing proves which it is."""
        return self.take(await self._read(options))

    def take(self, listed: Listed) -> Server | None:
        """Take what a listing shows. Return the server, if that is proven now."""
        shown = self._candidates_in(listed)
        self._listings += listed.began >= self._since
        self._seen |= {str(one.server.id): one for one in shown.found}
        return self.latest.proven

    @property
    def told(self) -> str:
        """The result of the listings in words; empty if none was read."""
        if self.latest.found:
            return str(self.latest)
        if not self._listings:
            return ""
        times = "listing" if self._listings == 1 else "listings"
        return f"it was not found in {self._listings} {times} so far"
