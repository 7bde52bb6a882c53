"""Who is due, who leads and who carries, what is asked, and how long it may take."""

from __future__ import annotations

import math

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vpsorg_async import PollPolicy
from vpsorg_async._polling.schedule import LAST_LOOK, Schedule, Size, Waiter, costs_less_listed, expiry


NOW = 100.0
ONE_PAGE = Size(total=7, page=100)
LARGE = Size(total=100_000, page=100)


def waiter(keys="7", deadline=math.inf, *, began=NOW, interval=None, expires=None, **policy) -> Waiter:
    """Return somebody who waits for *keys*, one id or several, or `None` for all."""
    return Waiter(
        keys=None if keys is None else frozenset(keys.split()),
        interval=(lambda _: interval) if interval else PollPolicy(**policy).interval,
        began=began,
        deadline=deadline,
        expires=deadline + LAST_LOOK if expires is None else expires,
    )


def waiters(count, **given):
    return [waiter(str(number), **given) for number in range(count)]


def sat(*attending, now=NOW) -> Schedule:
    """Return a schedule on which those attend."""
    schedule = Schedule()
    for one in attending:
        schedule.sit(one, now)
    return schedule


def looked_at(one, began, now=None):
    one.looked(began, began if now is None else now)
    return one


def asked(looks):
    """Return what is asked, `None` for the list, and by whom it is heard."""
    return {look.key: set(look.waiters) for look in looks}


def served(schedule, now):
    """Return who is served now where a list is out of the question."""
    return [one for look in schedule.looks(now, Size(total=10**9, page=1)) for one in look.waiters]


def heaps(schedule):
    return [len(heap) for heap in (schedule._dues, schedule._asking, schedule._expiries, schedule._leaders)]


class TestWaiter:
    def test_it_looks_at_once(self):
        """The first look is due when the wait begins."""
        assert (waiter().due, waiter().early) == (NOW, NOW)

    @pytest.mark.parametrize(
        ("began", "due"), [(100.0, 101.0), (105.0, 106.0), (120.0, 122.0), (150.0, 155.0), (900.0, 905.0)]
    )
    def test_it_looks_after_a_tenth_of_the_time_waited(self, began, due):
        """At least 1 s and at most 5 s after the look before it began."""
        one = looked_at(waiter(), began, began + 0.25)

        assert (one.due, one.final) == (due, False)

    @pytest.mark.parametrize(("began", "early"), [(100.0, 100.5), (120.0, 121.0), (900.0, 902.5)])
    def test_it_is_taken_along_from_half_of_its_interval_on(self, began, early):
        """Of its own interval, whatever those of others are."""
        assert looked_at(waiter(), began).early == early

    def test_after_a_slow_look_the_next_is_due_at_once(self):
        """Never in the past."""
        assert looked_at(waiter(), 100.0, 110.0).due == 110.0

    @pytest.mark.parametrize(
        ("began", "now", "due", "final"),
        [(100.0, 100.1, 100.5, False), (100.5, 100.6, 100.5, True), (100.4, 100.7, 100.5, True)],
    )
    def test_the_last_look_is_at_the_deadline_or_on_the_wire_then(self, began, now, due, final):
        """After it there is none."""
        one = looked_at(waiter(deadline=100.5), began, now)

        assert (one.due, one.final) == (due, final)

    def test_it_can_be_put_off_and_not_hastened(self):
        """An API that asks for a pause gets it; nobody's look takes it along before."""
        one = waiter()
        one.postpone(130.0)
        one.postpone(90.0)

        assert (one.due, one.early) == (130.0, 130.0)

    @pytest.mark.parametrize(("due", "now", "then"), [(105.0, 101.0, 101.0), (101.0, 105.0, 101.0)])
    def test_a_get_that_it_wants_is_due_at_once(self, due, now, then):
        """And not later than it was due anyway."""
        one = waiter()
        one.due = due

        one.ask("7", now)

        assert (one.asks, one.due, one.early) == ({"7"}, then, then)

    @given(st.lists(st.floats(0, 20), max_size=60), st.floats(0, 300))
    def test_it_always_ends_with_a_look_at_or_over_the_deadline(self, took, seconds):
        """Due times never go back, never pass the deadline, and the last look is final."""
        one, now = waiter(deadline=NOW + seconds), NOW
        for duration in took:
            before = one.due
            now = max(now, one.due)
            one.looked(now, now + duration)
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
            (105.0, 10.0, 105.0 + LAST_LOOK),
            (105.0, None, 105.0 + LAST_LOOK),
            (1000.0, 0.5, 1000.0 + LAST_LOOK),
        ],
    )
    def test_a_look_may_take_until_a_second_after_the_deadline(self, deadline, attempt_timeout, expires):
        """Its turn waited for; `timeout=0` gives it the time of one try."""
        assert expiry(NOW, deadline, attempt_timeout) == expires

    def test_those_whose_time_is_over_give_up(self):
        """Each once, those who hang on a look too; not those who attend no longer."""
        early, hangs, late, away = waiter("1", 105.0), waiter("2", 105.0), waiter("3", 105.5), waiter("4", 105.0)
        for one in (early, late, away):
            one.postpone(104.0)
        schedule = sat(early, hangs, late, away)
        schedule.looks(NOW, LARGE)
        schedule.rise(away)

        found = [set(schedule.expired(now)) for now in (105.9, 106.0, 106.0, 106.5)]

        assert found == [set(), {early, hangs}, set(), {late}]

    def test_one_who_left_and_came_back_gives_up_once(self):
        """It was told of a change meanwhile."""
        one = waiter(deadline=105.0)
        schedule = sat(one)
        schedule.rise(one)
        schedule.sit(one, NOW + 1)

        assert schedule.expired(200.0) == [one]

    def test_who_was_away_at_its_deadline_has_its_last_look_to_come(self):
        """`on_change` ran for longer than the wait had left: what is true now may be the goal."""
        one = waiter(deadline=105.0)
        schedule = sat(one, now=130.0)

        assert (schedule.expired(130.0), asked(schedule.looks(130.0, None))) == ([], {"7": {one}})
        assert one.expires == 130.0 + LAST_LOOK

    def test_a_look_of_timeout_0_is_not_made_longer(self):
        """It has the time of one try from its begin on."""
        one = waiter(deadline=NOW, expires=NOW + 10)
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
        assert costs_less_listed(keys, size) is listed

    @given(st.integers(0, 3000), st.integers(0, 100_000), st.integers(0, 200))
    def test_never_more_than_the_cheaper_of_the_two(self, keys, total, page):
        """`min(ids due, pages)`."""
        size = Size(total, page)

        assert (size.pages if costs_less_listed(keys, size) else keys) == min(keys, size.pages)


class TestDue:
    @pytest.mark.parametrize(("now", "due"), [(99.9, False), (100.0, True), (100.1, True)])
    def test_one_is_due_at_its_time(self, now, due):
        """Not before."""
        one = waiter()

        assert served(sat(one), now) == ([one] if due else [])

    def test_nobody_is_due_where_nobody_attends(self):
        """Neither one who has left, nor anybody at all."""
        one = waiter()
        schedule = sat(one)
        schedule.rise(one)

        assert (served(schedule, NOW), schedule.next_at, Schedule().next_at) == ([], math.inf, math.inf)

    def test_those_within_half_of_their_own_interval_are_taken_along(self):
        """By one who is due; without one nobody is."""
        due = looked_at(waiter(interval=2.0), 98.0)
        half = looked_at(waiter(interval=4.0), 98.0)
        less = looked_at(waiter(interval=4.5), 98.0)
        schedule = sat(due, half, less)

        assert served(schedule, 99.9) == []
        assert set(served(schedule, 100.0)) == {due, half}

    def test_one_who_was_put_off_is_not_taken_along(self):
        """The API asked for a pause."""
        hungry, pausing = waiter(), waiter()
        pausing.postpone(100.5)

        assert served(sat(hungry, pausing), NOW) == [hungry]

    def test_one_who_hangs_on_a_look_is_not_due(self):
        """It is being served, also where its due time passes meanwhile."""
        one = waiter()
        schedule = sat(one)
        schedule.looks(NOW, None)

        assert (schedule.next_at, served(schedule, NOW + 60), schedule.looks(NOW + 60, None)) == (math.inf, [], [])

    def test_a_due_time_that_has_moved_holds_where_it_is_noted(self):
        """The old one holds no more, whether it was later or earlier."""
        sooner, later = looked_at(waiter(), 200.0), looked_at(waiter(), 100.0)
        schedule = sat(sooner, later)

        sooner.ask("7", 150.0)
        later.postpone(170.0)
        schedule.moved(sooner)
        schedule.moved(later)

        assert (schedule.next_at, served(schedule, 150.0), served(schedule, 149.0)) == (150.0, [sooner], [])

    def test_moved_twice_to_one_time_it_is_due_once(self):
        """One look serves it once."""
        one, other = looked_at(waiter("1"), 99.5), waiter("2")
        schedule = sat(one, other)
        for _ in range(3):
            schedule.moved(one)

        (first, second) = schedule.looks(NOW, LARGE)

        assert (first.waiters, second.waiters) in (([one], [other]), ([other], [one]))
        assert (one.hanging, other.hanging) == (1, 1)

    def test_the_time_of_the_next_thing_is_the_earliest_due_or_expiring(self):
        """Those who hang on a look may expire, and are not due."""
        hangs, due = waiter("1", 104.0), looked_at(waiter("2", interval=6.0), NOW)
        schedule = sat(hangs, due)
        schedule.looks(NOW, LARGE)

        assert schedule.next_at == 104.0 + LAST_LOOK
        schedule.expired(105.0)
        schedule.rise(hangs)
        assert schedule.next_at == 106.0


class TestLooks:
    def test_one_get_serves_all_who_wait_for_that_id(self):
        """Ten waits for one server are one request."""
        same, other = [waiter() for _ in range(10)], waiter("8")

        assert asked(sat(*same, other).looks(NOW, LARGE)) == {"7": set(same), "8": {other}}

    @pytest.mark.parametrize(("count", "size"), [(11, None), (2, ONE_PAGE), (12, Size(1001, 100))])
    def test_many_are_served_by_one_list(self, count, size):
        """It counts the ids, not the waits."""
        some = waiters(count)

        assert asked(sat(*some).looks(NOW, size)) == {None: set(some)}

    def test_several_waits_for_few_ids_are_gets(self):
        """100 waits, 2 ids."""
        some = [waiter(str(number % 2)) for number in range(100)]

        assert asked(sat(*some).looks(NOW, None)).keys() == {"0", "1"}

    def test_a_list_serves_all_who_attend_due_or_not(self):
        """It shows them anyway."""
        due = waiters(11)
        not_due, away = looked_at(waiter("99"), NOW), looked_at(waiter("98"), NOW)
        schedule = sat(*due, not_due, away)
        schedule.rise(away)

        assert asked(schedule.looks(NOW, None)) == {None: {*due, not_due}}
        assert (not_due.hanging, schedule.next_at) == (1, math.inf)

    def test_what_is_asked_for_goes_by_get_whatever_it_costs(self):
        """No list will do: 50 GETs on an account of one page."""
        some = waiters(50)
        for one in some:
            one.ask(min(one.keys), NOW)

        looks = sat(*some).looks(NOW, ONE_PAGE)

        assert asked(looks) == {str(number): {some[number]} for number in range(50)}

    def test_those_who_do_not_ask_are_listed_beside(self):
        """Those who ask hang on their GETs alone."""
        some, asking = waiters(11), waiter("50")
        asking.ask("50", NOW)

        assert asked(sat(*some, asking).looks(NOW, None)) == {"50": {asking}, None: set(some)}

    def test_an_id_that_is_asked_for_anyway_costs_nothing_more(self):
        """Of eleven ids due one is asked for by a GET already: ten GETs, and no list."""
        some, asking = waiters(11), waiter("0")
        asking.ask("0", NOW)

        looks = asked(sat(*some, asking).looks(NOW, None))

        assert looks == {"0": {some[0], asking}, **{str(number): {some[number]} for number in range(1, 11)}}

    def test_a_watcher_of_all_always_lists(self):
        """However few servers there are, or nobody knows; the others are served by it too."""
        watcher, one = waiter(None), looked_at(waiter(), NOW)

        assert asked(sat(watcher, one).looks(NOW, None)) == {None: {watcher, one}}

    def test_a_watcher_of_all_that_asks_gets_that_alone(self):
        """Its list comes after."""
        watcher = waiter(None)
        watcher.ask("7", NOW)
        watcher.ask("8", NOW)

        assert asked(sat(watcher).looks(NOW, ONE_PAGE)) == {"7": {watcher}, "8": {watcher}}
        assert watcher.hanging == 2

    def test_a_watcher_of_several_is_served_by_several_gets(self):
        """It hangs on each of them, and is due when the last has ended."""
        watcher = waiter("1 2 3")
        schedule = sat(watcher)
        first, second, third = schedule.looks(NOW, LARGE)

        times = []
        for look in (first, second, third):
            times.append(schedule.next_at)
            schedule.let_go(look)

        assert (times, schedule.next_at, watcher.hanging) == ([math.inf] * 3, NOW, 0)

    @pytest.mark.parametrize("count", [3, 100])
    def test_an_abandoned_look_makes_those_due_at_once_who_hung_on_it(self, count):
        """GETs and a list alike: nobody waits for its interval."""
        some = waiters(count)
        schedule = sat(*some)
        looks = schedule.looks(NOW, None)
        assert schedule.next_at == math.inf

        for look in looks:
            schedule.put_down(look.carrier)
            schedule.let_go(look)

        assert schedule.next_at == NOW
        assert set().union(*(look.waiters for look in schedule.looks(NOW + 1, None))) == set(some)

    def test_a_part_may_be_let_go(self):
        """The rest goes on hanging on it."""
        some = waiters(50)
        schedule = sat(*some)
        (look,) = schedule.looks(NOW, None)

        schedule.let_go(look, some[:3])

        assert set(look.waiters) == set(some[3:])
        assert set(served(schedule, NOW)) == set(some[:3])

    def test_letting_go_twice_is_once(self):
        """A look that ended is let go again by whoever carried it."""
        one = waiter()
        schedule = sat(one)
        (look,) = schedule.looks(NOW, None)

        schedule.let_go(look)
        schedule.let_go(look)

        assert (one.hanging, look.waiters) == (0, [])

    def test_one_who_left_and_came_back_hangs_on_its_look_yet(self):
        """Nobody is served twice at once."""
        one, other = waiter("1"), waiter("1")
        schedule = sat(one, other)
        (look,) = schedule.looks(NOW, None)
        schedule.rise(one)
        schedule.sit(one, NOW)

        assert (schedule.looks(NOW, None), schedule.next_at) == ([], math.inf)
        schedule.let_go(look)
        assert set(served(schedule, NOW)) == {one, other}


class TestLeader:
    def test_the_latest_deadline_leads(self):
        """Whoever stays longest passes the lead on least often."""
        some = [waiter(deadline=NOW + seconds) for seconds in (5, 900, 30)]

        assert sat(*some).leader() is some[1]

    @pytest.mark.parametrize("deadline", [math.inf, 900.0])
    def test_of_two_the_oldest(self, deadline):
        """In the order of coming, not of sitting down."""
        some = [waiter(deadline=deadline) for _ in range(3)]

        assert sat(*reversed(some)).leader() is some[0]

    def test_never_one_who_does_not_attend(self):
        """Its wait is decided, or its `on_change` runs."""
        some = [waiter(), waiter()]
        schedule = sat(*some)
        schedule.rise(some[0])

        leaders = [schedule.leader()]
        schedule.sit(some[0], NOW)
        leaders.append(schedule.leader())
        schedule.rise(some[0])
        schedule.rise(some[1])

        assert ([*leaders, schedule.leader()], Schedule().leader()) == ([some[1], some[0], None], None)

    def test_never_one_who_carries_a_look(self):
        """Until it has put it down."""
        first, second = waiter("1"), looked_at(waiter("2"), NOW)
        schedule = sat(first, second)
        (look,) = schedule.looks(NOW, LARGE)

        leaders = [schedule.leader()]
        schedule.put_down(look.carrier)
        leaders.append(schedule.leader())

        assert leaders == [second, first]

    def test_one_who_hangs_on_anothers_look_may(self):
        """It has nothing else to do."""
        first, second = waiter(), waiter()
        schedule = sat(first, second)
        schedule.looks(NOW, None)

        assert schedule.leader() is second

    def test_who_put_down_its_look_after_it_left_does_not_lead(self):
        """A cancelled carrier is gone."""
        one = waiter()
        schedule = sat(one)
        (look,) = schedule.looks(NOW, None)
        schedule.rise(one)
        schedule.put_down(look.carrier)

        assert schedule.leader() is None

    def test_a_get_is_carried_by_one_of_those_it_serves(self):
        """The one who stays longest, as nothing is lost then when the others leave."""
        short, long, other = waiter("7", 105.0), waiter("7", 130.0), waiter("8", 900.0)

        carriers = {look.key: look.carrier for look in sat(short, long, other).looks(NOW, LARGE)}

        assert carriers == {"7": long, "8": other}

    def test_several_looks_are_carried_by_several_where_that_can_be(self):
        """A watcher of both carries one of them only."""
        watcher, one, other = waiter("7 8"), waiter("7", 105.0), waiter("8", 105.0)

        carriers = {look.carrier for look in sat(watcher, one, other).looks(NOW, LARGE)}

        assert len(carriers) == 2

    def test_a_list_is_carried_by_the_leader(self):
        """Which hangs on it, also where it hangs on a GET of its own that another carries."""
        some = waiters(11, deadline=900.0)
        carrying, leading = waiter("50"), waiter("50")
        schedule = sat(carrying, leading)
        schedule.looks(NOW, None)
        for one in some:
            schedule.sit(one, NOW)

        (look,) = schedule.looks(NOW, None)

        assert (look.carrier, set(look.waiters)) == (leading, {*some, leading})
        assert (carrying.hanging, leading.hanging) == (1, 2)


class TestMemory:
    @pytest.mark.parametrize("seconds", [math.inf, 60.0, 1e6], ids=["without end", "short", "long"])
    def test_those_who_came_and_went_are_forgotten(self, seconds):
        """Below one who waits without end and is due first, they would never come up."""
        stays = looked_at(waiter(interval=1e9), NOW)
        schedule = sat(stays)
        largest = [0] * 4
        for number in range(5_000):
            one = looked_at(waiter(deadline=NOW + number + seconds, interval=2e9), NOW)
            schedule.sit(one, NOW)
            schedule.rise(one)
            largest = list(map(max, largest, heaps(schedule)))

        assert max(largest) < 200
        assert schedule.next_at == stays.due
        assert max(heaps(schedule)) < 100

    @pytest.mark.parametrize("seconds", [math.inf, 1e6], ids=["without end", "long"])
    def test_one_who_comes_back_again_and_again_is_there_once(self, seconds):
        """A watcher attends anew for each change."""
        stays = looked_at(waiter(interval=1.0), NOW)
        back = looked_at(waiter(deadline=NOW + seconds, interval=3600.0), NOW)
        schedule = sat(stays)
        for _ in range(5_000):
            schedule.sit(back, NOW)
            assert schedule.next_at == 101.0
            schedule.rise(back)

        assert max(heaps(schedule)) < 200

    def test_one_whose_due_time_moves_again_and_again_is_there_once(self):
        """Others' looks serve it every second, and it would look once in an hour."""
        often, seldom = waiter(interval=1.0), waiter(interval=3600.0)
        schedule = sat(often, seldom)
        now = NOW
        for _ in range(5_000):
            (look,) = schedule.looks(now, None)
            for one in (often, seldom):
                one.looked(now, now)
                schedule.moved(one)
            schedule.let_go(look)
            schedule.put_down(look.carrier)
            now += 1.0

        assert max(heaps(schedule)) < 200


def naive_next_at(attending):
    """What `next_at` is, by asking everybody."""
    dues = (one.due for one in attending if not one.hanging)
    return min((*dues, *(one.expires for one in attending)), default=math.inf)


class AgainstTheNaive(RuleBasedStateMachine):
    """Waiters come, leave and come back, are looked for and abandoned; what must hold is found by asking everybody."""

    def __init__(self):
        super().__init__()
        self.schedule = Schedule()
        self.now = NOW
        self.known: list[Waiter] = []
        self.looks = []

    @property
    def attending(self):
        return [one for one in self.known if one.ready]

    def pick(self, number, among):
        return among[number % len(among)]

    @rule(
        keys=st.sampled_from(["1", "2", "3", "1 2", "4 5 6", *map(str, range(7, 25)), None]),
        interval=st.sampled_from([0.5, 1.0, 5.0, 60.0]),
        seconds=st.sampled_from([0.0, 3.0, 30.0, 900.0, math.inf]),
    )
    def come(self, keys, interval, seconds):
        deadline = self.now + seconds
        one = waiter(keys, deadline, began=self.now, interval=interval, expires=expiry(self.now, deadline, 10.0))
        self.known.append(one)
        self.schedule.sit(one, self.now)

    @rule(count=st.integers(2, 40))
    def many_come(self, count):
        for number in range(count):
            self.come(str(7 + number), 1.0, 900.0)

    @precondition(lambda self: self.attending)
    @rule(number=st.integers(0, 1000))
    def leave(self, number):
        self.schedule.rise(self.pick(number, self.attending))

    @precondition(lambda self: len(self.attending) < len(self.known))
    @rule(number=st.integers(0, 1000))
    def come_back(self, number):
        one = self.pick(number, [one for one in self.known if not one.ready])
        if not one.final:
            self.schedule.sit(one, self.now)

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
            self.schedule.rise(one)

    @rule(size=st.sampled_from([None, ONE_PAGE, Size(450, 100), LARGE]))
    def look(self, size):
        hung = {one for one in self.attending if one.hanging}
        free = [one for one in self.attending if not one.hanging]
        due = {one for one in free if one.due <= self.now}
        # Those who ask for a GET of their own are taken along by nobody, and take nobody along.
        hungry = any(not one.asks for one in due)
        along = due | {one for one in free if hungry and one.early <= self.now and not one.asks}

        looks = self.schedule.looks(self.now, size)

        served = [one for look in looks for one in look.waiters]
        listed = [look for look in looks if look.key is None]
        assert due <= along <= set(served) <= set(free) | {look.carrier for look in listed}
        assert len({look.key for look in looks}) == len(looks)
        for look in looks:
            assert look.carrier in look.waiters
            assert look.carrier.ready
            assert look.carrier.carrying
            assert len(set(look.waiters)) == len(look.waiters)
            assert look.key is None or all(look.key in (one.asks or one.keys) for one in look.waiters)
        for look in listed:
            assert set(free) <= set(served)
            # Only the one who carries a list may hang on another look besides.
            assert not hung & set(look.waiters) - {look.carrier}
        self.looks += looks

    @precondition(lambda self: self.looks)
    @rule(number=st.integers(0, 1000))
    def end_a_look(self, number):
        look = self.pick(number, self.looks)
        heard = [one for one in self.attending if look.key is None or one in look.waiters or one.keys == {look.key}]
        for one in heard:
            one.asks -= {look.key}
            one.looked(self.now, self.now)
            if one.final:
                self.schedule.rise(one)
            else:
                self.schedule.moved(one)
        self.drop(look)

    @precondition(lambda self: self.looks)
    @rule(number=st.integers(0, 1000), leaves=st.booleans())
    def abandon_a_look(self, number, leaves):
        look = self.pick(number, self.looks)
        if leaves and look.carrier.ready:
            self.schedule.rise(look.carrier)
        freed = [one for one in look.waiters if one.ready and one.hanging == 1]
        self.drop(look)
        assert self.schedule.next_at <= min((one.due for one in freed), default=math.inf)

    def drop(self, look):
        self.looks.remove(look)
        self.schedule.let_go(look)
        if not any(other.carrier is look.carrier for other in self.looks):
            self.schedule.put_down(look.carrier)

    @invariant()
    def the_next_time_is_the_earliest(self):
        assert self.schedule.next_at == naive_next_at(self.attending)

    @invariant()
    def the_leader_stays_longest_of_those_free(self):
        free = [one for one in self.attending if not one.carrying]

        assert self.schedule.leader() is min(free, key=lambda one: (-one.deadline, one.number), default=None)

    @invariant()
    def everybody_hangs_on_the_looks_that_serve_it(self):
        for one in self.known:
            assert one.hanging == sum(one in look.waiters for look in self.looks)

    @invariant()
    def the_heaps_stay_small(self):
        # Two below everybody, and what a few came and went by since.
        assert max(heaps(self.schedule)) <= 3 * len(self.attending) + 200


AgainstTheNaive.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestAgainstTheNaive = AgainstTheNaive.TestCase
