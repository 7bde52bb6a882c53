"""The methods of `client.servers` that wait: for a status, for the end of a server, and for changes."""

from __future__ import annotations

import copy

from collections.abc import Iterable
from typing import TypeVar

import attrs

from ._action_parts import COMMANDS, Memory, bind_action, handle_of, remembered
from ._context import Section
from ._error_base import InvalidArgumentError
from ._models import Action, Server, ServerId, StatusGoal, bind, bound_to, checked_id
from ._policies import NOT_GIVEN, NotGivenType, PollPolicy, check_outage
from ._polling.addresses import checked_port
from ._polling.command_log import Change
from ._polling.conditions import When, conditions_of
from ._polling.goals import checked_goal, checked_poll, goal_of, gone_goal
from ._polling.reaching import Reaching, reachable_goal
from ._polling.waiting import OnChange
from ._polling.waits import checked_on_change
from ._polling.watching import ServerWatch, checked_interval, checked_keys


Bound = TypeVar("Bound", Server, Action)
BoundServer = TypeVar("BoundServer", bound=Server)
BoundAction = TypeVar("BoundAction", bound=Action)

WAIT_SECONDS = 900.0
"""The default timeout of a wait, in seconds: three times the longest documented provisioning."""

JUST_NOW = 1.0
"""Seconds. A wait for the end of a server that begins so soon after a change by this client follows its DELETE."""


class ServerWaits(Section):
    """The waits and watches of `client.servers`."""

    async def wait_until(
        self,
        server_id: ServerId,
        *,
        status: StatusGoal,
        timeout: float | None = WAIT_SECONDS,
        poll: PollPolicy = PollPolicy(),
        fail_on: StatusGoal | NotGivenType | None = NOT_GIVEN,
        on_change: OnChange | None = None,
        detail: bool = True,
        when: When | None = None,
        steady: float = 0.0,
    ) -> Server:
        """Wait until a server has *status*, or one of several statuses, and return the server.

        After a command of this client, the status from before the command does not count.

        Args:
            server_id: the server.
            status: the goal: a status, or several of which any one will do.
            timeout: seconds; 0 polls once, `None` waits without end.
            poll: how often the wait polls.
            fail_on: a status, or several, that end the wait early. By default `suspended`, unless that is the goal.
            on_change: a plain or async function. It is called with the server for every status that is seen, the first
                one included, in the task of the wait. An error that it raises ends the wait.
            detail: whether the server is to be as complete as `get` returns it.
            when: a plain function that is called with a complete server which has the status. The wait ends when its
                result is true. An error that it raises ends the wait.
            steady: seconds for which the status, and *when*, must go on to hold in every poll.

        Raises:
            WaitTimeoutError: the time passed. The message has the last status, how long it has lasted, and whether
                *when* or *steady* was missing.
            UnexpectedStatusError: the server cannot reach the goal any more.
            ServerGoneError: the server does not exist, or no longer exists.
            WaitFailedError: polls have failed for too long, by `poll.failures` and `poll.outage`. The last error is
                its cause.
            AuthenticationError, PermissionDeniedError: the API refuses the token. The wait ends at once.
            ClientClosedError: the client is closed.

        Cancellation: ends at once, and nothing is left running.
        """
        goal, on_change = checked_goal(status, fail_on, poll), checked_on_change(on_change)
        key = checked_id(server_id)
        change = self._context.command_log.pending(key, self._context.clock.now())
        wait = self._context.waits.make(
            key,
            goal,
            timeout,
            poll=poll,
            change=change,
            on_change=on_change,
            detail=detail,
            conditions=conditions_of(when, steady),
        )
        return self._seen(await wait.run())

    async def wait_until_deleted(
        self, server_id: ServerId, *, timeout: float | None = WAIT_SECONDS, poll: PollPolicy = PollPolicy()
    ) -> None:
        """Wait until the API says that the server does not exist.

        *timeout* is in seconds: 0 polls once, `None` waits without end. *poll* says how often the wait polls.

        Raises:
            WaitTimeoutError: the time passed.
            WaitFailedError: polls have failed for too long, by `poll.failures` and `poll.outage`. The last error is
                its cause.
            AuthenticationError, PermissionDeniedError: the API refuses the token. The wait ends at once.
            ClientClosedError: the client is closed.

        Cancellation: ends at once, and nothing is left running.
        """
        parts, key = self._context, checked_id(server_id)
        changed = parts.command_log.changed_at(key)
        deleted = changed if changed >= parts.clock.now() - JUST_NOW else None
        await parts.waits.make(key, gone_goal(poll), timeout, poll=poll, deleted=deleted).run()

    async def wait_until_reachable(
        self, server_id: ServerId, *, port: int = 22, timeout: float | None = 300.0, poll: PollPolicy = PollPolicy()
    ) -> Server:
        """Wait until a TCP connection to the server's address can be opened, and return the server.

        A server that is `active` may still be booting. Both its IPv4 and its IPv6 address are tried, at most once in 5
        seconds, from this machine and never through a proxy. A server without an address is waited for. The connection
        is closed at once: nothing is sent over it.

        Args:
            server_id: the server.
            port: the TCP port, such as 22 for SSH.
            timeout: seconds; `None` waits without end.
            poll: how often the wait polls the server meanwhile.

        Raises:
            WaitTimeoutError: the time passed. The message says for each address how the last attempt failed.
            UnexpectedStatusError: the server is stopped or suspended.
            ServerGoneError: the server does not exist, or no longer exists.
            WaitFailedError: this machine has no route to any address of the active server, or polls failed for too
                long.

        Cancellation: ends at once, and nothing stays open.
        """
        parts, key = self._context, checked_id(server_id)
        reaching = Reaching(port=checked_port(port), connector=parts.connector, clock=parts.clock)
        wait = parts.waits.make(
            key,
            reachable_goal(checked_poll(poll).grace),
            timeout,
            poll=poll,
            change=parts.command_log.pending(key, parts.clock.now()),
            conditions=reaching.conditions,
        )
        return self._seen(await reaching.run(wait))

    def watch(
        self,
        server_ids: Iterable[ServerId] | None = None,
        *,
        interval: float = 5.0,
        failures: int | None = 5,
        outage: float = 60.0,
    ) -> ServerWatch:
        """Watch all servers, or those given: `async for change in client.servers.watch():` yields each `ServerChange`.

        First, every server is yielded as appeared. While a change is awaited, the client polls every *interval*
        seconds (0.1 if it is less), once for all its watches and waits. A slow consumer gets only the latest state of
        each server. Unknown ids are ignored.

        A failed poll is repeated after 1, 2, 4, 8 and then 15 seconds, or after *interval* if that is longer. The
        iteration raises the last error when at least *failures* polls in a row have failed, and the last of them began
        at least *outage* seconds after the first. With `failures=None` failed polls never end it.

        Raises:
            TypeError: an argument is not of its type.
            InvalidArgumentError: an argument is too small, not finite, or an id that cannot be one.

        Raises, from the iteration:
            AuthenticationError, PermissionDeniedError: the API refuses the token. The iteration ends at once.
            ClientClosedError: the client is closed.
            VPSError: polls have failed for too long. It is the last error.

        Cancellation: ends at once, and nothing is left running. The same holds after `break`.
        """
        parts = self._context
        check_outage(failures, outage)
        return ServerWatch(
            None if server_ids is None else checked_keys(server_ids),
            checked_interval(interval),
            failures=failures,
            outage=outage,
            coordinator=parts.coordinator,
            clock=parts.clock,
            events=parts.events,
            lifetime=parts.lifetime,
            bind=self._seen,
        )

    def bind(self, thing: Bound) -> Bound:
        """Give a `Server` or `Action` this client, and return it.

        It may come from `from_dict`, a pickle or a queue. The wait for an `Action` is as hard to fool as in the process
        that sent the command: what was known of the server then goes along. Something that belongs to another client
        stays as it is, and a copy is returned.

        Raises:
            TypeError: *thing* is neither a `Server` nor an `Action`.
            InvalidArgumentError: the action names no command.
        """
        if isinstance(thing, Action):
            return self._bind_action(thing)
        if isinstance(thing, Server):
            return self._seen(thing)
        raise TypeError(f"bind() takes a Server or an Action, not {type(thing).__name__}")

    def _bind_action(self, action: BoundAction) -> BoundAction:
        handle = handle_of(action)
        if handle is not None:
            if isinstance(handle, _Pending) and handle.servers is self:
                return action
            action = copy.copy(action)
        if action.name not in COMMANDS:
            raise InvalidArgumentError(
                f"this Action names no command: use client.servers.wait_until({action.server.id!r}, status=...)"
            )
        memory = remembered(action) or Memory(said=str(action.server.status))
        log, now = self._context.command_log, self._context.clock.now()
        change = log.restore(checked_id(action.server.id), action.name, memory, now)
        return bind_action(action, action.name, _Pending(self, action.name, change))

    def _pending(self, action: Action, name: str, change: Change) -> Action:
        """Give *action* the wait for *change*, the command *name* of this client."""
        return bind_action(action, name, _Pending(self, name, change))

    def _seen(self, server: BoundServer | None) -> BoundServer:
        assert server is not None
        if bound_to(server) not in (None, self):
            # Other waits may return the same object, and belong to another view of the client.
            server = copy.copy(server)
        return bind(server, self)


@attrs.frozen(eq=False, repr=False)
class _Pending:
    """The command that an `Action` waits for."""

    servers: ServerWaits
    name: str
    change: Change

    @property
    def memory(self) -> Memory:
        """The present knowledge of the client about the command."""
        return self.servers._context.command_log.memory_of(self.change)  # noqa: SLF001 - the same module

    async def wait(
        self,
        *,
        timeout: float | None,
        poll: PollPolicy,
        on_change: OnChange | None,
        detail: bool,
        when: When | None,
        steady: float,
    ) -> Server:
        """Wait until the command has taken effect and is over; see `Action.wait`."""
        context = self.servers._context  # noqa: SLF001 - the same module
        change = None if self.change.shown or self.change.is_aged(context.clock.now()) else self.change
        wait = context.waits.make(
            self.change.server_id,
            goal_of(self.name, poll),
            timeout,
            poll=poll,
            change=change,
            on_change=checked_on_change(on_change),
            detail=detail,
            conditions=conditions_of(when, steady),
        )
        return self.servers._seen(await wait.run())  # noqa: SLF001 - the same
