"""Holds what a run was given, checked, and makes of it what a store keeps. Pure."""

from __future__ import annotations

import math
import sys

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import attrs

from .._checks import check_flag
from .._error_base import InvalidArgumentError
from .._fleet.arguments import RunOptions
from ._records import ItemRecord, RunRecord, digest_of


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._fleet.arguments import StopOn
    from .._fleet.report import Item
    from .._policies import PollPolicy


_UNBOUNDED: Final = 1e6
"""No machine begins so many items in a second."""

_LONGEST: Final = 1e9
"""The longest time between two items, in seconds: a database counts it in whole milliseconds."""


@attrs.frozen
class Given:
    """The checked arguments of a run.

    Attributes:
        action: what is done with each item.
        items: the specs or ids.
        own: the arguments of the action.
        options: those of every run.
        per_second: how many items begin in a second at most; `None`: any number.
    """

    action: str
    items: Sequence[Item]
    own: dict[str, Any]
    options: RunOptions
    per_second: float | None

    def record(self) -> RunRecord:
        """Return what a store keeps of the run."""
        return RunRecord(
            action=self.action,
            arguments=self.options.kept(self.own).portable,
            per_second=self.per_second,
            count=len(self.items),
            digest=digest_of(self.items),
        )

    def items_of(self, name: str) -> Iterator[ItemRecord]:
        """Yield what it keeps of each item of the run *name*."""
        arguments = self.options.kept(self.own).portable
        for index, item in enumerate(self.items):
            yield ItemRecord(run=name, index=index, action=self.action, arguments=arguments, item=item)


def checked_flag(name: str, value: object) -> bool:
    """Return *value*, if it is true or false.

    Raises:
        TypeError: it is neither.
    """
    check_flag(name, value)
    return bool(value)


def run_options(at_once: int, timeout: float | None, poll: PollPolicy, stop_on: StopOn) -> RunOptions:
    """Return the arguments of every run, checked.

    Raises:
        TypeError: one is of a wrong type.
        InvalidArgumentError: one cannot be used.
    """
    return RunOptions(
        at_once=at_once, tolerate=None, timeout=timeout, on_outcome=None, progress=None, poll=poll, stop_on=stop_on
    )


def checked_rate(per_second: float | None) -> float | None:
    """Return how many items begin in a second at most.

    Raises:
        TypeError: it is neither a number nor `None`.
        InvalidArgumentError: it is not above 0.
    """
    if per_second is None:
        return None
    if isinstance(per_second, bool) or not isinstance(per_second, (int, float)):
        raise TypeError(f"per_second takes a number or None, not {per_second!r}")
    if not 0 < per_second < sys.maxsize:
        raise InvalidArgumentError(f"per_second={per_second!r}: give a number above 0, or None for no bound")
    return float(per_second)


def limiter_of(per_second: float | None) -> Any:
    """Return dbos's bound for so many items in a second: so many in so many seconds, and never more than was asked."""
    if per_second is None or per_second >= _UNBOUNDED:
        return None
    if per_second < 1:
        return {"limit": 1, "period": min(1 / per_second, _LONGEST)}
    rate = Fraction(per_second)
    period = max(range(1, 11), key=lambda seconds: (math.floor(rate * seconds) / seconds, -seconds))
    return {"limit": math.floor(rate * period), "period": float(period)}
