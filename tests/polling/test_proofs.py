"""What proves that a reboot was executed which no observation has shown."""

from __future__ import annotations

import datetime as dt
import math

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import Server
from vpsorg_async._polling.habits import Habits
from vpsorg_async._polling.lifecycle import Baseline, Command, Observation
from vpsorg_async._polling.proofs import UNCLEAR, is_aged, is_effect, took_effect, updated_by


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)
OLD, NEW = NOON - dt.timedelta(hours=1), NOON + dt.timedelta(seconds=1)
SETTINGS = ("web-01", "a.example", True)
REBOOT = Command(
    name="reboot",
    began=1.0,
    answered=2.0,
    date=NOON,
    said="rebooting",
    baseline=Baseline(updated_at=OLD, settings=SETTINGS),
)
MOVES, STAYS, TICKS = Habits(moves=True), Habits(moves=True, stays=True), Habits(ticks=True)


def shown(updated_at, began=3.0, *, listed=False, status="active", **changes):
    given_settings = dict(zip(("name", "hostname", "backups_enabled"), SETTINGS, strict=True))
    server = Server(id=7, status=status, updated_at=updated_at, **{**given_settings, **changes})
    return Observation(began=began, ended=began + 0.5, server=server, listed=listed)


class TestNewer:
    @pytest.mark.parametrize(
        ("command", "observation", "habits", "proven"),
        [
            (REBOOT, shown(NEW), Habits(), True),
            (REBOOT, shown(NEW, name="web-02"), Habits(), False),
            (REBOOT, shown(NEW, hostname=None), Habits(), False),
            (REBOOT, shown(NEW, backups_enabled=False), Habits(), False),
            (REBOOT, shown(NEW, listed=True), Habits(), False),
            (attrs.evolve(REBOOT, baseline=Baseline(updated_at=OLD)), shown(NEW), Habits(), False),
            (attrs.evolve(REBOOT, disturbed=3.4), shown(NEW), Habits(), False),
            (attrs.evolve(REBOOT, disturbed=3.5), shown(NEW), Habits(), True),
            (REBOOT, shown(NEW), TICKS, False),
            (REBOOT, shown(NEW), MOVES, True),
            (REBOOT, shown(NOON - dt.timedelta(seconds=2)), Habits(), True),
            (REBOOT, shown(NOON - dt.timedelta(seconds=3)), Habits(), False),
        ],
        ids=[
            "nothing else explains it",
            "renamed",
            "another hostname",
            "other backups",
            "from a list",
            "a baseline from a list",
            "a change of this client lies between",
            "a change of this client that came later",
            "an API that ticks",
            "an API that moves it",
            "2 s of slack",
            "not 3 s",
        ],
    )
    def test_a_newer_update_proves_a_reboot_only_if_nothing_else_explains_it(
        self, command, observation, habits, proven
    ):
        """W41: a change of somebody else's, of this client's, or none at all may have moved it."""
        assert updated_by(command, observation, habits) is proven

    def test_a_queued_reboot_is_not_proven_before_the_grace(self):
        """W41: its response said `active`: what moves `updated_at` at first may be anything."""
        queued = attrs.evolve(REBOOT, said="active")

        assert [took_effect(queued, [shown(NEW, began)], grace=15) for began in (16.9, 17.0)] == [False, True]


UNKNOWN = attrs.evolve(REBOOT, baseline=None, date=None)


class TestTime:
    @pytest.mark.parametrize(
        ("command", "updated_at", "habits", "graces"),
        [
            (REBOOT, OLD, Habits(), 4),
            (REBOOT, OLD, MOVES, math.inf),
            (REBOOT, OLD, STAYS, 1),
            (REBOOT, None, Habits(), 1),
            (REBOOT, None, MOVES, 1),
            (REBOOT, NOON - dt.timedelta(minutes=1), MOVES, 1),
            (attrs.evolve(REBOOT, said="active"), None, STAYS, 20),
            (attrs.evolve(REBOOT, said="active"), OLD, MOVES, math.inf),
            (attrs.evolve(REBOOT, said=""), None, STAYS, 20),
            (attrs.evolve(REBOOT, unclear=True), OLD, MOVES, 20),
            (attrs.evolve(REBOOT, unclear=True, baseline=None), NEW, Habits(), 20),
            (attrs.evolve(REBOOT, said="", lost=True), OLD, Habits(), 4),
            (attrs.evolve(REBOOT, said="", lost=True), OLD, MOVES, math.inf),
            (UNKNOWN, OLD, Habits(), 4),
            (UNKNOWN, OLD, MOVES, 4),
            (attrs.evolve(REBOOT, baseline=None), OLD, MOVES, math.inf),
            (attrs.evolve(REBOOT, baseline=None), NOON + dt.timedelta(seconds=3), MOVES, 4),
            (attrs.evolve(REBOOT, baseline=None), NEW, MOVES, 4),
            (attrs.evolve(REBOOT, disturbed=2.5), NEW, Habits(), 4),
            (attrs.evolve(REBOOT, baseline=Baseline(updated_at=OLD)), NEW, Habits(), 1),
        ],
        ids=[
            "it has not moved",
            "it has not moved, where it always moves",
            "it has not moved, where it was seen to stay",
            "it is not there",
            "it is not there any more",
            "it has moved, and is too old to prove it",
            "queued",
            "queued, where it always moves",
            "no status",
            "an earlier command had not been seen to end",
            "an earlier command had not been seen to end, without a baseline",
            "lost",
            "lost, where it always moves",
            "no baseline",
            "no baseline where it always moves",
            "no baseline, and older than the response",
            "no baseline, and newer than the response",
            "no baseline, and too close to the response to tell",
            "moved by another change of this client",
            "moved since a list",
        ],
    )
    def test_how_many_graces_prove_a_reboot(self, command, updated_at, habits, graces):
        """W29: while `updated_at` contradicts it, time alone proves it late or never."""
        seconds = [1 * 15.0, 4 * 15.0, UNCLEAR, 600.0]
        proven = [
            took_effect(command, [shown(updated_at, 2.0 + passed - early)], grace=15.0, habits=habits)
            for passed in seconds
            for early in (0.1, 0.0)
        ]

        assert proven == [passed - early >= graces * 15.0 for passed in seconds for early in (0.1, 0.0)]

    @given(st.floats(0, 299), st.floats(0, 100))
    def test_a_queued_reboot_is_not_proven_by_minutes(self, passed, grace):
        """W29: its answer said `active`."""
        queued = attrs.evolve(REBOOT, said="active")

        assert not took_effect(queued, [shown(OLD, 2.0 + passed)], grace=grace)

    @given(st.floats(0, 1e6), st.floats(0, 100))
    def test_a_queued_reboot_is_never_proven_by_time_where_updated_at_always_moves(self, passed, grace):
        """W29: it has not moved."""
        queued = attrs.evolve(REBOOT, said="active")

        assert not took_effect(queued, [shown(OLD, 2.0 + passed)], grace=grace, habits=MOVES)


class TestAge:
    @pytest.mark.parametrize(
        ("name", "lost", "aged"),
        [("start", False, True), ("stop", False, True), ("reboot", False, False), ("reboot", True, True)],
    )
    def test_a_start_or_stop_decides_nothing_after_15_minutes(self, name, lost, aged):
        """W42: in waits that run as well. Only a reboot that was accepted is waited for without end by those."""
        command = Command(name=name, began=1.0, answered=2.0, lost=lost)

        assert (is_aged(command, 901.9), is_aged(command, 902.0)) == (False, aged)


class TestStatus:
    @pytest.mark.parametrize(
        ("updated_at", "effect"), [(OLD, False), (NEW, True), (None, True)], ids=["the one before", "newer", "unknown"]
    )
    def test_the_rebooting_of_an_earlier_reboot_is_no_effect(self, updated_at, effect):
        """W40: a replica that lags shows the reboot before."""
        command = attrs.evolve(REBOOT, old_transition=OLD)

        assert is_effect(command, shown(updated_at, status="rebooting")) is effect


class TestExplained:
    """A move of `updated_at` that a change by somebody else explains proves nothing, whatever the time."""

    @pytest.mark.parametrize(
        ("names", "habits", "over"),
        [
            (("web-01", "a.example"), MOVES, True),
            (("old", "a.example"), MOVES, False),
            (("old", "a.example"), Habits(), False),
            (None, MOVES, True),
        ],
    )
    def test_a_rename_while_the_reboot_is_queued(self, names, habits, over):
        """W29: a list shows names, so that it can tell."""
        command = attrs.evolve(REBOOT, baseline=Baseline(updated_at=OLD, names=names))
        seen = shown(NEW, began=command.answered + 16, listed=True)

        assert took_effect(command, [seen], grace=15.0, habits=habits) is over

    def test_at_an_api_that_always_moves_it_five_minutes_are_needed(self):
        """W29: at another API, four times the grace is enough."""
        command = attrs.evolve(REBOOT, baseline=Baseline(updated_at=OLD, names=("old", "a.example")))
        early, late = (shown(NEW, began=command.answered + seconds, listed=True) for seconds in (299, 300))

        assert not took_effect(command, [early], grace=15.0, habits=MOVES)
        assert took_effect(command, [late], grace=15.0, habits=MOVES)
        assert took_effect(command, [early], grace=15.0, habits=Habits())

    def test_no_replica_lags_for_longer_than_the_grace(self):
        """W29: at an API that leaves `updated_at` alone, a second `rebooting` looks like the first."""
        command = attrs.evolve(REBOOT, said="active", old_transition=OLD)
        early, late = (shown(OLD, began=command.answered + seconds, status="rebooting") for seconds in (5, 15))

        assert not took_effect(command, [early], grace=15.0, habits=Habits())
        assert took_effect(command, [late], grace=15.0, habits=Habits())


@pytest.mark.parametrize(("name", "status"), [("start", "stopping"), ("stop", "starting"), ("stop", "rebooting")])
def test_a_transition_that_leads_to_the_status_from_before_is_no_effect(name, status):
    """W4: it is that of an earlier command, which a replica that lags still shows."""
    command = Command(name=name, began=1.0, answered=2.0)

    assert not is_effect(command, shown(NEW, status=status))


def test_a_change_from_before_the_command_proves_no_lost_reboot():
    """R6: newer than the baseline, and older than the POST by more than clocks may differ."""
    lost = attrs.evolve(REBOOT, lost=True)

    assert not updated_by(lost, shown(NOON - dt.timedelta(seconds=3)))
    assert updated_by(lost, shown(NOON - dt.timedelta(seconds=1)))
