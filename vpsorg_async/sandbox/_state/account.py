"""Model an account: its servers and credits follow from its event log and the time that is passed in."""

from __future__ import annotations

import math
import random

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from .catalogue import uuid_for
from .refusals import detail, not_found


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .catalogue import ExistingServer


class Transition(NamedTuple):
    """The statuses of a server before, during and after a command."""

    status_before: str | None
    transitional_status: str
    status_after: str


TRANSITIONS: dict[str, Transition] = {
    "create": Transition(None, "provisioning", "active"),
    "start": Transition("stopped", "starting", "active"),
    "stop": Transition("active", "stopping", "stopped"),
    "reboot": Transition("active", "rebooting", "active"),
}
"""The commands by name (VPS.org API documentation, "Statuses")."""

LASTING = ("active", "stopped", "suspended")
STATUSES = (*LASTING, *(transition.transitional_status for transition in TRANSITIONS.values()))

SECONDS: dict[str, tuple[float, float]] = {
    "create": (120.0, 300.0),  # the example of "Create server" says 2-5 minutes
    "start": (10.0, 30.0),  # assumed, like the next two
    "stop": (10.0, 30.0),
    "reboot": (20.0, 60.0),
}
"""The shortest and the longest duration of each command."""

FIRST_ID = 12345
"""The id in the examples of the API documentation."""

_REFUSALS = {
    ("start", "active"): "Server is already running.",
    ("stop", "stopped"): "Server is not running.",
    ("reboot", "stopped"): "Server is not running.",
}


@attrs.frozen
class Event:
    """Something that happened to a server of the account.

    Attributes:
        at: the time, in sandbox seconds.
        kind: `found`, `created`, `commanded`, `settled` (observed after its status had changed by itself), `changed`,
            `set` (a test sets its status, now or later) or `deleted`.
        server_id: the id of the server.
        data: the details, ready for JSON.
    """

    at: float
    kind: str
    server_id: int
    data: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen(kw_only=True)
class Server:
    """A server as its last event left it; `at` returns the server at a later time.

    Attributes:
        number: its position among all servers that the account has ever had, from 0.
        commands: the number of commands that it has received.
        ends_at: the time at which the current command ends; `None` without one.
        ends_in: the status after the current command.
        planned: the statuses that it will be set to, each after its time, in the order of their times.
        since: the time since which it has its status.
    """

    id: int
    number: int
    name: str
    hostname: str | None
    location: str
    plan_id: int
    os_id: int
    backups_enabled: bool
    created_at: float
    updated_at: float
    status: str
    commands: int = 0
    ends_at: float | None = None
    ends_in: str | None = None
    planned: tuple[tuple[float, str], ...] = ()
    since: float = -math.inf

    def at(self, now: float) -> Server:
        """Return the server at the time *now*, which is not before its last event."""
        due = [plan for plan in self.planned if plan[0] <= now]
        if due:
            # It ends the command, if the command has not ended before.
            at, status = due[-1]
            return self._becomes(status, at, planned=self.planned[len(due) :])
        if self.ends_at is None or self.ends_in is None or now < self.ends_at:
            return self
        return self._becomes(self.ends_in, self.ends_at)

    def _becomes(self, status: str, at: float, **changes: Any) -> Server:
        return attrs.evolve(self, status=status, since=at, updated_at=at, ends_at=None, ends_in=None, **changes)

    @property
    def uuid(self) -> str:
        """The key by which the vendor's own newer clients know the server."""
        return uuid_of(self.id)


def uuid_of(server_id: int) -> str:
    """Return the UUID of the server with that id."""
    return uuid_for("servers", server_id)


class Account:
    """The servers and credits of one account.

    Nothing happens by itself. A command that takes time is one event, which says when the command will end and in which
    status. The status of a server follows from that event and the time of the question. An account that replays the
    events of a log is therefore equal to the account that wrote them, and an account that replays the events up to a
    moment is the account of that moment.

    Attributes:
        log: every event, in order. Only `apply` may append to it.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        credits: int | None = None,  # noqa: A002
        quota: int | None = None,
        first_id: int = FIRST_ID,
    ) -> None:
        self.log: list[Event] = []
        self._seed = seed
        self._credits = credits
        self._quota = quota
        self._next_id = first_id
        self._first_id = first_id
        self._servers: dict[int, Server] = {}
        self._ids: dict[str, int] = {}

    def servers(self, now: float) -> Iterator[Server]:
        """Iterate over all servers at the time *now*, the oldest first."""
        return (self._settled(server, now) for server in list(self._servers.values()))

    def __len__(self) -> int:
        return len(self._servers)

    def servers_between(self, start: int, stop: int, now: float) -> list[Server]:
        """Return the servers from position *start* up to, not including, *stop*, at the time *now*."""
        return [self._settled(server, now) for server in list(self._servers.values())[start:stop]]

    def server(self, key: str, now: float) -> Server:
        """Return the server with the id or UUID *key* at the time *now*; refuse with 404."""
        server_id = self.id_of(key)
        if server_id is None or server_id not in self._servers:
            raise not_found()
        return self._settled(self._servers[server_id], now)

    def id_of(self, key: str) -> int | None:
        """Return *key* if it is an id, or the id of the existing server with that UUID."""
        return int(key) if key.isascii() and key.isdigit() and len(key) < 20 else self._ids.get(key.lower())  # noqa: PLR2004

    def _settled(self, server: Server, now: float) -> Server:
        """Return *server* at the time *now*, and store it, as time never goes back."""
        settled = server.at(now)
        if settled is not server:
            # In the log too: an account that replays it must not fall behind a status that a client has seen.
            self.apply(Event(now, "settled", server.id))
        return settled

    def as_of(self, moment: Callable[[int], float]) -> Account:
        """Return a copy that never changes: each server as it was at *moment(server id)*."""
        past = Account(seed=self._seed, first_id=self._first_id)
        for event in self.log:
            if event.at <= moment(event.server_id):
                past.apply(event)
        for server_id, server in past._servers.items():
            past._servers[server_id] = attrs.evolve(
                server.at(moment(server_id)), ends_at=None, ends_in=None, planned=()
            )
        return past

    def find(self, known: ExistingServer) -> None:
        """Add a server that existed before the sandbox started."""
        data = attrs.asdict(known) | {"backups_enabled": True}
        self.apply(Event(data.pop("created_at"), "found", self._next_id, data))

    def create(self, spec: Mapping[str, Any], now: float, ends_in: str = "active") -> Server:
        """Create a server; refuse with 400 above the quota, with 402 without credits."""
        if self._quota is not None and len(self._servers) >= self._quota:
            raise detail(400, f"Server quota exceeded ({len(self._servers)} of {self._quota}).")
        if self._credits is not None and self._credits < 1:
            raise detail(402, "Insufficient credits.")
        server_id = self._next_id
        seconds = self._duration("create", server_id, 0)
        self.apply(Event(now, "created", server_id, {**spec, "seconds": seconds, "ends_in": ends_in}))
        return self._servers[server_id]

    def command(self, server: Server, name: str, now: float, ends_in: str | None = None) -> Server:
        """Start, stop or reboot *server*; refuse with 400 if its status does not allow it."""
        transition = TRANSITIONS[name]
        if server.status != transition.status_before:
            raise detail(400, _REFUSALS.get((name, server.status), f"Server is {server.status}."))
        seconds = self._duration(name, server.id, server.commands)
        data = {"command": name, "seconds": seconds, "ends_in": ends_in or transition.status_after}
        self.apply(Event(now, "commanded", server.id, data))
        return self._servers[server.id]

    def change(self, server: Server, changes: Mapping[str, Any], now: float) -> Server:
        """Change settings of *server*."""
        self.apply(Event(now, "changed", server.id, dict(changes)))
        return self._servers[server.id]

    def resize(self, server: Server, plan_id: int, now: float) -> Server:
        """Change the plan of *server* at once; refuse with 400 during a command."""
        if server.status not in LASTING:
            raise detail(400, f"Server is {server.status}.")
        return self.change(server, {"plan_id": plan_id}, now)

    def delete(self, server: Server, now: float) -> None:
        """Delete *server* permanently."""
        self.apply(Event(now, "deleted", server.id))

    def set_status(self, server: Server, status: str, now: float, after: float) -> None:
        """Give *server* the status *after* seconds. A command that runs then is ended by it."""
        self.apply(Event(now, "set", server.id, {"status": status, "after": after}))

    def apply(self, event: Event) -> None:
        """Apply *event* to the servers and credits, and append it to the log."""
        match event.kind:
            case "found":
                self._add(event, status="active", updated_at=event.data["updated_at"])
            case "created":
                self._add(event, status="provisioning", updated_at=event.at)
                self._start_command(event)
                self._credits = None if self._credits is None else self._credits - 1
            case "commanded":
                self._update(event, status=TRANSITIONS[event.data["command"]].transitional_status)
                self._start_command(event)
            case "changed":
                self._update(event, **event.data)
            case "set":
                self._plan(event)
            case "settled":
                server = self._servers[event.server_id].at(event.at)
                self._servers[server.id] = server
            case "deleted":
                del self._ids[self._servers.pop(event.server_id).uuid]
            case _:
                raise ValueError(f"unknown kind of event: {event.kind!r}")
        self.log.append(event)

    def _add(self, event: Event, *, status: str, updated_at: float) -> None:
        data = {key: event.data[key] for key in ("name", "hostname", "location", "plan_id", "os_id", "backups_enabled")}
        server = Server(
            id=event.server_id,
            number=event.server_id - self._first_id,
            created_at=event.at,
            updated_at=updated_at,
            status=status,
            **data,
        )
        self._servers[server.id] = server
        self._ids[server.uuid] = server.id
        self._next_id = server.id + 1

    def _update(self, event: Event, **changes: Any) -> None:
        server = self._servers[event.server_id].at(event.at)
        self._servers[server.id] = attrs.evolve(server, updated_at=event.at, **changes)

    def _plan(self, event: Event) -> None:
        server = self._servers[event.server_id].at(event.at)
        plans = [*server.planned, (event.at + event.data["after"], event.data["status"])]
        # A stable sort: of two statuses for one moment, the last one given is the one that stays.
        planned = tuple(sorted(plans, key=lambda plan: plan[0]))
        self._servers[server.id] = attrs.evolve(server, planned=planned).at(event.at)

    def _start_command(self, event: Event) -> None:
        server = self._servers[event.server_id]
        self._servers[server.id] = attrs.evolve(
            server,
            since=event.at,
            commands=server.commands + 1,
            ends_at=event.at + event.data["seconds"],
            ends_in=event.data["ends_in"],
        )

    def _duration(self, command: str, server_id: int, nth: int) -> float:
        chance = random.Random(f"{self._seed}/{server_id}/{command}/{nth}")  # noqa: S311 -- no secret
        return round(chance.uniform(*SECONDS[command]), 1)
