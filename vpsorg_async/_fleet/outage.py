"""Decides whether a run may begin items while the API does not respond. Pure.

An item that ends for lack of a response is a sign of an outage. It proves none: one server may fail while the API
works. So the run probes the API after the sign, and begins nothing new until a probe, or an item, is answered.
"""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

import attrs

from .._errors import (
    APIConnectionError,
    ClientClosedError,
    OutcomeUnknownError,
    ServerError,
    WaitError,
    WaitFailedError,
)
from .._polling.failures import requested_pause
from .._polling.outages import Outage
from .._request.outcome import Outcome, outcome_of_status


if TYPE_CHECKING:
    from .._policies import PollPolicy


def lacks_response(error: BaseException | None) -> bool:
    """Whether *error* says that the API did not respond, or that something in front of it responded instead."""
    if isinstance(error, (WaitError, OutcomeUnknownError)):
        return lacks_response(error.__cause__)
    if isinstance(error, ServerError):
        # What the API does not support now, it will not support after an outage either.
        unsupported = outcome_of_status(error.status_code, retry_after=None) is Outcome.UNSUPPORTED
        return requested_pause(error) is None and not unsupported
    return isinstance(error, APIConnectionError) and not isinstance(error, ClientClosedError)


@attrs.define(eq=False)
class RunOutage:
    """Collects the failures of a run's items and probes, and decides whether the API is down.

    Attributes:
        policy: says for how long, and for how many probes, the run holds its items back. With `failures=None` it holds
            them without end.
        sign: the error that may mean an outage, until the API has responded.
        confirmed: the number of outages that a probe has confirmed.
        given_up: the error that stops the run; `None` while the API may come back.
    """

    policy: PollPolicy
    sign: Exception | None = None
    confirmed: int = 0
    given_up: APIConnectionError | None = None
    # When the last request without a response began or ended: only a later response refutes it.
    _sign_at: float = -math.inf
    _probe_at: float = -math.inf
    # Whether a wait has given up, which says that polls have failed for as long as the policy allows.
    _exhausted: bool = False
    _unanswered: Outage = attrs.field(factory=Outage)

    @property
    def holds(self) -> bool:
        """Whether nothing may begin until another probe has ended."""
        return self.sign is not None and self.given_up is None

    @property
    def is_confirmed(self) -> bool:
        """Whether a probe has confirmed the outage, and nothing has been answered since."""
        return self._unanswered.count > 1

    def failed(self, error: Exception, began: float, now: float) -> None:
        """Note an item that has ended *now* for lack of a response. Its last work began at *began*."""
        if self.sign is None:
            self._unanswered.failed(began)
        self.sign, self._sign_at = error, now
        self._exhausted = self._exhausted or isinstance(error, WaitFailedError)

    def answered(self, began: float) -> None:
        """Note that the API has responded to a request that began at *began*, or to an item that ended then."""
        if self.sign is not None and began >= self._sign_at and self.given_up is None:
            self.sign, self._exhausted, self._probe_at = None, False, -math.inf
            self._unanswered.over()

    def unanswered(self, error: Exception, began: float, now: float) -> None:
        """Note a probe that began at *began* and has ended *now* without a response."""
        if self.sign is None:
            return
        self.confirmed += not self.is_confirmed
        self._unanswered.failed(began)
        self._probe_at = self._unanswered.retry_at(now)
        endless = self.policy.failures is None
        if not endless and (self._exhausted or self._unanswered.exceeds(self.policy.failures, self.policy.outage)):
            self.given_up = APIConnectionError(
                f"the API has not responded for {now - self._unanswered.began:.0f} s, so nothing more was begun; "
                f"the last failure: {error}",
                sent=False,
            )
            self.given_up.__cause__ = error

    def probe_after(self, now: float) -> float:
        """Return the seconds until the next probe."""
        return max(0.0, self._probe_at - now)
