"""Uses runs outside of the time for which their fleets are entered."""

from __future__ import annotations

import pytest

from vpsorg_async import Client
from vpsorg_async.durable._working import Working


@pytest.mark.parametrize("part", ["store", "worker"])
def test_what_was_not_entered_says_so(part):
    working = Working(Client("vps_test", base_url="http://127.0.0.1:9/api/v1"))

    with pytest.raises(RuntimeError, match="enter it first"):
        getattr(working, part)()


def test_the_clock_of_an_api_that_was_never_heard_is_not_known():
    assert Working(Client("vps_test", base_url="http://127.0.0.1:9/api/v1")).api_time() is None
