"""Sends the commands of a client, each once, and settles the ones whose responses do not tell what became of them."""

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
"""The most seconds to find out what became of a lost create or reboot, also without a `timeout`."""

BETWEEN_POLLS = 1.0


@attrs.define(eq=False, repr=False)
class _Name:
    """The creates of one name, which go one after another."""

    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    users: int = 0


class Commands:
    """Sends commands and changes, and settles those that are in doubt.

    One rule settles every doubt: the response to a later attempt says nothing about the first one; a GET of the
    server does. Each retry safety has its settler: `RECONCILE` has `_find_created` and `_find_rebooted`,
    `STATE_CHECKED` has `_find_switched`, and `IDEMPOTENT` needs none, because a 404 to a later DELETE says the same.
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
        # Names with a create that may have made a server which no code knows. No server of that name is adopted.
        self._doubtful: set[str] = set()

    async def create(self, spec: ServerSpec, options: CallOptions, bind: Callable[[Server], Server]) -> Server:
        """Create a server with one POST. *bind* gives a client to each server that the caller receives.

        Raises:
            OutcomeUnknownError: the API may have created the server, and no listing proves which it is.
            APITimeoutError: the time passed before anything was sent.
            VPSError: any other error of a call. Nothing was created.

        Cancellation: ends at once. If the API may have executed the POST, `create.abandoned` is logged.
        """
        # Checked first, because the lock of the name belongs to one event loop.
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
                # A cancel, or an error of a transport or hook: no task is left that could find out.
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
        """Change a server, and return the changed server.

        Raises:
            VPSError: any error of a call.

        Cancellation: ends at once. The API may have executed the change.
        """
        with self._command_log.changing(server_id, self._clock.now()) as change:
            try:
                return (await self._requester.send(call, options)).value
            finally:
                self._command_log.changed(change, self._clock.now())

    async def delete(self, server_id: int | str, options: CallOptions) -> None:
        """Delete a server for good.

        Raises:
            NotFoundError: the server does not exist, and no earlier attempt of this call deleted it.
            VPSError: any other error of a call.

        Cancellation: ends at once. The API may have deleted the server.
        """
        # The API no longer knows the server: an earlier attempt has deleted it (RFC 9110, 9.2.2).
        with suppress(UnsettledError):
            await self.change(server_id, _endpoints.delete(server_id), options)

    async def request(
        self, method: str, path: str, *, json: object, params: Mapping[str, str] | None, options: CallOptions
    ) -> httpx.Response:
        """Return the 2xx response to a request that the SDK has no method for; see `Client.request`."""
        try:
            return await self._requester.request(method, path, json=json, params=params, options=options)
        except UnsettledError as error:
            unsettled = error
        # As in `delete`. Of these requests, only a DELETE can be refused because an earlier attempt was executed.
        assert unsettled.response is not None
        return no_content(unsettled.response)

    async def command(self, server_id: int | str, name: str, options: CallOptions) -> tuple[Action, Change]:
        """Start, stop or reboot a server. Return the action, and the change that a wait for it begins with.

        Raises:
            OutcomeUnknownError: the API may have rebooted the server, and no poll proves it.
            StateConflictError: the server is not in a status that allows the command.
            VPSError: any other error of a call.

        Cancellation: ends at once. The command log keeps that the API may have executed the command.
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
                # The API may still execute it: a wait that follows must not take the status from before as its goal.
                if state.maybe_done:
                    self._command_log.changed(change, self._clock.now(), lost=True)
                raise
            self._command_log.changed(change, self._clock.now(), date=done.date, shown=unsettled is not None)
        return done.value, change

    # Settlers: each polls the server, or lists all servers, and says what became of a call.

    async def _find_created(
        self, spec: ServerSpec, unsettled: UnsettledError, state: CallState, bind: Callable[[Server], Server]
    ) -> Server:
        """Return the server that a lost create made.

        Raises:
            OutcomeUnknownError: no server or several are proven, or an abandoned create may have made it.
        """
        latest = Candidates([], proven=False)

        async def poll(poll_options: CallOptions) -> Candidates | None:
            nonlocal latest
            latest = await self._list(spec, unsettled, poll_options)
            return latest if latest.proven else None

        found, failure = await self._poll_until(poll, unsettled, state.options, state.deadline)
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
        """Return the action of a lost reboot that a GET of the server proves.

        Raises:
            OutcomeUnknownError: no GET proves it.
        """

        async def poll(poll_options: CallOptions) -> Decoded[Action] | None:
            began = self._clock.now()
            seen = await self._requester.send(_endpoints.get(change.server_id), poll_options)
            observation = Observation(began=began, ended=self._clock.now(), server=seen.value)
            if not self._command_log.admit(change.server_id, observation):
                # Out of date: a `rebooting` of an earlier reboot.
                return None
            elapsed = timedelta(seconds=observation.ended - unsettled.began)
            date = None if seen.date is None else seen.date - elapsed
            command = Command(name="reboot", began=change.began, answered=began, date=date, baseline=change.baseline)
            if observation.status != TRANSITIONS["reboot"].transitional_status and not updated_by(command, observation):
                return None
            message = "the response was lost; a GET of the server shows that the reboot was executed"
            return Decoded(_action(seen.value, message), date)

        found, failure = await self._poll_until(poll, unsettled, options, deadline)
        if found is not None:
            return found
        reason = "the client was closed" if unsettled.closed else "no GET proves that it was executed"
        text = f"the response to the reboot of server {change.server_id} was lost; {reason}"
        raise _unknown(text, unsettled, failure)

    async def _find_switched(
        self, unsettled: UnsettledError, change: Change, options: CallOptions, deadline: float
    ) -> Decoded[Action]:
        """Return the action of a start or stop whose later attempt was refused. The first attempt may be the reason.

        Raises:
            StateConflictError: a GET shows that it is not.
            VPSError: the GET failed.
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

    async def _poll_until(
        self,
        poll: Callable[[CallOptions], Awaitable[T | None]],
        unsettled: UnsettledError,
        options: CallOptions,
        deadline: float,
    ) -> tuple[T | None, VPSError | None]:
        """Return the result of *poll*, or `None` and how the last poll failed, if it did.

        It polls at once and then every second, until there is a result, the time is over, or the client is closed.

        Cancellation: ends at once.
        """
        if unsettled.closed:
            return None, None
        until = min(deadline, self._clock.now() + LONGEST_SEARCH)
        with self._clock.move_on_after(None) as scope, self._lifetime.running(scope):
            while not self._lifetime.closed:
                found, failure = None, None
                try:
                    found = await poll(options.for_polling(max(0.0, until - self._clock.now())))
                except VPSError as error:
                    failure = error
                if found is not None or self._clock.now() + BETWEEN_POLLS >= until:
                    return found, failure
                await self._clock.sleep(BETWEEN_POLLS)
        return None, APIConnectionError("the client is closed")

    @asynccontextmanager
    async def _turn(self, name: str, deadline: float, summary: str) -> AsyncIterator[None]:
        """Hold the name. Creates of one name go one after another, so that none adopts another's server.

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
"""The settlers of commands. A create and a delete have their own."""


def _action(server: Server, message: str) -> Action:
    """Return the action that a GET of *server* has proven."""
    return Action(
        status="success", message=message, server=ServerRef(id=server.id, name=server.name, status=server.status)
    )


def _unknown(
    text: str, unsettled: UnsettledError, failure: VPSError | None, *, candidates: list[Server] | None = None
) -> OutcomeUnknownError:
    """Return the error of an unknown outcome. Its causes are the lost response and the failed poll."""
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
    """Return when a call that begins now must have ended; infinity is never."""
    return math.inf if options.timeout is None else clock.now() + options.timeout


def _left_until(clock: Clock, deadline: float) -> float | None:
    """Return the seconds until *deadline*, or `None` if there is none."""
    return None if deadline == math.inf else max(0.0, deadline - clock.now())
