"""What a wait keeps of the observations of its server."""

from __future__ import annotations

import datetime as dt

import pytest

from vpsorg_async import Server
from vpsorg_async._polling.command_log import Change
from vpsorg_async._polling.evidence import Evidence
from vpsorg_async._polling.judge import Done, KeepWaiting
from vpsorg_async._polling.lifecycle import Command, Goal, Observation, Suspicion


def observation(status, began):
    server = None if status is None else Server(id=7, name="web-01", status=status)
    return Observation(began=began, ended=began + 0.5, server=server)


class TestEvidence:
    def test_it_keeps_the_last_server_and_each_change_of_status(self):
        evidence = Evidence(Goal(statuses=frozenset({"active"})))
        given = [observation(status, began) for began, status in enumerate(["stopped", "stopped", "starting", None])]

        news = [evidence.take(one) for one in given]
        changed = [evidence.note_status(one) for one in given]

        assert (news, changed) == ([True, False, True, True], [True, False, True, False])
        assert evidence.last is given[2].server
        assert [(seen.status, seen.at) for seen in evidence.history] == [("stopped", 0.5), ("starting", 2.5)]

    def test_its_verdict_is_about_the_last_observation(self):
        evidence = Evidence(Goal(statuses=frozenset({"active"})))
        verdicts = []
        for began, status in enumerate(["active", "stopping"]):
            evidence.take(observation(status, began))
            verdicts.append(evidence.verdict())

        assert verdicts == [Done(), KeepWaiting()]


NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
EARLIER = NOON - dt.timedelta(hours=1)


def suspect(status, began, updated_at, *, newest=NOON, since=3.0):
    server = Server(id=7, name="web-01", status=status, updated_at=updated_at)
    return Observation(began=began, ended=began + 0.5, server=server, suspicion=Suspicion(newest, since))


def waiting_for_a_reboot():
    command = Command(name="reboot", began=1.0, answered=2.0, said="active")
    change = Change(7, 1.0, own=command)
    return Evidence(Goal(statuses=frozenset({"active"})), change=change)


def test_what_was_held_back_counts_once_the_clock_itself_has_gone_back():
    """W28: a reboot that only suspects have shown was executed."""
    evidence = waiting_for_a_reboot()
    evidence.take(suspect("rebooting", 3.0, EARLIER))
    evidence.take(suspect("active", 18.0, EARLIER + dt.timedelta(seconds=10)))

    assert evidence.held_back is None
    assert evidence.verdict() == Done()


def test_what_was_held_back_counts_for_nothing_once_a_newer_one_has_come():
    """W28: it came from replicas that lag."""
    evidence = waiting_for_a_reboot()
    evidence.take(suspect("rebooting", 3.0, EARLIER))
    newer = Server(id=7, name="web-01", status="active", updated_at=NOON)
    evidence.take(Observation(began=4.0, ended=4.5, server=newer))

    assert isinstance(evidence.verdict(), KeepWaiting)


@pytest.mark.parametrize(
    ("seen", "back", "verdict"),
    [
        pytest.param(17.0, 33.0, Done(), id="a grace after the command, and a grace later"),
        pytest.param(16.0, 33.0, KeepWaiting(), id="within the grace after the command"),
        pytest.param(17.0, 32.0, KeepWaiting(), id="another replica, within the grace"),
    ],
)
def test_a_reboot_on_a_node_whose_clock_is_slow_is_seen(seen, back, verdict):
    """W28: no replica lags for longer than the grace: so long after the command it was under way, and then over."""
    evidence = waiting_for_a_reboot()
    evidence.take(suspect("rebooting", seen, EARLIER, since=seen))
    newer = Server(id=7, name="web-01", status="active", updated_at=NOON + dt.timedelta(seconds=40))
    evidence.take(Observation(began=back, ended=back + 0.5, server=newer, listed=True))

    assert evidence.verdict() == verdict


def later(seconds):
    return EARLIER + dt.timedelta(seconds=seconds)


def waiting_for(status, *, grace=15.0):
    return Evidence(Goal(statuses=frozenset({status}), grace=grace))


def test_the_newest_of_those_held_back_is_believed_also_after_a_grace_of_the_waits_own():
    """W28: and not the first that comes when the grace is over, from a replica that lags."""
    evidence = waiting_for("active", grace=5.0)
    evidence.take(suspect("active", 3.0, later(55)))
    evidence.take(suspect("stopped", 6.0, later(65)))
    news = evidence.take(suspect("active", 8.5, later(55)))

    assert (news, evidence.held_back is not None, evidence.last.status) == (False, True, "stopped")


def test_a_goal_that_those_held_back_had_shown_is_judged_with_the_next_one():
    """W28: also if that shows no more than they did."""
    evidence = waiting_for("active")
    evidence.take(suspect("active", 3.0, later(65)))
    evidence.take(suspect("starting", 18.5, later(55)))
    news = evidence.take(suspect("active", 19.0, later(65), newest=later(65)))

    assert (news, evidence.verdict()) == (True, Done())


def test_one_without_a_time_does_not_speak_for_those_held_back():
    """W40: they came from a replica that lags, and showed a reboot of before."""
    evidence = waiting_for_a_reboot()
    evidence.take(suspect("rebooting", 3.0, EARLIER))
    evidence.take(observation("active", 5.0))

    assert isinstance(evidence.verdict(), KeepWaiting)


def test_what_suspects_confirm_does_not_speak_for_those_held_back_before():
    """W28: a replica that lags has shown the reboot of before, and a node whose clock is slow shows what is."""
    evidence = waiting_for_a_reboot()
    evidence.take(observation("active", 3.0))
    for began, status in ((3.5, "rebooting"), (4.0, "active"), (20.0, "active")):
        evidence.take(suspect(status, began, EARLIER, since=began))

    assert evidence.held_back is None
    assert isinstance(evidence.verdict(), KeepWaiting)


@pytest.mark.parametrize(
    ("between", "believed"),
    [("active", True), ("stopped", False)],
    ids=["shown without a break", "a suspect in between that contradicts it"],
)
def test_what_suspects_confirm_for_the_grace_is_believed_beside_newer_ones(between, believed):
    """W28: the node's clock is slow, as no replica lags for so long."""
    evidence, fast = waiting_for("active"), NOON
    held = []
    for began, status, time in (
        (1.0, "active", fast),
        (2.0, "active", EARLIER),
        (7.0, "active", fast),
        (8.0, between, EARLIER),
        (16.0, "active", fast),
        (17.4, "active", EARLIER),
        (17.5, "active", EARLIER),
    ):
        evidence.take(
            suspect(status, began, time, since=began)
            if time is EARLIER
            else Observation(
                began=began, ended=began + 0.5, server=Server(id=7, name="web-01", status=status, updated_at=time)
            )
        )
        held.append(evidence.held_back is not None)

    assert held == [False, True, False, True, False, True, not believed]
