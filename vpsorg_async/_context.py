"""The parts that all views of a client share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ._commands import Commands
from ._pagination import Pager
from ._polling.command_log import CommandLog
from ._polling.coordinator import Coordinator
from ._polling.waiting import Waits


if TYPE_CHECKING:
    from collections.abc import Callable

    from ._clock import Clock
    from ._events import Events
    from ._lifetime import Lifetime
    from ._models import Server
    from ._request.call import CallOptions
    from ._request.requester import Requester


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Context:
    """The parts that all views of a client share."""

    requester: Requester
    pager: Pager
    commands: Commands
    coordinator: Coordinator
    waits: Waits
    command_log: CommandLog
    clock: Clock
    events: Events
    lifetime: Lifetime


def context_of(
    requester: Requester,
    *,
    clock: Clock,
    events: Events,
    lifetime: Lifetime,
    options: CallOptions,
    bind: Callable[[Server], Server],
) -> Context:
    """Return the parts of a new client. Its polls use *options*; *bind* gives each server that they show a client."""
    command_log, pager = CommandLog(), Pager(requester, clock)
    coordinator = Coordinator(
        requester,
        pager,
        clock=clock,
        command_log=command_log,
        events=events,
        lifetime=lifetime,
        options=options,
        bind=bind,
    )
    return Context(
        requester=requester,
        pager=pager,
        commands=Commands(requester, pager, clock=clock, command_log=command_log, events=events, lifetime=lifetime),
        coordinator=coordinator,
        waits=Waits(coordinator, clock, events, lifetime),
        command_log=command_log,
        clock=clock,
        events=events,
        lifetime=lifetime,
    )
