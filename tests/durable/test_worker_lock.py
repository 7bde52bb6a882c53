"""Starts two live processes under one worker's name."""

from __future__ import annotations

import signal
import threading

import pytest

from tests.durable.episodes import address, job_of, problems_of_creates, sent_again
from tests.durable.postgres import Postgres
from tests.durable.processes import KILLED
from tests.durable.served import Served


NAMES = [f"web-{number}" for number in range(24)]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_workers_name_is_taken_by_one_live_process(kind, request, sqlite, processes):
    """D2: the second is refused before anything is sent, and a kill gives the name back."""
    store = sqlite if kind == "sqlite" else request.getfixturevalue("postgres").database()
    api = Served()
    with api.serve() as base_url:
        job = job_of(base_url, store, "create", NAMES[:2])
        first = processes.work(job, "stay")
        first.wait_for("report")
        requests = len(api.requests)

        second = processes.work({**job, "name": "another", "items": NAMES[2:4]})
        facts = second.rest()

        assert facts == {"exit": 1}
        last = second.told.strip().splitlines()[-1]
        assert last.startswith("vpsorg_async.ConfigurationError: ")
        assert "m1" in last
        assert len(api.requests) == requests
        first.kill()
        assert first.end() == KILLED

        third = processes.work({**job, "name": "another", "items": NAMES[2:4]}).rest()

        assert third["exit"] == 0
        assert [outcome["state"] for outcome in third["report"]] == ["succeeded"] * 2


@pytest.mark.heavy
def test_a_worker_that_loses_its_name_sends_nothing_more_and_loses_no_item(postgres: Postgres, processes):
    """D2: its machine sleeps, its session ends, and another process has its name when it wakes up."""
    api = Served()
    store = postgres.database()
    asleep = threading.Event()
    with api.serve(host="0.0.0.0") as base_url:
        how = {"options": {"at_once": 3}, "fleets": {"settle": 2.0}}
        first = processes.work(job_of(address(base_url, 1), store, "create", NAMES, **how))
        api.on_request = lambda request, phase: asleep.set() if (request.command, phase) == (3, "executed") else None
        assert asleep.wait(60)
        first.popen.send_signal(signal.SIGSTOP)
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        second = processes.work(job_of(address(base_url, 2), store, "create", NAMES, **how))
        second.wait_for("open")
        first.popen.send_signal(signal.SIGCONT)
        facts = second.rest()
        code = first.end()

    assert (code, facts["exit"]) == (1, 0), second.told
    assert "ConfigurationError: worker='m1'" in first.told
    assert list(problems_of_creates(api, facts["report"], NAMES)) == []
    assert sent_again(api) == {}
