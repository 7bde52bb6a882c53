"""What became of many: a ledger that misses no item, and a report that tells of all in the order given."""

from __future__ import annotations

import copy
import pickle

from collections import Counter

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail
from vpsorg_async import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    FleetReport,
    InsufficientCreditsError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    Progress,
    RateLimitError,
    ResponseError,
    Server,
    ServerError,
    ServerSpec,
    WaitTimeoutError,
)
from vpsorg_async._fleet.report import Ledger


STATES = ("succeeded", "failed", "unknown", "skipped")
ENDS = ("succeeded", "failed", "unknown")
SERVER = Server.from_dict(detail(7))
SPEC = ServerSpec(name="app-0", plan_id=1, os_id=5, location="us-west")


def ended(index, state="failed", error=None, **more):
    """Return the outcome of an item, with an error where there must be one."""
    if state != "succeeded" and error is None:
        error = ResponseError(f"of {index}")
    return Outcome(index=index, item=more.pop("item", index), state=state, error=error, **more)


def report_of(*states):
    outcomes = [ended(index, state) if state != "skipped" else left_out(index) for index, state in enumerate(states)]
    return FleetReport(outcomes=tuple(outcomes))


def left_out(index):
    return Outcome(index=index, item=index, state="skipped")


def answered(kind, status):
    return kind(f"answered {status}", status_code=status, message="no", headers={}, body=b"")


def begun(ledger):
    """Begin all that may be begun, and return their indices."""
    return list(iter(ledger.begin, None))


class TestLedger:
    def test_items_begin_in_the_order_given_each_once(self):
        ledger = Ledger(["a", "b", "c"], tolerate=None)

        assert begun(ledger) == [0, 1, 2]
        assert ledger.begin() is None
        assert [outcome.item for outcome in ledger.report] == ["a", "b", "c"]

    def test_what_is_under_way_is_unknown_and_what_has_not_begun_is_skipped(self):
        ledger = Ledger([SERVER, 8, "9"], tolerate=None)
        ledger.begin()

        first, second, third = ledger.report

        assert (first.index, first.item, first.state, str(first.error)) == (0, SERVER, "unknown", "it has not ended")
        assert isinstance(first.error, OutcomeUnknownError)
        assert (second, third) == (
            Outcome(index=1, item=8, state="skipped"),
            Outcome(index=2, item="9", state="skipped"),
        )

    def test_a_report_does_not_change_when_the_run_goes_on(self):
        ledger = Ledger([1, 2], tolerate=None)
        ledger.begin()
        before = ledger.report

        ledger.end(ended(0, "succeeded"))

        assert [outcome.state for outcome in before] == ["unknown", "skipped"]
        assert [outcome.state for outcome in ledger.report] == ["succeeded", "skipped"]

    @pytest.mark.parametrize(
        ("tolerate", "items", "allowed"),
        [
            (0, 10, 0),
            (1, 10, 1),
            (9, 10, 9),
            (0.0, 10, 0),
            (0.05, 100, 5),
            (0.05, 99, 4),
            (0.05, 10, 0),
            (0.1, 10, 1),
            (0.5, 3, 1),
            (1.0, 10, 10),
            (1, 1, 1),
            (100, 10, 10),
            (None, 10, 10),
        ],
    )
    @pytest.mark.parametrize("state", ["failed", "unknown"])
    def test_nothing_more_is_begun_once_more_are_bad_than_tolerated(self, tolerate, items, allowed, state):
        ledger = Ledger(range(items), tolerate=tolerate)

        for index in iter(ledger.begin, None):
            ledger.end(ended(index, state))

        bad = len(ledger.report.failed) + len(ledger.report.unknown)
        assert bad == min(items, allowed + 1)
        stopped = allowed < items
        assert ledger.stopped_by is (ledger.report[allowed].error if stopped else None)

    @given(st.integers(0, 1000), st.integers(1, 1000))
    def test_a_share_of_just_so_many_is_not_more(self, allowed, items):
        allowed = min(allowed, items)
        ledger = Ledger(range(items), tolerate=allowed / items)

        for index in range(allowed):
            ledger.begin()
            ledger.end(ended(index))

        assert ledger.stopped_by is None
        if allowed < items:
            ledger.begin()
            ledger.end(ended(allowed))
            assert ledger.stopped_by is not None

    @pytest.mark.parametrize(
        "error",
        [
            answered(AuthenticationError, 401),
            answered(InsufficientCreditsError, 402),
            answered(PermissionDeniedError, 403),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("tolerate", [None, 1.0, 5, 0])
    def test_what_stops_everybody_stops_the_run_whatever_is_tolerated(self, error, tolerate):
        ledger = Ledger(range(5), tolerate=tolerate)
        ledger.begin()
        ledger.end(ended(0, error=error))

        assert ledger.begin() is None
        assert ledger.stopped_by is ledger.report.stopped_by is error

    @pytest.mark.parametrize(
        "error",
        [
            answered(BadRequestError, 400),
            answered(NotFoundError, 404),
            answered(RateLimitError, 429),
            answered(ServerError, 500),
            APIConnectionError("cut", sent=True),
            WaitTimeoutError("too slow"),
            ZeroDivisionError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_other_errors_stop_nothing_by_themselves(self, error):
        ledger = Ledger(range(5), tolerate=None)
        ledger.begin()
        ledger.end(ended(0, error=error))

        assert begun(ledger) == [1, 2, 3, 4]
        assert ledger.stopped_by is None

    def test_the_first_reason_to_stop_counts(self):
        ledger = Ledger(range(5), tolerate=0)
        begun(ledger)

        ledger.end(ended(3))
        ledger.end(ended(1, error=answered(AuthenticationError, 401)))
        ledger.stop(ValueError("of a helper"))

        assert ledger.stopped_by is ledger.report[3].error

    def test_those_in_progress_end_as_they_do_after_a_stop(self):
        ledger = Ledger(range(5), tolerate=0)
        ledger.begin()
        ledger.begin()
        ledger.end(ended(0))
        ledger.end(ended(1, "succeeded"))

        assert [outcome.state for outcome in ledger.report] == ["failed", "succeeded", *["skipped"] * 3]

    @given(st.data())
    def test_no_item_is_ever_missing_and_the_numbers_add_up(self, data):
        """Any order of begins and ends, any outcomes, any tolerance, a stop somewhere."""
        items = [f"item-{number}" for number in range(data.draw(st.integers(0, 12)))]
        tolerate = data.draw(st.none() | st.integers(0, 5) | st.floats(0, 1))
        ledger, under_way, done = Ledger(items, tolerate=tolerate), [], {}

        for _ in range(data.draw(st.integers(0, 30))):
            move = data.draw(st.sampled_from(["begin", "begin", "end", "stop"]))
            if move == "begin" and (index := ledger.begin()) is not None:
                under_way.append(index)
            elif move == "end" and under_way:
                index = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
                done[index] = ended(index, data.draw(st.sampled_from(ENDS)), item=items[index])
                ledger.end(done[index])
            elif move == "stop" and data.draw(st.booleans()):
                ledger.stop(ValueError("stop"))

            report, progress = ledger.report, ledger.progress
            counts = Counter(outcome.state for outcome in report)
            assert [(outcome.index, outcome.item) for outcome in report] == list(enumerate(items))
            assert all(report[index] is outcome for index, outcome in done.items())
            assert {outcome.index for outcome in report if str(outcome.error) == "it has not ended"} == set(under_way)
            assert sum(len(getattr(report, state)) for state in STATES) == len(items)
            assert progress == Progress(
                total=len(items),
                begun=len(done) + len(under_way),
                succeeded=counts["succeeded"],
                failed=counts["failed"],
                unknown=counts["unknown"] - len(under_way),
                skipped=counts["skipped"] if report.stopped_by else 0,
            )


class TestReport:
    def test_it_is_a_sequence_of_its_outcomes(self):
        report = report_of("succeeded", "failed", "unknown", "skipped")

        assert len(report) == 4
        assert tuple(report) == report.outcomes
        assert (report[0].state, report[-1].state) == ("succeeded", "skipped")
        assert report[1:3] == report.outcomes[1:3]
        assert report.outcomes[2] in report
        assert report.index(report.outcomes[2]) == 2
        assert [outcome.index for outcome in reversed(report)] == [3, 2, 1, 0]
        assert report == FleetReport(outcomes=report.outcomes)

    @given(st.lists(st.sampled_from(STATES), max_size=30))
    def test_each_state_has_its_own_in_the_order_given(self, states):
        report = report_of(*states)

        for state in STATES:
            theirs = getattr(report, state)
            assert [outcome.index for outcome in theirs] == [at for at, one in enumerate(states) if one == state]

    @given(st.lists(st.sampled_from(STATES), max_size=30))
    def test_raising_groups_exactly_the_failed_and_the_unknown(self, states):
        report = report_of(*states)
        bad = [outcome.error for outcome in report if outcome.state in ("failed", "unknown")]

        if not bad:
            report.raise_for_failures()
            return
        with pytest.raises(ExceptionGroup) as caught:
            report.raise_for_failures()

        assert list(caught.value.exceptions) == bad
        assert caught.value.message == f"{len(bad)} of {len(states)} items failed or are unknown"

    def test_the_group_can_be_taken_apart_by_class(self):
        errors = [answered(NotFoundError, 404), WaitTimeoutError("late"), answered(NotFoundError, 404)]
        report = FleetReport(outcomes=tuple(ended(index, error=error) for index, error in enumerate(errors)))

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
        )
        report = FleetReport(outcomes=outcomes, stopped_by=outcomes[3].error)

        assert str(report).splitlines() == [
            "5 items: 1 succeeded, 2 failed, 1 unknown, 1 skipped",
            "stopped by: still stopped",
            "  server 8: failed: answered 404",
            "  server 'app-0': unknown: the answer was lost",
            "  server 7 (web-01): failed: still stopped",
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

        lines = str(FleetReport(outcomes=outcomes, stopped_by=error)).split("\n")

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
        report = FleetReport(
            outcomes=(
                ended(0, "succeeded", item=SERVER, server=SERVER, value={"a": [1]}),
                ended(1, "failed", error, item=SPEC),
                left_out(2),
            ),
            stopped_by=error,
        )

        back = way(report)

        assert back is not report
        assert str(back) == str(report)
        assert (back[0], back[2]) == (report[0], report[2])
        assert (back[1].item, back[1].state) == (SPEC, "failed")
        assert (type(back[1].error), vars(back[1].error)) == (NotFoundError, vars(error))
        assert str(back[1].error.__cause__) == "reset"
        assert str(back.stopped_by) == str(error)
        with pytest.raises(ExceptionGroup):
            back.raise_for_failures()

    def test_an_error_that_pickle_cannot_carry_is_kept_as_text(self, way):
        """P6: what `apply` raised may be of a class that is known nowhere else."""

        class LocalError(Exception):
            pass

        report = FleetReport(
            outcomes=(
                ended(0, error=LocalError("of one's own")),
                ended(1, error=OwnError("of", "two")),
                ended(2, error=UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")),
            ),
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
        progress = Progress(total=3, begun=2, succeeded=1, failed=0, unknown=0, skipped=0)

        assert (way(progress), way(SPEC)) == (progress, SPEC)


class TestFrozen:
    @pytest.mark.parametrize("item", [left_out(0), report_of(), SPEC, Ledger([], tolerate=None).progress])
    def test_nothing_can_be_changed(self, item):
        for name in ("state", "outcomes", "name", "total", "new"):
            with pytest.raises(AttributeError):
                setattr(item, name, 1)
