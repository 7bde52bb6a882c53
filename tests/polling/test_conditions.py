"""Further conditions of a wait: `when` is asked about a complete server, and `steady` counts what polls have shown."""

from __future__ import annotations

import functools
import math

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import InvalidArgumentError, PollPolicy, Server
from vpsorg_async._polling.conditions import POLLS_IN_STEADY, Conditions, conditions_of


SERVER = Server(id=7, name="web-01", status="active", ip_address="192.0.2.7")

# Polls of a wait: the pause before each, how long it took, and whether it showed that all of it holds.
POLLS = st.lists(
    st.tuples(st.floats(0, 10, allow_nan=False), st.floats(0, 3, allow_nan=False), st.booleans()), max_size=40
)


def play(steady, polls):
    """Return each poll's begin, end and showing, and whether the conditions were met by it."""
    conditions, now, told = Conditions(steady=steady), 0.0, []
    for pause, took, holds in polls:
        began = now + pause
        now = began + took
        met = conditions.hold(began, now) if holds else conditions.fail()
        told.append((began, now, holds, bool(met)))
    return told


class TestSteady:
    @given(st.floats(0.1, 30), POLLS)
    def test_it_is_met_by_the_polls_that_showed_nothing_else_for_so_long(self, steady, polls):
        """Told again from all polls: the last ones in a row, from the end of the first to the begin of the last."""
        told = play(steady, polls)

        for number, (began, _, holds, met) in enumerate(told):
            first = number
            while first and told[first - 1][2]:
                first -= 1
            assert met == (holds and began >= told[first][1] + steady)

    @given(POLLS)
    def test_without_it_one_poll_will_do(self, polls):
        assert all(met == holds for _, _, holds, met in play(0.0, polls))

    @given(st.floats(0.1, 30), st.floats(0, 1e9))
    def test_a_poll_that_begins_when_it_will_have_been_met_meets_it(self, steady, ended):
        conditions = Conditions(steady=steady)
        conditions.hold(ended, ended)

        assert conditions.hold(conditions.met_at, conditions.met_at)

    def test_it_is_never_met_while_nothing_holds(self):
        conditions = Conditions(steady=5.0)
        conditions.hold(1.0, 2.0)
        conditions.fail()

        assert conditions.met_at == math.inf


class TestInterval:
    @given(
        st.floats(0.1, 600),
        st.builds(
            lambda least, more, slope: PollPolicy(minimum=least, maximum=least + more, slope=slope),
            st.floats(0.1, 5),
            st.floats(0, 55),
            st.floats(0, 1),
        ),
        st.floats(0, 900),
        st.booleans(),
    )
    def test_it_is_within_the_policy_and_never_longer_than_usual(self, steady, poll, waited, holds):
        conditions = Conditions(steady=steady)
        if holds:
            conditions.hold(1.0, 2.0)

        assert poll.minimum <= conditions.interval(poll, waited) <= poll.interval(waited)
        assert holds or conditions.interval(poll, waited) == poll.interval(waited)

    def test_five_polls_fall_into_the_time(self):
        conditions = Conditions(steady=10.0)
        conditions.hold(1.0, 2.0)

        assert conditions.interval(PollPolicy(), 300.0) == 10.0 / POLLS_IN_STEADY


class TestWhen:
    @pytest.mark.parametrize(("result", "met"), [(True, True), (False, False), ("192.0.2.7", True), (None, False)])
    def test_the_truth_of_its_result_counts(self, result, met):
        conditions = Conditions(when=lambda _: result)

        assert conditions.allow(SERVER) is met
        assert conditions.refused is not met

    def test_it_is_called_with_the_server(self):
        seen = []

        Conditions(when=seen.append).allow(SERVER)

        assert seen == [SERVER]

    def test_what_it_raises_comes_out(self):
        error = LookupError("no such rack")

        def when(_):
            raise error

        with pytest.raises(LookupError) as caught:
            Conditions(when=when).allow(SERVER)

        assert caught.value is error

    def test_an_awaitable_is_refused_and_ended(self):
        """A coroutine that is left would warn that it was never awaited."""

        async def later(_):
            return True

        with pytest.raises(TypeError, match=r"^when must be a plain function: its result is an awaitable$"):
            Conditions(when=lambda _: later(SERVER)).allow(SERVER)


class TestWords:
    def test_there_are_none_while_the_goal_was_not_reached(self):
        assert Conditions(when=bool, steady=5.0).words == ""

    def test_they_tell_that_when_was_not_true(self):
        conditions = Conditions(when=lambda _: False)
        conditions.allow(SERVER)

        assert conditions.words == "; it got there, but `when` was not true of it"

    def test_they_tell_for_how_long_it_held(self):
        conditions = Conditions(steady=5.0)
        conditions.hold(10.0, 11.0)
        conditions.hold(14.0, 15.0)

        assert conditions.words == "; it had held for 3 s, and steady=5 asks for more"

    def test_they_tell_nothing_of_a_time_that_was_broken_off(self):
        conditions = Conditions(steady=5.0)
        conditions.hold(10.0, 11.0)
        conditions.fail()

        assert conditions.words == ""


class TestArguments:
    def test_none_are_no_conditions(self):
        assert conditions_of(None, 0) is None

    def test_they_are_kept(self):
        conditions = conditions_of(bool, 5)

        assert (conditions.when, conditions.steady) == (bool, 5.0)

    @pytest.mark.parametrize("steady", [-1, -0.001, math.inf, math.nan])
    def test_seconds_that_do_not_exist_are_refused(self, steady):
        with pytest.raises(InvalidArgumentError, match=r"^steady=\S+: give a finite number of 0 or more$"):
            conditions_of(None, steady)

    @pytest.mark.parametrize("steady", ["5", None, True])
    def test_seconds_that_are_no_number_are_refused(self, steady):
        with pytest.raises(TypeError, match=r"^steady takes a number, not "):
            conditions_of(None, steady)

    def test_what_cannot_be_called_is_refused(self):
        with pytest.raises(TypeError, match=r"^when must be callable with a Server, not 7$"):
            conditions_of(7, 0.0)

    def test_an_async_function_is_refused_at_once(self):
        async def when(_, __):
            return True

        with pytest.raises(TypeError, match=r"^when must be a plain function, and .* is async$"):
            conditions_of(functools.partial(when, 1), 0.0)
