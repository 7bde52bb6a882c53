"""Builds the distributions once, and tells which interpreters they are installed on."""

from __future__ import annotations

import os
import subprocess
import sys

from pathlib import Path

import attrs
import pytest

from filelock import FileLock

from tests.helpers import ROOT


@attrs.frozen
class Distributions:
    wheel: Path
    sdist: Path


def pytest_addoption(parser):
    parser.addoption(
        "--interpreter",
        action="append",
        metavar="PYTHON",
        help="install the wheel on this interpreter; may be repeated (default: the one that runs the tests)",
    )


def pytest_generate_tests(metafunc):
    if "interpreter" in metafunc.fixturenames:
        given = metafunc.config.getoption("--interpreter") or [sys.executable]
        metafunc.parametrize("interpreter", given, ids=[_version(python) for python in given], scope="session")


def _version(python):
    script = "import sys, sysconfig; print(sys.version.split()[0] + sysconfig.get_config_var('abiflags'))"
    return subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Return what `python -m build` makes: an sdist of this checkout, and a wheel of that sdist."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "distributions"
    with FileLock(shared / "distributions.lock"):
        if not folder.exists():
            command = [sys.executable, "-m", "build", "--installer", "uv", "--outdir", str(folder), str(ROOT)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Distributions(wheel, sdist)
