"""The table of what to do after a try: every pair has a verdict, and the pauses keep their bounds."""

from __future__ import annotations

import itertools
import math

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async._policies import RetryPolicy
from vpsorg_async._request.call import RetrySafety
from vpsorg_async._request.retry import (
    LEAVES_DOUBT,
    TABLE,
    Again,
    Ambiguous,
    Give,
    Kind,
    classify,
    kind_of_answer,
    read_date,
    read_retry_after,
)


NOW = datetime(2030, 1, 1, tzinfo=UTC)
PAIRS = list(itertools.product(RetrySafety, Kind))
SECONDS = st.floats(0, 1e9)
POLICIES = st.builds(RetryPolicy, attempts=st.integers(1, 10), initial=SECONDS, maximum=SECONDS, budget=SECONDS)


def judged(repeat, kind, **more):
    facts = {"policy": RetryPolicy(), "charged": 1, "pauses": 0, "jitter": 0.5, **more}
    return classify(repeat, kind, **facts)


class TestTable:
    def test_every_pair_has_a_verdict_and_no_other_is_in_it(self):
        assert set(TABLE) == set(PAIRS)

    @pytest.mark.parametrize(("repeat", "kind"), PAIRS)
    def test_every_verdict_is_one_of_three(self, repeat, kind):
        assert isinstance(judged(repeat, kind), Give | Again | Ambiguous)

    @pytest.mark.parametrize(("repeat", "kind"), PAIRS)
    def test_what_must_not_be_sent_twice_is_sent_again_only_if_it_was_not_carried_out(self, repeat, kind):
        """R3: create, reboot and foreign POSTs."""
        if repeat.once_only and isinstance(judged(repeat, kind), Again):
            assert kind in (Kind.LIMITED, Kind.NOT_SENT)

    @pytest.mark.parametrize("kind", sorted(LEAVES_DOUBT, key=str))
    def test_a_lost_create_or_reboot_is_looked_into(self, kind):
        """R6: never again, never given up for not done."""
        assert judged(RetrySafety.RECONCILE, kind) == Ambiguous()

    @pytest.mark.parametrize("repeat", RetrySafety)
    @pytest.mark.parametrize("kind", [Kind.NOT_SENT, Kind.LIMITED])
    def test_what_is_proven_not_carried_out_goes_again_whatever_its_class(self, repeat, kind):
        """R2: connection refused, DNS, TLS handshake; 429 and 503 with Retry-After."""
        assert isinstance(judged(repeat, kind), Again)

    @pytest.mark.parametrize(("repeat", "kind"), PAIRS)
    def test_the_policy_bounds_all_but_the_api_s_own_pauses(self, repeat, kind):
        """R1: within the policy."""
        verdict = judged(repeat, kind, charged=4)

        assert isinstance(verdict, Again) == (kind is Kind.LIMITED)


class TestAnswers:
    @pytest.mark.parametrize("repeat", RetrySafety)
    def test_every_status_is_of_one_kind(self, repeat):
        for status in range(100, 1000):
            kind = kind_of_answer(repeat, status, retry_after=None)

            assert kind in (Kind.ANSWER, Kind.LIMITED, Kind.BROKEN)
            assert (kind is Kind.LIMITED) == (status == 429)

    def test_any_5xx_leaves_a_create_in_doubt(self):
        """R3: but 503 with Retry-After; so does what is no status of HTTP."""
        for status in range(500, 1000):
            assert kind_of_answer(RetrySafety.RECONCILE, status, retry_after=None) is Kind.BROKEN
            expected = Kind.LIMITED if status == 503 else Kind.BROKEN
            assert kind_of_answer(RetrySafety.RECONCILE, status, retry_after=0.0) is expected

    @pytest.mark.parametrize("repeat", RetrySafety)
    @pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 401, 402, 403, 404, 409, 422])
    def test_the_others_are_final(self, repeat, status):
        """R10: whatever the class."""
        assert kind_of_answer(repeat, status, retry_after=1.0) is Kind.ANSWER


class TestPauses:
    @given(
        POLICIES,
        st.sampled_from(Kind),
        st.integers(0, 10**6),
        st.floats(0, 1),
        st.none() | st.floats(0, 1e12),
    )
    def test_they_are_at_least_what_the_api_asks_and_at_most_the_longest_besides(
        self, policy, kind, pauses, jitter, retry_after
    ):
        verdict = judged(
            RetrySafety.SAFE, kind, policy=policy, charged=0, pauses=pauses, jitter=jitter, retry_after=retry_after
        )

        if isinstance(verdict, Again):
            asked = retry_after or 0.0
            least = policy.initial if kind is Kind.LIMITED and retry_after is None else asked
            assert verdict.least == least
            assert least <= verdict.after <= max(policy.maximum, least)
            assert verdict.after <= max(policy.initial * 2.0 ** min(pauses, 64), least)

    def test_they_double(self):
        policy = RetryPolicy(initial=0.5, maximum=20)

        pauses = [judged(RetrySafety.SAFE, Kind.LOST, policy=policy, pauses=n, jitter=1.0).after for n in range(8)]

        assert pauses == [0.5, 1, 2, 4, 8, 16, 20, 20]

    def test_their_jitter_is_full(self):
        assert judged(RetrySafety.SAFE, Kind.LOST, pauses=3, jitter=0.0).after == 0.0


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            (None, None),
            ("0", 0.0),
            ("120", 120.0),
            ("0.2", 0.2),
            ("+7", 7.0),
            ("-7", 0.0),
            ("1000000000000", 1e12),
            ("Tue, 01 Jan 2030 00:00:30 GMT", 30.0),
            ("Tuesday, 01-Jan-30 00:00:30 GMT", 30.0),
            ("Tue Jan  1 00:00:30 2030", 30.0),
            ("Mon, 31 Dec 2029 23:59:59 GMT", 0.0),
            ("Tue, 01 Jan 2030 01:00:00 +0100", 0.0),
            ("nan", None),
            ("inf", None),
            ("Infinity", None),
            ("1e3", None),
            ("", None),
            ("soon", None),
            ("1,2", None),
            ("Tue, 01 Jan 99999 00:00:00 GMT", None),
            ("Tue, 99 Jan 2030 99:99:99 GMT", None),
        ],
    )
    def test_seconds_dates_and_garbage(self, value, seconds):
        """R7: read as RFC 9110 says, and never a crash."""
        assert read_retry_after(value, now=NOW) == seconds

    @given(st.text())
    def test_no_text_crashes_it(self, text):
        """R7: whatever the header holds."""
        seconds = read_retry_after(text, now=NOW)

        assert seconds is None or 0 <= seconds < math.inf

    @given(st.text(alphabet="0123456789:,+-. MonJanGTZ", max_size=40))
    def test_nor_does_one_that_is_nearly_a_date(self, text):
        """R7: the standard library's reader raises what it likes."""
        date = read_date(text)

        assert date is None or date.tzinfo is not None
        assert read_retry_after(text, now=NOW) is None or read_retry_after(text, now=NOW) >= 0

    @given(st.integers(0, 10**8))
    def test_a_date_is_as_good_as_its_seconds(self, seconds):
        """R7: a round trip."""
        value = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

        assert read_retry_after(value, now=NOW) == seconds
