"""What became of a create or reboot whose answer was lost."""

from __future__ import annotations

import math

from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs

from . import _endpoints
from ._errors import APIConnectionError, APITimeoutError, OutcomeUnknownError, VPSError
from ._models import Action, Server, ServerRef
from ._pagination import Listing, Pager
from ._polling.lifecycle import CLOCK_SLACK, TRANSITIONS, Command, Observation, updated_by
from ._request.call import CallOptions, CallState, ResponseLostError
from ._request.requester import Answer


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from ._clock import Clock
    from ._events import Events
    from ._lifetime import Lifetime
    from ._models import OperatingSystem, Plan, ServerSpec
    from ._polling.command_log import Change, CommandLog
    from ._request.call import Call
    from ._request.requester import Requester

T = TypeVar("T")

LONGEST_SEARCH = 15.0
"""Seconds to look what became of a lost create or reboot, at most: also without a `timeout`."""

BETWEEN_LOOKS = 1.0


class Search:
    """Looks again and again, within a call's time, for what became of it."""

    def __init__(self, requester: Requester, clock: Clock, lifetime: Lifetime) -> None:
        self.requester = requester
        self.clock = clock
        self._lifetime = lifetime

    async def run(
        self, look: Callable[[CallOptions], Awaitable[T | None]], options: CallOptions, deadline: float
    ) -> tuple[T | None, VPSError | None]:
        """Return what *look* found, or `None` and how the last look failed, if it did.

        It looks at once, then every second, until something is found, the time is over, or the client is closed.
        """
        until = min(deadline, self.clock.now() + LONGEST_SEARCH)
        with self.clock.move_on_after(None) as scope, self._lifetime.running(scope):
            while not self._lifetime.closed:
                found, failure = None, None
                try:
                    found = await look(options.for_polling(max(0.0, until - self.clock.now())))
                except VPSError as error:
                    failure = error
                if found is not None or self.clock.now() + BETWEEN_LOOKS >= until:
                    return found, failure
                await self.clock.sleep(BETWEEN_LOOKS)
        return None, APIConnectionError("the client is closed")


@attrs.define(eq=False, repr=False)
class _Name:
    """The creates of one name: one after another."""

    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    users: int = 0


@attrs.frozen(eq=False, repr=False)
class _Listed:
    """The servers of a listing that may be the one which a lost create made, and whether that is proven of them."""

    servers: list[Server]
    proven: bool

    def __str__(self) -> str:
        if not self.servers:
            return "no such server was found so far"
        ids = ", ".join(str(server.id) for server in self.servers)
        if len(self.servers) > 1:
            return f"{len(self.servers)} servers may be it: {ids}"
        return f"server {ids} may be it, and cannot be proven to be"


class Creator:
    """Creates servers with one POST each, whatever the network does, and finds the one whose answer was lost."""

    def __init__(self, search: Search, pager: Pager, *, command_log: CommandLog, events: Events) -> None:
        self._search = search
        self._clock = search.clock
        self._pager = pager
        self._command_log = command_log
        self._events = events
        self._names: dict[str, _Name] = {}
        # Names with a create that may have made a server which nobody holds: nothing of that name is adopted any more.
        self._doubtful: set[str] = set()

    async def create(self, spec: ServerSpec, options: CallOptions) -> Server:
        """Create a server.

        Raises:
            OutcomeUnknownError: it may have been made, and no listing proves which it is.
            APITimeoutError: the time passed before anything was sent.
            VPSError: as any call; then it was not made.

        Cancellation: goes through at once; if the POST may have been carried out, `create.abandoned` tells so.
        """
        call = _endpoints.create(spec)
        deadline = deadline_of(self._clock, options)
        async with self._turn(spec.name, deadline, call.summary):
            state = CallState(
                retry_safety=call.retry_safety,
                options=options.within(left_until(self._clock, deadline)),
                summary=call.summary,
            )
            try:
                return await self._create(call, spec, state, deadline)
            except VPSError:
                raise
            except BaseException:
                # A cancel, or a fault in a transport or hook: nobody is left who could look.
                if state.maybe_done:
                    self._doubtful.add(spec.name)
                    self._events.emit("create.abandoned", name=spec.name, location=spec.location)
                raise

    async def _create(self, call: Call[Server], spec: ServerSpec, state: CallState, deadline: float) -> Server:
        began = self._clock.now()
        try:
            answer = await self._search.requester.send(call, state.options, state)
            return self._made(answer.value, began, answer.date)
        except ResponseLostError as error:
            lost = error
        # The server may be there: also for whoever cancels the search.
        state.lost = True
        server = await self._find(spec, lost, state.options, deadline)
        self._events.emit("create.reconciled", name=spec.name, location=spec.location, server=server.id)
        return self._made(server, began, None)

    def _made(self, server: Server, began: float, date: datetime | None) -> Server:
        self._command_log.created(server, Command(name="create", began=began, answered=self._clock.now(), date=date))
        return server

    async def _find(self, spec: ServerSpec, lost: ResponseLostError, options: CallOptions, deadline: float) -> Server:
        """Return the server that the lost create made, by the one rule that proves it.

        Raises:
            OutcomeUnknownError: none is proven, or more than one, or an abandoned create may have made it.
        """
        latest = _Listed([], proven=False)

        async def look(look_options: CallOptions) -> _Listed | None:
            nonlocal latest
            latest = await self._list(spec, lost, look_options)
            return latest if latest.proven else None

        found, failure = (None, None) if lost.closed else await self._search.run(look, options, deadline)
        if found is not None and len(found.servers) == 1 and spec.name not in self._doubtful:
            return found.servers[0]
        reason = str(latest)
        if lost.closed:
            reason = "the client was closed"
        elif failure is not None:
            reason = f"the listing failed: {failure}"
        elif found is not None and spec.name in self._doubtful:
            reason = f"{reason}: an earlier create of this name was abandoned, and may have made it"
        self._doubtful.add(spec.name)
        raise unknown(
            f"the answer to the create of {spec.name!r} was lost; {reason}", lost, failure, candidates=latest.servers
        )

    async def _list(self, spec: ServerSpec, lost: ResponseLostError, options: CallOptions) -> _Listed:
        listing = Listing(self._pager, {}, options, skip_invalid=True)
        servers = await listing.read_all(within=options.timeout)
        page = listing.first_page
        assert page is not None
        posted = None
        if page.date is not None:
            posted = page.date - timedelta(seconds=page.ended - lost.began) - CLOCK_SLACK
        verdicts = [
            (server, _is_made(server, spec, posted))
            for server in servers
            if self._command_log.is_ours(server, since=lost.began)
        ]
        possible = [server for server, made in verdicts if made is not False]
        return _Listed(possible, proven=bool(possible) and all(made is not None for _, made in verdicts))

    @asynccontextmanager
    async def _turn(self, name: str, deadline: float, summary: str) -> AsyncIterator[None]:
        """Hold the name: creates of one name go one after another, so that none adopts another's server.

        Cancellation: the name goes to the next.
        """
        entry = self._names.setdefault(name, _Name())
        entry.users += 1
        try:
            if entry.lock.locked():
                with self._clock.move_on_after(left_until(self._clock, deadline)) as scope:
                    await entry.lock.acquire()
                if scope.cancelled_caught:
                    raise APITimeoutError(
                        f"{summary}: other creates of the name {name!r} took all of the time; nothing was sent",
                        request_summary=summary,
                    )
            else:
                entry.lock.acquire_nowait()
            try:
                yield
            finally:
                entry.lock.release()
        finally:
            entry.users -= 1
            if not entry.users:
                del self._names[name]


async def reboot(
    search: Search,
    command_log: CommandLog,
    server_id: int | str,
    *,
    options: CallOptions,
    change: Change,
    state: CallState,
) -> Answer[Action]:
    """Reboot a server with one POST, whatever the network does.

    Raises:
        OutcomeUnknownError: it may have been rebooted, and no look proves it.
        VPSError: as any call; then it was not.

    Cancellation: goes through at once; `state.maybe_done` tells whether it may have been carried out.
    """
    call = _endpoints.command(server_id, "reboot")
    deadline = deadline_of(search.clock, options)
    try:
        return await search.requester.send(call, options, state)
    except ResponseLostError as error:
        lost = error
    state.lost = True

    async def look(look_options: CallOptions) -> Answer[Action] | None:
        began = search.clock.now()
        answer = await search.requester.send(_endpoints.get(server_id), look_options)
        observation = Observation(began=began, ended=search.clock.now(), server=answer.value)
        if not command_log.admit(server_id, observation):
            # Older than what was read before the reboot: a `rebooting` of an earlier one.
            return None
        date = None if answer.date is None else answer.date - timedelta(seconds=observation.ended - lost.began)
        command = Command(name="reboot", began=change.began, answered=began, date=date, baseline=change.baseline)
        if observation.status != TRANSITIONS["reboot"].transitional_status and not updated_by(command, observation):
            return None
        server = ServerRef(id=answer.value.id, name=answer.value.name, status=answer.value.status)
        message = "the answer was lost; a look at the server shows that it was carried out"
        return Answer(Action(status="success", message=message, server=server), date, lost=True)

    found, failure = (None, None) if lost.closed else await search.run(look, options, deadline)
    if found is not None:
        return found
    reason = "the client was closed" if lost.closed else "no look proves that it was carried out"
    raise unknown(f"the answer to the reboot of server {server_id} was lost; {reason}", lost, failure)


def unknown(
    text: str, lost: ResponseLostError, failure: VPSError | None, *, candidates: list[Server] | None = None
) -> OutcomeUnknownError:
    """Return the error for what cannot be told: caused by what lost the answer, and what made looking fail."""
    summary = getattr(lost.cause, "request_summary", None)
    error = OutcomeUnknownError(f"{text} ({lost.cause})", candidates=candidates or (), request_summary=summary)
    error.__cause__ = lost.cause
    if failure is not None:
        # In the order in which they happened.
        error.__cause__ = deepest = failure
        while deepest.__cause__ is not None:
            deepest = deepest.__cause__  # type: ignore[assignment]
        deepest.__cause__ = lost.cause
    return error


def _is_made(server: Server, spec: ServerSpec, posted: datetime | None) -> bool | None:
    """Return whether *server* was made from *spec* since *posted*, or `None` if the listing does not tell."""
    if server.name != spec.name:
        return False
    told = [
        (server.location, spec.location),
        (_key(server.plan), str(spec.plan_id)),
        (_key(server.os), str(spec.os_id)),
        *([] if spec.hostname is None else [(server.hostname, spec.hostname)]),
    ]
    if any(given is not None and given != wanted for given, wanted in told):
        return False
    if posted is not None and server.created_at is not None and server.created_at < posted:
        return False
    known = posted is not None and server.created_at is not None and all(given is not None for given, _ in told)
    return True if known else None


def _key(part: Plan | OperatingSystem | None) -> str | None:
    return None if part is None or part.id is None else str(part.id)


def deadline_of(clock: Clock, options: CallOptions) -> float:
    """Return when a call that begins now must have ended, on the clock; infinity: never."""
    return math.inf if options.timeout is None else clock.now() + options.timeout


def left_until(clock: Clock, deadline: float) -> float | None:
    """Return the seconds until *deadline*, or `None` for without end."""
    return None if deadline == math.inf else max(0.0, deadline - clock.now())
