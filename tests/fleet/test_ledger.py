"""A ledger misses no item, and stops a run when too much has gone wrong."""

from __future__ import annotations

from collections import Counter

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail
from tests.helpers_fleet import answered, ended
from vpsorg_async import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    InsufficientCreditsError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    Progress,
    RateLimitError,
    Server,
    ServerError,
    VPSError,
    WaitError,
    WaitTimeoutError,
)
from vpsorg_async._fleet.arguments import STOP_ON
from vpsorg_async._fleet.ledger import Ledger
from vpsorg_async._fleet.states import BAD, STATES


ENDS = ("succeeded", "failed", "pending", "unknown")
SERVER = Server.from_dict(detail(7))


def ledger_of(items, *, tolerate=None, stop_on=STOP_ON):
    return Ledger("reboot", items, tolerate=tolerate, stop_on=stop_on)


def begun(ledger):
    """Begin all that may be begun, and return their indices."""
    return list(iter(lambda: begin(ledger), None))


def begin(ledger, state="unknown"):
    """Begin an item, and let it say this of itself while it is in progress."""
    index = ledger.begin()
    if index is not None:
        kind = OutcomeUnknownError if state == "unknown" else WaitError
        ledger.follow(index, lambda: ended(index, state, kind("it has not ended"), item=ledger.items[index]))
    return index


class TestLedger:
    def test_items_begin_in_the_order_given_each_once(self):
        ledger = ledger_of(["a", "b", "c"])

        assert begun(ledger) == [0, 1, 2]
        assert ledger.begin() is None
        assert [outcome.item for outcome in ledger.report] == ["a", "b", "c"]

    def test_what_is_under_way_is_unknown_and_what_has_not_begun_is_skipped(self):
        ledger = ledger_of([SERVER, 8, "9"])
        begin(ledger)

        first, second, third = ledger.report

        assert (first.index, first.item, first.state, str(first.error)) == (0, SERVER, "unknown", "it has not ended")
        assert isinstance(first.error, OutcomeUnknownError)
        assert (second, third) == (
            Outcome(index=1, item=8, state="skipped"),
            Outcome(index=2, item="9", state="skipped"),
        )

    def test_a_report_does_not_change_when_the_run_goes_on(self):
        ledger = ledger_of([1, 2])
        begin(ledger, "pending")
        before = ledger.report

        ledger.end(ended(0, "succeeded"))

        assert [outcome.state for outcome in before] == ["pending", "skipped"]
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
    @pytest.mark.parametrize("state", ["failed", "pending", "unknown"])
    def test_nothing_more_is_begun_once_more_are_bad_than_tolerated(self, tolerate, items, allowed, state):
        ledger = ledger_of(range(items), tolerate=tolerate)

        for index in iter(ledger.begin, None):
            ledger.end(ended(index, state))

        bad = sum(outcome.state in BAD for outcome in ledger.report)
        assert bad == min(items, allowed + 1)
        stopped = allowed < items
        assert ledger.stopped_by is (ledger.report[allowed].error if stopped else None)

    @given(st.integers(0, 1000), st.integers(1, 1000))
    def test_a_share_of_just_so_many_is_not_more(self, allowed, items):
        allowed = min(allowed, items)
        ledger = ledger_of(range(items), tolerate=allowed / items)

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
        ledger = ledger_of(range(5), tolerate=tolerate)
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
        ledger = ledger_of(range(5))
        ledger.begin()
        ledger.end(ended(0, error=error))

        assert begun(ledger) == [1, 2, 3, 4]
        assert ledger.stopped_by is None

    def test_the_first_reason_to_stop_counts(self):
        ledger = ledger_of(range(5), tolerate=0)
        begun(ledger)

        ledger.end(ended(3))
        ledger.end(ended(1, error=answered(AuthenticationError, 401)))
        ledger.stop(ValueError("of a helper"))

        assert ledger.stopped_by is ledger.report[3].error

    def test_those_in_progress_end_as_they_do_after_a_stop(self):
        ledger = ledger_of(range(5), tolerate=0)
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
        ledger, under_way, done = ledger_of(items, tolerate=tolerate), [], {}

        for _ in range(data.draw(st.integers(0, 30))):
            move = data.draw(st.sampled_from(["begin", "begin", "end", "stop"]))
            if (
                move == "begin"
                and (index := begin(ledger, data.draw(st.sampled_from(["pending", "unknown"])))) is not None
            ):
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
            for index in under_way:
                counts[report[index].state] -= 1
            assert progress == Progress(
                total=len(items),
                begun=len(done) + len(under_way),
                skipped=counts["skipped"] if report.stopped_by else 0,
                **{state: counts[state] for state in ENDS},
            )
            assert ledger.ended == len(done)

    @pytest.mark.parametrize(
        ("stop_on", "error", "stops"),
        [
            ((), answered(AuthenticationError, 401), False),
            ((NotFoundError,), answered(NotFoundError, 404), True),
            ((NotFoundError,), answered(AuthenticationError, 401), False),
            ((VPSError,), WaitTimeoutError("too slow"), True),
            ((OSError,), WaitTimeoutError("a TimeoutError is an OSError"), True),
        ],
    )
    def test_the_user_may_say_what_stops_a_run(self, stop_on, error, stops):
        """F11: `()` is nothing; a class is all of its kind."""
        ledger = ledger_of(range(5), stop_on=stop_on)
        begin(ledger)

        ledger.end(ended(0, error=error))

        assert ledger.may_begin is not stops
        assert ledger.stopped_by is (error if stops else None)
