"""The statuses, and the commands between them: the tables cover each other."""

from __future__ import annotations

import pytest

from vpsorg_async import Server, ServerStatus
from vpsorg_async._polling.lifecycle import LASTING, PASSING, TRANSITIONS, Observation


class TestTables:
    def test_every_status_is_lasting_or_passing(self):
        """The two tables cover the seven, none twice."""
        assert LASTING | PASSING.keys() == set(ServerStatus)
        assert LASTING.isdisjoint(PASSING)

    def test_every_transition_leads_through_a_passing_status_to_a_lasting_one(self):
        """No command ends in a status that passes, and no two share a transition."""
        throughs = [transition.transitional_status for transition in TRANSITIONS.values()]

        assert sorted(throughs) == sorted(PASSING)
        assert all(transition.status_after in LASTING for transition in TRANSITIONS.values())
        assert all(transition.status_before in LASTING | {None} for transition in TRANSITIONS.values())


class TestObservation:
    @pytest.mark.parametrize(
        ("shown", "status"), [(None, None), ("deleted", None), ("active", "active"), ("", ""), ("Deleted", "Deleted")]
    )
    def test_the_status_deleted_counts_as_gone(self, shown, status):
        server = None if shown is None else Server(id=7, name="web-01", status=shown)

        assert Observation(began=0, ended=1, server=server).status == status
