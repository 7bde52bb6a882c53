"""One account: servers and credits, a function of its log of events and the time passed in. Pure.

Nothing happens in here by itself. A command that takes time is one event, which says when it will be over and where it
ends; what a server's status *is* follows from that and the time at which somebody looks. Replaying the events of a log
into a new account therefore gives the same account, and replaying the events up to a moment gives the account of then.
"""

from __future__ import annotations

import random

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from .catalogue import key_of
from .refusals import detail, not_found


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .catalogue import Found


class Transition(NamedTuple):
    """What a command does to a server: from which status, through which, to which."""

    before: str | None
    through: str
    after: str


TRANSITIONS: dict[str, Transition] = {
    "create": Transition(None, "provisioning", "active"),
    "start": Transition("stopped", "starting", "active"),
    "stop": Transition("active", "stopping", "stopped"),
    "reboot": Transition("active", "rebooting", "active"),
}
"""The contract's table of statuses."""

LASTING = ("active", "stopped", "suspended")
STATUSES = (*LASTING, *(transition.through for transition in TRANSITIONS.values()))

SECONDS: dict[str, tuple[float, float]] = {
    "create": (120.0, 300.0),  # "2-5 minutes", says the contract's example of a create
    "start": (10.0, 30.0),  # assumed, as the next two
    "stop": (10.0, 30.0),
    "reboot": (20.0, 60.0),
}
"""How long a command takes, at least and at most."""

FIRST_ID = 12345
"""The id in the contract's examples."""

_REFUSALS = {
    ("start", "active"): "Server is already running.",
    ("stop", "stopped"): "Server is not running.",
    ("reboot", "stopped"): "Server is not running.",
}


@attrs.frozen
class Event:
    """Something that happened to a server of the account.

    Attributes:
        at: when, in sandbox seconds.
        kind: `found`, `created`, `commanded`, `settled` (seen after its command was over), `changed` or `deleted`.
        server_id: to which server.
        data: what more there is to know, JSON-ready.
    """

    at: float
    kind: str
    server_id: int
    data: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Server:
    """A server, as the event before left it; `at` tells what it has become since.

    Attributes:
        number: its place among all servers that the account ever had.
        commands: how many commands it was given.
        ends_at: when the command under way is over; `None` without one.
        ends_in: the status that it then has.
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

    def at(self, now: float) -> Server:
        """Return the server as it is at *now*, no earlier than its last event."""
        if self.ends_at is None or self.ends_in is None or now < self.ends_at:
            return self
        return attrs.evolve(self, status=self.ends_in, updated_at=self.ends_at, ends_at=None, ends_in=None)

    @property
    def uuid(self) -> str:
        """The key by which the vendor's own newer clients ask for it."""
        return uuid_of(self.id)


def uuid_of(server_id: int) -> str:
    """Return the other key of the server with that id."""
    return key_of("servers", server_id)


class Account:
    """Servers and credits.

    Attributes:
        log: every event, in order; append through `apply` alone.
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
        """Give every server as it is at *now*, the oldest first."""
        return (self._settled(server, now) for server in list(self._servers.values()))

    def __len__(self) -> int:
        return len(self._servers)

    def servers_between(self, start: int, stop: int, now: float) -> list[Server]:
        """Return the servers from place *start* to before *stop*, as they are at *now*."""
        return [self._settled(server, now) for server in list(self._servers.values())[start:stop]]

    def server(self, key: str, now: float) -> Server:
        """Return the server with that id or UUID, as it is at *now*; refuse with 404."""
        server_id = self.id_of(key)
        if server_id is None or server_id not in self._servers:
            raise not_found()
        return self._settled(self._servers[server_id], now)

    def id_of(self, key: str) -> int | None:
        """Return the id that *key*, an id or the UUID of a server that is there, stands for."""
        return int(key) if key.isascii() and key.isdigit() and len(key) < 20 else self._ids.get(key.lower())  # noqa: PLR2004

    def _settled(self, server: Server, now: float) -> Server:
        """Return *server* as it is at *now*; kept, as time does not go back, for those who ask again."""
        settled = server.at(now)
        if settled is not server:
            # Also in the log: whoever replays it must not fall behind what somebody has been shown.
            self.apply(Event(now, "settled", server.id))
        return settled

    def as_of(self, moment: Callable[[int], float]) -> Account:
        """Return the account with each server as it was at the *moment* of its id, and so for ever."""
        past = Account(seed=self._seed, first_id=self._first_id)
        for event in self.log:
            if event.at <= moment(event.server_id):
                past.apply(event)
        for server_id, server in past._servers.items():
            past._servers[server_id] = attrs.evolve(server.at(moment(server_id)), ends_at=None, ends_in=None)
        return past

    def find(self, known: Found) -> None:
        """Begin with a server that was there before."""
        data = attrs.asdict(known) | {"backups_enabled": True}
        self.apply(Event(data.pop("created_at"), "found", self._next_id, data))

    def create(self, spec: Mapping[str, Any], now: float, ends_in: str = "active") -> Server:
        """Begin a server, or refuse: with 400 when the quota is reached, with 402 when the credits are used up."""
        if self._quota is not None and len(self._servers) >= self._quota:
            raise detail(400, f"Server quota exceeded ({len(self._servers)} of {self._quota}).")
        if self._credits is not None and self._credits < 1:
            raise detail(402, "Insufficient credits.")
        server_id = self._next_id
        seconds = self._duration("create", server_id, 0)
        self.apply(Event(now, "created", server_id, {**spec, "seconds": seconds, "ends_in": ends_in}))
        return self._servers[server_id]

    def command(self, server: Server, name: str, now: float, ends_in: str | None = None) -> Server:
        """Start, stop or reboot, or refuse with 400 when the table has no such move."""
        transition = TRANSITIONS[name]
        if server.status != transition.before:
            raise detail(400, _REFUSALS.get((name, server.status), f"Server is {server.status}."))
        seconds = self._duration(name, server.id, server.commands)
        data = {"command": name, "seconds": seconds, "ends_in": ends_in or transition.after}
        self.apply(Event(now, "commanded", server.id, data))
        return self._servers[server.id]

    def change(self, server: Server, changes: Mapping[str, Any], now: float) -> Server:
        """Change settings."""
        self.apply(Event(now, "changed", server.id, dict(changes)))
        return self._servers[server.id]

    def resize(self, server: Server, plan_id: int, now: float) -> Server:
        """Change the plan, at once; refuse with 400 while something else is under way."""
        if server.status not in LASTING:
            raise detail(400, f"Server is {server.status}.")
        return self.change(server, {"plan_id": plan_id}, now)

    def delete(self, server: Server, now: float) -> None:
        """Delete for good."""
        self.apply(Event(now, "deleted", server.id))

    def apply(self, event: Event) -> None:
        """Let *event* happen, and keep it in the log."""
        match event.kind:
            case "found":
                self._add(event, status="active", updated_at=event.data["updated_at"])
            case "created":
                self._add(event, status="provisioning", updated_at=event.at)
                self._begin(event)
                self._credits = None if self._credits is None else self._credits - 1
            case "commanded":
                self._update(event, status=TRANSITIONS[event.data["command"]].through)
                self._begin(event)
            case "changed":
                self._update(event, **event.data)
            case "settled":
                server = self._servers[event.server_id].at(event.at)
                self._servers[server.id] = server
            case "deleted":
                del self._ids[self._servers.pop(event.server_id).uuid]
            case _:
                raise ValueError(f"no such event: {event.kind!r}")
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

    def _begin(self, event: Event) -> None:
        server = self._servers[event.server_id]
        self._servers[server.id] = attrs.evolve(
            server,
            commands=server.commands + 1,
            ends_at=event.at + event.data["seconds"],
            ends_in=event.data["ends_in"],
        )

    def _duration(self, command: str, server_id: int, nth: int) -> float:
        chance = random.Random(f"{self._seed}/{server_id}/{command}/{nth}")  # noqa: S311 -- no secret
        return round(chance.uniform(*SECONDS[command]), 1)
