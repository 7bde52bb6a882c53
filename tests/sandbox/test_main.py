"""`python -m vpsorg_async.sandbox` with several accounts."""

from __future__ import annotations

import signal
import subprocess
import sys

from contextlib import contextmanager

import httpx

from tests.helpers import ROOT
from tests.sandbox.conftest import SPEC


@contextmanager
def serving(*options):
    """Serve in a process of its own; give a function that sends a request with a token."""
    command = [sys.executable, "-m", "vpsorg_async.sandbox", "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            base_url = process.stdout.readline().strip()
            with httpx.Client(base_url=base_url) as client:
                yield lambda token, method, path, **more: client.request(
                    method, path, headers={"Authorization": f"Bearer {token}"}, **more
                )
        finally:
            process.send_signal(signal.SIGTERM)


def test_each_token_opens_an_account_of_its_own_and_a_file_keeps_them_by_their_order(tmp_path):
    """X2: with credits and a quota each; those that only read are answered 403 to changes."""
    accounts = ("--token", "vps_a", "--account", "vps_b", "--account", "vps_c", "--read-only", "vps_c")
    limits = ("--servers", "2", "--quota", "3", "--credits", "2", "--read-only", "vps_reader")
    state = ("--state", str(tmp_path / "state"))

    with serving(*accounts, *limits, *state) as ask:
        made = {
            token: [ask(token, "POST", "/servers/", json=SPEC).status_code for _ in range(3)]
            for token in ("vps_a", "vps_b", "vps_c", "vps_reader")
        }
    with serving("--token", "vps_1", "--account", "vps_2", "--account", "vps_3", *state) as ask:
        kept = {token: ask(token, "GET", "/servers/").json()["count"] for token in ("vps_1", "vps_2", "vps_3")}

    assert made == {
        "vps_a": [201, 400, 400],
        "vps_b": [201, 201, 402],
        "vps_c": [403, 403, 403],
        "vps_reader": [403, 403, 403],
    }
    assert kept == {"vps_1": 3, "vps_2": 2, "vps_3": 0}


def test_a_token_given_twice_is_refused():
    """It would open two accounts."""
    command = [sys.executable, "-m", "vpsorg_async.sandbox", "--port", "0", "--account", "vps_b", "--account", "vps_b"]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert (result.returncode, result.stderr) == (1, "sandbox: this token already has an account; use another token\n")
