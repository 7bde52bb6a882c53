"""Which faults strike which request: matching and choice, pure, and the plan that counts."""

from __future__ import annotations

import random
import re

from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from .._state.account import uuid_of
from . import _kinds
from ._fault import Fault


if TYPE_CHECKING:
    import threading

    from collections.abc import Iterator, Sequence

    from .._state.backend import Call


LIST_PATH = "/servers/"

_DETAIL = re.compile(r"/servers/[^/]+/")
_COMMAND = re.compile(r"/servers/([^/]+/(start|stop|reboot|power)/)?")

_OF_SERVERS_IN_A_LIST = (_kinds.Omit, _kinds.Stale, _kinds.AsStatus)
_ONE_AFTER_ANOTHER = ("delay", "stale", "as_status", "omit")

_CONTENT = frozenset({"stale", "as_status", "omit", "loop", "html", "bomb"})
HIDES: dict[str, frozenset[str]] = {
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
"""Each stage of an exchange, in the order in which faults apply, and those that cannot show beside it."""

_STAGES = {kind: name for name, kind in _kinds.KINDS.items()}


@attrs.frozen
class Target:
    """What of a request decides which faults fit.

    Attributes:
        method: in capitals.
        path: below the base path.
        server_id: as the path gives it; empty where it has none.
    """

    method: str
    path: str
    server_id: str = ""


@attrs.frozen
class Counted:
    """How many requests a fault has fitted, and how many of them it has struck."""

    fitted: int = 0
    struck: int = 0


@attrs.frozen
class Strike:
    """A fault that struck a request.

    Attributes:
        fault: the fault.
        call: the request, as it is in `Sandbox.calls`.
        at: when it arrived, in seconds of the sandbox.
    """

    fault: Fault
    call: Call
    at: float


def fits(fault: Fault, target: Target) -> bool:
    """Return whether *fault* is for requests like that one."""
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
    return fault.server_id is None or not _names(fault.server_id).isdisjoint(_names(server_id))


def decide(fault: Fault, before: Counted, chance: float) -> tuple[Counted, bool]:
    """Return the count after one more request that *fault* fits, and whether it strikes it.

    Args:
        fault: the fault.
        before: the count so far.
        chance: from 0 to below 1; it strikes if this is below its probability.
    """
    nth = before.fitted + 1
    strikes = (
        (fault.times is None or before.struck < fault.times)
        and (fault.every is None or nth % fault.every == 0)
        and (fault.probability is None or chance < fault.probability)
    )
    return Counted(nth, before.struck + strikes), strikes


def in_effect(striking: Sequence[Fault]) -> tuple[Fault, ...]:
    """Return those of *striking*, given in order of adding, that can show, in the order in which they apply."""
    by_stage: dict[str, list[Fault]] = {stage: [] for stage in HIDES}
    for fault in striking:
        by_stage[stage_of(fault)].append(fault)
    hidden = {other for stage, faults in by_stage.items() if faults for other in HIDES[stage]}
    return tuple(
        fault
        for stage, faults in by_stage.items()
        if stage not in hidden
        for fault in (faults if stage in _ONE_AFTER_ANOTHER else faults[-1:])
    )


def stage_of(fault: Fault) -> str:
    """Return the key in `HIDES` of that kind of fault."""
    match fault.what:
        case _kinds.Drop(after_commit=True):
            return "drop_after_commit"
    return _STAGES[type(fault.what)]


class _Planned:
    """A fault in the plan; the same fault added twice is two of these."""

    def __init__(self, fault: Fault, number: int) -> None:
        self.fault = fault
        self.number = number
        self.counted = Counted()


class Faults:
    """What goes wrong in a sandbox: its plan of faults, and the log of what they struck.

    Each fault counts the requests that it fits from when it is added, whatever other faults do to them.
    """

    def __init__(self, lock: threading.Lock, seed: int) -> None:
        self._lock = lock
        self._seed = seed
        self._planned: list[_Planned] = []
        self._added = 0
        self._log: list[Strike] = []

    @contextmanager
    def inject(self, *faults: Fault) -> Iterator[None]:
        """Let *faults* strike within a `with`; others that are there strike too.

        Raises:
            TypeError: something else than a `Fault` was given.
        """
        planned = self._plan(faults)
        try:
            yield
        finally:
            with self._lock:
                self._planned = [one for one in self._planned if one not in planned]

    def add(self, *faults: Fault) -> None:
        """Let *faults* strike from now on, until `clear`.

        Raises:
            TypeError: something else than a `Fault` was given.
        """
        self._plan(faults)

    def clear(self) -> None:
        """Let no fault strike any longer, however it was added; the log stays."""
        with self._lock:
            self._planned = []

    @property
    def log(self) -> list[Strike]:
        """Which fault struck which request, in order; of those on one request, in the order in which they apply."""
        with self._lock:
            return list(self._log)

    def strike(self, target: Target) -> tuple[Fault, ...]:
        """Count *target*, and return the faults that show on it, in the order in which they apply.

        The caller holds the lock.
        """
        return in_effect([one.fault for one in self._planned if fits(one.fault, target) and self._strikes(one)])

    def record(self, faults: Sequence[Fault], call: Call) -> None:
        """Log that *faults* have struck *call*. The caller holds the lock."""
        self._log += [Strike(fault, call, call.at) for fault in faults]

    def on(self) -> list[tuple[Fault, Counted]]:
        """Return each fault of the plan and its count, the last added first. The caller holds the lock."""
        return [(one.fault, one.counted) for one in reversed(self._planned)]

    def latest(self, count: int) -> tuple[int, list[Strike]]:
        """Return how long the log is, and its last *count* entries, the last one first. The caller holds the lock."""
        return len(self._log), self._log[: -count - 1 : -1]

    def _plan(self, faults: Sequence[Fault]) -> list[_Planned]:
        for fault in faults:
            if not isinstance(fault, Fault):
                raise TypeError(f"faults are made by Fault.drop(), Fault.status(503) and the like, not {fault!r}")
        with self._lock:
            planned = [_Planned(fault, self._added + index) for index, fault in enumerate(faults)]
            self._added += len(faults)
            self._planned = [*self._planned, *planned]
        return planned

    def _strikes(self, planned: _Planned) -> bool:
        chance = 0.0
        if planned.fault.probability is not None:
            # Of this fault and this request alone, so that no other fault changes what comes out.
            source = f"{self._seed}/fault/{planned.number}/{planned.counted.fitted}"
            chance = random.Random(source).random()  # noqa: S311 -- no secret
        planned.counted, strikes = decide(planned.fault, planned.counted, chance)
        return strikes


def _names(server_id: int | str) -> set[str]:
    text = str(server_id).lower()
    known = text.isascii() and text.isdigit() and len(text) < 20  # noqa: PLR2004 -- as Account.server reads it
    return {str(int(text)), uuid_of(int(text))} if known else {text}
