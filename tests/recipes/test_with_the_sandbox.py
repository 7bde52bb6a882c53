"""The tests that a user copies pass in a project of its own, with warnings as errors."""

from __future__ import annotations

import sys

from tests.helpers import ROOT
from tests.recipes.running import RECIPES


def test_they_pass(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_copied=(RECIPES / "test_with_the_sandbox.py").read_text())

    options = ["-p", "no:xdist", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function"]
    result = pytester.run(sys.executable, "-m", "pytest", *options, timeout=60)

    result.assert_outcomes(passed=4)
