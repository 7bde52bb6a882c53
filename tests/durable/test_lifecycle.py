"""Ends programs in order in the middle of a run, and starts them again."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.durable.episodes import job_of, problems_of_creates, problems_of_reboots, sent_again
from tests.durable.served import Served


@pytest.mark.heavy
@pytest.mark.parametrize(("action", "story"), [("create", "leave"), ("reboot", "close_the_client")])
def test_a_run_that_is_left_in_the_middle_goes_on_at_the_next_start(action, story, sqlite, processes):
    """What is in progress when the program ends is neither failed nor sent again."""
    api = Served(servers=8)
    items = api.ids if action == "reboot" else [f"web-{number}" for number in range(8)]
    with api.serve() as base_url:
        job = job_of(base_url, sqlite, action, items, options={"at_once": 3}, fleets={"settle": 1.0})
        codes = [processes.work(job, story).end() for _ in range(2)]
        facts = processes.work(job).rest()

    assert [*codes, facts["exit"]] == [0, 0, 0]
    find = problems_of_reboots if action == "reboot" else problems_of_creates
    assert list(find(api, facts["report"], items)) == []
    states = Counter(outcome["state"] for outcome in facts["report"])
    # A command that was on its way when the program ended may not have reached the API, and is not sent again.
    assert states["unknown"] <= 3
    assert states["succeeded"] + states["unknown"] == len(items)
    assert sent_again(api) == {}
