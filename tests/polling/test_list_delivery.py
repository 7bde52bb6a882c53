"""A list is handed out a part at a time, and by whoever goes on."""

from __future__ import annotations

import attrs
import pytest

from tests.polling.entries import NOW, entry
from tests.polling.test_delivery import House, poll, seen
from vpsorg_async import Server, ServerError
from vpsorg_async._page_plan import PageRead
from vpsorg_async._polling.list_delivery import AT_ONCE, ListDelivery
from vpsorg_async._polling.subscribers import WatchPlace


COUNT = 5 * AT_ONCE


@attrs.define(eq=False)
class Watching:
    """A watch that notes what it is shown, and has *size* changes to tell."""

    entry: object
    size: int = 0
    shown: list = attrs.field(factory=list)
    ended: list = attrs.field(factory=list)
    has_failures: bool = False
    has_news = True

    def see(self, key, sighting):
        self.shown.append(key)
        self.size += 1

    def list_ended(self, error, began, shown, doubtful):
        self.ended.append((error, len(shown), sorted(doubtful)))


class ListHouse(House):
    def watch(self, keys=None, joined=0):
        place = WatchPlace(Watching(entry(keys)), joined)
        self.subscribers.add_watch(place)
        return place

    def list(self, *subscriptions, number=1):
        wanted = poll(None, *subscriptions, number=number)
        return ListDelivery(wanted, self.delivery, self.woken.append)


@pytest.fixture
def house():
    return ListHouse()


def page_of(keys, status="active", began=NOW):
    servers = [Server(id=key, name="web", status=status) for key in keys]
    return PageRead(servers, len(servers), None, None, began, began + 1, None)


def parts_of(delivery, told):
    """Hand out everything. Return how much was told in each part."""
    sizes, more = [], True
    while more:
        before = told()
        more = delivery.hand_out()
        sizes.append(told() - before)
    return sizes


def read_through(house, *subscriptions, number, status="active", keys=range(COUNT)):
    delivery = house.list(*subscriptions, number=number)
    delivery.add([page_of(keys, status)])
    delivery.end(None)
    while delivery.hand_out():
        pass


def test_waits_are_told_in_parts(house):
    """I5: of which none is of more than so many."""
    waits = [house.wait(str(key)) for key in range(COUNT)]
    delivery = house.list(*waits)
    delivery.add(page_of(range(start, start + 100)) for start in range(0, COUNT, 100))
    delivery.end(None)

    sizes = parts_of(delivery, lambda: sum(len(one.subscriber.told) for one in waits))

    assert max(sizes) <= AT_ONCE
    assert len(house.woken) == 2 * COUNT
    assert [one.subscriber.told[0] for one in waits] == [(str(key), "active") for key in range(COUNT)]
    assert {len(one.subscriber.told) for one in waits} == {2}


def test_one_part_is_enough_for_a_short_list(house):
    waits = [house.wait(str(key)) for key in range(50)]
    delivery = house.list(*waits)
    delivery.add([page_of(range(50))])
    delivery.end(None)

    assert not delivery.hand_out()
    assert len(house.woken) == 100


def test_a_watch_is_told_once_however_much_it_was_shown(house):
    """I5: and the next one only when the first has had the time to take that."""
    first, second = house.watch(), house.watch()
    delivery = house.list(first, second)
    delivery.add([page_of(range(COUNT))])

    sizes = parts_of(delivery, lambda: len(house.woken))

    assert house.woken == [first, second]
    assert len(first.subscriber.shown) == len(second.subscriber.shown) == COUNT
    assert sizes[sizes.index(1) + 1 :].index(1) >= COUNT // AT_ONCE - 1


def test_whoever_goes_on_hands_out_nothing_twice(house):
    wait, other = house.wait("0"), house.wait(str(COUNT - 1))
    delivery = house.list(wait, other)
    delivery.add([page_of(range(COUNT))])
    delivery.hand_out()
    delivery.end(None)
    while delivery.hand_out():
        pass

    assert [len(one.subscriber.told) for one in (wait, other)] == [2, 2]


def test_a_list_that_nobody_goes_on_with_has_told_what_it_has_shown(house):
    watch = house.watch()
    delivery = house.list(watch)
    delivery.add([page_of(range(COUNT))])
    while not watch.subscriber.shown:
        delivery.hand_out()
    told = [*house.woken]
    delivery.abandon()

    assert (told, house.woken) == ([], [watch])


def test_how_it_failed_is_told(house):
    watch, error = house.watch(), ServerError.__new__(ServerError)
    delivery = house.list(watch)
    delivery.end(error)

    assert (delivery.ending, delivery.failure, delivery.hand_out()) == (True, error, False)
    assert watch.subscriber.ended == [(error, 0, [])]
    assert not watch.current


def test_a_server_that_a_get_has_called_gone_is_doubtful(house):
    watch = house.watch()
    house.log.admit("7", seen(None))
    delivery = house.list(watch)
    delivery.add([page_of([6, 7])])
    delivery.end(None)
    delivery.hand_out()

    assert (watch.subscriber.shown, watch.subscriber.ended) == (["6"], [(None, 2, ["7"])])


class TestWhatIsNotNew:
    def test_a_watch_that_was_shown_everything_is_shown_only_what_is_new(self, house):
        """I5: also one that does not read."""
        watches = [house.watch(), house.watch(" ".join(map(str, range(COUNT))))]
        read_through(house, *watches, number=1)
        for one in watches:
            one.subscriber.shown.clear()
        read_through(house, *watches, number=2)
        nothing = [len(one.subscriber.shown) for one in watches]
        delivery = house.list(*watches, number=3)
        delivery.add([page_of(range(COUNT - 1)), page_of([COUNT - 1], "stopped")])
        while delivery.hand_out():
            pass

        assert nothing == [0, 0]
        assert [one.subscriber.shown for one in watches] == [[str(COUNT - 1)]] * 2

    @pytest.mark.parametrize("trouble", ["missing", "asks", "hanging", "failures"])
    def test_one_that_counts_failures_or_wants_a_get_is_shown_all(self, house, trouble):
        """I5: each observation may end that."""
        watch = house.watch()
        read_through(house, watch, number=1, keys=[7])
        watch.subscriber.shown.clear()
        if trouble == "failures":
            watch.subscriber.has_failures = True
        else:
            getattr(watch.entry, trouble)["7"] = 0.0
        read_through(house, watch, number=2, keys=[7])

        assert watch.subscriber.shown == ["7"]

    def test_one_that_came_later_is_shown_all_of_the_next_list(self, house):
        """I5: and nothing of the list that had begun."""
        early, late = house.watch(), house.watch(joined=1)
        for number in (1, 2, 3):
            read_through(house, early, late, number=number, keys=[7, 8])

        assert (early.subscriber.shown, late.subscriber.shown) == (["7", "8"], ["7", "8"])

    def test_what_it_was_not_shown_in_between_is_shown_by_a_list_that_begins_to_be_handed_out_later(self, house):
        """I5: a list that began before it came may be handed out beside one that began after."""
        early, late = house.watch(), house.watch(joined=1)
        old, new = (house.list(early, late, number=number) for number in (1, 2))
        new.add([page_of(range(COUNT))])
        new.end(None)
        while "8" not in late.subscriber.shown:
            new.hand_out()
        old.add([page_of([8], "stopped")])
        old.hand_out()
        while new.hand_out():
            pass
        late.subscriber.shown.clear()
        newest = house.list(early, late, number=3)
        newest.add([page_of([7], "active"), page_of([8], "stopped")])
        newest.end(None)
        newest.hand_out()

        assert late.subscriber.shown == ["7", "8"]
