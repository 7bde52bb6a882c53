"""What a failed poll means, as a table."""

from __future__ import annotations

import httpx
import pytest

from vpsorg_async import APIConnectionError, APITimeoutError, ConfigurationError, ResponseError
from vpsorg_async._polling.failures import ends_a_wait, ends_all_waits, own_copy, refuses, requested_pause
from vpsorg_async._request.error_responses import error_from


def answered(status, retry_after=None):
    return error_from(status, httpx.Headers(), b"{}", summary="GET /servers/", attempts=1, retry_after=retry_after)


@pytest.mark.parametrize(
    ("error", "ends", "ends_all", "refuses_it", "pause"),
    [
        (answered(400), False, False, True, None),
        (answered(401), True, True, False, None),
        (answered(403), True, False, True, None),
        (answered(404), False, False, True, None),
        (answered(405), False, False, True, None),
        (answered(408), False, False, False, None),
        (answered(429), False, False, False, 0.0),
        (answered(429, 7.0), False, False, False, 7.0),
        (answered(500, 7.0), False, False, False, None),
        (answered(503), False, False, False, None),
        (answered(503, 7.0), False, False, False, 7.0),
        (ResponseError("HTML"), False, False, False, None),
        (APIConnectionError("reset"), False, False, False, None),
        (APITimeoutError("late"), False, False, False, None),
        (ConfigurationError("no token"), False, False, False, None),
        (LookupError("of a hook"), False, False, False, None),
    ],
    ids=lambda value: f"{value}"[:40] if isinstance(value, Exception) else None,
)
def test_what_follows_from_it(error, ends, ends_all, refuses_it, pause):
    assert (ends_a_wait(error), ends_all_waits(error), refuses(error)) == (ends, ends_all, refuses_it)
    assert requested_pause(error) == pause


def test_several_that_raise_one_error_have_one_each():
    error, foreign = answered(500), LookupError("cannot be copied by us")

    assert own_copy(error) is not error
    assert (type(own_copy(error)), str(own_copy(error))) == (type(error), str(error))
    assert own_copy(foreign) is foreign
