"""What the user of a browser may know of an error."""

from __future__ import annotations

import json

import pytest

from vpsorg_async import _errors as errors
from vpsorg_async._fleet.preview import EnsureConflictError
from vpsorg_async.integrations._problems import errors_in, problem_of, problem_of_all, retry_after


UPSTREAM = "upstream words about vps_token"


def answered(kind, status, **more):
    return kind(f"GET / was answered {status}: {UPSTREAM}", status_code=status, message=UPSTREAM, **more)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidArgumentError("name='a b': use letters"), 400),
        (EnsureConflictError("2 specs are in conflict"), 409),
        (errors.AmbiguousNameError(UPSTREAM, ids=[1, 2]), 409),
        (answered(errors.StateConflictError, 400), 409),
        (answered(errors.BadRequestError, 400), 400),
        (answered(errors.AuthenticationError, 401), 502),
        (answered(errors.InsufficientCreditsError, 402), 502),
        (answered(errors.PermissionDeniedError, 403), 502),
        (answered(errors.NotFoundError, 404), 404),
        (answered(errors.APIStatusError, 409), 409),
        (answered(errors.APIStatusError, 410), 404),
        (answered(errors.APIStatusError, 418), 502),
        (answered(errors.APIStatusError, 422), 400),
        (answered(errors.RateLimitError, 429), 503),
        (answered(errors.ServerError, 500), 502),
        (answered(errors.ServerError, 503), 503),
        (answered(errors.ServerError, 504), 504),
        (errors.ServerError(UPSTREAM), 502),
        (errors.APIConnectionError(UPSTREAM), 502),
        (errors.APITimeoutError(UPSTREAM), 504),
        (errors.ClientClosedError(UPSTREAM), 503),
        (errors.OutcomeUnknownError(UPSTREAM), 502),
        (errors.ResponseError(UPSTREAM), 502),
        (errors.WaitTimeoutError(UPSTREAM), 504),
        (errors.WaitFailedError(UPSTREAM), 502),
        (errors.UnexpectedStatusError(UPSTREAM), 409),
        (errors.ServerGoneError(UPSTREAM), 404),
        (errors.ConfigurationError(UPSTREAM), 500),
        (errors.VPSError(UPSTREAM), 502),
    ],
    ids=lambda value: (
        f"{type(value).__name__} {getattr(value, 'status_code', '')}" if isinstance(value, Exception) else ""
    ),
)
def test_each_error_has_a_status_and_a_sentence(error, status):
    """Without a word of the API."""
    problem = problem_of(error)

    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].strip()
    assert UPSTREAM not in json.dumps(problem)


def test_every_public_error_has_an_answer():
    kinds = [kind for kind in map(vars(errors).get, errors.__all__) if isinstance(kind, type)]

    assert len(kinds) > 20
    assert all(problem_of(kind("text"))["status"] in {400, 404, 409, 500, 502, 503, 504} for kind in kinds)


def test_a_refused_argument_is_told_in_this_librarys_words():
    assert problem_of(errors.InvalidArgumentError("name='a b': use letters"))["detail"] == "name='a b': use letters"


def test_a_refused_request_names_the_fields_that_this_library_knows():
    """The API may name anything, and its reasons stay here."""
    error = answered(errors.BadRequestError, 400, fields={"plan_id": ["x"], "name": ["y"], "vps_token": ["z"]})

    assert problem_of(error)["fields"] == ["name", "plan_id"]
    assert "fields" not in problem_of(answered(errors.BadRequestError, 400))


@pytest.mark.parametrize(("seconds", "later"), [(None, 5), (0.0, 1), (1.2, 2), (30.0, 30)])
def test_it_says_when_to_ask_again(seconds, later):
    assert retry_after(answered(errors.RateLimitError, 429, retry_after=seconds)) == later
    assert retry_after(errors.ClientClosedError("closed")) == 5


class TestErrorsThatCameTogether:
    def test_the_gravest_status_counts_and_each_different_problem_is_told_once(self):
        gone, down = answered(errors.NotFoundError, 404), answered(errors.ServerError, 500)

        problem = problem_of_all([gone, down, gone])

        assert (problem["status"], problem["title"], problem["detail"]) == (
            502,
            "Bad Gateway",
            "3 errors came together.",
        )
        assert problem["errors"] == [problem_of(gone), problem_of(down)]
        assert UPSTREAM not in json.dumps(problem)

    def test_those_that_say_the_same_are_answered_as_one(self):
        gone = answered(errors.NotFoundError, 404)

        assert problem_of_all([gone, gone]) == problem_of(gone)

    def test_groups_are_taken_apart_unless_another_error_is_in_them(self):
        first, second = errors.VPSError("first"), errors.VPSError("second")
        deep = ExceptionGroup("a", [first, ExceptionGroup("b", [second])])
        for _ in range(5_000):
            deep = ExceptionGroup("c", [deep])

        assert errors_in(deep) == [first, second]
        assert errors_in(first) == [first]
        assert errors_in(ExceptionGroup("d", [first, KeyError("x")])) is None
        assert errors_in(KeyError("x")) is None
