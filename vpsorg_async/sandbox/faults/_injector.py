"""Decide which faults apply to which request, count them, and log them."""

from __future__ import annotations

import random
import re
import threading

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import attrs

from .._state.account import uuid_of
from .._state.calls import Call
from . import _kinds
from ._fault import Fault


LIST_PATH = "/servers/"

_DETAIL = re.compile(r"/servers/[^/]+/")
_COMMAND = re.compile(r"/servers/([^/]+/(start|stop|reboot|power)/)?")

_OF_SERVERS_IN_A_LIST = (_kinds.Omit, _kinds.Stale, _kinds.AsStatus)
_CUMULATIVE = ("delay", "stale", "as_status", "omit")

_CONTENT = frozenset({"stale", "as_status", "omit", "loop", "html", "bomb"})
OVERRIDES: dict[str, frozenset[str]] = {
    "delay": frozenset(),
    "drop": frozenset({"status", "end_in", *_CONTENT, "hang", "drop_after_commit", "cut", "drip"}),
    "status": frozenset({"end_in", "stale", "as_status", "omit", "loop"}),
    "end_in": frozenset(),
    "stale": frozenset(),
    "as_status": frozenset(),
    "omit": frozenset(),
    "loop": frozenset(),
    "html": frozenset({"as_status", "omit", "loop"}),
    "bomb": frozenset(),
    "hang": frozenset({*_CONTENT, "drop_after_commit", "cut", "drip"}),
    "drop_after_commit": frozenset({*_CONTENT, "cut", "drip"}),
    "cut": frozenset(),
    "drip": frozenset(),
}
"""The stages of a round trip in the order in which faults take effect, each with the stages that it overrides."""

_STAGES = {kind: name for name, kind in _kinds.KINDS.items()}


@attrs.frozen
class Target:
    """The parts of a request that decide which faults match it.

    Attributes:
        method: in capitals.
        path: relative to the base path.
        server_id: the id or UUID in the path; empty if the path has none.
    """

    method: str
    path: str
    server_id: str = ""


@attrs.frozen
class Counts:
    """The number of requests that matched a fault, and of those that it was applied to."""

    matched: int = 0
    applied: int = 0


@attrs.frozen
class Injection:
    """A fault that was applied to a request.

    Attributes:
        fault: the fault.
        call: the request, the same object as in `Sandbox.calls`.
        at: the time of its arrival, in sandbox seconds.
    """

    fault: Fault
    call: Call
    at: float


def matches(fault: Fault, target: Target) -> bool:
    """Return whether the rule and the kind of *fault* match the request *target*."""
    if fault.method is not None and fault.method.upper() != target.method:
        return False
    if fault.path is not None and not re.search(fault.path, target.path):
        return False
    listing = target.method == "GET" and target.path == LIST_PATH
    if not (listing and isinstance(fault.what, _OF_SERVERS_IN_A_LIST)) and not concerns(fault, target.server_id):
        return False
    match fault.what:
        case _kinds.Omit() | _kinds.Loop():
            return listing
        case _kinds.Stale() | _kinds.AsStatus():
            return listing or (target.method == "GET" and _DETAIL.fullmatch(target.path) is not None)
        case _kinds.EndIn():
            return target.method == "POST" and _COMMAND.fullmatch(target.path) is not None
    return True


def concerns(fault: Fault, server_id: int | str) -> bool:
    """Return whether *fault* is for the server with that id or UUID."""
    return fault.server_id is None or not _keys(fault.server_id).isdisjoint(_keys(server_id))


def decide(fault: Fault, before: Counts, chance: float) -> tuple[Counts, bool]:
    """Return the counts after one more matching request, and whether *fault* is applied to it.

    Args:
        fault: the fault.
        before: the counts so far.
        chance: from 0 to below 1; the fault is applied if this is below its probability.
    """
    nth = before.matched + 1
    applies = (
        (fault.times is None or before.applied < fault.times)
        and (fault.every is None or nth % fault.every == 0)
        and (fault.probability is None or chance < fault.probability)
    )
    return Counts(nth, before.applied + applies), applies


def effective(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """Return those of *faults* that are not overridden, in the order in which they take effect.

    *faults* are in the order in which they were added.
    """
    by_stage: dict[str, list[Fault]] = {stage: [] for stage in OVERRIDES}
    for fault in faults:
        by_stage[stage_of(fault)].append(fault)
    overridden = {other for stage, present in by_stage.items() if present for other in OVERRIDES[stage]}
    return tuple(
        fault
        for stage, present in by_stage.items()
        if stage not in overridden
        for fault in (present if stage in _CUMULATIVE else present[-1:])
    )


def stage_of(fault: Fault) -> str:
    """Return the key of *fault* in `OVERRIDES`."""
    match fault.what:
        case _kinds.Drop(after_commit=True):
            return "drop_after_commit"
    return _STAGES[type(fault.what)]


class _Added:
    """A fault that was added, and its counts. The same fault added twice is two of these."""

    def __init__(self, fault: Fault, number: int) -> None:
        self.fault = fault
        self.number = number
        self.counts = Counts()


class FaultInjector:
    """The active faults of a sandbox, and the log of the requests that they were applied to.

    Each fault counts the requests that match it from the moment when it is added, whatever the other faults do.
    """

    def __init__(self, lock: threading.Lock, seed: int) -> None:
        self._lock = lock
        self._seed = seed
        self._active: list[_Added] = []
        self._added = 0
        self._log: list[Injection] = []

    @contextmanager
    def inject(self, *faults: Fault) -> Generator[None]:
        """Apply *faults* during a `with` block; faults that are active already stay active.

        Raises:
            TypeError: an argument is not a `Fault`.
        """
        added = self._add(faults)
        try:
            yield
        finally:
            with self._lock:
                self._active = [one for one in self._active if one not in added]

    def add(self, *faults: Fault) -> None:
        """Apply *faults* from now on, until `clear`.

        Raises:
            TypeError: an argument is not a `Fault`.
        """
        self._add(faults)

    def clear(self) -> None:
        """Remove all faults, those of `inject` too; the log is kept."""
        with self._lock:
            self._active = []

    @property
    def log(self) -> list[Injection]:
        """The faults that were applied, in order; those of one request in the order of effect."""
        with self._lock:
            return list(self._log)

    def select(self, target: Target) -> tuple[Fault, ...]:
        """Count *target*, and return the faults to apply to it, in the order of their effect.

        The caller holds the lock.
        """
        return effective([one.fault for one in self._active if matches(one.fault, target) and self._applies(one)])

    def record(self, faults: Sequence[Fault], call: Call) -> None:
        """Log that *faults* were applied to *call*. The caller holds the lock."""
        self._log += [Injection(fault, call, call.at) for fault in faults]

    def active(self) -> list[tuple[Fault, Counts]]:
        """Return the active faults and their counts, the newest first. The caller holds the lock."""
        return [(one.fault, one.counts) for one in reversed(self._active)]

    def latest(self, count: int) -> tuple[int, list[Injection]]:
        """Return the length of the log and its *count* newest entries. The caller holds the lock."""
        return len(self._log), self._log[: -count - 1 : -1]

    def _add(self, faults: Sequence[Fault]) -> list[_Added]:
        for fault in faults:
            if not isinstance(fault, Fault):
                raise TypeError(f"expected a Fault, such as Fault.drop() or Fault.status(503), not {fault!r}")
        with self._lock:
            added = [_Added(fault, self._added + index) for index, fault in enumerate(faults)]
            self._added += len(faults)
            self._active = [*self._active, *added]
        return added

    def _applies(self, one: _Added) -> bool:
        chance = 0.0
        if one.fault.probability is not None:
            # Depends on this fault and request only, so that other faults do not change the result.
            source = f"{self._seed}/fault/{one.number}/{one.counts.matched}"
            chance = random.Random(source).random()  # noqa: S311 -- no secret
        one.counts, applies = decide(one.fault, one.counts, chance)
        return applies


def _keys(server_id: int | str) -> set[str]:
    text = str(server_id).lower()
    known = text.isascii() and text.isdigit() and len(text) < 20  # noqa: PLR2004 -- as `Account.id_of` reads it
    return {str(int(text)), uuid_of(int(text))} if known else {text}
