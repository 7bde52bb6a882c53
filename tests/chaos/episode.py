"""Runs an episode of chaos: tasks use a client while faults come and go at random."""

from __future__ import annotations

import contextlib
import random

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import attrs
import httpx
import pytest

from tests.chaos.forwarder import Forwarder, at_random
from tests.chaos.invariants import Record
from tests.chaos.witness import Witness
from tests.rawserver import RawServer
from vpsorg_async import APIConnectionError, Client, PollPolicy, RetryPolicy, Server, ServerSpec, VPSError
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVERS = 6
CONNECTIONS = 4
TASKS = 8
HARD_LIMIT = 60.0
"""The real seconds after which an episode counts as hung."""

BEHIND = "/behind/all/that/was/sent"
"""The path of a request that tells that all earlier ones have arrived."""


@attrs.frozen(kw_only=True)
class Timing:
    """The lengths of the parts of an episode, in seconds of the client.

    These are seconds of the virtual clock, or of real time.

    Attributes:
        calls: the number of calls of each task.
        fault_seconds: the longest time that one set of faults lasts.
        patience: the longest time after which a caller gives up.
        wait: the longest time of a wait.
        stretch: the seconds of the sandbox in one second of the client.
    """

    calls: int
    fault_seconds: float
    patience: float
    wait: float
    stretch: float = 1.0


@attrs.define(eq=False)
class Episode:
    """The objects that the tasks of an episode share."""

    client: Client
    sandbox: Sandbox
    witness: Witness
    chance: random.Random
    timing: Timing
    forwarder: Forwarder | None = None
    elsewhere: RawServer | None = None
    # The share of new connections that the forwarder cuts.
    cut_share: float = 0.0
    _created: int = 0

    @property
    def record(self) -> Record:
        return self.witness.record(self.forwarder, self.elsewhere)

    @property
    def clock(self) -> Any:
        return self.client._context.clock

    def now(self) -> float:
        return self.witness.now()

    def some_id(self) -> int:
        """Return the id of a server, sometimes of one that does not exist."""
        ids = [server["id"] for server in self.sandbox.servers]
        return self.chance.choice(ids) if ids and self.chance.random() < 0.95 else 999

    def some_ids(self) -> list[int]:
        ids = [server["id"] for server in self.sandbox.servers]
        return self.chance.sample(ids, min(len(ids), self.chance.randint(1, 4)))

    def spec(self) -> dict[str, Any]:
        """Return the arguments of a create, with a name that is new in this sandbox."""
        self._created += 1
        hostname = self.chance.choice([None, "web.example.com"])
        location = self.chance.choice(["us-west", "us-east"])
        return {"name": f"chaos-{self._created}", "plan_id": 1, "os_id": 5, "location": location, "hostname": hostname}

    async def make(self, kind: str, function: Callable[[], Awaitable[Any]], *, name: str = "") -> Any:
        """Make a call, and record how it ends.

        Some calls are cancelled after some time or some turns of the event loop.
        """
        call = self.witness.begin(kind, self.now(), name=name)
        patience = self.chance.uniform(0, self.timing.patience) if self.chance.random() < 0.1 else None
        turns = self.chance.randrange(60) if self.chance.random() < 0.1 else None
        value = None
        with self.clock.move_on_after(patience) as scope:
            async with anyio.create_task_group() as group:
                if turns is not None:
                    group.start_soon(_cancel_after, turns, scope)
                try:
                    value = await function()
                except VPSError as error:
                    self.witness.raised(call, error)
                else:
                    self.witness.returned(call, value)
                group.cancel_scope.cancel()
        if scope.cancelled_caught and self.witness.is_running(call):
            self.witness.cancelled(call)
        return value


async def _cancel_after(turns: int, scope: Any) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


async def create(episode: Episode) -> None:
    spec = episode.spec()
    await episode.make("create", lambda: episode.client.servers.create(**spec), name=spec["name"])


async def get(episode: Episode) -> None:
    server_id = episode.some_id()
    await episode.make("get", lambda: episode.client.servers.get(server_id))


async def list_all(episode: Episode) -> None:
    status = episode.chance.choice([None, "active", "rebooting"])
    await episode.make("list", lambda: episode.client.servers.list(status=status).all())


async def list_some(episode: Episode) -> None:
    async def some() -> None:
        async for _ in episode.client.servers.list():
            if episode.chance.random() < 0.5:
                break

    await episode.make("list", some)


async def get_by_name(episode: Episode) -> None:
    await episode.make("by name", lambda: episode.client.servers.get_by_name("chaos-1"))


async def command(episode: Episode) -> None:
    """Send a command, and sometimes wait for its effect."""
    name, server_id = episode.chance.choice(["start", "stop", "reboot"]), episode.some_id()
    action = await episode.make(name, lambda: getattr(episode.client.servers, name)(server_id))
    if action is not None and episode.chance.random() < 0.6:
        await episode.make("wait", lambda: action.wait(timeout=episode.chance.uniform(0, episode.timing.wait)))


async def change(episode: Episode) -> None:
    server_id, servers = episode.some_id(), episode.client.servers
    name, backups = f"renamed-{episode.chance.randrange(100)}", episode.chance.random() < 0.5
    if episode.chance.random() < 0.5:
        await episode.make("update", lambda: servers.update(server_id, backups_enabled=backups))
    else:
        await episode.make(
            "replace", lambda: servers.replace(server_id, name=name, hostname=None, backups_enabled=backups)
        )


async def delete(episode: Episode) -> None:
    server_id = episode.some_id()
    await episode.make("delete", lambda: episode.client.servers.delete(server_id))
    if episode.chance.random() < 0.5:
        timeout = episode.chance.uniform(0, episode.timing.wait)
        await episode.make("wait", lambda: episode.client.servers.wait_until_deleted(server_id, timeout=timeout))


async def wait(episode: Episode) -> None:
    server_id, status = episode.some_id(), episode.chance.choice(["active", "stopped"])
    options = {"timeout": episode.chance.uniform(0, episode.timing.wait), "detail": episode.chance.random() < 0.5}
    stretch = episode.timing.stretch
    poll = PollPolicy(minimum=max(0.1, 1 / stretch), maximum=max(0.1, 5 / stretch))
    server: Server | None = await episode.make(
        "wait", lambda: episode.client.servers.wait_until(server_id, status=status, poll=poll, **options)
    )
    assert server is None or server.status == status


async def watch(episode: Episode) -> None:
    async def some() -> None:
        with episode.clock.move_on_after(episode.timing.wait / 4):
            async for _ in episode.client.servers.watch(interval=5 / episode.timing.stretch):
                if episode.chance.random() < 0.1:
                    break

    await episode.make("watch", some)


async def fleet(episode: Episode) -> None:
    ids = episode.some_ids()
    if not ids:
        return
    run = episode.client.fleet(ids)
    options = {"at_once": 2, "timeout": episode.timing.wait / 2}
    names = ["start", "stop", "reboot", "delete"]
    if (name := episode.chance.choice(names)) == "delete" and episode.chance.random() < 0.5:
        await episode.make("fleet", lambda: run.update(backups_enabled=True, **options))
    else:
        waited = episode.chance.random() < 0.5
        await episode.make("fleet", lambda: getattr(run, name)(wait=waited, **options))


async def fleet_create(episode: Episode) -> None:
    specs = [ServerSpec(**episode.spec()) for _ in range(episode.chance.randint(1, 4))]
    waited = episode.chance.random() < 0.3
    run = episode.client.fleet.create(specs, wait=waited, at_once=2, timeout=episode.timing.wait / 2)
    call = ""

    async def create_all() -> Any:
        nonlocal call
        call = episode.witness.current
        return await run

    await episode.make("fleet", create_all)
    if call:
        episode.witness.reported(call, run.report.outcomes)


OPERATIONS: dict[Callable[[Episode], Awaitable[None]], int] = {
    create: 5,
    get: 3,
    list_all: 2,
    list_some: 1,
    get_by_name: 1,
    command: 6,
    change: 2,
    delete: 1,
    wait: 3,
    watch: 1,
    fleet: 2,
    fleet_create: 2,
}
"""The operations that a task chooses from, and their weights."""


def some_fault(episode: Episode) -> Fault:
    """Return a random fault for some of the requests."""
    chance, stretch, elsewhere = episode.chance, episode.timing.stretch, "http://elsewhere.invalid/servers/"
    if episode.elsewhere is not None:
        elsewhere = f"{episode.elsewhere.base_url}/servers/"
    # A pause that all calls share lasts up to a minute, which is too long in real time.
    pauses = ["1", "nan", "-1"] if episode.forwarder is not None else ["1", "nan", "-1", "100000"]
    rule: dict[str, Any] = {
        "method": chance.choice([None, None, "GET", "POST", "POST", "DELETE"]),
        "probability": chance.choice([0.1, 0.3, 0.7]),
    }
    slow = chance.uniform(0, 0.2 * episode.timing.patience) if chance.random() < 0.8 else episode.timing.patience
    return chance.choice(
        [
            lambda: Fault.status(chance.choice([500, 502, 503, 504, 529]), **rule),
            lambda: Fault.status(chance.choice([429, 503]), headers={"Retry-After": "0.05"}, **rule),
            lambda: Fault.status(429, headers={"Retry-After": chance.choice(pauses)}, **rule),
            lambda: Fault.status(chance.choice([400, 401, 402, 403, 404, 408, 409, 422, 501]), **rule),
            lambda: Fault.status(chance.choice([301, 302, 307, 308]), headers={"Location": elsewhere}, **rule),
            lambda: Fault.drop(**rule),
            lambda: Fault.drop(after_commit=True, **rule),
            lambda: Fault.drop(after_commit=True, **rule),
            lambda: Fault.cut(chance.randrange(900), **rule),
            lambda: Fault.cut(chance.randrange(900), **rule),
            lambda: Fault.delay(slow * stretch, **rule),
            lambda: Fault.drip(chance.choice([50, 500, 5000]) * stretch, **rule),
            lambda: Fault.hang(**rule),
            lambda: Fault.stale(chance.uniform(0, 30), probability=0.5),
            lambda: Fault.omit(1, probability=0.5),
            lambda: Fault.loop(probability=0.5),
            lambda: Fault.as_status(chance.choice(["migrating", "", "suspended", "active"]), probability=0.3),
            lambda: Fault.html(**rule),
            lambda: Fault.bomb(1, **rule),
            lambda: Fault.end_in(chance.choice(["suspended", "stopped", "active"]), probability=0.3),
        ]
    )()


async def change_faults(episode: Episode) -> None:
    chance = episode.chance
    while True:
        without_faults = chance.random() < 0.25
        count = 0 if without_faults else chance.randint(1, 4)
        episode.sandbox.faults.clear()
        episode.sandbox.faults.add(*(some_fault(episode) for _ in range(count)))
        episode.cut_share = 0.0 if without_faults else chance.choice([0.0, 0.2, 0.6])
        episode.witness.gateway_fails = 0.0 if without_faults else chance.choice([0.0, 0.0, 0.3])
        await episode.clock.sleep(chance.uniform(0.1, 1) * episode.timing.fault_seconds)


async def use(episode: Episode) -> None:
    for _ in range(episode.timing.calls):
        await episode.clock.sleep(
            episode.chance.choice([0.0, 0.0, episode.chance.uniform(0, episode.timing.fault_seconds) / 5])
        )
        [operation] = episode.chance.choices(list(OPERATIONS), list(OPERATIONS.values()))
        await operation(episode)


async def close(episode: Episode) -> None:
    """Close the client while others use it, and record when earlier requests have arrived."""
    await episode.clock.sleep(episode.chance.uniform(0, 2) * episode.timing.fault_seconds)
    await episode.client.aclose()
    if episode.forwarder is None:
        episode.witness.closed_at = episode.now()
        episode.sandbox.advance(0.001)
        return
    await episode.forwarder.pass_on_what_was_sent()
    # It arrives after everything else. A fault may keep its response.
    async with httpx.AsyncClient(timeout=None) as other, anyio.create_task_group() as group:
        group.start_soon(_get, other, f"http://127.0.0.1:{episode.forwarder.target}{BEHIND}")
        while not any(call.path == BEHIND for call in episode.sandbox.calls):
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    episode.witness.closed_at = episode.now()


async def _get(client: httpx.AsyncClient, url: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        await client.get(url)


async def live(episode: Episode) -> None:
    """Run the tasks and change the faults, then end all faults and check the client."""
    closes = episode.chance.random() < 0.3
    with anyio.fail_after(HARD_LIMIT):
        async with anyio.create_task_group() as faults_group:
            faults_group.start_soon(change_faults, episode)
            async with anyio.create_task_group() as group:
                if closes:
                    group.start_soon(close, episode)
                for _ in range(TASKS):
                    group.start_soon(use, episode)
            faults_group.cancel_scope.cancel()
        episode.sandbox.faults.clear()
        episode.witness.gateway_fails = 0.0
        if episode.forwarder is not None:
            episode.forwarder.spare_all = True
        await (is_closed if closes else is_whole)(episode)


async def is_whole(episode: Episode) -> None:
    """Check that the pool lost no connection.

    Three times as many calls as connections all succeed.
    """

    async def read_list() -> None:
        await episode.client.servers.list(timeout=120).all()

    async with anyio.create_task_group() as group:
        for _ in range(3 * CONNECTIONS):
            group.start_soon(read_list)


async def is_closed(episode: Episode) -> None:
    with pytest.raises(APIConnectionError, match="the client is closed"):
        await episode.client.servers.list().all()


@asynccontextmanager
async def in_process(seed: int) -> AsyncIterator[Episode]:
    """Give an episode without sockets, on the virtual clock.

    The same seed gives the same episode.
    """
    sandbox = Sandbox(servers=SERVERS, seed=seed)
    witness = Witness(sandbox, max_connections=CONNECTIONS, seed=seed)
    timing = Timing(calls=10, fault_seconds=20.0, patience=20.0, wait=200.0)
    async with sandbox.client(max_connections=CONNECTIONS, on_event=witness.on_event) as client:
        witness.mark_requests_of(client)
        yield Episode(client=client, sandbox=sandbox, witness=witness, chance=random.Random(seed), timing=timing)


@asynccontextmanager
async def served(seed: int) -> AsyncIterator[Episode]:
    """Give an episode in real time, on sockets, through a forwarder that cuts connections."""
    chance = random.Random(seed)
    # At speed 1 no command ends. At speed 60 a lost create is often unknown, because the API's clock runs ahead.
    speed = chance.choice([1.0, 60.0])
    sandbox = Sandbox(servers=SERVERS, seed=seed)
    witness = Witness(sandbox, max_connections=CONNECTIONS, seed=seed)
    timing = Timing(calls=6, fault_seconds=0.4, patience=0.5, wait=1.0, stretch=speed)
    async with AsyncExitStack() as stack:
        base_url = await stack.enter_async_context(sandbox.serve(speed=speed))
        elsewhere = stack.enter_context(RawServer())
        next_cut = at_random(random.Random(seed), lambda: episode.cut_share)
        forwarder = stack.enter_context(Forwarder(httpx.URL(base_url).port, next_cut, now=witness.now))
        client = await stack.enter_async_context(
            Client(
                "vps_sandbox",
                base_url=forwarder.instead_of(base_url),
                max_connections=CONNECTIONS,
                timeout=1.5,
                attempt_timeout=0.4,
                retry=RetryPolicy(initial=0.02, maximum=0.1),
                on_event=witness.on_event,
            )
        )
        witness.mark_requests_of(client)
        episode = Episode(
            client=client,
            sandbox=sandbox,
            witness=witness,
            chance=chance,
            timing=timing,
            forwarder=forwarder,
            elsewhere=elsewhere,
        )
        yield episode
