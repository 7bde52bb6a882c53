"""What became of many: a report tells of all of them, in the order given, and in plain words."""

from __future__ import annotations

import copy
import pickle

from datetime import UTC, datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail
from tests.helpers_fleet import answered, ended, left_out, report_of
from vpsorg_async import (
    NotFoundError,
    OutcomeUnknownError,
    Progress,
    Server,
    ServerSpec,
    WaitError,
    WaitTimeoutError,
)
from vpsorg_async._fleet.states import BAD, STATES


SERVER = Server.from_dict(detail(7))
SPEC = ServerSpec(name="app-0", plan_id=1, os_id=5, location="us-west")


NOTHING = Progress(total=0, begun=0, succeeded=0, failed=0, pending=0, unknown=0, skipped=0)


def in_states(*states):
    return report_of(
        *(ended(index, state) if state != "skipped" else left_out(index) for index, state in enumerate(states))
    )


class TestReport:
    def test_it_is_a_sequence_of_its_outcomes(self):
        report = in_states("succeeded", "failed", "unknown", "skipped")

        assert (report.action, len(report)) == ("reboot", 4)
        assert tuple(report) == report.outcomes
        assert (report[0].state, report[-1].state) == ("succeeded", "skipped")
        assert report[1:3] == report.outcomes[1:3]
        assert report.outcomes[2] in report
        assert report.index(report.outcomes[2]) == 2
        assert [outcome.index for outcome in reversed(report)] == [3, 2, 1, 0]
        assert report == report_of(*report.outcomes)

    @given(st.lists(st.sampled_from(STATES), max_size=30))
    def test_each_state_has_its_own_in_the_order_given(self, states):
        report = in_states(*states)

        for state in STATES:
            theirs = getattr(report, state)
            assert [outcome.index for outcome in theirs] == [at for at, one in enumerate(states) if one == state]

    @given(st.lists(st.sampled_from(STATES), max_size=30))
    def test_raising_groups_exactly_the_failed_the_pending_and_the_unknown(self, states):
        report = in_states(*states)
        bad = [outcome.error for outcome in report if outcome.state in BAD]

        if not bad:
            report.raise_for_failures()
            return
        with pytest.raises(ExceptionGroup) as caught:
            report.raise_for_failures()

        assert list(caught.value.exceptions) == bad
        assert caught.value.message == f"{len(bad)} of {len(states)} items failed, are pending or are unknown"

    def test_the_group_can_be_taken_apart_by_class(self):
        errors = [answered(NotFoundError, 404), WaitTimeoutError("late"), answered(NotFoundError, 404)]
        report = report_of(*(ended(index, error=error) for index, error in enumerate(errors)))

        with pytest.raises(ExceptionGroup) as caught:
            report.raise_for_failures()

        missing, rest = caught.value.split(NotFoundError)
        assert (len(missing.exceptions), len(rest.exceptions)) == (2, 1)


class TestAsText:
    def test_a_report_says_how_many_and_names_those_that_did_not_get_there(self):
        outcomes = (
            ended(0, "succeeded", item=SERVER),
            ended(1, "failed", answered(NotFoundError, 404), item=8),
            ended(2, "unknown", OutcomeUnknownError("the answer was lost"), item=SPEC),
            ended(3, "failed", WaitTimeoutError("still stopped"), item=SERVER),
            left_out(4),
            ended(5, "pending", WaitError("cancelled"), item=9),
        )
        report = report_of(*outcomes, stopped_by=outcomes[3].error)

        assert str(report).splitlines() == [
            "reboot of 6 items: 1 succeeded, 2 failed, 1 pending, 1 unknown, 1 skipped",
            "stopped by: still stopped",
            "  server 8: failed: answered 404",
            "  server 'app-0': unknown: the answer was lost",
            "  server 7 (web-01): failed: still stopped",
            "  server 9: pending: cancelled",
            "pending: the API accepted the command, and how it ended is not known. Wait; do not send it again.",
            "unknown: the API may have accepted the command. Look at the server before you send it again.",
        ]

    def test_it_gives_no_advice_that_nobody_needs(self):
        assert str(in_states("failed")).splitlines() == [
            "reboot of 1 item: 0 succeeded, 1 failed, 0 pending, 0 unknown, 0 skipped",
            "  server 0: failed: of 0",
        ]

    @pytest.mark.parametrize(
        ("outcome", "text"),
        [
            (ended(0, "succeeded", item=SERVER), "server 7 (web-01): succeeded"),
            (left_out(3), "server 3: skipped"),
            (ended(0, "failed", KeyError("a"), item="web"), "server web: failed: KeyError: 'a'"),
            (ended(0, "failed", TimeoutError(), item=1), "server 1: failed: TimeoutError"),
            (ended(0, "failed", ValueError("two\n\n lines"), item=1), "server 1: failed: ValueError: two lines"),
        ],
    )
    def test_an_outcome_is_a_line(self, outcome, text):
        assert str(outcome) == text

    @given(st.integers(0, 200), st.text(), st.integers(1, 20_000))
    def test_it_is_bounded_whatever_there_is_to_tell(self, failed, text, times):
        error = ValueError(text * times)
        outcomes = tuple(ended(index, error=error, item="x" * 200) for index in range(failed))

        lines = str(report_of(*outcomes, stopped_by=error)).split("\n")

        assert len(lines) <= 23
        assert max(map(len, lines)) <= 410
        if failed > 20:
            assert lines[-1] == f"  … and {failed - 20} more"


class OwnError(Exception):
    """An error that pickle knows, though not how it is made."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def through_pickle(item):
    return pickle.loads(pickle.dumps(item))


@pytest.mark.parametrize("way", [through_pickle, copy.deepcopy, copy.copy])
class TestCopies:
    def test_a_report_comes_out_whole(self, way):
        """P6: every outcome of it, in its order, with its server, value and error."""
        error = answered(NotFoundError, 404)
        error.__cause__ = ConnectionResetError("reset")
        began, now = datetime(2026, 11, 28, tzinfo=UTC), datetime(2026, 11, 29, tzinfo=UTC)
        report = report_of(
            ended(0, "succeeded", item=SERVER, server=SERVER, value={"a": [1]}, began_at=began, ended_at=now),
            ended(1, "failed", error, item=SPEC, accepted=True),
            left_out(2),
            action="create",
            stopped_by=error,
        )

        back = way(report)

        assert back is not report
        assert str(back) == str(report)
        assert (back[0], back[2]) == (report[0], report[2])
        assert (back.action, back[0].began_at, back[0].ended_at) == ("create", began, now)
        assert (back[1].item, back[1].state, back[1].accepted) == (SPEC, "failed", True)
        assert (type(back[1].error), vars(back[1].error)) == (NotFoundError, vars(error))
        assert str(back[1].error.__cause__) == "reset"
        assert str(back.stopped_by) == str(error)
        with pytest.raises(ExceptionGroup):
            back.raise_for_failures()

    def test_an_error_that_pickle_cannot_carry_is_kept_as_text(self, way):
        """P6: what `apply` raised may be of a class that is known nowhere else."""

        class LocalError(Exception):
            pass

        report = report_of(
            ended(0, error=LocalError("of one's own")),
            ended(1, error=OwnError("of", "two")),
            ended(2, error=UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")),
            stopped_by=LocalError("the first"),
        )

        back = way(report)

        if way is not copy.copy:
            assert type(back[0].error) is type(back[1].error) is RuntimeError
            assert str(back[0].error).endswith("LocalError: of one's own")
            assert str(back[1].error) == "OwnError: of two"
        assert isinstance(back[2].error, UnicodeDecodeError)
        assert str(back.stopped_by).endswith("LocalError: the first")
        assert [outcome.state for outcome in back] == ["failed"] * 3

    def test_progress_and_specs_do_too(self, way):
        """P6: plain data."""
        progress = Progress(total=3, begun=2, succeeded=1, failed=0, pending=0, unknown=0, skipped=0)

        assert (way(progress), way(SPEC)) == (progress, SPEC)


class TestFrozen:
    @pytest.mark.parametrize("item", [left_out(0), report_of(), SPEC, NOTHING])
    def test_nothing_can_be_changed(self, item):
        for name in ("state", "outcomes", "name", "total", "new"):
            with pytest.raises(AttributeError):
                setattr(item, name, 1)
