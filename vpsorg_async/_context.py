"""The parts that all views of a client share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ._checks import checked_seconds
from ._policies import NOT_GIVEN
from ._request.call import CallOptions  # noqa: TC001 - type hints of what is public resolve at run time


if TYPE_CHECKING:
    from ._clock import Clock
    from ._commands import Commands
    from ._connector import Connector
    from ._events import Events
    from ._lifetime import Lifetime
    from ._models import Timeout
    from ._pagination import Pager
    from ._polling.command_log import CommandLog
    from ._polling.coordinator import Coordinator
    from ._polling.waits import Waits
    from ._request.limiter import Limiter
    from ._request.requester import Requester
    from ._request.retry_budget import RetryBudget


class Section:
    """Holds what `client.servers` and the like have in common: the parts of their client, the options of their view."""

    def __init__(self, parts: Context, options: CallOptions) -> None:
        self._context = parts
        self._options = options

    def _with(self, timeout: Timeout) -> CallOptions:
        if timeout is NOT_GIVEN:
            return self._options
        return self._options.within(checked_seconds("timeout", timeout))


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Context:
    """The parts that all views of a client share."""

    requester: Requester
    limiter: Limiter
    budget: RetryBudget
    pager: Pager
    commands: Commands
    coordinator: Coordinator
    waits: Waits
    command_log: CommandLog
    clock: Clock
    connector: Connector
    events: Events
    lifetime: Lifetime
