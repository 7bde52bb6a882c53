"""Measures one peer in its own process: `python -m benchmarks.peers NAME KIND BASE`.

It prints one line of JSON. The line is `{measure: {x: value}}`: CPU seconds of all threads and wall seconds for one
call, and bytes of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import importlib
import json
import os
import statistics
import sys
import time

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from benchmarks.peers import PEERS, TOKEN, Calls
from benchmarks.shapes import ID, SERVERS


Figures = dict[str, dict[str, float]]

CONNECTIONS = 100
MOST_THREADS = 100
ALL = str(SERVERS)
WARM_UP = 0.5
"""The length of the warm-up, as a share of the measured time: enough to open connections one by one."""


class Clock:
    """Measures the CPU and wall time of some calls."""

    def __init__(self) -> None:
        gc.collect()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def over(self, count: int) -> tuple[float, float]:
        return (time.process_time() - self._cpu) / count, (time.perf_counter() - self._wall) / count


async def drive(
    call: Callable[[], Awaitable[Any]], at_once: int, seconds: float, *, least: int = 2
) -> tuple[float, float]:
    """Return the CPU and wall time of a call, with *at_once* calls at once.

    Each task makes at least *least* calls.
    """
    calls = 0
    clock = Clock()
    until = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal calls
        done = 0
        while done < least or time.perf_counter() < until:
            await call()
            done += 1
        calls += done

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    return clock.over(calls)


def drive_threads(clients: Sequence[Calls], at_once: int, seconds: float) -> tuple[float, float]:
    """Return the CPU and wall time of a call from threads.

    Each thread has its own client and made a call before.
    """
    threads = min(at_once, len(clients))

    def work(client: Calls, until: float, least: int) -> int:
        done = 0
        while done < least or time.perf_counter() < until:
            client.get()
            done += 1
        return done

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda client: work(client, 0, 1), clients[:threads]))
        clock = Clock()
        until = time.perf_counter() + seconds
        calls = sum(pool.map(lambda client: work(client, until, max(2, at_once // threads)), clients[:threads]))
        return clock.over(calls)


def checked(server: Any, servers: Any) -> None:
    """Fail if the result is not the requested one: a client that fails fast would win."""
    number = server["id"] if isinstance(server, dict) else server.id
    assert number == ID, number
    assert servers is None or len(servers) == SERVERS, len(servers)


async def get(calls: Calls, options: argparse.Namespace) -> Figures:
    figures: Figures = defaultdict(dict)
    checked(await calls.get(), None)
    for at_once in options.at_once:
        await drive(calls.get, at_once, options.seconds * WARM_UP, least=1)
        figures["cpu"][str(at_once)], figures["wall"][str(at_once)] = await drive(calls.get, at_once, options.seconds)
    return figures


async def lists(calls: Calls, options: argparse.Namespace) -> Figures:  # noqa: ARG001 - like the others
    """Measure a list of all servers after one to warm up, for each server."""
    checked(await calls.get(), await calls.list_all())
    clock = Clock()
    await calls.list_all()
    cpu, wall = clock.over(SERVERS)
    return {"cpu": {ALL: cpu}, "wall": {ALL: wall}}


async def ahead(calls: Calls, options: argparse.Namespace) -> Figures:  # noqa: ARG001 - like the others
    """Measure the whole time of one list of all servers, from a server with a latency."""
    await calls.get()
    clock = Clock()
    servers = await calls.list_all()
    return {"wall": {str(len(servers)): clock.over(1)[1]}}


async def life(calls: Calls, options: argparse.Namespace) -> Figures:
    """Measure the time and the memory of each part of many calls, 100 at once."""
    figures: Figures = defaultdict(dict)
    part = options.calls // options.parts
    await drive(calls.get, CONNECTIONS, 0.2)
    for number in range(1, options.parts + 1):
        cost = await drive(calls.get, CONNECTIONS, 0, least=part // CONNECTIONS)
        figures["cpu"][str(number * part)] = cost[0]
        figures["memory"][str(number * part)] = memory()
    return figures


async def burst(calls: Calls, options: argparse.Namespace) -> Figures:
    """Measure calls that begin at the same moment, one task each."""
    figures: Figures = defaultdict(dict)
    await drive(calls.get, CONNECTIONS, 0.2)
    for at_once in options.at_once:
        for _ in range(2):
            cost = await drive(calls.get, at_once, 0, least=1)
        figures["cpu"][str(at_once)] = cost[0]
        figures["memory"][str(at_once)] = memory()
    return figures


KINDS: dict[str, Callable[[Calls, argparse.Namespace], Awaitable[Figures]]] = {
    "get": get,
    "lists": lists,
    "ahead": ahead,
    "life": life,
    "burst": burst,
}


def threaded(module: Any, options: argparse.Namespace) -> Figures:
    """Measure a sync client: `get` in threads, a list in one."""
    figures: Figures = defaultdict(dict)
    with contextlib.ExitStack() as stack:
        connect = functools.partial(module.connect, options.base, options.connections)
        clients = [stack.enter_context(connect()) for _ in range(MOST_THREADS)]
        checked(clients[0].get(), clients[0].list_all() if options.kind == "lists" else None)
        if options.kind == "lists":
            clock = Clock()
            clients[0].list_all()
            figures["cpu"][ALL], figures["wall"][ALL] = clock.over(SERVERS)
            return figures
        for at_once in options.at_once:
            cost = drive_threads(clients, at_once, options.seconds)
            figures["cpu"][str(at_once)], figures["wall"][str(at_once)] = cost
    return figures


async def awaited(module: Any, options: argparse.Namespace) -> Figures:
    async with module.connect(options.base, options.connections) as calls:
        return await KINDS[options.kind](calls, options)


def construct(options: argparse.Namespace) -> Figures:
    """Return the CPU seconds to make a client: the first, and the median of the next 100."""
    make = _maker(options.name)
    took = []
    for _ in range(101):
        clock = Clock()
        client = make()
        took.append(clock.over(1)[0])
        del client
    return {"first": {"1": took[0]}, "next": {"1": statistics.median(took[1:])}}


def _maker(name: str) -> Callable[[], Any]:
    if name == "httpx":
        import httpx  # noqa: PLC0415 - only for this peer

        return httpx.AsyncClient
    from vpsorg_async import Client  # noqa: PLC0415 - only for this peer

    return lambda: Client(TOKEN)


def memory() -> float:
    """Return the bytes of memory that the process uses."""
    gc.collect()
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - a file of the kernel
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(arguments: Iterable[str]) -> None:
    """Measure one peer, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("kind", choices=[*KINDS, "construct"])
    parser.add_argument("base")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--at-once", type=int, nargs="*", default=[1, 10, 100, 1_000])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--core", type=int)
    options = parser.parse_args([*arguments])
    if options.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core})
    if options.kind == "construct":
        figures = construct(options)
    else:
        module = importlib.import_module(f"benchmarks.peers.{PEERS[options.name].module}")
        figures = threaded(module, options) if PEERS[options.name].threads else asyncio.run(awaited(module, options))
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
