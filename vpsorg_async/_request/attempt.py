"""Makes one attempt of a call: in its turn, within its time, and with the verdict on what came of it."""

from __future__ import annotations

import math
import random

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
import httpx

from .._errors import APIConnectionError, APITimeoutError, ResponseError
from .._policies import RetryPolicy
from .._transport.types import origin_of
from .call import ONCE_ONLY, RetrySafety
from .error_responses import error_from
from .outcome import Attempt, Outcome, Retry, Return, outcome_of_status
from .pauses import read_date, read_retry_after
from .retry import leaves_doubt, verdict_of
from .round_trip import Failure, Received


if TYPE_CHECKING:
    from .._clock import Clock
    from .._errors import VPSError
    from .call import CallState
    from .limiter import Limiter
    from .outcome import Verdict
    from .round_trip import RoundTrips

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ERRORS_FROM, _TOO_MANY, _SERVER_ERROR = 400, 429, 500
_ONCE = RetryPolicy.none()

SHARE_OF_ATTEMPT = 2 / 3
"""The share of the time left for the attempt of a create or reboot. The rest is for finding out what became of it."""


class Attempts:
    """Makes attempts, each in its turn at *limiter*."""

    def __init__(self, round_trips: RoundTrips, limiter: Limiter, clock: Clock) -> None:
        self._round_trips = round_trips
        self._limiter = limiter
        self._clock = clock

    async def make(self, request: httpx.Request, state: CallState) -> Attempt:
        """Make an attempt in its turn, and judge it.

        Cancellation: the connection is closed by then, and the turn is given back here.
        """
        assert state.ticket is not None
        await self._limiter.enter(state.ticket)
        try:
            state.began = self._clock.now()
            state.attempts += 1
            limit = _time_for(state)
            with self._clock.move_on_after(limit) as scope:
                came = await self._round_trips.make(request, state)
                if isinstance(came, Received) and came.response.status_code in _REDIRECTS:
                    came = await self._followed(came, request, state)
            if scope.cancelled_caught:
                outcome = Outcome.LOST if state.sent else Outcome.NOT_SENT
                came = Failure(outcome, f"no response within {limit:.3g} s", timed_out=True)
            return self._judged(came, state)
        finally:
            self._limiter.leave()

    def cut_short(self, state: CallState, *, closed: bool) -> Attempt:
        """Return the attempt of a call whose time is over, or whose client was closed, wherever it was."""
        text = "the client is closed" if closed else f"no response within timeout={state.options.timeout:g} s"
        outcome = Outcome.LOST if state.maybe_done else Outcome.NOT_SENT
        state.error = _no_response(Failure(outcome, text, timed_out=not closed, final=True), state)
        verdict = verdict_of(state.call.retry_safety, outcome, policy=_ONCE, charged=1)
        return Attempt(verdict, self._clock.now(), text, closed=closed)

    async def _followed(self, came: Received, request: httpx.Request, state: CallState) -> Received | Failure:
        """Return where redirects of a GET within its origin lead to; what is not followed comes back as it is."""
        found: Received | Failure = came
        for _ in range(MAX_REDIRECTS):
            if (target := _target_of(request, found)) is None:
                break
            request = httpx.Request("GET", target, headers=request.headers, extensions=request.extensions)
            found = await self._round_trips.make(request, state)
        return found

    def _judged(self, came: Received | Failure, state: CallState) -> Attempt:
        if isinstance(came, Failure):
            response, retry_after, outcome = None, None, came.outcome
            trouble = state.trouble = came.text
        else:
            response = came.response
            retry_after = _retry_after_of(response) if response.status_code >= _ERRORS_FROM else None
            outcome, trouble = read(came, state, retry_after), f"answered {response.status_code}"
            self._tell_limiter(response.status_code, retry_after, state)
        safety = state.call.retry_safety
        # The API has executed it. A cancel before the response reaches the caller, in a hook for example, leaves doubt.
        unread = outcome is Outcome.UNREADABLE and safety is not RetrySafety.SAFE
        state.sent = unread or (outcome is Outcome.SUCCEEDED and safety in ONCE_ONLY)
        state.lost = state.lost or leaves_doubt(safety, outcome)
        state.charged += outcome is not Outcome.LIMITED
        if isinstance(came, Failure):
            state.error = _no_response(came, state)
        now = self._clock.now()
        verdict = self._verdict(outcome, retry_after, now, state)
        works = response is not None and response.status_code < _SERVER_ERROR and not isinstance(verdict, Retry)
        state.trouble = "" if works else trouble
        return Attempt(verdict, now, trouble, works, response)

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
        if state.options.poll:
            # The next poll is the retry.
            return Return()
        if verdict.free and now + verdict.after > state.deadline:
            # The jitter spreads calls; a call that has time for the API's own pause must not fail by it.
            return attrs.evolve(verdict, after=verdict.least)
        return verdict

    def _tell_limiter(self, status: int, retry_after: float | None, state: CallState) -> None:
        # A 429 counts calls, and so concerns them all; a 503 may be about the one thing that its call asks for.
        if status == _TOO_MANY:
            pause = state.options.retry.initial if retry_after is None else retry_after
            self._limiter.refused(pause, began=state.began)
        else:
            self._limiter.answered(began=state.began)


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
    outcome = outcome_of_status(response.status_code, retry_after=retry_after)
    if outcome is Outcome.SUCCEEDED:
        try:
            state.value = None if call.decode is None else call.decode(came.body)
        except ResponseError as error:
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
            action=call.action,
        )
        if state.lost and call.repeat_refused_with is not None and isinstance(state.error, call.repeat_refused_with):
            return Outcome.REPEAT_REFUSED
    return outcome


def _no_response(failure: Failure, state: CallState) -> VPSError:
    """Return the error for an attempt without a response that can be read."""
    text = failure.text if state.attempts <= 1 or failure.final else f"{failure.text} ({state.attempts} attempts)"
    text = f"{state.call.summary}: {text}"
    if failure.outcome is Outcome.UNREADABLE:
        return ResponseError(text, request_summary=state.call.summary)
    if failure.timed_out and state.trouble and state.trouble not in text:
        text = f"{text} (the last attempt: {state.trouble})"
    kind = APITimeoutError if failure.timed_out else APIConnectionError
    error = kind(text, sent=state.maybe_done, request_summary=state.call.summary)
    error.__cause__ = failure.cause
    return error


def _retry_after_of(response: httpx.Response) -> float | None:
    """Return the seconds that a response asks to wait, by its own `Date` where it has one."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    return read_retry_after(value, now=read_date(response.headers.get("Date")) or datetime.now(UTC))


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
