"""What is remembered of each server: the last command until it has shown its effect, and the newest reading."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import Server
from vpsorg_async._journal import CAPACITY, Journal
from vpsorg_async._lifecycle import Command, Reading


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)


def minutes(number):
    return NOON + dt.timedelta(minutes=number)


MINUTES = st.integers(0, 9).map(minutes)


def reading(status, began, *, updated_at=None, server_id=7):
    server = None if status is None else Server(id=server_id, name="web-01", status=status, updated_at=updated_at)
    return Reading(began=began, ended=began + 0.5, server=server)


def give(journal, name, began, answered, server_id=7, **options):
    """Let a command be answered."""
    with journal.changing(server_id, began, name) as change:
        journal.changed(change, answered, **options)
    return change


def create(journal):
    """Let a create be answered."""
    server = Server(id=7, name="web-01", status="provisioning")
    journal.created(server, Command(name="create", began=1.0, answered=2.0))


class TestPending:
    def test_nothing_is_pending_at_first(self):
        """Nor after readings."""
        journal = Journal()
        journal.note(7, reading("active", 1))

        assert journal.pending(7) is None

    def test_a_command_is_pending_from_when_it_is_sent(self):
        """On the wire it was answered at no time yet, so that no reading counts."""
        journal = Journal()

        with journal.changing(7, 1.0, "reboot") as change:
            assert journal.pending("7") is change
            assert change.command == Command(name="reboot", began=1.0, answered=float("inf"))
            journal.changed(change, 2.0, date=NOON)

        assert journal.pending(7) is change
        assert change.command == Command(name="reboot", began=1.0, answered=2.0, date=NOON)

    @pytest.mark.parametrize("lost", [True, False])
    def test_a_command_that_ends_without_an_answer_counts_if_it_may_have_been_carried_out(self, lost):
        """Else the one before it counts again, also for waits that hold the refused one."""
        journal = Journal()
        first = give(journal, "stop", 1.0, 2.0)

        with pytest.raises(OSError), journal.changing(7, 3.0, "start") as second:
            if lost:
                journal.changed(second, 4.0, lost=True)
            raise OSError

        assert journal.pending(7) is (second if lost else first)
        assert second.command.name == ("start" if lost else "stop")
        assert second.command.lost is lost

    def test_after_a_refused_one_nothing_is_pending_if_nothing_was(self):
        """And whoever waits for it waits for no command."""
        journal = Journal()

        with journal.changing(7, 3.0, "start") as change:
            pass

        assert (journal.pending(7), change.command) == (None, None)

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
        """If it was begun after the answer; the time alone ends nothing."""
        journal = Journal()
        change = give(journal, "reboot", 1.0, 2.0)

        journal.note("7", reading(status, began))

        assert (journal.pending(7) is change, change.shown) == (pending, not pending)

    def test_an_effect_that_was_shown_before_the_answer_is_not_waited_for(self):
        """As when a look has settled what became of a lost command."""
        journal = Journal()
        change = give(journal, "reboot", 1.0, 2.0, shown=True)

        assert (journal.pending(7), change.shown) == (None, True)

    def test_it_stays_shown_whatever_comes_after(self):
        """A wait for the first command, begun late, waits for nothing."""
        journal = Journal()
        first = give(journal, "reboot", 1.0, 2.0)
        journal.note(7, reading("rebooting", 3.0))
        second = give(journal, "reboot", 4.0, 5.0)
        journal.note(7, reading("rebooting", 6.0))

        assert (first.shown, second.shown) == (True, True)

    def test_of_two_on_the_wire_the_one_sent_last_counts_until_both_are_answered(self):
        """Then the one that was answered last."""
        journal = Journal()
        with journal.changing(7, 1.0, "reboot") as first:
            with journal.changing(7, 1.5, "reboot") as second:
                journal.changed(first, 2.0)
                assert journal.pending(7) is second
                journal.changed(second, 3.0)
            assert journal.pending(7) is second
        with journal.changing(7, 4.0, "reboot") as first, journal.changing(7, 4.5, "reboot") as second:
            journal.changed(second, 5.0)
            journal.changed(first, 6.0)

        assert journal.pending(7) is first

    @pytest.mark.parametrize("status", ["active", "stopped", "suspended", "stopping", "migrating"])
    def test_a_create_is_pending_until_its_provisioning_is_over(self, status):
        """Neither 404 nor a status that is no string tells that."""
        journal = Journal()
        create(journal)

        for shown in (None, "provisioning", ""):
            journal.note(7, reading(shown, 3.0))
            assert journal.pending(7).command.name == "create"
        journal.note(7, reading(status, 4.0))

        assert journal.pending(7) is None

    def test_a_create_knows_whether_its_server_has_been_seen(self):
        """404 is no sight of it; a reading from before the create was answered is one."""
        journal = Journal()
        create(journal)
        journal.note(7, reading(None, 3.0))
        assert not journal.pending(7).command.seen

        journal.note(7, reading("provisioning", 1.5))
        assert journal.pending(7).command.seen

    def test_a_server_seen_before_its_create_was_answered_has_been_seen(self):
        """As by a list while the create was on the wire."""
        journal = Journal()
        journal.note(7, reading("provisioning", 1.5))
        create(journal)

        assert journal.pending(7).command.seen

    def test_a_long_list_does_not_make_it_forget_a_command(self):
        """The readings of more servers than are remembered come and go."""
        journal = Journal()
        change = give(journal, "reboot", 1.0, 2.0)

        for server_id in range(100, 100 + CAPACITY + 10):
            journal.note(server_id, reading("active", 3.0, server_id=server_id))

        assert journal.pending(7) is change
        assert len(journal._entries) == CAPACITY

    def test_of_too_many_commands_the_oldest_is_forgotten(self):
        """Memory has a bound."""
        journal = Journal()
        for server_id in range(CAPACITY + 1):
            give(journal, "reboot", 1.0, 2.0, server_id)

        assert (journal.pending(0), journal.pending(1) is None) == (None, False)


class TestBaseline:
    def baseline_of(self, journal, now=10.0):
        with journal.changing(7, now, "reboot") as change:
            return change.baseline

    def test_a_reading_that_ended_before_is_one(self):
        """The last of them."""
        journal = Journal()
        journal.note(7, reading("active", 1.0, updated_at=minutes(0)))
        journal.note(7, reading("active", 2.0, updated_at=minutes(1)))

        assert self.baseline_of(journal) == minutes(1)

    def test_a_server_never_read_has_none(self):
        """Nor one that was read without `updated_at`."""
        journal = Journal()
        assert self.baseline_of(journal) is None
        journal.note(7, reading("active", 11.0))

        assert self.baseline_of(journal, 12.0) is None

    @pytest.mark.parametrize("name", [None, "stop"])
    def test_a_change_of_ours_in_between_spoils_it(self, name):
        """Until a reading that was begun after it was answered."""
        journal = Journal()
        journal.note(7, reading("active", 1.0, updated_at=minutes(0)))
        give(journal, name, 2.0, 4.0)
        assert self.baseline_of(journal, 5.0) is None
        journal.note(7, reading("active", 6.0, updated_at=minutes(1)))

        assert self.baseline_of(journal) == minutes(1)

    def test_a_reading_during_a_change_of_ours_is_none(self):
        """It may be from before or after the change."""
        journal = Journal()
        with journal.changing(7, 2.0) as change:
            journal.note(7, reading("active", 3.0, updated_at=minutes(1)))
            assert self.baseline_of(journal, 4.0) is None
            journal.changed(change, 5.0)

        assert self.baseline_of(journal) is None


class TestNewest:
    def test_an_older_reading_is_told(self):
        """By `updated_at`; without it, or as new, it is as good as any."""
        journal = Journal()
        given = [minutes(5), minutes(4), None, minutes(5), minutes(6), minutes(5)]

        told = [journal.note(7, reading("active", number, updated_at=one)) for number, one in enumerate(given)]

        assert told == [True, False, True, True, True, False]

    def test_each_server_has_its_own(self):
        """And 404 is never out of date."""
        journal = Journal()
        journal.note(7, reading("active", 1.0, updated_at=minutes(5)))

        assert journal.note(8, reading("active", 2.0, updated_at=minutes(1)))
        assert journal.note(7, reading(None, 3.0))


class TestListed:
    """What a list shows is taken in as single readings are."""

    @given(
        st.lists(
            st.tuples(st.integers(1, 4), st.sampled_from(["active", "stopped", "rebooting"]), st.none() | MINUTES),
            max_size=20,
        ),
        st.sampled_from([None, 1, 2]),
    )
    def test_as_one_by_one(self, shown, commanded):
        at_once, alone = Journal(), Journal()
        for journal in (at_once, alone):
            if commanded:
                give(journal, "reboot", 0.0, 0.5, commanded)

        for began, (server_id, status, updated_at) in enumerate(shown, 1):
            one = reading(status, began, updated_at=updated_at, server_id=server_id)
            at_once.note_listed([one.server], one.began, one.ended)
            alone.note(server_id, attrs.evolve(one, listed=True))

        assert [(key, attrs.asdict(entry)) for key, entry in at_once._entries.items()] == [
            (key, attrs.asdict(entry)) for key, entry in alone._entries.items()
        ]
        assert (at_once.pending(commanded) is None) == (alone.pending(commanded) is None)

    def test_of_too_many_those_seen_longest_ago_are_forgotten(self):
        """Whatever was seen again is new."""
        journal = Journal()
        servers = [Server(id=number, name="web", status="active") for number in range(CAPACITY + 1)]
        journal.note_listed(servers[:-1], 1.0, 2.0)
        journal.note_listed(servers[:1], 3.0, 4.0)

        journal.note_listed(servers[-1:], 5.0, 6.0)

        assert len(journal._entries) == CAPACITY
        assert [str(number) in journal._entries for number in (0, 1, 2)] == [True, False, True]


class TestAdoption:
    def test_what_another_create_returned_is_not_adopted(self):
        """Nor what was seen before this create began."""
        journal = Journal()
        made, seen, new = (Server(id=number, name="web-01", status="active") for number in (1, 2, 3))
        journal.created(made, Command(name="create", began=1.0, answered=2.0))
        journal.note(2, reading("active", 1.0, server_id=2))

        assert [journal.is_ours(server, since=5.0) for server in (made, seen, new)] == [False, False, True]
        assert journal.is_ours(seen, since=1.0)
