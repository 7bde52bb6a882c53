"""What is remembered of each server: the last command until it has shown its effect, and the newest observation."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import Server
from vpsorg_async._polling.command_log import CAPACITY, CommandLog
from vpsorg_async._polling.lifecycle import Baseline, Command, Observation, Suspicion


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)


def minutes(number):
    return NOON + dt.timedelta(minutes=number)


MINUTES = st.integers(0, 9).map(minutes)


def observation(status, began, *, updated_at=None, server_id=7):
    server = None if status is None else Server(id=server_id, name="web-01", status=status, updated_at=updated_at)
    return Observation(began=began, ended=began + 0.5, server=server)


def give(command_log, name, began, answered, server_id=7, **options):
    """Let a command be answered."""
    with command_log.changing(server_id, began, name) as change:
        command_log.changed(change, answered, **options)
    return change


def create(command_log):
    """Let a create be answered."""
    server = Server(id=7, name="web-01", status="provisioning")
    command_log.created(server, Command(name="create", began=1.0, answered=2.0))


class TestPending:
    def test_nothing_is_pending_at_first(self):
        """Nor after observations."""
        command_log = CommandLog()
        command_log.admit(7, observation("active", 1))

        assert command_log.pending(7) is None

    def test_a_command_is_pending_from_when_it_is_sent(self):
        """On the wire it was answered at no time yet, so that no observation counts."""
        command_log = CommandLog()

        with command_log.changing(7, 1.0, "reboot") as change:
            assert command_log.pending("7") is change
            assert change.command == Command(name="reboot", began=1.0, answered=float("inf"))
            command_log.changed(change, 2.0, date=NOON)

        assert command_log.pending(7) is change
        assert change.command == Command(name="reboot", began=1.0, answered=2.0, date=NOON)

    @pytest.mark.parametrize("lost", [True, False])
    def test_a_command_that_ends_without_a_response_counts_if_it_may_have_been_carried_out(self, lost):
        """Else the one before it counts again, also for waits that hold the refused one."""
        command_log = CommandLog()
        first = give(command_log, "stop", 1.0, 2.0)

        with pytest.raises(OSError), command_log.changing(7, 3.0, "start") as second:
            if lost:
                command_log.changed(second, 4.0, lost=True)
            raise OSError

        assert command_log.pending(7) is (second if lost else first)
        assert second.command.name == ("start" if lost else "stop")
        assert second.command.lost is lost

    def test_after_a_refused_one_nothing_is_pending_if_nothing_was(self):
        """And whoever waits for it waits for no command."""
        command_log = CommandLog()

        with command_log.changing(7, 3.0, "start") as change:
            pass

        assert (command_log.pending(7), change.command) == (None, None)

    @pytest.mark.parametrize(
        ("status", "began", "pending"),
        [
            ("rebooting", 2.0, False),
            ("stopped", 3.0, False),
            ("rebooting", 1.9, True),
            ("active", 99.0, True),
            ("", 3.0, True),
            (None, 3.0, True),
        ],
    )
    def test_a_reading_that_shows_the_effect_ends_it(self, status, began, pending):
        """If it was begun after the response; the time alone ends nothing."""
        command_log = CommandLog()
        change = give(command_log, "reboot", 1.0, 2.0)

        command_log.admit("7", observation(status, began))

        assert (command_log.pending(7) is change, change.shown) == (pending, not pending)

    def test_an_effect_that_was_shown_before_the_response_is_not_waited_for(self):
        """As when a poll has settled what became of a lost command."""
        command_log = CommandLog()
        change = give(command_log, "reboot", 1.0, 2.0, shown=True)

        assert (command_log.pending(7), change.shown) == (None, True)

    def test_it_stays_shown_whatever_comes_after(self):
        """A wait for the first command, begun late, waits for nothing."""
        command_log = CommandLog()
        first = give(command_log, "reboot", 1.0, 2.0)
        command_log.admit(7, observation("rebooting", 3.0))
        second = give(command_log, "reboot", 4.0, 5.0)
        command_log.admit(7, observation("rebooting", 6.0))

        assert (first.shown, second.shown) == (True, True)

    def test_of_two_on_the_wire_the_one_sent_last_counts_until_both_are_answered(self):
        """Then the one that was answered last."""
        command_log = CommandLog()
        with command_log.changing(7, 1.0, "reboot") as first:
            with command_log.changing(7, 1.5, "reboot") as second:
                command_log.changed(first, 2.0)
                assert command_log.pending(7) is second
                command_log.changed(second, 3.0)
            assert command_log.pending(7) is second
        with command_log.changing(7, 4.0, "reboot") as first, command_log.changing(7, 4.5, "reboot") as second:
            command_log.changed(second, 5.0)
            command_log.changed(first, 6.0)

        assert command_log.pending(7) is first

    @pytest.mark.parametrize("status", ["active", "stopped", "suspended", "stopping", "migrating"])
    def test_a_create_is_pending_until_its_provisioning_is_over(self, status):
        """Neither 404 nor a status that is no string tells that."""
        command_log = CommandLog()
        create(command_log)

        for shown in (None, "provisioning", ""):
            command_log.admit(7, observation(shown, 3.0))
            assert command_log.pending(7).command.name == "create"
        command_log.admit(7, observation(status, 4.0))

        assert command_log.pending(7) is None

    def test_an_observation_tells_whether_the_server_was_seen_before(self):
        """404 is no sight of it; an observation from before its create was answered is one."""
        command_log = CommandLog()
        create(command_log)
        known = [command_log.admit(7, observation(None, 3.0)).known]
        command_log.admit(7, observation("provisioning", 1.5))
        known.append(command_log.admit(7, observation(None, 4.0)).known)

        assert known == [False, True]

    @pytest.mark.parametrize("name", ["start", "stop", "reboot"])
    def test_an_old_command_decides_nothing_for_waits_that_begin(self, name):
        """W42: 15 minutes after its answer others may have changed the server."""
        command_log = CommandLog()
        change = give(command_log, name, 1.0, 2.0)

        assert [command_log.pending(7, now) is change for now in (901.9, 902.0)] == [True, False]
        assert (change.is_aged(901.9), change.is_aged(902.0)) == (False, True)

    def test_an_old_create_decides_nothing_either(self):
        """W42: a server that somebody has stopped long after is not one whose create has failed."""
        command_log = CommandLog()
        create(command_log)

        assert command_log.pending(7, 902.0) is None

    def test_a_refused_commands_predecessor_that_has_shown_its_effect_is_waited_for_no_more(self):
        """Its effect was observed while the refused one was on its way."""
        command_log = CommandLog()
        give(command_log, "reboot", 1.0, 2.0)
        with command_log.changing(7, 3.0, "stop") as second:
            second.earlier.shown = True

        assert (second.refused, second.command, command_log.pending(7)) == (True, None, None)

    @pytest.mark.parametrize("given", [7, "7", "07", "007"], ids=repr)
    def test_a_server_is_one_by_whatever_spelling(self, given):
        """W48: integers regardless of leading zeros."""
        command_log = CommandLog()
        change = give(command_log, "reboot", 1.0, 2.0, given)

        assert command_log.pending(7) is change

    def test_a_change_of_ours_that_follows_is_noted(self):
        """W41: once it has begun, a newer `updated_at` proves nothing of the command before."""
        command_log = CommandLog()
        first = give(command_log, "reboot", 1.0, 2.0)
        assert first.command.disturbed == float("inf")
        give(command_log, None, 3.0, 4.0)
        give(command_log, None, 5.0, 6.0)

        assert first.command.disturbed == 3.0

    def test_a_change_of_ours_that_is_running_disturbs_from_the_begin(self):
        """W41: nobody knows which of the two the API executes first."""
        command_log = CommandLog()
        with command_log.changing(7, 1.0):
            reboot = give(command_log, "reboot", 2.0, 3.0)

        assert reboot.command.disturbed == 2.0

    def test_a_long_list_does_not_make_it_forget_a_command(self):
        """The observations of more servers than are remembered come and go."""
        command_log = CommandLog()
        change = give(command_log, "reboot", 1.0, 2.0)

        for server_id in range(100, 100 + CAPACITY + 10):
            command_log.admit(server_id, observation("active", 3.0, server_id=server_id))

        assert command_log.pending(7) is change
        assert len(command_log._entries) == CAPACITY

    def test_of_too_many_commands_the_oldest_is_forgotten(self):
        """Memory has a bound."""
        command_log = CommandLog()
        for server_id in range(CAPACITY + 1):
            give(command_log, "reboot", 1.0, 2.0, server_id)

        assert (command_log.pending(0), command_log.pending(1) is None) == (None, False)


class TestBaseline:
    def baseline_of(self, command_log, now=10.0):
        with command_log.changing(7, now, "reboot") as change:
            return change.baseline

    def test_a_reading_that_ended_before_is_one(self):
        """The last of them."""
        command_log = CommandLog()
        command_log.admit(7, observation("active", 1.0, updated_at=minutes(0)))
        command_log.admit(7, observation("active", 2.0, updated_at=minutes(1)))

        assert self.baseline_of(command_log) == Baseline(
            updated_at=minutes(1), settings=("web-01", None, None), names=("web-01", None)
        )

    def test_one_from_a_list_lacks_what_a_patch_can_change(self):
        """W41: a list does not tell `backups_enabled`."""
        command_log = CommandLog()
        command_log.admit(7, attrs.evolve(observation("active", 1.0, updated_at=minutes(0)), listed=True))

        assert self.baseline_of(command_log) == Baseline(updated_at=minutes(0), settings=None, names=("web-01", None))

    def test_a_server_never_read_has_none(self):
        """Nor one that was read without `updated_at`."""
        command_log = CommandLog()
        assert self.baseline_of(command_log) is None
        command_log.admit(7, observation("active", 11.0))

        assert self.baseline_of(command_log, 12.0) is None

    @pytest.mark.parametrize(("name", "spoilt"), [(None, False), ("stop", True)])
    def test_a_change_of_ours_in_between_spoils_it(self, name, spoilt):
        """W29: until an observation that was begun after it was answered, or that shows a command's effect."""
        command_log = CommandLog()
        command_log.admit(7, observation("active", 1.0, updated_at=minutes(0)))
        give(command_log, name, 2.0, 4.0)
        assert self.baseline_of(command_log, 5.0) is None
        command_log.admit(7, observation("active", 6.0, updated_at=minutes(1)))

        assert (self.baseline_of(command_log) is None) is spoilt

    def test_a_command_beside_one_that_was_not_seen_to_end_is_unclear(self):
        """W29: what is seen of two reboots cannot be told apart."""
        command_log = CommandLog()
        give(command_log, "reboot", 2.0, 4.0)
        give(command_log, "reboot", 50.0, 51.0)
        second = command_log.pending(7).own
        command_log.admit(7, observation("rebooting", 60.0))
        give(command_log, "reboot", 99.0, 100.0)

        assert (second.unclear, command_log.pending(7).own.unclear) == (True, False)

    def test_a_reading_during_a_change_of_ours_is_none(self):
        """It may be from before or after the change."""
        command_log = CommandLog()
        with command_log.changing(7, 2.0) as change:
            command_log.admit(7, observation("active", 3.0, updated_at=minutes(1)))
            assert self.baseline_of(command_log, 4.0) is None
            command_log.changed(change, 5.0)

        assert self.baseline_of(command_log) is None


class TestNewest:
    def test_an_older_reading_is_told(self):
        """By `updated_at`; without it, or as new, it is as good as any."""
        command_log = CommandLog()
        given = [minutes(5), minutes(4), None, minutes(5), minutes(6), minutes(5)]

        told = [command_log.admit(7, observation("active", number, updated_at=one)) for number, one in enumerate(given)]

        assert [one.suspicion for one in told] == [
            None,
            Suspicion(minutes(5), 1),
            None,
            None,
            None,
            Suspicion(minutes(6), 5),
        ]

    def test_each_server_has_its_own(self):
        """And 404 is never out of date."""
        command_log = CommandLog()
        command_log.admit(7, observation("active", 1.0, updated_at=minutes(5)))

        assert command_log.admit(8, observation("active", 2.0, updated_at=minutes(1)))
        assert command_log.admit(7, observation(None, 3.0))


class TestListed:
    """What a list shows is taken in as single observations are."""

    @given(
        st.lists(
            st.tuples(st.integers(1, 4), st.sampled_from(["active", "stopped", "rebooting"]), st.none() | MINUTES),
            max_size=20,
        ),
        st.sampled_from([None, 1, 2]),
    )
    def test_as_one_by_one(self, shown, commanded):
        at_once, alone = CommandLog(), CommandLog()
        for command_log in (at_once, alone):
            if commanded:
                give(command_log, "reboot", 0.0, 0.5, commanded)

        for began, (server_id, status, updated_at) in enumerate(shown, 1):
            one = observation(status, began, updated_at=updated_at, server_id=server_id)
            at_once.admit_listed([one.server], one.began, one.ended)
            alone.admit(server_id, attrs.evolve(one, listed=True))

        assert [(key, attrs.asdict(entry)) for key, entry in at_once._entries.items()] == [
            (key, attrs.asdict(entry)) for key, entry in alone._entries.items()
        ]
        assert (at_once.pending(commanded or 1) is None) == (alone.pending(commanded or 1) is None)

    def test_of_too_many_those_seen_longest_ago_are_forgotten(self):
        """Whatever was seen again is new."""
        command_log = CommandLog()
        servers = [Server(id=number, name="web", status="active") for number in range(CAPACITY + 1)]
        command_log.admit_listed(servers[:-1], 1.0, 2.0)
        command_log.admit_listed(servers[:1], 3.0, 4.0)

        command_log.admit_listed(servers[-1:], 5.0, 6.0)

        assert len(command_log._entries) == CAPACITY
        assert [str(number) in command_log._entries for number in (0, 1, 2)] == [True, False, True]


class TestAdoption:
    def test_what_another_create_returned_is_not_adopted(self):
        """Nor what was seen before this create began."""
        command_log = CommandLog()
        made, seen, new = (Server(id=number, name="web-01", status="active") for number in (1, 2, 3))
        command_log.created(made, Command(name="create", began=1.0, answered=2.0))
        command_log.admit(2, observation("active", 1.0, server_id=2))

        assert [command_log.is_ours(server, since=5.0) for server in (made, seen, new)] == [False, False, True]
        assert command_log.is_ours(seen, since=1.0)
