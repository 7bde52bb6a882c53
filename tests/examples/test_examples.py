"""Each script of examples/ runs to its end without a warning, each against a sandbox of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from vpsorg_async.sandbox import Sandbox


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_it_runs_to_its_end_without_a_warning(example, tmp_path):
    with Sandbox(servers=3).serve(speed=60) as base_url:
        done = subprocess.run(
            [sys.executable, "-W", "error", example],
            env={**os.environ, "VPS_API_TOKEN": "vps_sandbox", "VPS_API_URL": base_url, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout
