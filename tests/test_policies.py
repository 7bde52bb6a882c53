"""The policies refuse what cannot be, and name the argument."""

from __future__ import annotations

import copy
import math
import pickle

import pytest

from hypothesis import example, given
from hypothesis import strategies as st

from vpsorg_async import NOT_GIVEN, InvalidArgumentError, PollPolicy, RetryPolicy
from vpsorg_async._checks import checked_seconds


class TestRetryPolicy:
    def test_its_defaults(self):
        """As documented."""
        assert RetryPolicy() == RetryPolicy(attempts=4, initial=0.5, maximum=20.0, budget=0.2)
        assert RetryPolicy.none().attempts == 1

    @pytest.mark.parametrize(
        ("given", "kind", "words"),
        [
            ({"attempts": 0}, ValueError, "attempts=0: give a finite number of 1 or more"),
            ({"attempts": 1.5}, TypeError, "attempts takes a whole number, not 1.5"),
            ({"attempts": True}, TypeError, "attempts takes a number, not True"),
            ({"attempts": "4"}, TypeError, "attempts takes a number, not '4'"),
            ({"initial": -1}, ValueError, "initial=-1: give a finite number of 0 or more"),
            ({"maximum": math.inf}, ValueError, "maximum=inf: give a finite number of 0 or more"),
            ({"budget": math.nan}, ValueError, "budget=nan: give a finite number of 0 or more"),
        ],
        ids=lambda value: repr(value) if isinstance(value, dict) else "",
    )
    def test_what_cannot_be_is_refused(self, given, kind, words):
        """The error names the argument and what to give."""
        with pytest.raises(kind) as caught:
            RetryPolicy(**given)

        assert str(caught.value) == words


class TestPollPolicy:
    def test_its_defaults(self):
        """As documented."""
        assert PollPolicy() == PollPolicy(minimum=1.0, maximum=5.0, slope=0.1, failures=5, outage=60.0, grace=15.0)

    @pytest.mark.parametrize(
        ("given", "kind", "words"),
        [
            ({"minimum": 6}, ValueError, "minimum=6 is more than maximum=5: give minimum <= maximum"),
            ({"minimum": 0, "maximum": 0}, ValueError, "minimum=0: give a finite number of 0.1 or more"),
            ({"minimum": 0.0999}, ValueError, "minimum=0.0999: give a finite number of 0.1 or more"),
            ({"minimum": 5e-324}, ValueError, "minimum=5e-324: give a finite number of 0.1 or more"),
            ({"minimum": -1}, ValueError, "minimum=-1: give a finite number of 0.1 or more"),
            ({"maximum": 0.5}, ValueError, "minimum=1 is more than maximum=0.5: give minimum <= maximum"),
            ({"outage": -1}, ValueError, "outage=-1: give a finite number of 0 or more"),
            ({"outage": math.inf}, ValueError, "outage=inf: give a finite number of 0 or more"),
            ({"outage": None}, TypeError, "outage takes a number, not None"),
            ({"slope": math.nan}, ValueError, "slope=nan: give a finite number of 0 or more"),
            ({"grace": None}, TypeError, "grace takes a number, not None"),
            ({"failures": 0}, ValueError, "failures=0: give a finite number of 1 or more"),
            ({"failures": 2.5}, TypeError, "failures takes a whole number, not 2.5"),
        ],
        ids=lambda value: repr(value) if isinstance(value, dict) else "",
    )
    def test_what_cannot_be_is_refused(self, given, kind, words):
        """The error names the argument and what to give."""
        with pytest.raises(kind) as caught:
            PollPolicy(**given)

        assert str(caught.value) == words

    @pytest.mark.parametrize("minimum", [0, 0.0, 1e-9, 0.0999, -5, math.nan])
    def test_more_than_ten_polls_a_second_are_refused(self, minimum):
        """W45: in words that say what to give."""
        with pytest.raises(InvalidArgumentError, match=r"minimum=.*: give a finite number of 0.1 or more"):
            PollPolicy(minimum=minimum, maximum=max(minimum, 1))

    @given(
        st.floats(allow_nan=False) | st.integers(),
        st.floats(allow_nan=False) | st.integers(),
        st.floats(allow_nan=False),
        st.floats(0, 1e300),
    )
    @example(0.1, 0.1, 1e308, 1e308)
    @example(1e308, 1.7e308, 0, 0)
    @example(0.1, 5, 5e-324, 1)
    @example(0.1, 5, math.inf, 0)
    def test_whatever_is_accepted_polls_at_most_ten_times_a_second(self, minimum, maximum, slope, waited):
        """W45: huge and tiny values are refused, or harmless."""
        try:
            policy = PollPolicy(minimum=minimum, maximum=maximum, slope=slope)
        except InvalidArgumentError:
            return

        assert 0.1 <= minimum <= policy.interval(waited) <= maximum < math.inf

    @pytest.mark.parametrize(("waited", "interval"), [(0, 1), (9, 1), (10, 1), (30, 3), (50, 5), (900, 5)])
    def test_polls_are_rarer_the_longer_it_waits(self, waited, interval):
        """A tenth of the time waited, between the two bounds."""
        assert PollPolicy().interval(waited) == interval


class TestSeconds:
    @pytest.mark.parametrize("given", [0, 1, 0.5, 1e9])
    def test_numbers_are_seconds(self, given):
        """From 0 on."""
        assert checked_seconds("timeout", given) == given

    def test_none_is_without_end(self):
        """A value of its own."""
        assert checked_seconds("timeout", None) is None


class TestNotGiven:
    def test_it_stays_itself(self):
        """Copies and pickles are the same mark."""
        assert copy.deepcopy(NOT_GIVEN) is NOT_GIVEN
        assert pickle.loads(pickle.dumps(NOT_GIVEN)) is NOT_GIVEN
        assert repr(NOT_GIVEN) == "NOT_GIVEN"
