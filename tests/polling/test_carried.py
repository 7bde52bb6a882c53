"""What a client knows of its command, for another process: all of it, and its age by the API's clock."""

from __future__ import annotations

import math

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.test_action_parts import MEMORIES
from vpsorg_async._action_parts import Memory
from vpsorg_async._polling.carried import command_of, dated, memory_of
from vpsorg_async._polling.habits import Habits
from vpsorg_async._polling.lifecycle import Command, Observation


DATE = datetime(2025, 10, 15, 12, tzinfo=UTC)
# These mean something to the clock of one process only.
TIMES = {"began", "answered", "bound"}


def observation(began, *, after=None, took=0.0):
    """Return an observation whose `Date` is so many seconds after that of the command."""
    date = None if after is None else DATE + timedelta(seconds=after)
    return Observation(began=began, ended=began + took, server=None, date=date)


def command(date=DATE, now=100.0):
    return command_of("reboot", Memory(date=date), now)


class TestMemory:
    @given(MEMORIES)
    def test_what_was_known_comes_back(self, memory):
        carried, habits = command_of("reboot", memory, 100.0), Habits()
        habits.take_over(memory.habits)

        again = memory_of(carried, shown=memory.shown, newest=memory.newest, habits=habits)

        settings = None if memory.baseline is None else memory.settings
        assert again == attrs.evolve(memory, settings=settings)

    def test_what_is_observed_here_comes_after_a_change_of_the_other_process(self):
        carried = command_of("reboot", Memory(date=DATE, disturbed=True), 100.0)

        assert carried.disturbed == 100.0

    def test_no_field_of_a_command_is_forgotten(self):
        """A new field of a command must be carried, or be a time of this process's clock."""
        assert {field.name for field in attrs.fields(Command)} == TIMES | {
            "name",
            "lost",
            "date",
            "baseline",
            "old_transition",
            "said",
            "disturbed",
            "unclear",
        }

    def test_all_that_is_observed_comes_after_it(self):
        carried = command()

        assert (carried.began, carried.answered, carried.bound) == (100.0, 100.0, 100.0)


class TestAge:
    @pytest.mark.parametrize(
        ("seen", "answered"),
        [
            (observation(101.0, after=61), 41.0),
            (observation(101.0, after=61, took=2.0), 43.0),
            (observation(101.0, after=1.5), 100.0),
            (observation(101.0, after=-3600), 100.0),
            (observation(101.0), 100.0),
        ],
        ids=["a minute", "a slow one", "just now", "a clock that is behind", "no Date"],
    )
    def test_it_is_by_the_apis_clock(self, seen, answered):
        """Less a second, because a `Date` is cut to the second."""
        assert dated(command(), seen).answered == answered

    def test_without_a_date_of_the_answer_it_begins_anew(self):
        assert dated(command(date=None), observation(101.0, after=3600)).answered == 100.0

    def test_a_command_of_this_process_keeps_its_time(self):
        own = Command(name="reboot", began=1.0, answered=2.0, date=DATE)

        assert dated(own, observation(101.0, after=3600)) is own

    @given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 600)), min_size=1))
    def test_the_youngest_of_several_counts(self, seen):
        """And never is it younger than what this process knows."""
        carried, ages = command(), []
        for later, after in sorted(seen):
            one = observation(100.0 + later, after=after)
            carried = dated(carried, one)
            ages.append(one.began - carried.answered)

        assert carried.answered <= 100.0
        assert math.isfinite(carried.answered)
        assert all(age >= 0 for age in ages)
