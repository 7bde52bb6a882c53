"""What a fleet is made from, and what became of each of its items. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from .._errors import (
    AuthenticationError,
    InsufficientCreditsError,
    OutcomeUnknownError,
    PermissionDeniedError,
    VPSError,
    picklable,
)
from .._models import Server, ServerSpec


Item: TypeAlias = Server | int | str | ServerSpec
"""What one outcome is about: what was given."""

OutcomeState: TypeAlias = Literal["succeeded", "failed", "unknown", "skipped"]

_LINES = 20
"""So many items that did not succeed are named where a report is printed."""

_LINE = 400
"""So many characters has a line of it at most: what `apply` raises may say anything."""

_STOPPING = (AuthenticationError, InsufficientCreditsError, PermissionDeniedError)
"""After these no other item would fare better."""


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Outcome:
    """What became of one item of a fleet.

    Attributes:
        index: its place among the items, from 0.
        item: the server, id or spec that was given.
        state: `"succeeded"`; `"failed"`; `"unknown"`: the API may or may not have done it; `"skipped"`: never begun.
        server: the server as it was last seen, if it was.
        value: what the call returned; for `apply` what the function did.
        error: why it did not succeed; `None` for what was skipped.
    """

    index: int
    item: Item
    state: OutcomeState
    server: Server | None = None
    value: Any = None
    error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        state = {field.name: getattr(self, field.name) for field in attrs.fields(Outcome)}
        # `apply` may have raised anything.
        return {**state, "error": picklable(self.error)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        told = f"{_called(self.item)}: {self.state}"
        return _in_a_line(told if self.error is None else f"{told}: {_told_of(self.error)}")


@attrs.frozen(kw_only=True)
class Progress:
    """How far a run has come, in numbers of items. What is begun and has not ended is under way.

    Attributes:
        total: all of them.
        begun: those that were begun, ended or not.
        succeeded: those that got there.
        failed: those that did not.
        unknown: those that ended, and of which nobody can tell.
        skipped: those that will not be begun any more; 0 while they may be.
    """

    total: int
    begun: int
    succeeded: int
    failed: int
    unknown: int
    skipped: int


@attrs.frozen(kw_only=True, getstate_setstate=False)
class FleetReport(Sequence[Outcome]):
    """What became of every item of a fleet, in the order given; as a sequence, the outcomes.

    Attributes:
        outcomes: one for each item.
        stopped_by: the error after which nothing more was begun, or `None`.
    """

    outcomes: tuple[Outcome, ...]
    stopped_by: Exception | None = None

    @property
    def succeeded(self) -> tuple[Outcome, ...]:
        """Those that got there."""
        return self._in_state("succeeded")

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those that did not."""
        return self._in_state("failed")

    @property
    def unknown(self) -> tuple[Outcome, ...]:
        """Those of which nobody can tell; to be looked at before they are tried again."""
        return self._in_state("unknown")

    @property
    def skipped(self) -> tuple[Outcome, ...]:
        """Those that were never begun."""
        return self._in_state("skipped")

    def raise_for_failures(self) -> None:
        """Return if nothing failed and nothing is unknown.

        Raises:
            ExceptionGroup: the errors of those that failed or are unknown, in the order of the items.
        """
        errors = [outcome.error for outcome in self if outcome.error is not None]
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(self)} items failed or are unknown", errors)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __getitem__(self, index: Any) -> Any:
        return self.outcomes[index]

    def __getstate__(self) -> dict[str, Any]:
        return {"outcomes": self.outcomes, "stopped_by": picklable(self.stopped_by)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        counts = ", ".join(
            f"{len(self._in_state(state))} {state}" for state in ("succeeded", "failed", "unknown", "skipped")
        )
        lines = [f"{len(self)} items: {counts}"]
        if self.stopped_by is not None:
            lines.append(_in_a_line(f"stopped by: {_told_of(self.stopped_by)}"))
        told = [outcome for outcome in self if outcome.state in ("failed", "unknown")]
        lines += [f"  {outcome}" for outcome in told[:_LINES]]
        if len(told) > _LINES:
            lines.append(f"  … and {len(told) - _LINES} more")
        return "\n".join(lines)

    def _in_state(self, state: str) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.state == state)


class Ledger:
    """What has begun and ended of a run's items, and whether more may begin. Every method changes all at once."""

    def __init__(self, items: Sequence[Item], *, tolerate: float | None) -> None:
        self.items = items
        self.stopped_by: Exception | None = None
        # Rounded: 0.29 * 100 is less than 29.
        self._tolerate = round(tolerate * len(items), 6) if isinstance(tolerate, float) else tolerate
        self._begun = 0
        self._outcomes: list[Outcome | None] = [None] * len(items)
        self._counts: dict[str, int] = {"succeeded": 0, "failed": 0, "unknown": 0}

    def begin(self) -> int | None:
        """Begin the next item: return its index, or `None` if nothing more may begin."""
        if self.stopped_by is not None or self._begun == len(self.items):
            return None
        self._begun += 1
        return self._begun - 1

    def end(self, outcome: Outcome) -> None:
        """Note what became of an item that was begun."""
        self._outcomes[outcome.index] = outcome
        self._counts[outcome.state] += 1
        if outcome.error is None:
            return
        bad = self._counts["failed"] + self._counts["unknown"]
        if isinstance(outcome.error, _STOPPING) or (self._tolerate is not None and bad > self._tolerate):
            self.stop(outcome.error)

    def stop(self, error: Exception) -> None:
        """Begin nothing more; the first reason counts."""
        self.stopped_by = self.stopped_by or error

    @property
    def progress(self) -> Progress:
        """How far it has come; what will not begin any more is skipped."""
        total = len(self.items)
        skipped = total - self._begun if self.stopped_by is not None else 0
        return Progress(total=total, begun=self._begun, skipped=skipped, **self._counts)

    @property
    def report(self) -> FleetReport:
        """What is known of every item: one under way is unknown, one that has not begun is skipped."""
        outcomes = tuple(outcome or self._open(index) for index, outcome in enumerate(self._outcomes))
        return FleetReport(outcomes=outcomes, stopped_by=self.stopped_by)

    def _open(self, index: int) -> Outcome:
        item = self.items[index]
        if index >= self._begun:
            return Outcome(index=index, item=item, state="skipped")
        return Outcome(index=index, item=item, state="unknown", error=OutcomeUnknownError("it has not ended"))


def _called(item: Item) -> str:
    if isinstance(item, Server):
        return f"server {item.id} ({item.name})"
    return f"server {item.name!r}" if isinstance(item, ServerSpec) else f"server {item}"


def _told_of(error: Exception) -> str:
    # A foreign error's text alone may say next to nothing: that of `KeyError("a")` is "'a'".
    text, name = str(error), type(error).__name__
    return text if isinstance(error, VPSError) else f"{name}: {text}" if text else name


def _in_a_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"
