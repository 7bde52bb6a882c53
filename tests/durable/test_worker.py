"""Takes the store away while a run is in progress, and gives it back."""

from __future__ import annotations

import resource
import threading

import pytest

from tests.durable.episodes import job_of, problems_of_creates, sent_again
from tests.durable.postgres import Postgres
from tests.durable.processes import Process
from tests.durable.served import Phase, Request, Served


NAMES = [f"web-{number}" for number in range(8)]


class TestInTheMiddle:
    def test_a_postgres_that_goes_away_and_comes_back_is_waited_for(self, postgres: Postgres, processes):
        """D7: it crashes in the middle of a run, and is started again."""
        api = Served()
        crashed = threading.Event()
        api.on_request = lambda request, phase: crashed.set() if (request.command, phase) == (2, "executed") else None
        with api.serve() as base_url:
            job = job_of(base_url, postgres.database(), "create", NAMES, options={"at_once": 3}, fleets={"settle": 2.0})
            process = processes.work(job)
            process.wait_for("submitted")
            assert crashed.wait(60)
            postgres.stop()
            postgres.start()
            facts = process.rest()

        assert facts["exit"] == 0, process.told
        assert list(problems_of_creates(api, facts["report"], NAMES)) == []
        assert {outcome["state"] for outcome in facts["report"]} == {"succeeded"}
        assert sent_again(api) == {}

    @pytest.mark.parametrize("ends_by", ["room again", "a kill"])
    def test_a_disk_that_fills_up_doubles_nothing(self, ends_by, tmp_path, processes):
        """D7: full in the middle, until there is room again, or until the worker is killed."""
        api = Served()
        file = tmp_path / "fleet.sqlite"
        full = threading.Event()
        process: Process | None = None

        def fill(request: Request, phase: Phase) -> None:
            if (request.command, phase) == (2, "arrived") and process is not None:
                set_room(process, file.stat().st_size)
            if (request.command, phase) == (2, "answered"):
                full.set()

        api.on_request = fill
        with api.serve() as base_url:
            store = f"sqlite:///{file}"
            job = job_of(base_url, store, "create", NAMES, options={"at_once": 2}, fleets={"settle": 2.0})
            process = processes.work(job)
            assert full.wait(60)
            if ends_by == "a kill":
                process.kill()
                process.end()
                process = processes.work(job)
            else:
                set_room(process, resource.RLIM_INFINITY)
            facts = process.rest()

        assert facts["exit"] == 0, process.told
        assert list(problems_of_creates(api, facts["report"], NAMES)) == []
        assert {outcome["state"] for outcome in facts["report"]} == {"succeeded"}
        assert sent_again(api) == {}


def set_room(process: Process, size: int) -> None:
    """Let no file of the process grow over *size* bytes."""
    resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
