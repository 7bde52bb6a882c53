"""Decides the state in which an item of a fleet ended. Pure.

The rule behind it: a program that repeats what has `failed` must never command a server twice.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from .._errors import OutcomeUnknownError, ServerGoneError, UnexpectedStatusError


OutcomeState: TypeAlias = Literal["succeeded", "failed", "pending", "unknown", "skipped"]

STATES: tuple[OutcomeState, ...] = ("succeeded", "failed", "pending", "unknown", "skipped")
"""All states, in the order in which reports count them."""

BAD: frozenset[OutcomeState] = frozenset({"failed", "pending", "unknown"})
"""The states of items that were begun and did not succeed."""

Next: TypeAlias = Literal["keep", "wait", "find out", "begin"]
"""What a run that goes on does for an item."""

_ENDED_ELSEWHERE = (UnexpectedStatusError, ServerGoneError)


def state_after(error: Exception, *, accepted: bool, in_doubt: bool) -> OutcomeState:
    """Return the state of an item that ended with *error*.

    *accepted* says whether the API accepted the item's command. *in_doubt* says whether a command was sent and no
    response tells what became of it.
    """
    if accepted:
        return "failed" if isinstance(error, _ENDED_ELSEWHERE) else "pending"
    return "unknown" if in_doubt or leaves_doubt(error) else "failed"


def state_under_way(*, accepted: bool) -> OutcomeState:
    """Return the state of an item that has begun and not ended."""
    return "pending" if accepted else "unknown"


def next_of(state: OutcomeState, *, accepted: bool = False, action: str = "") -> Next:
    """Return what a run that goes on does for an item in *state*. What the API has accepted is not commanded again.

    Nobody but its author knows what a function given to `apply` has done before it was interrupted.
    """
    if state == "succeeded" or (state == "failed" and accepted):
        return "keep"
    if state in ("failed", "skipped") or action == "wait_until":
        return "begin"
    if action == "apply":
        return "keep"
    return "wait" if state == "pending" else "find out"


def leaves_doubt(error: Exception) -> bool:
    """Whether the API may have executed the command that *error* is about.

    A `sent` of `None` means that nobody knows, which is not the same as "no".
    """
    return isinstance(error, OutcomeUnknownError) or getattr(error, "sent", False) is not False
