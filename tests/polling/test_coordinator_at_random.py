"""Ten thousand waits that come, go, are cancelled and have commands, while the API fails and lags: seeded.

Responses take their own time, so that they end in another order than they began. Watches are among the waits, and a
change wakes them at any time. A wait that returns a server must have got it from a poll begun after its command was
answered, and no sooner than the sandbox says that the command was over; no wait ends later than a second after its
deadline; every wait ends; and no watch tells what is older than what it told before.
"""

from __future__ import annotations

import collections
import contextlib
import json
import random

from contextvars import ContextVar
from typing import Any

import anyio
import attrs
import httpx
import pytest

from tests.conftest import BACKENDS
from vpsorg_async import Client, PollPolicy, StateConflictError, VPSError, WaitTimeoutError
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._api.app import BASE_PATH
from vpsorg_async.sandbox._server.in_process import InProcessTransport


pytestmark = pytest.mark.anyio
WAITS_AT_ONCE = 100
WATCHES = 6
SERVERS = 30
SECONDS = 240.0
LAG = 6.0
GOALS = ("active", "stopped")
ENDS = ("done", "timed out", "cancelled", "failed")
ROLES = ("led", "lost the lead while polling", "changes told")
WHO: ContextVar[int | None] = ContextVar("WHO", default=None)


@attrs.define(eq=False)
class Waiter:
    """One wait: what it is for, and what has become of it."""

    number: int
    server_id: int
    goal: str = "active"
    command: str | None = None
    answered: float = 0.0
    # When the sandbox will be done with the command.
    over: float = 0.0
    deadline: float = 0.0
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    end: str = ""
    ended: float = 0.0
    led: bool = False
    lost: bool = False


class UnkindTransport(httpx.AsyncBaseTransport):
    """The sandbox's answers, late, spoiled or out of date as the weather has it; cancels some of those who poll."""

    def __init__(self, sandbox: Sandbox, chance: random.Random, waiters: dict[int, Waiter]) -> None:
        self.weather = "fair"
        # When each poll began, which server it showed, and in which status.
        self.polls: list[tuple[float, int, str]] = []
        self._inner = InProcessTransport(sandbox.app, sandbox._clock)
        self._clock = sandbox._clock
        self._chance = chance
        self._waiters = waiters
        self._pages: dict[str, list[tuple[float, bytes]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        waiter = self._waiters.get(WHO.get() or -1)
        path, began = request.url.path.removeprefix(BASE_PATH), self._clock.now()
        if request.method != "GET":
            return await self._inner.handle_async_request(request)
        if waiter is not None:
            waiter.led = waiter.led or path != f"/servers/{waiter.server_id}/"
            if self._chance.random() < 0.08:
                waiter.lost = True
                waiter.scope.cancel()
        await self._clock.sleep(self._latency())
        match self.weather:
            case "broken":
                return httpx.Response(self._chance.choice([500, 502, 503]), json={"detail": "Oops."})
            case "cut":
                raise httpx.ReadError("cut")
            case "busy":
                return httpx.Response(429, headers={"Retry-After": "3"}, json={"detail": "Slow down."})
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        if path == "/servers/":
            body = self._lagging(str(request.url), body)
        shown = json.loads(body)
        self.polls += [(began, one["id"], one["status"]) for one in shown.get("results", [shown]) if "id" in one]
        await self._clock.sleep(self._latency())
        return httpx.Response(response.status_code, headers={"Date": response.headers["Date"]}, content=body)

    def _latency(self) -> float:
        """Return how long a part of a response's way takes: one in five is overtaken by others."""
        return self._chance.uniform(0, 0.4) if self._chance.random() < 0.8 else self._chance.uniform(0.4, 3.0)

    def _lagging(self, url: str, body: bytes) -> bytes:
        """Return the page as it was up to some seconds ago."""
        pages, now = self._pages.setdefault(url, []), self._clock.now()
        pages.append((now, body))
        if self.weather != "lagging":
            return body
        return next(page for at, page in pages if at >= now - LAG)


async def one_wait(waiter: Waiter, client: Client, sandbox: Sandbox, chance: random.Random) -> None:
    """Come at some time, perhaps with a command, wait for what it leads to, and go."""
    clock = sandbox._clock
    await clock.sleep(chance.uniform(0, SECONDS / 2))
    WHO.set(waiter.number)
    patience = chance.choice([None, None, chance.uniform(0, 40)])
    timeout = chance.choice([3.0, 8.0, 90.0, 90.0, 200.0])
    with waiter.scope, clock.move_on_after(patience):
        try:
            await give_command(waiter, client, sandbox, chance)
            waiter.deadline = clock.now() + timeout
            server = await client.servers.wait_until(
                waiter.server_id,
                status=waiter.goal,
                timeout=timeout,
                poll=PollPolicy(failures=chance.choice([3, 5]), outage=chance.choice([5.0, 30.0])),
                on_change=chance.choice([None, lambda _server: None]),
                detail=chance.random() < 0.5,
            )
            waiter.end = "done"
            assert server.status == waiter.goal
        except WaitTimeoutError:
            waiter.end = "timed out"
        except VPSError:
            waiter.end = "failed"
    waiter.end = waiter.end or "cancelled"
    waiter.ended = clock.now()


async def give_command(waiter: Waiter, client: Client, sandbox: Sandbox, chance: random.Random) -> None:
    server = next(one for one in sandbox.servers if one["id"] == waiter.server_id)
    commands = {"active": ["stop", "reboot", None], "stopped": ["start", None]}.get(server["status"], [None])
    waiter.command = chance.choice(commands)
    waiter.goal = {"start": "active", "stop": "stopped", "reboot": "active"}.get(waiter.command or "", "")
    if waiter.command is None:
        waiter.goal = chance.choice(GOALS)
        return
    with contextlib.suppress(StateConflictError):
        await getattr(client.servers, waiter.command)(waiter.server_id)
        waiter.answered = sandbox._clock.now()
        # Another server may have been given its command between this one's and its answer.
        log = reversed(sandbox._backend.accounts[0].log)
        event = next(one for one in log if (one.kind, one.server_id) == ("commanded", waiter.server_id))
        waiter.over = event.at + event.data["seconds"]
        return
    # Another wait's command came first.
    waiter.command = None


async def one_watch(told: list[Any], client: Client, clock: Any, chance: random.Random) -> None:
    """Come at some time, watch all servers or some, and go; what its polls fail with does not matter."""
    await clock.sleep(chance.uniform(0, SECONDS / 2))
    server_ids = chance.choice([None, None, [server.id for server in await everything(client)][:9]])
    watch = client.servers.watch(server_ids, interval=chance.choice([1.0, 5.0]))
    with clock.move_on_after(chance.uniform(5, 100)):
        while True:
            with contextlib.suppress(VPSError):
                change = await anext(watch)
                told.append(change)
                # A slow consumer, at times.
                await clock.sleep(chance.choice([0, 0, 2.0]))


async def everything(client: Client) -> list[Any]:
    while True:
        with contextlib.suppress(VPSError):
            return await client.servers.list()


async def weather(transport: UnkindTransport, sandbox: Sandbox, chance: random.Random) -> None:
    while True:
        await sandbox._clock.sleep(chance.uniform(3, 20))
        transport.weather = chance.choice(
            ["fair", "fair", "fair", "broken", "cut", "busy", "busy", "lagging", "lagging", "lagging"]
        )


async def one_schedule(seed: int) -> collections.Counter[str]:
    """Let a hundred waits happen, check what each of them was promised, and count how they ended."""
    chance = random.Random(seed)
    sandbox = Sandbox(servers=SERVERS, seed=seed)
    ids = [server["id"] for server in sandbox.servers]
    waiters = {number: Waiter(number, chance.choice(ids)) for number in range(1, WAITS_AT_ONCE + 1)}
    transport = UnkindTransport(sandbox, chance, waiters)
    watched: list[list[Any]] = [[] for _ in range(WATCHES)]
    options: dict[str, Any] = {"token": "vps_sandbox", "base_url": f"http://localhost{BASE_PATH}"}

    with anyio.fail_after(120):
        async with Client._over(transport, sandbox._clock, **options) as client, anyio.create_task_group() as sky:
            # From here on it is known that one page shows all.
            await client.servers.list()
            sky.start_soon(weather, transport, sandbox, chance)
            for told in watched:
                sky.start_soon(one_watch, told, client, sandbox._clock, chance)
            async with anyio.create_task_group() as group:
                for waiter in waiters.values():
                    group.start_soon(one_wait, waiter, client, sandbox, chance)
            sky.cancel_scope.cancel()

    for waiter in waiters.values():
        check(waiter, transport)
    for told in watched:
        check_watch(told)
    counts = collections.Counter(waiter.end for waiter in waiters.values())
    counts["led"] = sum(waiter.led for waiter in waiters.values())
    counts["lost the lead while polling"] = sum(waiter.lost for waiter in waiters.values())
    counts["changes told"] = sum(map(len, watched))
    return counts


def check(waiter: Waiter, transport: UnkindTransport) -> None:
    assert waiter.end in ENDS
    if waiter.end in ("done", "timed out"):
        assert waiter.ended <= waiter.deadline + 1
    if waiter.end != "done":
        return
    assert any(
        waiter.answered <= began <= waiter.ended
        for began, server_id, status in transport.polls
        if (server_id, status) == (waiter.server_id, waiter.goal)
    )
    if waiter.command is not None:
        assert waiter.ended >= waiter.over


def check_watch(told: list[Any]) -> None:
    """Hold each server's changes against the one before."""
    last: dict[int, Any] = {}
    for change in told:
        server = change.after
        if server is not None:
            assert server.id not in last or last[server.id] <= server.updated_at
            last[server.id] = server.updated_at


async def all_of(schedules: int, least: int, record: Any) -> None:
    """Let the schedules happen; each kind of end, and each role of a wait, must have come at least so often."""
    counts = collections.Counter[str]()
    for seed in range(schedules):
        counts += await one_schedule(seed)

    record("told", ", ".join(f"{name} {counts[name]}" for name in (*ENDS, *ROLES)))
    assert sum(counts[end] for end in ENDS) == schedules * WAITS_AT_ONCE
    assert {name: counts[name] for name in (*ENDS, *ROLES) if counts[name] < least} == {}


async def test_four_hundred_waits(record_property):
    """The short form, on every backend."""
    await all_of(4, 4, record_property)


@pytest.mark.heavy
@pytest.mark.parametrize("anyio_backend", [BACKENDS["uvloop"]], ids=["uvloop"])
async def test_ten_thousand_waits(record_property):
    """Each kind of end, leading, and losing the lead while polling: at least 500 times."""
    await all_of(100, 500, record_property)
