"""Puts the parts of a new client together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _http as httpx
from ._commands import Commands
from ._connector import SystemConnector
from ._context import Context
from ._dropped import Closable, Dropped
from ._events import Events
from ._lifetime import Lifetime
from ._models import bind
from ._pagination import Pager
from ._polling.command_log import CommandLog
from ._polling.coordinator import Coordinator
from ._polling.durations import Durations
from ._polling.waits import Waits
from ._request.auth import Authorizer
from ._request.call_events import Calls
from ._request.httpx_client import HTTPClient
from ._request.limiter import Limiter
from ._request.requester import Requester
from ._request.retry_transport import RetryTransport
from ._servers import Servers


if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ._clock import Clock
    from ._connector import Connector
    from ._events import Event
    from ._models import Server
    from ._request.call import CallOptions, CallState
    from ._request.retry_budget import RetryBudget
    from ._secrets import Hidden


def assemble(
    transport: httpx.AsyncBaseTransport,
    clock: Clock,
    *,
    token: Hidden,
    base_url: httpx.URL,
    options: CallOptions,
    max_connections: int,
    headers: dict[str, str],
    on_event: Callable[[Event], object] | None,
    connector: Connector | None,
) -> tuple[HTTPClient, Servers, Context]:
    """Return what a new client consists of. All arguments are checked. Polls use the *options*."""
    dropped = Dropped(transport, f"<Client {base_url}>") if isinstance(transport, Closable) else None
    lifetime, events = Lifetime(lambda: http.is_closed, dropped), Events(clock, on_event)
    limiter, calls = Limiter(max_connections, clock), Calls(events, clock)
    retrying = RetryTransport(
        transport,
        authorizer=Authorizer(token, base_url),
        limiter=limiter,
        clock=clock,
        lifetime=lifetime,
        events=events,
        calls=calls,
        options=options,
    )
    # The call's own time limits are above the retries.
    no_bound = httpx.Timeout(None)
    http = HTTPClient(base_url=base_url, headers=headers, transport=retrying, timeout=no_bound, trust_env=False)

    def bound(server: Server) -> Server:
        return bind(server, servers)

    context = _context_of(
        Requester(http, lifetime, clock, calls),
        limiter=limiter,
        budget=retrying.budget,
        clock=clock,
        connector=connector or SystemConnector(),
        events=events,
        lifetime=lifetime,
        options=options,
        bind=bound,
        where=retrying.where,
        # Nobody knows what is behind a transport of the user's.
        api=None if dropped is None else str(base_url),
    )
    servers = Servers(context, options)
    return http, servers, context


def _context_of(
    requester: Requester,
    *,
    limiter: Limiter,
    budget: RetryBudget,
    clock: Clock,
    connector: Connector,
    events: Events,
    lifetime: Lifetime,
    options: CallOptions,
    bind: Callable[[Server], Server],
    where: Callable[[CallState], str],
    api: Hashable,
) -> Context:
    """Return the parts of a new client. Its polls use *options*; *bind* gives each server that they show a client.

    Clients of one process that use the same *api* know of each other's creates.
    """
    command_log, pager = CommandLog(), Pager(requester, clock)
    commands = Commands(
        requester, pager, clock=clock, command_log=command_log, events=events, lifetime=lifetime, api=api
    )
    coordinator = Coordinator(
        requester,
        pager,
        clock=clock,
        command_log=command_log,
        events=events,
        lifetime=lifetime,
        options=options,
        bind=bind,
        poll_rate=limiter.poll_rate,
        pause=limiter.pause_of_reads,
        where=where,
    )
    return Context(
        requester=requester,
        limiter=limiter,
        budget=budget,
        pager=pager,
        commands=commands,
        coordinator=coordinator,
        waits=Waits(coordinator, clock, events, lifetime, command_log.habits, Durations()),
        command_log=command_log,
        clock=clock,
        connector=connector,
        events=events,
        lifetime=lifetime,
    )
