"""How long a pause is: spread by chance below its bound, and as long as the API asks."""

from __future__ import annotations

import math

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async._policies import RetryPolicy
from vpsorg_async._request.pauses import read_date, read_retry_after, spread


NOW = datetime(2030, 1, 1, tzinfo=UTC)


class TestSpread:
    def test_the_bound_doubles_up_to_the_maximum(self):
        policy = RetryPolicy(initial=0.5, maximum=20)

        bounds = [spread(policy, pauses=pauses, jitter=1.0) for pauses in range(8)]

        assert bounds == [0.5, 1, 2, 4, 8, 16, 20, 20]

    @given(st.floats(0, 1e9), st.floats(0, 1e9), st.integers(0, 10**6), st.floats(0, 1))
    def test_it_is_within_the_bound_however_many_pauses_there_were(self, initial, maximum, pauses, jitter):
        pause = spread(RetryPolicy(initial=initial, maximum=maximum), pauses=pauses, jitter=jitter)

        assert 0 <= pause <= min(maximum, initial * 2.0 ** min(pauses, 64))


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
