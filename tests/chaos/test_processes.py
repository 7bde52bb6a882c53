"""Tests forks in the middle of calls, and clients in two threads.

`tests/test_lifetime.py` forks an idle client.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio

from tests.chaos.invariants import violations
from tests.chaos.witness import Witness
from tests.conftest import INSTALLED
from tests.helpers import ROOT, detail
from tests.rawserver import RawServer, after, hold, json
from vpsorg_async import Client, ConfigurationError, ServerSpec
from vpsorg_async.sandbox import Sandbox


RUNNERS: dict[str, Callable[..., Any]] = {
    "asyncio": lambda function, *arguments: asyncio.run(function(*arguments)),
    "trio": trio.run,
    "uvloop": lambda function, *arguments: anyio.run(function, *arguments, backend_options={"use_uvloop": True}),
}

FORKED = """
import os, sys, traceback
import anyio
from vpsorg_async import Client, ConfigurationError

async def get(client, found):
    found.append((await client.servers.get(7)).id)

async def main(base_url):
    found = []
    async with Client("vps_test", base_url=base_url) as client, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(get, client, found)
        await client.request("GET", "/arrived/")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                await client.with_options(timeout=1).servers.reboot(7)
            except ConfigurationError:
                code = 0
            except BaseException:
                traceback.print_exc()
            await client.aclose()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        await client.request("GET", "/open/")
    print(os.waitstatus_to_exitcode(status), found)

backend = sys.argv[1]
options = {"use_uvloop": True} if backend == "uvloop" else {}
anyio.run(main, sys.argv[2], backend="trio" if backend == "trio" else "asyncio", backend_options=options)
"""


@pytest.mark.parametrize("backend", INSTALLED)
def test_a_fork_while_calls_are_running_leaves_them_to_the_parent(backend):
    """The child cannot use its copy of the client. The parent's five calls succeed."""
    with RawServer() as server:
        responses_open, arrived = server.gate(), server.gate()
        response = hold(json(200, detail(7)), responses_open)
        server.answer("GET", "/servers/7/", [*[response] * 4, after(arrived.open, response)])
        server.answer("GET", "/arrived/", hold(json(200, {}), arrived))
        server.answer("GET", "/open/", after(responses_open.open, json(200, {})))

        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", FORKED, backend, server.base_url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert (done.stdout, done.stderr) == ("0 [7, 7, 7, 7, 7]\n", "")
        assert len(server.requests) == 7


@pytest.mark.parametrize("second", INSTALLED)
@pytest.mark.parametrize("first", INSTALLED)
def test_two_loops_in_two_threads_each_with_a_client_do_not_disturb_one_another(first, second):
    """Both run fleets on one API, and neither can use the other's client."""
    sandbox = Sandbox()
    witness = Witness(sandbox, max_connections=4)
    clients: dict[str, Client] = {}
    made: list[int] = []
    both = threading.Barrier(2, timeout=60)

    async def story(name: str, other: str, base_url: str) -> None:
        async with Client("vps_sandbox", base_url=base_url, max_connections=2) as client:
            await client.servers.list()
            clients[name] = client
            both.wait()
            specs = [ServerSpec(name=f"{name}-{n}", plan_id=1, os_id=5, location="us-west") for n in range(10)]
            report = await client.fleet.create(specs, wait=False)
            made.extend(server.id for server in (outcome.server for outcome in report.succeeded) if server)
            with pytest.raises(ConfigurationError, match="belongs to another event loop"):
                await clients[other].servers.get(made[0])
            await client.fleet([outcome.server.id for outcome in report.succeeded]).update(backups_enabled=True)
            both.wait()

    failed: list[BaseException] = []

    def run(runner: str, *arguments: Any) -> None:
        try:
            RUNNERS[runner](story, *arguments)
        except BaseException as error:  # noqa: BLE001 - asserted below, in the thread of the test
            failed.append(error)
            both.abort()

    with sandbox.serve() as base_url:
        threads = [
            threading.Thread(target=run, args=(first, "one", "two", base_url)),
            threading.Thread(target=run, args=(second, "two", "one", base_url)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert failed == []
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(made) == sorted(server["id"] for server in sandbox.servers)
    assert len(made) == 20
    assert violations(witness.record()) == []
