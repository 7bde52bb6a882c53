"""Sends the commands of a client, each once, and has the ones in doubt settled."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING, TypeVar

from . import _endpoints
from ._earlier_commands import EarlierCommands
from ._errors import APIStatusError, OutcomeUnknownError
from ._events import FLEET
from ._models import Action
from ._names import Names
from ._polling.lifecycle import Command
from ._request.call import CallState, RetrySafety, UnsettledError, left_until, time_to_find_out
from ._request.requester import Decoded, call_of, no_content
from ._settlers import Settlers, says_gone


if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from datetime import datetime

    from . import _http as httpx
    from ._clock import Clock
    from ._events import Events
    from ._lifetime import Lifetime
    from ._models import Server, ServerSpec
    from ._names import Create
    from ._pagination import Pager
    from ._polling.command_log import Change, CommandLog
    from ._request.call import Call, CallOptions
    from ._request.requester import Requester

T = TypeVar("T")


class Commands:
    """Sends commands and changes."""

    def __init__(
        self,
        requester: Requester,
        pager: Pager,
        *,
        clock: Clock,
        command_log: CommandLog,
        events: Events,
        lifetime: Lifetime,
        api: Hashable = None,
    ) -> None:
        self._requester = requester
        self._clock = clock
        self._command_log = command_log
        self._events = events
        self._lifetime = lifetime
        self.names: Names = Names(clock, api, lifetime)
        self._settlers = Settlers(requester, pager, self.names, clock=clock, command_log=command_log, lifetime=lifetime)
        self.earlier: EarlierCommands = EarlierCommands(
            self._settlers,
            self.names,
            clock=clock,
            command_log=command_log,
            events=events,
            api_clock=requester.api_clock,
        )

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
        state = CallState(_endpoints.create(spec), options, reserve=time_to_find_out(options.timeout))
        with self._requester.calls.of(state):
            return bind(await self._create_in_turn(spec, state, bind))

    async def _create_in_turn(self, spec: ServerSpec, state: CallState, bind: Callable[[Server], Server]) -> Server:
        state.waits_since = self._clock.now()
        deadline = _deadline_of(self._clock, state.options)
        async with self.names.turn(spec.name, deadline - (state.reserve or 0.0), state.call.summary) as create:
            state.goes_on(self._clock.now())
            state.options = state.options.within(left_until(self._clock, deadline))
            try:
                return await self._create(spec, state, create, bind)
            except Exception:
                raise
            except BaseException:
                # A cancel: no task is left that could find out.
                if state.maybe_done:
                    self.names.doubt(spec.name)
                    self._tell("create.abandoned", spec, state)
                raise
            finally:
                create.in_doubt = create.made is None and state.maybe_done

    async def _create(
        self, spec: ServerSpec, state: CallState, create: Create, bind: Callable[[Server], Server]
    ) -> Server:
        began, call = self._clock.now(), state.call
        try:
            made: Decoded[Server] = await self._requester.send(call, state.options, state)
        except UnsettledError as error:
            unsettled = error
        else:
            state.made = made.value
            return self._made(made.value, began, made.date, create)
        try:
            server = await self._settlers.find_created(spec, unsettled, state, create, bind)
        except OutcomeUnknownError:
            unsettled.raise_foreign()
            raise
        state.made = server
        self._tell("create.reconciled", spec, state, server=server.id)
        found = self._made(server, began, None, create)
        unsettled.raise_foreign()
        return found

    def _tell(self, name: str, spec: ServerSpec, state: CallState, **more: object) -> None:
        number = None if state.record is None else state.record.number
        fields = {"call": number, "fleet": FLEET.get(), "name": spec.name, "location": spec.location, **more}
        self._events.emit(name, **fields)

    def _made(self, server: Server, began: float, date: datetime | None, create: Create) -> Server:
        create.returned(server.id)
        self._command_log.created(server, Command(name="create", began=began, answered=self._clock.now(), date=date))
        return server

    async def change(self, server_id: int | str, call: Call[T], options: CallOptions) -> T:
        """Change a server, and return the changed server.

        Raises:
            VPSError: any error of a call.

        Cancellation: ends at once. The API may have executed the change.
        """
        state = CallState(call, options)
        with self._requester.calls.of(state):
            return await self._change(server_id, call, state)

    async def _change(self, server_id: int | str, call: Call[T], state: CallState) -> T:
        options, deadline = state.options, _deadline_of(self._clock, state.options)
        with self._command_log.changing(server_id, self._clock.now()) as change:
            try:
                changed = (await self._requester.send(call, options, state)).value
            finally:
                self._command_log.changed(change, self._clock.now())
        if changed is not None or not call.accepts_silence:
            return changed
        # Accepted without a word.
        return (await self._settlers.look(server_id, options, deadline)).value  # type: ignore[return-value]

    async def delete(self, server_id: int | str, options: CallOptions) -> None:
        """Delete a server for good.

        Raises:
            NotFoundError: the server does not exist, and no earlier attempt of this call deleted it.
            VPSError: any other error of a call.

        Cancellation: ends at once. The API may have deleted the server.
        """
        deadline, call = _deadline_of(self._clock, options), _endpoints.delete(server_id)
        state = CallState(call, options)
        with self._requester.calls.of(state):
            try:
                await self._change(server_id, call, state)
            except UnsettledError as error:
                unsettled = error
            else:
                return
            await self._settlers.find_deleted(unsettled, server_id, options, deadline)

    async def request(
        self, method: str, path: str, *, json: object, params: Mapping[str, str] | None, options: CallOptions
    ) -> httpx.Response:
        """Return the 2xx response to a request that the SDK has no method for; see `Client.request`."""
        state = CallState(call_of(method, path), options)
        with self._requester.calls.of(state):
            try:
                return await self._requester.request(state, path, json=json, params=params)
            except UnsettledError as error:
                unsettled = error
        # Of these requests, only a DELETE that comes too late is settled: what it was to delete is gone.
        assert unsettled.response is not None
        assert says_gone(unsettled.cause)
        return no_content(unsettled.response)

    async def command(self, server_id: int | str, name: str, options: CallOptions) -> tuple[Action, Change]:
        """Start, stop or reboot a server. Return the action, and the change that a wait for it begins with.

        Raises:
            OutcomeUnknownError: the API may have rebooted the server, and no poll proves it.
            StateConflictError: the server is not in a status that allows the command.
            VPSError: any other error of a call.

        Cancellation: ends at once. The command log keeps that the API may have executed the command.
        """
        state = CallState(_endpoints.command(server_id, name), options)
        with self._requester.calls.of(state):
            return await self._command(server_id, name, state)

    async def _command(self, server_id: int | str, name: str, state: CallState) -> tuple[Action, Change]:
        call, options = state.call, state.options
        with self._command_log.changing(server_id, self._clock.now(), name) as change:
            done: Decoded[Action] | Decoded[Action | None]
            unsettled: UnsettledError | None = None
            try:
                sent = await self._sent(call, options, state)
                if isinstance(sent, UnsettledError):
                    unsettled = sent
                    done = await self._settle(sent, call, change, options, state.deadline)
                else:
                    done = sent
            except BaseException as error:
                # The API may still execute it: a wait that follows must not take the status from before as its goal.
                # A refusal of a later attempt is settled: a GET has shown that the first one was not executed either.
                refused = isinstance(error, APIStatusError) and unsettled is not None and error is unsettled.cause
                if state.maybe_done and not refused:
                    self._command_log.changed(change, self._clock.now(), lost=True)
                raise
            shown, said = unsettled is not None, "" if done.value is None else done.value.server.status
            self._command_log.changed(change, self._clock.now(), date=done.date, said=said, shown=shown)
        if unsettled is not None:
            unsettled.raise_foreign()
        if done.value is not None:
            return done.value, change
        shown_after = await self._settlers.shown_after(server_id, name, options, state.deadline)
        return Action(status="success", message="", server=shown_after), change

    async def _sent(
        self, call: Call[Action | None], options: CallOptions, state: CallState
    ) -> Decoded[Action | None] | UnsettledError:
        """Send a command. Return an error that has to be settled, so that this happens outside of its handler."""
        try:
            return await self._requester.send(call, options, state)
        except UnsettledError as error:
            return error

    async def _settle(
        self,
        unsettled: UnsettledError,
        call: Call[Action | None],
        change: Change,
        options: CallOptions,
        deadline: float,
    ) -> Decoded[Action]:
        try:
            if call.retry_safety is RetrySafety.RECONCILE:
                return await self._settlers.find_rebooted(unsettled, change, options, deadline)
            return await self._settlers.find_switched(unsettled, change, options, deadline)
        except OutcomeUnknownError:
            unsettled.raise_foreign()
            raise


def _deadline_of(clock: Clock, options: CallOptions) -> float:
    """Return when a call that begins now must have ended; infinity is never."""
    return math.inf if options.timeout is None else clock.now() + options.timeout
