"""Reports what became of each item of a fleet, and decides whether more may begin. Pure."""

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
"""The item that an outcome is about, as it was given."""

OutcomeState: TypeAlias = Literal["succeeded", "failed", "unknown", "skipped"]

_LINES = 20
"""A printed report names at most so many items that did not succeed."""

_LINE = 400
"""The longest line of a printed report, in characters. A function given to `apply` may raise any text."""

_STOPPING = (AuthenticationError, InsufficientCreditsError, PermissionDeniedError)
"""After one of these errors, every further item would fail too."""


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Outcome:
    """The outcome of one item of a fleet.

    Attributes:
        index: the position of the item, from 0.
        item: the server, id or spec that was given.
        state: `"succeeded"`, `"failed"`, `"unknown"` (the API may or may not have executed the command) or
            `"skipped"` (never begun).
        server: the server as it was last seen, or `None` if it never was.
        value: the result of the call; for `apply` the result of the function.
        error: the reason why the item did not succeed; `None` for a skipped item.
    """

    index: int
    item: Item
    state: OutcomeState
    server: Server | None = None
    value: Any = None
    error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        state = {field.name: getattr(self, field.name) for field in attrs.fields(Outcome)}
        # The error may be of any class: a function given to `apply` raised it.
        return {**state, "error": picklable(self.error)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        told = f"{_called(self.item)}: {self.state}"
        return _in_a_line(told if self.error is None else f"{told}: {_told_of(self.error)}")


@attrs.frozen(kw_only=True)
class Progress:
    """How far a run has come, in numbers of items. An item that is begun and has not ended is in progress.

    Attributes:
        total: all items.
        begun: the items that were begun, ended or not.
        succeeded: the items that reached their goal.
        failed: the items that did not.
        unknown: the items that ended, and whose command may or may not have been executed.
        skipped: the items that will not be begun any more; 0 while they may be.
    """

    total: int
    begun: int
    succeeded: int
    failed: int
    unknown: int
    skipped: int


@attrs.frozen(kw_only=True, getstate_setstate=False)
class FleetReport(Sequence[Outcome]):
    """The outcomes of all items of a fleet, as a sequence in the order given.

    Attributes:
        outcomes: one outcome for each item.
        stopped_by: the error after which the run began no further item, or `None`.
    """

    outcomes: tuple[Outcome, ...]
    stopped_by: Exception | None = None

    @property
    def succeeded(self) -> tuple[Outcome, ...]:
        """The items that reached their goal."""
        return self._in_state("succeeded")

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The items that did not reach their goal."""
        return self._in_state("failed")

    @property
    def unknown(self) -> tuple[Outcome, ...]:
        """The items whose command may or may not have been executed. Check them before you repeat the command."""
        return self._in_state("unknown")

    @property
    def skipped(self) -> tuple[Outcome, ...]:
        """The items that were never begun."""
        return self._in_state("skipped")

    def raise_for_failures(self) -> None:
        """Return if no item failed and none is unknown.

        Raises:
            ExceptionGroup: the errors of the failed and unknown items, in the order of the items.
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
    """Keeps which items of a run have begun and ended, and decides whether more may begin. Not async."""

    def __init__(self, items: Sequence[Item], *, tolerate: float | None) -> None:
        self.items = items
        self.stopped_by: Exception | None = None
        # Rounded, because 0.29 * 100 is less than 29.
        self._tolerate = round(tolerate * len(items), 6) if isinstance(tolerate, float) else tolerate
        self._begun = 0
        self._outcomes: list[Outcome | None] = [None] * len(items)
        self._counts: dict[str, int] = {"succeeded": 0, "failed": 0, "unknown": 0}

    def begin(self) -> int | None:
        """Begin the next item and return its index, or return `None` if no further item may begin."""
        if self.stopped_by is not None or self._begun == len(self.items):
            return None
        self._begun += 1
        return self._begun - 1

    def end(self, outcome: Outcome) -> None:
        """Note the outcome of an item that was begun."""
        self._outcomes[outcome.index] = outcome
        self._counts[outcome.state] += 1
        if outcome.error is None:
            return
        bad = self._counts["failed"] + self._counts["unknown"]
        if isinstance(outcome.error, _STOPPING) or (self._tolerate is not None and bad > self._tolerate):
            self.stop(outcome.error)

    def stop(self, error: Exception) -> None:
        """Begin no further item. The first error that stopped the run is kept."""
        self.stopped_by = self.stopped_by or error

    @property
    def progress(self) -> Progress:
        """How far the run has come. Items that will not begin any more are skipped."""
        total = len(self.items)
        skipped = total - self._begun if self.stopped_by is not None else 0
        return Progress(total=total, begun=self._begun, skipped=skipped, **self._counts)

    @property
    def report(self) -> FleetReport:
        """The state of every item: an item in progress is unknown, an item that was not begun is skipped."""
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
    # The text alone may say next to nothing: that of `KeyError("a")` is "'a'".
    text, name = str(error), type(error).__name__
    return text if isinstance(error, VPSError) else f"{name}: {text}" if text else name


def _in_a_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"
