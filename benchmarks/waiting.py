"""Compares waits for many servers: a GET every 5 s for each, and this library.

Both run on the sandbox's clock. `python -m benchmarks.waiting` prints a table. `--most 10000` goes up to 10,000 waits
and takes some minutes.

Requests and lateness are exact. Lateness is the time from the moment a server became active to the moment the client
saw it, in seconds of the sandbox. CPU is the CPU of the process, less what the sandbox uses for its responses. Memory
is what tracemalloc counts for a wait, its task included, after a minute of waiting.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time
import tracemalloc

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs

from vpsorg_async import Client
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.in_process import InProcessTransport


LOOP_SECONDS = 5.0
SCATTER_SECONDS = 300.0
SPEC = {
    "hostname": None,
    "location": "us-west",
    "plan_id": 1,
    "os_id": 5,
    "ssh_key_id": None,
    "backups_enabled": False,
}
Wait = Callable[[Client, int], Awaitable[Any]]


@attrs.define
class Counted:
    """An ASGI app that counts its requests and CPU seconds."""

    app: Any
    requests: int = 0
    seconds: float = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began = time.process_time()
        self.requests += 1
        await self.app(scope, receive, send)
        self.seconds += time.process_time() - began


@attrs.define
class Figures:
    """The requests, CPU seconds and lateness of one way of waiting."""

    requests: int
    cpu: float
    late: list[float]

    def __str__(self) -> str:
        late = sorted(self.late)
        return (
            f"{self.requests:>9,} requests  {self.cpu:>7.2f} s CPU  late: median {statistics.median(late):5.2f}  "
            f"95 % {late[int(0.95 * (len(late) - 1))]:5.2f}  max {late[-1]:5.2f} s"
        )


class Trial:
    """A sandbox with its client, and servers that become active while the trial runs."""

    def __init__(self, seed: int) -> None:
        self.sandbox = Sandbox(seed=seed)
        self.app = Counted(self.sandbox.app)
        self.clock = self.sandbox._clock
        self.account = self.sandbox._backend.accounts[0]

    def client(self, app: Any = None) -> Client:
        """Return a client of the sandbox, or of *app*, which stands in front of it."""
        transport = InProcessTransport(app or self.app, self.clock)
        return Client._over(transport, self.clock, token="vps_sandbox", base_url="http://localhost/api/v1")

    def create(self, number: int) -> tuple[int, float]:
        """Create a server, and return its id and the time at which it becomes active."""
        server = self.account.create({"name": f"node-{number}", **SPEC}, self.clock.now())
        assert server.ends_at is not None
        return server.id, server.ends_at


async def loop(client: Client, server_id: int) -> None:
    """Wait as many programs do: a GET, then a sleep."""
    clock = client._context.clock
    while (await client.servers.get(server_id)).status != "active":
        await clock.sleep(LOOP_SECONDS)


async def library(client: Client, server_id: int) -> None:
    await client.servers.wait_until(server_id, status="active")


async def library_without_detail(client: Client, server_id: int) -> None:
    await client.servers.wait_until(server_id, status="active", detail=False)


def begins(count: int, *, scattered: bool) -> list[float]:
    """Return the times at which *count* waits begin."""
    chance = random.Random(count)
    return [chance.uniform(0, SCATTER_SECONDS) if scattered else 0.0 for _ in range(count)]


async def run(wait: Wait, count: int, scattered: bool) -> Figures:  # noqa: FBT001 - anyio.run passes arguments by position
    """Wait for *count* servers, all begun together or scattered over five minutes."""
    trial = Trial(seed=count)
    late: list[float] = []

    # Servers of waits that begin together are created before the client is measured.
    ready = [] if scattered else [trial.create(number) for number in range(count)]
    gc.collect()
    gc.freeze()

    async def one(client: Client, number: int, begin: float) -> None:
        await trial.clock.sleep(begin)
        server_id, ready_at = ready[number] if ready else trial.create(number)
        await wait(client, server_id)
        late.append(trial.clock.now() - ready_at)

    async with trial.client() as client:
        began = time.process_time()
        async with anyio.create_task_group() as group:
            for number, begin in enumerate(begins(count, scattered=scattered)):
                group.start_soon(one, client, number, begin)
        spent = time.process_time() - began - trial.app.seconds
    return Figures(trial.app.requests, spent, late)


async def memory(count: int, wait: Wait = library, seconds: float = 60.0) -> float:
    """Return the bytes that one of *count* waits holds after *seconds*."""
    trial = Trial(seed=count)
    servers = [trial.create(number)[0] for number in range(count)]
    async with trial.client() as client:
        await client.servers.list()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        async with anyio.create_task_group() as group:
            for server_id in servers:
                group.start_soon(wait, client, server_id)
            await trial.clock.sleep(seconds)
            held = tracemalloc.get_traced_memory()[0] - before
            group.cancel_scope.cancel()
        tracemalloc.stop()
    return held / count


async def alone(wait: Wait, command: str, times: int) -> Figures:
    """Wait *times* times for a single server, after a create or a start."""
    requests, cpu, late = 0, 0.0, []
    for seed in range(times):
        trial = Trial(seed=seed)
        server_id, ready_at = trial.create(0)
        if command == "start":
            trial.sandbox.advance(600)
            server = trial.account.command(trial.account.server(str(server_id), 600.0), "stop", 600.0)
            trial.sandbox.advance(600)
            server = trial.account.command(trial.account.server(str(server_id), 1200.0), "start", 1200.0)
            assert server.ends_at is not None
            ready_at = server.ends_at
        async with trial.client() as client:
            began = time.process_time()
            await wait(client, server_id)
            cpu += time.process_time() - began - trial.app.seconds
        requests += trial.app.requests
        late.append(trial.clock.now() - ready_at)
    return Figures(requests, cpu, late)


WAYS: dict[str, Wait] = {
    "loop": loop,
    "library, detail=False": library_without_detail,
    "library, detail=True": library,
}
MOST_LOOPS = 1_000
"""The most loops that run: loops for 10,000 servers would make 420,000 requests."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--most", type=int, default=1_000, help="waits at once, at most (default: %(default)s)")
    options = parser.parse_args()
    for command, name in (("create", "120 to 300 s"), ("start", "10 to 30 s")):
        print(f"\na single server, {name}, 200 times")
        for way, wait in WAYS.items():
            print(f"  {way:<24}{anyio.run(alone, wait, command, 200)}")
    for count in (10, 100, 1_000, 10_000):
        if count > options.most:
            break
        print(f"\n{count:,} servers: {anyio.run(memory, count):,.0f} bytes a wait")
        for scattered in (False, True):
            print("  scattered over five minutes" if scattered else "  begun together")
            for way, wait in WAYS.items():
                if wait is not loop or count <= MOST_LOOPS:
                    print(f"    {way:<24}{anyio.run(run, wait, count, scattered)}", flush=True)


if __name__ == "__main__":
    main()
