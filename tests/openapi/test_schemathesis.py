"""The sandbox answers as its own OpenAPI document says, whatever it is asked."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.helpers import ROOT
from vpsorg_async.sandbox import Sandbox


HERE = ROOT / "tests" / "openapi"


def test_every_answer_is_one_that_is_documented(tmp_path):
    """All checks of schemathesis: valid bodies and invalid ones, sequences, no token, wrong methods."""
    # So fast that a command is over when the next one comes.
    with Sandbox(servers=30).serve(speed=10_000) as base_url:
        command = [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(HERE / "schemathesis.toml")),
            *("run", base_url.removesuffix("/api/v1") + "/openapi.json"),
            *("--header", "Authorization: Bearer vps_sandbox"),
            *("--checks", "all"),
            *("--max-examples", "30"),
            *("--seed", "1"),
            # Else how busy the machine is would decide.
            *("--suppress-health-check", "too_slow"),
            *("--warnings", "off"),
            *("--output-sanitize", "false"),
        ]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")}
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "No issues found" in result.stdout
