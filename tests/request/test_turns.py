"""Who takes the next turn: nobody starves, and each share gets its part while others wait."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async._request.turns import POLLS_BESIDE_CALLS, WEIGHTS, Share, Turns


POLLS, SEARCHES, CALLS = Share.POLLS, Share.SEARCHES, Share.CALLS


def taken(turns, waiting, count):
    """Return who takes the next *count* turns while all of *waiting* wait."""
    found = []
    for _ in range(count):
        found.append(turns.next_of(waiting))
        turns.took(found[-1])
    return found


class TestTurns:
    def test_a_poll_goes_first_and_then_three_calls(self):
        assert taken(Turns(), {CALLS, POLLS}, 9) == [POLLS, *[CALLS] * 3] * 2 + [POLLS]

    def test_a_search_has_two_turns_of_five_beside_calls(self):
        assert taken(Turns(), {CALLS, SEARCHES}, 100).count(SEARCHES) == 40

    def test_who_waits_alone_takes_every_turn_and_owes_nothing_for_it(self):
        turns = Turns()
        taken(turns, {POLLS}, 1_000)

        assert taken(turns, {POLLS, CALLS}, 5) == [CALLS, CALLS, CALLS, POLLS, CALLS]

    def test_who_did_not_wait_has_saved_nothing_up(self):
        turns = Turns()
        taken(turns, {CALLS}, 1_000)

        assert taken(turns, {POLLS, CALLS}, 40).count(POLLS) in {10, 11}

    def test_every_share_has_a_weight(self):
        assert WEIGHTS.keys() == {*Share}
        assert POLLS_BESIDE_CALLS == 1 / 4

    @given(st.lists(st.sets(st.sampled_from(Share), min_size=1), max_size=200))
    def test_polls_take_at_most_every_other_turn_while_anybody_else_waits(self, story):
        turns = Turns()
        took = [(taken(turns, waiting, 1)[0], waiting != {POLLS}) for waiting in story]

        for (one, crowded), (other, still) in itertools.pairwise(took):
            assert not (one is other is POLLS and crowded and still)

    @given(st.lists(st.sets(st.sampled_from(Share), min_size=1), max_size=200), st.sampled_from(Share))
    def test_nobody_who_keeps_waiting_starves(self, story, one):
        """Between two turns of a share that waits, each other share takes no more than its weight allows, and one."""
        turns = Turns()
        took = [taken(turns, waiting | {one}, 1)[0] for waiting in story]

        gaps = [[*gap] for mine, gap in itertools.groupby(took, lambda who: who is one) if not mine]
        for gap in gaps:
            for other in {*gap}:
                assert gap.count(other) <= WEIGHTS[other] / WEIGHTS[one] + 1
