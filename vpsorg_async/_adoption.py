"""Judges which servers of a listing a lost create may have made, and whether that is proven. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ._polling.lifecycle import CLOCK_SLACK


if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ._models import OperatingSystem, Plan, Server, ServerSpec


@attrs.frozen(eq=False, repr=False)
class Candidates:
    """The servers of a listing that a lost create may have made.

    Attributes:
        servers: they, in the API's order.
        proven: whether the listing tells enough to be sure of each.
    """

    servers: list[Server]
    proven: bool

    def __str__(self) -> str:
        if not self.servers:
            return "no such server was found so far"
        ids = ", ".join(str(server.id) for server in self.servers)
        if len(self.servers) > 1:
            return f"{len(self.servers)} servers may be it: {ids}"
        return f"server {ids} may be it, and cannot be proven to be"


def posted_at(date: datetime | None, elapsed: float) -> datetime | None:
    """Return when a POST was sent by the API's clock, less what that may be off.

    *date* is the API's clock in a response that came *elapsed* seconds after; `None`: it does not tell.
    """
    return None if date is None else date - timedelta(seconds=elapsed) - CLOCK_SLACK


def candidates_of(spec: ServerSpec, servers: Iterable[Server], *, posted: datetime | None) -> Candidates:
    """Return those of *servers* that a create of *spec*, sent at *posted*, may have made."""
    verdicts = [(server, _is_made(server, spec, posted)) for server in servers]
    possible = [server for server, made in verdicts if made is not False]
    return Candidates(possible, proven=bool(possible) and all(made is not None for _, made in verdicts))


def _is_made(server: Server, spec: ServerSpec, posted: datetime | None) -> bool | None:
    """Return whether *server* was made from *spec* since *posted*, or `None` if the listing does not tell."""
    if server.name != spec.name:
        return False
    told = [
        (server.location, spec.location),
        (_key(server.plan), str(spec.plan_id)),
        (_key(server.os), str(spec.os_id)),
        *([] if spec.hostname is None else [(server.hostname, spec.hostname)]),
    ]
    if any(given is not None and given != wanted for given, wanted in told):
        return False
    if posted is not None and server.created_at is not None and server.created_at < posted:
        return False
    known = posted is not None and server.created_at is not None and all(given is not None for given, _ in told)
    return True if known else None


def _key(part: Plan | OperatingSystem | None) -> str | None:
    return None if part is None or part.id is None else str(part.id)
