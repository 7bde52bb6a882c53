"""Ten thousand waits on an API that lags, flaps, fails, queues commands and has clocks that disagree: seeded.

The API is a model of its own: each server has a timeline of statuses, and each response shows what one node knew some
seconds before. Only what nobody could tell from the truth is left out: see the comments. Three rules hold for every
wait. It is not *fooled*: it never ends before its command is over. It is not *forgotten*: it does not time out long
after its goal was reached. It is not *ended by what passes*: an outage of seconds, a flap or a lagging node fails no
wait.
"""

from __future__ import annotations

import bisect
import collections
import json
import random

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import attrs
import httpx
import pytest

from tests.conftest import BACKENDS
from vpsorg_async import Client, PollPolicy, UnexpectedStatusError, VPSError, WaitTimeoutError
from vpsorg_async.sandbox._clocks.virtual import VirtualClock


pytestmark = pytest.mark.anyio
WAITS_AT_ONCE = 100
SERVERS = 40
SECONDS = 400.0
LONGEST_LAG = 10.0
REST = 14.0
"""A server gets no command so soon after its last change: no node shows what was before that change any more."""
LATE = 75.0
"""A wait ends at most so long after its goal: the lag, the grace, the polls of an outage and the outage itself."""
EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOALS = ("active", "stopped")
COMMANDS = {
    "start": ("stopped", "starting", "active"),
    "stop": ("active", "stopping", "stopped"),
    "reboot": ("active", "rebooting", "active"),
}


@attrs.frozen
class State:
    """What a server is from a time on, and its `updated_at` then."""

    at: float
    status: str
    name: str
    stamp: datetime


@attrs.define(eq=False)
class Machine:
    """A server: its states in order, some of them still to come."""

    id: int
    states: list[State]
    # While it flaps, responses show this status.
    flap_until: float = -1.0
    flap: str = ""

    def state(self, at: float) -> State:
        return self.states[max(0, bisect.bisect_right(self.states, at, key=lambda state: state.at) - 1)]

    def rests(self, now: float) -> bool:
        return now - self.states[-1].at >= REST


@attrs.define(eq=False)
class Waiter:
    """One wait: what it is for, and what has become of it."""

    machine: Machine
    goal: str = ""
    command: str | None = None
    # When the command is over.
    over: float = 0.0
    began: float = 0.0
    deadline: float = 0.0
    end: str = ""
    ended: float = 0.0
    error: VPSError | None = None


class World(httpx.AsyncBaseTransport):
    """The API. *style* tells what it does with `updated_at`."""

    def __init__(self, clock: VirtualClock, chance: random.Random, style: str) -> None:
        self.clock = clock
        self.weather = "fair"
        self.lags = [0.0, 0.0, 0.0]
        self._chance = chance
        self._style = style
        # Node clocks that differ by minutes, and an hour that is repeated at the end of daylight saving time.
        self._offsets = [0.0, chance.uniform(-200, 200), chance.uniform(-200, 200)] if style == "skewed" else [0.0] * 3
        self._falls_back = SECONDS / 2 if style == "skewed" else float("inf")
        self.machines = {
            number: Machine(number, [State(-1000.0, chance.choice(GOALS), f"web-{number}", EPOCH)])
            for number in range(1, SERVERS + 1)
        }

    def stamp(self, at: float, before: datetime) -> datetime:
        """Return the `updated_at` that a change gets from the node that makes it."""
        if self._style == "still":
            return before
        local = at + self._chance.choice(self._offsets) - (3600 if at >= self._falls_back else 0)
        return EPOCH + timedelta(seconds=round(local, 6))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with self.clock.answering():
            await self.clock.sleep(self._latency())
            response = self._answer(request)
            await self.clock.sleep(self._latency())
        return response

    def _latency(self) -> float:
        return self._chance.uniform(0, 0.3) if self._chance.random() < 0.9 else self._chance.uniform(0.3, 2.0)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.strip("/").split("/")[2:]
        if request.method == "POST":
            return self._command(self.machines[int(parts[1])], parts[2])
        match self.weather:
            case "broken":
                return httpx.Response(self._chance.choice([500, 502, 503]), json={"detail": "Oops."})
            case "cut":
                raise httpx.ReadError("cut")
        node = self._chance.randrange(3)
        # Where `updated_at` never moves, nobody can tell what lags.
        at = self.clock.now() - (0.0 if self._style == "still" else self.lags[node])
        if len(parts) == 1:
            results = [self._shown(machine, at, listed=True) for machine in self.machines.values()]
            return self._response({"count": len(results), "next": None, "results": results}, node)
        return self._response(self._shown(self.machines[int(parts[1])], at, listed=False), node)

    def _response(self, body: Any, node: int) -> httpx.Response:
        date = EPOCH + timedelta(seconds=self.clock.now() + self._offsets[node])
        return httpx.Response(200, headers={"Date": format_datetime(date, usegmt=True)}, content=json.dumps(body))

    def _shown(self, machine: Machine, at: float, *, listed: bool) -> dict[str, Any]:
        state, latest = machine.state(at), machine.state(self.clock.now())
        if state.stamp > latest.stamp:
            # Nobody could tell a replica that lags from one that is up to date, if its `updated_at` is the newer one.
            state = latest
        status = machine.flap if self.clock.now() < machine.flap_until else state.status
        stamp = state.stamp.isoformat(timespec="seconds" if listed else "microseconds").replace("+00:00", "Z")
        shown = {"id": machine.id, "name": state.name, "status": status, "updated_at": stamp}
        return shown if listed else {**shown, "hostname": None, "backups_enabled": False}

    def _command(self, machine: Machine, name: str) -> httpx.Response:
        now, (before, transitional, after) = self.clock.now(), COMMANDS[name]
        # Nobody could tell a flap from the effect of a command.
        machine.flap_until = now
        if not machine.rests(now) or machine.state(now).status != before:
            return httpx.Response(400, json={"detail": "not now"})
        says_so = self._chance.random() < 0.5
        queued = self._queued(says_so)
        begins = now + queued
        ends = begins + self._chance.uniform(30, 45)
        if queued > 2 and self._chance.random() < 0.3:
            # Somebody renames the server while the command is queued.
            self._change(machine, now + queued / 2, before, name=f"renamed-{machine.id}-{len(machine.states)}")
        self._change(machine, begins, transitional)
        self._change(machine, ends, after)
        server = {"id": machine.id, "name": "x", "status": transitional if says_so else before}
        body = {"status": "success", "message": "Accepted.", "server": server}
        return self._response(body, self._chance.randrange(3))

    def _queued(self, says_so: bool) -> float:
        """Return how long a command is queued: only where something but time can tell, longer than the grace."""
        if self._chance.random() < 0.4:
            return 0.0
        if self._style == "still":
            return self._chance.uniform(0, 3 if says_so else 40)
        return self._chance.uniform(0, 45 if says_so else 90)

    def _change(self, machine: Machine, at: float, status: str, *, name: str | None = None) -> None:
        last = machine.states[-1]
        machine.states.append(State(at, status, name or last.name, self.stamp(at, last.stamp)))


async def weather(world: World, chance: random.Random) -> None:
    """Let nodes lag, outages come for up to twenty seconds, and servers flap for less than three."""
    while True:
        await world.clock.sleep(chance.uniform(5, 25))
        world.weather = chance.choice(["fair", "fair", "fair", "broken", "cut"])
        world.lags = [0.0, chance.uniform(0, LONGEST_LAG), chance.choice([0.0, chance.uniform(0, LONGEST_LAG)])]
        for machine in chance.sample([*world.machines.values()], 6):
            if machine.rests(world.clock.now()):
                machine.flap = chance.choice(["suspended", ""])
                machine.flap_until = world.clock.now() + chance.uniform(0, 1.5)
        if world.weather != "fair":
            await world.clock.sleep(chance.uniform(1, 20))
            world.weather = "fair"


async def one_wait(waiter: Waiter, client: Client, world: World, chance: random.Random) -> None:
    """Come at some time, perhaps with a command, wait for what it leads to, and go."""
    clock, machine = world.clock, waiter.machine
    await clock.sleep(chance.uniform(0, SECONDS))
    patience = chance.choice([None, None, None, chance.uniform(0, 100)])
    timeout = chance.choice([6.0, 60.0, 300.0, 300.0, 300.0])
    with clock.move_on_after(patience):
        try:
            await give_command(waiter, client, world, chance)
            waiter.began = clock.now()
            waiter.deadline = waiter.began + timeout
            server = await client.servers.wait_until(
                machine.id,
                status=waiter.goal,
                timeout=timeout,
                poll=PollPolicy(),
                on_change=chance.choice([None, lambda _server: None]),
                detail=chance.random() < 0.5,
            )
            waiter.end = "done"
            assert server.status == waiter.goal
        except WaitTimeoutError:
            waiter.end = "timed out"
        except VPSError as error:
            waiter.end, waiter.error = "failed", error
    waiter.end = waiter.end or "cancelled"
    waiter.ended = clock.now()


async def give_command(waiter: Waiter, client: Client, world: World, chance: random.Random) -> None:
    machine, now = waiter.machine, world.clock.now()
    status = machine.state(now).status
    possible = [name for name, (before, _, _) in COMMANDS.items() if before == status and machine.rests(now)]
    waiter.goal = chance.choice(GOALS)
    if not possible or chance.random() < 0.25:
        return
    name = chance.choice(possible)
    known = len(machine.states)
    try:
        await getattr(client.servers, name)(machine.id)
    except VPSError:
        # Another wait's command came first.
        return
    assert len(machine.states) > known
    waiter.command, waiter.goal, waiter.over = name, COMMANDS[name][2], machine.states[-1].at


async def one_schedule(seed: int) -> collections.Counter[str]:
    """Let a hundred waits happen, check what each of them was promised, and count how they ended."""
    chance = random.Random(seed)
    clock = VirtualClock()
    style = ("moving", "still", "skewed")[seed % 3]
    world = World(clock, chance, style)
    waiters = [Waiter(chance.choice([*world.machines.values()])) for _ in range(WAITS_AT_ONCE)]
    options: dict[str, Any] = {"token": "vps_simulated", "base_url": "http://localhost/api/v1"}

    with anyio.fail_after(120):
        async with Client._over(world, clock, **options) as client, anyio.create_task_group() as sky:
            await client.servers.list()
            sky.start_soon(weather, world, chance)
            async with anyio.create_task_group() as group:
                for waiter in waiters:
                    group.start_soon(one_wait, waiter, client, world, chance)
            sky.cancel_scope.cancel()

    counts = collections.Counter(waiter.end for waiter in waiters)
    for waiter in waiters:
        check(waiter, f"seed {seed}, {style}: {waiter.command} of server {waiter.machine.id}")
    return counts


def check(waiter: Waiter, words: str) -> None:
    machine = waiter.machine
    if waiter.end in ("done", "timed out"):
        assert waiter.ended <= waiter.deadline + 1, f"late: {words}"
    if waiter.end == "done" and waiter.command is not None:
        assert waiter.ended >= waiter.over, f"fooled: {words}, {waiter.over - waiter.ended:.1f} s too early"
    if waiter.end == "timed out":
        reached = machine.state(waiter.ended)
        stays = reached.status == waiter.goal and all(
            state.status == waiter.goal for state in machine.states if reached.at <= state.at <= waiter.ended
        )
        # A command of another wait is under way: the status from before it does not count.
        under_way = machine.states[-1].at > waiter.ended
        late = waiter.ended - max(reached.at, waiter.over, waiter.began) >= LATE
        assert not (stays and late and not under_way), f"forgotten: {words}"
    if waiter.end == "failed":
        assert isinstance(waiter.error, UnexpectedStatusError), f"ended by what passes: {words}: {waiter.error!r}"
        # Another wait's command has taken it elsewhere, for good. What the last poll shows is believed at once, also if
        # that is a flap.
        latest = waiter.ended if waiter.ended >= waiter.deadline else waiter.ended - 1
        shown = {machine.state(at).status for at in (latest, waiter.ended - 3, waiter.ended - LONGEST_LAG - 3)}
        shown |= {"suspended"} if waiter.ended >= waiter.deadline else set()
        assert waiter.error.server is not None
        assert waiter.error.server.status in shown - {waiter.goal}, f"ended by what passes: {words}: {waiter.error}"


async def all_of(schedules: int, record: Any) -> None:
    counts = collections.Counter[str]()
    for seed in range(schedules):
        counts += await one_schedule(seed)

    record("told", ", ".join(f"{name} {number}" for name, number in sorted(counts.items())))
    assert sum(counts.values()) == schedules * WAITS_AT_ONCE
    assert {end: counts[end] for end in ("done", "timed out", "cancelled") if counts[end] < 5 * schedules} == {}


async def test_three_hundred_waits(record_property):
    """The short form, on every backend: each of the three kinds of API once."""
    await all_of(3, record_property)


@pytest.mark.heavy
@pytest.mark.parametrize("anyio_backend", [BACKENDS["uvloop"]], ids=["uvloop"])
async def test_ten_thousand_waits(record_property):
    """Nobody fooled, nobody forgotten, nobody ended by what passes."""
    await all_of(102, record_property)
