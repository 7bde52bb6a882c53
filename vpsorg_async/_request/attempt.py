"""Makes one attempt of a call: in its turn, within its time, and with the verdict on what came of it."""

from __future__ import annotations

import math
import random

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from .. import _http as httpx
from .._checks import name_hint
from .._errors import APIConnectionError, APITimeoutError, ClientClosedError, RateLimitError, ResponseError
from .._policies import RetryPolicy
from .._transport.types import Phase, origin_of
from .call import RetrySafety
from .call_events import traced
from .error_responses import error_from
from .outcome import Attempt, Outcome, Retry, Return, outcome_of_status
from .pauses import read_date, read_retry_after
from .retry import leaves_doubt, verdict_of
from .round_trip import Failure, Received
from .turns import Share


if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from .._clock import Clock
    from .._errors import VPSError
    from .._events import Events
    from .auth import Authorizer
    from .call import CallState
    from .limiter import Limiter
    from .masked_token import Secret
    from .outcome import Verdict
    from .round_trip import RoundTrips
    from .shared_pauses import Kind
    from .token_source import TokenSource

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ERRORS_FROM, _UNAUTHORIZED, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 400, 401, 404, 429, 500
_API = "/api/v1"
_UNAUTHORIZED_HINT = "; check the client's token: token=, or else VPS_API_TOKEN"
_ACCEPTED = frozenset({202, 204})
_ONCE = RetryPolicy.none()
_CLOSED = "the client is closed"

SHARE_OF_ATTEMPT = 2 / 3
"""The share of the time left for the attempt of a create or reboot. The rest is for finding out what became of it."""


class Attempts:
    """Makes attempts, each in its turn at *limiter*."""

    def __init__(
        self, round_trips: RoundTrips, authorizer: Authorizer, limiter: Limiter, clock: Clock, events: Events
    ) -> None:
        self._round_trips = round_trips
        self._authorizer = authorizer
        self._limiter = limiter
        self._clock = clock
        self._events = events

    async def make(self, request: httpx.Request, state: CallState) -> Attempt:
        """Make an attempt, and judge it. After a 401, a token callable is asked for another token, once.

        Raises:
            ConfigurationError: the token's callable failed.

        Cancellation: the connection is closed by then, and the turn is given back.
        """
        origin = origin_of(request.url)
        source = self._authorizer.source_for(origin)
        if source is None:
            return await self._make(request, self._authorizer.known(origin), state)
        # Before the turn: the callable may need one for a request of its own.
        token = await self._ask(source, state)
        if token is None:
            return self._without_token(state)
        attempt = await self._make(request, token, state)
        if attempt.response is None or attempt.response.status_code != _UNAUTHORIZED:
            return attempt
        other = await self._ask(source, state, after=source.begun)
        if other is None or other == token:
            return attempt
        # A 401 says that the request was not executed, whatever its retry safety. It counts as no attempt.
        state.charged -= 1
        return await self._make(request, other, state)

    async def _ask(self, source: TokenSource, state: CallState, *, after: int = 0) -> Secret | None:
        """Return the token; `None` if the callable takes longer than an attempt may."""
        state.phase = Phase.AUTHORIZING
        with self._clock.move_on_after(state.options.attempt_timeout) as scope:
            token = await source.ask(after=after)
        return None if scope.cancelled_caught else token

    def _without_token(self, state: CallState) -> Attempt:
        _begin(state)
        text = f"the token's callable gave no token within {state.options.attempt_timeout:.3g} s"
        return self._judged(Failure(Outcome.NOT_SENT, text, timed_out=True), state)

    async def _make(self, request: httpx.Request, token: Secret, state: CallState) -> Attempt:
        """Make an attempt in its turn.

        Cancellation: the turn is given back here.
        """
        state.phase = Phase.TURN
        state.waits_since = asked = self._clock.now()
        if not await self._enter(state):
            return self._too_late(state, asked)
        try:
            state.began = self._clock.now()
            state.goes_on(state.began)
            _begin(state)
            limit = _time_for(state)
            with traced(self._events.tracer, request, state):
                with self._clock.move_on_after(limit) as scope:
                    came = await self._round_trips.make(request, token, state)
                    if isinstance(came, Received) and came.response.status_code in _REDIRECTS:
                        came = await self._followed(came, request, token, state)
                if scope.cancelled_caught:
                    outcome = Outcome.LOST if state.sent else Outcome.NOT_SENT
                    came = Failure(outcome, f"no response within {limit:.3g} s{self.where(state)}", timed_out=True)
                return self._judged(came, state)
        finally:
            assert state.ticket is not None
            self._limiter.leave(state.ticket)

    async def _enter(self, state: CallState) -> bool:
        """Wait for the turn; return false, without one, if the attempt cannot begin in time any more.

        Cancellation: the turn goes to the next.
        """
        assert state.ticket is not None
        if not state.begin_by < state.deadline:
            await self._limiter.enter(state.ticket)
            return True
        left = state.begin_by - self._clock.now()
        if left < 0 or self._limiter.opens_at(state.call.kind) > state.begin_by:
            return False
        with self._clock.move_on_after(left):
            return await self._limiter.enter(state.ticket, by=state.begin_by)
        return False

    def _too_late(self, state: CallState, asked: float) -> Attempt:
        """Return the attempt of a create or reboot that was held up for too long: nothing was sent."""
        now = self._clock.now()
        held_up = f"waited {now - asked:.3g} s for its turn"
        limited = self._limiter.opens_at(state.call.kind) > max(now, state.begin_by)
        if limited:
            held_up = self._pause_of(state.call.kind, now)
        timeout = _rounded(state.options.timeout)
        text = f"{held_up}: too little of its time ({timeout} s) is left to finish it; nothing was sent"
        if state.error is None:
            text, summary = f"{state.call.summary}: {text}", state.call.summary
            if limited:
                left = self._limiter.opens_at(state.call.kind) - now
                state.error = RateLimitError(text, sent=False, retry_after=left, request_summary=summary)
            else:
                state.error = APITimeoutError(text, sent=False, request_summary=summary)
        return Attempt(Return(), now, text)

    def _pause_of(self, kind: Kind, now: float) -> str:
        """Return in words which pause holds up calls of *kind*, or nothing."""
        left = self._limiter.opens_at(kind) - now
        if left <= 0:
            return ""
        return f"held up by the pause that the 429 to {self._limiter.paused_by(kind)} asked for, for {left:.3g} s more"

    def cut_short(self, state: CallState, *, closed: bool) -> Attempt:
        """Return the attempt of a call whose time is over, or whose client was closed, wherever it was."""
        text = (
            _CLOSED if closed else f"no response within timeout={_rounded(state.options.timeout)} s{self.where(state)}"
        )
        outcome = Outcome.LOST if state.maybe_done else Outcome.NOT_SENT
        state.error = _no_response(Failure(outcome, text, timed_out=not closed, final=True, closed=closed), state)
        verdict = verdict_of(state.call.retry_safety, outcome, policy=_ONCE, charged=1)
        return Attempt(verdict, self._clock.now(), text, closed=closed)

    def where(self, state: CallState) -> str:
        """Return what the call waited for."""
        if state.url is None:
            return ""
        pause = self._pause_of(state.call.kind, self._clock.now()) if state.phase is Phase.TURN else ""
        return f": {self._round_trips.waiting_for(state)}{pause and f', {pause}'}"

    async def _followed(
        self, came: Received, request: httpx.Request, token: Secret, state: CallState
    ) -> Received | Failure:
        """Return where redirects of a GET within its origin lead to; what is not followed comes back as it is."""
        found: Received | Failure = came
        for _ in range(MAX_REDIRECTS):
            if (target := _target_of(request, found)) is None:
                break
            request = httpx.Request("GET", target, headers=request.headers, extensions=request.extensions)
            found = await self._round_trips.make(request, token, state)
        return found

    def _judged(self, came: Received | Failure, state: CallState) -> Attempt:
        pauses: AbstractSet[Kind] = frozenset()
        if isinstance(came, Failure):
            response, retry_after, outcome = None, None, came.outcome
            trouble = state.trouble = came.text
            if outcome is Outcome.LOST and not came.timed_out:
                self._limiter.lost(began=state.began, kind=state.call.kind)
        else:
            response = came.response
            retry_after = _retry_after_of(response) if response.status_code >= _ERRORS_FROM else None
            outcome, trouble = read(came, state, retry_after), f"answered {response.status_code}"
            pauses = self._tell_limiter(response.status_code, retry_after, state)
        state.came = trouble
        safety = state.call.retry_safety
        # The API has executed it. A cancel before the response reaches the caller, in a hook for example, leaves doubt.
        unread = outcome is Outcome.UNREADABLE and safety is not RetrySafety.SAFE
        state.sent = unread or (outcome is Outcome.SUCCEEDED and safety is not RetrySafety.SAFE)
        state.lost = state.lost or leaves_doubt(safety, outcome)
        state.unanswered = state.unanswered or outcome is Outcome.LOST
        state.charged += outcome is not Outcome.LIMITED
        if isinstance(came, Failure):
            state.error = _no_response(came, state)
        state.phase = Phase.PAUSE
        now = self._clock.now()
        verdict = self._verdict(outcome, retry_after, now, state)
        works = response is not None and response.status_code < _SERVER_ERROR and not isinstance(verdict, Retry)
        state.trouble = "" if works else trouble
        return Attempt(verdict, now, trouble, works, response, pauses=pauses)

    def _verdict(self, outcome: Outcome, retry_after: float | None, now: float, state: CallState) -> Verdict:
        verdict = verdict_of(
            state.call.retry_safety,
            outcome,
            policy=state.options.retry,
            charged=state.charged,
            pauses=state.pauses,
            jitter=random.random(),  # noqa: S311 - spreads calls, hides nothing
            retry_after=retry_after,
        )
        if not isinstance(verdict, Retry):
            return verdict
        if state.options.poll and not (verdict.free and state.options.share is Share.SEARCHES):
            # The next poll is the retry. A search waits out a pause that it has time for: one page of its listing must
            # not cost it all the others.
            return Return()
        if verdict.free and now + verdict.after > state.begin_by:
            # The jitter spreads calls; a call that has time for the API's own pause must not fail by it.
            return attrs.evolve(verdict, after=verdict.least)
        return verdict

    def _tell_limiter(self, status: int, retry_after: float | None, state: CallState) -> AbstractSet[Kind]:
        """Tell the limiter of a response, and return the kinds of calls that pause because of it."""
        # A 429 counts calls, and so concerns others too; a 503 may be about the one thing that its call asks for.
        if status == _TOO_MANY:
            pause = state.options.retry.initial if retry_after is None else retry_after
            return self._limiter.refused(pause, began=state.began, kind=state.call.kind, by=state.call.summary)
        self._limiter.answered(began=state.began, kind=state.call.kind)
        return frozenset()


def _rounded(seconds: float | None) -> str:
    """Return the time of a call as errors tell it, whatever waiting for a name took of it."""
    return f"{round(seconds or 0.0, 3):g}"


def _begin(state: CallState) -> None:
    """Note that an attempt begins."""
    state.attempts += 1
    state.status = state.headers = None
    if state.attempts > 1 and state.record is not None:
        state.record.attempt()


def _time_for(state: CallState) -> float | None:
    """Return the seconds that an attempt which has just begun may take; `None`: it has no bound of its own."""
    limit = state.options.attempt_timeout
    if state.call.retry_safety is RetrySafety.RECONCILE and state.deadline < math.inf:
        third_left = (state.deadline - state.began) * SHARE_OF_ATTEMPT
        return third_left if limit is None else min(limit, third_left)
    return limit


def read(came: Received, state: CallState, retry_after: float | None) -> Outcome:
    """Decode the response into `state.value`, or `state.error`, and return what came of the attempt."""
    call, response = state.call, came.response
    state.value = state.error = None
    state.status, state.headers = response.status_code, response.headers
    outcome = outcome_of_status(response.status_code, retry_after=retry_after)
    if outcome is Outcome.SUCCEEDED:
        try:
            state.value = None if call.decode is None else call.decode(came.body)
        except ResponseError as error:
            if call.accepts_silence and (response.status_code in _ACCEPTED or not came.body.strip()):
                return outcome
            state.error = ResponseError(f"{call.summary}: {error}", request_summary=call.summary)
            return Outcome.UNREADABLE
    elif outcome is Outcome.REDIRECTED:
        target = _shown(response.headers.get("Location", ""))
        state.error = ResponseError(
            f"{call.summary} was answered {response.status_code}, a redirect to {target}: not followed",
            request_summary=call.summary,
        )
    else:
        state.error = error_from(
            response.status_code,
            response.headers,
            came.body,
            summary=call.summary,
            attempts=state.attempts,
            retry_after=retry_after,
            # A last 5xx leaves as much doubt as earlier ones, and is no refusal of what they may have done.
            sent=state.lost if response.status_code < _SERVER_ERROR else state.unanswered,
            action=call.action,
            hint=_hint(response.status_code, retry_after, state),
        )
        if state.lost and response.status_code in call.repeat_refusals:
            return Outcome.REPEAT_REFUSED
    return outcome


def _hint(status: int, retry_after: float | None, state: CallState) -> str:
    """Return what to do about a response: how long to wait, or whether the token, the id or the base URL is right."""
    if retry_after and (status == _TOO_MANY or status >= _SERVER_ERROR):
        return f"; it asks for a pause of {math.ceil(retry_after):.15g} s"
    if status == _UNAUTHORIZED:
        return _UNAUTHORIZED_HINT
    if status != _NOT_FOUND:
        return ""
    if state.url is None or _API in state.url.path:
        return name_hint(state.call.server_id)
    base_url = str(state.url.copy_with(query=None, fragment=None)).removesuffix(state.call.path)
    return f"; is {_API} missing from base_url={base_url}?"


def _no_response(failure: Failure, state: CallState) -> VPSError:
    """Return the error for an attempt without a response that can be read."""
    text = failure.text if state.attempts <= 1 or failure.final else f"{failure.text} ({state.attempts} attempts)"
    text = f"{state.call.summary}: {text}"
    if failure.outcome is Outcome.UNREADABLE:
        return ResponseError(text, request_summary=state.call.summary)
    if failure.timed_out and state.trouble and state.trouble not in text:
        text = f"{text} (the last attempt: {state.trouble})"
    kind = APITimeoutError if failure.timed_out else ClientClosedError if failure.closed else APIConnectionError
    error = kind(text, sent=state.maybe_done, request_summary=state.call.summary)
    error.__cause__ = failure.cause
    return error


def _retry_after_of(response: httpx.Response) -> float | None:
    """Return the seconds that a response asks to wait, by its own `Date` where it has one."""
    if "Retry-After" not in response.headers:
        return None
    now = read_date(response.headers.get("Date")) or datetime.now(UTC)
    asked = (read_retry_after(value, now=now) for value in response.headers.get_list("Retry-After"))
    # Each proxy on the way may have added its own.
    return max((seconds for seconds in asked if seconds is not None), default=None)


def _target_of(request: httpx.Request, came: Received | Failure) -> httpx.URL | None:
    """Return where a GET is sent on to within its origin, or `None`."""
    if isinstance(came, Failure) or came.response.status_code not in _REDIRECTS or request.method != "GET":
        return None
    try:
        target = request.url.join(came.response.headers.get("Location", ""))
    except httpx.InvalidURL:
        return None
    if "Location" not in came.response.headers or origin_of(target) != origin_of(request.url) or target.userinfo:
        return None
    return target


def _shown(target: str) -> str:
    """Return a redirect's target without user, query and fragment, which may hold secrets."""
    try:
        url = httpx.URL(target)
        return str(url.copy_with(userinfo=b"", query=None, fragment=None)) or "nowhere"
    except (httpx.InvalidURL, ValueError):
        return "an unreadable place"
