"""The table of `docs/reliability.md`: every trial on three clients, through real sockets, and what came of it.

`python -m tests.chaos.table` tries each ten times and prints the tables; `--tries small` twice; `--write` writes the
document. Ends with 1 when this library lost, doubled, misread, hung on or leaked anything, or left too much unknown.
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

from starlette.responses import Response

from tests.chaos.peers import CONTENDERS, Contender
from tests.chaos.report import Result, document, problems, split, table, totals
from tests.chaos.trials import MARGIN_SECONDS, TRIALS, Told, Trial, Truth, classify
from tests.helpers import ROOT
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._state.account import FIRST_ID


TRIES = {"small": 2, "full": 10}
TOGETHER = 64
"""Trials under way at once, each in a thread with an event loop of its own; most of their time they wait."""

NAMED = ("vpsorg-async", "httpx", "tenacity", "openai")

BETWEEN_BEGINS = 0.03
"""Seconds: what a job takes to set up, so that they do not take each other's time."""

IN_A_ROW = 5
"""Tries of a trial on one sandbox and one client, one after another."""

LONGEST_TRANSITION = 60.0


class Gateway:
    """An ASGI app in front of another that can answer an error after the other has done what was asked."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.answers: int | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.answers is None or scope["method"] == "GET":
            return await self._app(scope, receive, send)
        status, self.answers = self.answers, None

        async def nowhere(_message: Any) -> None: ...

        await self._app(scope, receive, nowhere)
        return await Response(f"<h1>{status}</h1>", status, media_type="text/html")(scope, receive, send)


@attrs.frozen
class Try:
    """One try: its number among those of the trial, its server, and the sandbox."""

    number: int
    server_id: int
    sandbox: Sandbox

    @property
    def name(self) -> str:
        """Of a server that it creates."""
        return f"try-{self.number}"

    @property
    def verb(self) -> str:
        """Of a start or stop."""
        return "start" if starts(self.number) else "stop"

    def made(self) -> list[dict[str, Any]]:
        """Return the servers of its name."""
        return [server for server in self.sandbox.servers if server["name"] == self.name]

    def carried_out(self, method: str, path: str) -> Truth:
        """Return how often the API answered such a request with success, whatever became of the answer."""
        commits = sum(
            (call.method, call.path) == (method, path) and 200 <= call.status < 300 for call in self.sandbox.calls
        )
        return Truth(commits, commits == 1)

    def is_active(self, servers: Sequence[dict[str, Any]]) -> Truth:
        """Return whether its one server of *servers* is active now."""
        return Truth(0, [server["status"] for server in servers] == ["active"])


def starts(number: int) -> bool:
    """Return whether the try of that number is a start, and not a stop."""
    return number % 2 == 0


async def _create(api: Contender, at: Try) -> int:
    return await api.create(at.name)


async def _reboot(api: Contender, at: Try) -> bool:
    await api.command(at.server_id, "reboot")
    return True


async def _start_or_stop(api: Contender, at: Try) -> bool:
    await api.command(at.server_id, at.verb)
    return True


async def _delete(api: Contender, at: Try) -> bool:
    await api.delete(at.server_id)
    return True


async def _list(api: Contender, _at: Try) -> list[int]:
    return sorted(await api.list())


async def _reboot_and_wait(api: Contender, at: Try) -> bool:
    await api.command(at.server_id, "reboot")
    await api.wait(at.server_id)
    return True


async def _create_and_wait(api: Contender, at: Try) -> bool:
    await api.wait(await api.create(at.name))
    return True


def _created(at: Try) -> Truth:
    ids = [server["id"] for server in at.made()]
    return Truth(len(ids), ids[0] if ids else None)


ASKED: dict[str, tuple[Callable[[Contender, Try], Awaitable[object]], Callable[[Try], Truth]]] = {
    "create": (_create, _created),
    "reboot": (_reboot, lambda at: at.carried_out("POST", f"/servers/{at.server_id}/reboot/")),
    "start or stop": (_start_or_stop, lambda at: at.carried_out("POST", f"/servers/{at.server_id}/{at.verb}/")),
    "delete": (_delete, lambda at: at.carried_out("DELETE", f"/servers/{at.server_id}/")),
    "list": (_list, lambda at: Truth(0, sorted(server["id"] for server in at.sandbox.servers))),
    "reboot, wait": (
        _reboot_and_wait,
        lambda at: at.is_active([server for server in at.sandbox.servers if server["id"] == at.server_id]),
    ),
    "create, wait": (_create_and_wait, lambda at: at.is_active(at.made())),
}
"""How each operation is asked for, and what the API's own account says of it when the caller has been told."""


@attrs.frozen
class Job:
    """Some tries of a trial on one contender."""

    trial: Trial
    contender: type[Contender]
    numbers: range
    seed: int

    def run(self) -> list[Result]:
        """Return what came of them. Blocks; its event loop is its own, so that a task left behind is seen."""
        return asyncio.run(self._run())

    async def _run(self) -> list[Result]:
        operation = self.trial.asked
        sandbox = Sandbox(seed=self.seed, servers=operation.servers + len(self.numbers))
        tries = [
            Try(number, FIRST_ID + operation.servers + place, sandbox) for place, number in enumerate(self.numbers)
        ]
        if operation.stopped:
            await _stop(sandbox, [at.server_id for at in tries if starts(at.number)])
        gateway = sandbox.app = Gateway(sandbox.app)
        async with sandbox.serve(speed=operation.speed) as base_url:
            api = self.contender(base_url, operation.speed)
            results = [await self._try(api, at, gateway) for at in tries]
            await api.close()
            leaked = await left_behind(httpx.URL(base_url).port)
        return [attrs.evolve(results[0], leaked=leaked), *results[1:]]

    async def _try(self, api: Contender, at: Try, gateway: Gateway) -> Result:
        trial, operation = self.trial, self.trial.asked
        trouble = trial.trouble(random.Random(f"{self.seed}/{trial.operation}/{trial.fault}/{at.number}"))
        ask, truth_of = ASKED[trial.operation]
        told, note = Told("nothing"), ""
        gateway.answers = trouble.gateway
        before = len(at.sandbox.faults.log)
        with at.sandbox.faults.inject(*trouble.faults), anyio.move_on_after(operation.seconds + MARGIN_SECONDS):
            try:
                told = Told("done", await ask(api, at))
            except Exception as error:  # noqa: BLE001 -- whatever the caller would be told
                note = f"{type(error).__name__}: {error}"
                told = Told("unknown" if operation.changes and not api.says_not_done(error) else "error")
        truth = truth_of(at)
        return Result(
            trial=trial,
            contender=api.name,
            verdict=classify(truth, told),
            committed=truth.commits > 0,
            struck=len(at.sandbox.faults.log) > before or trouble.gateway != gateway.answers,
            note=note,
        )


async def _stop(sandbox: Sandbox, servers: Sequence[int]) -> None:
    async with sandbox.client() as admin:
        for server_id in servers:
            await admin.servers.stop(server_id)
    sandbox.advance(LONGEST_TRANSITION)


async def left_behind(port: int, *, looks: int = 20) -> int:
    """Return how many tasks of this loop, and sockets to *port*, stay: looks every 0.05 s for none."""
    for _ in range(looks):
        await asyncio.sleep(0.05)
        left = len(asyncio.all_tasks()) - 1 + connections_to(port)
        if not left:
            break
    return left


def connections_to(port: int) -> int:
    """Return how many sockets of this process are connected to *port*."""
    return sum(_peer(int(number.name)) == port for number in Path("/dev/fd").iterdir())


def _peer(number: int) -> int | None:
    """Return the port at the other end of a file descriptor; `None` where it has none."""
    with contextlib.suppress(OSError):  # no socket, not connected, or closed meanwhile
        borrowed = socket.socket(fileno=number)
        try:
            peer = borrowed.getpeername()
        finally:
            borrowed.detach()
        return peer[1] if isinstance(peer, tuple) else None
    return None


def jobs(tries: int, seed: int, trials: Sequence[Trial] = TRIALS) -> list[Job]:
    """Return all jobs, those first in which somebody hangs, so that none is left over at the end."""
    found = [
        Job(trial, contender, range(first, min(first + IN_A_ROW, tries)), seed)
        for trial in trials
        for contender in CONTENDERS
        for first in range(0, tries, IN_A_ROW)
    ]
    return sorted(found, key=lambda job: not job.trial.long)


def run(tries: int, seed: int, trials: Sequence[Trial] = TRIALS) -> list[Result]:
    """Try each of *trials* so many times on every contender; return what came of it, in their order."""
    import openai  # noqa: F401 -- takes half a second, and here nobody's time runs yet

    with ThreadPoolExecutor(TOGETHER) as pool:
        begun = [_begin(pool, job) for job in jobs(tries, seed, trials)]
        results = [result for job in begun for result in job.result()]
    return sorted(results, key=lambda result: trials.index(result.trial))


def _begin(pool: ThreadPoolExecutor, job: Job) -> Future[list[Result]]:
    time.sleep(BETWEEN_BEGINS)
    return pool.submit(job.run)


def main() -> int:
    """Print the tables, or write the document; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.table", description=__doc__)
    parser.add_argument("--tries", default="full", help="of each trial: small (2), full (10), or a number")
    parser.add_argument("--seed", type=int, default=1, help="of all that is up to chance")
    parser.add_argument("--only", default="", help="only what has this in its operation and fault")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args()
    if options.only and options.write:
        parser.error("the document is about all trials: leave --only out")
    tries = TRIES.get(options.tries) or int(options.tries)
    trials = [trial for trial in TRIALS if options.only in f"{trial.operation}: {trial.fault}"]
    began = time.monotonic()
    results = run(tries, options.seed, trials)
    seconds = time.monotonic() - began
    if options.write:
        text = document(
            results,
            tries=tries,
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
    print(f"\n{len(results)} tries in {seconds:.0f} s: {len(found)} problems", *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
