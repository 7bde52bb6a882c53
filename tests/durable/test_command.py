"""Runs `python -m vpsorg_async.durable`: further workers, a take-over, and what it tells of runs."""

from __future__ import annotations

import queue

import pytest

from tests.durable.episodes import address, job_of, problems_of_creates, sent_again
from tests.durable.postgres import Postgres
from tests.durable.processes import KILLED, Process
from tests.durable.served import Phase, Request, Served


NAMES = [f"web-{number}" for number in range(24)]


class TestThreeWorkersOnOnePostgres:
    @pytest.mark.heavy
    def test_one_is_killed_and_the_others_take_over_its_work(self, postgres: Postgres, processes):
        """D2: all done, doubles 0."""
        api = Served()
        store = postgres.database()
        # What was noted and not sent when the third was killed would be unknown otherwise.
        options = ["--store", store, "--settle", "2", "--on-ambiguous", "resend"]
        killed: queue.SimpleQueue[Process] = queue.SimpleQueue()
        with api.serve(host="0.0.0.0") as base_url:
            further = {
                name: processes.command(address(base_url, number), "work", "--worker", name, *options)
                for number, name in ((2, "m2"), (3, "m3"))
            }
            assert all(name in process.text() for name, process in further.items())

            def kill_the_first_of_the_further(request: Request, phase: Phase) -> None:
                name = f"m{request.host[len('127.0.0.')]}"
                if request.command and phase == "executed" and name in further and len(further) == 2:
                    # Only the first: the other takes over.
                    process = further.pop(name)
                    process.kill()
                    killed.put(process)

            api.on_request = kill_the_first_of_the_further
            fleets = {"settle": 2.0, "on_ambiguous": "resend"}
            how = {"at_once": 9}
            first = processes.work(job_of(address(base_url, 1), store, "create", NAMES, options=how, fleets=fleets))
            lost = killed.get(timeout=60)
            assert lost.end() == KILLED
            name = "m2" if "m3" in further else "m3"
            taken = processes.command(base_url, "take-over", "--store", store, name)
            taken_code = taken.end()
            facts = first.rest()
            [left] = further.values()
            left.popen.terminate()

            assert (taken_code, facts["exit"], left.end()) == (0, 0, 0), taken.told + first.told + left.told

        assert list(problems_of_creates(api, facts["report"], NAMES)) == []
        assert {outcome["state"] for outcome in facts["report"]} == {"succeeded"}
        assert sent_again(api) == {}
        assert len({request.host for request in api.commands}) >= 2

    def test_the_work_of_a_live_worker_is_not_taken_over(self, postgres: Postgres, processes):
        """D2: it holds its name, so nobody can believe that it is gone."""
        api = Served()
        store = postgres.database()
        with api.serve() as base_url:
            live = processes.command(base_url, "work", "--worker", "m2", "--store", store)
            live.text()

            refused = processes.command(base_url, "take-over", "--store", store, "m2")

            assert refused.end() == 2
            assert "m2" in refused.told
            live.popen.terminate()
            assert live.end() == 0


def test_status_tells_of_every_run(sqlite, processes):
    """`status` needs neither a token nor the API."""
    api = Served()
    with api.serve() as base_url:
        processes.work(job_of(base_url, sqlite, "create", NAMES[:2], name="web")).rest()

    told = processes.start(["-m", "vpsorg_async.durable", "status", "--store", sqlite])

    text = told.text()
    assert told.end() == 0
    assert "web" in text
    assert "2 succeeded" in text
