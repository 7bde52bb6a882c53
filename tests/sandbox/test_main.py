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
from vpsorg_async.sandbox.__main__ import exports


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

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    remark = "sandbox: this token already opens an account; use another token\n"
    assert (result.returncode, result.stderr) == (1, remark)


def test_a_long_token_may_be_a_real_one_and_is_not_printed():
    """X8: output may be kept in a log."""
    lines = exports("http://127.0.0.1:8800/api/v1", "vps_0123456789abcdef")

    assert lines.splitlines() == [
        "export VPS_API_URL=http://127.0.0.1:8800/api/v1",
        "export VPS_API_TOKEN=…  # the token that you gave with --token",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted(number):
    options = [
        "--port",
        "0",
        "--speed",
        "60",
        "--token",
        "vps_mine",
        "--servers",
        "3",
        "--credits",
        "1",
        "--latency",
        "0:0.1",
    ]
    command = ["-W", "error", "-m", "vpsorg_async.sandbox", *options]
    environment = os.environ | {"PYTHONDEVMODE": "1"}
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        base_url, *exports = [process.stdout.readline().strip() for _ in range(3)]
        answer = httpx.get(f"{base_url}/servers/", headers={"Authorization": "Bearer vps_mine"})
        process.send_signal(number)
        output, errors = process.communicate(timeout=120)

    # Python's development mode says how long a step took, if that was long on a loaded machine.
    said = [line for line in errors.splitlines() if not line.startswith("Executing <")]
    assert exports == [f"export VPS_API_URL={base_url}", "export VPS_API_TOKEN=vps_mine"]
    assert (answer.json()["count"], output, said, process.returncode) == (3, "", [], 0)


def test_the_two_lines_that_it_prints_point_a_program_at_it():
    """X8: a shell that executes them runs a program whose `Client()` finds the sandbox, whatever its token."""
    token = "vps_it's;$(exit)"
    command = [sys.executable, "-m", "vpsorg_async.sandbox", "--port", "0", "--servers", "3", "--token", token]
    program = "import vpsorg_async, asyncio; print(len(asyncio.run(vpsorg_async.Client().servers.list().all())))"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        _, *lines = [process.stdout.readline() for _ in range(3)]
        script = f"{''.join(lines)}exec {sys.executable} -c '{program}'"
        result = subprocess.run(["/bin/sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
        process.send_signal(signal.SIGTERM)

    assert [line.partition("=")[0] for line in lines] == ["export VPS_API_URL", "export VPS_API_TOKEN"]
    assert result.stdout == "3\n"


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--speed=0", "0 is not a speed: give a finite number above 0"),
        ("--speed=fast", "fast is not a speed: give a finite number above 0"),
        ("--servers=-1", "-1 is negative: give 0 or more"),
        ("--servers=many", "many is no whole number"),
        ("--port=99999", "port must be from 0 to 65535"),
        ("--latency=2:1", "2:1 is no latency: give seconds such as 0.05, or a range such as 0.005:0.05"),
    ],
)
def test_the_command_refuses_what_cannot_be(argument, words):
    result = subprocess.run(
        [sys.executable, "-m", "vpsorg_async.sandbox", argument], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode in {1, 2}
    assert result.stderr.endswith(f"{words}\n")
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
            _, errors = process.communicate(timeout=120)

        assert (errors, process.returncode) == ("", 0)
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
            timeout=120,
            check=False,
        )

        expected = f"{path}, fault 1: kind = 'crash'; {ONE_OF}" if content else "[Errno 2] No such file or directory"
        assert result.stderr.startswith(f"sandbox: {expected}")
        assert (result.stdout, result.returncode, result.stderr.count("\n")) == ("", 1, 1)
        assert str(path) in result.stderr
