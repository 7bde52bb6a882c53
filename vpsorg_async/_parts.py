"""What all views of a client share, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ._journal import Journal
from ._lookout import Lookout
from ._models import bind
from ._paging import Pager
from ._reconcile import Creator, Search


if TYPE_CHECKING:
    from collections.abc import Callable

    from ._clock import Clock
    from ._events import Events
    from ._lifetime import Lifetime
    from ._servers import Servers
    from ._wire.call import CallOptions
    from ._wire.sending import Sender


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Parts:
    """What all views of a client share."""

    sender: Sender
    pager: Pager
    search: Search
    creator: Creator
    lookout: Lookout
    journal: Journal
    clock: Clock
    events: Events
    lifetime: Lifetime


def parts_of(
    sender: Sender,
    *,
    clock: Clock,
    events: Events,
    lifetime: Lifetime,
    options: CallOptions,
    root: Callable[[], Servers],
) -> Parts:
    """Return the parts of a new client, whose looks have its *options*; what they find belongs to *root*."""
    journal, pager, search = Journal(), Pager(sender, clock), Search(sender, clock, lifetime)
    lookout = Lookout(
        sender,
        pager,
        clock=clock,
        journal=journal,
        events=events,
        lifetime=lifetime,
        options=options,
        bind=lambda server: bind(server, root()),
    )
    return Parts(
        sender=sender,
        pager=pager,
        search=search,
        creator=Creator(search, pager, journal=journal, events=events),
        lookout=lookout,
        journal=journal,
        clock=clock,
        events=events,
        lifetime=lifetime,
    )
