"""Drives a call from its second attempt on, with tenacity: its callables read the verdict that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .outcome import Attempt, Retry, Return
from .shared_pauses import whose


if TYPE_CHECKING:
    import tenacity

    from .. import _http as httpx
    from .._clock import Clock
    from .call import CallState
    from .outcome import AttemptMaker
    from .retry_budget import RetryBudget


class Repeats:
    """Makes the attempts that a `Retry` asks for."""

    def __init__(self, attempts: AttemptMaker, clock: Clock, budget: RetryBudget) -> None:
        # Loaded with the client: it takes long, and in the middle of a call no descriptor may be left to open it with.
        from tenacity import AsyncRetrying  # noqa: PLC0415

        self._retrying = AsyncRetrying
        self.attempts = attempts
        self.clock = clock
        self.budget = budget

    async def after(self, first: Attempt, request: httpx.Request, state: CallState) -> Attempt:
        """Return the attempt that ends them: one that time or budget forbids to repeat gets the verdict `Return`.

        Cancellation: ends at once; a retry that was acquired from the budget is released.
        """
        driver = _Driver(self, request, state, first)
        retrying = self._retrying(
            sleep=self.clock.sleep, retry=driver.goes_on, wait=driver.pause, before_sleep=driver.tell
        )
        try:
            await retrying(driver.attempt)
        finally:
            # Here by a task that is cancelled, or fails, on the way to the next response.
            driver.release(succeeded=False)
        if isinstance(driver.last.verdict, Retry):
            if driver.last.verdict.free:
                # The call ends here, and its pause holds up others.
                driver.tell_pause(driver.last.verdict)
            driver.last.verdict = Return()
        return driver.last


@attrs.define(eq=False, repr=False)
class _Driver:
    """The callables that tenacity uses for one call."""

    repeats: Repeats
    request: httpx.Request
    state: CallState
    last: Attempt
    # tenacity begins with an attempt: the first one, which has been made.
    begun: bool = False
    # Whether a retry was acquired from the budget and its attempt has not ended.
    acquired: bool = False

    async def attempt(self) -> None:
        if self.begun:
            self.last = await self.repeats.attempts.make(self.request, self.state)
            self.release(succeeded=self.last.works)
        self.begun = True

    def release(self, *, succeeded: bool) -> None:
        if self.acquired:
            self.acquired = False
            self.repeats.budget.release(succeeded=succeeded)

    async def goes_on(self, progress: tenacity.RetryCallState) -> bool:
        # To tenacity a cancel is an outcome, as any exception is: never one to go on after.
        if progress.outcome is None or progress.outcome.failed or not isinstance(verdict := self.last.verdict, Retry):
            return False
        state, now = self.state, self.repeats.clock.now()
        if state.begin_by < state.deadline:
            # What must not be sent too late fails as soon as that is known.
            if now + verdict.after > state.begin_by:
                return False
        elif 0 < state.deadline - now < verdict.least:
            return False
        self.acquired = not verdict.free and await self.repeats.budget.acquire()
        return verdict.free or self.acquired

    def pause(self, _progress: Any) -> float:
        # tenacity asks also where nothing follows. Waiting for the budget counts: the API has been left alone.
        after = self.last.verdict.after if isinstance(self.last.verdict, Retry) else 0.0
        return max(0.0, after - (self.repeats.clock.now() - self.last.ended))

    def tell(self, _progress: Any) -> None:
        verdict = self.last.verdict
        assert isinstance(verdict, Retry)
        self.state.pauses += 1
        if verdict.free:
            self.tell_pause(verdict)

    def tell_pause(self, verdict: Retry) -> None:
        if self.state.record is not None:
            self.state.record.paused(verdict.after, whose(self.last.pauses))
