"""When a waiter looks next, and how long a look may take."""

from __future__ import annotations

import math

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import PollPolicy
from vpsorg_async._schedule import Waiter


def waiter(deadline=math.inf, **policy):
    return Waiter(server_id=7, policy=PollPolicy(**policy), began=100.0, deadline=deadline)


class TestWaiter:
    def test_it_looks_at_once(self):
        """The first look is due when the wait begins."""
        assert waiter().due == 100.0

    @pytest.mark.parametrize(
        ("began", "due"), [(100.0, 101.0), (105.0, 106.0), (120.0, 122.0), (150.0, 155.0), (900.0, 905.0)]
    )
    def test_it_looks_after_a_tenth_of_the_time_waited(self, began, due):
        """At least 1 s and at most 5 s after the look before it began."""
        one = waiter()
        one.looked(began, began + 0.25)

        assert (one.due, one.final) == (due, False)

    def test_after_a_slow_look_the_next_is_due_at_once(self):
        """Never in the past."""
        one = waiter()
        one.looked(100.0, 110.0)

        assert one.due == 110.0

    @pytest.mark.parametrize(
        ("began", "now", "due", "final"),
        [(100.0, 100.1, 100.5, False), (100.5, 100.6, 100.5, True), (100.4, 100.7, 100.5, True)],
    )
    def test_the_last_look_is_at_the_deadline_or_on_the_wire_then(self, began, now, due, final):
        """After it there is none."""
        one = waiter(100.5)
        one.looked(began, now)

        assert (one.due, one.final) == (due, final)

    @pytest.mark.parametrize(
        ("deadline", "now", "attempt_timeout", "seconds"),
        [
            (math.inf, 100.0, 10.0, None),
            (100.0, 100.0, 10.0, 10.0),
            (100.0, 100.0, None, None),
            (105.0, 103.0, 10.0, 3.0),
            (1000.0, 103.0, 10.0, 898.0),
            (105.0, 105.0, None, 1.0),
        ],
    )
    def test_a_look_may_take_until_a_second_after_the_deadline(self, deadline, now, attempt_timeout, seconds):
        """Its turn waited for; `timeout=0` gives it the time of one try."""
        assert waiter(deadline).look_timeout(now, attempt_timeout) == seconds

    def test_it_can_be_put_off_and_not_hastened(self):
        """An API that asks for a pause gets it."""
        one = waiter()
        one.postpone(130.0)
        one.postpone(90.0)

        assert one.due == 130.0

    @given(st.lists(st.floats(0, 20), max_size=60), st.floats(0, 300))
    def test_it_always_ends_with_a_look_at_or_over_the_deadline(self, took, seconds):
        """Due times never go back, never pass the deadline, and the last look is final."""
        one, now = waiter(100.0 + seconds), 100.0
        for duration in took:
            now = max(now, one.due)
            one.looked(now, now + duration)
            now += duration
            assert one.due <= one.deadline
            assert one.final == (now >= one.deadline)
            if one.final:
                break
