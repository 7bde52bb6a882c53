"""Computes how long to wait before the next attempt: full jitter, and what `Retry-After` asks for. Pure."""

from __future__ import annotations

import functools
import re

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from .._policies import RetryPolicy

_SECONDS = re.compile(r"[+-]?\d{1,300}(\.\d{1,300})?", re.ASCII)


def spread(policy: RetryPolicy, *, pauses: int, jitter: float) -> float:
    """Return a pause below a bound that doubles with each of the *pauses* before; *jitter* is from 0 to 1."""
    # 2.0**1024 overflows; after 64 doublings every bound is the maximum.
    return jitter * min(policy.maximum, policy.initial * 2.0 ** min(pauses, 64))


def read_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return a `Retry-After` in seconds, 0 for one that has passed, `None` for none or one that cannot be read.

    *now* is the time on the API's clock.

    Source: RFC 9110, 10.2.3: seconds or a date.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return max(0.0, float(text))
    date = read_date(text)
    return None if date is None else max(0.0, (date - now).total_seconds())


# Kept, as all responses of a second have the same.
@functools.lru_cache(maxsize=16)
def read_date(value: str | None) -> datetime | None:
    """Return an HTTP date as an aware datetime, or `None` for none or one that cannot be read."""
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
