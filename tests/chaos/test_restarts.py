"""Tests that waits, a fleet and creates survive a restart of the API's process.

A process of its own serves the sandbox, always on the same port, and keeps the account in a file.
"""

from __future__ import annotations

import subprocess
import sys

from collections.abc import Iterator
from typing import Any

import anyio
import attrs
import pytest

from tests.helpers import ROOT
from tests.listeners import refusing
from vpsorg_async import APIConnectionError, Client, Event, PollPolicy, RetryPolicy, ServerSpec, WaitFailedError


pytestmark = pytest.mark.anyio

PATIENT = RetryPolicy(attempts=100, initial=0.1, maximum=0.2, budget=10)
POLL = PollPolicy(minimum=0.1, maximum=0.3, failures=1000)
SPEED = 20
LONG_ENOUGH = 60.0


@attrs.define(eq=False)
class Served:
    """Runs `python -m vpsorg_async.sandbox` on one port, again and again."""

    port: int
    state: Any
    _process: subprocess.Popen[str] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def start(self) -> None:
        """Start it, and return when it serves: it prints its base URL then."""
        options = ["--port", str(self.port), "--speed", str(SPEED), "--state", str(self.state), "--servers", "3"]
        command = [sys.executable, "-W", "error", "-m", "vpsorg_async.sandbox", *options]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == self.base_url

    def kill(self) -> None:
        """Kill it as the kernel does when memory is short: no connection is closed in order."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture
def served(tmp_path: Any) -> Iterator[Served]:
    # Nobody else takes its port while it is down.
    with refusing() as kept:
        running = Served(kept.port, tmp_path / "account.jsonl")
        running.start()
        yield running
        running.kill()


@attrs.define(eq=False)
class Story:
    """The operations that run while the API is down, and their results."""

    client: Client
    ids: list[int | str]
    ended: dict[str, Any] = attrs.field(factory=dict)

    async def reboot(self) -> None:
        await self.client.servers.reboot(self.ids[0])
        wait = self.client.servers.wait_until(self.ids[0], status="active", timeout=LONG_ENOUGH, poll=POLL)
        self.ended["wait"] = await wait

    async def stop_the_others(self) -> None:
        """Stop the other servers, with long waits: a busy machine starts the API slowly."""

        async def stop(server_id: int | str) -> Any:
            await self.client.servers.stop(server_id)
            return await self.client.servers.wait_until(server_id, status="stopped", poll=POLL)

        self.ended["fleet"] = await self.client.fleet(self.ids[1:]).apply(stop, timeout=LONG_ENOUGH)

    async def create(self) -> None:
        specs = [ServerSpec(name=f"web-{number}", plan_id=1, os_id=5, location="us-west") for number in range(20)]
        self.ended["creates"] = await self.client.fleet.create(specs, wait=False, at_once=1, timeout=6.0)

    async def watch(self, base_url: str) -> None:
        """Watch with a separate client: the polls of the waits fail ten times a second."""
        async with Client("vps_sandbox", base_url=base_url, retry=PATIENT) as client:
            async for change in client.servers.watch(self.ids[1:2], interval=5.0):
                if change.after is not None and change.after.status == "stopped":
                    self.ended["watch"] = change
                    return


async def test_waits_a_fleet_a_watch_and_creates_survive_a_restart_of_the_api(served):
    """The API is killed while all of them run, and is back after a poll has failed."""
    seen: list[str] = []
    accepted, missed = anyio.Event(), anyio.Event()

    def on_event(event: Event) -> None:
        seen.append(event.name)
        if event.fields.get("failed"):
            missed.set()
        if seen.count("wait.began") == 3:
            accepted.set()

    options = {"retry": PATIENT, "timeout": LONG_ENOUGH, "attempt_timeout": 5.0, "on_event": on_event}
    with anyio.fail_after(LONG_ENOUGH):
        async with Client("vps_sandbox", base_url=served.base_url, **options) as client:
            story = Story(client, [server.id for server in await client.servers.list()])
            async with anyio.create_task_group() as group:
                for part in (story.reboot, story.stop_the_others, story.create):
                    group.start_soon(part)
                group.start_soon(story.watch, served.base_url)
                await accepted.wait()
                served.kill()
                await missed.wait()
                await anyio.to_thread.run_sync(served.start)
            await client.servers.create(name="behind-it-all", plan_id=1, os_id=5, location="us-west")
            names = [server.name for server in await client.servers.list()]

    assert missed.is_set()
    assert story.ended["wait"].status == "active"
    assert [outcome.state for outcome in story.ended["fleet"]] == ["succeeded", "succeeded"]
    assert "watch" in story.ended
    # A create without retries left was not executed. A create that was being sent may be unknown.
    creates = story.ended["creates"]
    assert len(set(names)) == len(names)
    assert {outcome.item.name for outcome in creates.succeeded} <= set(names)
    assert not {outcome.item.name for outcome in creates.failed} & set(names)
    assert len(creates.unknown) <= 1
    assert creates.skipped == ()
    assert not any(outcome.error.sent for outcome in creates.failed)


async def test_an_api_that_stays_down_ends_a_wait_with_the_connection_error_as_its_cause(served):
    """The policy's failures in a row end the wait, and not its deadline."""
    async with Client("vps_sandbox", base_url=served.base_url, retry=RetryPolicy.none()) as client:
        [first, *_] = await client.servers.list()
        served.kill()

        with anyio.fail_after(LONG_ENOUGH), pytest.raises(WaitFailedError) as caught:
            await first.wait_until(status="stopped", timeout=None, poll=PollPolicy(failures=3, outage=0))

    assert isinstance(caught.value.__cause__, APIConnectionError)
    assert not caught.value.__cause__.sent
