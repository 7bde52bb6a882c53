"""How two times of a server's last change are compared: at the coarser precision of the two."""

from __future__ import annotations

import datetime as dt

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async._polling.stamps import has_fractions, is_older, is_same


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)


def at(microseconds):
    return None if microseconds is None else NOON + dt.timedelta(microseconds=microseconds)


class TestStamps:
    @pytest.mark.parametrize(
        ("one", "than", "older"),
        [
            (0, 1_000_000, True),
            (0, 0, False),
            (1_000_000, 0, False),
            (0, 999_999, False),
            (0, 123_456, False),
            (999_999, 1_000_000, True),
            (123_000, 123_456, False),
            (122_000, 123_456, True),
            (123_455, 123_456, True),
            (None, 0, False),
            (0, None, False),
        ],
        ids=[
            "a second",
            "the same",
            "newer",
            "a list to the second after a GET to the microsecond",
            "the same, less fine",
            "the second before",
            "the same, to the millisecond",
            "a millisecond before",
            "a microsecond before",
            "nothing",
            "than nothing",
        ],
    )
    def test_what_is_older(self, one, than, older):
        """W28: a list to the second beside a GET to the microsecond is no contradiction."""
        assert is_older(at(one), at(than)) is older

    @pytest.mark.parametrize(("one", "other", "same"), [(0, 5, True), (5, 0, True), (5, 6, False), (0, 10**6, False)])
    def test_what_is_the_same(self, one, other, same):
        assert is_same(at(one), at(other)) is same

    def test_a_time_without_fractions_tells_no_more_than_the_second(self):
        assert [has_fractions(at(microseconds)) for microseconds in (0, 1)] == [False, True]

    @given(st.integers(0, 3_000_000), st.integers(0, 3_000_000))
    def test_of_two_at_most_one_is_older(self, one, other):
        assert [is_older(at(one), at(other)), is_older(at(other), at(one)), is_same(at(one), at(other))].count(
            True
        ) == 1
