"""Keeps which items of a run have begun and ended, and decides whether more may begin. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .report import FleetReport, Outcome, Progress
from .states import BAD


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .report import Item


class Ledger:
    """Keeps the outcomes of a run. Not async.

    *tolerate* is the number of items, or as a float the share of them, that may end badly before the run stops.
    *stop_on* are the errors that stop the run in any case. *kept* are the outcomes of items that have ended before.
    """

    def __init__(
        self,
        action: str,
        items: Sequence[Item],
        *,
        tolerate: float | None,
        stop_on: tuple[type[Exception], ...],
        kept: Iterable[Outcome] = (),
    ) -> None:
        self.action = action
        self.items = items
        self.stopped_by: Exception | None = None
        self._stop_on = stop_on
        # Rounded, because 0.29 * 100 is less than 29.
        self._tolerate = round(tolerate * len(items), 6) if isinstance(tolerate, float) else tolerate
        self._outcomes: list[Outcome | None] = [None] * len(items)
        # Returns the outcome so far of each item in progress.
        self._under_way: dict[int, Callable[[], Outcome]] = {}
        self._counts: dict[str, int] = {"succeeded": 0, "failed": 0, "pending": 0, "unknown": 0}
        for outcome in kept:
            self._note(outcome)
        # The items that have not begun.
        self._left = deque(index for index, outcome in enumerate(self._outcomes) if outcome is None)

    @property
    def may_begin(self) -> bool:
        """Whether another item may begin."""
        return self.stopped_by is None and bool(self._left)

    @property
    def next_item(self) -> Item:
        """The item that begins next."""
        return self.items[self._left[0]]

    @property
    def ended(self) -> int:
        """The number of items that have ended."""
        return sum(self._counts.values())

    def begin(self) -> int | None:
        """Begin the next item and return its index, or return `None` if no further item may begin."""
        return self._left.popleft() if self.may_begin else None

    def follow(self, index: int, so_far: Callable[[], Outcome]) -> None:
        """Ask *so_far* for the outcome of an item in progress until it has ended."""
        self._under_way[index] = so_far

    def end(self, outcome: Outcome) -> None:
        """Note the outcome of an item that was begun."""
        self._under_way.pop(outcome.index, None)
        self._note(outcome)
        if outcome.error is None:
            return
        bad = sum(self._counts[state] for state in BAD)
        if isinstance(outcome.error, self._stop_on) or (self._tolerate is not None and bad > self._tolerate):
            self.stop(outcome.error)

    def _note(self, outcome: Outcome) -> None:
        self._outcomes[outcome.index] = outcome
        self._counts[outcome.state] += 1

    def stop(self, error: Exception) -> None:
        """Begin no further item. The first error that stopped the run is kept."""
        self.stopped_by = self.stopped_by or error

    @property
    def progress(self) -> Progress:
        """How far the run has come. Items that will not begin any more are skipped."""
        total, left = len(self.items), len(self._left)
        skipped = left if self.stopped_by is not None else 0
        return Progress(total=total, begun=total - left, skipped=skipped, **self._counts)

    @property
    def report(self) -> FleetReport:
        """The state of every item: one in progress is pending or unknown, one that was not begun is skipped."""
        outcomes = tuple(outcome or self._open(index) for index, outcome in enumerate(self._outcomes))
        return FleetReport(action=self.action, outcomes=outcomes, stopped_by=self.stopped_by)

    def _open(self, index: int) -> Outcome:
        if index in self._under_way:
            return self._under_way[index]()
        return Outcome(index=index, item=self.items[index], state="skipped")
