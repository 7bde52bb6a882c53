"""The command `python -m vpsorg_async.sandbox`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from contextlib import contextmanager

import httpx
import pytest

from tests.helpers import ROOT
from tests.sandbox.conftest import AUTHORIZED, SPEC
from tests.sandbox.faults.test_toml import EXAMPLE, ONE_OF


@contextmanager
def serving(*options):
    """Serve in another process; give a function that sends a request with a token."""
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
    """X2: each account has its own credits and quota; changes by read-only tokens are refused with 403."""
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
    """The token would belong to two accounts."""
    command = [sys.executable, "-m", "vpsorg_async.sandbox", "--port", "0", "--account", "vps_b", "--account", "vps_b"]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    remark = "sandbox: this token already opens an account; use another token\n"
    assert (result.returncode, result.stderr) == (1, remark)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted(number):
    options = ["--port", "0", "--speed", "60", "--token", "vps_mine", "--servers", "3", "--credits", "1"]
    command = ["-W", "error", "-m", "vpsorg_async.sandbox", *options]
    environment = os.environ | {"PYTHONDEVMODE": "1"}
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        base_url = process.stdout.readline().strip()
        answer = httpx.get(f"{base_url}/servers/", headers={"Authorization": "Bearer vps_mine"})
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)

    assert (answer.json()["count"], output, errors, process.returncode) == (3, "", "", 0)


@pytest.mark.parametrize("argument", ["--speed=0", "--speed=nan", "--servers=-1", "--port=99999"])
def test_the_command_refuses_what_cannot_be(argument):
    result = subprocess.run(
        [sys.executable, "-m", "vpsorg_async.sandbox", argument], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode in {1, 2}
    assert "Traceback" not in result.stderr


class TestFaults:
    def test_it_serves_with_them(self, tmp_path):
        path = tmp_path / "faults.toml"
        path.write_text(EXAMPLE)
        command = ["-W", "error", "-m", "vpsorg_async.sandbox", "--port", "0", "--faults", str(path), "--seed", "5"]
        spec = {"plan_id": 1, "os_id": 5, "location": "us-west"}
        seen = []
        with (
            subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process,
            httpx.Client(base_url=process.stdout.readline().strip(), headers=AUTHORIZED) as api,
        ):
            for number in range(20):
                try:
                    seen.append(api.post("/servers/", json={"name": f"web-{number}", **spec}).status_code)
                except httpx.RemoteProtocolError:
                    seen.append(0)
            made = api.get("/servers/").json()["count"]
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=30)

        assert (output, errors, process.returncode) == ("", "", 0)
        assert (seen[2::3], seen.count(429)) == ([0] * 6, 2)
        assert made == 18

    @pytest.mark.parametrize("content", [None, b"[[fault]]\nkind = 'crash'"])
    def test_a_wrong_file_is_one_line(self, tmp_path, content):
        path = tmp_path / "faults.toml"
        if content:
            path.write_bytes(content)

        result = subprocess.run(
            [sys.executable, "-m", "vpsorg_async.sandbox", "--port", "0", "--faults", str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

        expected = f"{path}, fault 1: kind = 'crash'; {ONE_OF}" if content else "[Errno 2] No such file or directory"
        assert result.stderr.startswith(f"sandbox: {expected}")
        assert (result.stdout, result.returncode, result.stderr.count("\n")) == ("", 1, 1)
        assert str(path) in result.stderr
