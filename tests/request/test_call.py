"""A call as data, and what its state says of it."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import APIConnectionError
from vpsorg_async._request.call import (
    ONCE_ONLY,
    RETRY_SAFETY_BY_METHOD,
    Call,
    CallOptions,
    CallState,
    RetrySafety,
    UnsettledError,
)
from vpsorg_async._transport.types import Phase


def call(safety=RetrySafety.RECONCILE):
    return Call(method="POST", path="/servers/", retry_safety=safety, json={"name": "web-01"})


def test_its_summary_shows_neither_query_nor_body():
    asked = Call(method="GET", path="/servers/", retry_safety=RetrySafety.SAFE, query={"status": "active"})

    assert (asked.summary, call().summary) == ("GET /servers/", "POST /servers/")


@pytest.mark.parametrize(
    ("lost", "sent", "maybe"), [(False, False, False), (True, False, True), (False, True, True), (True, True, True)]
)
def test_it_may_have_been_carried_out_by_an_earlier_attempt_or_by_this_one(lost, sent, maybe):
    state = CallState(call(), CallOptions())
    state.lost = lost
    if sent:
        state.reached(Phase.SENDING)

    assert state.maybe_done is maybe


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_what_is_left_of_its_time_is_never_less_than_nothing(deadline, now):
    state = CallState(call(), CallOptions(), deadline=deadline)

    assert state.left(now) == max(0.0, deadline - now)
    assert CallState(call(), CallOptions()).left(now) is None


@pytest.mark.parametrize(
    ("timeout", "attempt_timeout", "limit"), [(30, 7, 7), (3, 7, 3), (None, 7, 7), (3, None, 3), (None, None, None)]
)
def test_a_poll_takes_no_longer_than_an_attempt_or_a_call_may(timeout, attempt_timeout, limit):
    options = CallOptions(timeout=timeout, attempt_timeout=attempt_timeout)

    assert options.for_polling(None).attempt_timeout == limit


def test_a_poll_is_a_single_attempt_with_the_clients_own_time():
    options = CallOptions(timeout=30.0, attempt_timeout=7.0)

    poll = options.for_polling(5.0)

    assert (poll.timeout, poll.attempt_timeout, poll.retry.attempts, poll.poll) == (5.0, 7.0, 1, True)
    assert (options.within(1.0).timeout, options.timeout, options.poll) == (1.0, 30.0, False)


def test_of_a_request_by_hand_only_what_changes_nothing_twice_is_sent_again():
    assert {method for method, safety in RETRY_SAFETY_BY_METHOD.items() if safety is RetrySafety.SAFE} == {
        "GET",
        "HEAD",
        "OPTIONS",
    }
    assert not ONCE_ONLY & set(RETRY_SAFETY_BY_METHOD.values())


def test_what_is_unsettled_says_what_the_call_would_end_with():
    unsettled = UnsettledError(began=1.0, cause=APIConnectionError("reset"))

    assert (str(unsettled), unsettled.closed, unsettled.response) == ("reset", False, None)
