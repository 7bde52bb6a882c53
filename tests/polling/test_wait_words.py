"""How the errors of a wait are worded."""

from __future__ import annotations

import pytest

from vpsorg_async import Server, WaitError
from vpsorg_async._polling.evidence import Evidence
from vpsorg_async._polling.lifecycle import Goal, Observation
from vpsorg_async._polling.wait_words import goal_words, hint_words, last_words, path_words


def evidence_of(*statuses, goal=("active",)):
    evidence = Evidence(Goal(statuses=frozenset(goal)))
    for began, status in enumerate(statuses):
        server = Server(id=7, name="web-01", status=status, extra={"status": None} if status == "" else {})
        one = Observation(began=began, ended=began, server=server)
        evidence.take(one)
        evidence.note_status(one)
    return evidence


class TestWords:
    @pytest.mark.parametrize(
        ("statuses", "words"), [((), "gone"), (("stopped", "active"), "active or stopped")], ids=["gone", "several"]
    )
    def test_the_goal(self, statuses, words):
        assert goal_words(Goal(statuses=frozenset(statuses))) == words

    @pytest.mark.parametrize(
        ("seen", "words"),
        [
            ((), "it was never seen"),
            (("stopped",), "it was last seen stopped, for 9 s"),
            (("",), "it was last seen with the status None, for 9 s"),
            (("stopped", "starting"), "it was last seen starting, for 8 s (seen: stopped -> starting)"),
        ],
        ids=repr,
    )
    def test_what_was_last_seen(self, seen, words):
        assert last_words(evidence_of(*seen), None, 9.0) == words

    def test_how_the_last_poll_failed(self):
        assert last_words(evidence_of(), WaitError("no"), 9.0) == "it was never seen; the last poll failed: no"

    def test_a_path_has_two_ends(self):
        assert (path_words(evidence_of("active")), path_words(evidence_of("active", ""))) == (
            "",
            " (seen: active -> '')",
        )

    def test_a_status_that_passes_quickly_may_have_passed(self):
        assert hint_words(evidence_of("active", goal=("starting",)), 9.0) == (
            "; starting passes quickly, and may have passed between two polls"
        )
