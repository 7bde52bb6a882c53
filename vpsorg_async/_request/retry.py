"""What an answer, or the lack of one, means for the call: a table, and the rules around it.

Five kinds of failure, and a few kinds of answer, meet five repeat classes. The verdict is one of three:

- `Give`: this is the call's result, an answer or an error.
- `Again`: it is proven that nothing was done, or doing it twice is the same as once.
- `Ambiguous`: it may have been done, and doing it twice is not the same as once.

An answer 429, or 503 with `Retry-After`, says that the request was not carried out, whatever its class. Any other 5xx
says nothing about that: the proxy in front of the API may have lost the API's own answer. Nor does a status of 600 or
more, which is none of HTTP's.
"""

from __future__ import annotations

import enum
import functools
import re

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import attrs

from .call import RetrySafety


if TYPE_CHECKING:
    from .._policies import RetryPolicy


class Kind(enum.Enum):
    """What came of one try."""

    ANSWER = "an answer that is final"
    LIMITED = "429, or 503 with Retry-After"
    BROKEN = "another 5xx, 408, or a status of which nobody knows what it means"
    NOT_SENT = "no byte of the request left"
    LOST = "a byte left, no answer came"
    UNVERIFIED = "the server's certificate does not verify"
    UNREADABLE = "an answer too large, or not decodable"
    IMPOSSIBLE = "a request that cannot be sent"


@attrs.frozen
class Give:
    """The call ends with what this try brought."""


@attrs.frozen
class Again:
    """Try again *after* so many seconds; one that is *free* costs neither tries nor budget.

    *least* is the part of them that must pass: without time for that there is no other try.
    """

    after: float
    least: float = 0.0
    free: bool = False


@attrs.frozen
class Ambiguous:
    """The call may have been carried out, and must not be sent again."""


Verdict = Give | Again | Ambiguous

_GIVE, _AGAIN, _AMBIGUOUS = "give", "again", "ambiguous"

# What to do where the class makes a difference; every pair not named here is the same for all classes.
_REPEATABLE = (RetrySafety.SAFE, RetrySafety.IDEMPOTENT, RetrySafety.STATE_CHECKED)
TABLE: dict[tuple[RetrySafety, Kind], str] = {
    **{(repeat, Kind.ANSWER): _GIVE for repeat in RetrySafety},
    **{(repeat, Kind.LIMITED): _AGAIN for repeat in RetrySafety},
    **{(repeat, Kind.NOT_SENT): _AGAIN for repeat in RetrySafety},
    **{(repeat, Kind.UNVERIFIED): _GIVE for repeat in RetrySafety},
    **{(repeat, Kind.IMPOSSIBLE): _GIVE for repeat in RetrySafety},
    **{(repeat, Kind.BROKEN): _AGAIN for repeat in _REPEATABLE},
    **{(repeat, Kind.LOST): _AGAIN for repeat in _REPEATABLE},
    **{(repeat, Kind.UNREADABLE): _GIVE for repeat in _REPEATABLE},
    (RetrySafety.RECONCILE, Kind.BROKEN): _AMBIGUOUS,
    (RetrySafety.RECONCILE, Kind.LOST): _AMBIGUOUS,
    (RetrySafety.RECONCILE, Kind.UNREADABLE): _AMBIGUOUS,
    # The answer is there to be shown; only its absence makes a POST of the user's own unknown.
    (RetrySafety.NEVER, Kind.BROKEN): _GIVE,
    (RetrySafety.NEVER, Kind.LOST): _AMBIGUOUS,
    (RetrySafety.NEVER, Kind.UNREADABLE): _GIVE,
}

LEAVES_DOUBT = frozenset({Kind.BROKEN, Kind.LOST})
"""After these the request may have been carried out."""

_REQUEST_TIMEOUT, _TOO_MANY, _UNAVAILABLE = 408, 429, 503
# RFC 9110: not implemented and version not supported will not pass; nor will 511 (RFC 6585), log in to the network.
_LASTING = frozenset({501, 505, 511})
_SERVER_ERROR = 500


def kind_of_answer(repeat: RetrySafety, status: int, *, retry_after: float | None) -> Kind:
    """Return what kind of answer a *status* is; *retry_after* is what its `Retry-After` says, if it says anything."""
    if status == _TOO_MANY or (status == _UNAVAILABLE and retry_after is not None):
        return Kind.LIMITED
    if status >= _SERVER_ERROR and (status not in _LASTING or repeat is RetrySafety.RECONCILE):
        return Kind.BROKEN
    if status == _REQUEST_TIMEOUT and not repeat.once_only:
        return Kind.BROKEN
    return Kind.ANSWER


def classify(
    retry_safety: RetrySafety,
    kind: Kind,
    *,
    policy: RetryPolicy,
    charged: int,
    pauses: int,
    jitter: float,
    retry_after: float | None = None,
) -> Verdict:
    """Return what to do after a try.

    *charged* tries were made that count, this one included unless it is `LIMITED`; *pauses* were made before; *jitter*
    is a number from 0 to 1 that spreads the next one.
    """
    match TABLE[retry_safety, kind]:
        case "ambiguous":
            return Ambiguous()
        case "again":
            if kind is not Kind.LIMITED and charged >= policy.attempts:
                return Give()
            return pause(policy, kind, pauses=pauses, jitter=jitter, retry_after=retry_after)
        case _:
            return Give()


def pause(policy: RetryPolicy, kind: Kind, *, pauses: int, jitter: float, retry_after: float | None) -> Again:
    """Return how long to wait: full jitter below a doubling bound, and at least what the API asks for."""
    # 2.0**1024 overflows; after 64 doublings every bound is the maximum.
    spread = jitter * min(policy.maximum, policy.initial * 2.0 ** min(pauses, 64))
    free = kind is Kind.LIMITED
    if retry_after is None:
        retry_after = policy.initial if free else 0.0
    return Again(max(spread, retry_after), least=retry_after, free=free)


_SECONDS = re.compile(r"[+-]?\d{1,300}(\.\d{1,300})?", re.ASCII)


def read_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return a `Retry-After` in seconds, 0 for one that has passed, `None` for none or one that cannot be read.

    Source: RFC 9110, 10.2.3: seconds or a date. *now* is what the API's clock says.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return max(0.0, float(text))
    date = read_date(text)
    return None if date is None else max(0.0, (date - now).total_seconds())


@functools.lru_cache(maxsize=16)
def read_date(value: str | None) -> datetime | None:
    """Return an HTTP date as an aware datetime, or `None` for none or one that cannot be read."""
    # Kept, as all answers of a second bear the same.
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
