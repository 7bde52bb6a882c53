"""What a failed poll means, as a table."""

from __future__ import annotations

import httpx
import pytest

from vpsorg_async import APIConnectionError, APITimeoutError, ConfigurationError, ResponseError
from vpsorg_async._polling.failures import concerns_the_list_alone, ends_a_wait, requested_pause
from vpsorg_async._request.error_responses import error_from


def answered(status, retry_after=None):
    return error_from(status, httpx.Headers(), b"{}", summary="GET /servers/", attempts=1, retry_after=retry_after)


@pytest.mark.parametrize(
    ("error", "ends", "list_alone", "pause"),
    [
        (answered(400), False, True, None),
        (answered(401), True, False, None),
        (answered(402), False, True, None),
        (answered(403), True, False, None),
        (answered(404), False, True, None),
        (answered(408), False, False, None),
        (answered(405), False, True, None),
        (answered(429), False, False, 0.0),
        (answered(429, 7.0), False, False, 7.0),
        (answered(500, 7.0), False, False, None),
        (answered(503), False, False, None),
        (answered(503, 7.0), False, False, 7.0),
        (ResponseError("HTML"), False, True, None),
        (APIConnectionError("reset"), False, False, None),
        (APITimeoutError("late"), False, False, None),
        (ConfigurationError("no token"), True, False, None),
    ],
    ids=lambda value: f"{value}"[:40] if isinstance(value, Exception) else None,
)
def test_what_follows_from_it(error, ends, list_alone, pause):
    assert (ends_a_wait(error), concerns_the_list_alone(error), requested_pause(error)) == (ends, list_alone, pause)
