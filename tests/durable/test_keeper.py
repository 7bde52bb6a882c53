"""Kills `examples/keeper.py` with `kill -9` beside a list that lags, and counts its servers."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.durable.episodes import moments, run_to_its_end
from tests.durable.processes import Process
from tests.durable.served import TOKEN, Served
from tests.helpers import ROOT
from vpsorg_async.sandbox.faults import Fault


WANTED = 3
LAG, SETTLE = 2.0, 4.0


@pytest.fixture
def keeper(sqlite, processes):
    """Return what starts the keeper at a base URL."""

    def start(base_url: str, *more: str) -> Process:
        options = ["--servers", str(WANTED), "--store", sqlite, "--settle", str(SETTLE), "--every", "0.3", *more]
        return processes.start(
            ["-W", "error", str(ROOT / "examples" / "keeper.py"), *options],
            env={"VPS_API_TOKEN": TOKEN, "VPS_API_URL": base_url},
        )

    return start


def statuses(api: Served) -> Counter[str]:
    return Counter(server["status"] for server in api.sandbox.servers)


@pytest.mark.heavy
def test_a_keeper_that_is_killed_again_and_again_keeps_the_number_and_makes_none_too_many(keeper):
    """It is killed while it creates the first, and while it replaces one that is suspended and one that is gone."""
    api = Served(seed=1)
    api.sandbox.faults.add(
        Fault.stale(LAG, path=r"^/servers/$", method="GET"), Fault.drop(after_commit=True, method="POST", every=3)
    )
    with api.serve() as base_url:
        first = run_to_its_end(lambda: keeper(base_url, "--rounds", "3"), api, moments(1, 3))
        made = len(api.made)
        assert statuses(api) == {"active": WANTED}

        suspended, gone, _ = api.ids
        api.let_be(suspended, "suspended")
        api.delete(gone)
        # The list shows both as they were for a while: the keeper sees them in one of its rounds.
        second = run_to_its_end(lambda: keeper(base_url, "--rounds", "12"), api, moments(2, 3))

    assert made == WANTED
    assert statuses(api) == {"active": WANTED}
    assert suspended not in api.ids
    assert len(api.made) == WANTED + 2
    assert not [name for name, ids in api.made.items() if len(ids) > 1]
    assert first + second >= 4
