"""Tells a cancel that somebody asked for from a `CancelledError` that came from elsewhere."""

from __future__ import annotations

import math
import sys

from typing import TYPE_CHECKING, Any

import anyio


if TYPE_CHECKING:
    import asyncio


def is_foreign_cancel(error: BaseException) -> bool:
    """Return whether *error* is a cancel, and nobody has cancelled the present task or a scope around it.

    A function of the user's raises one when it awaits a task that somebody else has cancelled. A task group would take
    it for a cancel of its own and end all other tasks without a word.

    Source: `asyncio.Task.cancelling`, which counts `Task.cancel`; anyio's cancel scopes call that too, but later.
    """
    if isinstance(error, Exception) or not is_cancel(error) or scope_cancelled():
        return False
    task = current_asyncio_task()
    return task is None or not task.cancelling()


def is_cancel(error: BaseException) -> bool:
    """Return whether *error* is a cancel of a task."""
    loaded: Any = sys.modules.get("asyncio")
    # Under trio, asyncio's is one too: it can only be foreign.
    kinds = (anyio.get_cancelled_exc_class(), *(() if loaded is None else (loaded.CancelledError,)))
    return isinstance(error, kinds)


def scope_cancelled() -> bool:
    """Return whether somebody has cancelled a scope around the present task."""
    return anyio.current_effective_deadline() == -math.inf


def current_asyncio_task() -> asyncio.Task[Any] | None:
    """Return the present asyncio task; `None` under trio."""
    loaded: Any = sys.modules.get("asyncio")
    if loaded is None:
        return None
    try:
        task: asyncio.Task[Any] | None = loaded.current_task()
    except RuntimeError:
        return None
    return task


def cancels_asked() -> int:
    """Return how often the present asyncio task has been cancelled; 0 under trio, whose cancels last."""
    task = current_asyncio_task()
    return 0 if task is None else task.cancelling()
