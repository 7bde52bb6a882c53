"""Makes sure that a server of each spec is there: creates what is missing, and keeps the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._errors import NotFoundError, OutcomeUnknownError
from .._models import ServerSpec
from .._polling.lifecycle import DELETED, TRANSITIONS
from .carrying import carries
from .listings import SharedListing
from .preview import EnsureConflictError, EnsurePreview, in_the_way, preview_of, tells_all
from .steps import Work


if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._models import Server
    from .._policies import PollPolicy
    from .._servers import Servers
    from .item import ItemInProgress

SETTLES = 60.0
"""Listings that do not show the name of a lost create say so many seconds later that it was not executed (assumed)."""

BETWEEN_LISTINGS = 5.0

YOUNG = SETTLES
"""For so many seconds after a create a 404 says nothing: a second server would cost more than an item that fails."""


class Ensuring:
    """Looks which specs are there, and creates the others."""

    def __init__(self, servers: Servers, specs: Sequence[ServerSpec]) -> None:
        self._servers = servers
        self._context = servers._context  # noqa: SLF001 - a part of this library
        self._specs = specs
        self._listing = SharedListing(
            self._context.commands.earlier.read_listing, self._context.clock, [spec.name for spec in specs]
        )
        # The servers that are there, by the name of their spec.
        self._kept: dict[str, Server] = {}

    async def preview(self) -> EnsurePreview:
        """Return what it takes.

        Raises:
            VPSError: the servers could not be listed.
        """
        there = await self.there()
        for spec in self._specs:
            name = spec.name.casefold()
            if len(there.get(name, ())) == 1 and not tells_all(spec, there[name][0]):
                there[name] = [await self._read(there[name][0]) or there[name][0]]
        found = preview_of(self._specs, there)
        self._kept = {server.name: server for server in found.keep}
        return found

    async def prepare(self) -> None:
        """Look what is there, before the run begins anything.

        Raises:
            EnsureConflictError: some specs are in conflict with what is there.
        """
        preview = await self.preview()
        if preview.conflicts:
            raise EnsureConflictError(f"nothing was created: {preview}", preview=preview)

    def work(self, *, wait: bool, poll: PollPolicy) -> Work:
        """Return the work that keeps or creates the server of each spec."""

        async def step(item: ItemInProgress) -> None:
            assert isinstance(item.item, ServerSpec)
            server = self._kept.get(item.item.name) or await self._found_after_doubt(item.item, item)
            if server is None:
                given = attrs.asdict(item.item, recurse=False)
                item.doubtful = False
                item.server = await self._servers.create(**given, timeout=item.left())
                item.value, item.accepted = "created", True
            else:
                item.server, item.value, item.doubtful = self._servers.bind(server), "kept", False
            provisioning = TRANSITIONS["create"].transitional_status
            if wait and (server is None or server.status == provisioning):
                item.server = await self._servers.wait_until(
                    item.server,
                    status=TRANSITIONS["create"].status_after,
                    timeout=item.left(),
                    poll=poll,
                    detail=False,
                )

        return Work(action="ensure", step=step, own={"wait": wait}, carries=carries(self._context, "create"))

    async def there(self) -> dict[str, list[Server]]:
        """Return the servers of the wanted names by name, in lower case.

        Those that this client has created a moment ago are among them, also if a listing which lags does not show them.

        Raises:
            VPSError: the servers could not be listed.
        """
        listed = await self._listing.read(self._servers._options)  # noqa: SLF001 - a part of this library
        there: dict[str, list[Server]] = {}
        for server in listed.servers:
            if server.status != DELETED:
                there.setdefault(server.name.casefold(), []).append(server)
        for spec in self._specs:
            name = spec.name.casefold()
            made = None if name in there else self._context.command_log.made_of(name)
            found = None if made is None else await self._read_made(*made)
            if found is not None:
                there[name] = [found]
        return there

    async def _read_made(self, server: Server, at: float) -> Server | None:
        """Return a server that this client has created at *at*, if it is there; `None` if it is gone or renamed."""
        seen = await self._read(server)
        if seen is not None:
            return seen if seen.name == server.name and seen.status != DELETED else None
        young = self._context.clock.now() - at < YOUNG
        return server if young and self._context.command_log.changed_at(server.id) <= at else None

    async def _read(self, server: Server) -> Server | None:
        try:
            return await self._servers.get(server)
        except NotFoundError:
            return None

    async def _found_after_doubt(self, spec: ServerSpec, item: ItemInProgress) -> Server | None:
        """Return the server of a create that got lost before, once listings show it; `None` if they never do.

        Raises:
            OutcomeUnknownError: the time is over, or a server of the name is there and is not as the spec wants it.
        """
        clock, names = self._context.clock, self._context.commands.names
        while (since := names.doubted_at(spec.name)) is not None:
            listed = await self._listing.read(self._servers._options.within(item.left()))  # noqa: SLF001 - the same
            named = [server for server in listed.servers if server.name.casefold() == spec.name.casefold()]
            if named and (reason := in_the_way(spec, named)):
                raise OutcomeUnknownError(f"a create of {spec.name!r} got lost; {reason}", candidates=named)
            if named:
                return named[0]
            if listed.began - since >= SETTLES:
                return None
            left = item.left()
            if left is not None and left <= BETWEEN_LISTINGS:
                raise OutcomeUnknownError(
                    f"a create of {spec.name!r} got lost, and no listing shows it yet", candidates=()
                )
            await clock.sleep(BETWEEN_LISTINGS)
        return None


def known_again(servers: Servers, outcomes: Sequence[Any]) -> None:
    """Take over what an earlier run knew: which servers it made, and which creates got lost."""
    context = servers._context  # noqa: SLF001 - a part of this library
    for outcome in outcomes:
        if outcome.accepted and outcome.server is not None:
            context.command_log.remember_made(outcome.server, context.clock.now())
        elif outcome.state == "unknown":
            context.commands.names.doubt(outcome.item.name)
