"""What is learned of how long commands take."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import PollPolicy
from vpsorg_async._polling.durations import REMEMBERED, Durations, Following


SECONDS = st.floats(0, 1000)


def learned(*seconds, name="reboot"):
    durations = Durations()
    for one in seconds:
        durations.note(name, one)
    return durations


class TestChance:
    @pytest.mark.parametrize(
        ("age", "chance"), [(0.0, 0.0), (15.0, 0.0), (16.0, 0.1), (20.0, 0.5), (25.0, 1.0), (26.0, 1.0), (65.0, None)]
    )
    def test_it_is_the_share_of_those_that_took_longer(self, age, chance):
        """W37: one that is overdue is likely to end, but not for ever."""
        durations = learned(*(21.0 + number for number in range(10)))

        assert durations.chance("reboot", age, 5.0, now=100.0) == chance

    def test_too_few_tell_nothing(self):
        assert learned(20.0, 21.0, 22.0).chance("reboot", 18.0, 5.0, now=100.0) is None

    def test_another_command_tells_nothing(self):
        assert learned(*[20.0] * 10).chance("start", 18.0, 5.0, now=100.0) is None

    def test_those_that_are_under_way_have_taken_longer(self):
        """W37: otherwise a slow API would look quick, as its quickest commands end first."""
        durations = learned(*[20.0] * 5)
        for _ in range(15):
            durations.begin("reboot", 0.0)

        assert durations.chance("reboot", 18.0, 5.0, now=50.0) == 0.25
        for _ in range(15):
            durations.stop("reboot", 0.0)
        assert durations.chance("reboot", 18.0, 5.0, now=50.0) == 1.0

    def test_the_newest_count(self):
        """An API that has become slower is believed."""
        durations = learned(*[20.0] * 100, *[60.0] * REMEMBERED)

        assert durations.chance("reboot", 18.0, 5.0, now=0.0) == 0.0

    @given(st.lists(SECONDS, max_size=60), SECONDS, SECONDS)
    def test_it_is_a_probability(self, seconds, age, within):
        chance = learned(*seconds).chance("reboot", age, within, now=0.0)

        assert chance is None or 0 <= chance <= 1


class TestQuick:
    @pytest.mark.parametrize(
        ("seconds", "quick"), [([], None), ([0.1], True), ([5.0], False), ([0.1, 5.0, 0.2], True), ([0.1, 5.0], False)]
    )
    def test_most_of_them_decide(self, seconds, quick):
        assert learned(*seconds).is_quick("reboot") is quick


class TestInterval:
    def interval(self, durations, age, **policy):
        policy = PollPolicy(**policy)
        return Following(durations, "reboot", 0.0).interval(policy, policy.interval(age), age)

    @pytest.mark.parametrize(("age", "seconds"), [(2.0, 5.0), (20.0, 2.5), (90.0, 2.5), (300.0, 5.0)])
    def test_it_is_shorter_while_the_end_is_likely(self, age, seconds):
        """W37: the requests go where they save time."""
        durations = learned(*(20.0 + number for number in range(40)))

        assert self.interval(durations, age) == seconds

    @pytest.mark.parametrize("age", [2.0, 20.0, 70.0])
    @pytest.mark.parametrize("policy", [{"slope": 0.2}, {"minimum": 0.2}])
    def test_a_user_s_own_minimum_and_slope_are_obeyed(self, age, policy):
        """W37."""
        durations = learned(*(20.0 + number for number in range(40)))

        assert self.interval(durations, age, **policy) == PollPolicy(**policy).interval(age)

    @given(st.lists(SECONDS, max_size=60), SECONDS, st.floats(0.1, 10), st.floats(0, 50))
    def test_it_is_within_the_policy(self, seconds, age, minimum, more):
        """W37: a user's own `minimum` and `maximum` are obeyed."""
        interval = self.interval(learned(*seconds), age, minimum=minimum, maximum=minimum + more)

        assert minimum <= interval <= minimum + more


class TestFollowing:
    def test_the_end_was_between_the_last_two_polls(self):
        durations = Durations()
        for _ in range(4):
            following = Following(durations, "start", 100.0)
            following.last_seen = 110.0
            following.ended(114.0)

        assert [durations.chance("start", age, 1.0, now=0.0) for age in (10.9, 11.1)] == [0.0, 1.0]

    @pytest.mark.parametrize(("seen", "now"), [(None, 700.0), (30.0, 46.0)])
    def test_a_poll_long_after_the_last_one_tells_nothing(self, seen, now):
        """W37: a wait that began ten minutes after its command said that it takes five."""
        durations = Durations()
        following = Following(durations, "start", 0.0)
        if seen is not None:
            following.last_seen = seen
        following.ended(now)

        assert durations.is_quick("start") is None

    def test_an_end_is_learned_once(self):
        """W37: `steady` polls on for as long as the user likes."""
        durations = Durations()
        following = Following(durations, "start", 0.0)
        for now in (0.5, 10.5, 14.0):
            following.ended(now)
            following.last_seen = now

        assert durations.is_quick("start") is True

    def test_the_first_quick_one_is_said_to_be_the_first(self):
        durations = Durations()
        told = [Following(durations, "delete", 0.0).ended(0.1) for _ in range(2)]

        assert told == [True, False]

    def test_it_is_counted_while_it_is_followed(self):
        durations = Durations()
        following = Following(durations, "delete", 3.0)
        following.begin()
        running = durations.running("delete")
        following.stop()

        assert (running, durations.running("delete")) == (1, 0)
