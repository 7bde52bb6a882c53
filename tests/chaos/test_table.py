"""The table's own judgement: what counts as lost, doubled, wrong or hung, and that nothing of it can be overlooked."""

from __future__ import annotations

import asyncio
import random
import socket

from typing import get_args

import httpx
import pytest

from tests.chaos.peers import Library, Tenacity
from tests.chaos.report import (
    COLUMNS,
    FORBIDDEN,
    OURS,
    Result,
    document,
    in_words,
    problems,
    table,
    totals,
    unknown_of_commits,
)
from tests.chaos.table import ASKED, Gateway, Job, Try, jobs, left_behind
from tests.chaos.trials import OPERATIONS, TRIALS, Told, Trial, Truth, Verdict, classify, nothing
from vpsorg_async import (
    APIConnectionError,
    APITimeoutError,
    NotFoundError,
    OutcomeUnknownError,
    ResponseError,
    ServerError,
    WaitTimeoutError,
)
from vpsorg_async.sandbox import Sandbox


TRIAL = Trial(operation="create", fault="a shower", make=nothing)
QUIET = Trial(operation="create", fault="nothing", make=nothing)
NEVER_AGAIN = Trial(operation="create", fault="everything", make=nothing, answers_again=False)
LIMIT = Trial(operation="create", fault="the worst", make=nothing, limit="it is the worst")


class TestOneTry:
    @pytest.mark.parametrize(
        ("truth", "told", "verdict"),
        [
            pytest.param(Truth(1, 7), Told("done", 7), "done", id="the server made is returned"),
            pytest.param(Truth(1, 7), Told("done", 8), "lost", id="another server is returned"),
            pytest.param(Truth(1, 7), Told("error"), "lost", id="made, and said to be refused"),
            pytest.param(Truth(1, 7), Told("unknown"), "unknown", id="made, and said to be unknown"),
            pytest.param(Truth(1, 7), Told("nothing"), "hung", id="made, and nothing said"),
            pytest.param(Truth(0, None), Told("done", 8), "wrong", id="none made, and one returned"),
            pytest.param(Truth(0, None), Told("error"), "failed", id="none made, and said so"),
            pytest.param(Truth(0, None), Told("unknown"), "unknown", id="none made, and said to be unknown"),
            pytest.param(Truth(2, 7), Told("done", 7), "doubled", id="two made, and one returned"),
            pytest.param(Truth(2, 7), Told("error"), "doubled", id="two made, and said to be refused"),
            pytest.param(Truth(2, 7), Told("nothing"), "doubled", id="two made, and nothing said"),
            pytest.param(Truth(0, False), Told("done", True), "wrong", id="a wait that ends too early"),
            pytest.param(Truth(0, [1, 2]), Told("done", [1]), "wrong", id="a list that lacks a server"),
            pytest.param(Truth(0, [1, 2]), Told("done", [1, 2, 2]), "wrong", id="a list that repeats one"),
            pytest.param(Truth(0, [1, 2]), Told("error"), "failed", id="a list that says that it was not read"),
        ],
    )
    def test_it_has_one_verdict(self, truth, told, verdict):
        assert classify(truth, told) == verdict

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (OutcomeUnknownError("x"), False),
            (ResponseError("x"), False),
            (APIConnectionError("x", sent=True), False),
            (APITimeoutError("x", sent=False), True),
            (ServerError("x", status_code=502, message="", headers={}, body=b""), False),
            (NotFoundError("x", status_code=404, message="", headers={}, body=b""), True),
            (WaitTimeoutError("x"), True),
        ],
        ids=repr,
    )
    def test_an_error_of_ours_says_that_it_was_not_done_or_leaves_it_open(self, error, says):
        assert Library.says_not_done(object.__new__(Library), error) is says

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (httpx.ConnectError("x"), True),
            (httpx.ReadTimeout("x"), False),
            (httpx.RemoteProtocolError("x"), False),
            (httpx.HTTPStatusError("400", request=None, response=httpx.Response(400)), True),
            (httpx.HTTPStatusError("500", request=None, response=httpx.Response(500)), False),
            (ValueError("not JSON"), False),
        ],
        ids=repr,
    )
    def test_the_others_get_the_benefit_of_the_doubt(self, error, says):
        assert Tenacity.says_not_done(object.__new__(Tenacity), error) is says


class TestProblems:
    def test_there_is_none_where_all_is_done_or_fails_truly(self):
        assert problems([Result(trial=TRIAL, contender=OURS, verdict=verdict) for verdict in ("done", "failed")]) == []

    @pytest.mark.parametrize("verdict", FORBIDDEN)
    def test_each_of_these_is_one(self, verdict):
        (problem,) = problems([Result(trial=TRIAL, contender=OURS, verdict=verdict, note="Boom: x")])

        assert problem == f"{verdict}: create: a shower: Boom: x"

    def test_so_is_what_leaks(self):
        assert problems([Result(trial=TRIAL, contender=OURS, verdict="done", leaked=2)]) == [
            "leaked 2: create: a shower"
        ]

    @pytest.mark.parametrize(("unknown", "wrong"), [(5, []), (6, ["6 of 100 commits are unknown, more than 5%"])])
    def test_so_are_more_than_five_of_a_hundred_commits_unknown(self, unknown, wrong):
        verdicts = ["unknown"] * unknown + ["done"] * (100 - unknown)
        results = [Result(trial=TRIAL, contender=OURS, verdict=verdict, committed=True) for verdict in verdicts]

        assert problems(results) == wrong

    def test_unknown_counts_where_it_was_carried_out_and_the_api_answers_again(self):
        """And something went wrong: the rest would only make the share smaller."""
        results = [
            Result(trial=QUIET, contender=OURS, verdict="done", committed=True),
            Result(trial=NEVER_AGAIN, contender=OURS, verdict="unknown", committed=True),
            Result(trial=TRIAL, contender=OURS, verdict="unknown", committed=False),
            Result(trial=TRIAL, contender=OURS, verdict="done", committed=True),
        ]

        assert unknown_of_commits(results) == (0, 1)
        assert problems(results) == []

    def test_neither_the_others_nor_a_known_limit_count(self):
        results = [
            Result(trial=TRIAL, contender="another", verdict="lost"),
            Result(trial=LIMIT, contender=OURS, verdict="wrong"),
        ]

        assert problems(results) == []

    def test_whoever_fails_where_nothing_goes_wrong_is_used_wrongly(self):
        (problem,) = problems([Result(trial=QUIET, contender="another", verdict="failed", note="Boom: x")])

        assert problem == "failed: create: nothing, by another: Boom: x"

    def test_a_fault_that_struck_nobody_proves_nothing(self):
        results = [Result(trial=trial, contender="another", verdict="done", struck=False) for trial in (QUIET, TRIAL)]

        assert problems(results) == ["never struck: create: a shower, by another"]

    def test_every_verdict_has_a_column(self):
        assert {*COLUMNS} == {*get_args(Verdict), "leaked"}


class TestText:
    RESULTS = (
        Result(trial=TRIAL, contender=OURS, verdict="done", committed=True),
        Result(trial=TRIAL, contender=OURS, verdict="unknown", committed=True),
        Result(trial=TRIAL, contender="another", verdict="doubled", committed=True),
        Result(trial=TRIAL, contender="another", verdict="done", committed=True, leaked=3),
        Result(trial=LIMIT, contender=OURS, verdict="wrong"),
        Result(trial=LIMIT, contender="another", verdict="done"),
    )

    def test_a_row_has_our_figures_and_the_others_in_words(self):
        *_, first, limit = table(self.RESULTS).splitlines()

        assert first == "| create | a shower | 2 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 1 done, 1 doubled, 3 leaked |"
        assert limit == "| create | the worst | 1 | 0 | 0 | 0 | 0 | 1 | 0 | 0 | 0 | all done |"

    def test_a_total_has_the_share_of_commits_that_are_unknown(self):
        ours, other = totals(self.RESULTS[:4]).splitlines()[2:]

        assert ours == "| `vpsorg_async` | 2 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 1 of 2, 50.0% |"
        assert other == "| `another` | 2 | 1 | 0 | 0 | 1 | 0 | 0 | 3 | 0 | 0 of 2, 0.0% |"

    def test_nothing_at_all_is_said_so(self):
        assert in_words({}) == "not tried"

    def test_the_document_keeps_the_known_limits_apart(self):
        text = document(self.RESULTS, tries=2, seed=5, versions="Python 0", date="2025-01-01", seconds=1.4)
        main, _, limits = text.partition("## Where it is weaker")

        assert "1 trials, an operation and a fault each, were made 2 times" in main
        assert "the worst" not in main
        assert "- create: the worst: it is the worst." in limits
        assert "1 of 2 commits stayed unknown although the API answered again (create: a shower)" in limits


class TestTrials:
    def test_each_is_there_once(self):
        assert len({(trial.operation, trial.fault) for trial in TRIALS}) == len(TRIALS)

    def test_each_operation_is_tried_and_can_be_asked_for(self):
        assert {trial.operation for trial in TRIALS} == OPERATIONS.keys() == ASKED.keys()

    @pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.operation}: {trial.fault}")
    def test_the_same_chance_makes_the_same_trouble(self, trial):
        """For each contender anew."""
        assert trial.trouble(random.Random("1")) == trial.trouble(random.Random("1"))

    def test_each_contender_gets_all_tries_of_each(self):
        numbers = {}
        for job in jobs(7, 1):
            numbers.setdefault((job.trial, job.contender), []).extend(job.numbers)

        assert len(numbers) == len(TRIALS) * 3
        assert all(sorted(tried) == [*range(7)] for tried in numbers.values())


class TestRun:
    """On asyncio, as the contenders' loops are."""

    def test_a_create_that_is_carried_out_and_loses_its_answer(self):
        """The one row that all of this is for; the peers' is in the document."""
        trial = next(one for one in TRIALS if one.fault == "carried out, then 500 or 502 of a gateway")

        ours, theirs = (Job(trial, contender, range(1), 1).run() for contender in (Library, Tenacity))

        assert [(one.verdict, one.committed, one.struck, one.leaked) for one in ours] == [("done", True, True, 0)]
        assert [(one.verdict, one.committed, one.struck, one.leaked) for one in theirs] == [("doubled", True, True, 0)]

    def test_it_is_told_when_nothing_went_wrong(self):
        (result,) = Job(QUIET, Library, range(1), 1).run()

        assert (result.verdict, result.struck) == ("done", False)

    def test_what_is_left_is_seen(self):
        async def leave():
            sandbox = Sandbox()
            async with sandbox.serve() as base_url:
                port = httpx.URL(base_url).port
                task = asyncio.create_task(asyncio.sleep(60))
                with socket.create_connection(("127.0.0.1", port)):
                    both = await left_behind(port, looks=1)
                task.cancel()
                return both, await left_behind(port)

        assert asyncio.run(leave()) == (2, 0)

    def test_a_gateway_lets_the_request_through_and_answers_for_itself_once(self):
        async def ask():
            sandbox = Sandbox(servers=1)
            gateway = Gateway(sandbox.app)
            gateway.answers = 502
            at = Try(0, 12345, sandbox)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(gateway),
                base_url="http://localhost/api/v1",
                headers={"Authorization": "Bearer vps_sandbox"},
            ) as client:
                paths = (("GET", "/servers/12345/"), ("POST", "/servers/12345/stop/"), ("POST", "/servers/12345/stop/"))
                answers = [(await client.request(method, path)).status_code for method, path in paths]
            return answers, at.carried_out("POST", "/servers/12345/stop/")

        assert asyncio.run(ask()) == ([200, 502, 400], Truth(1, True))
