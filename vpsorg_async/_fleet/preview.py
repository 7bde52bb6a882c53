"""Says what it would take so that servers of given specs are there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._error_base import InvalidArgumentError
from .._models import Server, ServerSpec  # noqa: TC001 - type hints of what is public resolve at run time
from .._public import publish
from .._schemas import Described


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._models import OperatingSystem, Plan

_LINES = 20
"""A printed preview names at most so many conflicts."""


@attrs.frozen(kw_only=True)
class EnsureConflict(Described):
    """A spec whose name is there, and not as the spec wants it.

    Attributes:
        spec: the spec.
        servers: the servers of its name.
        reason: what is in the way, in words.
    """

    spec: ServerSpec
    servers: tuple[Server, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.spec.name!r}: {self.reason}"


@attrs.frozen(kw_only=True)
class EnsurePreview(Described):
    """The servers that are there, and those that have to be created, by name.

    Attributes:
        create: the specs whose name is not there.
        keep: the servers that are there, with the plan, system and location of their specs.
        conflicts: the specs whose name is there otherwise.
    """

    create: tuple[ServerSpec, ...]
    keep: tuple[Server, ...]
    conflicts: tuple[EnsureConflict, ...]

    def __str__(self) -> str:
        counts = f"{len(self.create)} to create, {len(self.keep)} to keep, {len(self.conflicts)} in conflict"
        lines = [counts, *[f"  {conflict}" for conflict in self.conflicts[:_LINES]]]
        if len(self.conflicts) > _LINES:
            lines.append(f"  … and {len(self.conflicts) - _LINES} more")
        return "\n".join(lines)


class EnsureConflictError(InvalidArgumentError):
    """Some specs are in conflict with servers that are there. Nothing was created.

    Attributes:
        preview: what it would take; `None` for an error that was rebuilt from its text.
    """

    preview: EnsurePreview | None

    def __init__(self, text: str, *, preview: EnsurePreview | None = None, request_summary: str | None = None) -> None:
        super().__init__(text, request_summary=request_summary)
        self.preview = preview


def preview_of(specs: Sequence[ServerSpec], there: Mapping[str, Sequence[Server]]) -> EnsurePreview:
    """Return what it would take. *there* has the servers by name, without regard to case."""
    create: list[ServerSpec] = []
    keep: list[Server] = []
    conflicts: list[EnsureConflict] = []
    for spec in specs:
        servers = there.get(spec.name.casefold(), ())
        named = [server for server in servers if server.name == spec.name] or servers
        if not named:
            create.append(spec)
        elif reason := in_the_way(spec, named):
            conflicts.append(EnsureConflict(spec=spec, servers=(*named,), reason=reason))
        else:
            keep.append(named[0])
    return EnsurePreview(create=(*create,), keep=(*keep,), conflicts=(*conflicts,))


def in_the_way(spec: ServerSpec, servers: Sequence[Server]) -> str:
    """Return why *servers*, which have the name of *spec*, are not what it wants; empty if there is one that is."""
    ids = ", ".join(str(server.id) for server in servers)
    if len(servers) > 1:
        return f"{len(servers)} servers have the name: {ids}"
    reasons: list[str] = []
    for what, given, wanted in _compared(spec, servers[0]):
        if given is None:
            reasons.append(f"its {what} is not shown")
        elif given != wanted:
            reasons.append(f"its {what} is {given}, not {wanted}")
    return f"server {ids} has the name, but {' and '.join(reasons)}" if reasons else ""


def tells_all(spec: ServerSpec, server: Server) -> bool:
    """Return whether *server* shows all that is compared with *spec*."""
    return all(given is not None for _, given, _ in _compared(spec, server))


def _compared(spec: ServerSpec, server: Server) -> list[tuple[str, str | None, str]]:
    return [
        ("name", server.name, spec.name),
        ("plan", _id(server.plan), str(spec.plan_id)),
        ("operating system", _id(server.os), str(spec.os_id)),
        ("location", server.location, spec.location),
    ]


def _id(part: Plan | OperatingSystem | None) -> str | None:
    return None if part is None or part.id is None else str(part.id)


publish(EnsureConflict, EnsurePreview, EnsureConflictError)
