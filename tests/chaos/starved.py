"""Runs calls without free descriptors: `python -m tests.chaos.starved BACKEND BASE_URL`.

Prints as JSON how each call ended. It is a process of its own, because the limit applies to a whole process.
"""

from __future__ import annotations

import json
import os
import resource
import sys

from collections import Counter
from contextlib import contextmanager
from typing import Any

import anyio

from tests.helpers_api import SPEC
from vpsorg_async import APIConnectionError, Client, PollPolicy, RetryPolicy, WaitFailedError


@contextmanager
def starved(left: int = 0):
    """Allow no more than *left* new descriptors."""
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def end_of(call: Any) -> str:
    """Return how *call* ended: the class of its error, and the error's `sent`."""
    try:
        await call
    except WaitFailedError as error:
        return f"{type(error).__name__} by {type(error.__cause__).__name__}"
    except APIConnectionError as error:
        return f"{type(error).__name__}, sent={error.sent}"
    except Exception as error:  # noqa: BLE001 - every error is reported
        return f"{type(error).__name__}: {error}"
    return "done"


async def ends_of(calls: list[Any]) -> dict[str, int]:
    ends: Counter[str] = Counter()

    async def record(call: Any) -> None:
        ends[await end_of(call)] += 1

    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(record, call)
    return dict(ends)


async def main(base_url: str) -> None:
    quick = RetryPolicy(initial=0.01, maximum=0.02, budget=10)
    poll = PollPolicy(failures=3, outage=0)
    told: dict[str, Any] = {}
    async with Client("vps_test", base_url=base_url, retry=quick) as client:
        with anyio.fail_after(60):
            with starved():
                told["get"] = await end_of(client.servers.get(7))
                told["create"] = await end_of(client.servers.create(**SPEC))
                told["reboot"] = await end_of(client.servers.reboot(7))
                told["wait"] = await end_of(client.servers.wait_until(7, status="active", poll=poll))
                told["list"] = await end_of(client.servers.list().all())
            told["create, with free descriptors"] = await end_of(client.servers.create(**SPEC))
            with starved():
                told["get on an open connection"] = await end_of(client.servers.get(7))
            with starved(left=2):
                told["twenty gets"] = await ends_of([client.servers.get(7) for _ in range(20)])
            told["twenty gets, with free descriptors"] = await ends_of([client.servers.get(7) for _ in range(20)])
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    backend, url = sys.argv[1:]
    options = {"use_uvloop": True} if backend == "uvloop" else {}
    anyio.run(main, url, backend="trio" if backend == "trio" else "asyncio", backend_options=options)
