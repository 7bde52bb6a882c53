"""Whether the API's `Date` can be relied on: a table, and hypothesis."""

from __future__ import annotations

import datetime as dt

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async._api_clock import APIClock, distrust


NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def offsets_of(*seconds, now=100.0):
    clock = APIClock()
    for offset in seconds:
        clock.heard(NOON + dt.timedelta(seconds=offset), now)
    return clock.offsets


@pytest.mark.parametrize(
    ("offsets", "off", "words"),
    [
        ((), 0, ""),
        ((), 59, ""),
        ((), 61, "the API's clock differs from this machine's by 61 s"),
        ((), 86_399, "the API's clock differs from this machine's by 86399 s"),
        ((), 86_401, ""),
        ((0, 1, 4), 0, ""),
        ((0,), 3_000, ""),
        ((0, 6), 0, "the clock of the listing differs from that of other responses by 6 s"),
        ((-90,), 0, "the clock of the listing differs from that of other responses by 90 s"),
    ],
)
def test_other_responses_vouch_for_it_and_without_any_this_machine(offsets, off, words):
    heard = offsets_of(*offsets)

    assert distrust(NOON, 100.0, offsets=heard, local=NOON + dt.timedelta(seconds=off)) == words


@given(st.floats(0, 1e6), st.floats(-5, 5), st.integers(-(10**6), 10**6))
def test_a_clock_that_keeps_time_is_relied_on_however_far_it_is_off(later, jitter, off):
    api_time = NOON + dt.timedelta(seconds=off)
    clock = APIClock()
    clock.heard(api_time, 0.0)

    shown = api_time + dt.timedelta(seconds=later + jitter * 0.99)

    assert distrust(shown, later, offsets=clock.offsets, local=NOON) == ""


def test_the_latest_twenty_responses_count():
    assert len(offsets_of(*range(100))) == 20


def test_the_api_s_time_is_told_by_the_response_that_was_quickest():
    clock = APIClock()
    assert clock.at(100.0) is None

    clock.heard(NOON, 100.0)
    clock.heard(NOON + dt.timedelta(seconds=3), 101.0)

    assert clock.at(200.0) == NOON + dt.timedelta(seconds=102)


def test_responses_that_disagree_tell_no_time():
    clock = APIClock()
    clock.heard(NOON, 100.0)
    clock.heard(NOON + dt.timedelta(seconds=6), 100.0)

    assert clock.at(100.0) is None


@given(st.floats(0, 1e5), st.lists(st.floats(0, 4), min_size=1, max_size=20))
def test_the_api_s_time_is_never_later_than_it_was(now, late):
    clock = APIClock()
    for delay in late:
        # Its clock is that of the client, and a `Date` is cut to the second.
        clock.heard((NOON + dt.timedelta(seconds=now)).replace(microsecond=0), now + delay)

    told = clock.at(now)

    assert told is None or told <= NOON + dt.timedelta(seconds=now)
