"""Measures one situation in its own process: `python -m benchmarks.situations waits 1000`.

It prints JSON. The sandbox responds 50 ms after a request, on its own clock, and accepts `--a-second` calls a second.
It refuses the rest with 429 and `Retry-After: 1`. CPU is the CPU of the process, less what the sandbox uses for its
responses.
"""

from __future__ import annotations

import argparse
import bisect
import gc
import json
import math
import resource
import statistics
import time

from typing import Any

import anyio

from starlette.responses import JSONResponse

from benchmarks import waiting
from benchmarks.fleets import forget
from benchmarks.waiting import Trial
from vpsorg_async import Client, Outcome, PollPolicy, VPSError


LATENCY = 0.050
PATIENT = PollPolicy(minimum=10.0, maximum=30.0)
TRACED_SECONDS = 2.0
"""The time for which tracemalloc traces waits. It makes polls several times slower; three of them run in that time."""


class Api:
    """Adds a latency and a token bucket in front of the sandbox.

    The bucket accepts *a_second* calls a second.
    """

    def __init__(self, trial: Trial, a_second: float) -> None:
        self._trial = trial
        self._a_second = a_second
        self._level, self._filled_at = a_second, 0.0
        self.requests: list[float] = []
        self.refused = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        clock = self._trial.clock
        await clock.sleep(LATENCY / 2)
        self.requests.append(clock.now())
        if self._accepts(clock.now()):
            await self._trial.app(scope, receive, send)
        else:
            self.refused += 1
            await JSONResponse({"detail": "too many"}, 429, {"Retry-After": "1"})(scope, receive, send)
        await clock.sleep(LATENCY / 2)

    def _accepts(self, now: float) -> bool:
        if self._a_second == math.inf:
            return True
        self._level = min(self._a_second, self._level + (now - self._filled_at) * self._a_second)
        self._filled_at = now
        accepted = self._level >= 1
        self._level -= accepted
        return accepted


class Account:
    """Collects the figures of one situation from its begin on."""

    def __init__(self, trial: Trial, api: Api) -> None:
        self._trial, self._api = trial, api
        self.late: list[float] = []
        self.failed = 0
        gc.collect()
        gc.freeze()
        self._began, self._cpu = trial.clock.now(), time.process_time()

    def figures(self) -> dict[str, float]:
        """Return the figures of the situation up to now."""
        cpu = time.process_time() - self._cpu - self._trial.app.seconds
        gc.unfreeze()
        requests, late = self._api.requests, sorted(self.late)
        seconds = self._trial.clock.now() - self._began
        return {
            "failed": self.failed,
            "requests": len(requests),
            "refused": self._api.refused,
            "seconds": seconds,
            "mean": len(requests) / seconds,
            "most": max(bisect.bisect_left(requests, at + 1) - place for place, at in enumerate(requests)),
            "late": statistics.median(late),
            "late 95": late[int(0.95 * (len(late) - 1))],
            "late most": late[-1],
            "cpu": cpu,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


async def waits(count: int, a_second: float, *, detail: bool, poll: PollPolicy) -> dict[str, float]:
    """Wait for *count* servers that were all created just now."""
    trial = Trial(seed=count)
    api = Api(trial, a_second)
    ready = [trial.create(number) for number in range(count)]

    async def one(client: Client, server_id: int, ready_at: float) -> None:
        try:
            await client.servers.wait_until(server_id, status="active", detail=detail, poll=poll)
        except VPSError:
            account.failed += 1
            return
        account.late.append(trial.clock.now() - ready_at)

    async with trial.client(api) as client:
        account = Account(trial, api)
        async with anyio.create_task_group() as group:
            for server_id, ready_at in ready:
                group.start_soon(one, client, server_id, ready_at)
        return account.figures()


async def fleet(count: int, a_second: float, *, at_once: int, apart: bool) -> dict[str, float]:
    """Start *count* stopped servers with a fleet.

    With *apart*, all commands are sent first, and one wait for all follows.
    """
    trial = Trial(seed=count)
    api = Api(trial, a_second)
    ids = [trial.create(number)[0] for number in range(count)]
    trial.sandbox.advance(600)
    for server in list(trial.account.servers(600.0)):
        trial.account.command(server, "stop", 600.0)
    trial.sandbox.advance(60)
    trial.app.seconds = 0.0

    def note(outcome: Outcome) -> None:
        forget(trial)
        now = trial.clock.now()
        if outcome.state == "succeeded":
            account.late.append(now - trial.account.server(str(outcome.item), now).updated_at)
        else:
            account.failed += 1

    async with trial.client(api) as client:
        account, all_of_them = Account(trial, api), client.fleet(ids)
        if apart:
            await all_of_them.start(wait=False, at_once=at_once)
            await all_of_them.wait_until(status="active", at_once=count, on_outcome=note)
        else:
            await all_of_them.start(at_once=at_once, on_outcome=note)
        return account.figures()


async def memory(count: int) -> dict[str, float]:
    """Return the bytes of memory that a wait holds."""
    return {"memory": await waiting.memory(count, waiting.library_without_detail, TRACED_SECONDS)}


def main() -> None:
    """Measure one situation, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.situations", description=__doc__)
    parser.add_argument("kind", choices=["waits", "fleet", "memory"])
    parser.add_argument("count", type=int)
    parser.add_argument("--a-second", type=float, default=math.inf, help="calls that the API accepts in a second")
    parser.add_argument("--detail", action="store_true")
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--apart", action="store_true", help="send all commands first, then wait once for all")
    parser.add_argument("--patient", action="store_true", help="poll every 10 to 30 s")
    parser.add_argument("--uncollected", action="store_true", help="without Python's garbage collector")
    options = parser.parse_args()
    if options.uncollected:
        gc.disable()
    poll = PATIENT if options.patient else PollPolicy()

    async def measured() -> dict[str, float]:
        match options.kind:
            case "waits":
                return await waits(options.count, options.a_second, detail=options.detail, poll=poll)
            case "fleet":
                return await fleet(
                    options.count,
                    options.a_second,
                    at_once=options.at_once,
                    apart=options.apart,
                )
            case _:
                return await memory(options.count)

    print(json.dumps(anyio.run(measured)))


if __name__ == "__main__":
    main()
