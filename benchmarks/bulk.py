"""Measures fleets against the ideal loop: `python -m benchmarks.bulk 1000:20:reboot 100:1:stop --durations bimodal`.

A cell is `account:at_once:what`. Each runs on the sandbox's clock, so requests and lateness are exact. The ideal loop
is reckoned from the durations of the same run: a POST, and a GET every 5 s from the moment of its acceptance on.
`--gather` also runs the loop that many programs have: `asyncio.gather` over a POST and a GET every 5 s, with raw httpx
and a semaphore.

Lateness is the time from the effect of a command to the outcome of its item. CPU is the CPU of the process, less what
the sandbox uses for its responses. Polls are those of the half minute that comes nearest to the ceiling, without one
request for the first and one for the last poll of each wait. A `!` follows a figure that misses its aim.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import heapq
import random
import time

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import anyio
import attrs
import httpx

from benchmarks import cells
from benchmarks.cells import DURATIONS, ITEMS, MAXIMUM, Cell, Figures, Poll, Wait
from benchmarks.fleets import forget
from benchmarks.waiting import SPEC, Trial
from vpsorg_async import Outcome, ServerSpec
from vpsorg_async.sandbox._server.in_process import InProcessTransport
from vpsorg_async.sandbox._state.account import Server


BEFORE = {"start": "stopped"}
GOAL = {"start": "active", "stop": "stopped", "reboot": "active", "create": "active"}
GONE = 404


class Api:
    """Stands in front of the sandbox: notes requests and commands, and gives commands their durations.

    It deletes servers after a time too, where the sandbox deletes them at once.
    """

    def __init__(self, trial: Trial, cell: Cell, items: int, latency: tuple[float, float] = (0.0, 0.0)) -> None:
        self._trial, self._cell, self._items = trial, cell, items
        self._latency, self._chance = latency, random.Random(0)
        self._delete, self._doomed, self._dying = trial.account.delete, list[tuple[float, int]](), set[int]()
        self.requests = 0
        self.polls: list[Poll] = []
        self.commands: dict[str, tuple[float, float]] = {}
        """When each command was accepted, and when it takes effect."""
        trial.account._duration = self._duration
        trial.account.delete = self._delete_later  # type: ignore[method-assign]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        clock, half = self._trial.clock, self._chance.uniform(*self._latency) / 2
        if scope["method"] == "GET":
            self.polls.append(Poll(clock.now(), scope["path"].rstrip("/").removeprefix("/api/v1/servers")[1:] or None))
        self.requests += 1
        if half:
            await clock.sleep(half)
        self._bury(clock.now())
        await self._trial.app(scope, receive, send)
        if half:
            await clock.sleep(half)

    def _duration(self, command: str, server_id: int, _: int) -> float:
        seed = f"{self._cell}/{server_id}"
        seconds = cells.duration(self._cell.durations, command, seed, len(self.commands) / self._items)
        now = self._trial.clock.now()
        self.commands[str(server_id)] = (now, now + seconds)
        return seconds

    def _delete_later(self, server: Server, now: float) -> None:
        if server.id not in self._dying:
            self._dying.add(server.id)
            heapq.heappush(self._doomed, (now + self._duration("delete", server.id, 0), server.id))
            self._bury(now)

    def _bury(self, now: float) -> None:
        while self._doomed and self._doomed[0][0] <= now:
            at, server_id = heapq.heappop(self._doomed)
            self._delete(self._trial.account.server(str(server_id), now), at)


@attrs.define
class Run:
    """A run of one cell: the API, the servers to command, and what became of them."""

    cell: Cell
    trial: Trial
    api: Api
    ids: Sequence[int]
    waits: dict[str, Wait] = attrs.Factory(dict)

    def saw(self, server_id: object) -> None:
        """Note that a command has been seen to have taken effect."""
        forget(self.trial)
        self.waits[str(server_id)] = Wait(*self.api.commands[str(server_id)], self.trial.clock.now())


def prepared(cell: Cell, items: int, latency: tuple[float, float]) -> Run:
    """Return a run whose account is full, and whose servers are in the status that the command needs."""
    trial = Trial(seed=cell.account)
    everything = [trial.create(number)[0] for number in range(cell.account)]
    trial.sandbox.advance(600)
    # Evenly from the whole list: the servers to command seldom stand side by side.
    ids = [] if cell.what == "create" else everything[:: cell.account // items][:items]
    if cell.what == "start":
        for server_id in ids:
            trial.account.command(trial.account.server(str(server_id), 600.0), "stop", 600.0)
        trial.sandbox.advance(60)
    forget(trial)
    return Run(cell, trial, Api(trial, cell, items, latency), ids)


def specs(items: int) -> Iterator[dict[str, Any]]:
    """Return the servers to create."""
    return ({**SPEC, "name": f"new-{number}"} for number in range(items))


async def library(run: Run, items: int) -> None:
    """Run a fleet."""

    def note(outcome: Outcome) -> None:
        if outcome.state == "succeeded":
            run.saw(outcome.server.id if run.cell.what == "create" and outcome.server else outcome.item)

    async with run.trial.client(run.api) as client:
        if run.cell.what == "create":
            wanted = [ServerSpec(**spec) for spec in specs(items)]
            await client.fleet.create(wanted, at_once=run.cell.at_once, on_outcome=note)
        else:
            await getattr(client.fleet(run.ids), run.cell.what)(at_once=run.cell.at_once, on_outcome=note)


async def gather(run: Run, items: int) -> None:
    """Run the loop that many programs have."""
    what, turn = run.cell.what, asyncio.Semaphore(run.cell.at_once)
    goal = GOAL.get(what)

    async def there(client: httpx.AsyncClient, server_id: int) -> bool:
        response = await client.get(f"servers/{server_id}/")
        return response.status_code == GONE if goal is None else response.json()["status"] == goal

    async def one(client: httpx.AsyncClient, job: Any) -> None:
        async with turn:
            if what == "create":
                job = (await client.post("servers/", json=job)).raise_for_status().json()["id"]
            elif what == "delete":
                (await client.delete(f"servers/{job}/")).raise_for_status()
            else:
                (await client.post(f"servers/{job}/{what}/")).raise_for_status()
            await run.trial.clock.sleep(MAXIMUM)
            while not await there(client, job):
                await run.trial.clock.sleep(MAXIMUM)
            run.saw(job)

    options: dict[str, Any] = {
        "base_url": "http://localhost/api/v1",
        "headers": {"Authorization": "Bearer vps_sandbox"},
    }
    transport = InProcessTransport(run.api, run.trial.clock)
    async with httpx.AsyncClient(transport=transport, timeout=None, **options) as client:
        await asyncio.gather(*(one(client, job) for job in (run.ids or specs(items))))


Way = Callable[[Run, int], Awaitable[None]]
WAYS: dict[str, Way] = {"library": library, "gather": gather}


async def measure(
    cell: Cell, way: Way = library, items: int = ITEMS, latency: tuple[float, float] = (0.0, 0.0)
) -> Figures:
    """Run a cell, and return its figures."""
    items = cell.items(items)
    run = prepared(cell, items, latency)
    gc.collect()
    gc.freeze()
    responding, began = run.trial.app.seconds, time.process_time()
    await way(run, items)
    spent = time.process_time() - began - (run.trial.app.seconds - responding)
    gc.unfreeze()
    return cells.figures(run.waits, run.api.polls, run.api.requests, spent, items)


def row(cell: Cell, way: str, found: Figures, latency: float) -> dict[str, str]:
    """Return a line of the table, by its heads."""
    bad = cells.missed(cell, found, latency) if way == "library" else set()

    def mark(name: str, text: str) -> str:
        return text + ("!" if name in bad else " ")

    return {
        "cell": str(cell),
        "way": way,
        "requests": f"{found.requests:.2f}",
        "loop's": f"{found.loop_requests:.2f}",
        "times": mark("times", f"{found.times:.2f}"),
        "late": f"{found.late:.2f}",
        "the loop": f"{found.loop_late:.2f}",
        "times ": mark("lateness", f"{found.lateness:.2f}"),
        "worst": mark("worst", f"{found.worst:.2f}"),
        "CPU ms": mark("cpu_ms", f"{found.cpu_ms:.1f}"),
        "polls/s": mark("polls", f"{found.polls:.2f}"),
        "ceiling": f"{found.allowed:.2f}",
        "failed": mark("failed", f"{found.failed}"),
    }


def aligned(texts: Iterable[str]) -> str:
    """Return a line of the table with its columns under their heads."""
    cell, way, *numbers = texts
    return " ".join([f"{cell:<32}", f"{way:<8}", *(f"{number:>8}" for number in numbers)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the cells, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("cells", nargs="+", metavar="ACCOUNT:AT_ONCE:WHAT[:DURATIONS]")
    parser.add_argument("--items", type=int, default=ITEMS, help="items of a cell, at least (default: %(default)s)")
    parser.add_argument(
        "--durations", nargs="+", choices=DURATIONS, default=["uniform"], metavar="DURATIONS", help=", ".join(DURATIONS)
    )
    parser.add_argument(
        "--latency",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("LEAST", "MOST"),
        help="seconds that a response takes",
    )
    parser.add_argument("--gather", action="store_true", help="run the loop with asyncio.gather too")
    options = parser.parse_args(arguments)
    headed = False
    wanted = dict.fromkeys(Cell.parse(text, durations) for text in options.cells for durations in options.durations)
    for cell in wanted:
        for name in WAYS if options.gather else ("library",):
            found = anyio.run(measure, cell, WAYS[name], options.items, tuple(options.latency))
            line = row(cell, name, found, options.latency[1])
            if not headed:
                print(aligned(line))
                headed = True
            print(aligned(line.values()), flush=True)


if __name__ == "__main__":
    main()
