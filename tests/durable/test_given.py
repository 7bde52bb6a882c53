"""Checks the arguments of durable runs."""

from __future__ import annotations

import sys

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import InvalidArgumentError, PollPolicy, ServerSpec
from vpsorg_async.durable._given import Given, checked_flag, checked_rate, run_options


OPTIONS = run_options(20, 900.0, PollPolicy(), ())


@given(st.floats(min_value=1e-6, max_value=1e6) | st.integers(1, 10**6))
def test_a_rate_is_any_number_above_zero(rate):
    assert checked_rate(rate) == rate


@pytest.mark.parametrize("rate", [0, -1.0, float("inf"), float("nan"), sys.maxsize])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(InvalidArgumentError) as caught:
        checked_rate(rate)

    assert str(caught.value).startswith("per_second=")


@pytest.mark.parametrize("rate", [True, "5"])
def test_a_rate_of_another_type_is_refused(rate):
    with pytest.raises(TypeError):
        checked_rate(rate)


def test_no_rate_is_no_bound():
    assert checked_rate(None) is None


def test_a_flag_is_true_or_false():
    assert [checked_flag("wait", value) for value in (True, False)] == [True, False]
    with pytest.raises(TypeError, match="wait"):
        checked_flag("wait", 1)


def test_a_run_is_kept_with_the_digest_and_each_of_its_items():
    specs = [ServerSpec(name=f"web-{number}", plan_id=1, os_id=5, location="us-west") for number in range(3)]
    mine = Given("create", specs, {"wait": True}, OPTIONS, 5.0)

    record, items = mine.record(), list(mine.items_of("web"))

    assert (record.action, record.count, record.per_second) == ("create", 3, 5.0)
    assert [(item.run, item.index, item.item) for item in items] == [("web", i, spec) for i, spec in enumerate(specs)]
