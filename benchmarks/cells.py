"""Reckons the cells of `benchmarks.bulk`: durations, the ideal loop, the ceiling of polls, and the aims. Pure.

A cell is `account:at_once:what`, such as `1000:20:reboot`: the servers of the account, the items in progress together,
and the command.
"""

from __future__ import annotations

import bisect
import collections
import itertools
import math
import random
import statistics

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from vpsorg_async.sandbox._state.account import SECONDS


WHATS = ("start", "stop", "reboot", "create", "delete")
MAXIMUM = 5.0
"""The seconds between two GETs of the loop, and the `maximum` of the library's polls."""
ITEMS = 300
WINDOW = 30.0
POLLS_A_SECOND = 2.0
PAGE = 100
FEW = 5
MANY = 10
CPU_MS = 5.0

RANGES: dict[str, tuple[float, float]] = SECONDS | {"delete": (10.0, 30.0)}
"""The shortest and the longest duration of each command. The sandbox itself deletes at once."""
LONGEST = 800.0
"""No command takes longer: an item of a fleet has 900 s."""


@attrs.frozen
class Cell:
    """The task of a fleet: the command, how many in progress together, how many servers the account has at first."""

    account: int
    at_once: int
    what: str
    durations: str = "uniform"

    @classmethod
    def parse(cls, text: str, durations: str = "uniform") -> Cell:
        """Return the cell of `account:at_once:what` or `account:at_once:what:durations`."""
        parts = text.split(":")
        if len(parts) not in {3, 4} or not (parts[0].isdecimal() and parts[1].isdecimal()) or int(parts[1]) < 1:
            raise ValueError(f"{text!r} is not account:at_once:what, such as 1000:20:reboot")
        cell = cls(int(parts[0]), int(parts[1]), *parts[2:] if len(parts) > 3 else (parts[2], durations))  # noqa: PLR2004
        if cell.what not in WHATS or cell.durations not in DURATIONS:
            raise ValueError(f"{text!r}: use one of {', '.join(WHATS)}, and one of {', '.join(DURATIONS)}")
        return cell

    def __str__(self) -> str:
        return f"{self.account}:{self.at_once}:{self.what}:{self.durations}"

    def items(self, wanted: int) -> int:
        """Return the number of items: *wanted*, at least `at_once`, and no more than there are servers to command."""
        items = max(wanted, self.at_once)
        return items if self.what == "create" else min(items, self.account)


Draw = Callable[[random.Random, float, float, float], float]
"""Draws a duration from a random source, the range of the command, and the share of the items that have begun."""


def _uniform(chance: random.Random, low: float, high: float, _: float) -> float:
    return chance.uniform(low, high)


def _long_tailed(chance: random.Random, low: float, high: float, _: float) -> float:
    """Most near the shortest, some many times as long."""
    return low / 2 + chance.lognormvariate(math.log((low + high) / 4), 0.9)


def _bimodal(chance: random.Random, low: float, high: float, _: float) -> float:
    """Seven of ten near the shortest, the others near twice the longest."""
    return chance.uniform(0.95, 1.05) * (low if chance.random() < 0.7 else 2 * high)  # noqa: PLR2004


def _slower(chance: random.Random, low: float, high: float, begun: float) -> float:
    """Three times as long from the middle of the run on."""
    return chance.uniform(low, high) * (1 if begun < 1 / 2 else 3)


def _faster(chance: random.Random, low: float, high: float, begun: float) -> float:
    """A third as long from the middle of the run on."""
    return chance.uniform(low, high) * (1 if begun < 1 / 2 else 1 / 3)


def _at_once(chance: random.Random, low: float, high: float, begun: float) -> float:  # noqa: ARG001 - a Draw
    """Nothing to wait for: the command has taken effect when it is answered."""
    return 0.0


DURATIONS: dict[str, Draw] = {
    "uniform": _uniform,
    "long-tailed": _long_tailed,
    "bimodal": _bimodal,
    "slower": _slower,
    "faster": _faster,
    "none": _at_once,
}


def duration(durations: str, what: str, seed: str, begun: float) -> float:
    """Return the seconds that a command takes, to the tenth."""
    low, high = RANGES[what]
    return round(min(DURATIONS[durations](random.Random(seed), low, high, begun), LONGEST), 1)


@attrs.frozen
class Wait:
    """A command and the wait for it: when it was accepted, took effect, and was seen to have."""

    accepted: float
    effective: float
    seen: float

    @property
    def seconds(self) -> float:
        return self.effective - self.accepted

    @property
    def late(self) -> float:
        return self.seen - self.effective


@attrs.frozen
class Poll:
    """A GET: when it began, and of which server; `None` is a page of the list."""

    at: float
    server: str | None


def loop_polls(seconds: float) -> int:
    """Return the GETs of a loop that asks every `MAXIMUM` seconds after a command that takes *seconds*."""
    return max(1, math.ceil(round(seconds / MAXIMUM, 9)))


def loop_lateness(seconds: float) -> float:
    """Return how long after its effect that loop sees a command that takes *seconds*."""
    return MAXIMUM * loop_polls(seconds) - seconds


def counted(polls: Sequence[Poll], waits: Mapping[str, Wait]) -> list[float]:
    """Return the times of the polls that count against the ceiling.

    The first and the last poll of each wait do not count: a GET of its server, or one page of the list that served it.
    The other pages of that list count.
    """
    pages = collections.Counter(poll.at for poll in polls if poll.server is None)
    lists = sorted(pages)
    gets: dict[str, list[float]] = {server: [] for server in waits}
    for poll in polls:
        if poll.server is not None:
            gets.setdefault(poll.server, []).append(poll.at)
    times = [at for server in gets.keys() - waits.keys() for at in gets[server]]
    for server, wait in waits.items():
        between, served_by = _aside(gets[server], lists, wait)
        times += between
        pages.subtract(served_by)
    return sorted([*times, *(at for at, count in pages.items() for _ in range(count))])


def _aside(gets: Sequence[float], lists: Sequence[float], wait: Wait) -> tuple[Sequence[float], set[float]]:
    """Return the GETs between a wait's first and last poll, and the times of the lists that were one of these two."""
    served = lists[bisect.bisect_left(lists, wait.accepted) : bisect.bisect_right(lists, wait.seen)]
    if not served:
        return gets[1:-1], set()
    first_by_get, last_by_get = bool(gets) and gets[0] <= served[0], bool(gets) and gets[-1] >= served[-1]
    begin, end = int(first_by_get), len(gets) - int(last_by_get)
    by_list = set() if first_by_get else {served[0]}
    return gets[begin : max(begin, end)], by_list if last_by_get else by_list | {served[-1]}


@attrs.frozen
class Window:
    """The polls a second of half a minute, and how many the ceiling allows in it."""

    begin: float
    polls: float
    allowed: float

    @property
    def share(self) -> float:
        return self.polls / self.allowed


def busiest(times: Sequence[float], waits: Sequence[Wait]) -> Window:
    """Return the half minute whose polls take the largest share of what the ceiling allows.

    *times* are sorted. The ceiling is two requests a second, or one every `MAXIMUM` seconds for each wait alive,
    whichever is more.
    """
    alive = _Alive(waits)
    windows = (
        Window(
            begin,
            (bisect.bisect_left(times, begin + WINDOW) - place) / WINDOW,
            max(POLLS_A_SECOND, alive.seconds(begin, begin + WINDOW) / MAXIMUM / WINDOW),
        )
        for place, begin in enumerate(times)
    )
    return max(windows, key=lambda window: window.share, default=Window(0.0, 0.0, POLLS_A_SECOND))


class _Alive:
    """Adds up the seconds of all waits that lie in a window, each in logarithmic time."""

    def __init__(self, waits: Sequence[Wait]) -> None:
        self._edges = [sorted(wait.accepted for wait in waits), sorted(wait.seen for wait in waits)]
        self._sums = [[0.0, *itertools.accumulate(edges)] for edges in self._edges]

    def seconds(self, begin: float, end: float) -> float:
        return self._until(end) - self._until(begin)

    def _until(self, now: float) -> float:
        begun, ended = (
            place * now - sums[place]
            for edges, sums in zip(self._edges, self._sums, strict=True)
            for place in [bisect.bisect_left(edges, now)]
        )
        return begun - ended


@attrs.frozen
class Figures:
    """The figures of a cell. Lateness is in seconds; requests and CPU are those of an item."""

    items: int
    failed: int
    requests: float
    late: float
    worst: float
    cpu_ms: float
    polls: float
    allowed: float
    loop_requests: float
    loop_late: float

    @property
    def times(self) -> float:
        """The requests as a multiple of the ideal loop's."""
        return self.requests / self.loop_requests

    @property
    def polls_share(self) -> float:
        """The polls as a share of what the ceiling allows."""
        return self.polls / self.allowed

    @property
    def lateness(self) -> float:
        """The median lateness as a share of the ideal loop's."""
        return self.late / self.loop_late if self.loop_late else math.inf


def ours(found: Figures) -> dict[str, float]:
    """Return the figures of the run itself, as samples of the benchmarks."""
    names = ("requests", "late", "worst", "cpu_ms", "polls", "allowed", "failed")
    return {name: float(getattr(found, name)) for name in names}


def loops(found: Figures) -> dict[str, float]:
    """Return the figures of the ideal loop, as samples of the benchmarks."""
    return {"requests": found.loop_requests, "late": found.loop_late}


def figures(waits: Mapping[str, Wait], polls: Sequence[Poll], requests: int, cpu: float, items: int) -> Figures:
    """Return the figures of a run of *items* items, of which *waits* got there."""
    window = busiest(counted(polls, waits), list(waits.values()))
    late, took = [wait.late for wait in waits.values()] or [math.nan], [wait.seconds for wait in waits.values()]
    return Figures(
        items=items,
        failed=items - len(waits),
        requests=requests / items,
        late=statistics.median(late),
        worst=max(late),
        cpu_ms=cpu / items * 1e3,
        polls=window.polls,
        allowed=window.allowed,
        loop_requests=1 + statistics.fmean(map(loop_polls, took or [0.0])),
        loop_late=statistics.median(map(loop_lateness, took or [0.0])),
    )


def aims(cell: Cell, items: int, latency: float = 0.0) -> dict[str, float]:
    """Return what the figures of a cell may be at most, by the name of the figure. No name: anything.

    The multiples are of the ideal loop's figures, and `polls` is a share of the ceiling.
    """
    together, servers = min(cell.at_once, items), cell.account + (items if cell.what == "create" else 0)
    pages = -(-servers // PAGE)
    times = {} if together < MANY else {"times": 0.6 if together >= 2 * pages else 1.0}
    # A poll may take the time of a few requests, one after another.
    worst = MAXIMUM + 3 * latency
    lateness = 0.7 if together <= FEW else 1.1
    return {"failed": 0, **times, "lateness": lateness, "worst": worst, "cpu_ms": CPU_MS, "polls": 1.0}


def missed(cell: Cell, found: Figures, latency: float = 0.0) -> set[str]:
    """Return the names of the figures that miss their aims."""
    values = attrs.asdict(found) | {"times": found.times, "lateness": found.lateness, "polls": found.polls_share}
    limits = aims(cell, found.items, latency)
    return {name for name, limit in limits.items() if not values[name] <= limit + 1e-6}


def _cells(
    accounts: Iterable[int], at_once: Iterable[int], whats: Iterable[str], durations: Iterable[str]
) -> list[Cell]:
    """Return all cells of these values, without those whose account is too small for their `at_once`."""
    found = itertools.starmap(Cell, itertools.product(accounts, at_once, whats, durations))
    return [cell for cell in found if cell.what == "create" or cell.at_once <= cell.account]


CELLS = (
    *_cells((100, 1_000, 3_000, 10_000), (1, 5, 20, 100, 300, 1_000), WHATS, ("uniform",)),
    *_cells((1_000,), (1, 20, 100), WHATS, ("long-tailed", "bimodal", "slower", "faster")),
)
GATHERED = 1_000
"""The size of the accounts in which `asyncio.gather` is measured too."""
FEW_CELLS = tuple(_cells((100,), (1, 20), ("stop", "create"), ("uniform",)))
