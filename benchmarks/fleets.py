"""Fleets on the sandbox's clock: what an item costs in CPU, requests and memory; `python -m benchmarks --only fleets`.

All start servers of one account of 10,000 that are stopped, 20 at once, and wait until each is active. CPU is the
process's, less what the sandbox spends on answers. Memory is the most that tracemalloc counts while a fleet runs, less
what the sandbox remembers; traced, a fleet takes six times as long, so that a start takes but two seconds there.
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
    """What an item of one fleet cost."""

    requests: float
    cpu: float


def stopped(trial: Trial, count: int) -> list[int]:
    """Fill the account with servers that have stopped; return the ids of so many."""
    ids = [trial.create(number)[0] for number in range(ACCOUNT)]
    trial.sandbox.advance(600)
    for server in list(trial.account.servers(trial.clock.now())):
        trial.account.command(server, "stop", trial.clock.now())
    trial.sandbox.advance(60)
    return ids[:count]


def forget(trial: Trial) -> None:
    """Let the sandbox forget what it was asked: Python's garbage collector would walk through all of it."""
    trial.sandbox._backend.calls.clear()
    trial.account.log.clear()


async def run(count: int) -> Figures:
    """Start so many servers."""
    trial = Trial(seed=count)
    ids = stopped(trial, count)
    async with trial.client() as client:
        # Then it is known how large the account is: that costs the same for any fleet.
        await client.servers.list()
        gc.collect()
        gc.freeze()
        asked, answering, began = trial.app.requests, trial.app.seconds, time.process_time()
        report = await client.fleet(ids).start(on_outcome=lambda _: forget(trial))
        spent = time.process_time() - began - (trial.app.seconds - answering)
        gc.unfreeze()
    assert len(report.succeeded) == count, report
    return Figures((trial.app.requests - asked) / count, spent / count)


async def memory(count: int) -> float:
    """Return the bytes for each item when so many hold the most."""
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
