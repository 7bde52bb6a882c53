"""Finds out what became of a create or a command whose responses do not tell.

One rule settles every doubt: the response to a later attempt says nothing about the first one; a look at the server
does. Each retry safety has its settler.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from . import _endpoints
from ._adoption import posted_at
from ._create_search import Listed, Search
from ._decoding import key, member
from ._errors import APIStatusError, ClientClosedError, NotFoundError, OutcomeUnknownError, VPSError
from ._models import Action, Server, ServerRef
from ._pagination import Listing, Pager, Skips
from ._polling.lifecycle import TRANSITIONS, Observation
from ._polling.proofs import is_effect, updated_by
from ._request.call import CallOptions, left_until
from ._request.requester import Decoded
from ._shared_listings import SharedListings


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ._adoption import Candidates
    from ._clock import Clock
    from ._decoding import JSON
    from ._lifetime import Lifetime
    from ._models import ServerSpec
    from ._names import Create, Names
    from ._polling.command_log import Change, CommandLog
    from ._request.call import CallState, UnsettledError
    from ._request.requester import Requester
    from ._shared_listings import Read

T = TypeVar("T")

LONGEST_SEARCH = 15.0
"""The most seconds to find out what became of a lost create or reboot, also without a `timeout`."""

BETWEEN_POLLS = 1.0

_GONE, _DELETED = 410, "deleted"


class Settlers:
    """Polls a server, or lists all servers, and says what became of a call."""

    def __init__(
        self,
        requester: Requester,
        pager: Pager,
        names: Names,
        *,
        clock: Clock,
        command_log: CommandLog,
        lifetime: Lifetime,
    ) -> None:
        self._requester = requester
        self._pager = pager
        self._names = names
        self._clock = clock
        self._command_log = command_log
        self._lifetime = lifetime
        self._listings = SharedListings(self.begin_listing, clock)

    async def find_created(
        self,
        spec: ServerSpec,
        unsettled: UnsettledError,
        state: CallState,
        create: Create,
        bind: Callable[[Server], Server],
    ) -> Server:
        """Return the server that a lost create made.

        Raises:
            OutcomeUnknownError: no server or several are proven, or an abandoned create may have made it.
        """
        # Of responses from before the search: its own listings must not vouch for themselves.
        offsets = self._requester.api_clock.offsets

        def candidates_in(listed: Listed) -> Candidates:
            posted = posted_at(listed.date, listed.ended - unsettled.began)
            return listed.candidates(spec, posted, offsets=offsets, has_rival=create.has_rival)

        read, since = self._listings.read, self._clock.now()
        search = Search(read, candidates_in, lambda server: self.may_be_ours(server, unsettled, create), since)
        found, failure = await self.poll_until(search.poll, state.options, state.deadline, closed=unsettled.closed)
        in_doubt = self._names.in_doubt(spec.name)
        if found is not None and not in_doubt:
            return found
        self._names.doubt(spec.name)
        reasons = [search.told]
        if found is not None and in_doubt:
            reasons.append("an earlier create of this name was abandoned, and may have made it")
        elif unsettled.closed:
            reasons = ["the client was closed"]
        elif failure is not None:
            reasons.append(f"the last listing failed: {failure}")
        text = f"{_what_came(unsettled, f'create of {spec.name!r}')}; {'; '.join(filter(None, reasons))}"
        advice = f"Before you create it again, list the servers and look for the name {spec.name!r}"
        raise _unknown(text, advice, unsettled, failure, candidates=[*map(bind, search.latest.servers)])

    async def read_listing(self, options: CallOptions, *, skip_invalid: Skips = True) -> Listed:
        """Return one whole listing, read within `options.timeout`; see `begin_listing`.

        Raises:
            VPSError: it could not be read.
        """
        return await self.begin_listing(skip_invalid=skip_invalid)(options)

    def begin_listing(self, *, skip_invalid: Skips = True) -> Read[Listed]:
        """Return what reads one whole listing. Malformed items are left out as *skip_invalid* says."""
        zoneless: set[str] = set()

        def look_at(items: Sequence[Any]) -> None:
            for item in filter(names_no_zone, items):
                found = key(item.get("id"))
                zoneless.add(str(item.get("uuid") if found is None else found))

        listing = Listing(self._pager, {}, CallOptions(), skip_invalid=skip_invalid, choose=look_at)

        async def read(options: CallOptions) -> Listed:
            listing.options = options
            servers = await listing.read_all(within=options.timeout)
            page = listing.first_page
            assert page is not None
            return Listed(
                servers=servers,
                began=page.began,
                ended=page.ended,
                date=page.date,
                cached=page.cached,
                zoneless=frozenset(zoneless),
            )

        return read

    def may_be_ours(self, server: Server, unsettled: UnsettledError, create: Create) -> bool:
        """Return whether no other create of this process has returned *server*, nor was it there before."""
        return self._command_log.is_ours(server, since=unsettled.began) and str(server.id) not in create.claimed

    async def find_rebooted(
        self, unsettled: UnsettledError, change: Change, options: CallOptions, deadline: float
    ) -> Decoded[Action]:
        """Return the action of a lost reboot that a GET of the server proves.

        Raises:
            OutcomeUnknownError: no GET proves it.
        """

        async def poll(poll_options: CallOptions) -> Decoded[Action] | None:
            observation = await self.observe(change.server_id, poll_options)
            if observation is None:
                return None
            elapsed = timedelta(seconds=observation.ended - unsettled.began)
            date = None if observation.date is None else observation.date - elapsed
            return self.proven_reboot(change, observation, date)

        found, failure = await self.poll_until(poll, options, deadline, closed=unsettled.closed)
        if found is not None:
            return found
        reason = "the client was closed" if unsettled.closed else "no GET proves that it was executed"
        text = f"{_what_came(unsettled, f'reboot of server {change.server_id}')}; {reason}"
        raise _unknown(text, "Look at the server before you reboot it again", unsettled, failure)

    async def observe(self, server_id: int | str, options: CallOptions) -> Observation | None:
        """Return what a GET of the server shows; `None` if that is, or may be, out of date."""
        seen = await self._requester.send(_endpoints.get(server_id), options)
        observation = Observation(began=seen.began, ended=self._clock.now(), server=seen.value, date=seen.date)
        admitted = self._command_log.admit(server_id, observation)
        return None if admitted is None or admitted.suspicion is not None else observation

    def proven_reboot(self, change: Change, observation: Observation, sent: datetime | None) -> Decoded[Action] | None:
        """Return the action of a lost reboot, sent at *sent* by the API's clock, if an observation proves it."""
        assert change.own is not None
        assert observation.server is not None
        command = attrs.evolve(change.own, date=sent)
        rebooting = observation.status == command.transitional_status and is_effect(command, observation)
        if not rebooting and not updated_by(command, observation, self._command_log.habits):
            return None
        message = "the response was lost; a GET of the server shows that the reboot was executed"
        return Decoded(_action(observation.server, message), sent, observation.began)

    async def find_switched(
        self, unsettled: UnsettledError, change: Change, options: CallOptions, deadline: float
    ) -> Decoded[Action]:
        """Return the action of a start or stop whose later attempt was refused. The first attempt may be the reason.

        Raises:
            APIStatusError: the refusal; a GET shows that it is not.
            VPSError: the GET failed.
        """
        assert change.own is not None
        seen = await self.look(change.server_id, options, deadline)
        transition, refusal = TRANSITIONS[change.own.name], unsettled.cause
        if seen.value.status not in (transition.transitional_status, transition.status_after):
            raise _sent(refusal)
        assert isinstance(refusal, APIStatusError)
        return Decoded(_action(seen.value, refusal.message), seen.date, seen.began)

    async def find_deleted(
        self, unsettled: UnsettledError, server_id: int | str, options: CallOptions, deadline: float
    ) -> None:
        """Return if a server is gone whose later DELETE was refused. The first one may be the reason.

        Raises:
            APIStatusError: the refusal; a GET shows that the server is there.
            VPSError: the GET failed.
        """
        if says_gone(unsettled.cause):
            return
        try:
            seen = await self.look(server_id, options, deadline)
        except APIStatusError as error:
            if says_gone(error):
                return
            raise
        if seen.value.status != _DELETED:
            raise _sent(unsettled.cause)

    async def shown_after(self, server_id: int | str, name: str, options: CallOptions, deadline: float) -> ServerRef:
        """Return the server after a command that was accepted without a word, or what the command leads to."""
        try:
            seen = await self.look(server_id, options.for_searching(options.attempt_timeout), deadline)
        except VPSError:
            status = TRANSITIONS[name].transitional_status
            return ServerRef(id=server_id, name="", status=status)
        return _ref(seen.value)

    async def look(self, server_id: int | str, options: CallOptions, deadline: float) -> Decoded[Server]:
        """Return what a GET shows.

        Raises:
            VPSError: the GET failed. Its `sent` is true: the command before it may have been executed.
        """
        left = left_until(self._clock, deadline)
        try:
            return await self._requester.send(_endpoints.get(server_id), options.as_part(left))
        except VPSError as error:
            raise _sent(error) from error.__cause__

    async def poll_until(
        self,
        poll: Callable[[CallOptions], Awaitable[T | None]],
        options: CallOptions,
        deadline: float,
        *,
        closed: bool = False,
    ) -> tuple[T | None, Exception | None]:
        """Return the result of *poll*, or `None` and how the last poll failed, if it did.

        It polls at once and then every second, until there is a result, the time is over, or the client is closed.

        Cancellation: ends at once.
        """
        if closed:
            return None, None
        until = min(deadline, self._clock.now() + LONGEST_SEARCH)
        with self._clock.move_on_after(None) as scope, self._lifetime.running(scope):
            while not self._lifetime.closed:
                found, failure = None, None
                try:
                    found = await poll(options.for_searching(max(0.0, until - self._clock.now())))
                except Exception as error:  # noqa: BLE001 - a hook of `client.http` may raise anything
                    failure = error
                if found is not None or self._clock.now() + BETWEEN_POLLS >= until:
                    return found, failure
                await self._clock.sleep(BETWEEN_POLLS)
        return None, ClientClosedError("the client is closed", sent=False)


def names_no_zone(item: JSON) -> bool:
    """Return whether an item of a list, as it came, has a `created_at` without a time zone."""
    value = member(item, "created_at")
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is None
    except ValueError:
        return False


def says_gone(error: Exception) -> bool:
    """Return whether *error* is a response 404 or 410."""
    return isinstance(error, NotFoundError) or (isinstance(error, APIStatusError) and error.status_code == _GONE)


def _sent(error: Exception) -> Exception:
    """Return *error* with the mark that the API may have executed an earlier attempt."""
    error.sent = True  # type: ignore[attr-defined]
    return error


def _what_came(unsettled: UnsettledError, call: str) -> str:
    if unsettled.response is None:
        return f"the response to the {call} was lost"
    return f"the {call} was answered {unsettled.response.status_code}"


def _action(server: Server, message: str) -> Action:
    """Return the action that a GET of *server* has proven."""
    return Action(status="success", message=message, server=_ref(server))


def _ref(server: Server) -> ServerRef:
    return ServerRef(id=server.id, name=server.name, status=server.status)


def _unknown(
    text: str,
    advice: str,
    unsettled: UnsettledError,
    failure: Exception | None,
    *,
    candidates: Sequence[Server] = (),
) -> OutcomeUnknownError:
    """Return the error of an unknown outcome. Its causes are the lost response and the failed poll."""
    summary = getattr(unsettled.cause, "request_summary", None)
    error = OutcomeUnknownError(f"{text} ({unsettled.cause}). {advice}", candidates=candidates, request_summary=summary)
    error.__cause__ = unsettled.cause
    if failure is not None:
        # In the order in which they happened.
        error.__cause__ = deepest = failure
        while deepest.__cause__ is not None:
            deepest = deepest.__cause__  # type: ignore[assignment]
        deepest.__cause__ = unsettled.cause
    return error
