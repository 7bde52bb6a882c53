"""Who is due, who leads and who carries, what is asked, and how long it may take."""

from __future__ import annotations

import itertools
import math

import pytest

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.polling.entries import NOW, after_poll, entries, entry, polled_by, sat, served
from vpsorg_async._polling.entry import LAST_POLL, PollEntry, Size, expiry
from vpsorg_async._polling.schedule import Schedule


ONE_PAGE = Size(total=7, page=100)
LARGE = Size(total=100_000, page=100)


def heaps(schedule):
    return [len(heap) for heap in (schedule._dues, schedule._asking, schedule._expiries, schedule._leaders)]


class TestCost:
    @pytest.mark.parametrize(
        ("total", "page", "pages"),
        [(0, 100, 1), (0, 0, 1), (1, 100, 1), (100, 100, 1), (101, 100, 2), (1000, 100, 10), (7, 0, 7), (7, 1, 7)],
    )
    def test_so_many_requests_list_all(self, total, page, pages):
        """At least one; a page without an item is no division by zero."""
        assert Size(total, page).pages == pages


class TestDue:
    @pytest.mark.parametrize(("now", "due"), [(99.9, False), (100.0, True), (100.1, True)])
    def test_one_is_due_at_its_time(self, now, due):
        """Not before."""
        one = entry()

        assert served(sat(one), now) == ([one] if due else [])

    def test_nobody_is_due_where_nobody_attends(self):
        """Neither one who has left, nor anybody at all."""
        one = entry()
        schedule = sat(one)
        schedule.leave(one)

        assert (served(schedule, NOW), schedule.next_at, Schedule().next_at) == ([], math.inf, math.inf)

    def test_a_list_serves_those_who_are_not_due(self):
        """One who is due wants it for all, if it is cheaper for all."""
        due, later = after_poll(entry("1", interval=2.0), 98.0), after_poll(entry("2", interval=9.0), 98.0)
        schedule = sat(due, later)

        (poll,) = schedule.polls(NOW, ONE_PAGE)

        assert (poll.key, set(poll.entries)) == (None, {due, later})

    def test_gets_serve_those_who_are_due(self):
        """Nobody else gains anything by them."""
        due, later = after_poll(entry("1", interval=2.0), 98.0), after_poll(entry("2", interval=2.1), 98.0)
        schedule = sat(due, later)

        assert served(schedule, NOW) == [due]

    def test_a_first_poll_is_a_get_beside_a_crowd(self):
        """W37: one who comes does not cause a list for all."""
        crowd = [after_poll(one, NOW - 0.1) for one in entries(300, interval=5)]
        came = entry("700")
        schedule = sat(*crowd, came)

        (poll,) = schedule.polls(NOW, Size(1000, 100))

        assert (poll.key, poll.entries) == ("700", [came])

    def crowd_and_late(self, deadline=math.inf, patience=60.0):
        """Return a schedule whose crowd reads a list, the list, and one who is due a second later."""
        schedule = Schedule(patience=patience)
        late = after_poll(entry("700", deadline, interval=5), NOW - 4)
        for one in entries(20, interval=5):
            schedule.join(after_poll(one, NOW - 5), NOW - 4)
        (poll,) = schedule.polls(NOW, Size(1000, 100))
        schedule.join(late, NOW + 0.5)
        return schedule, poll, late

    def test_one_who_is_due_while_a_list_is_read_waits_for_the_next_one(self):
        """F10: two lists at the same time take twice as long."""
        schedule, poll, late = self.crowd_and_late()
        assert late not in poll.entries

        assert schedule.polls(NOW + 1, Size(1000, 100)) == []
        for one in poll.entries:
            one.polled(NOW, NOW + 2)
        schedule.ended(poll)
        (following,) = schedule.polls(NOW + 2, Size(1000, 100))
        assert (following.key, late in following.entries) == (None, True)

    def test_one_who_leaves_meanwhile_is_due_when_it_comes_back(self):
        """W37: a watch whose next change was awaited with a timeout was never polled again."""
        schedule, poll, late = self.crowd_and_late()
        assert schedule.polls(NOW + 1, Size(1000, 100)) == []

        schedule.leave(late)
        for one in [*poll.entries]:
            schedule.leave(one)
        schedule.ended(poll)
        schedule.join(late, NOW + 2)

        assert polled_by(schedule.polls(NOW + 2, Size(1000, 100))) == {"700": {late}}

    def test_its_last_poll_waits_for_no_list(self):
        """W37: the deadline comes first."""
        schedule, _, late = self.crowd_and_late(deadline=NOW + 3)
        assert schedule.polls(NOW + 1, Size(1000, 100)) == []

        (poll,) = schedule.polls(NOW + 3, Size(1000, 100))
        assert (poll.key, poll.entries) == ("700", [late])

    def test_a_list_that_hangs_holds_nobody(self):
        """F10: nor one that only a watch waits for."""
        schedule, _, late = self.crowd_and_late(patience=4)
        assert schedule.polls(NOW + 1, Size(1000, 100)) == []

        schedule.polls(NOW + 4, Size(1000, 100))
        # It is asked for, or wants a GET within the ration.
        assert late.awaits or late.missing

    def test_a_list_turns_out_to_be_too_long(self):
        """W37: its size is known from its first page on."""
        schedule = sat(*(after_poll(one, NOW - 5) for one in entries(20, interval=5)))
        (poll,) = schedule.polls(NOW, None)

        assert poll.key is None
        assert [schedule.prefers_gets(poll, size) for size in (None, Size(1900, 100), Size(2000, 100))] == [
            False,
            False,
            True,
        ]

    def test_one_who_was_put_off_is_not_taken_along(self):
        """The API asked for a pause."""
        hungry, pausing = entry(), entry()
        pausing.postpone(100.5)

        assert served(sat(hungry, pausing), NOW) == [hungry]

    def test_one_who_hangs_on_a_poll_is_not_due(self):
        """It is being served, also where its due time passes meanwhile."""
        one = entry()
        schedule = sat(one)
        schedule.polls(NOW, None)

        assert (schedule.next_at, served(schedule, NOW + 60), schedule.polls(NOW + 60, None)) == (math.inf, [], [])

    def test_a_due_time_that_has_moved_holds_where_it_is_noted(self):
        """The old one holds no more, whether it was later or earlier."""
        sooner, later = after_poll(entry(), 200.0), after_poll(entry(), 100.0)
        schedule = sat(sooner, later)

        sooner.ask("7", 150.0)
        later.postpone(170.0)
        schedule.moved(sooner)
        schedule.moved(later)

        assert (schedule.next_at, served(schedule, 150.0), served(schedule, 149.0)) == (150.0, [sooner], [])

    def test_moved_twice_to_one_time_it_is_due_once(self):
        """One poll serves it once."""
        one, other = after_poll(entry("1"), 99.0), entry("2")
        schedule = sat(one, other)
        for _ in range(3):
            schedule.moved(one)

        (first, second) = schedule.polls(NOW, LARGE)

        assert (first.entries, second.entries) in (([one], [other]), ([other], [one]))
        assert (one.awaits, other.awaits) == (1, 1)

    def test_the_time_of_the_next_thing_is_the_earliest_due_or_expiring(self):
        """Those who hang on a poll may expire, and are not due."""
        hangs, due = entry("1", 104.0), after_poll(entry("2", interval=6.0), NOW)
        schedule = sat(hangs, due)
        schedule.polls(NOW, LARGE)

        assert schedule.next_at == 104.0 + LAST_POLL
        schedule.expired(105.0)
        schedule.leave(hangs)
        assert schedule.next_at == 106.0


class TestLooks:
    def test_one_get_serves_all_who_wait_for_that_id(self):
        """Ten waits for one server are one request."""
        same, other = [entry() for _ in range(10)], entry("8")

        assert polled_by(sat(*same, other).polls(NOW, LARGE)) == {"7": set(same), "8": {other}}

    @pytest.mark.parametrize(("count", "size"), [(11, None), (2, ONE_PAGE), (12, Size(1001, 100))])
    def test_many_are_served_by_one_list(self, count, size):
        """It counts the ids, not the waits."""
        some = entries(count)

        assert polled_by(sat(*some).polls(NOW, size)) == {None: set(some)}

    def test_several_waits_for_few_ids_are_gets(self):
        """100 waits, 2 ids."""
        some = [entry(str(number % 2)) for number in range(100)]

        assert polled_by(sat(*some).polls(NOW, None)).keys() == {"0", "1"}

    def test_a_list_serves_all_who_attend_due_or_not(self):
        """It shows them anyway."""
        due = entries(11)
        not_due, away = after_poll(entry("99"), NOW), after_poll(entry("98"), NOW)
        schedule = sat(*due, not_due, away)
        schedule.leave(away)

        assert polled_by(schedule.polls(NOW, None)) == {None: {*due, not_due}}
        assert (not_due.awaits, schedule.next_at) == (1, math.inf)

    def test_what_is_asked_for_goes_by_get_whatever_it_costs(self):
        """No list will do: 50 GETs on an account of one page."""
        some = entries(50)
        for one in some:
            one.ask(min(one.keys), NOW)

        polls = sat(*some).polls(NOW, ONE_PAGE)

        assert polled_by(polls) == {str(number): {some[number]} for number in range(50)}

    def test_those_who_do_not_ask_are_listed_beside(self):
        """Those who ask hang on their GETs alone."""
        some, asking = entries(11), entry("50")
        asking.ask("50", NOW)

        assert polled_by(sat(*some, asking).polls(NOW, None)) == {"50": {asking}, None: set(some)}

    def test_an_id_that_is_asked_for_anyway_costs_nothing_more(self):
        """Of eleven ids due one is asked for by a GET already: ten GETs, and no list."""
        some, asking = entries(11), entry("0")
        asking.ask("0", NOW)

        polls = polled_by(sat(*some, asking).polls(NOW, None))

        assert polls == {"0": {some[0], asking}, **{str(number): {some[number]} for number in range(1, 11)}}

    def test_a_watcher_of_all_always_lists(self):
        """However few servers there are, or nobody knows; the others are served by it too."""
        watcher, one = entry(None), after_poll(entry(), NOW)

        assert polled_by(sat(watcher, one).polls(NOW, None)) == {None: {watcher, one}}

    def test_a_watcher_of_all_that_asks_gets_that_alone(self):
        """Its list comes after."""
        watcher = entry(None)
        watcher.ask("7", NOW)
        watcher.ask("8", NOW)

        assert polled_by(sat(watcher).polls(NOW, ONE_PAGE)) == {"7": {watcher}, "8": {watcher}}
        assert watcher.awaits == 2

    def test_a_watcher_of_several_is_served_by_several_gets(self):
        """It hangs on each of them, and is due when the last has ended."""
        watcher = entry("1 2 3")
        schedule = sat(watcher)
        first, second, third = schedule.polls(NOW, LARGE)

        times = []
        for poll in (first, second, third):
            times.append(schedule.next_at)
            schedule.release(poll)

        assert (times, schedule.next_at, watcher.awaits) == ([math.inf] * 3, NOW, 0)

    @pytest.mark.parametrize("count", [3, 100])
    def test_an_abandoned_poll_makes_those_due_at_once_who_hung_on_it(self, count):
        """GETs and a list alike: nobody waits for its interval."""
        some = entries(count)
        schedule = sat(*some)
        polls = schedule.polls(NOW, None)
        assert schedule.next_at == math.inf

        for poll in polls:
            schedule.stopped_running(poll.runner)
            schedule.release(poll)

        assert schedule.next_at == NOW
        assert set().union(*(poll.entries for poll in schedule.polls(NOW + 1, None))) == set(some)

    def test_a_part_may_be_let_go(self):
        """The rest goes on hanging on it."""
        some = entries(50)
        schedule = sat(*some)
        (poll,) = schedule.polls(NOW, None)

        schedule.release(poll, some[:3])

        assert set(poll.entries) == set(some[3:])
        assert set(served(schedule, NOW)) == set(some[:3])

    def test_letting_go_twice_is_once(self):
        """A poll that ended is let go again by whoever carried it."""
        one = entry()
        schedule = sat(one)
        (poll,) = schedule.polls(NOW, None)

        schedule.release(poll)
        schedule.release(poll)

        assert (one.awaits, poll.entries) == (0, [])

    def test_one_who_left_and_came_back_hangs_on_its_poll_yet(self):
        """Nobody is served twice at once."""
        one, other = entry("1"), entry("1")
        schedule = sat(one, other)
        (poll,) = schedule.polls(NOW, None)
        schedule.leave(one)
        schedule.join(one, NOW)

        assert (schedule.polls(NOW, None), schedule.next_at) == ([], math.inf)
        schedule.release(poll)
        assert set(served(schedule, NOW)) == {one, other}


class TestLeader:
    def test_the_latest_deadline_leads(self):
        """Whoever stays longest passes the lead on least often."""
        some = [entry(deadline=NOW + seconds) for seconds in (5, 900, 30)]

        assert sat(*some).leader() is some[1]

    @pytest.mark.parametrize("deadline", [math.inf, 900.0])
    def test_of_two_the_oldest(self, deadline):
        """In the order of coming, not of sitting down."""
        some = [entry(deadline=deadline) for _ in range(3)]

        assert sat(*reversed(some)).leader() is some[0]

    def test_never_one_who_does_not_attend(self):
        """Its wait is decided, or its `on_change` runs."""
        some = [entry(), entry()]
        schedule = sat(*some)
        schedule.leave(some[0])

        leaders = [schedule.leader()]
        schedule.join(some[0], NOW)
        leaders.append(schedule.leader())
        schedule.leave(some[0])
        schedule.leave(some[1])

        assert ([*leaders, schedule.leader()], Schedule().leader()) == ([some[1], some[0], None], None)

    def test_never_one_who_carries_a_poll(self):
        """Until it has put it down."""
        first, second = entry("1"), after_poll(entry("2"), NOW)
        schedule = sat(first, second)
        (poll,) = schedule.polls(NOW, LARGE)

        leaders = [schedule.leader()]
        schedule.stopped_running(poll.runner)
        leaders.append(schedule.leader())

        assert leaders == [second, first]

    def test_one_who_hangs_on_anothers_poll_may(self):
        """It has nothing else to do."""
        first, second = entry(), entry()
        schedule = sat(first, second)
        schedule.polls(NOW, None)

        assert schedule.leader() is second

    def test_who_put_down_its_poll_after_it_left_does_not_lead(self):
        """A cancelled carrier is gone."""
        one = entry()
        schedule = sat(one)
        (poll,) = schedule.polls(NOW, None)
        schedule.leave(one)
        schedule.stopped_running(poll.runner)

        assert schedule.leader() is None

    def test_a_get_is_carried_by_one_of_those_it_serves(self):
        """The one who stays longest, as nothing is lost then when the others leave."""
        short, long, other = entry("7", 105.0), entry("7", 130.0), entry("8", 900.0)

        carriers = {poll.key: poll.runner for poll in sat(short, long, other).polls(NOW, LARGE)}

        assert carriers == {"7": long, "8": other}

    def test_several_polls_are_carried_by_several_where_that_can_be(self):
        """A watcher of both carries one of them only."""
        watcher, one, other = entry("7 8"), entry("7", 105.0), entry("8", 105.0)

        carriers = {poll.runner for poll in sat(watcher, one, other).polls(NOW, LARGE)}

        assert len(carriers) == 2

    def test_a_list_is_carried_by_the_leader(self):
        """Which hangs on it, also where it hangs on a GET of its own that another carries."""
        some = entries(11, deadline=900.0)
        carrying, leading = entry("50"), entry("50")
        schedule = sat(carrying, leading)
        schedule.polls(NOW, None)
        for one in some:
            schedule.join(one, NOW)

        (poll,) = schedule.polls(NOW, None)

        assert (poll.runner, set(poll.entries)) == (leading, {*some, leading})
        assert (carrying.awaits, leading.awaits) == (1, 2)


class TestMemory:
    @pytest.mark.parametrize("seconds", [math.inf, 60.0, 1e6], ids=["without end", "short", "long"])
    def test_those_who_came_and_went_are_forgotten(self, seconds):
        """Below one who waits without end and is due first, they would never come up."""
        stays = after_poll(entry(interval=1e9), NOW)
        schedule = sat(stays)
        largest = [0] * 4
        for number in range(5_000):
            one = after_poll(entry(deadline=NOW + number + seconds, interval=2e9), NOW)
            schedule.join(one, NOW)
            schedule.leave(one)
            largest = list(map(max, largest, heaps(schedule)))

        assert max(largest) < 200
        assert schedule.next_at == stays.due
        assert max(heaps(schedule)) < 100

    @pytest.mark.parametrize("seconds", [math.inf, 1e6], ids=["without end", "long"])
    def test_one_who_comes_back_again_and_again_is_there_once(self, seconds):
        """A watcher attends anew for each change."""
        stays = after_poll(entry(interval=1.0), NOW)
        back = after_poll(entry(deadline=NOW + seconds, interval=3600.0), NOW)
        schedule = sat(stays)
        for _ in range(5_000):
            schedule.join(back, NOW)
            assert schedule.next_at == 101.0
            schedule.leave(back)

        assert max(heaps(schedule)) < 200

    def test_one_whose_due_time_moves_again_and_again_is_there_once(self):
        """Others' polls serve it every second, and it would poll once in an hour."""
        often, seldom = entry(interval=1.0), entry(interval=3600.0)
        schedule = sat(often, seldom)
        now = NOW
        for _ in range(5_000):
            (poll,) = schedule.polls(now, None)
            for one in (often, seldom):
                one.polled(now, now)
                schedule.moved(one)
            schedule.release(poll)
            schedule.stopped_running(poll.runner)
            now += 1.0

        assert max(heaps(schedule)) < 200


def naive_next_at(attending):
    """What `next_at` is, by asking everybody."""
    dues = (one.due for one in attending if not one.awaits)
    return min((*dues, *(one.expires for one in attending)), default=math.inf)


class AgainstTheNaive(RuleBasedStateMachine):
    """Waiters come, leave and come back, are polled for and abandoned; what must hold is found by asking everybody."""

    def __init__(self):
        super().__init__()
        self.schedule = Schedule()
        self.now = NOW
        self.known: list[PollEntry] = []
        self.polls = []

    @property
    def attending(self):
        return [one for one in self.known if one.attending]

    def pick(self, number, among):
        return among[number % len(among)]

    @rule(
        keys=st.sampled_from(["1", "2", "3", "1 2", "4 5 6", *map(str, range(7, 25)), None]),
        interval=st.sampled_from([0.5, 1.0, 5.0, 60.0]),
        seconds=st.sampled_from([0.0, 3.0, 30.0, 900.0, math.inf]),
    )
    def come(self, keys, interval, seconds):
        deadline = self.now + seconds
        one = entry(keys, deadline, began=self.now, interval=interval, expires=expiry(self.now, deadline, 10.0))
        self.known.append(one)
        self.schedule.join(one, self.now)

    @rule(count=st.integers(2, 40))
    def many_come(self, count):
        for number in range(count):
            self.come(str(7 + number), 1.0, 900.0)

    @precondition(lambda self: self.attending)
    @rule(number=st.integers(0, 1000))
    def leave(self, number):
        self.schedule.leave(self.pick(number, self.attending))

    @precondition(lambda self: len(self.attending) < len(self.known))
    @rule(number=st.integers(0, 1000))
    def come_back(self, number):
        one = self.pick(number, [one for one in self.known if not one.attending])
        if not one.final:
            self.schedule.join(one, self.now)

    @precondition(lambda self: self.attending)
    @rule(number=st.integers(0, 1000), seconds=st.sampled_from([0.0, 0.3, 2.0, 40.0]))
    def put_off(self, number, seconds):
        one = self.pick(number, self.attending)
        one.postpone(self.now + seconds)
        self.schedule.moved(one)

    @precondition(lambda self: self.attending)
    @rule(number=st.integers(0, 1000))
    def ask(self, number):
        one = self.pick(number, self.attending)
        one.ask(min(one.keys or {"1"}), self.now)
        self.schedule.moved(one)

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 7.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def the_next_thing_comes(self):
        if self.schedule.next_at < math.inf:
            self.now = max(self.now, self.schedule.next_at)

    @rule()
    def some_expire(self):
        expected = {one for one in self.attending if one.expires <= self.now}

        found = self.schedule.expired(self.now)

        assert (set(found), len(found)) == (expected, len(expected))
        for one in found:
            self.schedule.leave(one)

    @rule(size=st.sampled_from([None, ONE_PAGE, Size(450, 100), LARGE]))
    def poll(self, size):
        hung = {one for one in self.attending if one.awaits}
        free = [one for one in self.attending if not one.awaits]
        due = {one for one in free if one.due <= self.now}

        polls = self.schedule.polls(self.now, size)

        served = [one for poll in polls for one in poll.entries]
        listed = [poll for poll in polls if poll.key is None]
        # Those who came after a list had begun wait for its end, and then for the next one.
        assert due - self.schedule._held.keys() <= set(served) <= set(free) | {poll.runner for poll in listed}
        assert len({poll.key for poll in polls}) == len(polls)
        for poll in polls:
            assert poll.runner in poll.entries
            assert poll.runner.attending
            assert poll.runner.running
            assert len(set(poll.entries)) == len(poll.entries)
            assert poll.key is None or all(poll.key in (one.asks or one.keys) for one in poll.entries)
        for poll in listed:
            assert set(free) <= set(served)
            # Only the one who carries a list may hang on another poll besides.
            assert not hung & set(poll.entries) - {poll.runner}
        self.polls += polls

    @precondition(lambda self: self.polls)
    @rule(number=st.integers(0, 1000))
    def end_a_poll(self, number):
        poll = self.pick(number, self.polls)
        heard = [one for one in self.attending if poll.key is None or one in poll.entries or one.keys == {poll.key}]
        for one in heard:
            one.shown(poll.key)
            one.polled(self.now, self.now)
            if one.final:
                self.schedule.leave(one)
            else:
                self.schedule.moved(one)
        self.drop(poll)

    @precondition(lambda self: self.polls)
    @rule(number=st.integers(0, 1000), leaves=st.booleans())
    def abandon_a_poll(self, number, leaves):
        poll = self.pick(number, self.polls)
        if leaves and poll.runner.attending:
            self.schedule.leave(poll.runner)
        freed = [one for one in poll.entries if one.attending and one.awaits == 1]
        self.drop(poll)
        assert self.schedule.next_at <= min((one.due for one in freed), default=math.inf)

    def drop(self, poll):
        self.polls.remove(poll)
        self.schedule.ended(poll)
        if not any(other.runner is poll.runner for other in self.polls):
            self.schedule.stopped_running(poll.runner)

    @invariant()
    def the_next_time_is_the_earliest(self):
        assert self.schedule.next_at == naive_next_at(self.attending)
        assert not self.schedule._held or self.schedule.is_reading

    @invariant()
    def the_leader_stays_longest_of_those_free(self):
        free = [one for one in self.attending if not one.running]

        assert self.schedule.leader() is min(free, key=lambda one: (-one.deadline, one.number), default=None)

    @invariant()
    def everybody_hangs_on_the_polls_that_serve_it(self):
        for one in self.known:
            assert one.awaits == sum(one in poll.entries for poll in self.polls)

    @invariant()
    def the_heaps_stay_small(self):
        # Two below everybody, and what a few came and went by since.
        assert max(heaps(self.schedule)) <= 3 * len(self.attending) + 200


AgainstTheNaive.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestAgainstTheNaive = AgainstTheNaive.TestCase


class TestMissing:
    """Servers that a list left out are asked for by a GET each, within a ration."""

    def test_each_is_asked_for_once_whoever_misses_it(self):
        several = entries(3, interval=30)
        watch = entry("0 1 9", interval=30)
        schedule = sat(*several, watch)
        for poll in schedule.polls(NOW, ONE_PAGE):
            after_all(poll, NOW)
            schedule.ended(poll)
        for one in (several[0], several[1], watch):
            one.miss(["0", "1"] if one is watch else sorted(one.keys))
            schedule.moved(one)

        polls = schedule.polls(NOW + 1, ONE_PAGE)

        assert polled_by(polls) == {"0": {several[0], watch}, "1": {several[1], watch}}
        assert {one for poll in polls for one in poll.missed} == {several[0], several[1], watch}

    def test_no_more_than_the_ration_at_a_time(self):
        watch = entry(" ".join(map(str, range(50))), interval=60)
        schedule = sat(watch)
        watch.polled(NOW, NOW)
        watch.miss(map(str, range(50)))
        schedule.moved(watch)
        at, asked = NOW, []

        while watch.missing:
            at = max(at, schedule.next_at)
            for poll in schedule.polls(at, ONE_PAGE):
                asked.append((at, poll.key))
                watch.shown(poll.key)
                schedule.ended(poll)
                schedule.moved(watch)

        assert [key for _, key in asked] == [str(number) for number in range(50)]
        assert [sum(when == other for when, _ in asked) for other in dict(asked)] == [20, 20, 10]
        assert all(later - sooner > 1 for sooner, later in itertools.pairwise(dict.fromkeys(when for when, _ in asked)))

    def test_one_that_is_asked_for_already_is_not_asked_for_again(self):
        first, second = entries(2, interval=60)
        first.keys = second.keys = frozenset({"7"})
        schedule = sat(first, second)
        for one in (first, second):
            one.polled(NOW, NOW)
        first.miss(["7"])
        schedule.moved(first)
        (get,) = schedule.polls(NOW, ONE_PAGE)
        second.miss(["7"])
        schedule.moved(second)

        while_it_runs = schedule.next_at
        schedule.ended(get)

        assert while_it_runs == min(first.due, second.due)
        assert schedule.next_at <= NOW

    def test_what_a_list_shows_again_is_not_asked_for_any_more(self):
        watch = entry("1 2", interval=60)
        schedule = sat(watch)
        watch.polled(NOW, NOW)
        watch.miss(["1", "2"])
        watch.shown("1")
        watch.shown("2")
        schedule.moved(watch)

        assert schedule.next_at == watch.due


class TestHandingOn:
    def test_a_list_goes_to_the_next_leader_who_then_waits_for_it(self):
        first, second = entry("1", deadline=900.0), entry("2", deadline=800.0)
        schedule = sat(first, second)
        (poll,) = schedule.polls(NOW, Size(total=1, page=1))
        late = entry("3", deadline=850.0)
        schedule.join(late, NOW)
        schedule.leave(first)

        successor = schedule.hand_on(poll)

        assert successor is late
        assert (poll.runner, late.running, late.awaits) == (late, True, 1)
        assert first.awaits == 0
        assert set(poll.entries) == {second, late}

    def test_without_anybody_free_it_is_given_to_nobody(self):
        one = entry("1 2 3")
        schedule = sat(one)
        (poll,) = schedule.polls(NOW, ONE_PAGE)
        schedule.leave(one)

        assert schedule.hand_on(poll) is None
        assert (one.awaits, poll.entries) == (0, [])


def after_all(poll, now):
    for one in poll.entries:
        one.polled(now, now)
