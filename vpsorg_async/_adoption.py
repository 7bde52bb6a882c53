"""Judges which servers of a listing a lost create may have made, and whether that is proven. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ._polling.proofs import CLOCK_SLACK


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ._models import OperatingSystem, Plan, Server, ServerSpec

LONG_BEFORE = timedelta(minutes=10)
"""A server that is older than the POST by so much cannot be the one that it made, whatever the clocks (assumed)."""


@attrs.frozen(eq=False, repr=False)
class Candidate:
    """A server that a lost create may have made.

    Attributes:
        server: the server.
        differs: what the create cannot have made so, in words.
        untold: what the listing does not tell, in words.
    """

    server: Server
    differs: tuple[str, ...]
    untold: tuple[str, ...]

    def __str__(self) -> str:
        against = " and ".join((*self.differs, *self.untold))
        return f"server {self.server.id} may be it, but {against}" if against else f"server {self.server.id} may be it"


@attrs.frozen(eq=False, repr=False)
class Evidence:
    """The clock of a listing, and how far it can be relied on.

    Attributes:
        posted: when the POST was sent by the API's clock, less what that may be off; `None`: it is not known.
        listed: the API's clock when it made the listing.
        distrust: why the listing's clock proves nothing; empty if it can be relied on.
        zoneless: the ids of servers whose `created_at` names no time zone.
    """

    posted: datetime | None
    listed: datetime | None = None
    distrust: str = ""
    zoneless: frozenset[str] = frozenset()


@attrs.frozen(eq=False, repr=False)
class Candidates:
    """The servers of a listing that a lost create may have made, in the API's order."""

    found: list[Candidate]

    @property
    def servers(self) -> list[Server]:
        """The servers of all candidates."""
        return [candidate.server for candidate in self.found]

    @property
    def proven(self) -> Server | None:
        """The one server that the create has made, if that is proven."""
        fitting = [candidate for candidate in self.found if not candidate.differs]
        return fitting[0].server if len(fitting) == 1 and not fitting[0].untold else None

    def __str__(self) -> str:
        return "; ".join(map(str, self.found))


def posted_at(date: datetime | None, elapsed: float) -> datetime | None:
    """Return when a POST was sent by the API's clock, less what that may be off.

    *date* is the API's clock in a response that came *elapsed* seconds after; `None`: it does not tell.
    """
    return None if date is None else date - timedelta(seconds=elapsed) - CLOCK_SLACK


def candidates_of(spec: ServerSpec, servers: Iterable[Server], evidence: Evidence) -> Candidates:
    """Return those of *servers* that a create of *spec* may have made."""
    found = [_candidate(server, spec, evidence) for server in servers if _may_be(server, spec)]
    posted = evidence.posted
    if posted is not None:
        found = [one for one in found if one.server.created_at is None or one.server.created_at > posted - LONG_BEFORE]
    return Candidates(found)


def _may_be(server: Server, spec: ServerSpec) -> bool:
    """Return whether *server* has the name, in any case, and the ids of *spec*, as far as it tells."""
    ids = ((_key(server.plan), spec.plan_id), (_key(server.os), spec.os_id))
    return server.name.casefold() == spec.name.casefold() and all(
        given is None or given == str(wanted) for given, wanted in ids
    )


def _candidate(server: Server, spec: ServerSpec, evidence: Evidence) -> Candidate:
    return Candidate(server, (*_differences(server, spec, evidence),), (*_gaps(server, spec, evidence),))


def _differences(server: Server, spec: ServerSpec, evidence: Evidence) -> Iterator[str]:
    if server.name != spec.name:
        yield f"its name is {server.name!r}"
    if server.location is not None and server.location != spec.location:
        yield f"its location is {server.location!r}"
    if None not in (server.hostname, spec.hostname) and _hostname(server.hostname) != _hostname(spec.hostname):
        yield f"its hostname is {server.hostname!r}"
    created, posted = server.created_at, evidence.posted
    if created is not None and posted is not None and created < posted:
        yield f"it was created {(posted - created).total_seconds():.0f} s too early"


def _gaps(server: Server, spec: ServerSpec, evidence: Evidence) -> Iterator[str]:
    told = {"location": server.location, "plan": _key(server.plan), "operating system": _key(server.os)}
    if spec.hostname is not None:
        told["hostname"] = server.hostname
    yield from (f"its {name} is not shown" for name, value in told.items() if value is None)
    created = server.created_at
    if created is None or evidence.posted is None:
        yield "its age cannot be told"
    elif str(server.id) in evidence.zoneless:
        yield "its created_at names no time zone"
    elif evidence.listed is not None and created > evidence.listed + CLOCK_SLACK:
        yield "it was created later than the listing was made"
    elif evidence.distrust:
        yield evidence.distrust


def _hostname(value: str | None) -> str | None:
    """Return a hostname as DNS compares it: without regard to case, and to a dot at its end. Source: RFC 4343."""
    return None if value is None else value.casefold().removesuffix(".")


def _key(part: Plan | OperatingSystem | None) -> str | None:
    return None if part is None or part.id is None else str(part.id)
