"""Finds out what became of the creates and reboots of an earlier run, perhaps of another process.

That run has left when each was sent, by the API's clock. A proof is what it is for a command of this client; but the
clock of this client says nothing of that time, and what was seen before may be gone.
"""

from __future__ import annotations

import math

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ._create_search import Search
from ._errors import OutcomeUnknownError
from ._events import FLEET
from ._polling.lifecycle import TRANSITIONS, Command
from ._polling.proofs import CLOCK_SLACK, LONGEST_EFFECT
from ._settlers import BETWEEN_POLLS, LONGEST_SEARCH


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from ._action_parts import Memory
    from ._adoption import Candidates
    from ._api_clock import APIClock
    from ._clock import Clock
    from ._create_search import Listed
    from ._events import Events
    from ._models import Action, Server, ServerSpec
    from ._names import Create, Names
    from ._pagination import Skips
    from ._polling.command_log import Change, CommandLog
    from ._polling.lifecycle import Observation
    from ._request.call import CallOptions
    from ._request.requester import Decoded
    from ._settlers import Settlers
    from ._shared_listings import Read

_LATEST = timedelta(seconds=LONGEST_EFFECT)
"""What happens to a server so long after a reboot was sent proves nothing of it."""


_LONG_ENOUGH = LONGEST_SEARCH - 2 * BETWEEN_POLLS
"""So many seconds lie between the first and the last poll of a search that took its whole time."""


class EarlierCommands:
    """Looks for what the commands of an earlier run have done."""

    def __init__(
        self,
        settlers: Settlers,
        names: Names,
        *,
        clock: Clock,
        command_log: CommandLog,
        events: Events,
        api_clock: APIClock,
    ) -> None:
        self._settlers = settlers
        self._names = names
        self._clock = clock
        self._command_log = command_log
        self._events = events
        self._api_clock = api_clock

    async def read_listing(self, options: CallOptions, *, skip_invalid: Skips = True) -> Listed:
        """Return one whole listing; see `Settlers.read_listing`."""
        return await self._settlers.read_listing(options, skip_invalid=skip_invalid)

    def begin_listing(self, *, skip_invalid: Skips = True) -> Read[Listed]:
        """Return what reads one whole listing; see `Settlers.begin_listing`."""
        return self._settlers.begin_listing(skip_invalid=skip_invalid)

    async def find_created(
        self,
        spec: ServerSpec,
        sent: datetime | None,
        read: Read[Listed],
        options: CallOptions,
        bind: Callable[[Server], Server],
    ) -> Server:
        """Return the server that a create of *spec* has made, which was sent at *sent* and whose response is not known.

        *read* reads a listing. Listings are read for up to 15 seconds, until one proves the server.

        Raises:
            OutcomeUnknownError: no listing proves it.
            APITimeoutError: other creates of the name took the time. Nothing was read.
        """
        deadline = math.inf if options.timeout is None else self._clock.now() + options.timeout
        async with self._names.turn(spec.name, deadline, f"create of {spec.name!r}") as create:
            search = self._search(spec, sent, read, create)
            found, failure = await self._settlers.poll_until(search.poll, options, deadline)
            if found is not None:
                return bind(self._adopted(found, spec, create))
            reasons = [search.told, "" if failure is None else f"the last listing failed: {failure}"]
            if sent is None:
                reasons.append("when it was sent is not known by the API's clock")
        text = f"what became of the create of {spec.name!r} is not known; {'; '.join(filter(None, reasons))}"
        advice = f"Before you create it again, list the servers and look for the name {spec.name!r}"
        raise _unknown(f"{text}. {advice}", failure, map(bind, search.latest.servers))

    async def find_before(
        self,
        spec: ServerSpec,
        since: datetime | None,
        read: Read[Listed],
        options: CallOptions,
        bind: Callable[[Server], Server],
    ) -> Server | None:
        """Return the server of the name of *spec*, if it may only be that of a create sent at *since* or later.

        `None`: no server has the name, so that the create may be sent.

        Raises:
            OutcomeUnknownError: a server has the name, and it is not proven whose it is.
            VPSError: the listing failed.
        """
        deadline = math.inf if options.timeout is None else self._clock.now() + options.timeout
        async with self._names.turn(spec.name, deadline, f"create of {spec.name!r}") as create:
            search = self._search(spec, since, read, create)
            # Whatever becomes of the search, it makes no server.
            create.in_doubt = False
            listed = await read(options)
            named = [server for server in listed.servers if server.name.casefold() == spec.name.casefold()]
            if not named:
                return None
            found = search.take(listed)
            if found is not None:
                return bind(self._adopted(found, spec, create))
        ids = ", ".join(str(server.id) for server in named)
        told = str(search.latest) or f"server {ids} is another one"
        text = f"the name {spec.name!r} is taken by server {ids}, so no create was sent; nothing proves that this fleet"
        raise _unknown(f"{text} has made it: {told}", None, map(bind, named))

    async def find_rebooted(
        self, server_id: int | str, memory: Memory, sent: datetime | None, options: CallOptions
    ) -> tuple[Action, Change] | None:
        """Return the action of a reboot that was sent at *sent*, and the change that a wait for it begins with.

        *memory* is what was known of the server before. The server is polled for up to 15 seconds. `None`: polls over
        all that time have shown it active with the `updated_at` of before, at an API that moves that with each change
        of the status. So the reboot was not executed.

        Raises:
            OutcomeUnknownError: no poll proves that the API executed it.
        """
        now = self._clock.now()
        deadline = math.inf if options.timeout is None else now + options.timeout
        change = self._command_log.restore(server_id, "reboot", attrs.evolve(memory, lost=True, date=sent), now)

        unmoved: list[Observation] = []

        async def poll(poll_options: CallOptions) -> Decoded[Action] | None:
            observation = await self._settlers.observe(server_id, poll_options)
            if observation is not None and _is_unmoved(memory, observation):
                unmoved.append(observation)
                return None
            unmoved.clear()
            if observation is None or sent is None or not _is_of_its_time(observation, sent):
                return None
            return self._settlers.proven_reboot(change, observation, sent)

        found, failure = await self._settlers.poll_until(poll, options, deadline)
        long_enough = bool(unmoved) and unmoved[-1].began - unmoved[0].began >= _LONG_ENOUGH
        if found is None and long_enough and self._command_log.habits.always_moves:
            change.refused = True
            return None
        if found is None:
            reason = "no GET proves that it was executed" if failure is None else f"the last GET failed: {failure}"
            text = f"what became of the reboot of server {server_id} is not known; {reason}"
            raise _unknown(f"{text}. Look at the server before you reboot it again", failure)
        said = found.value.server.status
        self._command_log.changed(change, self._clock.now(), date=sent, said=said, lost=True, shown=True)
        return found.value, change

    def _search(self, spec: ServerSpec, sent: datetime | None, read: Read[Listed], create: Create) -> Search:
        # Of responses from before the search: its own listings must not vouch for themselves.
        offsets = self._api_clock.offsets
        posted = None if sent is None else sent - CLOCK_SLACK

        def candidates_in(listed: Listed) -> Candidates:
            return listed.candidates(spec, posted, offsets=offsets, has_rival=create.has_running_rival)

        def is_ours(server: Server) -> bool:
            return self._command_log.is_ours(server, since=-math.inf) and str(server.id) not in create.claimed

        return Search(read, candidates_in, is_ours)

    def _adopted(self, server: Server, spec: ServerSpec, create: Create) -> Server:
        create.returned(server.id)
        now = self._clock.now()
        self._command_log.created(server, Command(name="create", began=now, answered=now))
        fields = {"call": None, "fleet": FLEET.get(), "name": spec.name, "location": spec.location, "server": server.id}
        self._events.emit("create.reconciled", **fields)
        return server


def _is_unmoved(memory: Memory, observation: Observation) -> bool:
    """Return whether a server is as it was before its reboot."""
    server = observation.server
    if server is None or memory.baseline is None:
        return False
    return server.status == TRANSITIONS["reboot"].status_before and server.updated_at == memory.baseline


def _is_of_its_time(observation: Observation, sent: datetime) -> bool:
    """Return whether an observation shows what a reboot sent at *sent* may have done, and not something much later."""
    server = observation.server
    if server is None:
        return False
    under_way = server.status == TRANSITIONS["reboot"].transitional_status
    moment = observation.date if under_way else server.updated_at
    return moment is not None and moment <= sent + _LATEST


def _unknown(text: str, cause: Exception | None, candidates: Iterable[Server] = ()) -> OutcomeUnknownError:
    error = OutcomeUnknownError(text, candidates=[*candidates])
    error.__cause__ = cause
    return error
