"""Measures many watches of many servers, and the longest time for which a poll stops the event loop.

`python -m benchmarks.watches` prints a table. Servers are served by another process, in real time. Between two polls
one server in a hundred changes its status. A stop is the CPU time between two moments at which the event loop
could run another task, so other processes on the machine do not count. The garbage collector is left out of it, and
its longest run told beside it: that grows with all that a program keeps, and `gc.freeze()` shortens it. The first poll
tells every watch of every server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import re
import subprocess
import sys
import time
import tracemalloc

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import attrs

from benchmarks.running import ROOT
from benchmarks.shapes import PAGE, vps
from vpsorg_async import Client, PollPolicy


INTERVAL = 1.0
POLLS = 6
"""So many polls are measured after the first."""

SHARE = 100
"""One server in so many changes between two polls."""

TICK = 0.001
_PAGE = re.compile(rb"[?&]page=(\d+)")
_SINGLE = re.compile(rb"/servers/(\d+)/")
_TARGET = re.compile(rb"GET (\S+) ")


class Served(asyncio.Protocol):
    """One connection to a list of *count* servers. All requests for its first page are of one round."""

    rounds = itertools.count()
    bodies: tuple[list[bytes], ...] = ()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            target = match[1] if (match := _TARGET.match(head)) else b""
            if single := _SINGLE.search(target):
                self._transport.write(response_of(vps(int(single[1]))))
                continue
            number = int(match[1]) if (match := _PAGE.search(target)) else 1
            if number == 1:
                type(self).current = next(self.rounds) % 2
            self._transport.write(self.bodies[type(self).current][number - 1])

    current = 0


def response_of(body: Any) -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def bodies_of(count: int, port: int, status: str) -> list[bytes]:
    """Return the responses of all pages, in which one server in a hundred has *status*."""
    found, pages = [], -(-count // PAGE)
    for number in range(1, pages + 1):
        numbers = range(1 + (number - 1) * PAGE, 1 + min(number * PAGE, count))
        items = [{**vps(one), **({"status": status} if one % SHARE == 0 else {})} for one in numbers]
        url = f"http://127.0.0.1:{port}/api/v1/servers/?page_size={PAGE}&page={number + 1}"
        found.append(response_of({"count": count, "next": url if number < pages else None, "results": items}))
    return found


async def serve(count: int) -> None:
    """Print the port, and serve until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    Served.bodies = (bodies_of(count, port, "active"), bodies_of(count, port, "stopped"))
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextlib.contextmanager
def serving(count: int) -> Iterator[str]:
    """Give the base URL of so many servers while the context lasts."""
    command = [sys.executable, "-m", "benchmarks.watches", "--serve", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(child.stdout.readline())}/api/v1"
        finally:
            child.kill()


@attrs.define
class Stops:
    """The longest time in CPU seconds for which no other task could run, and the longest run of the collector."""

    longest: float = 0.0
    collecting: float = 0.0
    _began: float = 0.0
    _collected: float = 0.0

    async def run(self) -> None:
        """Look every millisecond, until cancelled."""
        before = time.thread_time()
        while True:
            await asyncio.sleep(TICK)
            now = time.thread_time()
            self.longest, before = max(self.longest, now - before - self._collected), now
            self._collected = 0.0

    def note(self, phase: str, _info: Any) -> None:
        """Note that the garbage collector begins or ends."""
        if phase == "start":
            self._began = time.thread_time()
        else:
            seconds = time.thread_time() - self._began
            self.collecting, self._collected = max(self.collecting, seconds), self._collected + seconds


@contextlib.asynccontextmanager
async def stops() -> AsyncIterator[Stops]:
    """Look for stops while the context lasts."""
    found = Stops()
    gc.callbacks.append(found.note)
    async with anyio.create_task_group() as group:
        group.start_soon(found.run)
        yield found
        group.cancel_scope.cancel()
    gc.callbacks.remove(found.note)


@attrs.define
class Watching:
    """So many watches of one client, each with a task that reads its changes."""

    base: str
    count: int
    told: int = 0
    polls: int = 0
    _polled: anyio.Event = attrs.field(factory=anyio.Event)

    def note(self, event: Any) -> None:
        if event.name == "poll.ended":
            self.polls += 1
            self._polled.set()
            self._polled = anyio.Event()

    async def poll(self, number: int) -> None:
        """Return when so many polls have ended, and what they brought was told."""
        while self.polls < number:
            await self._polled.wait()
        # Nothing else happens within half of an interval.
        await asyncio.sleep(INTERVAL / 2)

    async def read(self, client: Client) -> None:
        async for _ in client.servers.watch(interval=INTERVAL):
            self.told += 1

    @contextlib.asynccontextmanager
    async def begun(self) -> AsyncIterator[Client]:
        """Let the watches begin, and end them."""
        async with Client("vps_bench", base_url=self.base, on_event=self.note) as client:
            # The connections are there, and everything is imported.
            await client.servers.list()
            gc.collect()
            async with anyio.create_task_group() as group:
                for _ in range(self.count):
                    group.start_soon(self.read, client)
                yield client
                group.cancel_scope.cancel()


async def cpu_of(base: str, count: int) -> tuple[float, float]:
    """Return the CPU seconds of the first poll of so many watches, and of a later one."""
    began, watching = time.process_time(), Watching(base, count)
    async with watching.begun():
        began = time.process_time()
        await watching.poll(1)
        first, began = time.process_time() - began, time.process_time()
        await watching.poll(1 + POLLS)
        return first, (time.process_time() - began) / POLLS


async def stops_of(base: str, count: int) -> tuple[Stops, Stops]:
    """Return the stops during the first poll of so many watches, and during later ones."""
    watching = Watching(base, count)
    async with watching.begun():
        async with stops() as first:
            await watching.poll(1)
        async with stops() as later:
            await watching.poll(1 + POLLS)
    return first, later


async def stops_of_waits(base: str, count: int) -> tuple[Stops, Stops]:
    """Return the stops while so many waits poll a list, and while they all end with one list."""
    policy, ended, all_ended = PollPolicy(minimum=INTERVAL, maximum=INTERVAL), 0, anyio.Event()

    async def wait(client: Client, number: int, status: str) -> None:
        nonlocal ended
        await client.servers.wait_until(number, status=status, detail=False, timeout=600, poll=policy)
        ended += 1
        # One in a hundred is active in every second list only.
        if ended >= count * (SHARE - 1) // SHARE:
            all_ended.set()

    async def begin(group: Any, client: Client, status: str) -> None:
        for number in range(1, 1 + count):
            group.start_soon(wait, client, number, status)
            if number % 20 == 0:
                await asyncio.sleep(0)

    async with Client("vps_bench", base_url=base) as client:
        await client.servers.list()
        async with anyio.create_task_group() as group:
            await begin(group, client, "suspended")
            await asyncio.sleep(3 * INTERVAL)
            async with stops() as polling:
                await asyncio.sleep(POLLS * INTERVAL)
            group.cancel_scope.cancel()
        async with anyio.create_task_group() as group:
            async with stops() as ending:
                await begin(group, client, "active")
                await all_ended.wait()
            group.cancel_scope.cancel()
    return polling, ending


async def bytes_of_unread(base: str, count: int) -> list[int]:
    """Return the bytes that a watch keeps which nobody reads, after each of some polls."""
    watching, found = Watching(base, 1), []
    async with watching.begun() as client:
        await watching.poll(1)
        tracemalloc.start()
        unread = [client.servers.watch(interval=INTERVAL) for _ in range(count)]
        before = tracemalloc.get_traced_memory()[0]
        for one in unread:
            await anext(one)
        for number in range(2, 2 + POLLS):
            await watching.poll(number)
            gc.collect()
            found.append((tracemalloc.get_traced_memory()[0] - before) // count)
        tracemalloc.stop()
    return found


def main() -> None:
    """Print what watches, or waits, cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watches", description=__doc__)
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--servers", type=int, default=1_000)
    parser.add_argument("--watches", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--waits", action="store_true", help="measure a wait for each server, and no watches")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    with serving(options.servers) as base:
        if options.waits:
            polling, ending = asyncio.run(stops_of_waits(base, options.servers))
            print(f"{options.servers:,} waits: stop {shown(polling)} while polling, {shown(ending)} while all end")
            return
        for count in options.watches:
            first, poll = asyncio.run(cpu_of(base, count))
            first_stop, stop = asyncio.run(stops_of(base, count))
            print(
                f"{count:>5} watches of {options.servers:,}: the first poll {1000 * first:.0f} ms CPU, stop "
                f"{shown(first_stop)}; a later one {1000 * poll:.1f} ms, stop {shown(stop)}"
            )
        kept = asyncio.run(bytes_of_unread(base, 10))
        print(f"bytes that an unread watch keeps, poll by poll: {', '.join(f'{one:,}' for one in kept)}")


def shown(found: Stops) -> str:
    return f"{1000 * found.longest:.0f} ms (collector {1000 * found.collecting:.0f})"


if __name__ == "__main__":
    main()
