"""Runs the trials of `docs/reliability.md` on three clients, and makes the tables.

`python -m tests.chaos.table` runs each trial ten times and prints the tables. `--runs small` runs each twice. `--write`
writes the page. Exits with 1 if this library lost, doubled, misread, hung on or leaked anything, or left too much
unknown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import platform
import random
import socket
import sys
import time

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx

from tests.chaos.gateway import Gateway
from tests.chaos.peers import CONTENDERS, Contender
from tests.chaos.report import Result, document, problems, split, table, totals
from tests.chaos.trials import MARGIN_SECONDS, TRIALS, Told, Trial, Truth, classify
from tests.helpers import ROOT
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._state.account import FIRST_ID


RUNS = {"small": 2, "full": 10}
AT_ONCE = 64
"""The number of jobs at once, each in a thread with its own event loop. They wait for most of their time."""

NAMED = ("vpsorg-async", "httpx", "tenacity", "openai")

BETWEEN_BEGINS = 0.03
"""The seconds that the setup of a job takes, so that jobs do not slow each other down."""

IN_A_ROW = 5
"""The number of runs of a trial on one sandbox and one client, one after another."""

LONGEST_TRANSITION = 60.0


@attrs.frozen
class Run:
    """One run of a trial: its number, its server, and the sandbox."""

    number: int
    server_id: int
    sandbox: Sandbox

    @property
    def name(self) -> str:
        """The name of the server that a create makes."""
        return f"run-{self.number}"

    @property
    def verb(self) -> str:
        """The command of a start or stop: `start` for every second run."""
        return "start" if starts(self.number) else "stop"

    def made(self) -> list[dict[str, Any]]:
        """Return the servers with the name of this run."""
        return [server for server in self.sandbox.servers if server["name"] == self.name]

    def carried_out(self, method: str, path: str) -> Truth:
        """Return how often the API executed such a request, whatever became of the response."""
        commits = sum(
            (call.method, call.path) == (method, path) and 200 <= call.status < 300 for call in self.sandbox.calls
        )
        return Truth(commits, commits == 1)

    def has_rebooted(self) -> Truth:
        """Return whether the server has been rebooted and is active now."""
        executed = self.carried_out("POST", f"/servers/{self.server_id}/reboot/").value
        active = self.is_active([server for server in self.sandbox.servers if server["id"] == self.server_id]).value
        return Truth(0, executed and active)

    def is_active(self, servers: Sequence[dict[str, Any]]) -> Truth:
        """Return whether *servers* is one server that is active now."""
        return Truth(0, [server["status"] for server in servers] == ["active"])


def starts(number: int) -> bool:
    """Return whether the run of that number is a start, and not a stop."""
    return number % 2 == 0


async def _create(api: Contender, run: Run) -> int:
    return await api.create(run.name)


async def _reboot(api: Contender, run: Run) -> bool:
    await api.command(run.server_id, "reboot")
    return True


async def _start_or_stop(api: Contender, run: Run) -> bool:
    await api.command(run.server_id, run.verb)
    return True


async def _delete(api: Contender, run: Run) -> bool:
    await api.delete(run.server_id)
    return True


async def _list(api: Contender, _run: Run) -> list[int]:
    return sorted(await api.list())


async def _reboot_and_wait(api: Contender, run: Run) -> bool:
    await api.command(run.server_id, "reboot")
    await api.wait(run.server_id)
    return True


async def _create_and_wait(api: Contender, run: Run) -> bool:
    await api.wait(await api.create(run.name))
    return True


def _created(run: Run) -> Truth:
    ids = [server["id"] for server in run.made()]
    return Truth(len(ids), ids[0] if ids else None)


CALLS: dict[str, tuple[Callable[[Contender, Run], Awaitable[object]], Callable[[Run], Truth]]] = {
    "create": (_create, _created),
    "reboot": (_reboot, lambda run: run.carried_out("POST", f"/servers/{run.server_id}/reboot/")),
    "start or stop": (_start_or_stop, lambda run: run.carried_out("POST", f"/servers/{run.server_id}/{run.verb}/")),
    "delete": (_delete, lambda run: run.carried_out("DELETE", f"/servers/{run.server_id}/")),
    "list": (_list, lambda run: Truth(0, sorted(server["id"] for server in run.sandbox.servers))),
    "reboot, wait": (_reboot_and_wait, lambda run: run.has_rebooted()),
    "create, wait": (_create_and_wait, lambda run: run.is_active(run.made())),
}
"""For each operation: the call, and the state of the API's own account after the call has ended."""


@attrs.frozen
class Job:
    """Some runs of a trial on one contender."""

    trial: Trial
    contender: type[Contender]
    numbers: range
    seed: int

    def run(self) -> list[Result]:
        """Run them in a new event loop, and return their results.

        A new event loop shows tasks that are left behind.
        """
        return asyncio.run(self._run())

    async def _run(self) -> list[Result]:
        operation = self.trial.spec
        sandbox = Sandbox(seed=self.seed, servers=operation.servers + len(self.numbers))
        runs = [Run(number, FIRST_ID + operation.servers + place, sandbox) for place, number in enumerate(self.numbers)]
        if operation.stopped:
            await _stop(sandbox, [run.server_id for run in runs if starts(run.number)])
        gateway = sandbox.app = Gateway(sandbox.app, operation.speed)
        async with sandbox.serve(speed=operation.speed) as base_url:
            api = self.contender(base_url, operation.speed)
            results = [await self._run_once(api, run, gateway) for run in runs]
            await api.close()
            leaked = await left_behind(httpx.URL(base_url).port)
        return [attrs.evolve(results[0], leaked=leaked), *results[1:]]

    async def _run_once(self, api: Contender, run: Run, gateway: Gateway) -> Result:
        trial, operation = self.trial, self.trial.spec
        trouble = trial.trouble(random.Random(f"{self.seed}/{trial.operation}/{trial.fault}/{run.number}"))
        call, truth_of = CALLS[trial.operation]
        told, note = Told("nothing"), ""
        gateway.begin(trouble)
        before = len(run.sandbox.faults.log)
        with run.sandbox.faults.inject(*trouble.faults), anyio.move_on_after(operation.seconds + MARGIN_SECONDS):
            try:
                told = Told("done", await call(api, run))
            except Exception as error:  # noqa: BLE001 -- every error that a caller would get
                note = f"{type(error).__name__}: {error}"
                told = Told("unknown" if operation.changes and not api.says_not_done(error) else "error")
        truth = truth_of(run)
        return Result(
            trial=trial,
            contender=api.name,
            verdict=classify(truth, told),
            committed=truth.commits > 0,
            applied=len(run.sandbox.faults.log) > before or gateway.applied,
            note=note,
        )


async def _stop(sandbox: Sandbox, servers: Sequence[int]) -> None:
    async with sandbox.client() as admin:
        for server_id in servers:
            await admin.servers.stop(server_id)
    sandbox.advance(LONGEST_TRANSITION)


async def left_behind(port: int, *, checks: int = 20) -> int:
    """Return how many tasks of this loop and sockets to *port* stay.

    They are counted every 0.05 s until there are none.
    """
    for _ in range(checks):
        await asyncio.sleep(0.05)
        left = len(asyncio.all_tasks()) - 1 + connections_to(port)
        if not left:
            break
    return left


def connections_to(port: int) -> int:
    """Return how many sockets of this process are connected to *port*."""
    return sum(_peer(int(number.name)) == port for number in Path("/dev/fd").iterdir())


def _peer(number: int) -> int | None:
    """Return the port at the other end of a file descriptor, or `None` if it has none."""
    with contextlib.suppress(OSError):  # not a socket, not connected, or closed meanwhile
        borrowed = socket.socket(fileno=number)
        try:
            peer = borrowed.getpeername()
        finally:
            borrowed.detach()
        return peer[1] if isinstance(peer, tuple) else None
    return None


def jobs(runs: int, seed: int, trials: Sequence[Trial] = TRIALS) -> list[Job]:
    """Return all jobs. Those in which a client hangs come first, so that they do not end last."""
    found = [
        Job(trial, contender, range(first, min(first + IN_A_ROW, runs)), seed)
        for trial in trials
        for contender in CONTENDERS
        for first in range(0, runs, IN_A_ROW)
    ]
    return sorted(found, key=lambda job: not job.trial.long)


def run_trials(runs: int, seed: int, trials: Sequence[Trial] = TRIALS) -> list[Result]:
    """Run each trial on every contender *runs* times, and return the results in order."""
    # Takes half a second, and no time limit runs here; nor do threads import at the same time.
    import h11  # noqa: F401
    import openai  # noqa: F401

    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = [_begin(pool, job) for job in jobs(runs, seed, trials)]
        results = [result for job in begun for result in job.result()]
    return sorted(results, key=lambda result: trials.index(result.trial))


def _begin(pool: ThreadPoolExecutor, job: Job) -> Future[list[Result]]:
    time.sleep(BETWEEN_BEGINS)
    return pool.submit(job.run)


def main() -> int:
    """Print the tables or write the page, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.table", description=__doc__)
    parser.add_argument(
        "--runs", "--tries", default="full", help="runs of each trial: small (2), full (10), or a number"
    )
    parser.add_argument("--seed", type=int, default=1, help="the seed of all random choices")
    parser.add_argument("--only", default="", help="run only trials with this text in 'operation: fault'")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args()
    if options.only and options.write:
        parser.error("the page is about all trials: leave --only out")
    runs = RUNS.get(options.runs) or int(options.runs)
    trials = [trial for trial in TRIALS if options.only in f"{trial.operation}: {trial.fault}"]
    began = time.monotonic()
    results = run_trials(runs, options.seed, trials)
    seconds = time.monotonic() - began
    if options.write:
        text = document(
            results,
            runs=runs,
            seed=options.seed,
            versions=", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in NAMED)]),
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            seconds=seconds,
        )
        (ROOT / "docs/reliability.md").write_text(text)
    else:
        main_table, limits = split(results)
        print(totals(main_table), table(main_table), table(limits), sep="\n\n")
    found = problems(results)
    print(f"\n{len(results)} runs in {seconds:.0f} s: {len(found)} problems", *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
