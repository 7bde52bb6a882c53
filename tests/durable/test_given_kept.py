"""What a run was given, checked, and what a store keeps of it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.durable import parts
from tests.durable.parts import POLL, specs
from vpsorg_async import InvalidArgumentError, NotFoundError, PollPolicy
from vpsorg_async.durable._given import Given, checked_flag, checked_rate, limiter_of, run_options


def a_run(items, **changes) -> Given:
    options = run_options(**{"at_once": 20, "timeout": 900.0, "poll": POLL, "stop_on": (NotFoundError,), **changes})
    return Given("create", items, {"wait": True}, options, None)


@given(st.lists(parts.items, max_size=5), parts.names)
def test_each_item_is_kept_in_its_place_with_the_arguments_of_the_run(items, name):
    run = a_run(items)

    kept = [*run.items_of(name)]

    assert [record.item for record in kept] == items
    assert [record.index for record in kept] == [*range(len(items))]
    assert {record.run for record in kept} <= {name}
    assert all(record.arguments == run.record().arguments for record in kept)
    assert run.record().count == len(items)


def test_the_same_arguments_make_the_same_run_however_their_numbers_are_written():
    one = a_run(specs("a"), timeout=60, poll=PollPolicy(minimum=1, maximum=2))
    other = a_run(specs("a"), timeout=60.0, poll=PollPolicy(minimum=1.0, maximum=2.0))

    assert one.record().differences(other.record()) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"at_once": 7}, "at_once"),
        ({"timeout": None}, "timeout"),
        ({"poll": PollPolicy(minimum=2)}, "poll"),
        ({"stop_on": ()}, "stop_on"),
    ],
)
def test_another_argument_makes_another_run(changes, name):
    assert a_run(specs("a")).record().differences(a_run(specs("a"), **changes).record()) == [name]


def test_items_in_another_order_make_another_run():
    assert a_run(specs("a", "b")).record().differences(a_run(specs("b", "a")).record()) == ["items"]


class OwnError(Exception):
    """Of the program: another process does not know it."""


def test_an_error_that_another_process_does_not_know_is_not_kept():
    run = a_run(specs("a"), stop_on=(OwnError, NotFoundError))

    assert run.record().arguments.stop_on == (NotFoundError,)


@pytest.mark.parametrize("value", [True, False])
def test_a_flag_is_true_or_false(value):
    assert checked_flag("wait", value) is value


@pytest.mark.parametrize("value", [None, 1, "yes", []])
def test_nothing_else_is_a_flag(value):
    with pytest.raises(TypeError, match="wait"):
        checked_flag("wait", value)


@given(st.floats(min_value=1e-6, max_value=1e9) | st.integers(1, 10**9))
def test_a_rate_is_a_number_above_0(rate):
    assert checked_rate(rate) == rate


def test_no_rate_is_no_bound():
    assert checked_rate(None) is None


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), -0.5, 10**400])
def test_another_number_is_no_rate(rate):
    with pytest.raises(InvalidArgumentError, match="per_second"):
        checked_rate(rate)


@pytest.mark.parametrize("rate", ["5", True, [5]])
def test_a_rate_is_a_number(rate):
    with pytest.raises(TypeError, match="per_second"):
        checked_rate(rate)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"at_once": 0}, InvalidArgumentError),
        ({"at_once": 1.5}, TypeError),
        ({"timeout": -1}, InvalidArgumentError),
        ({"timeout": "1"}, TypeError),
        ({"poll": None}, TypeError),
        ({"stop_on": "all"}, TypeError),
    ],
)
def test_arguments_of_a_run_are_checked(changes, error):
    with pytest.raises(error):
        a_run([], **changes)


@given(rate=st.floats(1e-9, 1e6) | st.integers(1, 10**6) | st.fractions(1, 100).map(float))
def test_no_more_begin_in_a_second_than_was_asked(rate):
    bound = limiter_of(rate)
    if bound is None:
        assert rate >= 1e6
        return

    actual = Fraction(bound["limit"]) / Fraction(bound["period"])
    assert bound["limit"] >= 1
    # A period of less than one item in a second is rounded as a float is.
    assert actual <= Fraction(rate) * Fraction(1 + 1e-12)
    assert rate < 1 or actual > Fraction(rate) - Fraction(1, 10)


@pytest.mark.parametrize(
    ("rate", "limit", "period"),
    [(5, 5, 1.0), (1, 1, 1.0), (2.5, 5, 2.0), (0.5, 1, 2.0), (0.1, 1, 10.0), (1.06, 1, 1.0), (1.95, 19, 10.0)],
)
def test_it_is_the_shortest_that_is_nearest(rate, limit, period):
    assert limiter_of(rate) == {"limit": limit, "period": period}


@pytest.mark.parametrize("rate", [5e-324, 1e-300])
def test_a_time_that_no_database_counts_is_not_asked_for(rate):
    assert limiter_of(rate) == {"limit": 1, "period": 1e9}


@pytest.mark.parametrize("rate", [None, 1e6, 9e18])
def test_more_than_a_machine_begins_is_no_bound(rate):
    assert limiter_of(rate) is None
