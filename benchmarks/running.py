"""Runs the server on one core, and one client at a time on another.

Each trial of a client runs in its own process.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import venv

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.samples import Samples


SECONDS_AT_MOST = 180
ROOT = pathlib.Path(__file__).parents[1]
_IMPORT = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"
_VERSIONS = """
import json, sys
from importlib import metadata
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class TrialError(Exception):
    """A peer could not be measured."""


class Bench:
    """A running server, and the trials that can be measured on it."""

    def __init__(
        self, ports: dict[str, int], folder: pathlib.Path, authority: pathlib.Path | None, core: int | None
    ) -> None:
        self._ports = ports
        self.core = core
        # The environment variables that make a process trust the server.
        self.trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(authority)) if authority else {}
        # Each client has compiled modules, as an installed one has, whatever is set in this process.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        ours = {"PYTHONHASHSEED": "0", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        self._environment = inherited | self.trusted | ours

    def measure(
        self,
        peer: str,
        kind: str,
        *arguments: object,
        scheme: str = "http",
        prefix: str = "",
        seconds_at_most: int = SECONDS_AT_MOST,
    ) -> Any:
        """Return the figures of one trial, `{measure: {x: value}}`.

        Raises:
            TrialError: The trial failed, or its peer is not installed.
        """
        core = () if self.core is None else ("--core", self.core)
        command = ("-m", "benchmarks.peers", peer, kind, self.base(scheme) + prefix, *arguments, *core)
        return json.loads(self._run(python_of(peer), *command, seconds_at_most=seconds_at_most).splitlines()[-1])

    def base(self, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self._ports[scheme]}"

    def import_of(self, peer: str) -> float:
        """Return the CPU seconds of a peer's import in a new interpreter.

        Raises:
            TrialError: The peer is not installed.
        """
        return float(self._run(python_of(peer), "-c", _IMPORT.format(PEERS[peer].imports)))

    def _run(self, python: str, *arguments: object, seconds_at_most: int = SECONDS_AT_MOST) -> str:
        command = [python, *map(str, arguments)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=seconds_at_most,
                check=False,
                cwd=ROOT,
                env=self._environment,
            )
        except subprocess.TimeoutExpired:
            raise TrialError(f"took longer than {seconds_at_most} s") from None
        if done.returncode:
            raise TrialError((done.stderr.strip().splitlines() or ["no output"])[-1][:200])
        return done.stdout


@contextlib.contextmanager
def running(*, tls: bool = True) -> Iterator[Bench]:
    """Run the server while the context lasts, on the first core if there are two."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.server", *([folder] if tls else [])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
            assert server.stdout is not None
            try:
                ports = json.loads(server.stdout.readline())
                if len(cores) > 1:
                    os.sched_setaffinity(server.pid, {cores[0]})
                authority = pathlib.Path(folder) / "ca.pem" if tls else None
                yield Bench(ports, pathlib.Path(folder), authority, cores[1] if len(cores) > 1 else None)
            finally:
                server.kill()


def python_of(peer: str) -> str:
    """Return the interpreter of a peer: this one, or that of its own environment.

    A missing environment is made.

    Raises:
        TrialError: The environment cannot be made.
    """
    apart = PEERS[peer].apart
    if not apart:
        return sys.executable
    folder = pathlib.Path(sys.prefix) / f"apart-{peer}"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "ready").exists():
        try:
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "-q", apart], check=True, timeout=300, capture_output=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise TrialError(f"{apart} could not be installed: {type(error).__name__}") from None
        (folder / "ready").touch()
    return str(python)


def add(samples: Samples, peer: str, figures: dict[str, dict[str, float]]) -> None:
    """Add the figures of one trial to those of earlier rounds."""
    for measure, values in figures.items():
        for x, value in values.items():
            samples.setdefault(peer, {}).setdefault(measure, {}).setdefault(x, []).append(value)


def machine() -> dict[str, str]:
    """Return the facts about the machine: processor, cores, system and Python."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of the measured distributions that are installed."""
    found: dict[str, str] = {}
    for name, peer in PEERS.items():
        if peer.apart:
            with contextlib.suppress(TrialError, subprocess.SubprocessError):
                command = [python_of(name), "-c", _VERSIONS, *peer.distributions]
                found |= json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
            continue
        for distribution in peer.distributions:
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[distribution] = metadata.version(distribution)
    return found


def load() -> float:
    """Return how many processes wanted a core in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
