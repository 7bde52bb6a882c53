"""Runs a durable fleet whose worker is killed at chosen moments, and compares the report with what the API did."""

from __future__ import annotations

import random
import threading

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from tests.durable.processes import KILLED, Process, Processes
from tests.durable.served import PHASES, TOKEN, Phase, Request, Served


ENDS = {"succeeded", "failed", "unknown"}
MOST_STARTS = 12


@attrs.frozen
class Moment:
    """When a process is killed: at the first of two requests that it makes.

    Attributes:
        command: which of its commands, from 1.
        request: which of all its requests, from 1.
        phase: how far the API has got with it.
        after: seconds after that.
    """

    command: int
    request: int
    phase: Phase
    after: float


def moments(seed: int, kills: int) -> list[Moment]:
    """Return random moments: before a command, between it and its answer, while lists are read, at any time after."""
    chance = random.Random(seed)
    return [
        Moment(
            command=chance.randint(1, 5),
            request=chance.randint(2, 20),
            phase=chance.choice(PHASES),
            after=chance.choice([0.0, chance.uniform(0.0, 0.03), chance.uniform(0.0, 0.3)]),
        )
        for _ in range(kills)
    ]


class Killer:
    """Kills one process after another, each at the next of the moments."""

    def __init__(self, moments: list[Moment], api: Served) -> None:
        self._left = list(moments)
        self._api = api
        self._process: Process | None = None
        self._requests = self._commands = 0

    def aim_at(self, process: Process) -> None:
        self._requests, self._commands = len(self._api.requests), len(self._api.commands)
        self._process = process

    def __call__(self, request: Request, phase: Phase) -> None:
        if self._process is None or not self._left or not self._has_come(self._left[0], request, phase):
            return
        moment, process = self._left.pop(0), self._process
        self._process = None
        if not moment.after:
            process.kill()
            return
        timer = threading.Timer(moment.after, process.kill)
        timer.daemon = True
        timer.start()

    def _has_come(self, moment: Moment, request: Request, phase: Phase) -> bool:
        is_its_command = request.command - self._commands >= moment.command
        is_its_request = request.number - self._requests >= moment.request
        return phase == moment.phase and (is_its_command or is_its_request)


@attrs.frozen(kw_only=True)
class Episode:
    """The end of a run.

    Attributes:
        kills: how often its worker was killed.
        report: its outcomes, as the last worker printed them.
    """

    kills: int
    report: list[dict[str, Any]]

    @property
    def states(self) -> Counter[str]:
        """How many items ended in each state."""
        return Counter(outcome["state"] for outcome in self.report)


def run_to_its_end(
    start: Callable[[], Process], api: Served, killed_at: list[Moment], *, between: Callable[[], object] = lambda: None
) -> int:
    """Start the process again each time it is killed, until it ends by itself. Return how often it was killed.

    *between* is called after each kill.
    """
    api.on_request = killer = Killer(killed_at, api)
    for kills in range(MOST_STARTS):
        process = start()
        killer.aim_at(process)
        status = process.end()
        if status == 0:
            return kills
        assert status == KILLED, process.told
        between()
    raise AssertionError("it was killed too often")


def work_to_its_end(
    processes: Processes, job: dict[str, Any], api: Served, killed_at: list[Moment], **more: Any
) -> Episode:
    """Run a job with kills, and return its end."""
    started: list[Process] = []

    def start() -> Process:
        started.append(processes.work(job))
        return started[-1]

    kills = run_to_its_end(start, api, killed_at, **more)
    return Episode(kills=kills, report=started[-1].facts["report"])


def job_of(base_url: str, store: str, action: str, items: list[Any], **more: Any) -> dict[str, Any]:
    """Return a job of `tests/durable/worker.py`."""
    return {
        "token": TOKEN,
        "base_url": base_url,
        "store": store,
        "worker": "m1",
        "name": f"{action}-2026",
        "action": action,
        "items": items,
        **more,
    }


def address(base_url: str, number: int) -> str:
    """Return an address of the API that only one worker uses: the requests of each have a host of their own."""
    return base_url.replace("0.0.0.0", f"127.0.0.{number}")


def problems_of_creates(api: Served, report: list[dict[str, Any]], names: list[str]) -> Iterator[str]:
    """Find what a report of creates says that the account does not, and servers that are there twice."""
    made = api.made
    if [outcome["item"] for outcome in report] != names:
        yield f"the report is of {[outcome['item'] for outcome in report]}"
    yield from (f"{name}: {len(ids)} servers for one create" for name, ids in made.items() if len(ids) > 1)
    for outcome in report:
        name, state, ids = outcome["item"], outcome["state"], made.get(outcome["item"], [])
        if state not in ENDS:
            yield f"{name}: {state} is no end"
        if state == "succeeded" and ids != [outcome["server"]]:
            yield f"{name}: succeeded with server {outcome['server']}, and the account has {ids}"
        if state == "failed" and ids and not outcome["accepted"]:
            yield f"{name}: made, and reported as {outcome['error']}"


def problems_of_reboots(api: Served, report: list[dict[str, Any]], ids: list[int]) -> Iterator[str]:
    """Find servers that were rebooted twice, and reboots whose report is wrong."""
    rebooted = api.commanded("reboot")
    if [outcome["item"] for outcome in report] != ids:
        yield f"the report is of {[outcome['item'] for outcome in report]}"
    yield from (f"{server_id}: rebooted {times} times" for server_id, times in rebooted.items() if times > 1)
    for outcome in report:
        server_id, state = outcome["item"], outcome["state"]
        if state not in ENDS:
            yield f"{server_id}: {state} is no end"
        if state == "succeeded" and not rebooted[server_id]:
            yield f"{server_id}: succeeded, and was not rebooted"
        if state == "failed" and rebooted[server_id] and not outcome["accepted"]:
            yield f"{server_id}: rebooted, and reported as {outcome['error']}"


REFUSED_FOR_NOW = (429, 503)


def sent_again(api: Served) -> dict[str, int]:
    """Return how often each name was sent in a create, and each server a reboot, where that is more than once.

    What the API has refused for now does not count.
    """
    sent: Counter[str] = Counter()
    for call in api.sandbox.calls:
        if call.method == "POST" and call.status not in REFUSED_FOR_NOW:
            sent[call.json["name"] if call.path == "/servers/" else call.path] += 1
    return {what: times for what, times in sent.items() if times > 1}
