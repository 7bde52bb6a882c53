"""What came of an attempt, by the status of its response."""

from __future__ import annotations

import pytest

from vpsorg_async._request.outcome import Outcome, outcome_of_status


BY_STATUS = {
    Outcome.SUCCEEDED,
    Outcome.REDIRECTED,
    Outcome.REFUSED,
    Outcome.GAVE_UP,
    Outcome.UNSUPPORTED,
    Outcome.LIMITED,
    Outcome.FAILED,
}


def test_every_status_has_an_outcome():
    for status in range(100, 1000):
        outcome = outcome_of_status(status, retry_after=None)

        assert outcome in BY_STATUS
        assert (outcome is Outcome.LIMITED) == (status == 429)


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome"),
    [
        (200, None, Outcome.SUCCEEDED),
        (204, None, Outcome.SUCCEEDED),
        (302, None, Outcome.REDIRECTED),
        (400, None, Outcome.REFUSED),
        (404, 1.0, Outcome.REFUSED),
        (408, None, Outcome.GAVE_UP),
        (409, None, Outcome.REFUSED),
        (429, None, Outcome.LIMITED),
        (429, 0.0, Outcome.LIMITED),
        (500, 1.0, Outcome.FAILED),
        (501, None, Outcome.UNSUPPORTED),
        (503, None, Outcome.FAILED),
        (503, 0.0, Outcome.LIMITED),
        (505, None, Outcome.UNSUPPORTED),
        (511, None, Outcome.UNSUPPORTED),
        (520, None, Outcome.FAILED),
        (600, None, Outcome.FAILED),
    ],
)
def test_it_goes_by_the_status_and_retry_after(status, retry_after, outcome):
    assert outcome_of_status(status, retry_after=retry_after) is outcome
