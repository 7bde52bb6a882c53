"""The client that the integrations for telemetry are given."""

from __future__ import annotations

import pytest

from vpsorg_async import Client
from vpsorg_async.integrations import opentelemetry, prometheus


@pytest.mark.parametrize(
    "function",
    [opentelemetry.instrument, opentelemetry.uninstrument, prometheus.instrument, prometheus.uninstrument],
    ids=lambda function: f"{function.__module__.rpartition('.')[2]}.{function.__name__}",
)
@pytest.mark.parametrize("given", [None, Client, "vps_test"], ids=repr)
def test_what_is_no_client_is_refused_by_name(function, given):
    with pytest.raises(TypeError) as caught:
        function(given)

    assert str(caught.value) == f"client must be a Client, not {given!r}"
