"""Kills workers while they keep a run in the store."""

from __future__ import annotations

import random
import threading

from tests.durable.episodes import job_of
from tests.durable.processes import KILLED
from tests.durable.served import Served


MANY = 200


def test_a_run_whose_submission_is_killed_is_kept_as_a_whole_or_not_at_all(sqlite, processes):
    """The kill comes at a random moment after the servers were listed."""
    api, chance = Served(), random.Random(5)
    told = []
    with api.serve() as base_url:
        for number in range(2):
            job = job_of(base_url, sqlite, "create", [f"web-{number}-{n}" for n in range(MANY)], name=f"run-{number}")
            process = processes.work(job)
            timer = threading.Timer(chance.uniform(0.0, 0.3), process.kill)
            # The first request is the listing, before anything is kept.
            api.on_request = lambda request, phase, timer=timer: None if timer.is_alive() else start(timer)
            assert process.end() == KILLED
            status = processes.command(base_url, "status", "--store", sqlite)
            told.append(status.popen.communicate()[0])

    for number, text in enumerate(told):
        assert f"run-{number}: create of {MANY}" in text or f"run-{number}" not in text
        assert text.strip()


def start(timer: threading.Timer) -> None:
    if timer.ident is None:
        timer.daemon = True
        timer.start()
