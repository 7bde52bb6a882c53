"""Works on one item of a run after another, with the client: what to note before a command, the command, the wait.

What an earlier process may have sent is never sent again here before a search has told what became of it. The parts of
a fleet do the work: an item is a run of one, which shares its gate with the other items of its run.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from .._action_parts import remembered
from .._endpoints import list_page
from .._errors import NotFoundError, ServerGoneError, VPSError
from .._fleet.arguments import RunOptions
from .._fleet.gate import Gate
from .._fleet.report import FleetReport, Outcome, carried_of
from .._fleet.report_data import Carried
from .._fleet.resume import resuming, work_of
from .._fleet.run import FleetRun, Part
from .._fleet.states import next_of
from .._models import Action
from ._records import Intent, ItemRecord, dump_outcome, load_outcome


if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .._client import Client
    from .._fleet.steps import Work
    from ._settling import Settling

_SEARCHED: Final = frozenset({"create", "reboot"})
"""These are not sent again: a second one would do something twice."""


class NotSent(Exception):  # noqa: N818 - it is no error
    """An item was cancelled, and its command was never sent, or refused for the moment: it may be sent again."""


class Items:
    """Works on items with one client.

    *boot* tells this process from others. *settling* finds out what became of a command in doubt.
    """

    def __init__(self, client: Client, boot: str, settling: Settling) -> None:
        self._servers = client.servers
        self._context = client._context  # noqa: SLF001 - a part of this library
        self._boot = boot
        self._settling = settling
        # By run: holds its items back while the API does not respond.
        self._gates: dict[str, Gate] = {}

    def check_client(self) -> None:
        """Return if the client is open.

        Raises:
            ClientClosedError: it is closed.
        """
        self._context.lifetime.check()

    async def intend(self, record: ItemRecord) -> Intent:
        """Return what has to be kept before the command is sent, as soon as the API responds."""
        gate = self._part(record).gate
        await gate.passed(record.item, lambda: True)
        carried = Carried()
        if record.action == "reboot":
            await self._look(record)
            carried = Carried(command=self._context.command_log.memory_before(_id(record), self._context.clock.now()))
        sent = self._context.requester.api_clock.before(self._context.clock.now())
        if sent is None:
            sent = await self._api_time()
        return Intent(boot=self._boot, began_at=datetime.now(UTC), carried=attrs.evolve(carried, sent=sent))

    def is_own(self, intent: Intent) -> bool:
        """Return whether this process, and no earlier one, is about to send the command."""
        return intent.boot == self._boot

    async def command(self, record: ItemRecord, intent: Intent) -> dict[str, Any]:
        """Send the command, or find out what became of it if an earlier process may have sent it.

        Returns the record of the outcome so far. It is pending if the item has to be waited for.

        Raises:
            NotSent: it was cancelled before the command was sent, or after the API had refused it for the moment.
        """
        if self.is_own(intent):
            outcome = await self._send(record)
            if outcome.state == "unknown" and record.action in _SEARCHED:
                outcome = await self._find_out(record, intent)
        else:
            outcome = await self._find_out(record, intent)
        return dump_outcome(self._so_far(record, attrs.evolve(outcome, began_at=intent.began_at)))

    async def follow(self, record: ItemRecord, so_far: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for the effect of a command that was accepted, and return the record of the outcome."""
        earlier = load_outcome(0, record.item, so_far)
        outcome = await self._run(record, self._going_on(record, earlier, wait=True), earlier)
        if record.action == "delete" and isinstance(outcome.error, (NotFoundError, ServerGoneError)):
            outcome = _done(outcome)
        return dump_outcome(outcome)

    async def _send(self, record: ItemRecord) -> Outcome:
        run = self._fleet_of(record, self._work(record, wait=False))
        try:
            return await self._outcome_of(record, run)
        except anyio.get_cancelled_exc_class():
            outcome = run.report.outcomes[0]
            if next_of(outcome.state, accepted=outcome.accepted, action=record.action) == "begin":
                raise NotSent from None
            raise

    async def _find_out(self, record: ItemRecord, intent: Intent) -> Outcome:
        earlier = Outcome(index=0, item=record.item, state="unknown", began_at=intent.began_at, carried=intent.carried)
        work = self._work(record, wait=False)
        if record.action in _SEARCHED:
            return await self._run(record, self._settling.work(record, work, intent), earlier, timeout=None)
        return await self._run(record, self._going_on(record, earlier, wait=False), earlier)

    def _so_far(self, record: ItemRecord, outcome: Outcome) -> Outcome:
        """Return the outcome of a command as it is to be kept: pending, if it was accepted and is to be waited for."""
        if record.action == "delete" and isinstance(outcome.error, (NotFoundError, ServerGoneError)):
            return _done(outcome)
        if outcome.state != "succeeded" or not outcome.accepted or not record.arguments.own.get("wait"):
            return outcome
        carried = carried_of(outcome) or Carried()
        if isinstance(outcome.value, Action):
            carried = attrs.evolve(carried, command=remembered(outcome.value))
        return attrs.evolve(outcome, state="pending", ended_at=None, carried=carried)

    def _work(self, record: ItemRecord, *, wait: bool) -> Work:
        own = {**record.arguments.own, "wait": wait}
        return work_of(self._servers, record.action, own, function=None, poll=record.arguments.poll)

    def _going_on(self, record: ItemRecord, earlier: Outcome, *, wait: bool) -> Work:
        sent = None if (carried := carried_of(earlier)) is None else carried.sent
        report = FleetReport(action=record.action, outcomes=(earlier,), made_at=sent)
        return resuming(self._work(record, wait=wait), self._servers, report, poll=record.arguments.poll)

    async def _run(self, record: ItemRecord, work: Work, earlier: Outcome, *, timeout: float | None = -1.0) -> Outcome:
        return await self._outcome_of(record, self._fleet_of(record, work, earlier, timeout=timeout))

    def _fleet_of(
        self, record: ItemRecord, work: Work, earlier: Outcome | None = None, *, timeout: float | None = -1.0
    ) -> FleetRun:
        """Return a run that does *work* for one item."""
        options = RunOptions(
            at_once=1,
            tolerate=None,
            timeout=record.arguments.timeout if timeout == -1.0 else timeout,
            on_outcome=None,
            progress=None,
            poll=record.arguments.poll,
            stop_on=(),
        )
        earlier_ones = () if earlier is None else (earlier,)
        return FleetRun(
            self._context,
            self._servers,
            [record.item],
            work,
            options,
            earlier=earlier_ones,
            part=self._part(record),
        )

    async def _outcome_of(self, record: ItemRecord, run: FleetRun) -> Outcome:
        """Do a run of one item, and return the outcome.

        Raises:
            ClientClosedError: the client is closed.

        Cancellation: nothing is kept of the item but what was kept before.
        """
        report = await run.run()
        # Of what a closed client has done, nobody knows whether it is the outcome.
        self.check_client()
        return attrs.evolve(report.outcomes[0], index=record.index)

    def _part(self, record: ItemRecord) -> Part:
        gate = self._gates.get(record.run)
        if gate is None:
            # What was not begun is held back until the API responds again, however long that takes.
            poll = attrs.evolve(record.arguments.poll, failures=None)
            gate = Gate(self._context, self._servers._options, poll)  # noqa: SLF001 - a part of this library
            self._gates[record.run] = gate
        return Part(gate, record.arguments.at_once)

    async def _look(self, record: ItemRecord) -> None:
        """Let the client see the server whole, as it is before a reboot: what a list tells would prove too little."""
        try:
            await self._servers.get(_id(record))
        except VPSError:
            # The reboot itself will tell why.
            return

    async def _api_time(self) -> datetime | None:
        """Ask the API for the time, by its smallest request."""
        options = self._servers._options  # noqa: SLF001 - a part of this library
        try:
            await self._context.requester.send(list_page({"page_size": "1"}), options)
        except VPSError:
            return None
        return self._context.requester.api_clock.before(self._context.clock.now())


def _id(record: ItemRecord) -> int | str:
    assert isinstance(record.item, (int, str))
    return record.item


def _done(outcome: Outcome) -> Outcome:
    return attrs.evolve(outcome, state="succeeded", error=None, accepted=True)
