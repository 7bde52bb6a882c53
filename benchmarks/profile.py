"""Shows where a call's time goes, by cProfile: `python -m benchmarks.profile`.

The shares are those of the client's own time. A function's own time counts for the group of its module, and a
built-in's time for the group of its caller. The wait for a readable socket, and the code that drives the calls, count
for no group. cProfile makes small functions look more expensive than they are: the order is right, the shares are
rough.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import pstats

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.peers import vps
from benchmarks.peers.__main__ import CONNECTIONS, drive
from benchmarks.running import ROOT, running
from benchmarks.tables import inserted


DRIVER = "the driver of the calls"
GROUPS = (
    (DRIVER, ("/benchmarks/",)),
    ("httpx: requests, responses, URLs, headers", ("/httpx/", "/ipaddress.py", "/http/cookiejar.py", "/urllib/")),
    ("ssl", ("/ssl.py",)),
    ("anyio: streams, cancel scopes", ("/anyio/",)),
    ("asyncio: loop, tasks, transports", ("/asyncio/", "/selectors.py")),
    (
        "this library: connection and pool",
        (
            "vpsorg_async/_transport/connection.py",
            "vpsorg_async/_transport/pool.py",
            "vpsorg_async/_transport/direct_stream.py",
            "vpsorg_async/_transport/stream.py",
        ),
    ),
    ("this library: parser (httptools)", ("vpsorg_async/_transport/response_parser.py",)),
    (
        "this library: codec (orjson), dates",
        ("vpsorg_async/_request/codec.py", "vpsorg_async/_models.py", "vpsorg_async/_decoding.py", "/email/"),
    ),
    ("this library: limiter, rate control", ("vpsorg_async/_request/limiter", "vpsorg_async/_request/rate_control")),
    (
        "this library: round trip, retries, token, deadlines",
        ("vpsorg_async/_request/", "vpsorg_async/_transport/", "vpsorg_async/_clock.py"),
    ),
    ("this library: the rest of a call", ("vpsorg_async/_",)),
    ("the system's sockets", ("<socket>",)),
    ("the rest of the standard library", ("",)),
)
"""The groups by parts of a file's path. The first group that fits counts."""

_WAITING = ("method 'poll' of 'select.epoll'", "select.select")
_SOCKETS = ("posix.write", "method 'send' of '_socket", "method 'recv' of '_socket", "method 'recv_into' of '_socket")

PAGE = ROOT / "docs" / "performance.md"

Function = tuple[str, int, str]
Entry = tuple[int, int, float, float, Mapping[Function, tuple[int, int, float, float]]]


def group_of(file: str) -> str:
    """Return the group of a source file."""
    path = file.replace("\\", "/")
    return next(name for name, marks in GROUPS if any(mark in path for mark in marks))


def shares(stats: Mapping[Function, Entry]) -> dict[str, float]:
    """Return each group's share of the time, the largest first."""
    spent: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, callers) in stats.items():
        if any(mark in name for mark in _WAITING):
            continue
        if any(mark in name for mark in _SOCKETS):
            spent[group_of("<socket>")] += own
        elif file != "~" or not callers:
            spent[group_of(file)] += own
        else:
            for (caller, *_), (_, _, through, _) in callers.items():
                spent[group_of(caller)] += through
    spent.pop(DRIVER, None)
    total = sum(spent.values())
    return {name: value / total for name, value in spent.most_common()}


async def profiled(base: str, at_once: int, seconds: float) -> Any:
    """Return the statistics of cProfile for so many calls at once."""
    profile = cProfile.Profile()
    async with vps.connect(base, CONNECTIONS) as calls:
        await drive(calls.get, at_once, seconds / 5)
        profile.enable()
        await drive(calls.get, at_once, seconds)
        profile.disable()
    return pstats.Stats(profile).stats  # type: ignore[attr-defined] - not in typeshed


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of shares, and write it if `--write` is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args(arguments)
    with running() as bench:
        os.environ |= bench.trusted
        base = bench.base("https" if options.tls else "http")
        found = shares(asyncio.run(profiled(base, options.at_once, options.seconds)))
    text = table(found, options.at_once)
    print(text)
    if options.write:
        PAGE.write_text(inserted(PAGE.read_text(), "profile", text))


def table(found: Mapping[str, float], at_once: int) -> str:
    """Return a table in Markdown with a row for each group."""
    rows = [f"| {name} | {share:.0%} |" for name, share in found.items()]
    return "\n".join([f"| {at_once:,} calls at once | share of the time |", "|---|---|", *rows])


if __name__ == "__main__":
    main()
