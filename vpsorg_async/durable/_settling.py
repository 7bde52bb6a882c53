"""Finds out what became of a create or reboot that an earlier process may have sent.

A search goes on until the server is proven, or for `settle` seconds. Only a create that no whole listing has shown over
all that time, and a reboot that is proven not to have happened, may be sent again, and only if the user wants that.
"""

from __future__ import annotations

import math

from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from .._action_parts import Memory
from .._decoding import member
from .._errors import OutcomeUnknownError, VPSError
from .._models import ServerSpec
from .._shared_listings import SharedListings


if TYPE_CHECKING:
    from datetime import datetime

    from .._client import Client
    from .._create_search import Listed
    from .._decoding import JSON
    from .._fleet.item import ItemInProgress
    from .._fleet.steps import Work
    from .._models import Server
    from .._request.call import CallOptions
    from .._shared_listings import Read
    from ._records import Intent, ItemRecord

OnAmbiguous: TypeAlias = Literal["unknown", "resend"]

BETWEEN_LISTINGS = 3.0
"""Seconds between two listings of a search (assumed)."""

FAILURES_FOR = 900.0
"""So many seconds after its begin a search ends whose listings fail (assumed)."""


class Settling:
    """Finds out what became of commands in doubt, with one client.

    *settle* is in seconds. *on_ambiguous* says what is done with a command that was not carried out, as it seems.
    """

    def __init__(self, client: Client, *, settle: float, on_ambiguous: OnAmbiguous) -> None:
        self._servers = client.servers
        self._context = client._context  # noqa: SLF001 - a part of this library
        self._earlier = self._context.commands.earlier
        self._settle = settle
        self._resends = on_ambiguous == "resend"
        self._listings = SharedListings(self._begin_listing, self._context.clock)
        # The names that are searched for now, in lower case. A search takes its own out again, also when cancelled.
        self._names: Counter[str] = Counter()

    def work(self, record: ItemRecord, work: Work, intent: Intent) -> Work:
        """Return the work that finds out about an item; *work* is the one that sends its command."""
        find = self._create if record.action == "create" else self._reboot

        async def step(item: ItemInProgress) -> None:
            if await find(item, intent):
                return
            if not self._resends:
                raise OutcomeUnknownError(f"{_NOT_SEEN[record.action]}, and it was not sent again", candidates=())
            item.doubtful = False
            await work.step(item)

        return attrs.evolve(work, step=step, repeats=False)

    async def _create(self, item: ItemInProgress, intent: Intent) -> bool:
        """Adopt the server that a create has made; return false if listings over all the time do not show its name."""
        assert isinstance(item.item, ServerSpec)
        name = item.item.name.casefold()
        self._names[name] += 1
        try:
            server = await self._search(item.item, intent.carried.sent)
        finally:
            self._names[name] -= 1
        if server is None:
            return False
        item.server = item.value = server
        item.accepted = True
        return True

    async def _search(self, spec: ServerSpec, sent: datetime | None) -> Server | None:
        clock, options = self._context.clock, self._servers._options  # noqa: SLF001 - a part of this library
        began, latest = clock.now(), -math.inf

        async def read(options: CallOptions) -> Listed:
            nonlocal latest
            listed = await self._listings.read(options)
            latest = listed.began
            return listed

        seen: OutcomeUnknownError | None = None
        while True:
            doubt: VPSError | None = None
            try:
                found = await self._earlier.find_before(spec, sent, read, options, self._servers.bind)
            except OutcomeUnknownError as error:
                # The name was there: a later listing that lacks it is that of a replica that lags.
                found, doubt, seen = None, error, error
            except VPSError as error:
                found, doubt = None, error
            if found is not None:
                return found
            now = clock.now()
            if seen is not None and now - began >= self._settle:
                raise seen
            if doubt is None and latest - began >= self._settle:
                return None
            if doubt is not None and now - began >= max(self._settle, FAILURES_FOR):
                raise OutcomeUnknownError(
                    f"whether the create of {spec.name!r} was carried out is not known: its listings fail",
                    candidates=(),
                ) from doubt
            await clock.sleep(min(BETWEEN_LISTINGS, max(self._settle / 10, 0.1)))

    def _begin_listing(self) -> Read[Listed]:
        return self._earlier.begin_listing(skip_invalid=self._is_another)

    def _is_another(self, item: JSON) -> bool:
        """Return whether a malformed item of a listing has none of the names that are searched for."""
        name = member(item, "name")
        return not (isinstance(name, str) and self._names[name.casefold()])

    async def _reboot(self, item: ItemInProgress, intent: Intent) -> bool:
        """Take over a reboot that is proven to have happened; return false if it is proven that it has not.

        Raises:
            OutcomeUnknownError: neither is proven.
        """
        clock, options = self._context.clock, self._servers._options  # noqa: SLF001 - a part of this library
        began = clock.now()
        while True:
            doubt: OutcomeUnknownError | None = None
            try:
                found = await self._earlier.find_rebooted(
                    item.server_id, intent.carried.command or Memory(), intent.carried.sent, options
                )
            except OutcomeUnknownError as error:
                found, doubt = None, error
            if found is not None:
                action, change = found
                item.value = self._servers._pending(action, "reboot", change)  # noqa: SLF001 - the same
                item.accepted = True
                return True
            left = self._settle - (clock.now() - began)
            if left <= 0:
                if doubt is not None:
                    raise doubt
                return False
            await clock.sleep(left)


_NOT_SEEN = {
    "create": "no listing shows the server of a create that an earlier process may have sent",
    "reboot": "a reboot that an earlier process may have sent has not happened",
}
