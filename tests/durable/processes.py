"""Starts the processes of the tests, kills them, and reads what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import attrs

from tests.durable.served import TOKEN
from tests.helpers import ROOT


SECONDS = 100.0
KILLED = -9


@attrs.define(eq=False)
class Process:
    """A Python process.

    Attributes:
        popen: the process.
        errors: the file of its standard error.
        facts: the last JSON lines that it has printed, as one.
    """

    popen: subprocess.Popen[str]
    errors: Path
    _file: IO[str]
    facts: dict[str, Any] = attrs.field(factory=dict)
    was_slow: bool = False
    watchdog: threading.Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.watchdog = threading.Timer(SECONDS, self.give_up)
        self.watchdog.daemon = True
        self.watchdog.start()

    def kill(self) -> None:
        """End it as the kernel does when memory is short: it cannot do anything any more."""
        self.popen.kill()

    def text(self) -> str:
        """Return the next line that it prints, as it is."""
        assert self.popen.stdout is not None
        return self.popen.stdout.readline()

    def line(self) -> dict[str, Any]:
        """Return the next line that it prints; empty when it has ended."""
        text = self.text()
        return json.loads(text) if text else {}

    def wait_for(self, key: str) -> Any:
        """Return the value of the next line with that key."""
        while facts := self.line():
            if key in facts:
                return facts[key]
        raise AssertionError(f"it has ended without {key!r}: {self.end()}, {self.told}")

    def end(self) -> int:
        """Return its exit status when it has ended, and all it printed is read."""
        assert self.popen.stdout is not None
        lines = self.popen.stdout.read().splitlines() if not self.popen.stdout.closed else []
        for line in lines:
            self.facts |= json.loads(line) if line.startswith("{") else {}
        status = self.popen.wait()
        self.watchdog.cancel()
        self._file.close()
        assert not self.was_slow, f"it has not ended within {SECONDS:.0f} s: {self.told}"
        return status

    def rest(self) -> dict[str, Any]:
        """Return the facts that are left, as one, with its exit status."""
        return {"exit": self.end(), **self.facts}

    def give_up(self) -> None:
        """Kill it because it takes too long."""
        self.was_slow = True
        self.kill()

    @property
    def told(self) -> str:
        """What it has written to its standard error."""
        return self.errors.read_text()[-6000:]


class Processes:
    """Starts processes in *folder*, and ends those that are left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Process] = []

    def start(
        self,
        arguments: Sequence[str],
        *,
        env: dict[str, str] | None = None,
        before: Sequence[str] = (),
        umask: int = -1,
    ) -> Process:
        """Start Python with the arguments. *before* is a command in front of it."""
        errors = self._folder / f"errors-{len(self._started)}-{os.urandom(3).hex()}.txt"
        file = errors.open("w")
        popen = subprocess.Popen(
            [*before, sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            umask=umask,
        )
        process = Process(popen, errors, file)
        self._started.append(process)
        return process

    def work(self, job: dict[str, Any], story: str = "work", **how: Any) -> Process:
        """Start a story of `tests/durable/worker.py` with the job."""
        return self.start(["-m", "tests.durable.worker", story, json.dumps(job)], **how)

    def command(self, base_url: str, verb: str, *arguments: str) -> Process:
        """Start `python -m vpsorg_async.durable`."""
        env = {"VPS_API_TOKEN": TOKEN, "VPS_API_URL": base_url}
        return self.start(["-m", "vpsorg_async.durable", verb, *arguments], env=env)

    def close(self) -> None:
        """End every process that still runs."""
        for process in self._started:
            process.kill()
            assert process.popen.stdout is not None
            process.was_slow = False
            process.end()
            process.popen.stdout.close()
