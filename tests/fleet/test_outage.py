"""When a run holds its items back: after a sign of an outage, until something was answered, or for too long."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers_fleet import answered
from vpsorg_async import (
    APIConnectionError,
    APITimeoutError,
    ClientClosedError,
    ConfigurationError,
    NotFoundError,
    OutcomeUnknownError,
    PollPolicy,
    RateLimitError,
    ResponseError,
    ServerError,
    UnexpectedStatusError,
    WaitFailedError,
    WaitTimeoutError,
)
from vpsorg_async._fleet.outage import RunOutage, lacks_response


CUT = APIConnectionError("cut")


def because(error, cause):
    error.__cause__ = cause
    return error


def unavailable(retry_after):
    error = answered(ServerError, 503)
    error.retry_after = retry_after
    return error


class TestSigns:
    @pytest.mark.parametrize(
        "error",
        [
            CUT,
            APITimeoutError("no response"),
            answered(ServerError, 502),
            unavailable(None),
            because(OutcomeUnknownError("lost"), CUT),
            because(WaitFailedError("given up"), answered(ServerError, 500)),
            because(WaitTimeoutError("late"), APITimeoutError("no response")),
        ],
    )
    def test_no_response_or_that_of_something_in_between(self, error):
        """F15: refused, cut, 502, silence; and waits and searches that ended by these."""
        assert lacks_response(error)

    @pytest.mark.parametrize(
        "error",
        [
            None,
            answered(NotFoundError, 404),
            answered(RateLimitError, 429),
            unavailable(5),
            answered(ServerError, 501),
            because(OutcomeUnknownError("lost"), answered(ServerError, 505)),
            ResponseError("HTML"),
            ClientClosedError("the client is closed"),
            ConfigurationError("the token's callable raised"),
            OutcomeUnknownError("not found"),
            WaitTimeoutError("late"),
            UnexpectedStatusError("stopped"),
            because(WaitTimeoutError("late"), answered(RateLimitError, 429)),
            ValueError("of a function"),
        ],
    )
    def test_a_response_is_none_whatever_it_says(self, error):
        """F15: an API that refuses, or asks for a pause, is there."""
        assert not lacks_response(error)


def failing(outage, *probes, began=0.0):
    """Let an item fail at *began*, and each probe at its time."""
    outage.failed(CUT, began, began)
    for at in probes:
        outage.unanswered(CUT, at, at)


class TestHolding:
    def test_nothing_holds_before_a_sign(self):
        outage = RunOutage(PollPolicy())

        assert not outage.holds
        assert outage.probe_after(0.0) == 0.0

    def test_a_sign_holds_until_a_later_request_is_answered(self):
        """F15: the answer to an older request says nothing of now."""
        outage = RunOutage(PollPolicy())
        outage.failed(CUT, 9.0, 10.0)

        outage.answered(9.5)
        assert outage.holds
        outage.answered(10.0)

        assert not outage.holds
        assert outage.confirmed == 0

    def test_the_first_probe_is_at_once_and_the_next_ones_further_apart(self):
        """F15: no more than 15 s apart, as the polls of a wait are."""
        outage, now, pauses = RunOutage(PollPolicy(failures=None)), 0.0, []
        outage.failed(CUT, now, now)

        for _ in range(7):
            pauses.append(outage.probe_after(now))
            now += pauses[-1]
            outage.unanswered(CUT, now, now)

        assert pauses[0] == 0
        assert pauses == sorted(pauses)
        assert pauses[-1] == 15

    def test_it_gives_up_when_the_policy_does(self):
        """F15: at least so many failures, over at least so many seconds."""
        outage = RunOutage(PollPolicy(outage=60))

        failing(outage, 1, 3, 7, 15, 30, 45, 59)
        assert outage.holds
        outage.unanswered(answered(ServerError, 502), 60, 61)

        assert not outage.holds
        assert str(outage.given_up) == (
            "the API has not responded for 61 s, so nothing more was begun; the last failure: answered 502"
        )
        assert isinstance(outage.given_up.__cause__, ServerError)
        assert outage.given_up.sent is False

    def test_without_an_outage_the_number_alone_decides(self):
        """F15: `outage=0`."""
        outage = RunOutage(PollPolicy(failures=3, outage=0))

        failing(outage, 0)
        assert outage.given_up is None
        outage.unanswered(CUT, 0, 0)

        assert outage.given_up is not None

    def test_a_wait_that_has_given_up_has_waited_for_all(self):
        """F15: its polls failed for as long as the policy allows, so one more failure is enough."""
        outage = RunOutage(PollPolicy())
        outage.failed(because(WaitFailedError("for 60 s"), CUT), 0.0, 60.0)
        assert outage.holds

        outage.unanswered(CUT, 60.0, 60.0)

        assert outage.given_up is not None

    def test_an_answer_begins_all_anew(self):
        """F15: two short outages are not a long one."""
        outage = RunOutage(PollPolicy())
        failing(outage, 1, 3, 7, 15, 30, 45)
        outage.answered(50)
        failing(outage, 61, 63, 67, 75, began=60)

        assert outage.holds
        assert outage.confirmed == 2

    def test_a_failure_of_a_probe_after_the_answer_counts_for_nothing(self):
        outage = RunOutage(PollPolicy())
        failing(outage, 1)
        outage.answered(2)

        outage.unanswered(CUT, 1.5, 3)

        assert (outage.holds, outage.confirmed) == (False, 1)

    def test_once_given_up_it_stays_so(self):
        """F15: the run has been told that it is over."""
        outage = RunOutage(PollPolicy(failures=1, outage=0))
        failing(outage, 0)
        given_up = outage.given_up

        outage.answered(5)

        assert outage.given_up is given_up is not None

    @given(st.lists(st.sampled_from(["item", "probe", "answer"]), max_size=40), st.floats(0.5, 20))
    def test_it_holds_exactly_from_a_sign_to_an_answer_or_the_end(self, events, step):
        """F15: any order of events."""
        outage, now, sign, first = RunOutage(PollPolicy(failures=3, outage=30)), 0.0, False, 0.0
        for event in events:
            now += step
            if event == "item":
                first = first if sign else now
                sign = True
                outage.failed(CUT, now, now)
            elif event == "probe":
                outage.unanswered(CUT, now, now)
            else:
                sign = sign and outage.given_up is not None
                outage.answered(now)
            assert outage.holds == (sign and outage.given_up is None)
            assert 0 <= outage.probe_after(now) <= 15 + 1e-6
            if outage.given_up is not None and event == "probe":
                assert now - first >= 30 - 1e-6
