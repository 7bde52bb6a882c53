"""Who wants to observe which servers."""

from __future__ import annotations

import gc

import attrs
import pytest

from tests.polling.entries import entry
from vpsorg_async._polling.subscribers import Subscribers, Subscription


@attrs.define(eq=False)
class Wanting:
    entry: object


def subscription(keys, joined=0):
    return Subscription(Wanting(entry(keys)), joined)


@pytest.fixture
def all_of():
    return Subscribers()


def test_a_server_is_wanted_by_its_waits_and_by_the_watches_of_it_or_of_all(all_of):
    wait, other = subscription("7"), subscription("8")
    some, every = subscription("7 9"), subscription(None)
    for one in (wait, other):
        all_of.add(one)
    for one in (some, every):
        all_of.add_watch(one)

    assert set(all_of.of("7", 1)) == {wait, some, every}
    assert all_of.of("9", 1) in ([some, every], [every, some])
    assert [all_of.wants(key, 1) for key in ("7", "8", "9", "1")] == [True] * 4
    assert set(all_of) == {wait, other, some, every}


def test_a_poll_tells_those_nothing_who_came_after_it_began(all_of):
    wait, watch = subscription("7", joined=3), subscription(None, joined=3)
    all_of.add(wait)
    all_of.add_watch(watch)

    assert (all_of.of("7", 3), all_of.before(3), all_of.wants("7", 3)) == ([], [], False)
    assert set(all_of.of("7", 4)) == set(all_of.before(4)) == {wait, watch}


def test_a_wait_is_there_until_it_is_removed(all_of):
    wait = subscription("7")
    all_of.add(wait)
    all_of.remove(wait)

    assert (all_of.of("7", 1), all_of.wants("7", 1), [*all_of]) == ([], False, [])


def test_a_watch_is_there_for_as_long_as_somebody_holds_it(all_of):
    watch = subscription(None)
    all_of.add_watch(watch)
    before = all_of.watching
    del watch
    gc.collect()

    assert (before, all_of.watching, [*all_of]) == (True, False, [])


def test_a_watch_may_be_removed_while_somebody_holds_it(all_of):
    """And nothing happens when it goes away later, or is removed again."""
    watch, other = subscription("7 8"), subscription(None)
    all_of.add_watch(watch)
    all_of.add_watch(other)

    all_of.remove_watch(watch)
    all_of.remove_watch(watch)

    assert (all_of.watches, all_of.of("7", 1)) == ([other], [other])
    del watch
    gc.collect()
    assert (all_of.watching, all_of.watches) == (True, [other])
    all_of.remove_watch(other)
    assert (all_of.watching, all_of.watching_all, all_of.watched("7")) == (False, False, False)
