"""The demo tells what polls the servers returned, and touches nothing real unless it is told to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import anyio
import pytest

from tests.helpers import ROOT
from tests.helpers_api import FakeAPI
from tests.rawserver import RawServer, drop, hold
from tests.rawserver import json as reply
from vpsorg_async import APIConnectionError, Client, NotFoundError, OutcomeUnknownError, PollPolicy, RetryPolicy
from vpsorg_async.__main__ import NAMES, QUICK, SPEED, main, story
from vpsorg_async.sandbox import Sandbox


SPEC = {"plan_id": 1, "os_id": 5, "location": "us-west"}


class Watched:
    """What a client's polls returned: (name, status), in order."""

    def __init__(self, client: Client) -> None:
        self.polls: list[tuple[str, str]] = []
        self.responses = 0
        client.http.event_hooks["response"] = [self._note]

    async def _note(self, response) -> None:
        if response.request.method == "GET" and response.status_code == 200:
            self.responses += 1
            body = json.loads(await response.aread())
            self.polls += [(server["name"], server["status"]) for server in body.get("results", [body])]


@pytest.mark.anyio
async def test_every_status_that_is_printed_was_seen_by_a_poll():
    sandbox = Sandbox()
    lines: list[str] = []
    # On the sandbox's clock, so that each status lasts for several polls, however busy the machine is.
    async with sandbox.client() as client:
        watched = Watched(client)
        await story(client, SPEC, lines.append, PollPolicy(minimum=1, maximum=1))

    statuses = [tuple(line.split(" at ")[0].split(": ")) for line in lines if ": " in line]
    for name in NAMES:
        told = [status for who, status in statuses if who == name]
        seen = [status for who, status in watched.polls if who == name]
        changes = [status for index, status in enumerate(seen) if index == 0 or seen[index - 1] != status]
        # After each command the first poll is told, also where it shows the same as the last one before it.
        assert told[-1] == "gone"
        told_changes = [status for index, status in enumerate(told) if index == 0 or told[index - 1] != status]
        assert [*changes, "gone"] == told_changes
        assert told[-2] == "stopped"
    polled = [call for call in sandbox.calls if call.method == "GET" and call.status == 200]
    assert len(polled) == watched.responses
    assert sandbox.servers == []


@pytest.mark.anyio
async def test_servers_are_deleted_when_the_story_breaks_off():
    sandbox = Sandbox()

    def say(text: str) -> None:
        if "Rebooting" in text:
            raise RuntimeError("the reader has gone")

    async with sandbox.serve(speed=10 * SPEED) as base_url, Client("vps_sandbox", base_url=base_url) as client:
        with pytest.raises(RuntimeError, match="the reader has gone"):
            await story(client, SPEC, say, QUICK)

    assert sandbox.servers == []


@pytest.mark.anyio
async def test_a_server_whose_delete_failed_is_deleted_at_the_end():
    sandbox, failed = Sandbox(), []

    async def fail_once(request) -> None:
        if request.method == "DELETE" and not failed:
            failed.append(request)
            raise RuntimeError("no")

    async with sandbox.serve(speed=10 * SPEED) as base_url, Client("vps_sandbox", base_url=base_url) as client:
        client.http.event_hooks["request"] = [fail_once]
        with pytest.raises(ExceptionGroup):
            await story(client, SPEC, lambda _text: None, QUICK)

    assert sandbox.servers == []


class Account(FakeAPI):
    """An API whose servers are active at once, some of whose deletes a test may have refused."""

    def __init__(self, server: RawServer) -> None:
        super().__init__(server)
        self.refused: set[int] = set()
        server.answer("DELETE", re.compile(r"/servers/\d+/"), self.delete)

    def create(self, request):
        answer = super().create(request)
        for made in self.servers.values():
            made["status"] = "active"
        return answer

    def delete(self, request):
        server_id = int(request.path.split("/")[2])
        if server_id in self.refused:
            return reply(403, {"detail": "no"})
        return reply(404, {}) if self.servers.pop(server_id, None) is None else reply(204, None)


def client_of(server, **options) -> Client:
    return Client("vps_test", base_url=server.base_url, **{"retry": RetryPolicy.none(), **options})


def breaking_off(lines: list[str]):
    def say(text: str) -> None:
        lines.append(text)
        if "Rebooting" in text:
            raise RuntimeError("the reader has gone")

    return say


@pytest.mark.anyio
async def test_a_delete_that_fails_is_said_and_keeps_no_other_from_being_made(server):
    account, lines = Account(server), []
    account.refused = {3}

    async with client_of(server) as client:
        with pytest.raises(RuntimeError, match="the reader has gone"):
            await story(client, SPEC, breaking_off(lines), QUICK)

    (left,) = account.servers.values()
    assert [line for line in lines if "left" in line] == [
        f"{left['name']}: may be left, and cost money: server {left['id']}"
    ]


@pytest.mark.anyio
async def test_a_server_that_is_gone_already_is_not_said_to_be_left(server):
    account, lines = Account(server), []

    def say(text: str) -> None:
        lines.append(text)
        if "Rebooting" in text:
            account.servers.clear()

    async with client_of(server) as client:
        with pytest.raises(ExceptionGroup) as caught:
            await story(client, SPEC, say, QUICK)

    assert caught.group_contains(NotFoundError)
    assert sorted(line for line in lines if "gone" in line) == [f"{name}: gone" for name in NAMES]
    assert not [line for line in lines if "left" in line]


@pytest.mark.anyio
async def test_a_create_under_way_is_not_abandoned_by_a_cancel(server):
    account = Account(server)
    limiter = server.gate()
    server.answer("POST", "/servers/", lambda request: hold(account.create(request), limiter))

    async with client_of(server) as client, anyio.create_task_group() as group:
        group.start_soon(story, client, SPEC, lambda _text: None, QUICK)
        await server.arrived(len(NAMES))
        group.cancel_scope.cancel()
        limiter.open()

    assert len(account.created) == len(NAMES)
    assert account.servers == {}


@pytest.mark.anyio
async def test_a_create_whose_outcome_is_unknown_is_said_with_its_candidates(server):
    account, lines = Account(server), []
    account.tells_date = False
    server.answer("POST", "/servers/", account.committed(lambda _answer: drop()))

    async with client_of(server, timeout=1) as client:
        with pytest.raises(ExceptionGroup) as caught:
            await story(client, SPEC, lines.append, QUICK)

    assert caught.group_contains(OutcomeUnknownError)
    assert sorted(line for line in lines if "left" in line) == sorted(
        f"{made['name']}: may be left, and cost money: server {made['id']}" for made in account.servers.values()
    )


def test_a_token_in_the_environment_is_not_used_unless_it_is_said():
    environment = {
        **os.environ,
        "VPS_API_TOKEN": "vps_real",
        # Nothing listens there: whatever is sent to it fails.
        "VPS_API_URL": "http://127.0.0.1:9/api/v1",
        "PYTHONWARNINGS": "error",
    }

    done = subprocess.run(
        [sys.executable, "-m", "vpsorg_async", "demo"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count(": active") >= 2 * len(NAMES)
    assert done.stdout.count(": gone") == len(NAMES)


def test_live_goes_to_the_configured_api(monkeypatch, capsys):
    monkeypatch.setenv("VPS_API_TOKEN", "vps_real")
    monkeypatch.setenv("VPS_API_URL", "http://127.0.0.1:9/api/v1")

    status = main(["demo", "--live"])

    assert status == 1
    assert APIConnectionError.__name__ in capsys.readouterr().err
