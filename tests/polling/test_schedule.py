"""Who is due, who leads and who carries, what is asked, and how long it may take."""

from __future__ import annotations

import math

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vpsorg_async import PollPolicy
from vpsorg_async._polling.entry import LAST_POLL, PollEntry, Size, expiry
from vpsorg_async._polling.schedule import Schedule, list_is_cheaper


NOW = 100.0
ONE_PAGE = Size(total=7, page=100)
LARGE = Size(total=100_000, page=100)


def entry(keys="7", deadline=math.inf, *, began=NOW, interval=None, expires=None, **policy) -> PollEntry:
    """Return somebody who waits for *keys*, one id or several, or `None` for all."""
    return PollEntry(
        keys=None if keys is None else frozenset(keys.split()),
        interval=(lambda _: interval) if interval else PollPolicy(**policy).interval,
        began=began,
        deadline=deadline,
        expires=deadline + LAST_POLL if expires is None else expires,
    )


def entries(count, **given):
    return [entry(str(number), **given) for number in range(count)]


def sat(*attending, now=NOW) -> Schedule:
    """Return a schedule on which those attend."""
    schedule = Schedule()
    for one in attending:
        schedule.join(one, now)
    return schedule


def after_poll(one, began, now=None):
    one.polled(began, began if now is None else now)
    return one


def polled_by(polls):
    """Return what is asked, `None` for the list, and by whom it is heard."""
    return {poll.key: set(poll.entries) for poll in polls}


def served(schedule, now):
    """Return who is served now where a list is out of the question."""
    return [one for poll in schedule.polls(now, Size(total=10**9, page=1)) for one in poll.entries]


def heaps(schedule):
    return [len(heap) for heap in (schedule._dues, schedule._asking, schedule._expiries, schedule._leaders)]


class TestWaiter:
    def test_it_looks_at_once(self):
        """The first poll is due when the wait begins."""
        assert (entry().due, entry().early) == (NOW, NOW)

    @pytest.mark.parametrize(
        ("began", "due"), [(100.0, 101.0), (105.0, 106.0), (120.0, 122.0), (150.0, 155.0), (900.0, 905.0)]
    )
    def test_it_looks_after_a_tenth_of_the_time_waited(self, began, due):
        """At least 1 s and at most 5 s after the poll before it began."""
        one = after_poll(entry(), began, began + 0.25)

        assert (one.due, one.final) == (due, False)

    @pytest.mark.parametrize(("began", "early"), [(100.0, 100.5), (120.0, 121.0), (900.0, 902.5)])
    def test_it_is_taken_along_from_half_of_its_interval_on(self, began, early):
        """Of its own interval, whatever those of others are."""
        assert after_poll(entry(), began).early == early

    def test_after_a_slow_look_the_next_is_due_at_once(self):
        """Never in the past."""
        assert after_poll(entry(), 100.0, 110.0).due == 110.0

    @pytest.mark.parametrize(
        ("began", "now", "due", "final"),
        [(100.0, 100.1, 100.5, False), (100.5, 100.6, 100.5, True), (100.4, 100.7, 100.5, True)],
    )
    def test_the_last_look_is_at_the_deadline_or_on_the_wire_then(self, began, now, due, final):
        """After it there is none."""
        one = after_poll(entry(deadline=100.5), began, now)

        assert (one.due, one.final) == (due, final)

    def test_it_can_be_put_off_and_not_hastened(self):
        """An API that asks for a pause gets it; nobody's poll takes it along before."""
        one = entry()
        one.postpone(130.0)
        one.postpone(90.0)

        assert (one.due, one.early) == (130.0, 130.0)

    @pytest.mark.parametrize(("due", "now", "then"), [(105.0, 101.0, 101.0), (101.0, 105.0, 101.0)])
    def test_a_get_that_it_wants_is_due_at_once(self, due, now, then):
        """And not later than it was due anyway."""
        one = entry()
        one.due = due

        one.ask("7", now)

        assert ([*one.asks], one.due, one.early) == (["7"], then, then)

    @given(st.lists(st.floats(0, 20), max_size=60), st.floats(0, 300))
    def test_it_always_ends_with_a_look_at_or_over_the_deadline(self, took, seconds):
        """Due times never go back, never pass the deadline, and the last poll is final."""
        one, now = entry(deadline=NOW + seconds), NOW
        for duration in took:
            before = one.due
            now = max(now, one.due)
            one.polled(now, now + duration)
            now += duration
            assert before <= one.due <= one.deadline
            assert one.early <= one.due
            assert one.final == (now >= one.deadline)
            if one.final:
                break


class TestExpiry:
    @pytest.mark.parametrize(
        ("deadline", "attempt_timeout", "expires"),
        [
            (math.inf, 10.0, math.inf),
            (100.0, 10.0, 110.0),
            (100.0, None, math.inf),
            (105.0, 10.0, 105.0 + LAST_POLL),
            (105.0, None, 105.0 + LAST_POLL),
            (1000.0, 0.5, 1000.0 + LAST_POLL),
        ],
    )
    def test_a_look_may_take_until_a_second_after_the_deadline(self, deadline, attempt_timeout, expires):
        """Its turn waited for; `timeout=0` gives it the time of one try."""
        assert expiry(NOW, deadline, attempt_timeout) == expires

    def test_those_whose_time_is_over_give_up(self):
        """Each once, those who hang on a poll too; not those who attend no longer."""
        early, hangs, late, away = entry("1", 105.0), entry("2", 105.0), entry("3", 105.5), entry("4", 105.0)
        for one in (early, late, away):
            one.postpone(104.0)
        schedule = sat(early, hangs, late, away)
        schedule.polls(NOW, LARGE)
        schedule.leave(away)

        found = [set(schedule.expired(now)) for now in (105.9, 106.0, 106.0, 106.5)]

        assert found == [set(), {early, hangs}, set(), {late}]

    def test_one_who_left_and_came_back_gives_up_once(self):
        """It was told of a change meanwhile."""
        one = entry(deadline=105.0)
        schedule = sat(one)
        schedule.leave(one)
        schedule.join(one, NOW + 1)

        assert schedule.expired(200.0) == [one]

    def test_who_was_away_at_its_deadline_has_its_last_look_to_come(self):
        """`on_change` ran for longer than the wait had left: what is true now may be the goal."""
        one = entry(deadline=105.0)
        schedule = sat(one, now=130.0)

        assert (schedule.expired(130.0), polled_by(schedule.polls(130.0, None))) == ([], {"7": {one}})
        assert one.expires == 130.0 + LAST_POLL

    def test_a_look_of_timeout_0_is_not_made_longer(self):
        """It has the time of one try from its begin on."""
        one = entry(deadline=NOW, expires=NOW + 10)
        sat(one, now=NOW)

        assert one.expires == NOW + 10


class TestCost:
    @pytest.mark.parametrize(
        ("total", "page", "pages"),
        [(0, 100, 1), (0, 0, 1), (1, 100, 1), (100, 100, 1), (101, 100, 2), (1000, 100, 10), (7, 0, 7), (7, 1, 7)],
    )
    def test_so_many_requests_list_all(self, total, page, pages):
        """At least one; a page without an item is no division by zero."""
        assert Size(total, page).pages == pages

    @pytest.mark.parametrize(
        ("keys", "size", "listed"),
        [
            (0, None, False),
            (1, None, False),
            (10, None, False),
            (11, None, True),
            (1, Size(50, 100), False),
            (2, Size(50, 100), True),
            (10, Size(1000, 100), False),
            (11, Size(1000, 100), True),
            (10, Size(1001, 100), False),
            (11, Size(1001, 100), False),
            (12, Size(1001, 100), True),
        ],
    )
    def test_a_list_is_asked_for_where_it_takes_fewer_requests(self, keys, size, listed):
        """At the same number a GET each: they show more. Of an unknown account up to 10."""
        assert list_is_cheaper(keys, size) is listed

    @given(st.integers(0, 3000), st.integers(0, 100_000), st.integers(0, 200))
    def test_never_more_than_the_cheaper_of_the_two(self, keys, total, page):
        """`min(ids due, pages)`."""
        size = Size(total, page)

        assert (size.pages if list_is_cheaper(keys, size) else keys) == min(keys, size.pages)


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

    def test_those_within_half_of_their_own_interval_are_taken_along(self):
        """By one who is due; without one nobody is."""
        due = after_poll(entry(interval=2.0), 98.0)
        half = after_poll(entry(interval=4.0), 98.0)
        less = after_poll(entry(interval=4.5), 98.0)
        schedule = sat(due, half, less)

        assert served(schedule, 99.9) == []
        assert set(served(schedule, 100.0)) == {due, half}

    def test_one_who_was_put_off_is_not_taken_along(self):
        """The API asked for a pause."""
        hungry, pausing = entry(), entry()
        pausing.postpone(100.5)

        assert served(sat(hungry, pausing), NOW) == [hungry]

    def test_one_who_hangs_on_a_look_is_not_due(self):
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
        one, other = after_poll(entry("1"), 99.5), entry("2")
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
    def test_an_abandoned_look_makes_those_due_at_once_who_hung_on_it(self, count):
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

    def test_one_who_left_and_came_back_hangs_on_its_look_yet(self):
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

    def test_never_one_who_carries_a_look(self):
        """Until it has put it down."""
        first, second = entry("1"), after_poll(entry("2"), NOW)
        schedule = sat(first, second)
        (poll,) = schedule.polls(NOW, LARGE)

        leaders = [schedule.leader()]
        schedule.stopped_running(poll.runner)
        leaders.append(schedule.leader())

        assert leaders == [second, first]

    def test_one_who_hangs_on_anothers_look_may(self):
        """It has nothing else to do."""
        first, second = entry(), entry()
        schedule = sat(first, second)
        schedule.polls(NOW, None)

        assert schedule.leader() is second

    def test_who_put_down_its_look_after_it_left_does_not_lead(self):
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

    def test_several_looks_are_carried_by_several_where_that_can_be(self):
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
    """Waiters come, leave and come back, are looked for and abandoned; what must hold is found by asking everybody."""

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
    def look(self, size):
        hung = {one for one in self.attending if one.awaits}
        free = [one for one in self.attending if not one.awaits]
        due = {one for one in free if one.due <= self.now}
        # Those who ask for a GET of their own are taken along by nobody, and take nobody along.
        hungry = any(not one.asks for one in due)
        along = due | {one for one in free if hungry and one.early <= self.now and not one.asks}

        polls = self.schedule.polls(self.now, size)

        served = [one for poll in polls for one in poll.entries]
        listed = [poll for poll in polls if poll.key is None]
        assert due <= along <= set(served) <= set(free) | {poll.runner for poll in listed}
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
    def end_a_look(self, number):
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
    def abandon_a_look(self, number, leaves):
        poll = self.pick(number, self.polls)
        if leaves and poll.runner.attending:
            self.schedule.leave(poll.runner)
        freed = [one for one in poll.entries if one.attending and one.awaits == 1]
        self.drop(poll)
        assert self.schedule.next_at <= min((one.due for one in freed), default=math.inf)

    def drop(self, poll):
        self.polls.remove(poll)
        self.schedule.release(poll)
        if not any(other.runner is poll.runner for other in self.polls):
            self.schedule.stopped_running(poll.runner)

    @invariant()
    def the_next_time_is_the_earliest(self):
        assert self.schedule.next_at == naive_next_at(self.attending)

    @invariant()
    def the_leader_stays_longest_of_those_free(self):
        free = [one for one in self.attending if not one.running]

        assert self.schedule.leader() is min(free, key=lambda one: (-one.deadline, one.number), default=None)

    @invariant()
    def everybody_hangs_on_the_looks_that_serve_it(self):
        for one in self.known:
            assert one.awaits == sum(one in poll.entries for poll in self.polls)

    @invariant()
    def the_heaps_stay_small(self):
        # Two below everybody, and what a few came and went by since.
        assert max(heaps(self.schedule)) <= 3 * len(self.attending) + 200


AgainstTheNaive.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestAgainstTheNaive = AgainstTheNaive.TestCase
