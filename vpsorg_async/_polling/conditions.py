"""Decides whether a server that meets the goal of a wait also meets its further conditions. Pure.

A wait may have two further conditions, `when` and `steady`. The rules:

1. `when` is a function of a complete server, so only a GET can meet it. A list that meets the goal asks for a GET.
2. With `steady`, the goal and `when` must hold for so many seconds, in every poll of that time. The time is counted
   from the end of the first such poll to the beginning of the last one, because nobody knows when within a poll the
   server was as it was shown.
3. A poll that shows otherwise begins the time anew. A poll that failed, or was out of date, shows nothing.
4. Polls are closer together while the time runs, so that they notice a status that flaps.
"""

from __future__ import annotations

import inspect
import math

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from .._checks import check_at_least


if TYPE_CHECKING:
    from .._models import Server
    from .._policies import PollPolicy

When: TypeAlias = Callable[["Server"], bool]
"""A further condition on a server that has reached the goal."""

POLLS_IN_STEADY = 5
"""So many polls at least fall into the time of `steady`, if the policy's `minimum` allows them (assumed)."""


@attrs.define(eq=False, repr=False, kw_only=True)
class Conditions:
    """The further conditions of one wait, and how far they have been met. Times are seconds on the client's clock.

    Attributes:
        when: a condition on a complete server, or `None`.
        steady: for how many seconds all of it must hold.
        name: what the goal is called in errors; `None` names its statuses.
        explain: returns the words for what is missing, in the place of the usual ones.
        refused: whether `when` was not true of the last complete server that met the goal.
    """

    when: When | None = None
    steady: float = 0.0
    name: str | None = None
    explain: Callable[[], str] | None = None
    refused: bool = attrs.field(default=False, init=False)
    # The end of the first and the beginning of the last of the polls in a row that showed that all of it holds.
    _since: float | None = attrs.field(default=None, init=False)
    _until: float = attrs.field(default=0.0, init=False)

    def allow(self, server: Server) -> bool:
        """Return whether `when` is true of a complete *server*.

        Raises:
            TypeError: the result of `when` is an awaitable.
            Exception: what `when` raises.
        """
        assert self.when is not None
        result: object = self.when(server)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError("when must be a plain function: its result is an awaitable")
        self.refused = not result
        return not self.refused

    def hold(self, began: float, ended: float) -> bool:
        """Note a poll that showed that all of it holds, and return whether it has held for long enough."""
        if self._since is None:
            self._since = ended
        self._until = max(began, self._since)
        return self.steady == 0 or began >= self.met_at

    def fail(self) -> None:
        """Note a poll that showed that the goal, or `when`, does not hold."""
        self._since = None

    @property
    def met_at(self) -> float:
        """When all of it will have held for long enough, if it goes on to hold; infinity while it does not hold."""
        return math.inf if self._since is None else self._since + self.steady

    def interval(self, poll: PollPolicy, waited: float) -> float:
        """Return the seconds from one poll to the next, *waited* seconds after the wait began."""
        usual = poll.interval(waited)
        if self._since is None:
            return usual
        return min(usual, max(poll.minimum, self.steady / POLLS_IN_STEADY))

    @property
    def words(self) -> str:
        """The conditions that are missing, for the error of a wait whose goal was reached; empty if nothing is."""
        if self.explain is not None:
            return self.explain()
        if self.refused:
            return "; it got there, but `when` was not true of it"
        if self._since is None or not self.steady:
            return ""
        return f"; it had held for {self._until - self._since:.0f} s, and steady={self.steady:g} asks for more"


def conditions_of(when: When | None, steady: float) -> Conditions | None:
    """Return the further conditions of a wait, or `None` if there are none.

    Raises:
        TypeError: *when* is no plain function, or *steady* is no number.
        InvalidArgumentError: *steady* is negative or not finite.
    """
    check_at_least(0, "steady", steady)
    if when is not None:
        if not callable(when):
            raise TypeError(f"when must be callable with a Server, not {when!r}")
        if inspect.iscoroutinefunction(when):
            raise TypeError(f"when must be a plain function, and {when!r} is async")
    return None if when is None and not steady else Conditions(when=when, steady=float(steady))
