"""Kills workers with `kill -9` at random moments, starts them again, and counts in the sandbox's own account."""

from __future__ import annotations

import concurrent.futures

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from tests.durable.episodes import (
    Episode,
    job_of,
    moments,
    problems_of_creates,
    problems_of_reboots,
    sent_again,
    work_to_its_end,
)
from tests.durable.postgres import Postgres
from tests.durable.processes import Processes
from tests.durable.served import Served
from vpsorg_async.sandbox.faults import Fault


LIST = r"^/servers/$"


@attrs.frozen(kw_only=True)
class Setting:
    """How an episode goes.

    Attributes:
        seed: decides the moments of the kills.
        store: the URL of its store.
        on_ambiguous: the argument of `DurableFleets`.
        items: the number of servers.
        kills: how often the worker is killed.
        lag: seconds that the lists are behind.
        settle: the argument of `DurableFleets`; more than the lag.
    """

    seed: int
    store: str
    on_ambiguous: str = "unknown"
    items: int = 12
    kills: int = 3
    lag: float = 10.0
    settle: float = 11.0

    @property
    def fleets(self) -> dict[str, Any]:
        return {"settle": self.settle, "on_ambiguous": self.on_ambiguous}


def faults(lag: float) -> list[Fault]:
    """Return what goes wrong: commands that are executed and not answered, some that are refused for now, late lists.

    A command that no answer comes to is a hang only once: it takes the time of an attempt.
    """
    return [
        Fault.stale(lag, path=LIST, method="GET"),
        Fault.drop(after_commit=True, method="POST", every=4),
        Fault.status(503, headers={"Retry-After": "1"}, method="POST", every=7),
        Fault.hang(method="POST", times=1, every=3),
    ]


def creates(setting: Setting, processes: Processes) -> tuple[Episode, list[str]]:
    """Run creates to their end. Return it, and the problems."""
    api = Served(seed=setting.seed)
    names = [f"web-{number}" for number in range(setting.items)]
    api.sandbox.faults.add(*faults(setting.lag))
    with api.serve() as base_url:
        job = job_of(base_url, setting.store, "create", names, fleets=setting.fleets, options={"at_once": 6})
        episode = work_to_its_end(processes, job, api, moments(setting.seed, setting.kills))
    problems = list(problems_of_creates(api, episode.report, names))
    return episode, problems + _problems_of_sends(api, episode, setting, is_create=True)


def reboots(setting: Setting, processes: Processes) -> tuple[Episode, list[str]]:
    """Run reboots to their end. Return it, and the problems."""
    api = Served(servers=setting.items, seed=setting.seed)
    api.sandbox.faults.add(*faults(setting.lag))
    with api.serve() as base_url:
        ids = api.ids
        job = job_of(base_url, setting.store, "reboot", ids, fleets=setting.fleets, options={"at_once": 6})
        episode = work_to_its_end(processes, job, api, moments(setting.seed, setting.kills))
    problems = list(problems_of_reboots(api, episode.report, ids))
    return episode, problems + _problems_of_sends(api, episode, setting, is_create=False)


def _problems_of_sends(api: Served, episode: Episode, setting: Setting, *, is_create: bool) -> list[str]:
    problems = []
    if setting.on_ambiguous == "unknown" and (again := sent_again(api)):
        problems.append(f"sent more than once: {again}")
    if setting.on_ambiguous == "resend" and is_create and episode.states != {"succeeded": setting.items}:
        problems.append(f"with on_ambiguous='resend': {episode.states}")
    return problems


def all_of(
    settings: list[Setting],
    run: Callable[[Setting, Processes], tuple[Episode, list[str]]],
    processes: Processes,
    record_property: Callable[[str, object], None],
) -> None:
    """Run the episodes beside one another: most of their time is waiting for lists that lag."""
    with concurrent.futures.ThreadPoolExecutor(len(settings)) as pool:
        ended = list(pool.map(lambda setting: run(setting, processes), settings))

    states = sum((episode.states for episode, _ in ended), Counter[str]())
    kills = sum(episode.kills for episode, _ in ended)
    record_property("told", f"{kills} kills, {dict(states)}")
    problems = {setting.seed: found for setting, (_, found) in zip(settings, ended, strict=True) if found}
    assert problems == {}
    # A run may end before the last of its moments has come.
    assert kills >= sum(setting.kills - 1 for setting in settings)


def settings_of(seeds: range, store_of: Callable[[int], str], **more: Any) -> list[Setting]:
    """Return settings, half of them with each `on_ambiguous`."""
    return [
        Setting(seed=seed, store=store_of(seed), on_ambiguous=("unknown", "resend")[seed % 2], **more) for seed in seeds
    ]


class TestOnSQLite:
    @pytest.mark.heavy
    def test_creates_that_are_killed_at_fifteen_random_moments_end_once_each(
        self, tmp_path, processes, record_property
    ):
        """D1: beside creates that are executed and not answered, and lists that lag by 10 s."""
        settings = settings_of(range(5), lambda seed: f"sqlite:///{tmp_path}/{seed}.sqlite")

        all_of(settings, creates, processes, record_property)

    @pytest.mark.heavy
    def test_reboots_that_are_killed_at_fifteen_random_moments_end_once_each(
        self, tmp_path, processes, record_property
    ):
        """D1: a reboot in doubt is looked for, and never sent on a guess."""
        settings = settings_of(range(10, 15), lambda seed: f"sqlite:///{tmp_path}/{seed}.sqlite", settle=4.0)

        all_of(settings, reboots, processes, record_property)


class TestOnPostgres:
    @pytest.mark.heavy
    def test_creates_and_reboots_that_are_killed_at_random_moments_end_once_each(
        self, postgres: Postgres, processes, record_property
    ):
        """D1: the same on Postgres, three kills of each of three runs."""
        stores = {seed: postgres.database() for seed in (20, 21, 22)}
        settings = settings_of(range(20, 23), lambda seed: stores[seed])

        def run(setting: Setting, processes: Processes) -> tuple[Episode, list[str]]:
            return (reboots if setting.seed == 21 else creates)(setting, processes)

        all_of(settings, run, processes, record_property)
