"""What a client learns of the API's `updated_at`."""

from __future__ import annotations

import datetime as dt

import pytest

from vpsorg_async import Server
from vpsorg_async._polling.command_log import CommandLog
from vpsorg_async._polling.habits import Habits, Sight
from vpsorg_async._polling.lifecycle import Observation


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(minutes=1)
FINE = NOON + dt.timedelta(microseconds=5)


def sight(status="active", updated_at=NOON, began=10.0, **options):
    given = {"settings": ("web-01", None, True), "stamped": 1.0, **options}
    return Sight(status=status, updated_at=updated_at, began=began, **given)


def learned(before, after, *, undisturbed=True, times=1):
    habits = Habits()
    for _ in range(times):
        habits.learn(before, after, undisturbed=undisturbed)
    return set(habits.names)


class TestHabits:
    @pytest.mark.parametrize(
        ("before", "after", "learns"),
        [
            (sight(), sight("stopping", LATER), {"moves"}),
            (sight(), sight("stopping"), {"stays"}),
            (sight(), sight("suspended"), set()),
            (sight(stamped=9.5), sight("stopping"), set()),
            (sight(updated_at=FINE, stamped=10.5), sight("stopping", FINE), {"stays"}),
            (sight(), sight(), set()),
            (sight(), sight("active", LATER), {"ticks"}),
            (sight(), sight("active", LATER, settings=("web-02", None, True)), set()),
            (sight(settings=None), sight("active", LATER, settings=None), set()),
            (sight("starting"), sight("starting", LATER), set()),
            (sight(), sight("active", LATER, began=70.1), set()),
            (sight(), sight("active", LATER, began=70.0), {"ticks"}),
            (sight(updated_at=None), sight("stopping", LATER), set()),
            (sight(), sight("stopping", None), set()),
            (sight(), sight("", LATER), set()),
        ],
        ids=[
            "moved with the status",
            "stayed over a change of the status",
            "a replica may have shown a wrong status once",
            "both changes may have been within a second",
            "not if it tells microseconds",
            "nothing has changed",
            "moved without a reason",
            "somebody has renamed the server",
            "lists lack what a PATCH can change",
            "on the way to another status",
            "a reboot may have passed unseen",
            "none can have passed",
            "nothing before",
            "nothing after",
            "no status",
        ],
    )
    def test_what_two_observations_teach(self, before, after, learns):
        assert learned(before, after) == learns

    def test_a_change_of_this_client_explains_a_move(self):
        assert learned(sight(), sight("active", LATER), undisturbed=False) == set()

    def test_one_coincidence_teaches_nothing(self):
        """W29: two nodes whose clocks differ can give two changes the same second."""
        habits = Habits(moves=True)
        habits.learn(sight(), sight("stopping", LATER), undisturbed=True)
        habits.learn(sight(), sight("stopping"), undisturbed=True)

        assert habits.names == ("moves",)
        habits.learn(sight(updated_at=FINE), sight("stopping", FINE), undisturbed=True)
        assert habits.names == ("moves", "stays")

    def test_one_is_enough_if_it_was_never_seen_to_move(self):
        """W29: then the grace decides."""
        assert learned(sight(), sight("stopping"), times=1) == {"stays"}

    @pytest.mark.parametrize(("moved", "stays"), [(30, True), (31, False)])
    def test_it_stays_if_it_does_so_in_one_change_of_ten(self, moved, stays):
        """W29: the same second may come twice by chance among many."""
        habits = Habits()
        for _ in range(moved):
            habits.learn(sight(), sight("stopping", LATER), undisturbed=True)
        for _ in range(3):
            habits.learn(sight(), sight("stopping"), undisturbed=True)

        assert habits.stays is stays

    @pytest.mark.parametrize(("moves", "stays", "always"), [(True, False, True), (True, True, False), (False,) * 3])
    def test_it_always_moves_if_it_never_stayed(self, moves, stays, always):
        assert Habits(moves=moves, stays=stays).always_moves is always


class TestLearning:
    """What the command log lets the habits learn from."""

    def observe(self, log, *seen, start=10.0, listed=False):
        for number, (status, updated_at) in enumerate(seen):
            server = None if status is None else Server(id=7, name="web-01", status=status, updated_at=updated_at)
            began = start + 5 * number
            log.admit(7, Observation(began=began, ended=began + 1, server=server, listed=listed))

    def test_from_one_observation_to_the_next(self):
        log = CommandLog()
        self.observe(log, ("active", FINE), ("active", FINE), ("stopping", FINE), ("stopped", LATER))

        assert log.habits.names == ("moves", "stays")

    def test_from_none_that_is_suspect(self):
        log = CommandLog()
        self.observe(log, ("active", LATER), ("stopping", NOON), ("active", LATER))

        assert log.habits.names == ()

    @pytest.mark.parametrize("name", [None, "reboot"])
    def test_a_change_of_ours_in_between_explains_a_tick(self, name):
        log = CommandLog()
        self.observe(log, ("active", NOON))
        with log.changing(7, 12.0, name) as change:
            log.changed(change, 13.0)
        self.observe(log, ("active", LATER), start=14.0)

        assert not log.habits.ticks

    def test_a_reboot_that_is_still_to_begin_explains_a_later_tick(self):
        log = CommandLog()
        with log.changing(7, 1.0, "reboot") as change:
            log.changed(change, 2.0)
        self.observe(log, ("active", NOON), ("active", LATER))

        assert not log.habits.ticks

    @pytest.mark.parametrize("listed", [False, True])
    def test_a_tick(self, listed):
        log = CommandLog()
        self.observe(log, ("active", NOON), ("active", LATER), listed=listed)

        assert log.habits.ticks is not listed
