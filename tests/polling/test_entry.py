"""What an entry wants and when, and how long its last poll may take."""

from __future__ import annotations

import math

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.polling.entries import NOW, after_poll, entry, polled_by, sat
from vpsorg_async._polling.entry import LAST_POLL, Size, expiry


class TestEntry:
    def test_it_polls_at_once(self):
        """The first poll is due when the wait begins."""
        assert (entry().due, entry().early) == (NOW, NOW)

    @pytest.mark.parametrize(
        ("began", "due"), [(100.0, 101.0), (105.0, 106.0), (120.0, 122.0), (150.0, 155.0), (900.0, 905.0)]
    )
    def test_it_polls_after_a_tenth_of_the_time_waited(self, began, due):
        """At least 1 s and at most 5 s after the poll before it began."""
        one = after_poll(entry(), began, began + 0.25)

        assert (one.due, one.final) == (due, False)

    @pytest.mark.parametrize(("began", "early"), [(100.0, 100.5), (120.0, 121.0), (900.0, 902.5)])
    def test_it_is_taken_along_from_half_of_its_interval_on(self, began, early):
        """Of its own interval, whatever those of others are."""
        assert after_poll(entry(), began).early == early

    def test_after_a_slow_poll_the_next_is_due_at_once(self):
        """Never in the past."""
        assert after_poll(entry(), 100.0, 110.0).due == 110.0

    @pytest.mark.parametrize(
        ("began", "now", "due", "final"),
        [(100.0, 100.1, 100.5, False), (100.5, 100.6, math.inf, True), (100.4, 100.7, math.inf, True)],
    )
    def test_the_last_poll_is_at_the_deadline_or_on_the_wire_then(self, began, now, due, final):
        """After it there is none."""
        one = after_poll(entry(deadline=100.5), began, now)

        assert (one.due, one.final) == (due, final)

    def test_it_can_be_put_off_and_not_hastened(self):
        """An API that asks for a pause gets it; nobody's poll takes it along before."""
        one = entry()
        one.postpone(130.0)
        one.postpone(90.0)

        assert (one.due, one.early) == (130.0, 130.0)

    @pytest.mark.parametrize(("due", "now", "then"), [(105.0, 101.0, 101.0), (101.0, 105.0, 101.0)])
    def test_a_get_that_it_wants_is_due_at_once(self, due, now, then):
        """And not later than it was due anyway."""
        one = entry()
        one.due = due

        one.ask("7", now)

        assert ([*one.asks], one.due, one.early) == (["7"], then, then)

    @given(st.lists(st.floats(0, 20), max_size=60), st.floats(0, 300))
    def test_it_always_ends_with_a_poll_at_or_over_the_deadline(self, took, seconds):
        """Due times never go back, never pass the deadline, and the last poll is final."""
        one, now = entry(deadline=NOW + seconds), NOW
        for duration in took:
            before = one.due
            now = max(now, one.due)
            one.polled(now, now + duration)
            now += duration
            assert one.early <= one.due
            assert one.final == (now >= one.deadline)
            if one.final:
                assert one.due == math.inf
                break
            assert before <= one.due <= one.deadline


class TestExpiry:
    @pytest.mark.parametrize(
        ("deadline", "attempt_timeout", "expires"),
        [
            (math.inf, 10.0, math.inf),
            (100.0, 10.0, 110.0),
            (100.0, None, math.inf),
            (105.0, 10.0, 105.0 + LAST_POLL),
            (105.0, None, 105.0 + LAST_POLL),
            (1000.0, 0.5, 1000.0 + LAST_POLL),
        ],
    )
    def test_a_poll_may_take_until_a_second_after_the_deadline(self, deadline, attempt_timeout, expires):
        """Its turn waited for; `timeout=0` gives it the time of one attempt."""
        assert expiry(NOW, deadline, attempt_timeout) == expires

    def test_those_whose_time_is_over_give_up(self):
        """Each once, those who hang on a poll too; not those who attend no longer."""
        early, hangs, late, away = entry("1", 105.0), entry("2", 105.0), entry("3", 105.5), entry("4", 105.0)
        for one in (early, late, away):
            one.postpone(104.0)
        schedule = sat(early, hangs, late, away)
        schedule.polls(NOW, Size(total=100_000, page=100))
        schedule.leave(away)

        found = [set(schedule.expired(now)) for now in (105.9, 106.0, 106.0, 106.5)]

        assert found == [set(), {early, hangs}, set(), {late}]

    def test_one_who_left_and_came_back_gives_up_once(self):
        """It was told of a change meanwhile."""
        one = entry(deadline=105.0)
        schedule = sat(one)
        schedule.leave(one)
        schedule.join(one, NOW + 1)

        assert schedule.expired(200.0) == [one]

    def test_who_was_away_at_its_deadline_has_its_last_poll_to_come(self):
        """`on_change` ran for longer than the wait had left: what is true now may be the goal."""
        one = entry(deadline=105.0)
        schedule = sat(one, now=130.0)

        assert (schedule.expired(130.0), polled_by(schedule.polls(130.0, None))) == ([], {"7": {one}})
        assert one.expires == 130.0 + LAST_POLL

    def test_a_poll_of_timeout_0_is_not_made_longer(self):
        """It has the time of one attempt from its begin on."""
        one = entry(deadline=NOW, expires=NOW + 10)
        sat(one, now=NOW)

        assert one.expires == NOW + 10


class TestServersThatHang:
    def test_a_get_that_hangs_holds_up_the_others_until_it_responds(self):
        one = entry("7 8")
        assert not one.holds_up("7")

        one.hangs("7")
        assert (one.holds_up("7"), one.holds_up("8"), one.holds_up(None)) == (True, False, False)

        one.responds("7")
        assert not one.holds_up("7")

    def test_where_all_hang_none_holds_up_another(self):
        one, single = entry("7 8"), entry("7")
        for key in ("7", "8"):
            one.hangs(key)
        single.hangs("7")

        assert not one.holds_up("7")
        assert not single.holds_up("7")

    @given(st.lists(st.floats(0.001, 5), max_size=50))
    def test_stopped_gets_count_as_one_of_their_whole_time(self, seconds):
        """No sooner, and no later than with the one that completes it."""
        one = entry("7 8")
        one.hangs("7")

        since = 0.0
        for took in seconds:
            since += took
            counted = one.stopped("7", took, 10)
            assert counted is (since >= 10)
            since = 0.0 if counted else since
