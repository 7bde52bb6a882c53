"""What observations prove of a goal: tables, their closure, and sequences of observations made at random."""

from __future__ import annotations

import datetime as dt

import pytest

from hypothesis import example, given
from hypothesis import strategies as st

from vpsorg_async import Server, ServerStatus
from vpsorg_async._polling.lifecycle import (
    ENDS,
    LASTING,
    PASSING,
    TRANSITIONS,
    Command,
    Done,
    Failed,
    Goal,
    KeepWaiting,
    Observation,
    judge,
    keep,
)


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)
GRACE = 15.0
GONE = object()


def observation(status, began, *, updated_at=None):
    server = None if status is GONE else Server(id=7, name="web-01", status=status, updated_at=updated_at)
    return Observation(began=began, ended=began + 0.5, server=server)


def observations(*statuses, start=10.0):
    """Return observations a second apart, the first at *start*."""
    return [observation(status, start + number) for number, status in enumerate(statuses)]


def command(name, **options):
    return Command(**{"name": name, "began": 1.0, "answered": 2.0, **options})


def goal(*statuses, **options):
    return Goal(statuses=frozenset(statuses), **options)


class TestTables:
    def test_every_status_is_lasting_or_passing(self):
        """The two tables cover the seven, none twice."""
        assert LASTING | PASSING.keys() == set(ServerStatus)
        assert LASTING.isdisjoint(PASSING)

    def test_every_transition_leads_through_a_passing_status_to_a_lasting_one(self):
        """No command ends in a status that passes, and no two share a transition."""
        throughs = [transition.transitional_status for transition in TRANSITIONS.values()]

        assert sorted(throughs) == sorted(PASSING)
        assert all(transition.status_after in LASTING for transition in TRANSITIONS.values())
        assert all(transition.status_before in LASTING | {None} for transition in TRANSITIONS.values())

    @pytest.mark.parametrize("status", list(ServerStatus))
    def test_every_status_is_a_key(self, status):
        """Whether a goal or not, each of them has a verdict."""
        assert judge(goal(status), None, observations(status)) == Done()
        assert judge(
            goal(*set(ServerStatus) - {status}, fail_on=frozenset({status})), None, observations(status)
        ) == Failed(f"it is {status}")

    @pytest.mark.parametrize("through", sorted(PASSING))
    @pytest.mark.parametrize("lasting", sorted(ENDS))
    def test_every_status_in_which_commands_end_ends_every_wait(self, through, lasting):
        """After a transition it is the goal, or the end of the hope for it."""
        for wanted in ServerStatus:
            if wanted == through:
                continue
            verdict = judge(goal(wanted, fail_on=frozenset()), None, observations(through, lasting))
            assert verdict == (Done() if wanted == lasting else Failed(f"it was {through} and is now {lasting}"))

    @pytest.mark.parametrize("through", sorted(PASSING))
    def test_the_lasting_status_in_which_no_command_ends_is_left_to_fail_on(self, through):
        """The vendor suspends a server in any status, and nothing that was under way has ended there."""
        (suspended,) = LASTING - ENDS
        after = observations(through, suspended)

        assert judge(goal("active", fail_on=frozenset({suspended})), None, after) == Failed(f"it is {suspended}")
        assert judge(goal("active", fail_on=frozenset()), None, after) == KeepWaiting()
        assert judge(goal("active", fail_on=frozenset()), command("create"), after) == KeepWaiting()


ACTIVE, STOPPED = goal("active"), goal("stopped")
OLD, NEW = NOON - dt.timedelta(hours=1), NOON + dt.timedelta(seconds=1)


class TestJudge:
    @pytest.mark.parametrize(
        ("wanted", "given_command", "seen", "verdict"),
        [
            pytest.param(ACTIVE, None, [], KeepWaiting(), id="nothing seen"),
            pytest.param(ACTIVE, None, observations("active"), Done(), id="there"),
            pytest.param(ACTIVE, None, observations("stopped"), KeepWaiting(), id="not there"),
            pytest.param(ACTIVE, None, observations("migrating"), KeepWaiting(), id="undocumented"),
            pytest.param(ACTIVE, None, observations(""), KeepWaiting(), id="no status"),
            pytest.param(goal(), None, observations(GONE), Done(), id="gone is the goal"),
            pytest.param(goal(), None, observations("suspended"), KeepWaiting(), id="not gone"),
            pytest.param(
                goal(), None, observations("stopping", "stopped"), KeepWaiting(), id="nothing fails a deletion"
            ),
            pytest.param(
                ACTIVE,
                command("reboot"),
                observations("active", start=1.9),
                KeepWaiting(),
                id="begun before the answer",
            ),
            pytest.param(ACTIVE, command("reboot"), observations("active"), KeepWaiting(), id="reboot: still active"),
            pytest.param(ACTIVE, command("reboot"), observations("rebooting", "active"), Done(), id="reboot: back"),
            pytest.param(
                ACTIVE,
                command("reboot"),
                observations("rebooting", start=1.0) + observations("active"),
                KeepWaiting(),
                id="reboot: left before the answer",
            ),
            pytest.param(
                ACTIVE,
                command("reboot"),
                observations("starting", "active"),
                KeepWaiting(),
                id="reboot: the start before",
            ),
            pytest.param(
                ACTIVE,
                command("reboot"),
                observations("provisioning", "active"),
                KeepWaiting(),
                id="reboot: the create before",
            ),
            pytest.param(
                ACTIVE, command("reboot"), observations("active", start=16.9), KeepWaiting(), id="grace: not yet"
            ),
            pytest.param(ACTIVE, command("reboot"), observations("active", start=17.0), Done(), id="grace: over"),
            pytest.param(
                ACTIVE, command("start"), observations("stopped", start=900.0), KeepWaiting(), id="start: W27"
            ),
            pytest.param(
                STOPPED, command("start"), observations("stopped", start=900.0), KeepWaiting(), id="start: held"
            ),
            pytest.param(
                STOPPED,
                command("start", lost=True),
                observations("stopped", start=17.0),
                Done(),
                id="lost start: grace",
            ),
            pytest.param(
                STOPPED,
                command("start", lost=True),
                observations("stopped", start=16.9),
                KeepWaiting(),
                id="lost start: not yet",
            ),
            pytest.param(
                ACTIVE,
                command("start"),
                observations("stopping", "stopped"),
                KeepWaiting(),
                id="start: the stop before",
            ),
            pytest.param(
                ACTIVE,
                command("start"),
                observations("starting", "stopped"),
                Failed("it was starting and is now stopped"),
                id="start: failed",
            ),
            pytest.param(
                STOPPED, command("stop"), observations("starting", "active"), KeepWaiting(), id="stop: the start before"
            ),
            pytest.param(STOPPED, command("stop"), observations("active", "stopped"), Done(), id="stop: done"),
            pytest.param(
                ACTIVE,
                command("reboot", answered=float("inf")),
                observations("rebooting", "active"),
                KeepWaiting(),
                id="on the wire",
            ),
            pytest.param(ACTIVE, command("create"), observations(GONE), KeepWaiting(), id="create: 404 young"),
            pytest.param(
                ACTIVE,
                command("create"),
                observations(GONE, start=17.0),
                Failed("the API says that there is no such server", gone=True),
                id="create: 404 old",
            ),
            pytest.param(
                ACTIVE,
                command("create"),
                observations("provisioning", GONE),
                Failed("the API says that there is no such server", gone=True),
                id="create: 404 after it was seen",
            ),
            pytest.param(
                ACTIVE,
                command("create", seen=True),
                observations(GONE),
                Failed("the API says that there is no such server", gone=True),
                id="create: 404 after somebody else saw it",
            ),
            pytest.param(
                ACTIVE,
                command("create"),
                observations("stopped"),
                Failed("it was provisioning and is now stopped"),
                id="create: stopped",
            ),
        ],
    )
    def test_the_table(self, wanted, given_command, seen, verdict):
        """The cases of the module's rules, one by one."""
        assert judge(wanted, given_command, seen) == verdict

    @pytest.mark.parametrize(
        ("baseline", "date", "updated_at", "proven"),
        [
            (OLD, NOON, NEW, True),
            (OLD, NOON, NOON - dt.timedelta(seconds=2), True),
            (OLD, NOON, NOON - dt.timedelta(seconds=2.001), False),
            (None, NOON, NEW, False),
            (OLD, None, NEW, False),
            (OLD, NOON, None, False),
            (NEW, NOON, NEW, False),
        ],
    )
    def test_a_newer_update_proves_a_reboot(self, baseline, date, updated_at, proven):
        """Newer than before, and not older than the API's response less 2 s."""
        given_command = command("reboot", baseline=baseline, date=date)

        verdict = judge(ACTIVE, given_command, [observation("active", 3.0, updated_at=updated_at)])

        assert verdict == (Done() if proven else KeepWaiting())


STATUSES = st.sampled_from([*ServerStatus, "migrating", "", GONE])
MOMENTS = st.sampled_from([None, OLD, NOON, NEW])
COMMANDS = st.none() | st.builds(
    command,
    st.sampled_from(sorted(TRANSITIONS)),
    answered=st.sampled_from([2.0, 5.0, float("inf")]),
    lost=st.booleans(),
    baseline=MOMENTS,
    date=MOMENTS,
)
GOALS = st.builds(
    lambda statuses, fail_on: Goal(statuses=statuses, fail_on=fail_on - statuses, grace=GRACE),
    st.frozensets(st.sampled_from(list(ServerStatus)), max_size=3),
    st.frozensets(st.sampled_from(list(ServerStatus)), max_size=2),
)
SEQUENCES = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 4.0, 20.0]), STATUSES, MOMENTS), max_size=8).map(
    lambda items: [
        observation(status, sum(item[0] for item in items[: number + 1]), updated_at=updated_at)
        for number, (_, status, updated_at) in enumerate(items)
    ]
)
HELD = {"start": "stopped", "stop": "active", "reboot": "active"}
LEADS_TO_HELD = {
    "start": {"stopping"},
    "stop": {"starting", "rebooting", "provisioning"},
    "reboot": {"starting", "provisioning"},
}


def proves(wanted, given_command, seen):
    """Say whether the last observation proves the goal, by the rule of the design in words of its own."""
    if not seen or (given_command is not None and seen[-1].began < given_command.answered):
        return False
    last = seen[-1].server
    if not wanted.statuses:
        return last is None
    if last is None or last.status not in wanted.statuses:
        return False
    if given_command is None or last.status != HELD.get(given_command.name):
        return True
    name, held = given_command.name, last.status
    since = [one.server.status for one in seen if one.began >= given_command.answered and one.server is not None]
    if set(since) - {"", held} - LEADS_TO_HELD[name]:
        return True
    if name == "reboot" and None not in (last.updated_at, given_command.baseline, given_command.date):
        floor = given_command.date - dt.timedelta(seconds=2)
        if last.updated_at > given_command.baseline and last.updated_at >= floor:
            return True
    return (name == "reboot" or given_command.lost) and seen[-1].began >= given_command.answered + GRACE


class TestSequences:
    @given(GOALS, COMMANDS, SEQUENCES)
    @example(ACTIVE, command("reboot"), observations("active", "rebooting", "active"))
    def test_done_is_proof_and_proof_is_done(self, wanted, given_command, seen):
        """No sequence yields Done without proof of the goal, and one that ends in proof yields Done there."""
        assert (judge(wanted, given_command, seen) == Done()) == proves(wanted, given_command, seen)

    @given(GOALS, COMMANDS, SEQUENCES)
    def test_leaving_out_what_is_repeated_changes_no_verdict(self, wanted, given_command, seen):
        """A wait keeps runs of one status as their last observation; step by step the verdicts are the same."""
        kept = []
        for number in range(len(seen)):
            keep(kept, seen[number])
            assert judge(wanted, given_command, kept) == judge(wanted, given_command, seen[: number + 1])

    @given(COMMANDS, SEQUENCES)
    def test_the_status_held_before_the_command_never_fails_a_wait_by_itself(self, given_command, seen):
        """Whatever `fail_on` says, as long as nothing else than that status was seen."""
        if given_command is None or given_command.name == "create":
            return
        held = [observation(HELD[given_command.name], one.began) for one in seen]

        verdict = judge(
            goal("suspended", fail_on=frozenset({HELD[given_command.name]}), grace=1e9), given_command, held
        )

        assert verdict == KeepWaiting()
