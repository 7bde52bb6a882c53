"""Measures the CPU, the requests and the memory of an item of a fleet.

`python -m benchmarks --only fleets` runs it, on the sandbox's clock. Each fleet starts stopped servers of one account
of 10,000, 20 at once, and waits until each is active. CPU is the CPU of the process, less what the sandbox uses for its
responses. Memory is the most that tracemalloc counts while a fleet runs, less what the sandbox remembers. With
tracemalloc a fleet takes six times as long, so a start takes only two seconds of the clock there.
"""

from __future__ import annotations

import gc
import time
import tracemalloc

from typing import Any

import attrs

from benchmarks.waiting import Trial


ACCOUNT = 10_000
QUICK_START = 2.0


@attrs.define
class Figures:
    """The requests and CPU seconds of one item of a fleet."""

    requests: float
    cpu: float


def stopped(trial: Trial, count: int) -> list[int]:
    """Fill the account with stopped servers, and return the ids of *count* of them."""
    ids = [trial.create(number)[0] for number in range(ACCOUNT)]
    trial.sandbox.advance(600)
    for server in list(trial.account.servers(trial.clock.now())):
        trial.account.command(server, "stop", trial.clock.now())
    trial.sandbox.advance(60)
    return ids[:count]


def forget(trial: Trial) -> None:
    """Let the sandbox forget its requests, which Python's garbage collector would walk."""
    trial.sandbox._backend.calls.clear()
    trial.account.log.clear()


async def run(count: int) -> Figures:
    """Start *count* servers with a fleet, and return the figures of an item."""
    trial = Trial(seed=count)
    ids = stopped(trial, count)
    async with trial.client() as client:
        # The client now knows the size of the account, which costs the same for any fleet.
        await client.servers.list()
        gc.collect()
        gc.freeze()
        requests, responding, began = trial.app.requests, trial.app.seconds, time.process_time()
        report = await client.fleet(ids).start(on_outcome=lambda _: forget(trial))
        spent = time.process_time() - began - (trial.app.seconds - responding)
        gc.unfreeze()
    assert len(report.succeeded) == count, report
    return Figures((trial.app.requests - requests) / count, spent / count)


async def memory(count: int) -> float:
    """Return the bytes for each of *count* items when the fleet holds the most memory."""
    trial = Trial(seed=count)
    ids = stopped(trial, count)
    trial.account._duration = lambda *_: QUICK_START
    most = 0

    def weigh(_: Any) -> None:
        nonlocal most
        forget(trial)
        most = max(most, tracemalloc.get_traced_memory()[0])

    async with trial.client() as client:
        await client.servers.list()
        gc.collect()
        tracemalloc.start()
        report = await client.fleet(ids).start(on_outcome=weigh)
        tracemalloc.stop()
    assert len(report.succeeded) == count, report
    return most / count
