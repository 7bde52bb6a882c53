"""Measures very many waits, many processes and a slow API: `python -m benchmarks.scale`.

The run takes about ten minutes. Waits and the slow API run on the sandbox's clock (`benchmarks.situations`), and
processes in real time (`benchmarks.crowd`). `--write` puts the tables into docs/scale.md. `--waits 1000 10000`,
`--processes 10` and `--only` make the run shorter.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from collections.abc import Sequence
from typing import Any

from benchmarks import crowd
from benchmarks.running import ROOT, machine
from benchmarks.tables import inserted


SECONDS_AT_MOST = 1_800
WAYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ()),
    (", `detail=True`", ("--detail",)),
    (", a poll every 10 to 30 s", ("--patient",)),
)
UNCOLLECTED = (", garbage collector off", ("--uncollected",))
ALL_WAYS_AT_MOST = 10_000
CROWDS = (1, 10, 100)
PAGE = ROOT / "docs" / "scale.md"
LIMIT = ("--a-second", 10)
LIMITED: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("1,000 waits, no limit", ("waits", 1_000)),
    ("1,000 waits", ("waits", 1_000, *LIMIT)),
    ("1,000 waits, `detail=True`", ("waits", 1_000, *LIMIT, "--detail")),
    ("1,000 waits, a poll every 10 to 30 s", ("waits", 1_000, *LIMIT, "--patient")),
    ("10,000 waits", ("waits", 10_000, *LIMIT)),
    ("10,000 waits, a poll every 10 to 30 s", ("waits", 10_000, *LIMIT, "--patient")),
    ("fleet of 1,000, no limit", ("fleet", 1_000)),
    ("fleet of 1,000", ("fleet", 1_000, *LIMIT)),
    ("fleet of 1,000, `at_once=200`", ("fleet", 1_000, *LIMIT, "--at-once", 200)),
    ("fleet of 1,000, `at_once=1000`", ("fleet", 1_000, *LIMIT, "--at-once", 1_000)),
    ("fleet of 1,000, commands first, no limit", ("fleet", 1_000, "--apart")),
    ("fleet of 1,000, commands first", ("fleet", 1_000, *LIMIT, "--apart")),
)


def measured(*arguments: object) -> dict[str, Any]:
    """Return the figures of one situation."""
    print(" ", *arguments, file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.situations", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=SECONDS_AT_MOST, cwd=ROOT)
    return dict(json.loads(done.stdout))


def waits(options: argparse.Namespace) -> str:
    """Return the table of very many waits."""
    heads = ["waits", *ON_THE_CLOCK, "CPU, s", "memory of a wait, kB", "peak of the process, MB"]
    rows = []
    for count in options.waits:
        held = measured("memory", count)["memory"]
        for name, flags in (*WAYS, UNCOLLECTED) if count <= ALL_WAYS_AT_MOST else (WAYS[0], UNCOLLECTED):
            found = measured("waits", count, *flags)
            memory = [f"{held / 1e3:.1f}", f"{found['peak'] / 1e6:,.0f}"]
            rows.append([f"{count:,}{name}", *on_the_clock(found), f"{found['cpu']:.1f}", *memory])
    return table(heads, rows)


def processes(options: argparse.Namespace) -> str:
    """Return the table of many processes."""
    heads = [
        "processes",
        "CPU to start one, s",
        "calls a second, all processes",
        "CPU a call, µs",
        "requests for 500 stops and waits",
        "most in one second",
        "CPU for stops and waits, s",
        "memory of a process (RSS), MB",
        "its own share (PSS), MB",
    ]
    rows = []
    for count in [count for count in CROWDS if count <= options.processes]:
        print(f"  {count} processes", file=sys.stderr, flush=True)
        found = crowd.measure(count)
        costs = [f"{found['start']:.2f}", f"{found['calls']:,.0f}", f"{found['call'] * 1e6:.0f}"]
        requests = [f"{found['requests']:,.0f}", f"{found['most']:,.0f}", f"{found['waits']:.1f}"]
        rows.append([str(count), *costs, *requests, *(f"{found[name] / 1e6:.0f}" for name in ("rss", "pss"))])
    return table(heads, rows)


def limit(_: argparse.Namespace) -> str:
    """Return the table of an API of 10 calls a second, and of the same API without its limit."""
    rows = []
    for name, arguments in LIMITED:
        found = measured(*arguments)
        rows.append([name, f"{found['failed']:,}", f"{found['refused']:,}", *on_the_clock(found)])
    return table(["situation", "failed", "429s", *ON_THE_CLOCK], rows)


ON_THE_CLOCK = ("requests", "seconds", "requests a second", "most in one second", "lateness, s: median", "95 %", "most")


def on_the_clock(found: dict[str, Any]) -> list[str]:
    """Return the cells of the figures that go by the sandbox's clock."""
    late = [f"{found[name]:.1f}" for name in ("late", "late 95", "late most")]
    return [f"{found['requests']:,}", f"{found['seconds']:,.0f}", f"{found['mean']:.1f}", f"{found['most']:,}", *late]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)])


TRIALS = {"waits": waits, "processes": processes, "limit": limit}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each trial, and write them if `--write` is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument(
        "--waits", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="numbers of waits at once"
    )
    parser.add_argument("--processes", type=int, choices=CROWDS, default=max(CROWDS), help="the most processes at once")
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS), metavar="TRIAL")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/scale.md")
    options = parser.parse_args(arguments)
    facts = ", ".join(f"{name} {fact}" for name, fact in machine().items())
    for name in options.only:
        print(name, file=sys.stderr, flush=True)
        text = TRIALS[name](options)
        print(f"\n{text}\n\n{facts}", flush=True)
        if options.write:
            page = inserted(PAGE.read_text(), name, text)
            PAGE.write_text(inserted(page, "machine", f"Measured on: {facts}."))


if __name__ == "__main__":
    main()
