"""Decides what each attempt means for its call, by one table, and makes the attempts that follow from it.

Three rules are behind the table:

- A 429, and a 503 with `Retry-After`, say that the request was not executed, whatever its retry safety.
- Any other 5xx does not say that: a proxy in front of the API may have lost the API's own response. Nor does a status
  that HTTP does not define.
- A success that cannot be read is a success: of a create or reboot, which must not be sent twice, it leaves in doubt
  only what it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from .._errors import OutcomeUnknownError, VPSError
from .call import RetrySafety, UnsettledError
from .outcome import Outcome, Reconcile, Retry, Return
from .pauses import spread
from .repeats import Repeats
from .retry_budget import RetryBudget


if TYPE_CHECKING:
    from .. import _http as httpx
    from .._clock import Clock
    from .._lifetime import Lifetime
    from .._policies import RetryPolicy
    from .call import CallState
    from .outcome import Attempt, AttemptMaker, Verdict

# fmt: off
_GRID: dict[Outcome, tuple[type[Verdict] | None, ...]] = {
    #                       SAFE    IDEMPOTENT  STATE_CHECKED  RECONCILE   NEVER
    Outcome.SUCCEEDED:      (Return, Return,    Return,        Return,     Return),
    Outcome.UNREADABLE:     (Return, Return,    Return,        Reconcile,  Return),
    Outcome.REDIRECTED:     (Return, Return,    Return,        Reconcile,  Return),
    Outcome.REFUSED:        (Return, Return,    Return,        Return,     Return),
    Outcome.REPEAT_REFUSED: (None,   Reconcile, Reconcile,     None,       None),
    Outcome.GAVE_UP:        (Retry,  Retry,     Retry,         Return,     Return),
    Outcome.UNSUPPORTED:    (Return, Return,    Return,        Reconcile,  Return),
    Outcome.LIMITED:        (Retry,  Retry,     Retry,         Retry,      Retry),
    Outcome.FAILED:         (Retry,  Retry,     Retry,         Reconcile,  Return),
    Outcome.NOT_SENT:       (Retry,  Retry,     Retry,         Retry,      Retry),
    Outcome.LOST:           (Retry,  Retry,     Retry,         Reconcile,  Reconcile),
    Outcome.UNVERIFIED:     (Return, Return,    Return,        Return,     Return),
    Outcome.UNSENDABLE:     (Return, Return,    Return,        Return,     Return),
}
# fmt: on
TABLE: dict[tuple[RetrySafety, Outcome], type[Verdict]] = {
    (safety, outcome): verdict
    for outcome, row in _GRID.items()
    for safety, verdict in zip(RetrySafety, row, strict=True)
    if verdict is not None
}
"""Every pair that can occur: no repeat is refused where none is sent, or where it changes nothing."""

_FINAL: dict[type[Verdict], Verdict] = {Return: Return(), Reconcile: Reconcile()}


class RetryLoop:
    """Makes the attempts of a call until a verdict ends it."""

    def __init__(self, attempts: AttemptMaker, clock: Clock, lifetime: Lifetime) -> None:
        self._attempts = attempts
        self._clock = clock
        self._lifetime = lifetime
        self.budget = RetryBudget()
        self._repeats = Repeats(attempts, clock, self.budget)

    async def run(self, request: httpx.Request, state: CallState) -> Attempt:
        """Return the attempt that the call ends with; if it is an error, that is `state.error`.

        Cancellation: ends at once. What an attempt, a pause or the budget holds is given back there.
        """
        attempt, left = None, state.options.timeout
        while True:
            with self._clock.move_on_after(left) as scope, self._lifetime.running(scope):
                attempt = (
                    await self._attempts.make(request, state)
                    if attempt is None
                    else await self._repeats.after(attempt, request, state)
                )
            if scope.cancelled_caught:
                attempt = self._attempts.cut_short(state, closed=self._lifetime.closed)
            verdict = attempt.verdict
            match verdict:
                case Return():
                    if attempt.works and state.attempts == 1 and not state.options.poll:
                        self.budget.succeeded_at_once(state.options.retry.budget)
                    return attempt
                case Retry():
                    left = state.left(self._clock.now())
                case Reconcile():
                    state.lost, state.error = True, _unsettled(attempt, state)
                    return attempt
                case _:
                    assert_never(verdict)


def _unsettled(attempt: Attempt, state: CallState) -> Exception:
    """Return the error that makes `_commands` settle the call, or, if nothing can be found out, the final error."""
    cause = state.error
    assert isinstance(cause, VPSError)
    if state.call.retry_safety is not RetrySafety.NEVER:
        return UnsettledError(began=state.began, cause=cause, response=attempt.response, closed=attempt.closed)
    unknown = OutcomeUnknownError(
        f"{cause}; it may have been executed", candidates=(), request_summary=state.call.summary
    )
    unknown.__cause__ = cause.__cause__
    return unknown


def verdict_of(
    safety: RetrySafety,
    outcome: Outcome,
    *,
    policy: RetryPolicy,
    charged: int,
    pauses: int = 0,
    jitter: float = 0.0,
    retry_after: float | None = None,
) -> Verdict:
    """Return what to do after an attempt.

    *charged* attempts were made that count, this one included unless it is `LIMITED`; *pauses* were made before;
    *jitter* is a number from 0 to 1 that spreads the next one.
    """
    verdict = TABLE[safety, outcome]
    if verdict is not Retry:
        return _FINAL[verdict]
    free = outcome is Outcome.LIMITED
    if not free and charged >= policy.attempts:
        return Return()
    least = retry_after if retry_after is not None else policy.initial if free else 0.0
    return Retry(max(spread(policy, pauses=pauses, jitter=jitter), least), least, free)


def leaves_doubt(safety: RetrySafety, outcome: Outcome) -> bool:
    """Return whether the API may have executed the request, so that a later attempt may find it done."""
    if outcome in (Outcome.LOST, Outcome.FAILED):
        return True
    if outcome is Outcome.REDIRECTED:
        # A 303 says that the request was received.
        return safety is not RetrySafety.SAFE
    return TABLE[safety, outcome] is not Return and outcome not in (Outcome.LIMITED, Outcome.NOT_SENT)
