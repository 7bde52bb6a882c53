"""Takes the snapshot of a client that `client.stats()` returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from ._public import publish
from ._schemas import Described


if TYPE_CHECKING:
    from ._context import Context


@attrs.frozen(kw_only=True)
class ClientStats(Described):
    """The state of a client at one moment.

    Attributes:
        in_flight: how many calls and polls are on the wire.
        queued: how many wait for their turn, or for the end of a pause before it.
        paused_for: for each class of calls that pauses after a 429 how many seconds it still does. The classes are
            `"reads"`, `"creates"` and `"other changes"`.
        rate: how many calls a second the API takes, as far as 429s have told. `None`: no limit is known.
        retry_budget: how many retries all calls may still make together; calls that succeed fill it again, up to 10.
        waits: how many waits go on.
        watches: how many watches have begun and were not dropped.
        polls: how many polls have begun so far.
        requests: how many requests have begun so far, polls and retries included.
    """

    in_flight: int
    queued: int
    paused_for: Mapping[str, float] = attrs.field(hash=False)
    rate: float | None
    retry_budget: float
    waits: int
    watches: int
    polls: int
    requests: int


def stats_of(context: Context) -> ClientStats:
    """Return the state of a client now. It changes nothing, so that another thread may ask."""
    limiter, coordinator = context.limiter, context.coordinator
    waits, watches = coordinator.subscribed
    return ClientStats(
        in_flight=limiter.on_wire,
        queued=limiter.queued,
        paused_for=limiter.paused_for,
        rate=limiter.rate,
        retry_budget=context.budget.level,
        waits=waits,
        watches=watches,
        polls=coordinator.polls,
        requests=limiter.begun,
    )


publish(ClientStats)
