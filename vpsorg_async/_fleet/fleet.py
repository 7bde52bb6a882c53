"""The actions of a fleet of servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .._checks import check_flag
from .._context import Context
from .._endpoints import update as checked_update
from .._models import Server, StatusGoal
from .._policies import NOT_GIVEN, NotGivenType, PollPolicy
from .._polling.goals import checked_goal
from .._public import publish
from .._servers import Servers
from .arguments import STOP_ON, OnOutcome, OnProgress, RunOptions, StopOn, checked_items
from .run import FleetRun
from .steps import Work, applying, commanding, deleting, updating, waiting


class Fleet:
    """Several servers that one call acts on. `client.fleet(servers)` makes it.

    Each method returns a `FleetRun`, which begins when it is awaited or entered. Besides its own arguments, each takes:

    - *at_once*: the number of items in progress together, 20 by default.
    - *tolerate*: the number of items that may end failed, pending or unknown. When more have, the run begins no further
      item. An int counts items, a float is a share of all items, and `None` is any number.
    - *timeout*: the seconds for each item from its begin, 900 by default. `None` is without end. The calls of an item
      may use all of this time for their turn and for pauses; the client's `attempt_timeout` bounds each attempt.
    - *on_outcome*, *progress*: plain or async functions that are called with each `Outcome` and each `Progress`. An
      error that they raise ends the run.
    - *poll*: how often the waits of the items poll, and how long they may fail. While calls and polls fail for lack of
      a response, the run begins nothing new, for up to `poll.outage` seconds.
    - *stop_on*: the errors after which the run begins no further item, whatever *tolerate* says. By default 401, 402
      and 403: every further item would fail too. `()` is none.

    With *wait*, an item is done when its server has reached the goal. Without, it is done when the API has accepted
    the command.

    Raises:
        TypeError, InvalidArgumentError: an argument cannot be used, or a server is given twice. Nothing was sent.
    """

    def __init__(self, servers: Servers, parts: Context, items: Iterable[Server | int | str]) -> None:
        self._servers = servers
        self._context = parts
        self._items = checked_items(items, parts.command_log.spellings.key)

    def start(
        self,
        *,
        wait: bool = True,
        if_needed: bool = False,
        at_once: int = 20,
        tolerate: float | None = None,
        timeout: float | None = 900.0,
        on_outcome: OnOutcome | None = None,
        progress: OnProgress | None = None,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> FleetRun:
        """Start each server. An item is done when its server is active.

        With `wait=False`, an item is done when the API has accepted the start. With `if_needed=True`, a server that is
        active, or starting, gets no command: the run polls each server first. The outcome's `value` is the `Action`, or
        `None` if no command was sent. The other arguments are those of `Fleet`.
        """
        check_flag("wait", wait)
        check_flag("if_needed", if_needed)
        options = RunOptions(
            at_once=at_once,
            tolerate=tolerate,
            timeout=timeout,
            on_outcome=on_outcome,
            progress=progress,
            poll=poll,
            stop_on=stop_on,
        )
        return self._run(commanding(self._servers, "start", wait=wait, if_needed=if_needed, poll=poll), options)

    def stop(
        self,
        *,
        wait: bool = True,
        if_needed: bool = False,
        at_once: int = 20,
        tolerate: float | None = None,
        timeout: float | None = 900.0,
        on_outcome: OnOutcome | None = None,
        progress: OnProgress | None = None,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> FleetRun:
        """Stop each server gracefully. An item is done when its server is stopped.

        With `wait=False`, an item is done when the API has accepted the stop. With `if_needed=True`, a server that is
        stopped, or stopping, gets no command: the run polls each server first. The outcome's `value` is the `Action`,
        or `None` if no command was sent. The other arguments are those of `Fleet`.
        """
        check_flag("wait", wait)
        check_flag("if_needed", if_needed)
        options = RunOptions(
            at_once=at_once,
            tolerate=tolerate,
            timeout=timeout,
            on_outcome=on_outcome,
            progress=progress,
            poll=poll,
            stop_on=stop_on,
        )
        return self._run(commanding(self._servers, "stop", wait=wait, if_needed=if_needed, poll=poll), options)

    def reboot(
        self,
        *,
        wait: bool = True,
        at_once: int = 20,
        tolerate: float | None = None,
        timeout: float | None = 900.0,
        on_outcome: OnOutcome | None = None,
        progress: OnProgress | None = None,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> FleetRun:
        """Reboot each server gracefully. An item is done when its server is active again.

        With `wait=False`, an item is done when the API has accepted the reboot. The outcome's `value` is the `Action`.
        The other arguments are those of `Fleet`.
        """
        check_flag("wait", wait)
        options = RunOptions(
            at_once=at_once,
            tolerate=tolerate,
            timeout=timeout,
            on_outcome=on_outcome,
            progress=progress,
            poll=poll,
            stop_on=stop_on,
        )
        return self._run(commanding(self._servers, "reboot", wait=wait, if_needed=False, poll=poll), options)

    def delete(
        self,
        *,
        wait: bool = True,
        if_needed: bool = False,
        at_once: int = 20,
        tolerate: float | None = None,
        timeout: float | None = 900.0,
        on_outcome: OnOutcome | None = None,
        progress: OnProgress | None = None,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> FleetRun:
        """Delete each server for good. An item is done when the API no longer knows its server.

        With `wait=False`, an item is done when the API has accepted the delete. With `if_needed=True`, a server that is
        gone gets no command and succeeds: the run polls each server first. The other arguments are those of `Fleet`.
        """
        check_flag("wait", wait)
        check_flag("if_needed", if_needed)
        options = RunOptions(
            at_once=at_once,
            tolerate=tolerate,
            timeout=timeout,
            on_outcome=on_outcome,
            progress=progress,
            poll=poll,
            stop_on=stop_on,
        )
        return self._run(deleting(self._servers, wait=wait, if_needed=if_needed, poll=poll), options)

    def update(
        self,
        *,
        name: str | NotGivenType = NOT_GIVEN,
        hostname: str | NotGivenType | None = NOT_GIVEN,
        backups_enabled: bool | NotGivenType = NOT_GIVEN,
        at_once: int = 20,
        tolerate: float | None = None,
        timeout: float | None = 900.0,
        on_outcome: OnOutcome | None = None,
        progress: OnProgress | None = None,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> FleetRun:
        """Change the given settings of each server. An item is done when the API has changed them.

        The outcome's `server` and `value` are the server with the new settings. The other arguments are those of
        `Fleet`.

        Raises:
            TypeError: no setting is given, or one is of a wrong type. Nothing was sent.
        """
        changes: dict[str, Any] = {"name": name, "hostname": hostname, "backups_enabled": backups_enabled}
        # Checks the settings before anything is sent. The id does not matter here.
        checked_update(0, **changes)
        options = RunOptions(
            at_once=at_once,
            tolerate=tolerate,
            timeout=timeout,
            on_outcome=on_outcome,
            progress=progress,
            poll=poll,
            stop_on=stop_on,
        )
        return self._run(updating(self._servers, changes), options)

    def wait_until(
        self,
        *,
        status: StatusGoal,
        fail_on: StatusGoal | NotGivenType | None = NOT_GIVEN,
        at_once: int = 20,
        tolerate: float | None = None,
        timeout: float | None = 900.0,
        on_outcome: OnOutcome | None = None,
        progress: OnProgress | None = None,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> FleetRun:
        """Wait until each server has *status*, or one of several; see `client.servers.wait_until`.

        *fail_on* is a status, or several, that end the wait of an item early: `suspended` by default. The outcome's
        `server` and `value` are the server as it was seen. A wait changes nothing, so its items end succeeded or
        failed. The other arguments are those of `Fleet`.
        """
        checked_goal(status, fail_on, poll)
        options = RunOptions(
            at_once=at_once,
            tolerate=tolerate,
            timeout=timeout,
            on_outcome=on_outcome,
            progress=progress,
            poll=poll,
            stop_on=stop_on,
        )
        return self._run(waiting(self._servers, status=status, fail_on=fail_on, poll=poll), options)

    def apply(
        self,
        function: Callable[[Any], Awaitable[object] | object],
        *,
        at_once: int = 20,
        tolerate: float | None = None,
        timeout: float | None = 900.0,
        on_outcome: OnOutcome | None = None,
        progress: OnProgress | None = None,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> FleetRun:
        """Call *function*, plain or async, with each server, or with each id where an id was given.

        The function's result is the outcome's `value`, and its error the outcome's `error`. The calls that the function
        makes go by the client's own timeout. The other arguments are those of `Fleet`.

        Raises:
            TypeError: *function* cannot be called.
        """
        if not callable(function):
            raise TypeError(f"function must be callable with a server or an id, not {function!r}")
        options = RunOptions(
            at_once=at_once,
            tolerate=tolerate,
            timeout=timeout,
            on_outcome=on_outcome,
            progress=progress,
            poll=poll,
            stop_on=stop_on,
        )
        return self._run(applying(self._context.clock, function), options)

    def _run(self, work: Work, options: RunOptions) -> FleetRun:
        return FleetRun(self._context, self._servers, [*self._items], work, options)


publish(Fleet)
