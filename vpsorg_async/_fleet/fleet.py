"""The actions of a fleet: what each of them does for one server."""

from __future__ import annotations

import inspect

from typing import TYPE_CHECKING, Any, Unpack

import attrs

from .._endpoints import update as checked_update
from .._errors import APITimeoutError
from .._models import ServerSpec
from .._policies import NOT_GIVEN, NotGivenType, PollPolicy
from .._polling.goals import checked_goal
from .._polling.lifecycle import TRANSITIONS
from .._servers import call_timeout
from .arguments import checked_items, checked_specs
from .run import FleetRun, RunOptions


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .._context import Context
    from .._models import Server, StatusGoal
    from .._servers import Servers
    from .item import ItemInProgress, Step


class Fleet:
    """Several servers that one call acts on. `client.fleet(servers)` makes it.

    Each method returns a `FleetRun`. Besides its own arguments, each takes:

    - *at_once*: the number of items in progress together, 20 by default.
    - *tolerate*: the number of items that may end failed or unknown. When more have, the run begins no further item.
      An int counts items, a float is a share of all items, and `None` is any number. A response 401, 402 or 403 stops
      the run in any case.
    - *timeout*: the seconds for each item from its begin, 900 by default. `None` is without end.
    - *on_outcome*, *progress*: plain or async functions that are called with each `Outcome` and each `Progress`. An
      error that they raise ends the run.

    With *wait*, an item is done when its server has reached the goal. Without, it is done when the API has accepted
    the command.

    Raises:
        TypeError, ValueError: an argument cannot be used, or a server is given twice. Nothing was sent.
    """

    def __init__(self, servers: Servers, parts: Context, items: Iterable[Server | int | str]) -> None:
        self._servers = servers
        self._context = parts
        self._items = checked_items(items)

    def start(self, *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Start each server. An item is done when its server is active."""
        return self._commanding("start", self._servers.start, options, wait=wait)

    def stop(self, *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Stop each server gracefully. An item is done when its server is stopped."""
        return self._commanding("stop", self._servers.stop, options, wait=wait)

    def reboot(self, *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Reboot each server gracefully. An item is done when its server is active again."""
        return self._commanding("reboot", self._servers.reboot, options, wait=wait)

    def delete(self, *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Delete each server for good. An item is done when the API no longer knows its server."""
        servers = self._servers

        async def step(item: ItemInProgress) -> None:
            await servers.delete(item.server_id, timeout=call_timeout(servers, item.left()))
            item.accepted = True
            if wait:
                await servers.wait_until_deleted(item.server_id, timeout=item.left())

        return self._run(step, options)

    def update(
        self,
        *,
        name: str | NotGivenType = NOT_GIVEN,
        hostname: str | NotGivenType | None = NOT_GIVEN,
        backups_enabled: bool | NotGivenType = NOT_GIVEN,
        **options: Unpack[RunOptions],
    ) -> FleetRun:
        """Change the given settings of each server. The outcome's `server` has the new settings.

        Raises:
            TypeError: no setting is given. Nothing was sent.
        """
        servers = self._servers
        # Checks the settings before anything is sent. The id does not matter here.
        checked_update(0, name=name, hostname=hostname, backups_enabled=backups_enabled)

        async def step(item: ItemInProgress) -> None:
            item.server = item.value = await servers.update(
                item.server_id,
                name=name,
                hostname=hostname,
                backups_enabled=backups_enabled,
                timeout=call_timeout(servers, item.left()),
            )

        return self._run(step, options)

    def wait_until(
        self,
        *,
        status: StatusGoal,
        poll: PollPolicy = PollPolicy(),
        fail_on: StatusGoal | NotGivenType | None = NOT_GIVEN,
        **options: Unpack[RunOptions],
    ) -> FleetRun:
        """Wait until each server is in *status*, or one of several; see `client.servers.wait_until`."""
        servers = self._servers
        checked_goal(status, fail_on, poll)

        async def step(item: ItemInProgress) -> None:
            # A wait changes nothing, so nothing can be in doubt.
            item.accepted = True
            item.server = item.value = await servers.wait_until(
                item.server_id, status=status, timeout=item.left(), poll=poll, fail_on=fail_on, detail=False
            )

        return self._run(step, options)

    def apply(self, function: Callable[[Any], Awaitable[object] | object], **options: Unpack[RunOptions]) -> FleetRun:
        """Call *function*, plain or async, with each server, or with each id where an id was given.

        The function's result is the outcome's `value`, and its error the outcome's `error`.
        """
        if not callable(function):
            raise TypeError(f"function must be callable with a server or an id, not {function!r}")
        clock = self._context.clock

        async def step(item: ItemInProgress) -> None:
            seconds = item.left()
            with clock.move_on_after(seconds) as scope:
                result = function(item.item)
                item.value = await result if inspect.isawaitable(result) else result
            if scope.cancelled_caught:
                assert seconds is not None
                raise APITimeoutError(f"it did not end within {round(seconds, 2):g} s", sent=item.in_doubt)

        return self._run(step, options)

    def _commanding(
        self, name: str, command: Callable[..., Awaitable[Any]], options: RunOptions, *, wait: bool
    ) -> FleetRun:
        servers, goal = self._servers, TRANSITIONS[name].status_after

        async def step(item: ItemInProgress) -> None:
            item.value = await command(item.server_id, timeout=call_timeout(servers, item.left()))
            item.accepted = True
            if wait:
                item.server = await servers.wait_until(item.server_id, status=goal, timeout=item.left(), detail=False)

        return self._run(step, options)

    def _run(self, step: Step, options: RunOptions) -> FleetRun:
        return FleetRun(self._context, list(self._items), step, options)


class Fleets:
    """The type of `client.fleet`: call it with servers to act on them, or `create` servers from specs."""

    def __init__(self, servers: Servers, parts: Context) -> None:
        self._servers = servers
        self._context = parts

    def __call__(self, servers: Iterable[Server | int | str]) -> Fleet:
        """Return the fleet of these servers, given as servers, ids or a mix of both. `Fleet` has the methods.

        Raises:
            ValueError: a server is given twice (7 and "7" are the same), or an id has characters that ids do not have.
            TypeError: an item is neither a server nor an id.
        """
        return Fleet(self._servers, self._context, servers)

    def create(self, specs: Iterable[ServerSpec], *, wait: bool = True, **options: Unpack[RunOptions]) -> FleetRun:
        """Create a server from each `ServerSpec`. An item is done when its server is active.

        The other arguments are those of `Fleet`.

        Raises:
            ValueError: two specs have one name, or a spec has a value that the API refuses. Nothing was sent.
            TypeError: an item is not a `ServerSpec`, or has a value of a wrong type.

        Retries: never after a byte was sent. If the response is lost, the client searches for the server; the item is
            `"unknown"` if the search does not find it.
        """
        servers, items = self._servers, checked_specs(specs)

        async def step(item: ItemInProgress) -> None:
            assert isinstance(item.item, ServerSpec)
            given = attrs.asdict(item.item, recurse=False)
            item.server = item.value = await servers.create(**given, timeout=call_timeout(servers, item.left()))
            item.accepted = True
            if wait:
                item.server = await servers.wait_until(
                    item.server, status=TRANSITIONS["create"].status_after, timeout=item.left(), detail=False
                )

        return FleetRun(self._context, list(items), step, options)
