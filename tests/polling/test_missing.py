"""GETs for servers that a list did not show: rationed, in turn, and few while the API may be down."""

from __future__ import annotations

import math

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.polling.entries import NOW, entries, entry
from vpsorg_async._polling.entry import PollEntry
from vpsorg_async._polling.missing import GETS_A_SECOND, PROBES, RATION_SECONDS, MissingServers


def missing_of(*wanting) -> MissingServers:
    """Return the ration with these entries, each of which misses all of its servers."""
    missing = MissingServers()
    for one in wanting:
        one.miss(sorted(one.keys))
        missing.add(one)
    return missing


def take(missing, now):
    """Begin the GETs that are allowed *now*, and return their keys."""
    keys = list(dict.fromkeys(key for _, key in missing.take(now)))
    for key in keys:
        missing.begun(key)
    return keys


def end(missing, wanting, keys, *, now=NOW, answered):
    """Let the GETs of *keys* end. Return whether a failure has counted for all."""
    all_fail = False
    for key in keys:
        missing.ended(key)
        for one in wanting:
            one.shown(key)
        if answered:
            missing.answered()
        else:
            all_fail = missing.failed(key, now, now) or all_fail
    return all_fail


def test_so_many_are_begun_in_a_second_and_the_next_after_it():
    missing = missing_of(*entries(50))

    assert len(take(missing, NOW)) == GETS_A_SECOND
    assert take(missing, NOW + 1) == []
    assert missing.next_at() == NOW + RATION_SECONDS
    assert len(take(missing, NOW + RATION_SECONDS)) == GETS_A_SECOND


def test_one_get_is_for_all_who_want_the_server():
    one, other = entry("7"), entry("7")
    missing = missing_of(one, other)

    assert missing.take(NOW) == [(one, "7"), (other, "7")]


def test_who_waits_for_a_poll_or_asks_already_is_not_asked_for():
    waiting, asking, free = wanting = entries(3)
    missing = missing_of(*wanting)
    waiting.awaits = 1
    asking.ask("1", NOW)

    assert missing.take(NOW) == [(free, "2")]


def test_nothing_wanted_is_never():
    missing = missing_of(entry("7"))
    [one] = missing.take(NOW)[0][:1]
    one.shown("7")

    assert missing.next_at() == math.inf
    assert missing.take(NOW + 10) == []


def test_in_doubt_a_few_are_begun_until_one_is_answered():
    wanting = entries(50)
    missing = missing_of(*wanting)
    missing.doubt()

    probes = take(missing, NOW)
    assert len(probes) == PROBES
    assert missing.next_at() == math.inf

    end(missing, wanting, probes[:1], answered=True)
    assert len(take(missing, NOW)) == GETS_A_SECOND - PROBES


def test_when_they_all_fail_it_counts_for_those_not_asked_and_they_are_first_next_time():
    wanting = entries(10)
    missing = missing_of(*wanting)
    missing.doubt()

    assert end(missing, wanting, take(missing, NOW), answered=False)
    given_up = missing.give_up()

    assert [keys for _, keys in given_up] == [[str(number)] for number in range(3, 10)]
    assert missing.next_at() == math.inf
    for one in wanting:
        one.miss(one.keys)
        missing.add(one)
    assert take(missing, NOW + 20) == ["3", "4", "5"]


def test_a_probe_that_was_abandoned_is_made_again():
    missing = missing_of(*entries(5))
    missing.doubt()
    for key in take(missing, NOW):
        missing.ended(key)

    assert len(take(missing, NOW)) == PROBES


def test_failures_of_gets_from_before_are_not_counted_twice():
    wanting = entries(30)
    missing = missing_of(*wanting)
    keys = take(missing, NOW)

    assert end(missing, wanting, keys[:PROBES], answered=False, now=NOW + 1) is True
    assert not any(missing.failed(key, NOW, NOW + 2) for key in keys[PROBES:])


def test_an_answer_between_failures_begins_the_count_anew():
    wanting = entries(30)
    missing = missing_of(*wanting)
    keys = take(missing, NOW)

    for begin in range(0, 15, 3):
        assert not end(missing, wanting, keys[begin : begin + 2], answered=False)
        end(missing, wanting, keys[begin + 2 : begin + 3], answered=True)


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["answered", "failed", "abandoned", "doubt"])), max_size=60))
def test_there_are_never_more_than_allowed_and_nobody_is_forgotten(steps):
    """At random: in no second more than 20; in doubt never more than 3 at once; all are asked in the end."""
    wanting = entries(45)
    missing = missing_of(*wanting)
    now, begun, running, doubted, asked = NOW, [], [], False, set()
    for seconds, what in steps:
        now += seconds
        keys = take(missing, now)
        begun += [now] * len(keys)
        running += keys
        asked |= {*keys}
        assert sum(at > now - 1 for at in begun) <= GETS_A_SECOND
        assert not (doubted and len(keys) > PROBES)
        if what == "doubt":
            missing.doubt()
            doubted = True
        elif running:
            key = running.pop(0)
            missing.ended(key)
            if what == "answered":
                missing.answered()
                doubted = False
            elif what == "failed" and missing.failed(key, now, now):
                doubted = True

    for _ in range(200):
        now += 1
        missing.answered()
        for key in take(missing, now):
            asked.add(key)
            missing.ended(key)
            for one in wanting:
                one.shown(key)
        for key in running:
            missing.ended(key)
        running = []
    assert asked == {str(number) for number in range(45)}


def test_the_deletes_of_a_fleet_are_confirmed_as_fast_as_by_a_plain_loop():
    """W37: a thousand at once were seen 44 s late. What others miss keeps its ration."""
    others = entries(50)
    deleted = [
        PollEntry(keys=frozenset({f"d{number}"}), interval=float, longest=5.0, crowd=1000, command="delete", began=NOW)
        for number in range(50)
    ]
    missing = missing_of(*others, *deleted)

    assert len(take(missing, NOW)) == 2 * GETS_A_SECOND
    assert take(missing, NOW + 0.05) == []
    assert missing.next_at() == pytest.approx(NOW + GETS_A_SECOND * 5 / 1000)
    keys = take(missing, NOW + 0.1)
    assert (len(keys), {key[0] for key in keys}) == (GETS_A_SECOND, {"d"})


def test_a_small_fleet_of_deletes_has_the_usual_ration():
    """W37: a loop would make no more."""
    deleted = PollEntry(keys=frozenset({"7"}), interval=float, longest=5.0, crowd=20, command="delete", began=NOW)
    missing = missing_of(*(attrs.evolve(deleted, keys=frozenset({str(key)})) for key in range(30)))

    assert len(take(missing, NOW)) == GETS_A_SECOND
    assert missing.next_at() == NOW + RATION_SECONDS
