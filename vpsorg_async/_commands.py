"""Sends the commands and changes of a client, each once, and settles what became of those that leave doubt."""

from __future__ import annotations

import math

from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs

from . import _endpoints
from ._adoption import Candidates, candidates_of, posted_at
from ._errors import APIConnectionError, APITimeoutError, OutcomeUnknownError, StateConflictError, VPSError
from ._models import Action, Server, ServerRef
from ._pagination import Listing, Pager
from ._polling.lifecycle import TRANSITIONS, Command, Observation, updated_by
from ._request.call import CallOptions, CallState, RetrySafety, UnsettledError
from ._request.requester import Decoded, no_content


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    import httpx

    from ._clock import Clock
    from ._events import Events
    from ._lifetime import Lifetime
    from ._models import ServerSpec
    from ._polling.command_log import Change, CommandLog
    from ._request.call import Call
    from ._request.requester import Requester

T = TypeVar("T")

LONGEST_SEARCH = 15.0
"""Seconds to look what became of a lost create or reboot, at most: also without a `timeout`."""

BETWEEN_POLLS = 1.0


@attrs.define(eq=False, repr=False)
class _Name:
    """The creates of one name: one after another."""

    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    users: int = 0


class Commands:
    """Sends what changes servers.

    One rule settles all that is in doubt: the response to a repeat says nothing of the first attempt; a look at the
    server does. Each retry safety has its settler: `RECONCILE` has `_find_created` and `_find_rebooted`,
    `STATE_CHECKED` has `_find_switched`, and `IDEMPOTENT` needs none, as the 404 to a repeated DELETE is such a look.
    """

    def __init__(
        self,
        requester: Requester,
        pager: Pager,
        *,
        clock: Clock,
        command_log: CommandLog,
        events: Events,
        lifetime: Lifetime,
    ) -> None:
        self._requester = requester
        self._pager = pager
        self._clock = clock
        self._command_log = command_log
        self._events = events
        self._lifetime = lifetime
        self._names: dict[str, _Name] = {}
        # Names with a create that may have made a server which nobody holds: nothing of that name is adopted any more.
        self._doubtful: set[str] = set()

    async def create(self, spec: ServerSpec, options: CallOptions, bind: Callable[[Server], Server]) -> Server:
        """Create a server with one POST; *bind* is called with each server that the caller gets to see.

        Raises:
            OutcomeUnknownError: it may have been made, and no listing proves which it is.
            APITimeoutError: the time passed before anything was sent.
            VPSError: as any call; then it was not made.

        Cancellation: goes through at once; if the POST may have been carried out, `create.abandoned` tells so.
        """
        # Before a lock, which belongs to one event loop, is waited for.
        self._lifetime.check()
        call = _endpoints.create(spec)
        deadline = _deadline_of(self._clock, options)
        async with self._turn(spec.name, deadline, call.summary):
            state = CallState(call, options.within(_left_until(self._clock, deadline)))
            try:
                return bind(await self._create(call, spec, state, bind))
            except VPSError:
                raise
            except BaseException:
                # A cancel, or a fault in a transport or hook: nobody is left who could look.
                if state.maybe_done:
                    self._doubtful.add(spec.name)
                    self._events.emit("create.abandoned", name=spec.name, location=spec.location)
                raise

    async def _create(
        self, call: Call[Server], spec: ServerSpec, state: CallState, bind: Callable[[Server], Server]
    ) -> Server:
        began = self._clock.now()
        try:
            made = await self._requester.send(call, state.options, state)
        except UnsettledError as error:
            unsettled = error
        else:
            return self._made(made.value, began, made.date)
        server = await self._find_created(spec, unsettled, state, bind)
        self._events.emit("create.reconciled", name=spec.name, location=spec.location, server=server.id)
        return self._made(server, began, None)

    def _made(self, server: Server, began: float, date: datetime | None) -> Server:
        self._command_log.created(server, Command(name="create", began=began, answered=self._clock.now(), date=date))
        return server

    async def change(self, server_id: int | str, call: Call[T], options: CallOptions) -> T:
        """Change a server, and return what the API says of it then.

        Raises:
            VPSError: as any call.

        Cancellation: ends at once; it may have been carried out.
        """
        with self._command_log.changing(server_id, self._clock.now()) as change:
            try:
                return (await self._requester.send(call, options)).value
            finally:
                self._command_log.changed(change, self._clock.now())

    async def delete(self, server_id: int | str, options: CallOptions) -> None:
        """Delete a server for good.

        Raises:
            NotFoundError: there is no such server, and no lost attempt of this call deleted it.
            VPSError: as any call.

        Cancellation: ends at once; it may have been carried out.
        """
        # The API knows the server no more: a lost attempt has deleted it (RFC 9110, 9.2.2).
        with suppress(UnsettledError):
            await self.change(server_id, _endpoints.delete(server_id), options)

    async def request(
        self, method: str, path: str, *, json: object, params: Mapping[str, str] | None, options: CallOptions
    ) -> httpx.Response:
        """Return the response to a request that the SDK does not model, if it is a 2xx; see `Client.request`."""
        try:
            return await self._requester.request(method, path, json=json, params=params, options=options)
        except UnsettledError as error:
            unsettled = error
        # As in `delete`: of these requests, a DELETE alone has a repeat whose refusal leaves doubt.
        assert unsettled.response is not None
        return no_content(unsettled.response)

    async def command(self, server_id: int | str, name: str, options: CallOptions) -> tuple[Action, Change]:
        """Start, stop or reboot a server, whatever the network does; return also what a wait for it begins with.

        Raises:
            OutcomeUnknownError: it may have been rebooted, and no look proves it.
            StateConflictError: the server is not in the status for it.
            VPSError: as any call.

        Cancellation: goes through at once; the command log keeps that it may have been carried out.
        """
        call = _endpoints.command(server_id, name)
        state = CallState(call, options)
        with self._command_log.changing(server_id, self._clock.now(), name) as change:
            unsettled = None
            try:
                try:
                    done = await self._requester.send(call, options, state)
                except UnsettledError as error:
                    unsettled = error
                if unsettled is not None:
                    done = await _SETTLERS[call.retry_safety](self, unsettled, change, options, state.deadline)
            except StateConflictError:
                # Refused; and where the attempt before was lost, a GET has settled that it was not carried out either.
                raise
            except BaseException:
                # It may be carried out yet: a wait that follows must not take the status from before for its goal.
                if state.maybe_done:
                    self._command_log.changed(change, self._clock.now(), lost=True)
                raise
            self._command_log.changed(change, self._clock.now(), date=done.date, shown=unsettled is not None)
        return done.value, change

    # Settlers: each looks at the server, or at all of them, and says what became of a call.

    async def _find_created(
        self, spec: ServerSpec, unsettled: UnsettledError, state: CallState, bind: Callable[[Server], Server]
    ) -> Server:
        """Return the server that a lost create made, by the one rule that proves it.

        Raises:
            OutcomeUnknownError: none is proven, or more than one, or an abandoned create may have made it.
        """
        latest = Candidates([], proven=False)

        async def look(look_options: CallOptions) -> Candidates | None:
            nonlocal latest
            latest = await self._list(spec, unsettled, look_options)
            return latest if latest.proven else None

        found, failure = await self._look_until(look, unsettled, state.options, state.deadline)
        if found is not None and len(found.servers) == 1 and spec.name not in self._doubtful:
            return found.servers[0]
        reason = str(latest)
        if unsettled.closed:
            reason = "the client was closed"
        elif failure is not None:
            reason = f"the listing failed: {failure}"
        elif found is not None and spec.name in self._doubtful:
            reason = f"{reason}: an earlier create of this name was abandoned, and may have made it"
        self._doubtful.add(spec.name)
        text = f"the response to the create of {spec.name!r} was lost; {reason}"
        raise _unknown(text, unsettled, failure, candidates=[*map(bind, latest.servers)])

    async def _list(self, spec: ServerSpec, unsettled: UnsettledError, options: CallOptions) -> Candidates:
        listing = Listing(self._pager, {}, options, skip_invalid=True)
        servers = await listing.read_all(within=options.timeout)
        page = listing.first_page
        assert page is not None
        ours = [server for server in servers if self._command_log.is_ours(server, since=unsettled.began)]
        return candidates_of(spec, ours, posted=posted_at(page.date, page.ended - unsettled.began))

    async def _find_rebooted(
        self, unsettled: UnsettledError, change: Change, options: CallOptions, deadline: float
    ) -> Decoded[Action]:
        """Return the action of a lost reboot that a look at the server proves.

        Raises:
            OutcomeUnknownError: none does.
        """

        async def look(look_options: CallOptions) -> Decoded[Action] | None:
            began = self._clock.now()
            seen = await self._requester.send(_endpoints.get(change.server_id), look_options)
            observation = Observation(began=began, ended=self._clock.now(), server=seen.value)
            if not self._command_log.admit(change.server_id, observation):
                # Older than what was read before the reboot: a `rebooting` of an earlier one.
                return None
            elapsed = timedelta(seconds=observation.ended - unsettled.began)
            date = None if seen.date is None else seen.date - elapsed
            command = Command(name="reboot", began=change.began, answered=began, date=date, baseline=change.baseline)
            if observation.status != TRANSITIONS["reboot"].transitional_status and not updated_by(command, observation):
                return None
            message = "the response was lost; a look at the server shows that it was carried out"
            return Decoded(_action(seen.value, message), date)

        found, failure = await self._look_until(look, unsettled, options, deadline)
        if found is not None:
            return found
        reason = "the client was closed" if unsettled.closed else "no look proves that it was carried out"
        text = f"the response to the reboot of server {change.server_id} was lost; {reason}"
        raise _unknown(text, unsettled, failure)

    async def _find_switched(
        self, unsettled: UnsettledError, change: Change, options: CallOptions, deadline: float
    ) -> Decoded[Action]:
        """Return the action of a start or stop whose repeat was refused: its first attempt may be why.

        Raises:
            StateConflictError: a look shows that it was not.
            VPSError: the look failed.
        """
        assert change.own is not None
        options = options.within(_left_until(self._clock, deadline))
        try:
            seen = await self._requester.send(_endpoints.get(change.server_id), options)
        except APIConnectionError as error:
            error.sent = True
            raise
        transition = TRANSITIONS[change.own.name]
        refusal = unsettled.cause
        if seen.value.status not in (transition.transitional_status, transition.status_after):
            raise refusal
        assert isinstance(refusal, StateConflictError)
        return Decoded(_action(seen.value, refusal.message), seen.date)

    async def _look_until(
        self,
        look: Callable[[CallOptions], Awaitable[T | None]],
        unsettled: UnsettledError,
        options: CallOptions,
        deadline: float,
    ) -> tuple[T | None, VPSError | None]:
        """Return what *look* found, or `None` and how the last look failed, if it did.

        It looks at once, then every second, until something is found, the time is over, or the client is closed.

        Cancellation: ends at once.
        """
        if unsettled.closed:
            return None, None
        until = min(deadline, self._clock.now() + LONGEST_SEARCH)
        with self._clock.move_on_after(None) as scope, self._lifetime.running(scope):
            while not self._lifetime.closed:
                found, failure = None, None
                try:
                    found = await look(options.for_polling(max(0.0, until - self._clock.now())))
                except VPSError as error:
                    failure = error
                if found is not None or self._clock.now() + BETWEEN_POLLS >= until:
                    return found, failure
                await self._clock.sleep(BETWEEN_POLLS)
        return None, APIConnectionError("the client is closed")

    @asynccontextmanager
    async def _turn(self, name: str, deadline: float, summary: str) -> AsyncIterator[None]:
        """Hold the name: creates of one name go one after another, so that none adopts another's server.

        Cancellation: the name goes to the next.
        """
        entry = self._names.setdefault(name, _Name())
        entry.users += 1
        try:
            if entry.lock.locked():
                with self._clock.move_on_after(_left_until(self._clock, deadline)) as scope:
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


_SETTLERS = {
    RetrySafety.RECONCILE: Commands._find_rebooted,  # noqa: SLF001 - a table of this module's own class
    RetrySafety.STATE_CHECKED: Commands._find_switched,  # noqa: SLF001 - the same
}
"""Of the commands; a create and a change have one each."""


def _action(server: Server, message: str) -> Action:
    """Return the action that a look at *server* stands for."""
    return Action(
        status="success", message=message, server=ServerRef(id=server.id, name=server.name, status=server.status)
    )


def _unknown(
    text: str, unsettled: UnsettledError, failure: VPSError | None, *, candidates: list[Server] | None = None
) -> OutcomeUnknownError:
    """Return the error for what cannot be told: caused by what lost the response, and by what made looking fail."""
    summary = getattr(unsettled.cause, "request_summary", None)
    error = OutcomeUnknownError(f"{text} ({unsettled.cause})", candidates=candidates or (), request_summary=summary)
    error.__cause__ = unsettled.cause
    if failure is not None:
        # In the order in which they happened.
        error.__cause__ = deepest = failure
        while deepest.__cause__ is not None:
            deepest = deepest.__cause__  # type: ignore[assignment]
        deepest.__cause__ = unsettled.cause
    return error


def _deadline_of(clock: Clock, options: CallOptions) -> float:
    """Return when a call that begins now must have ended, on the clock; infinity: never."""
    return math.inf if options.timeout is None else clock.now() + options.timeout


def _left_until(clock: Clock, deadline: float) -> float | None:
    """Return the seconds until *deadline*, or `None` for without end."""
    return None if deadline == math.inf else max(0.0, deadline - clock.now())
