"""Apply every change of `mutations.toml`, one at a time, and expect the tests of its row to fail.

`python -m tests.mutate [--list] [--row W1 ...]`; exit 1 if a change survives, or no longer fits the source.
"""

from __future__ import annotations

import argparse
import compileall
import concurrent.futures
import os
import py_compile
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

from pathlib import Path
from typing import TextIO

import attrs

from tests.helpers import ROOT, rows_shown


LIST = ROOT / "tests" / "mutations.toml"
WORKERS = 4
"""Two on each of two cores: tests wait half of the time."""
SECONDS = 120
SECONDS_UNCHANGED = 900
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
        files = (str(path.relative_to(ROOT)) for path, rows in rows_shown().items() if self.row in rows)
        return self.tests or tuple(files)

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


def run_rows(root: Path, rows: str, tests: tuple[str, ...], seconds: float, output: TextIO) -> int | None:
    """Run the rows' tests in *root* and return pytest's exit code; None if it took too long."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    # The tests are compiled once.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--backend", "asyncio", "--row", rows]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def attempt(mutation: Mutation, roots: queue.Queue[Path]) -> Result:
    root = roots.get()
    file = root / mutation.file
    unchanged = file.read_bytes()
    began = time.monotonic()
    try:
        file.write_text(mutation.applied_to(root))
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            code = run_rows(root, mutation.row, mutation.test_files(), SECONDS, output)
            output.seek(0)
            told = output.read()
        outcome = "killed (too slow)" if code is None else OUTCOMES.get(code, f"BROKEN ({code})")
        return Result(mutation, outcome, time.monotonic() - began, told)
    except ValueError as error:
        return Result(mutation, "NOT FOUND", 0.0, str(error))
    finally:
        file.write_bytes(unchanged)
        roots.put(root)


def unchanged_rows_fail(mutations: list[Mutation], root: Path) -> bool:
    """Run all rows on the unchanged source once: where they fail anyway, a killed mutation would say nothing."""
    rows = ",".join(sorted({mutation.row for mutation in mutations}))
    # By their names: a folder that pytest leaves out by itself is among them.
    files = tuple(sorted({file for mutation in mutations for file in mutation.test_files()}))
    return run_rows(root, rows, files, SECONDS_UNCHANGED, sys.stdout) != 0


def run(mutations: list[Mutation], *, passed: bool) -> list[Result]:
    """Try all of them on copies of the tree, and print a row for each as it ends.

    Unless the rows' tests are known to have *passed*, they are run unchanged first: a test that fails kills nothing.
    """
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        roots: queue.Queue[Path] = queue.Queue()
        for number in range(WORKERS):
            roots.put(copy_tree(Path(folder) / str(number)))
        if not passed and unchanged_rows_fail(mutations, Path(folder) / "0"):
            raise SystemExit("the rows' tests fail, or are missing, without any mutation")
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            tries = [pool.submit(attempt, mutation, roots) for mutation in mutations]
            return [_told(done.result()) for done in concurrent.futures.as_completed(tries)]


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
