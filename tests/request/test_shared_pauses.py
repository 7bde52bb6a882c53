"""Which calls a 429 pauses: a table, hypothesis, and the client."""

from __future__ import annotations

import httpx
import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import Client, RateLimitError
from vpsorg_async._request.shared_pauses import LONGEST_SHARED_PAUSE, Kind, SharedPauses
from vpsorg_async.sandbox._clocks.virtual import VirtualClock


SPEC = {"plan_id": 1, "os_id": 5, "location": "us-west"}
READ, CREATE, CHANGE = Kind.READ, Kind.CREATE, Kind.CHANGE
KINDS = st.sampled_from([*Kind])


def paused(*refusals):
    """Return what the last of *refusals* (kind, time, pause) pauses."""
    pauses, last = SharedPauses(), {}
    for kind, now, pause in refusals:
        last = pauses.refused(kind, now, pause)
    return last


@pytest.mark.parametrize(
    ("refusals", "result"),
    [
        ([(CREATE, 0, 5)], {CREATE: 5}),
        ([(CREATE, 0, 3_600)], {CREATE: 60}),
        ([(CREATE, 0, 5), (CREATE, 3, 7)], {CREATE: 7}),
        ([(CREATE, 0, 3_600), (READ, 3, 1)], {READ: 1, CREATE: 1, CHANGE: 1}),
        ([(CREATE, 0, 2), (READ, 30, 10)], {READ: 10, CREATE: 2, CHANGE: 2}),
        ([(CREATE, 0, 2), (READ, 61, 10)], {READ: 10}),
        ([(CREATE, 0, 60), (READ, 10, 1), (CHANGE, 69, 4)], {CHANGE: 4, READ: 1, CREATE: 1}),
        ([(CREATE, 0, 60), (READ, 10, 1), (READ, 40, 2), (READ, 99, 3)], {READ: 3, CREATE: 3, CHANGE: 3}),
        ([(CREATE, 0, 60), (READ, 10, 1), (READ, 71, 3)], {READ: 3}),
    ],
    ids=[
        "its own kind",
        "for a minute at most",
        "again",
        "a second kind within the pause: the shorter is everybody's",
        "a second kind within a minute",
        "a second kind later than that",
        "a third kind",
        "together until a minute has passed without one",
        "apart again",
    ],
)
def test_whom_a_429_pauses(refusals, result):
    """R19: at first those of its own kind."""
    assert paused(*refusals) == result


@given(st.lists(st.tuples(KINDS, st.floats(0, 1e5), st.floats(0, 1e6)), min_size=1, max_size=30))
def test_its_own_kind_always_pauses_and_nobody_for_longer_than_a_minute(refusals):
    """R19: whatever came before."""
    refusals.sort(key=lambda refusal: refusal[1])

    result = paused(*refusals)

    kind, _, pause = refusals[-1]
    assert result[kind] == min(pause, LONGEST_SHARED_PAUSE)
    assert all(seconds <= result[kind] for seconds in result.values())


class Limited(httpx.AsyncBaseTransport):
    """Answers creates 429 for an hour."""

    def __init__(self):
        self.posts = 0

    async def handle_async_request(self, request):
        if request.method == "POST":
            self.posts += 1
            return httpx.Response(429, headers={"Retry-After": "3600"}, json={"detail": "too many creates"})
        return httpx.Response(200, json={"id": 7, "name": "a", "status": "active"})


@pytest.mark.anyio
async def test_reads_go_on_while_creates_are_limited_and_the_error_says_whose_answer_it_was():
    """R19: nothing is sent within the pause, and the event is told."""
    transport, clock, events = Limited(), VirtualClock(), []
    options = {"token": "vps_12345678", "base_url": "https://api.example", "timeout": 20, "on_event": events.append}
    async with Client._over(transport, clock, **options) as client:
        with pytest.raises(RateLimitError) as first:
            await client.servers.create(name="a", **SPEC)
        for _ in range(5):
            await client.servers.get(7)
        with pytest.raises(RateLimitError) as second:
            await client.servers.create(name="b", **SPEC)

    assert (first.value.retry_after, transport.posts, clock.now()) == (3600, 1, 0)
    assert "held up by the pause that the 429 to POST /servers/ asked for, for 60 s more" in str(second.value)
    assert second.value.sent is False
    told = [event.fields for event in events if event.name == "call.paused"]
    assert [(one["method"], one["template"], one["whose"]) for one in told] == [("POST", "/servers/", "creates")]
