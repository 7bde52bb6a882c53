"""Is `client.fleet`: makes fleets of servers that are there, and creates servers from specs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from .._checks import check_flag
from .._context import Context
from .._error_base import InvalidArgumentError
from .._models import Server, ServerSpec
from .._policies import NOT_GIVEN, NotGivenType, PollPolicy
from .._servers import Servers
from .arguments import STOP_ON, OnOutcome, OnProgress, RunOptions, StopOn, checked_items, checked_specs
from .ensure import Ensuring, known_again
from .fleet import Fleet
from .preview import EnsurePreview
from .report import FleetReport, Item, arguments_of
from .resume import resuming, work_of
from .run import FleetRun
from .steps import creating


class Fleets:
    """The type of `client.fleet`: call it with servers to act on them, or `create` servers from specs."""

    def __init__(self, servers: Servers, parts: Context) -> None:
        self._servers = servers
        self._context = parts

    def __call__(self, servers: Iterable[Server | int | str]) -> Fleet:
        """Return the fleet of these servers, given as servers, ids or a mix of both. `Fleet` has the methods.

        Raises:
            InvalidArgumentError: a server is given twice (7 and "7" are the same), or an id has characters that ids do
                not have.
            TypeError: an item is neither a server nor an id.
        """
        return Fleet(self._servers, self._context, servers)

    def create(
        self,
        specs: Iterable[ServerSpec],
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
        """Create a server from each `ServerSpec`. An item is done when its server is active.

        With `wait=False`, an item is done when the API has accepted the create. The outcome's `value` is the server as
        the create returned it. The other arguments are those of `Fleet`.

        Raises:
            InvalidArgumentError: two specs have one name, or a spec has a value that the API refuses. Nothing was sent.
            TypeError: an item is not a `ServerSpec`, or has a value of a wrong type.

        Retries: never after a byte was sent. If the response is lost, the client searches for the server; the item is
            `"unknown"` if the search does not find it.
        """
        items = checked_specs(specs)
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
        return FleetRun(self._context, self._servers, items, creating(self._servers, wait=wait, poll=poll), options)

    def resume(
        self,
        report: FleetReport,
        *,
        function: Callable[[Any], Awaitable[object] | object] | None = None,
        at_once: int | NotGivenType = NOT_GIVEN,
        tolerate: float | NotGivenType | None = NOT_GIVEN,
        timeout: float | NotGivenType | None = NOT_GIVEN,
        on_outcome: OnOutcome | None = None,
        progress: OnProgress | None = None,
        poll: PollPolicy | NotGivenType = NOT_GIVEN,
        stop_on: StopOn | NotGivenType = NOT_GIVEN,
    ) -> FleetRun:
        """Go on with a run where it was left, also in another process: from its `report`, or `FleetReport.from_dict`.

        What succeeded stays, and so does what was accepted and ended elsewhere. The run waits for the items that are
        pending, finds out what became of those that are unknown, and begins those whose command was never accepted. It
        sends no command again that the API has accepted. What cannot be told stays unknown.

        Before it sends a create, it lists the servers. If the name of a spec is there, the server is adopted if it is
        proven that this fleet has made it; if not, the item is unknown. What was commanded after the report was made is
        not in it.

        The report has the arguments of the run, and each that is given here is used in the place of its own. Functions
        are not kept: *on_outcome* and *progress* have to be given again, and *function* for a run of `apply`. An item
        of such a run that is pending or unknown stays so: only the author of the function knows what it has done.

        Raises:
            TypeError: *report* is no `FleetReport`, *function* is missing, or an argument is of a wrong type.
            InvalidArgumentError: the report is none of a run, or an argument cannot be used. Nothing was sent.
        """
        if not isinstance(report, FleetReport):
            raise TypeError(
                f"resume() takes a FleetReport, not {type(report).__name__}: FleetReport.from_dict reads one"
            )
        kept = arguments_of(report)
        given = {"at_once": at_once, "tolerate": tolerate, "timeout": timeout, "poll": poll, "stop_on": stop_on}
        options = RunOptions(
            on_outcome=on_outcome,
            progress=progress,
            **{  # type: ignore[arg-type]
                name: value if value is not NOT_GIVEN else _DEFAULTS[name] if kept is None else getattr(kept, name)
                for name, value in given.items()
            },
        )
        own: Mapping[str, Any] = {} if kept is None else kept.own
        work = work_of(self._servers, report.action, own, function=function, poll=options.poll)
        items = self._checked_again(report)
        if report.action == "ensure":
            return self._ensured_again(report, options, wait=bool(work.own["wait"]))
        work = resuming(work, self._servers, report, poll=options.poll)
        return FleetRun(self._context, self._servers, items, work, options, earlier=report.outcomes)

    async def preview(self, specs: Iterable[ServerSpec]) -> EnsurePreview:
        """Return what it would take so that a server of each spec is there, by name. Nothing is changed.

        A server is kept if its plan, operating system and location are those of the spec. If they differ, if they
        cannot be told, or if several servers have the name, that is a conflict. A GET shows what a list does not tell.
        A server that this client has created a moment ago counts as there, also if the list does not show it yet.

        Raises:
            InvalidArgumentError: two specs have one name, or a spec has a value that the API refuses.
            TypeError: an item is not a `ServerSpec`, or has a value of a wrong type.
            VPSError: the servers could not be listed.
        """
        return await Ensuring(self._servers, checked_specs(specs, "fleet.preview()")).preview()

    def ensure(
        self,
        specs: Iterable[ServerSpec],
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
        """Create the servers of those specs whose name is not there, and keep the others; see `preview`.

        The run begins with a preview. If that has conflicts, it raises `EnsureConflictError` with the preview, and
        nothing is created. The outcome's `value` is `"created"` or `"kept"`. An item is done when its server is active;
        a server that is kept is waited for only while it is provisioning. With `wait=False`, nothing is waited for. The
        other arguments are those of `Fleet`.

        A second run creates nothing. If a create of this client got lost before, its name is created only after
        listings over a minute have not shown it. Two processes that ensure the same at the same time may both create
        it.

        Raises:
            InvalidArgumentError: two specs have one name, or a spec has a value that the API refuses. Nothing was sent.
            TypeError: an item is not a `ServerSpec`, or has a value of a wrong type.

        Retries: as for `create`.
        """
        items = checked_specs(specs, "fleet.ensure()")
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
        ensuring = Ensuring(self._servers, items)
        work = ensuring.work(wait=wait, poll=poll)
        return FleetRun(self._context, self._servers, items, work, options, prepare=ensuring.prepare)

    def _ensured_again(self, report: FleetReport, options: RunOptions, *, wait: bool) -> FleetRun:
        known_again(self._servers, report.outcomes)
        items = [outcome.item for outcome in report if isinstance(outcome.item, ServerSpec)]
        ensuring = Ensuring(
            self._servers,
            [
                outcome.item
                for outcome in report
                if isinstance(outcome.item, ServerSpec) and outcome.state != "succeeded"
            ],
        )
        work = ensuring.work(wait=wait, poll=options.poll)
        return FleetRun(
            self._context, self._servers, items, work, options, earlier=report.outcomes, prepare=ensuring.prepare
        )

    def _checked_again(self, report: FleetReport) -> list[Item]:
        """Return the items of a report, and take over which servers its creates have returned."""
        given: list[Any] = [outcome.item for outcome in report]
        if report.action not in ("create", "ensure"):
            items = checked_items(given, self._context.command_log.spellings.key)
            return [self._servers.bind(item) if isinstance(item, Server) else item for item in items]
        for outcome in report:
            if outcome.state == "pending" and outcome.server is None:
                raise InvalidArgumentError("these are no data of a report: a create is pending without a server")
            if outcome.accepted and outcome.server is not None:
                self._context.command_log.claim(outcome.server.id)
        try:
            return [*checked_specs(given)]
        except TypeError as error:
            raise InvalidArgumentError(f"these are no data of a report: {error}") from None


_DEFAULTS = {"at_once": 20, "tolerate": None, "timeout": 900.0, "poll": PollPolicy(), "stop_on": STOP_ON}
"""The arguments of a run whose report does not have them."""
