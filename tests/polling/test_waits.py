"""What makes the waits of a client: their deadline, their polls, and the functions that they call."""

from __future__ import annotations

import math

import pytest

from tests.waits import SkippingClock, skipping_client_of
from vpsorg_async import PollPolicy
from vpsorg_async._polling.conditions import Conditions
from vpsorg_async._polling.goals import gone_goal
from vpsorg_async._polling.waits import checked_on_change


@pytest.fixture
def waits(server):
    return skipping_client_of(server, SkippingClock())._context.waits


class TestMake:
    @pytest.mark.parametrize(("timeout", "seconds"), [(0, 0.0), (12.5, 12.5), (None, math.inf)])
    def test_its_deadline_is_so_many_seconds_after_its_begin(self, waits, timeout, seconds):
        wait = waits.make(7, gone_goal(PollPolicy()), timeout)

        assert wait.entry.deadline - wait.entry.began == pytest.approx(seconds)
        assert wait.entry.keys == {"7"}

    def test_its_polls_are_by_its_policy(self, waits):
        policy = PollPolicy(minimum=3, maximum=4)

        wait = waits.make(7, gone_goal(policy), 10, poll=policy)

        assert (wait.policy, wait.entry.interval(1.0), wait.entry.interval(100.0)) == (policy, 3.0, 4.0)

    def test_they_are_closer_together_while_its_conditions_hold(self, waits):
        conditions = Conditions(steady=5.0)

        wait = waits.make(7, gone_goal(PollPolicy()), 10, conditions=conditions)
        before = wait.entry.interval(100.0)
        conditions.hold(1.0, 2.0)

        assert (before, wait.entry.interval(100.0)) == (5.0, 1.0)


class TestOnChange:
    def test_a_function_or_none_will_do(self):
        assert (checked_on_change(None), checked_on_change(print)) == (None, print)

    def test_what_cannot_be_called_is_refused(self):
        with pytest.raises(TypeError, match=r"^on_change must be callable with a Server, not 7$"):
            checked_on_change(7)
