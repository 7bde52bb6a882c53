"""The README's examples run as they are printed, against the sandbox; its two commands are where they belong."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from vpsorg_async.sandbox import Sandbox


README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SCRIPTS = [example for example in EXAMPLES if "asyncio.run(" in example]
TESTS = [example for example in EXAMPLES if example not in SCRIPTS]
TITLES = [re.findall(r"^## (.+)$", README.split(example)[0], re.MULTILINE)[-1] for example in SCRIPTS]


@pytest.mark.parametrize("example", SCRIPTS, ids=TITLES)
def test_an_example_runs_as_it_is_printed(example):
    """A fresh interpreter is given the text between the fences, and the sandbox in place of the API."""
    with Sandbox().serve(speed=600) as base_url:
        environment = {**os.environ, "VPS_API_TOKEN": "vps_sandbox", "VPS_API_URL": base_url, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout


@pytest.mark.parametrize("example", TESTS)
def test_an_example_of_a_test_passes_in_a_project_of_its_own(pytester, monkeypatch, example):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(example)

    result = pytester.run(sys.executable, "-m", "pytest", "-p", "no:xdist", timeout=60)

    result.assert_outcomes(passed=1)


def test_the_first_two_commands_run_the_demo_and_the_tests():
    demo, tests = COMMANDS[:2]

    assert demo.count("\n") == tests.count("\n") == 1
    assert demo.endswith("-m vpsorg_async demo\n")
    assert tests.endswith("-m pytest -n auto\n")
    assert README.index(tests) < README.index("\n## ")
