"""Whether polls rely on the list: by tables, and at random."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async._polling.list_health import AFTER_REFUSAL, ListHealth
from vpsorg_async._polling.outages import LONGEST_PAUSE


def test_it_is_trusted_until_it_fails_and_again_once_it_succeeds():
    health = ListHealth()
    assert health.trusted

    health.failed(100, 101, refused=False)
    assert not health.trusted

    health.succeeded()
    assert health.trusted


@pytest.mark.parametrize(
    ("refused", "at", "tried"),
    [(True, 159, False), (True, 160, True), (False, 101.9, False), (False, 102, True)],
)
def test_a_refused_one_is_tried_after_a_minute_and_a_broken_one_soon(refused, at, tried):
    health = ListHealth()
    health.failed(100, 101, refused=refused)

    assert health.may_be_tried(at) is tried


def test_a_broken_one_is_tried_less_and_less_often():
    health, now, pauses = ListHealth(), 0.0, []
    for _ in range(7):
        health.failed(now, now, refused=False)
        before = now
        while not health.may_be_tried(now):
            now += 0.5
        pauses.append(now - before)

    assert pauses == [1, 2, 4, 8, 15, 15, 15]


def test_one_that_hangs_is_not_trusted_and_may_be_tried_again():
    health = ListHealth()
    health.hangs(100)

    assert (health.trusted, health.may_be_tried(100)) == (False, True)


def test_the_second_one_in_a_row_that_is_put_off_is_one_that_fails():
    health = ListHealth()
    health.put_off(100, 101)
    assert health.trusted
    health.succeeded()
    health.put_off(110, 111)
    assert health.trusted

    health.put_off(120, 121)

    assert [health.trusted, health.may_be_tried(121.5), health.may_be_tried(122)] == [False, False, True]


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=1, max_size=20))
def test_it_is_never_given_up_for_long(failures):
    """Whatever has failed, the list is tried again within a minute."""
    health, now, refused = ListHealth(), 0.0, False
    for took, refused in failures:
        now += took
        health.failed(now - took, now, refused=refused)

    assert not health.trusted
    assert health.may_be_tried(now + (AFTER_REFUSAL if refused else LONGEST_PAUSE))
