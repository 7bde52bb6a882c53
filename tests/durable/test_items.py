"""Commands servers that are gone: at the beginning, after their command, and while no worker is there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.durable.episodes import Moment, job_of, work_to_its_end
from tests.durable.served import Phase, Request, Served


ACTIONS = ["start", "stop", "reboot", "delete"]
NEVER_THERE = 99999


def an_api(action: str) -> Served:
    """Return an API with three servers that can take the command."""
    api = Served(servers=3)
    if action == "start":
        for server_id in api.ids:
            api.let_be(server_id, "stopped")
    return api


def an_api_for_all() -> tuple[Served, dict[str, list[int]]]:
    """Return an API with two servers for each action that can take it, and their ids."""
    api = Served(servers=2 * len(ACTIONS))
    ids = {action: api.ids[2 * number : 2 * number + 2] for number, action in enumerate(ACTIONS)}
    for server_id in ids["start"]:
        api.let_be(server_id, "stopped")
    return api, ids


def runs_of(items: dict[str, list[int]]) -> list[dict[str, Any]]:
    return [{"action": action, "name": action, "items": of_it} for action, of_it in items.items()]


def sent(api: Served) -> list[str]:
    """Return the paths of all commands, those that were sent again twice."""
    return sorted(f"{command.method} {command.path}" for command in api.commands)


def test_ids_that_were_never_there_fail_and_are_deleted(sqlite, processes):
    """D6: gone at the beginning."""
    api, ids = an_api_for_all()
    items = {action: [first, NEVER_THERE, second] for action, (first, second) in ids.items()}
    with api.serve() as base_url:
        facts = processes.work(job_of(base_url, sqlite, "", [], runs=runs_of(items)), "several").rest()

    assert facts["exit"] == 0
    states = {action: [outcome["state"] for outcome in report] for action, report in facts["reports"].items()}
    failed = ["succeeded", "failed", "succeeded"]
    assert states == {**dict.fromkeys(ACTIONS, failed), "delete": ["succeeded"] * 3}
    assert all("NotFoundError" in facts["reports"][action][1]["error"] for action in ("start", "stop", "reboot"))
    assert len(sent(api)) == len(set(sent(api)))


def test_servers_that_vanish_after_their_command_fail_and_are_not_commanded_again(sqlite, processes):
    """D6: they vanish after acceptance."""
    api, items = an_api_for_all()
    del items["delete"]
    lost = [first for first, _ in items.values()]

    def vanish(request: Request, phase: Phase) -> None:
        if request.command and phase == "executed":
            server_id = int(request.path.split("/")[2])
            if server_id in lost:
                api.delete(server_id)

    api.on_request = vanish
    with api.serve() as base_url:
        facts = processes.work(job_of(base_url, sqlite, "", [], runs=runs_of(items)), "several").rest()

    assert facts["exit"] == 0
    for report in facts["reports"].values():
        assert [outcome["state"] for outcome in report] == ["failed", "succeeded"]
        assert report[0]["accepted"] is True
    assert len(sent(api)) == len(set(sent(api))) == 6


@pytest.mark.parametrize("action", ACTIONS)
def test_a_run_ends_whose_servers_vanish_while_no_worker_is_there(action, sqlite, processes):
    """D6: between kill and restart."""
    api = an_api(action)
    items = api.ids
    with api.serve() as base_url:
        job = job_of(base_url, sqlite, action, items, options={"at_once": 2}, fleets={"settle": 1.0})

        episode = work_to_its_end(
            processes,
            job,
            api,
            [Moment(command=1, request=99, phase="executed", after=0.0)],
            between=lambda: [api.delete(server_id) for server_id in api.ids],
        )

    assert episode.kills == 1
    states = set(episode.states)
    assert states == {"succeeded"} if action == "delete" else states <= {"failed", "unknown"}
    if action == "reboot":
        assert len(sent(api)) == len(set(sent(api)))
