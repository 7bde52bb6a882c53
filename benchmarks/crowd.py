"""Measures many processes with one client each.

`python -m benchmarks.crowd BASE BASE CALLS FIRST COUNT` is one of them. Together the processes make 10,000 calls on the
benchmarks' server, each process 10 at once. Then they stop 500 servers and wait for them, on a sandbox that is served
in real time. All begin each step together, at a line on standard input.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import json
import pathlib
import subprocess
import sys
import time

from collections.abc import Iterator

import anyio

from benchmarks.running import ROOT, running
from benchmarks.shapes import ID
from vpsorg_async import Client
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._state.account import FIRST_ID


CALLS, SERVERS, AT_ONCE = 10_000, 500, 10
TOKEN = "vps_sandbox"


def measure(processes: int) -> dict[str, float]:
    """Return the figures of so many processes."""
    sandbox = Sandbox(token=TOKEN, servers=SERVERS)
    with running(tls=False) as bench, sandbox.serve() as base, crowd(processes, f"{bench.base()}/api/v1", base) as all_:
        started = [read_figures(child) for child in all_]
        calls, called = step(all_)
        _, waited = step(all_)
        requests = [call.at for call in sandbox.calls]
    return {
        "start": mean(started, "cpu"),
        "calls": CALLS / calls,
        "call": sum(figures["cpu"] for figures in called) / CALLS,
        "requests": len(requests),
        "most": max(bisect.bisect_left(requests, at + 1) - place for place, at in enumerate(requests)),
        "seconds": requests[-1] - requests[0],
        "waits": sum(figures["cpu"] for figures in waited),
        "rss": mean(waited, "Rss"),
        "pss": mean(waited, "Pss"),
    }


def mean(figures: list[dict[str, float]], name: str) -> float:
    return sum(one.get(name, 0.0) for one in figures) / len(figures)


@contextlib.contextmanager
def crowd(processes: int, calls: str, waits: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Run so many processes while the context lasts."""
    with contextlib.ExitStack() as stack:
        children = []
        for number in range(processes):
            share = SERVERS // processes
            numbers = (CALLS // processes, FIRST_ID + number * share, share)
            command = [sys.executable, "-m", "benchmarks.crowd", calls, waits, *map(str, numbers)]
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            stack.enter_context(child)
            stack.callback(child.kill)
            children.append(child)
        yield children


def read_figures(child: subprocess.Popen[str]) -> dict[str, float]:
    """Return the figures that *child* printed about its last step."""
    assert child.stdout is not None
    return dict(json.loads(child.stdout.readline()))


def step(children: list[subprocess.Popen[str]]) -> tuple[float, list[dict[str, float]]]:
    """Run the next step of all processes; return its seconds and their figures."""
    began = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    figures = [read_figures(child) for child in children]
    return time.perf_counter() - began, figures


def memory() -> dict[str, float]:
    """Return the bytes of this process in memory and its own share of them.

    Returns nothing on systems other than Linux.
    """
    try:
        lines = pathlib.Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return {}
    fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    return {name: float(fields[name][0]) * 1024 for name in ("Rss", "Pss")}


def done(began: float) -> float:
    """Print the figures of the step since *began*, and wait for the next step.

    Returns the CPU time at which the next step begins.
    """
    print(json.dumps({"cpu": time.process_time() - began, **memory()}), flush=True)
    sys.stdin.readline()
    return time.process_time()


async def one_of_them(options: argparse.Namespace) -> None:
    """Run the steps of one process."""
    async with Client(TOKEN, base_url=options.calls_base) as client, Client(TOKEN, base_url=options.base) as waiting:
        await client.servers.get(ID)
        began = done(0.0)
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(call, client, options.calls // AT_ONCE)
        began = done(began)
        servers = range(options.first, options.first + options.count)
        report = await waiting.fleet(servers).stop(at_once=options.count)
        report.raise_for_failures()
        done(began)


async def call(client: Client, times: int) -> None:
    for _ in range(times):
        await client.servers.get(ID)


def main() -> None:
    """Run one of many processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("calls_base")
    parser.add_argument("base")
    for name in ("calls", "first", "count"):
        parser.add_argument(name, type=int)
    anyio.run(one_of_them, parser.parse_args())


if __name__ == "__main__":
    main()
