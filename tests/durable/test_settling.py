"""Kills a worker at the one moment that leaves its command in doubt, and looks how the next start settles it."""

from __future__ import annotations

from tests.durable.episodes import (
    Moment,
    job_of,
    problems_of_creates,
    problems_of_reboots,
    sent_again,
    work_to_its_end,
)
from tests.durable.served import Served
from vpsorg_async.sandbox.faults import Fault


class TestOneKill:
    def test_a_create_that_was_executed_before_the_kill_is_adopted(self, sqlite, processes):
        """D1: killed between the API's answer and the worker's note of it."""
        api = Served()
        with api.serve() as base_url:
            job = job_of(base_url, sqlite, "create", ["web-1"], fleets={"settle": 1.0})
            killed_at = [Moment(command=1, request=99, phase="executed", after=0.0)]
            episode = work_to_its_end(processes, job, api, killed_at)

        assert episode.kills == 1
        assert list(problems_of_creates(api, episode.report, ["web-1"])) == []
        assert episode.states == {"succeeded": 1}
        assert sent_again(api) == {}

    def test_a_reboot_that_was_executed_before_the_kill_is_not_sent_again(self, sqlite, processes):
        """D1: killed between the reboot and its answer."""
        api = Served(servers=1)
        with api.serve() as base_url:
            job = job_of(base_url, sqlite, "reboot", api.ids, fleets={"settle": 1.0, "on_ambiguous": "resend"})
            killed_at = [Moment(command=1, request=99, phase="executed", after=0.0)]
            episode = work_to_its_end(processes, job, api, killed_at)

        assert episode.kills == 1
        assert list(problems_of_reboots(api, episode.report, api.ids)) == []
        assert episode.states == {"succeeded": 1}
        assert sent_again(api) == {}

    def test_a_create_that_never_arrived_is_unknown_and_not_sent_again(self, sqlite, processes):
        """D1: the API drops it, and the worker is killed before it notices."""
        api = Served()
        api.sandbox.faults.add(Fault.drop(method="POST", times=1))
        with api.serve() as base_url:
            job = job_of(base_url, sqlite, "create", ["web-1"], fleets={"settle": 1.0})
            killed_at = [Moment(command=1, request=99, phase="arrived", after=0.0)]
            episode = work_to_its_end(processes, job, api, killed_at)

        assert (episode.kills, episode.states) == (1, {"unknown": 1})
        assert len(api.commands) == 1
        assert api.made == {}
