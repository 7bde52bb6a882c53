"""The state of an item: a program that repeats what has failed never commands a server twice."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers_fleet import answered
from vpsorg_async import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    NotFoundError,
    OutcomeUnknownError,
    ResponseError,
    ServerError,
    ServerGoneError,
    StateConflictError,
    UnexpectedStatusError,
    WaitError,
    WaitFailedError,
    WaitTimeoutError,
)
from vpsorg_async._fleet.states import BAD, STATES, leaves_doubt, state_after, state_under_way


def sent(error, value):
    error.sent = value
    return error


NOT_SENT = [
    APIConnectionError("refused", sent=False),
    APITimeoutError("its turn never came", sent=False),
    answered(NotFoundError, 404),
    answered(StateConflictError, 400),
    sent(answered(StateConflictError, 400), False),
    ValueError("of a function"),
]
DOUBTFUL = [
    OutcomeUnknownError("the response was lost"),
    APIConnectionError("cut", sent=True),
    APITimeoutError("no response", sent=True),
    sent(APIConnectionError("rebuilt by a queue"), None),
    sent(answered(StateConflictError, 400), True),
    sent(answered(AuthenticationError, 401), True),
    sent(answered(ServerError, 500), None),
]
NOT_KNOWN = [
    WaitTimeoutError("its time is over"),
    WaitFailedError("an outage"),
    WaitError("cancelled"),
    ClientClosedError("the client is closed"),
    answered(AuthenticationError, 401),
    ResponseError("HTML"),
    RuntimeError("of a hook"),
]


class TestNotAccepted:
    @pytest.mark.parametrize("error", NOT_SENT)
    def test_refused_or_not_carried_out_is_failed(self, error):
        """F8: it may be repeated."""
        assert state_after(error, accepted=False, in_doubt=False) == "failed"

    @pytest.mark.parametrize("error", DOUBTFUL)
    def test_an_error_that_leaves_doubt_is_unknown(self, error):
        """F8: what is not known is not harmless."""
        assert state_after(error, accepted=False, in_doubt=False) == "unknown"

    @pytest.mark.parametrize("error", [*NOT_SENT, *NOT_KNOWN])
    def test_so_is_a_call_without_a_response_whatever_the_error_says(self, error):
        """F8: a function may raise another error than that of its call."""
        assert state_after(error, accepted=False, in_doubt=True) == "unknown"


class TestAccepted:
    @pytest.mark.parametrize("error", [UnexpectedStatusError("stopped"), ServerGoneError("404")])
    def test_known_to_have_ended_elsewhere_is_failed(self, error):
        """F8: the end is known."""
        assert state_after(error, accepted=True, in_doubt=False) == "failed"

    @pytest.mark.parametrize("error", [*NOT_KNOWN, *DOUBTFUL])
    def test_any_other_end_is_not_known_and_pending(self, error):
        """F8: it must not be commanded again."""
        assert state_after(error, accepted=True, in_doubt=False) == "pending"

    @given(st.sampled_from([*NOT_SENT, *DOUBTFUL, *NOT_KNOWN]), st.booleans(), st.booleans())
    def test_what_may_have_been_accepted_is_never_failed(self, error, accepted, in_doubt):
        """F8: the rule of all rules."""
        state = state_after(error, accepted=accepted, in_doubt=in_doubt)

        assert state in BAD
        if accepted or in_doubt or leaves_doubt(error):
            assert state != "failed"


def test_under_way_it_is_pending_once_accepted():
    """F8: a report may be asked for at any time."""
    assert [state_under_way(accepted=accepted) for accepted in (False, True)] == ["unknown", "pending"]


def test_the_bad_ones_are_those_that_were_begun_and_did_not_succeed():
    assert {*STATES} - BAD == {"succeeded", "skipped"}
