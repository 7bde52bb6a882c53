"""Python in processes of its own: one that has ended, and one that runs beside a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from collections.abc import Iterator
from pathlib import Path

from tests.helpers import ROOT


# What has not ended by then never will, on however busy a machine.
A_HANG = 120


def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with *arguments* and these variables to its end, and return its exit code and what it printed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=A_HANG,
        check=False,
    )


@contextlib.contextmanager
def started(*arguments: str, base_url: str, cwd: Path = ROOT, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a Python process whose API is at *base_url*. It ends at the latest with the block."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env={
            **os.environ,
            "VPS_API_TOKEN": "vps_sandbox",
            "VPS_API_URL": base_url,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
