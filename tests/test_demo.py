"""The demo tells what looks at the servers returned, and touches nothing real unless it is told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from vpsorg_async import APIConnectionError, Client
from vpsorg_async.__main__ import NAMES, QUICK, SPEED, main, story
from vpsorg_async.sandbox import Sandbox


SPEC = {"plan_id": 1, "os_id": 5, "location": "us-west"}


class Watched:
    """A client of a served sandbox, and what its looks returned: (name, status), in order."""

    def __init__(self, base_url: str) -> None:
        self.looks: list[tuple[str, str]] = []
        self.client = Client("vps_sandbox", base_url=base_url)
        self.client.http.event_hooks["response"] = [self._note]

    async def _note(self, response) -> None:
        if response.request.method == "GET" and response.status_code == 200:
            server = json.loads(await response.aread())
            self.looks.append((server["name"], server["status"]))


@pytest.mark.anyio
async def test_every_status_that_is_printed_was_seen_by_a_look():
    sandbox = Sandbox()
    lines: list[str] = []
    async with sandbox.serve(speed=10 * SPEED) as base_url:
        watched = Watched(base_url)
        async with watched.client as client:
            await story(client, SPEC, lines.append, QUICK)

    statuses = [tuple(line.split(" at ")[0].split(": ")) for line in lines if ": " in line]
    for name in NAMES:
        told = [status for who, status in statuses if who == name]
        seen = [status for who, status in watched.looks if who == name]
        changes = [status for index, status in enumerate(seen) if index == 0 or seen[index - 1] != status]
        # After each command the first look is told, also where it shows the same as the last one before it.
        assert told[-1] == "gone"
        told_changes = [status for index, status in enumerate(told) if index == 0 or told[index - 1] != status]
        assert [*changes, "gone"] == told_changes
        assert told[-2] == "stopped"
    looked = [call for call in sandbox.calls if call.method == "GET" and call.status == 200]
    assert len(looked) == len(watched.looks)
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
        timeout=60,
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
