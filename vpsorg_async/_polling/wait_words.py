"""Words the errors of a wait: its goal, what was last seen and for how long, and which command had no effect."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

from .._decoding import iso
from .._errors import VPSError
from .lifecycle import PASSING
from .proofs import is_of_the_same_second, took_effect


if TYPE_CHECKING:
    from .._models import Server
    from .evidence import Evidence
    from .lifecycle import Goal


def goal_words(goal: Goal) -> str:
    """Return the goal, as in "did not become ..."."""
    return "gone" if goal.gone else " or ".join(sorted(goal.statuses))


def last_words(evidence: Evidence, trouble: Exception | None, now: float) -> str:
    """Return what was last seen, for how long, and how the last poll failed, if it did."""
    if not evidence.history:
        words = "it was never seen"
    else:
        seconds = now - evidence.history[-1].at
        words = f"it was last seen {_named(evidence.last)}, for {seconds:.0f} s{path_words(evidence)}"
    words += held_back_words(evidence)
    if trouble is None:
        return words
    # The library's own errors speak for themselves; those of a hook or a transport may not.
    kind = "" if isinstance(trouble, VPSError) else f"{type(trouble).__name__}: "
    return f"{words}; the last poll failed: {kind}{trouble}"


def held_back_words(evidence: Evidence) -> str:
    """Return what came last and was not believed, and why."""
    held, mark = evidence.held_back, evidence.mark
    if held is None or held.server is None or mark is None or mark.newest is None:
        return ""
    assert held.server.updated_at is not None
    return (
        f"; polls have shown {_named(held.server)} since, which was held back: its updated_at "
        f"{iso(held.server.updated_at)} is older than {iso(mark.newest)}, which was shown before"
    )


def path_words(evidence: Evidence) -> str:
    """Return the statuses that were seen, if there were several."""
    if len(evidence.history) < 2:  # noqa: PLR2004 - a way has two ends
        return ""
    return f" (seen: {' -> '.join(seen.status or repr(seen.status) for seen in evidence.history)})"


def hint_words(evidence: Evidence, now: float, *, by_status: bool = True) -> str:
    """Return why the goal may not have been seen, as far as that is known.

    *by_status* tells whether the statuses themselves are the goal, and not what may follow from them.
    """
    passing = sorted(evidence.goal.statuses & PASSING.keys()) if by_status else []
    hint = f"; {' and '.join(passing)} passes quickly, and may have passed between two polls" if passing else ""
    command = evidence.command
    since = [] if command is None else [item for item in evidence.observations if item.began >= command.answered]
    if command is None or not since or since[-1].status != command.status_before:
        return hint
    if is_of_the_same_second(command, since, grace=evidence.goal.grace):
        return f"; that may be from just before the {command.name}, as its updated_at is the same as during it{hint}"
    if took_effect(command, since, grace=math.inf, habits=evidence.habits):
        return hint
    ago = f"{now - command.answered:.0f} s ago"
    what = f"whose response was lost {ago}" if command.lost else f"that the API accepted {ago}"
    return f"; the {command.name} {what} never took effect{hint}"


def _named(server: Server | None) -> str:
    if server is None:
        return "never"
    return server.status or f"with the status {server.extra.get('status', '')!r}"
