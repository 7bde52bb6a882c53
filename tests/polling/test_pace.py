"""How closely waits are asked for, and when a list is cheaper than GETs."""

from __future__ import annotations

import math

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.polling.entries import entry
from vpsorg_async._polling.entry import PollEntry, Size
from vpsorg_async._polling.pace import (
    CROWD,
    FEW_AT_MOST,
    LONGEST_STRETCH,
    WINDOW,
    Pace,
    list_is_cheaper,
    lists_from,
    rounds_of,
    spacing,
)


TEN_PAGES = Size(1000, 100)


class TestCheaper:
    @pytest.mark.parametrize(
        ("keys", "size", "listed"),
        [
            (0, None, False),
            (1, None, False),
            (10, None, False),
            (11, None, True),
            (1, Size(50, 100), False),
            (2, Size(50, 100), True),
            (10, Size(1000, 100), False),
            (11, Size(1000, 100), True),
            (10, Size(1001, 100), False),
            (11, Size(1001, 100), False),
            (12, Size(1001, 100), True),
        ],
    )
    def test_a_list_is_asked_for_where_it_takes_fewer_requests(self, keys, size, listed):
        """At the same number a GET each: they show more. Of an unknown account up to 10."""
        assert list_is_cheaper(keys, size) is listed

    @given(st.integers(0, 3000), st.integers(0, 100_000), st.integers(0, 200))
    def test_never_more_than_the_cheaper_of_the_two(self, keys, total, page):
        """`min(ids due, pages)`."""
        size = Size(total, page)

        assert (size.pages if list_is_cheaper(keys, size) else keys) == min(keys, size.pages)


class TestSpacing:
    @pytest.mark.parametrize(
        ("requests", "a_second", "seconds"),
        [
            (1, 2.0, 0.5),
            (3, 2.0, 1.5),
            (7, 2.0, 3.75),
            (10, 2.0, 5.0),
            (20, 4.0, 5.0),
            (100, 1.0, 100.0),
            (0, 2.0, 0.0),
        ],
    )
    def test_it_is_as_short_as_the_half_minute_allows(self, requests, a_second, seconds):
        """W37."""
        assert spacing(requests, a_second) == pytest.approx(seconds)

    @given(st.integers(1, 1000), st.floats(0.1, 300), st.floats(0, 60))
    def test_no_half_minute_has_more_than_allowed(self, requests, a_second, start):
        """W37: wherever it begins."""
        seconds = spacing(requests, a_second)
        rounds = sum(1 for number in range(1000) if start <= number * seconds < start + WINDOW - 1e-6)

        assert rounds * requests <= max(requests, a_second * WINDOW + 1e-3)


MAXIMA = st.sampled_from([0.5, 1.0, 5.0, 6.0, 30.0, 60.0])
WAITS = st.dictionaries(MAXIMA, st.integers(1, 300), min_size=1)


class TestListsFrom:
    @pytest.mark.parametrize(
        ("asked", "pages", "seconds"),
        [
            ({}, 10, math.inf),
            ({5.0: 10}, 10, math.inf),
            ({5.0: 11}, 10, 5.0),
            ({1.0: 1, 60.0: 30}, 10, 60.0),
            ({5.0: 8, 6.0: 8}, 10, 5.0),
            ({5.0: 1, 3600.0: 101}, 100, 3600.0),
            ({1.0: 3, 5.0: 12}, 10, 5.0),
        ],
    )
    def test_lists_are_as_rare_as_those_want_whom_they_serve(self, asked, pages, seconds):
        """W37: one hasty wait causes no list for thirty patient ones."""
        assert lists_from(asked, pages) == seconds

    @given(WAITS, st.integers(1, 100))
    def test_no_other_choice_takes_fewer_requests(self, asked, pages):
        """W37."""

        def requests(first):
            gets = sum(count / seconds for seconds, count in asked.items() if seconds < first)
            return gets + (0 if first == math.inf else pages / first)

        assert requests(lists_from(asked, pages)) <= min(map(requests, [*asked, math.inf])) + 1e-6


class TestRounds:
    @given(WAITS, st.integers(1, 200), st.booleans())
    def test_polls_take_no_more_than_a_plain_loop(self, waits, pages, crowded):
        """W37: one GET every `maximum` seconds a wait, or two requests a second, whatever the maxima of the waits."""
        total = sum(waits.values())
        rounds = rounds_of(
            waits,
            waits,
            crowd=max(total, CROWD) if crowded else total,
            pages=pages,
            listed_from=lists_from(waits, pages),
        )
        gets = sum(
            number / min(longest, rounds.gets) for longest, number in waits.items() if longest < rounds.listed_from
        )
        by_list = [min(longest, rounds.lists) for longest in waits if longest >= rounds.listed_from]
        lists = pages / min(by_list) if by_list else 0.0
        loop = sum(number / longest for longest, number in waits.items())

        assert gets + lists <= (loop if crowded or total >= CROWD else max(FEW_AT_MOST, loop)) + 1e-6

    @given(st.integers(10, 2000), st.integers(1, 200))
    def test_a_crowd_takes_half_of_a_plain_loop(self, count, pages):
        """W37: where twice as many wait as the list has pages."""
        waits = {5.0: count}
        rounds = rounds_of(waits, waits, crowd=count, pages=pages, listed_from=lists_from(waits, pages))

        if count >= 2 * pages:
            assert pages / min(5.0, rounds.lists) <= 0.5 * count / 5 + 1e-6


def pace_of(count, *, size=TEN_PAGES, longest=5.0, crowd=0, limit=None):
    """Return the pace of so many waits."""
    pace = Pace(size, lambda: limit)
    for number in range(count):
        pace.add(PollEntry(keys=frozenset({str(number)}), interval=float, longest=longest, crowd=crowd, began=0.0))
    return pace


class TestPace:
    @pytest.mark.parametrize(
        ("count", "natural", "seconds"),
        [(1, 1.0, 1.0), (1, 0.1, 0.5), (5, 1.0, 2.5), (5, 4.0, 4.0), (9, 1.0, 5.0), (10, 1.0, 5.0), (100, 1.0, 1.0)],
    )
    def test_the_policy_decides_within_the_pace(self, count, natural, seconds):
        """W37: a user's own `minimum` and `slope` are obeyed, and nobody waits longer than `maximum`."""
        assert pace_of(count).interval(natural, 5.0) == pytest.approx(seconds)

    @pytest.mark.parametrize(("count", "size", "by_list"), [(4, None, False), (5, None, True), (5, TEN_PAGES, False)])
    def test_an_unknown_list_is_looked_at_for_a_few(self, count, size, by_list):
        """W37: its first page tells how long it is."""
        assert pace_of(count, size=size).by_list is by_list

    def test_a_hasty_wait_is_asked_for_alone(self):
        """W37: a list each second for its sake took ten requests a second."""
        pace = pace_of(30, longest=60.0)
        hasty = PollEntry(keys=frozenset({"h"}), interval=float, longest=1.0, began=0.0)
        patient = PollEntry(keys=frozenset({"0"}), interval=float, longest=60.0, began=0.0)
        pace.add(hasty)

        assert (pace.lists(hasty), pace.lists(patient), pace.interval(0.5, 1.0)) == (False, True, 1.0)

    @pytest.mark.parametrize(("watched", "listed"), [(1, False), (2, True)])
    def test_a_server_that_is_waited_for_and_watched_is_one(self, watched, listed):
        """One GET serves both."""
        pace = pace_of(9)
        for keys in ({"0", "1"}, {str(20 + number) for number in range(watched)}):
            pace.add(PollEntry(keys=frozenset(keys), interval=lambda _: 5.0, began=0.0))

        assert pace.by_list is listed

    def test_the_last_of_a_fleet_are_asked_for_like_the_others(self):
        """W37: a fleet takes no more than a loop to its end."""
        assert (pace_of(2, crowd=20).interval(1.0, 5.0), pace_of(2).interval(1.0, 5.0)) == (5.0, 1.0)

    @pytest.mark.parametrize(("limit", "seconds"), [(None, 1.0), (0, 1.0), (5.0, 2.0), (2.5, 4.0), (0.1, 15.0)])
    def test_the_limit_of_the_api_makes_it_longer(self, limit, seconds):
        """R30: by how long a list takes then, and not for ever."""
        assert pace_of(300, limit=limit).interval(1.0, 5.0) == pytest.approx(seconds)
        assert seconds <= LONGEST_STRETCH

    def test_pages_may_wait_for_their_turns(self):
        """F10: a list that does is none that hangs."""
        assert (pace_of(300, limit=2.0).waiting_for_turns, pace_of(300).waiting_for_turns) == (8.0, 0.0)

    @given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 5.0, 30.0]), st.integers(0, 40)), max_size=30))
    def test_those_who_leave_count_no_more(self, given):
        """Whoever has been there."""
        pace = Pace(TEN_PAGES)
        entries = [
            PollEntry(keys=frozenset({str(key)}), interval=float, longest=longest, crowd=crowd, began=0.0)
            for key, longest, crowd in given
        ]
        for one in entries:
            pace.add(one)
        for one in entries:
            pace.drop(one)

        assert (pace._waits, pace._asked, pace._crowds, pace.by_list) == ({}, {}, {}, False)

    def test_watches_have_their_own_interval(self):
        """What they ask comes on top: it takes nothing from the waits."""
        pace = pace_of(2)
        pace.add(entry("1 2 3"))
        pace.add(entry(None))

        assert pace.interval(0.1, 5.0) == 1.0
