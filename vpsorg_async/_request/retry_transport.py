"""The transport that tries again: tries, deadlines, budget and redirects, by the verdicts of `classify`."""

from __future__ import annotations

import math
import random

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
import httpx

from .._errors import APIConnectionError, APITimeoutError, OutcomeUnknownError, ResponseError, VPSError
from .._transport.httpx_adapter import Exchanger, HTTPXAdapter
from .auth import origin_of
from .call import EXTENSION, OBSERVER, RETRY_SAFETY_BY_METHOD, CallOptions, CallState, ResponseLostError, RetrySafety
from .retry import LEAVES_DOUBT, Again, Kind, Verdict, classify, kind_of_answer, read_date, read_retry_after
from .retry_budget import RetryBudget
from .round_trip import Failure, exchange


if TYPE_CHECKING:
    from collections.abc import Callable

    import tenacity

    from .._clock import Clock
    from .._events import Events
    from .._lifetime import Lifetime
    from .auth import Authorizer
    from .limiter import Limiter

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ERRORS_FROM, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 400, 404, 429, 500

SHARE_OF_TRY = 2 / 3
"""Of the time left, what the try of a create or reboot may take: the rest is for looking what became of it."""


def retry_after_of(response: httpx.Response) -> float | None:
    """Return the seconds that an answer asks to wait, by its own `Date` where it has one."""
    value = response.headers.get("Retry-After") if response.status_code >= _ERRORS_FROM else None
    if value is None:
        return None
    return read_retry_after(value, now=read_date(response.headers.get("Date")) or datetime.now(UTC))


@attrs.define(eq=False, repr=False)
class _Try:
    """One try, and what to do after it."""

    outcome: httpx.Response | Failure
    verdict: Verdict
    ended: float

    @property
    def trouble(self) -> str:
        """What was wrong with it, in words."""
        return self.outcome.text if isinstance(self.outcome, Failure) else f"answered {self.outcome.status_code}"

    @property
    def succeeded(self) -> bool:
        """Whether the API works: an answer came, and it is no 5xx or 429."""
        return (
            isinstance(self.outcome, httpx.Response)
            and self.outcome.status_code < _SERVER_ERROR
            and not isinstance(self.verdict, Again)
        )


class RetryTransport(httpx.AsyncBaseTransport):
    """Carries a request to an answer: one try, and where that is safe another, until the call's time is over.

    Sits under `httpx.AsyncClient` and on top of any `httpx.AsyncBaseTransport`. What it needs to know of a call travels
    in the request's extensions; a request without that is treated by its method.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        authorizer: Authorizer,
        limiter: Limiter,
        clock: Clock,
        lifetime: Lifetime,
        events: Events,
        options: CallOptions,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        # Not with the library, as it is a good part of what that takes; nor in the middle of a call, whose process may
        # have no descriptor left to open a module with.
        from tenacity import AsyncRetrying  # noqa: PLC0415

        self._retrying = AsyncRetrying
        self._inner: Exchanger = inner if isinstance(inner, Exchanger) else HTTPXAdapter(inner)
        self._authorizer = authorizer
        self._limiter = limiter
        self._clock = clock
        self._lifetime = lifetime
        self._events = events
        self._options = options
        self._jitter = jitter
        self._budget = RetryBudget()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the final answer to *request*, its body read and decoded; an error status is an answer too.

        Raises:
            APIConnectionError: no answer came, and the request is safe to repeat, or the client is closed.
            APITimeoutError: the call's time passed.
            ResponseLostError: a create or reboot may have been carried out.
            OutcomeUnknownError: another request that must not be repeated may have been carried out.
            ResponseError: the answer is too large, or cannot be decoded.
            ConfigurationError: the client cannot be used here, or its token's callable failed.

        Cancellation: ends at once; the connection in use is closed, the turn given back. The request may have been
        carried out (`CallState.maybe_done`).
        """
        request, state = self._with_state(request)
        if (observe := OBSERVER.get()) is not None:
            observe(state)
        self._lifetime.check()
        timeout = state.options.timeout
        if timeout is not None:
            state.deadline = self._clock.now() + timeout
        state.ticket = self._limiter.ticket(look=state.options.look)
        with self._clock.move_on_after(timeout) as scope, self._lifetime.running(scope):
            return _settled(await self._tries(request, state), state)
        if self._lifetime.closed:
            raise no_answer(state, "the client is closed", closed=True)
        raise no_answer(state, f"no answer within timeout={timeout:g} s", timed_out=True)

    async def aclose(self) -> None:
        """Close the transport underneath."""
        await self._inner.aclose()

    def _with_state(self, request: httpx.Request) -> tuple[httpx.Request, CallState]:
        """Return *request* and what is known of its call; one that is not the SDK's gets a state on a copy."""
        state: CallState | None = request.extensions.get(EXTENSION)
        if state is not None:
            return request, state
        state = CallState(
            retry_safety=RETRY_SAFETY_BY_METHOD.get(request.method, RetrySafety.NEVER),
            options=self._options,
            summary=f"{request.method} {request.url.path}",
            modelled=False,
        )
        extensions = {**request.extensions, EXTENSION: state}
        stream, headers = request.stream, request.headers
        return httpx.Request(request.method, request.url, headers=headers, stream=stream, extensions=extensions), state

    async def _tries(self, request: httpx.Request, state: CallState) -> httpx.Response | Failure:
        first = await self._try(request, state)
        if isinstance(first.verdict, Again) and not state.options.look:
            return await self._retry(first, request, state)
        if first.succeeded and not state.options.look:
            self._budget.succeeded_at_once(state.options.retry.budget)
        return first.outcome

    async def _retry(self, first: _Try, request: httpx.Request, state: CallState) -> httpx.Response | Failure:
        """Go on after a first try whose verdict is `Again`: tenacity drives, by verdicts that are there already."""
        tries = iter((first,))
        drawn = False

        async def attempt() -> _Try:
            nonlocal drawn
            done = next(tries, None) or await self._try(request, state)
            if drawn:
                drawn = False
                self._budget.settle(succeeded=done.succeeded)
            return done

        async def goes_on(progress: tenacity.RetryCallState) -> bool:
            nonlocal drawn
            done = _done(progress)
            if done is None or not isinstance(done.verdict, Again):
                return False
            if 0 < state.deadline - self._clock.now() < done.verdict.least:
                return False
            if done.verdict.free:
                return True
            drawn = await self._budget.draw()
            return drawn

        retrying = self._retrying(
            sleep=self._clock.sleep,
            wait=self._pause,
            retry=goes_on,
            before_sleep=lambda progress: self._tell(progress, state),
        )
        try:
            last: _Try = await retrying(attempt)
        finally:
            # Whoever drew settles: here when it was cancelled, or failed, on its way to the next answer.
            if drawn:
                self._budget.settle(succeeded=False)
        return last.outcome

    def _pause(self, progress: tenacity.RetryCallState) -> float:
        done = _done(progress)
        if done is None or not isinstance(done.verdict, Again):
            return 0.0
        # Waiting for the budget counts: the pause is there to leave the API alone, and it has been.
        return max(0.0, done.verdict.after - (self._clock.now() - done.ended))

    def _tell(self, progress: tenacity.RetryCallState, state: CallState) -> None:
        done = _done(progress)
        if done is None or not isinstance(done.verdict, Again):
            return
        state.pauses += 1
        self._events.emit(
            "call.paused" if done.verdict.free else "call.retry",
            request=state.summary,
            attempt=state.attempts,
            after=done.verdict.after,
            reason=done.trouble,
        )

    async def _try(self, request: httpx.Request, state: CallState) -> _Try:
        """Make one try, in its turn, and judge it.

        Cancellation: the turn is given back when the connection is closed.
        """
        assert state.ticket is not None
        await self._limiter.enter(state.ticket)
        try:
            outcome = await self._try_in_time(request, state)
            return self._judged(outcome, state)
        finally:
            self._limiter.leave()

    async def _try_in_time(self, request: httpx.Request, state: CallState) -> httpx.Response | Failure:
        state.began = self._clock.now()
        state.attempts += 1
        limit = state.options.attempt_timeout
        if state.retry_safety is RetrySafety.RECONCILE and state.deadline < math.inf:
            third_left = (state.deadline - state.began) * SHARE_OF_TRY
            limit = third_left if limit is None else min(limit, third_left)
        with self._clock.move_on_after(limit):
            return await self._follow(request, state)
        kind = Kind.LOST if state.sent else Kind.NOT_SENT
        return Failure(kind, f"no answer within {limit:.3g} s", timed_out=True)

    async def _follow(self, request: httpx.Request, state: CallState) -> httpx.Response | Failure:
        for _ in range(MAX_REDIRECTS):
            outcome = await exchange(self._inner, self._authorizer, request, state)
            target = _redirected(request, outcome)
            if target is None:
                return outcome
            request = httpx.Request("GET", target, headers=request.headers, extensions=request.extensions)
        return await exchange(self._inner, self._authorizer, request, state)

    def _judged(self, outcome: httpx.Response | Failure, state: CallState) -> _Try:
        retry_after = None
        if isinstance(outcome, Failure):
            kind = outcome.kind
        else:
            retry_after = retry_after_of(outcome)
            kind = kind_of_answer(state.retry_safety, outcome.status_code, retry_after=retry_after)
        # Carried out: until the answer has reached who asked, a cancel in a hook on its way is one with doubt.
        state.sent = state.retry_safety.once_only and not isinstance(outcome, Failure) and outcome.is_success
        state.lost = state.lost or kind in LEAVES_DOUBT
        state.charged += kind is not Kind.LIMITED
        verdict = classify(
            state.retry_safety,
            kind,
            policy=state.options.retry,
            charged=state.charged,
            pauses=state.pauses,
            jitter=self._jitter(),
            retry_after=retry_after,
        )
        if not isinstance(outcome, Failure):
            self._tell_gate(outcome.status_code, retry_after, state)
        now = self._clock.now()
        if isinstance(verdict, Again) and verdict.free and now + verdict.after > state.deadline:
            # What is there to spread calls must not be what a call that has time for the API's pause fails by.
            verdict = attrs.evolve(verdict, after=verdict.least)
        done = _Try(outcome, verdict, now)
        state.trouble = "" if done.succeeded else done.trouble
        return done

    def _tell_gate(self, status: int, retry_after: float | None, state: CallState) -> None:
        # A 429 counts calls, and so concerns them all; a 503 may be about the one thing that its call asks for.
        if status == _TOO_MANY:
            pause = state.options.retry.initial if retry_after is None else retry_after
            self._limiter.refused(pause, began=state.began)
        else:
            self._limiter.answered(began=state.began)


def no_answer(
    state: CallState, text: str, *, cause: BaseException | None = None, timed_out: bool = False, closed: bool = False
) -> Exception:
    """Return the error for a call that ends without an answer: by its class, and by whether it may have been done."""
    error: VPSError
    text = f"{state.summary}: {text}"
    if timed_out and state.trouble and state.trouble not in text:
        text = f"{text} (the last try: {state.trouble})"
    if state.maybe_done and state.retry_safety is RetrySafety.NEVER:
        error = OutcomeUnknownError(f"{text}; it may have been carried out", request_summary=state.summary)
    else:
        kind = APITimeoutError if timed_out else APIConnectionError
        error = kind(text, sent=state.maybe_done, request_summary=state.summary)
    error.__cause__ = cause
    if state.maybe_done and state.retry_safety is RetrySafety.RECONCILE:
        return ResponseLostError(began=state.began, cause=error, closed=closed)
    return error


def _settled(outcome: httpx.Response | Failure, state: CallState) -> httpx.Response:
    if isinstance(outcome, Failure):
        text = outcome.text if state.attempts == 1 else f"{outcome.text} ({state.attempts} tries)"
        if outcome.kind is Kind.UNREADABLE:
            raise ResponseError(f"{state.summary}: {text}", request_summary=state.summary)
        raise no_answer(state, text, cause=outcome.cause, timed_out=outcome.timed_out)
    if outcome.status_code == _NOT_FOUND and state.lost and outcome.request.method == "DELETE":
        # The lost try did it. RFC 9110, 9.2.2: the effect of several is that of one.
        return httpx.Response(204, headers=outcome.headers, stream=httpx.ByteStream(b""), request=outcome.request)
    return outcome


def _redirected(request: httpx.Request, outcome: httpx.Response | Failure) -> httpx.URL | None:
    """Return where a GET is sent on to within its origin, or `None`."""
    if isinstance(outcome, Failure) or outcome.status_code not in _REDIRECTS or request.method != "GET":
        return None
    try:
        target = request.url.join(outcome.headers.get("Location", ""))
    except httpx.InvalidURL:
        return None
    if "Location" not in outcome.headers or origin_of(target) != origin_of(request.url) or target.userinfo:
        return None
    return target


def _done(progress: tenacity.RetryCallState) -> _Try | None:
    # A cancel is an outcome to tenacity: never one to try again after.
    outcome = progress.outcome
    return None if outcome is None or outcome.failed else outcome.result()
