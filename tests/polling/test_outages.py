"""How long failed polls are put up with, and how far apart they are: by tables, and at random."""

from __future__ import annotations

import math

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async._polling.outages import LONGEST_PAUSE, PAUSES, Outage


def failed_at(*times):
    outage = Outage()
    for at in times:
        outage.failed(at)
    return outage


TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=30).map(sorted)


@pytest.mark.parametrize(
    ("times", "failures", "outage", "exceeded"),
    [
        ([0, 1, 3, 7, 15, 30, 45], 5, 60, False),
        ([0, 1, 3, 7, 15, 30, 45, 60], 5, 60, True),
        ([0, 1, 3, 7, 15, 30, 45, 59.9], 5, 60, False),
        ([0, 30, 60], 5, 60, False),
        ([0, 15, 30, 45, 60], 5, 60, True),
        ([0, 1, 2, 3], 5, 0, False),
        ([0, 0, 0, 0, 0], 5, 0, True),
        ([5], 1, 0, True),
        ([0, *range(1000)], None, 0, False),
        ([], 1, 0, False),
    ],
)
def test_both_the_count_and_the_time_must_be_exceeded(times, failures, outage, exceeded):
    assert failed_at(*times).exceeds(failures, outage) is exceeded


def test_one_good_poll_resets_both():
    outage = failed_at(0, 100)
    outage.over()
    outage.failed(200)

    assert (outage.count, outage.seconds) == (1, 0)
    assert not outage.exceeds(1, 0.1)


@pytest.mark.parametrize(
    ("before", "took", "pause"),
    [(0, 0, 1), (1, 0, 2), (2, 0, 4), (3, 0, 8), (4, 0, 15), (40, 0, 15), (0, 10, 1), (4, 10, 5), (4, 30, 0)],
)
def test_the_pauses_grow_and_count_from_the_end_of_the_poll(before, took, pause):
    outage = failed_at(*[0.0] * before, 100.0)

    assert outage.retry_at(100 + took) == 100 + took + pause


@pytest.mark.parametrize(
    ("times", "words"),
    [([3], "once"), ([3, 3], "2 times in a row"), ([3, 64.4], "2 times in a row within 61 s")],
)
def test_it_is_said_in_words(times, words):
    assert str(failed_at(*times)) == words


@given(TIMES, st.floats(0, 100))
def test_the_next_poll_is_never_in_the_past_and_never_far_off(times, took):
    """Polls that fail at once are at most 15 s apart."""
    outage = failed_at(*times)
    now = times[-1] + took

    assert now <= outage.retry_at(now) <= max(now, times[-1] + LONGEST_PAUSE)


@given(TIMES, st.integers(1, 50), st.floats(0, 1e6))
def test_it_is_exceeded_exactly_by_both(times, failures, seconds):
    """More failures or more time never make it less so."""
    outage = failed_at(*times)

    exceeded = len(times) >= failures and times[-1] - times[0] >= seconds

    assert outage.exceeds(failures, seconds) is exceeded
    assert not outage.exceeds(None, seconds)


def test_polls_that_fail_at_once_end_within_a_poll_of_the_outage():
    """With the defaults: seven pauses, 60 s."""
    outage, now = Outage(), 0.0
    for _ in range(8):
        outage.failed(now)
        last, now = now, outage.retry_at(now)

    assert last == math.fsum((*PAUSES, *[LONGEST_PAUSE] * 3))
    assert outage.exceeds(5, 60)
