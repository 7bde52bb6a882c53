"""What observations prove of a goal: tables, their closure, and sequences of observations made at random."""

from __future__ import annotations

import datetime as dt
import math

import attrs
import pytest

from hypothesis import example, given
from hypothesis import strategies as st

from vpsorg_async import Server, ServerStatus
from vpsorg_async._polling.habits import Habits
from vpsorg_async._polling.judge import Done, Failed, KeepWaiting, judge, keep, run_of
from vpsorg_async._polling.lifecycle import ENDS, LASTING, PASSING, TRANSITIONS, Baseline, Command, Goal, Observation


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)
GRACE = 15.0
GONE = object()


def observation(status, began, *, took=0.0, updated_at=None, known=True):
    server = None if status is GONE else Server(id=7, name="web-01", status=status, updated_at=updated_at)
    return Observation(began=began, ended=began + took, server=server, known=known)


def observations(*statuses, start=10.0, known=True):
    """Return observations a second apart, the first at *start*."""
    return [observation(status, start + number, known=known) for number, status in enumerate(statuses)]


def lasting(seen, seconds=3.0):
    """Return *seen* with the last observation once more, *seconds* later."""
    return [*seen, attrs.evolve(seen[-1], began=seen[-1].began + seconds)]


def baseline(updated_at):
    return None if updated_at is None else Baseline(updated_at=updated_at, settings=("web-01", None, None))


def command(name, **options):
    return Command(**{"name": name, "began": 1.0, "answered": 2.0, **options})


def goal(*statuses, **options):
    return Goal(statuses=frozenset(statuses), **options)


class TestTables:
    @pytest.mark.parametrize("status", list(ServerStatus))
    def test_every_status_is_a_key(self, status):
        """Whether a goal or not, each of them has a verdict."""
        assert judge(goal(status), None, observations(status)) == Done()
        elsewhere = goal(*set(ServerStatus) - {status}, fail_on=frozenset({status}))
        assert judge(elsewhere, None, lasting(observations(status))) == Failed(f"it is {status}")

    @pytest.mark.parametrize("through", sorted(PASSING))
    @pytest.mark.parametrize("end", sorted(ENDS))
    def test_every_status_in_which_commands_end_ends_every_wait(self, through, end):
        """After a transition it is the goal, or the end of the hope for it."""
        for wanted in ServerStatus:
            if wanted == through:
                continue
            verdict = judge(goal(wanted, fail_on=frozenset()), None, lasting(observations(through, end)))
            assert verdict == (Done() if wanted == end else Failed(f"it was {through} and is now {end}"))

    @pytest.mark.parametrize("through", sorted(PASSING))
    def test_the_lasting_status_in_which_no_command_ends_is_left_to_fail_on(self, through):
        """The vendor suspends a server in any status, and nothing that was under way has ended there."""
        (suspended,) = LASTING - ENDS
        after = lasting(observations(through, suspended))

        assert judge(goal("active", fail_on=frozenset({suspended})), None, after) == Failed(f"it is {suspended}")
        assert judge(goal("active", fail_on=frozenset()), None, after) == KeepWaiting()
        assert judge(goal("active", fail_on=frozenset()), command("create"), after) == KeepWaiting()


ACTIVE, STOPPED = goal("active"), goal("stopped")
IS_GONE = Failed("the API says that there is no such server", gone=True)
REBOOT = command("reboot", said="rebooting")
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
            pytest.param(ACTIVE, REBOOT, observations("active", start=16.9), KeepWaiting(), id="grace: not yet"),
            pytest.param(ACTIVE, REBOOT, observations("active", start=17.0), Done(), id="grace: over"),
            pytest.param(
                ACTIVE, command("reboot"), observations("active", start=301.9), KeepWaiting(), id="reboot: queued"
            ),
            pytest.param(
                ACTIVE, command("start"), observations("stopped", start=901.0), KeepWaiting(), id="start: W27"
            ),
            pytest.param(
                STOPPED, command("start"), observations("stopped", start=901.0), KeepWaiting(), id="start: held"
            ),
            pytest.param(STOPPED, command("start"), observations("stopped", start=902.0), Done(), id="start: aged"),
            pytest.param(
                ACTIVE, command("start"), observations("stopped", start=902.0), KeepWaiting(), id="start: aged too"
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
            pytest.param(ACTIVE, None, observations(GONE), IS_GONE, id="404 of a server that was seen"),
            pytest.param(ACTIVE, None, observations("deleted"), IS_GONE, id="deleted"),
            pytest.param(goal(), None, observations("deleted"), Done(), id="deleted is gone"),
            pytest.param(
                ACTIVE, None, observations(GONE, known=False), KeepWaiting(IS_GONE, 15.0), id="404 of one unknown"
            ),
            pytest.param(
                ACTIVE, None, observations(*[GONE] * 6, known=False), IS_GONE, id="404 of one unknown for 5 s"
            ),
            pytest.param(
                ACTIVE,
                command("create"),
                observations(GONE, known=False),
                KeepWaiting(IS_GONE, 25.0),
                id="create: 404 young",
            ),
            pytest.param(
                ACTIVE, command("create"), observations(*[GONE] * 16, known=False), IS_GONE, id="create: 404 old"
            ),
            pytest.param(
                ACTIVE,
                command("create"),
                observations(*["provisioning"] * 20, GONE, known=False),
                IS_GONE,
                id="create: 404 after it was seen, and after the grace",
            ),
            pytest.param(
                ACTIVE,
                command("create"),
                observations("provisioning", GONE),
                KeepWaiting(IS_GONE, 26.0),
                id="create: 404 of another replica",
            ),
            pytest.param(
                ACTIVE,
                command("create"),
                observations("provisioning", *[GONE] * 16),
                IS_GONE,
                id="create: 404 for the grace, after it was seen",
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
        if isinstance(verdict, Failed) and not verdict.gone:
            # In doubt at first, and believed 3 s later.
            assert judge(wanted, given_command, seen) == KeepWaiting(verdict, until=seen[-1].began + 3)
            assert judge(wanted, given_command, lasting(seen, 2.9)) == KeepWaiting(verdict, until=seen[-1].began + 3)
            seen = lasting(seen)
        assert judge(wanted, given_command, seen) == verdict

    @pytest.mark.parametrize(
        ("given_command", "statuses", "until"),
        [
            pytest.param(command("reboot"), ["stopped"], 17.0, id="at once"),
            pytest.param(command("reboot"), ["active", "stopped"], 17.0, id="after active"),
            pytest.param(command("reboot", answered=-30.0), ["active", "stopped"], 14.0, id="long after"),
            pytest.param(command("reboot", lost=True), ["stopped"], None, id="perhaps never executed"),
            pytest.param(command("start"), ["stopped"], None, id="a start"),
            pytest.param(command("reboot"), ["suspended"], None, id="suspended"),
            pytest.param(None, ["stopped"], None, id="no command"),
        ],
    )
    def test_a_reboot_that_no_observation_shows_ends_elsewhere_when_the_grace_has_passed(
        self, given_command, statuses, until
    ):
        """Before that, a replica may show what was before the command."""
        seen, wanted = observations(*statuses), goal("active", fail_on=frozenset())
        failed = Failed("it was told to reboot and is now stopped")

        assert judge(wanted, given_command, seen) == KeepWaiting(*([] if until is None else [failed, until]))
        if until is not None:
            begun = seen[-1].began
            assert judge(wanted, given_command, lasting(seen, until - begun - 0.1)) == KeepWaiting(failed, until)
            assert judge(wanted, given_command, lasting(seen, until - begun)) == failed

    @pytest.mark.parametrize("between", ["active", "rebooting", "", "migrating"])
    def test_a_status_is_not_believed_if_another_came_between(self, between):
        """Every observation has to have shown it."""
        seen = observations("rebooting", "stopped", between, "stopped", "stopped")

        assert judge(goal("suspended", fail_on=frozenset()), None, seen[:-1]) == KeepWaiting(
            *([] if between == "active" else [Failed("it was rebooting and is now stopped"), 16.0])
        )

    @pytest.mark.parametrize(
        ("rebooting", "active", "date", "began", "verdict"),
        [
            pytest.param(NOON, NOON, NOON, 16.9, KeepWaiting(), id="the same second"),
            pytest.param(NOON, NOON, NOON + dt.timedelta(seconds=2), 16.9, KeepWaiting(), id="clocks that differ"),
            pytest.param(NOON, NOON, NOON, 17.0, Done(), id="the grace is over"),
            pytest.param(NOON, NEW, NOON, 4.0, Done(), id="a later second"),
            pytest.param(OLD, OLD, NOON, 4.0, Done(), id="it does not move"),
            pytest.param(NOON, NOON, None, 4.0, Done(), id="no Date"),
            pytest.param(NOON, None, NOON, 4.0, Done(), id="no updated_at"),
        ],
    )
    def test_the_active_of_the_second_of_a_reboot_may_be_from_before_it(self, rebooting, active, date, began, verdict):
        """W28: of a reboot before, whose end a replica that lags shows; `updated_at` cannot tell that it is older."""
        seen = [observation("rebooting", 3.0, updated_at=rebooting), observation("active", began, updated_at=active)]
        after_another = command("reboot", date=date, old_transition=OLD - dt.timedelta(hours=1))

        assert judge(ACTIVE, after_another, seen) == verdict
        assert judge(ACTIVE, after_another, seen[1:]) == KeepWaiting()
        assert judge(ACTIVE, command("reboot", date=date), seen) == Done()

    @pytest.mark.parametrize(
        ("asked", "updated_at", "verdict"),
        [
            pytest.param(4.0, OLD, KeepWaiting(), id="on their way together"),
            pytest.param(5.0, OLD, Done(), id="one after the other"),
            pytest.param(4.0, NEW, Done(), id="newer by the API's clock"),
        ],
    )
    def test_what_was_asked_for_before_the_reboot_was_seen_may_be_from_before_it(self, asked, updated_at, verdict):
        """W40: a list on its way for long shows the reboot, and a GET beside it was read before."""
        seen = [observation("rebooting", 3.0, took=2.0, updated_at=OLD)]
        seen.append(observation("active", asked, took=1.5, updated_at=updated_at))

        assert judge(ACTIVE, command("reboot"), seen) == verdict

    def test_a_404_that_was_asked_for_within_the_grace_of_a_create_may_come_late(self):
        """W40: a replica that lags has answered slowly."""
        seen = [*observations("provisioning"), observation(GONE, 16.0, took=5.0)]

        assert judge(ACTIVE, command("create"), seen) == KeepWaiting(IS_GONE, until=36.0)
        assert judge(ACTIVE, command("create"), [*seen, observation(GONE, 36.0)]) == IS_GONE

    def test_a_status_is_believed_some_seconds_after_it_has_come(self):
        """W33: the first response may have been on its way for long, so that two are of the same moment."""
        seen = [
            observation("suspended", 10.0, took=9.0),
            observation("suspended", 19.5),
            observation("suspended", 22.0),
        ]
        wanted = goal("active", fail_on=frozenset({"suspended"}))

        assert judge(wanted, None, seen[:2]) == KeepWaiting(Failed("it is suspended"), until=22.0)
        assert judge(wanted, None, seen) == Failed("it is suspended")

    @pytest.mark.parametrize(
        ("old", "date", "updated_at", "proven"),
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
    def test_a_newer_update_proves_a_reboot(self, old, date, updated_at, proven):
        """Newer than before, and not older than the API's response less 2 s."""
        given_command = command("reboot", said="rebooting", baseline=baseline(old), date=date)

        verdict = judge(ACTIVE, given_command, [observation("active", 3.0, updated_at=updated_at)])

        assert verdict == (Done() if proven else KeepWaiting())


STATUSES = st.sampled_from([*ServerStatus, "migrating", "", GONE])
MOMENTS = st.sampled_from([None, OLD, NOON, NEW])
COMMANDS = st.none() | st.builds(
    command,
    st.sampled_from(sorted(TRANSITIONS)),
    answered=st.sampled_from([2.0, 5.0, float("inf")]),
    lost=st.booleans(),
    said=st.sampled_from(["", "active", "rebooting"]),
    baseline=MOMENTS.map(baseline),
    disturbed=st.sampled_from([0.0, 5.0, math.inf]),
    date=MOMENTS,
    old_transition=MOMENTS,
)
GOALS = st.builds(
    lambda statuses, fail_on: Goal(statuses=statuses, fail_on=fail_on - statuses, grace=GRACE),
    st.frozensets(st.sampled_from(list(ServerStatus)), max_size=3),
    st.frozensets(st.sampled_from(list(ServerStatus)), max_size=2),
)
SEQUENCES = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 4.0, 20.0, 900.0]), STATUSES, MOMENTS), max_size=8).map(
    lambda items: [
        observation(status, sum(item[0] for item in items[: number + 1]), took=0.5, updated_at=updated_at)
        for number, (_, status, updated_at) in enumerate(items)
    ]
)
HELD = {"start": "stopped", "stop": "active", "reboot": "active"}
LEADS_TO_HELD = {
    "start": {"stopping"},
    "stop": {"starting", "rebooting", "provisioning"},
    "reboot": {"starting", "provisioning"},
}


HABITS = st.builds(Habits, moves=st.booleans(), stays=st.booleans(), ticks=st.booleans())


def proves(wanted, given_command, seen, habits):
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
    name, held, waited = given_command.name, last.status, seen[-1].began - given_command.answered
    if is_on_its_way_with_another(given_command, seen) and not ended_long_ago(given_command, waited):
        return False
    if may_be_of_the_second_before(given_command, seen, waited):
        return False
    since = [
        one.server.status
        for one in seen
        if one.began >= given_command.answered and one.server is not None and not is_stale(given_command, one)
    ]
    if set(since) - {"", held} - LEADS_TO_HELD[name]:
        return True
    if name != "reboot":
        return waited >= 900 or (given_command.lost and waited >= GRACE)
    return (given_command.lost and waited >= 900) or is_over(given_command, seen[-1], waited, habits)


def is_stale(given_command, one):
    """Say whether an observation shows the transition that was under way when the command was sent."""
    transitional = TRANSITIONS[given_command.name].transitional_status
    young = one.began - given_command.answered < GRACE
    old = given_command.old_transition is not None and one.server.updated_at == given_command.old_transition
    return one.server.status == transitional and young and old


def ended_long_ago(given_command, waited):
    """Say whether a command decides nothing any more."""
    return waited >= 900 and (given_command.name != "reboot" or given_command.lost)


def is_on_its_way_with_another(given_command, seen):
    """Say whether the last observation was asked for before the one before it, of another status, had come."""
    since = [one for one in seen if one.began >= given_command.answered]
    others = [one for one in since if one.status != seen[-1].status]
    if not others or others[-1].server is None or others[-1].ended <= seen[-1].began:
        return False
    older, newer = others[-1].server.updated_at, seen[-1].server.updated_at
    return older is None or newer is None or newer <= older


def may_be_of_the_second_before(given_command, seen, waited):
    """Say whether the last observation and the reboot share the second in which the reboot was accepted."""
    moment = seen[-1].server.updated_at
    known = None not in (moment, given_command.date, given_command.old_transition)
    if given_command.name != "reboot" or waited >= GRACE or not known:
        return False
    near = abs(moment - given_command.date) <= dt.timedelta(seconds=2)
    since = [one.server for one in seen if one.began >= given_command.answered and one.server is not None]
    return near and any((one.status, one.updated_at) == ("rebooting", moment) for one in since)


def is_over(given_command, shown, waited, habits):
    """Say whether a reboot is over that no status has shown."""
    last = shown.server
    old = None if given_command.baseline is None else given_command.baseline.updated_at
    floor = None if given_command.date is None else given_command.date - dt.timedelta(seconds=2)
    own = shown.ended <= given_command.disturbed
    said = given_command.said == "rebooting"
    can_be_told = None not in (old, floor, last.updated_at) and own and not habits.ticks and (said or waited >= GRACE)
    if can_be_told and last.updated_at > old and last.updated_at >= floor:
        return True
    as_before = last.updated_at is not None and (
        last.updated_at == old if old is not None else floor is not None and last.updated_at < floor
    )
    if as_before and habits.moves and not habits.stays:
        return False
    if not (said or given_command.lost):
        return waited >= 300
    has_moved = last.updated_at is not None and not as_before and (own if old is not None else floor is not None)
    once = last.updated_at is None or has_moved or habits.stays
    return waited >= (GRACE if once and not given_command.lost else 4 * GRACE)


class TestSequences:
    @given(GOALS, COMMANDS, SEQUENCES, HABITS)
    @example(ACTIVE, command("reboot"), observations("active", "rebooting", "active"), Habits())
    def test_done_is_proof_and_proof_is_done(self, wanted, given_command, seen, habits):
        """No sequence yields Done without proof of the goal, and one that ends in proof yields Done there."""
        assert (judge(wanted, given_command, seen, habits) == Done()) == proves(wanted, given_command, seen, habits)

    @given(GOALS, COMMANDS, SEQUENCES)
    def test_leaving_out_what_is_repeated_changes_no_verdict(self, wanted, given_command, seen):
        """A wait keeps runs of one status as their last observation; step by step the verdicts are the same."""
        kept = []
        for number in range(len(seen)):
            keep(kept, seen[number])
            run = run_of(seen[: number + 1])
            assert judge(wanted, given_command, kept, run=run) == judge(wanted, given_command, seen[: number + 1])

    @given(COMMANDS, SEQUENCES)
    def test_the_status_held_before_the_command_never_fails_a_wait_by_itself(self, given_command, seen):
        """Whatever `fail_on` says, as long as nothing else than that status was seen."""
        if given_command is None or given_command.name == "create":
            return
        given_command = attrs.evolve(given_command, answered=5.0, lost=False)
        seen = [one for one in seen if one.began < 900]
        held = [observation(HELD[given_command.name], one.began) for one in seen]

        verdict = judge(
            goal("suspended", fail_on=frozenset({HELD[given_command.name]}), grace=1e9), given_command, held
        )

        assert verdict == KeepWaiting()
