"""Tests the verdicts of the table of faults, the problems that it reports, and its text."""

from __future__ import annotations

import asyncio
import random
import socket

from datetime import datetime
from typing import get_args

import httpx
import pytest

from tests.chaos.gateway import Gateway
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
from tests.chaos.table import CALLS, Job, Run, jobs, left_behind
from tests.chaos.trials import OPERATIONS, TRIALS, Told, Trial, Trouble, Truth, Verdict, classify, nothing
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


TRIAL = Trial(operation="create", fault="a fault", make=nothing)
QUIET = Trial(operation="create", fault="nothing", make=nothing)
NEVER_AGAIN = Trial(operation="create", fault="everything", make=nothing, responds_again=False)
LIMIT = Trial(operation="create", fault="the worst", make=nothing, limit="it is the worst")


class TestOneRun:
    @pytest.mark.parametrize(
        ("truth", "told", "verdict"),
        [
            pytest.param(Truth(1, 7), Told("done", 7), "done", id="made, and returned"),
            pytest.param(Truth(1, 7), Told("done", 8), "lost", id="another server is returned"),
            pytest.param(Truth(1, 7), Told("error"), "lost", id="made, and refused"),
            pytest.param(Truth(1, 7), Told("unknown"), "unknown", id="made, and unknown"),
            pytest.param(Truth(1, 7), Told("nothing"), "hung", id="made, and no result"),
            pytest.param(Truth(0, None), Told("done", 8), "wrong", id="none made, and one returned"),
            pytest.param(Truth(0, None), Told("error"), "failed", id="none made, and an error"),
            pytest.param(Truth(0, None), Told("unknown"), "unknown", id="none made, and unknown"),
            pytest.param(Truth(2, 7), Told("done", 7), "doubled", id="two made, and one returned"),
            pytest.param(Truth(2, 7), Told("error"), "doubled", id="two made, and refused"),
            pytest.param(Truth(2, 7), Told("nothing"), "doubled", id="two made, and no result"),
            pytest.param(Truth(0, False), Told("done", True), "wrong", id="a wait that ends too early"),
            pytest.param(Truth(0, [1, 2]), Told("done", [1]), "wrong", id="a list that lacks a server"),
            pytest.param(Truth(0, [1, 2]), Told("done", [1, 2, 2]), "wrong", id="a list that repeats one"),
            pytest.param(Truth(0, [1, 2]), Told("error"), "failed", id="a list that raises an error"),
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
    def test_an_error_of_this_library_says_not_done_or_leaves_it_open(self, error, says):
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
    def test_an_error_of_httpx_says_not_done_or_leaves_it_open(self, error, says):
        assert Tenacity.says_not_done(object.__new__(Tenacity), error) is says


class TestProblems:
    def test_done_and_failed_are_no_problems(self):
        assert problems([Result(trial=TRIAL, contender=OURS, verdict=verdict) for verdict in ("done", "failed")]) == []

    @pytest.mark.parametrize("verdict", FORBIDDEN)
    def test_each_forbidden_verdict_is_a_problem(self, verdict):
        (problem,) = problems([Result(trial=TRIAL, contender=OURS, verdict=verdict, note="Boom: x")])

        assert problem == f"{verdict}: create: a fault: Boom: x"

    def test_a_leak_is_a_problem(self):
        assert problems([Result(trial=TRIAL, contender=OURS, verdict="done", leaked=2)]) == [
            "leaked 2: create: a fault"
        ]

    @pytest.mark.parametrize(("unknown", "wrong"), [(5, []), (6, ["6 of 100 commits are unknown, more than 5%"])])
    def test_more_than_five_of_a_hundred_commits_unknown_is_a_problem(self, unknown, wrong):
        verdicts = ["unknown"] * unknown + ["done"] * (100 - unknown)
        results = [Result(trial=TRIAL, contender=OURS, verdict=verdict, committed=True) for verdict in verdicts]

        assert problems(results) == wrong

    def test_unknown_counts_if_it_was_executed_and_the_api_responds_again(self):
        """Runs without a fault do not count: they would only make the share smaller."""
        results = [
            Result(trial=QUIET, contender=OURS, verdict="done", committed=True),
            Result(trial=NEVER_AGAIN, contender=OURS, verdict="unknown", committed=True),
            Result(trial=TRIAL, contender=OURS, verdict="unknown", committed=False),
            Result(trial=TRIAL, contender=OURS, verdict="done", committed=True),
        ]

        assert unknown_of_commits(results) == (0, 1)
        assert problems(results) == []

    def test_other_clients_and_known_limits_do_not_count(self):
        results = [
            Result(trial=TRIAL, contender="another", verdict="lost"),
            Result(trial=LIMIT, contender=OURS, verdict="wrong"),
        ]

        assert problems(results) == []

    def test_a_client_that_fails_without_a_fault_is_a_problem(self):
        (problem,) = problems([Result(trial=QUIET, contender="another", verdict="failed", note="Boom: x")])

        assert problem == "failed: create: nothing, by another: Boom: x"

    def test_a_fault_that_applied_to_no_request_is_a_problem(self):
        results = [Result(trial=trial, contender="another", verdict="done", applied=False) for trial in (QUIET, TRIAL)]

        assert problems(results) == ["never applied: create: a fault, by another"]

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

        assert first == "| create | a fault | 2 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 1 done, 1 doubled, 3 leaked |"
        assert limit == "| create | the worst | 1 | 0 | 0 | 0 | 0 | 1 | 0 | 0 | 0 | all done |"

    def test_a_total_has_the_share_of_commits_that_are_unknown(self):
        ours, other = totals(self.RESULTS[:4]).splitlines()[2:]

        assert ours == "| `vpsorg_async` | 2 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 1 of 2, 50.0% |"
        assert other == "| `another` | 2 | 1 | 0 | 0 | 1 | 0 | 0 | 3 | 0 | 0 of 2, 0.0% |"

    def test_no_results_are_not_run(self):
        assert in_words({}) == "not run"

    def test_the_document_keeps_the_known_limits_apart(self):
        text = document(self.RESULTS, runs=2, seed=5, versions="Python 0", date="2025-01-01", seconds=1.4)
        main, _, limits = text.partition("## Know the weak points")

        assert "1 trials, an operation and a fault each, ran 2 times" in main
        assert "the worst" not in main
        assert "- create: the worst: it is the worst." in limits
        assert "1 of 2 commits stayed unknown although the API responded again (create: a fault)" in limits


class TestTrials:
    def test_each_trial_is_listed_once(self):
        assert len({(trial.operation, trial.fault) for trial in TRIALS}) == len(TRIALS)

    def test_each_operation_has_trials_and_a_call(self):
        assert {trial.operation for trial in TRIALS} == OPERATIONS.keys() == CALLS.keys()

    @pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.operation}: {trial.fault}")
    def test_the_same_seed_makes_the_same_faults(self, trial):
        """Each contender gets the same faults."""
        assert trial.trouble(random.Random("1")) == trial.trouble(random.Random("1"))

    def test_each_contender_gets_all_runs_of_each_trial(self):
        numbers = {}
        for job in jobs(7, 1):
            numbers.setdefault((job.trial, job.contender), []).extend(job.numbers)

        assert len(numbers) == len(TRIALS) * 3
        assert all(sorted(of_trial) == [*range(7)] for of_trial in numbers.values())


class TestJob:
    """Runs on asyncio, as the contenders do."""

    def test_a_create_that_is_executed_and_loses_its_response(self):
        """The most important row of the page: this library is right, and blind retries double."""
        trial = next(one for one in TRIALS if one.fault == "carried out, then 500 or 502 of a gateway")

        ours, theirs = (Job(trial, contender, range(1), 1).run() for contender in (Library, Tenacity))

        assert [(one.verdict, one.committed, one.applied, one.leaked) for one in ours] == [("done", True, True, 0)]
        assert [(one.verdict, one.committed, one.applied, one.leaked) for one in theirs] == [("doubled", True, True, 0)]

    def test_a_run_without_a_fault_says_so(self):
        (result,) = Job(QUIET, Library, range(1), 1).run()

        assert (result.verdict, result.applied) == ("done", False)

    def test_tasks_and_sockets_that_are_left_are_counted(self):
        async def leave():
            sandbox = Sandbox()
            async with sandbox.serve() as base_url:
                port = httpx.URL(base_url).port
                task = asyncio.create_task(asyncio.sleep(60))
                with socket.create_connection(("127.0.0.1", port)):
                    both = await left_behind(port, checks=1)
                task.cancel()
                return both, await left_behind(port)

        assert asyncio.run(leave()) == (2, 0)

    def test_a_gateway_executes_the_request_and_responds_itself_once(self):
        async def ask():
            sandbox = Sandbox(servers=1)
            gateway = Gateway(sandbox.app, 1.0)
            gateway.begin(Trouble(gateway=502))
            run = Run(0, 12345, sandbox)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(gateway),
                base_url="http://localhost/api/v1",
                headers={"Authorization": "Bearer vps_sandbox"},
            ) as client:
                paths = (("GET", "/servers/12345/"), ("POST", "/servers/12345/stop/"), ("POST", "/servers/12345/stop/"))
                statuses = [(await client.request(method, path)).status_code for method, path in paths]
            return statuses, run.carried_out("POST", "/servers/12345/stop/")

        assert asyncio.run(ask()) == ([200, 502, 400], Truth(1, True))

    def test_a_gateway_queues_a_reboot_moves_a_clock_and_is_gone_for_a_time(self):
        async def ask():
            sandbox = Sandbox(servers=1)
            gateway = Gateway(sandbox.app, 1000.0)
            transport = httpx.ASGITransport(gateway)
            headers = {"Authorization": "Bearer vps_sandbox"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost/api/v1", headers=headers
            ) as client:
                gateway.begin(Trouble(queue=20.0, fast_clock=180.0))
                before = (await client.get("/servers/12345/")).json()
                accepted = (await client.post("/servers/12345/reboot/")).json()["server"]["status"]
                while not sandbox.calls[-1].path.endswith("/reboot/"):
                    await asyncio.sleep(0.001)
                during = (await client.get("/servers/12345/")).json()
                listed = (await client.get("/servers/")).json()["results"][0]
                gateway.begin(Trouble(outage=60.0))
                gone = (await client.get("/servers/12345/")).status_code
            return before["status"], accepted, during, listed, sandbox.servers[0], gone

        before, accepted, during, listed, truth, gone = asyncio.run(ask())

        assert (before, accepted, during["status"], gone) == ("active", "active", "rebooting", 502)
        ahead = datetime.fromisoformat(during["updated_at"]) - datetime.fromisoformat(truth["updated_at"])
        assert (ahead.total_seconds(), listed["updated_at"]) == (180.0, during["updated_at"])
