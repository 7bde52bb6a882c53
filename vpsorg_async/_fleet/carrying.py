"""Says what a later run has to know of the command of an item, if this run ends before the item does."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from .._action_parts import Memory, remembered
from .._models import Action, ServerSpec
from .report_data import Carried


if TYPE_CHECKING:
    from collections.abc import Callable

    from .._context import Context
    from .item import ItemInProgress

Carries: TypeAlias = "Callable[[ItemInProgress], Carried | None]"
"""Returns what is known of an item's command."""


def carries(parts: Context, action: str) -> Carries:
    """Return the function that says what is known of the command *action* of an item."""

    def carried(item: ItemInProgress) -> Carried | None:
        memory = _memory(parts, item, action)
        sent = None if item.sent is None else parts.requester.api_clock.at(item.sent)
        earlier = item.carried or Carried()
        found = Carried(command=memory or earlier.command, sent=sent or earlier.sent)
        return None if found == Carried() else found

    return carried


def _memory(parts: Context, item: ItemInProgress, action: str) -> Memory | None:
    if isinstance(item.value, Action) and not item.in_doubt:
        return remembered(item.value)
    if isinstance(item.item, ServerSpec) and item.server is None:
        return None
    change = parts.command_log.pending(item.server_id)
    if change is None or change.own is None or change.own.name != action:
        return None
    memory = parts.command_log.memory_of(change)
    return attrs.evolve(memory, lost=True) if item.in_doubt else memory
