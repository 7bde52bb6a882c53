"""Tests cancels at every await: the next calls always find the client whole.

On sockets a test steps through a call, and cancels it at its k-th suspension, by a scope and as users of each backend
do. In-process, operations with tasks of their own (lists, waits, watches, fleets) are cancelled after the k-th turn of
the event loop.
"""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
import sniffio

from tests.chaos.forwarder import CountingServer
from tests.chaos.invariants import violations
from tests.chaos.witness import Witness
from tests.helpers import action, detail
from tests.helpers_api import SPEC, FakeAPI
from tests.rawserver import RawServer, certificates, json
from vpsorg_async import Client, PollPolicy, RetryPolicy, ServerSpec, VPSError
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio

LONG = 1_000.0
"""Seconds on the virtual clock, long enough for a task that was left running to send a request."""


SELDOM = PollPolicy(minimum=60, maximum=60)
MOST_TURNS = 150
"""The most turns that are tested: longer work has many equal turns of waiting."""


class Stepped:
    """An awaitable around a call that runs *cancel* at suspension number *at*, counted from 0."""

    def __init__(self, call: Any, at: int, cancel: Callable[[], object]) -> None:
        self.steps = 0
        self._call = call
        self._at = at
        self._cancel = cancel

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._call.__await__()
        resume: Callable[[], Any] = lambda: inner.send(None)  # noqa: E731
        while True:
            try:
                suspended = resume()
            except StopIteration as ended:
                return ended.value
            if self.steps == self._at:
                self._cancel()
            self.steps += 1
            try:
                value = yield suspended
                resume = lambda value=value: inner.send(value)  # noqa: E731
            except BaseException as error:  # noqa: BLE001 - thrown into the call
                resume = lambda error=error: inner.throw(error)  # noqa: E731


async def by_scope(call: Any, at: int) -> tuple[int, bool]:
    """Cancel *call* at suspension *at* by a scope.

    Returns the number of suspensions, and whether it was cancelled.
    """
    with anyio.CancelScope() as scope:
        stepped = Stepped(call, at, scope.cancel)
        await stepped
    return stepped.steps, scope.cancelled_caught


async def natively(call: Any, at: int) -> tuple[int, bool]:
    """Cancel *call* as users of each backend do: by `task.cancel()` where it exists."""
    if sniffio.current_async_library() == "trio":
        return await by_scope(call, at)
    stepped = Stepped(call, at, lambda: task.cancel())  # noqa: PLW0108 - it is assigned below

    async def run() -> None:
        await stepped

    task = asyncio.ensure_future(run())
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return stepped.steps, task.cancelled()


CALLS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "get": lambda client: client.servers.get(7),
    "list": lambda client: client.servers.list().all(),
    "create": lambda client: client.servers.create(**SPEC),
    "update": lambda client: client.servers.update(7, backups_enabled=True),
    "delete": lambda client: client.servers.delete(7),
    "stop": lambda client: client.servers.stop(7),
    "reboot": lambda client: client.servers.reboot(7),
    "a get that is retried": lambda client: client.servers.get(500),
    "a request": lambda client: client.request("POST", "/other/", json={"x": "y" * 30_000}),
}


WAYS = [
    *((name, cancelled, False) for name in CALLS for cancelled in (by_scope, natively)),
    *((name, by_scope, True) for name in ("get", "list", "create")),
]


def set_up_responses(server: RawServer) -> FakeAPI:
    api = FakeAPI(server)
    api.paged_by = 100
    api.add(250)
    server.answer("GET", "/servers/500/", json(503, {}))
    server.answer("PATCH", "/servers/7/", json(200, detail(7)))
    server.answer("DELETE", "/servers/7/", json(204, None))
    server.answer("POST", "/servers/7/stop/", json(200, action(7, "stopping")))
    server.answer("POST", "/servers/7/reboot/", json(200, action(7, "rebooting")))
    server.answer("POST", "/other/", json(200, {}))
    return api


@pytest.mark.parametrize(
    ("name", "cancelled", "tls"),
    WAYS,
    ids=[f"{name}, {cancelled.__name__}{', tls' * tls}" for name, cancelled, tls in WAYS],
)
async def test_a_call_cancelled_at_any_await_frees_or_closes_its_connection(name, cancelled, tls, places):
    """The client has one connection, and the calls after the cancelled one succeed.

    The cancelled call is the client's first or a later one.
    """
    with CountingServer(tls=certificates().valid if tls else None) as server:
        await cancel_everywhere(server, name, cancelled, places)


async def cancel_everywhere(server: CountingServer, name: str, cancelled: Any, places: Any) -> None:
    api, events, never = set_up_responses(server), [], 10**9
    retry = RetryPolicy(initial=0.001, maximum=0.001, budget=10)
    options = {"max_connections": 1, "ssl_context": certificates().trust, "retry": retry, "on_event": events.append}

    async def step(at: int, *, warm: bool) -> int:
        api.created.clear()
        server.requests.clear()
        events.clear()
        async with Client("vps_test", base_url=server.base_url, **options) as client:
            if warm:
                await client.servers.get(8)
            steps, was_cancelled = 0, False
            try:
                steps, was_cancelled = await cancelled(CALLS[name](client), at)
            except VPSError:
                assert name == "a get that is retried"
            for number in (9, 10):
                assert (await client.servers.get(number, timeout=5)).id == number
            assert len(server.requests_to("POST")) <= 1
            if was_cancelled and name == "create":
                abandoned = any(event.name == "create.abandoned" for event in events)
                assert abandoned or not api.created
        await server.until(lambda: server.connections_open == 0)
        return steps

    for warm in (False, True):
        total = 40 if name == "a get that is retried" else await step(never, warm=warm)
        for at in places(total):
            await step(at, warm=warm)
    assert max(server.open_at_each) == 1


@attrs.frozen
class Work:
    """An operation that takes many turns, with the faults and the servers of its sandbox."""

    begin: Callable[[Client, Sandbox], Awaitable[Any]]
    faults: tuple[Fault, ...] = ()
    servers: int = 3

    async def do(self, client: Client, sandbox: Sandbox) -> None:
        await self.begin(client, sandbox)


def first(sandbox: Sandbox) -> int:
    return sandbox.servers[0]["id"]


async def reboot_and_wait(client: Client, sandbox: Sandbox) -> None:
    await (await client.servers.reboot(first(sandbox))).wait()


async def delete_and_wait(client: Client, sandbox: Sandbox) -> None:
    server_id = first(sandbox)
    await client.servers.delete(server_id)
    await client.servers.wait_until_deleted(server_id)


async def create_and_wait(client: Client, sandbox: Sandbox) -> None:
    await (await client.servers.create(**SPEC)).wait_until(status="active", poll=SELDOM)


async def waits_beside_one_another(client: Client, sandbox: Sandbox) -> None:
    async with anyio.create_task_group() as group:
        for server in sandbox.servers:
            group.start_soon(stop_and_wait, client, server["id"])


async def stop_and_wait(client: Client, server_id: int) -> None:
    await (await client.servers.stop(server_id)).wait()


async def iterate(client: Client, sandbox: Sandbox) -> None:
    async for server in client.servers.list():
        if server.id == first(sandbox) + 110:
            break


async def watch(client: Client, sandbox: Sandbox) -> None:
    seen = 0
    await client.servers.stop(first(sandbox))
    async for _ in client.servers.watch():
        seen += 1
        if seen == len(sandbox.servers) + 1:
            break


async def read_outcomes(client: Client, sandbox: Sandbox) -> None:
    async with client.fleet([one["id"] for one in sandbox.servers]).reboot(wait=True) as run:
        async for _ in run:
            pass


def ids_of(sandbox: Sandbox) -> list[int]:
    return [server["id"] for server in sandbox.servers]


SPECS = [ServerSpec(**{**SPEC, "name": f"web-{number}"}) for number in range(3)]

WORK = {
    "a list of two pages": Work(lambda client, _: client.servers.list().all(), servers=120),
    "a list that is iterated": Work(iterate, servers=120),
    "a search by name": Work(lambda client, _: client.servers.get_by_name("web-02"), servers=120),
    "a create and its wait": Work(create_and_wait),
    "a create whose response is lost": Work(create_and_wait, (Fault.drop(after_commit=True, method="POST", times=1),)),
    "a create that is limited": Work(
        create_and_wait, (Fault.status(429, headers={"Retry-After": "3"}, method="POST", times=2),)
    ),
    "a reboot and its wait": Work(reboot_and_wait),
    "a reboot whose response is lost": Work(reboot_and_wait, (Fault.cut(30, method="POST", times=1),)),
    "a wait whose polls fail": Work(reboot_and_wait, (Fault.status(500, method="GET", every=2),)),
    "a wait for a deletion": Work(delete_and_wait),
    "waits that share their polls": Work(waits_beside_one_another),
    "a watch": Work(watch),
    "a fleet that stops": Work(lambda client, sandbox: client.fleet(ids_of(sandbox)).stop(wait=True, at_once=2)),
    "a fleet that is read": Work(read_outcomes),
    "a fleet that creates": Work(lambda client, _: client.fleet.create(SPECS, wait=False, at_once=2)),
    "a fleet whose creates are lost": Work(
        lambda client, _: client.fleet.create(SPECS, wait=False),
        (Fault.drop(after_commit=True, method="POST", every=2),),
    ),
}


@asynccontextmanager
async def at_work(work: Work):
    """Give a client with a single connection, its sandbox, and their witness."""
    sandbox = Sandbox(servers=work.servers)
    witness = Witness(sandbox, max_connections=1)
    sandbox.faults.add(*work.faults)
    async with sandbox.client(max_connections=1) as client:
        witness.mark_requests_of(client)
        yield client, sandbox, witness


async def turns_of(work: Work) -> int:
    """Return the number of turns of the event loop that *work* takes."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with at_work(work) as (client, sandbox, _), anyio.create_task_group() as group:
        group.start_soon(count)
        await work.do(client, sandbox)
        group.cancel_scope.cancel()
    return turns


@pytest.mark.parametrize("name", WORK)
async def test_work_cancelled_at_any_turn_sends_nothing_more(name, places):
    """No task goes on sending requests, the client still works, and nothing was doubled."""
    work = WORK[name]
    for turn in places(await turns_of(work), at_most=MOST_TURNS):
        async with at_work(work) as (client, sandbox, witness):
            call = witness.begin("fleet" if "fleet" in name else "wait", 0.0)
            async with anyio.create_task_group() as group:
                group.start_soon(work.do, client, sandbox)
                for _ in range(turn):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            witness.cancelled(call)
            sandbox.faults.clear()
            sent = len(sandbox.calls)
            await client._context.clock.sleep(LONG)
            assert len(sandbox.calls) == sent, turn
            async with anyio.create_task_group() as group:
                for _ in range(6):
                    group.start_soon(client.servers.get, sandbox.servers[-1]["id"])
        assert violations(witness.record()) == [], turn
