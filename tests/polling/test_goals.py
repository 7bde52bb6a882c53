"""The goal of a wait, from what a user gives."""

from __future__ import annotations

import pytest

from vpsorg_async import NOT_GIVEN, PollPolicy, ServerStatus
from vpsorg_async._polling.goals import checked_goal, goal_of, gone_goal
from vpsorg_async._polling.lifecycle import LASTING, TRANSITIONS


@pytest.mark.parametrize(
    ("status", "fail_on", "statuses", "fails"),
    [
        ("active", NOT_GIVEN, {"active"}, {"suspended"}),
        (ServerStatus.SUSPENDED, NOT_GIVEN, {"suspended"}, set()),
        (["active", "stopped"], "stopped", {"active", "stopped"}, set()),
        ("active", None, {"active"}, set()),
        ("active", (), {"active"}, set()),
        ({"active"}, ["stopped", "suspended"], {"active"}, {"stopped", "suspended"}),
    ],
)
def test_what_is_waited_for_never_fails_the_wait(status, fail_on, statuses, fails):
    goal = checked_goal(status, fail_on, PollPolicy(grace=7.0))

    assert (goal.statuses, goal.fail_on, goal.grace) == (statuses, fails, 7.0)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"status": ()}, ValueError, "status is empty: give at least one status to wait for"),
        ({"status": "actve"}, ValueError, "status='actve' (did you mean 'active'?) is no status"),
        ({"status": 7}, TypeError, "status takes a status or a collection of statuses, not 7"),
        ({"fail_on": "gone"}, ValueError, "fail_on='gone' is no status"),
        ({"poll": 5}, TypeError, "poll must be a PollPolicy, not 5"),
    ],
)
def test_what_cannot_be_a_goal_is_refused_by_its_name(given, kind, message):
    with pytest.raises(kind) as caught:
        checked_goal(**{"status": "active", "fail_on": NOT_GIVEN, "poll": PollPolicy(), **given})

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("command", TRANSITIONS)
def test_a_command_leads_to_one_lasting_status(command):
    goal = goal_of(command, PollPolicy(grace=7.0))

    assert len(goal.statuses) == 1
    assert goal.statuses < LASTING
    assert (goal.fail_on, goal.grace) == ({"suspended"}, 7.0)
    assert not goal.gone


def test_no_status_is_the_goal_of_a_deletion():
    goal = gone_goal(PollPolicy(grace=7.0))

    assert goal.gone
    assert goal.grace == 7.0


@pytest.mark.parametrize("make", [gone_goal, lambda poll: goal_of("stop", poll)])
def test_a_policy_of_another_type_is_refused(make):
    with pytest.raises(TypeError, match=r"^poll must be a PollPolicy, not 5$"):
        make(5)
