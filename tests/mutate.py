"""Apply every change of `mutations.toml`, one at a time, and expect the tests of its row to fail.

`python -m tests.mutate [--list] [--row W1 ...]`; exit 1 if a change survives, or no longer fits the source.
"""

from __future__ import annotations

import argparse
import atexit
import compileall
import contextlib
import importlib
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import attrs
import pytest

from tests.helpers import ROOT, rows_shown


LIST = ROOT / "tests" / "mutations.toml"
WORKERS = 4
"""Two on each of two cores: tests wait half of the time."""
SECONDS = 120
SECONDS_UNCHANGED = 900
GLANCE = 0.02
# Half of the time of a quick run is that of these imports: a run is a fork of a process that has them, and nothing of
# this project. Plugins of pytest are not among them, because pytest imports those in its own way.
IMPORTED = (
    *("anyio._backends._asyncio", "anyio._backends._trio", "anyio.from_thread", "attrs", "cattrs.preconf", "httptools"),
    *("httpx", "hypothesis.strategies", "orjson", "starlette.applications", "starlette.routing", "tenacity", "trio"),
    *("trustme", "uvicorn"),
)
# pytest's exit codes: 1 is "a test failed"; 2 to 4 mean that it did not get so far, 5 that no test has this code.
OUTCOMES = {0: "SURVIVED", 1: "killed", 5: "NO TEST"}


@attrs.frozen
class Mutation:
    """One line of the source, changed so that one row no longer holds."""

    row: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...] = attrs.field(default=(), converter=tuple)

    def applied_to(self, root: Path) -> str:
        """Return the changed text of the file. Raises: `ValueError` if `find` is not there exactly once."""
        source = (root / self.file).read_text()
        if (times := source.count(self.find)) != 1:
            raise ValueError(f"{self.row}: {self.file} has {self.find!r} {times} times, not once")
        return source.replace(self.find, self.replace)

    def test_files(self) -> tuple[str, ...]:
        """Return where its row is shown, so that nothing else has to be collected."""
        return self.tests or tuple(
            str(path.relative_to(ROOT)) for path, rows in rows_shown().items() if self.row in rows
        )

    def line(self, root: Path) -> int:
        return (root / self.file).read_text().partition(self.find)[0].count("\n") + 1


@attrs.frozen
class Result:
    mutation: Mutation
    outcome: str
    seconds: float
    output: str

    @property
    def killed(self) -> bool:
        return self.outcome.startswith("killed")


def load(path: Path = LIST) -> list[Mutation]:
    return [Mutation(**entry) for entry in tomllib.loads(path.read_text()).get("mutation", [])]


def copy_tree(to: Path) -> Path:
    """Copy what git knows of and what it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    # Compiled by its contents: a changed file may keep its size and, within a second, its time.
    by_contents = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(to / "vpsorg_async", quiet=1, invalidation_mode=by_contents)
    return to


@attrs.define
class Try:
    """A run of pytest in a process of its own, in a copy of the tree."""

    root: Path
    output: IO[str] | None
    pid: int
    deadline: float
    began: float = attrs.field(factory=time.monotonic)

    @classmethod
    def of(cls, root: Path, rows: str, tests: tuple[str, ...], seconds: float, output: IO[str] | None = None) -> Try:
        """Begin to run the rows' tests in *root*; what they print goes to *output*."""
        options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--backend", "asyncio", "--row", rows]
        options += ["--hypothesis-profile", "unshrunk"]
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            _become_pytest(root, [*options, *tests], output)
        return cls(root, output, pid, time.monotonic() + seconds)

    def ended(self) -> tuple[bool, int | None]:
        """Return whether it has ended, and pytest's exit code; that is None if it took too long."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            return True, os.waitstatus_to_exitcode(status)
        if time.monotonic() < self.deadline:
            return False, None
        self.kill()
        return True, None

    def kill(self) -> None:
        """End it, and what it has begun."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _become_pytest(root: Path, arguments: list[str], output: IO[str] | None) -> None:
    """Go on as `python -m pytest` in *root*, and end."""
    code = 3
    try:
        # The temporary folder is its parent's to remove.
        atexit._clear()
        os.setsid()
        os.chdir(root)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if output is not None:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        # What is imported from now on is the copy's. Its tests are compiled once.
        sys.path[:] = [str(root), *(path for path in sys.path if path not in ("", str(ROOT)))]
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        os.environ["PYTHONPATH"] = str(root)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False
        # As of a process that ends with a traceback: warnings that are errors may come when pytest has ended.
        code = 1
        code = int(pytest.main(["-W", "ignore::pytest.PytestAssertRewriteWarning", *arguments]))
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def unchanged_rows_fail(mutations: list[Mutation], root: Path) -> bool:
    """Run all rows on the unchanged source once: where they fail anyway, a killed mutation would say nothing."""
    rows = ",".join(sorted({mutation.row for mutation in mutations}))
    # By their names: a folder that pytest leaves out by itself is among them.
    files = tuple(sorted({file for mutation in mutations for file in mutation.test_files()}))
    run = Try.of(root, rows, files, SECONDS_UNCHANGED)
    while not (ended := run.ended())[0]:
        time.sleep(GLANCE)
    return ended[1] != 0


def attempts(mutations: list[Mutation], roots: list[Path]) -> Iterator[Result]:
    """Try each mutation in one of the copies, as many at a time as there are copies."""
    waiting, running, unchanged = mutations[::-1], dict[Path, tuple[Mutation, Try]](), dict[Path, bytes]()
    try:
        while waiting or running:
            for root in [root for root in roots if root not in running][: len(waiting)]:
                mutation = waiting.pop()
                try:
                    changed = mutation.applied_to(root)
                except ValueError as error:
                    yield Result(mutation, "NOT FOUND", 0.0, str(error))
                    continue
                unchanged[root] = (root / mutation.file).read_bytes()
                (root / mutation.file).write_text(changed)
                output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed by `_result`
                running[root] = mutation, Try.of(root, mutation.row, mutation.test_files(), SECONDS, output)
            time.sleep(GLANCE)
            for root, (mutation, run) in [*running.items()]:
                over, code = run.ended()
                if over:
                    del running[root]
                    (root / mutation.file).write_bytes(unchanged[root])
                    yield _result(mutation, run, code)
    finally:
        for _, run in running.values():
            run.kill()


def _result(mutation: Mutation, run: Try, code: int | None) -> Result:
    assert run.output is not None
    with run.output as output:
        output.seek(0)
        told = output.read()
    outcome = "killed (too slow)" if code is None else OUTCOMES.get(code, f"BROKEN ({code})")
    return Result(mutation, outcome, time.monotonic() - run.began, told)


def run(mutations: list[Mutation], *, passed: bool) -> list[Result]:
    """Try all of them on copies of the tree, and print a row for each as it ends.

    Unless the rows' tests are known to have *passed*, they are run unchanged first: a test that fails kills nothing.
    """
    for name in IMPORTED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutate-", ignore_cleanup_errors=True) as folder:
        roots = [copy_tree(Path(folder) / str(number)) for number in range(WORKERS)]
        if not passed and unchanged_rows_fail(mutations, roots[0]):
            raise SystemExit("the rows' tests fail, or are missing, without any mutation")
        return [_told(result) for result in attempts(mutations, roots)]


def _told(result: Result) -> Result:
    place = f"{result.mutation.file}:{result.mutation.line(ROOT)}"
    print(f"{result.mutation.row:<4} {result.outcome:<18} {result.seconds:6.1f} s  {place}", flush=True)
    if not result.killed:
        print(f"     {result.mutation.find!r} -> {result.mutation.replace!r}\n{result.output[-2000:]}", flush=True)
    return result


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument("--row", action="append", help="only this row; may be given again")
    parser.add_argument("--list", action="store_true", help="print the mutations and run nothing")
    parser.add_argument("--passed", action="store_true", help="the tests have just passed: do not run them unchanged")
    options = parser.parse_args(arguments)
    chosen = [mutation for mutation in load() if not options.row or mutation.row in options.row]
    if options.list:
        for mutation in chosen:
            print(f"{mutation.row:<4} {mutation.file}: {mutation.find!r} -> {mutation.replace!r}")
        return 0
    results = run(chosen, passed=options.passed) if chosen else []
    killed = sum(result.killed for result in results)
    print(f"{killed} killed, {len(results) - killed} survived")
    return 0 if results and killed == len(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
