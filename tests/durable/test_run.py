"""Submits runs again under the name of an earlier one."""

from __future__ import annotations

import pytest

from tests.durable.episodes import job_of
from tests.durable.served import Served


NAMES = ["web-1", "web-2", "web-3"]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, sqlite) -> str:
    """Return a store of each kind."""
    return sqlite if request.param == "sqlite" else request.getfixturevalue("postgres").database()


def test_the_same_name_is_the_same_run_and_other_arguments_are_refused(store, processes):
    """D3: while it runs and after it has ended; in the same process and in the next one."""
    api = Served()
    with api.serve() as base_url:
        job = job_of(base_url, store, "create", NAMES, options={"at_once": 2})

        facts = processes.work(job, "same_name").rest()
        sent = len(api.commands)
        later = processes.work(job, "attach").rest()

    assert (facts["exit"], later["exit"]) == (0, 0)
    reports = facts["reports"]
    assert [outcome["state"] for outcome in reports[0]] == ["succeeded"] * 3
    assert reports[0] == reports[1] == reports[2] == later["report"]
    assert facts["iterated"] == [0, 1, 2]
    assert facts["listed"] == [[job["name"], "create"]]
    for refusal in ("other_items_meanwhile", "other_options_meanwhile", "other_items_afterwards"):
        assert job["name"] in facts[refusal]
    assert "items" in facts["other_items_meanwhile"]
    assert "at_once" in facts["other_options_meanwhile"]
    assert job["name"] in facts["forgotten_meanwhile"]
    assert "nobody" in facts["unknown_name"]
    assert job["name"] in later["other_items"]
    # Each create was sent once, and what was refused sent nothing.
    assert sent == len(api.commands) == 3
    assert {name: len(ids) for name, ids in api.made.items()} == dict.fromkeys(NAMES, 1)


def test_an_ended_run_can_be_forgotten_and_names_that_are_there_are_refused(sqlite, processes):
    """A forgotten run leaves the store, but its servers keep their names."""
    api = Served()
    with api.serve() as base_url:
        job = job_of(base_url, sqlite, "create", NAMES)
        processes.work(job).rest()

        facts = processes.work(job, "attach").rest()

    assert facts["exit"] == 0
    assert facts["listed"] == []
    assert job["name"] in facts["forgotten"]
    assert all(name in facts["created_again"] for name in NAMES)
    assert len(api.commands) == 3


def test_a_cancelled_run_begins_nothing_more_and_ends_what_is_in_progress(sqlite, processes):
    """Cancel a run of ten, two at a time, when the first item has ended."""
    api = Served()
    names = [f"web-{number}" for number in range(10)]
    with api.serve() as base_url:
        job = job_of(base_url, sqlite, "create", names, options={"at_once": 2})

        facts = processes.work(job, "cancel").rest()

    assert facts["exit"] == 0
    states = [outcome["state"] for outcome in facts["report"]]
    assert set(states) == {"succeeded", "skipped"}
    assert states.count("succeeded") == len(api.commands) < 10
    assert {name for name in names if name in api.made} == {
        outcome["item"] for outcome in facts["report"] if outcome["state"] == "succeeded"
    }


def test_a_run_that_is_cancelled_after_a_restart_tells_of_what_was_begun_before(store, processes):
    """The items of the killed process wait for their turn then, as those do that were never begun."""
    api = Served()
    names = [f"web-{number}" for number in range(5)]
    with api.serve() as base_url:
        job = job_of(base_url, store, "create", names, options={"at_once": 2})
        process = processes.work(job)
        api.on_request = lambda request, _: (
            process.kill() if request.method == "GET" and len(api.commands) == 2 else None
        )
        process.end()
        api.on_request = lambda *_: None

        facts = processes.work(job, "cancel_at_once").rest()

    assert facts["exit"] == 0
    for told in ("before", "cancelled"):
        # A worker that was quick has begun another one before the cancel.
        assert all(outcome["state"] != "skipped" for outcome in facts[told][:2]), facts[told]
    states = [outcome["state"] for outcome in facts["report"]]
    assert states[:2] == ["succeeded"] * 2
    assert states.count("succeeded") == len(api.commands) < 5
    assert set(states) == {"succeeded", "skipped"}
