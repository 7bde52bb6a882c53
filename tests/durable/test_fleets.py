"""Makes `DurableFleets` that cannot work."""

from __future__ import annotations

import pytest
import trio

from tests.durable.episodes import job_of
from tests.durable.served import Served
from vpsorg_async import Client, ConfigurationError, InvalidArgumentError
from vpsorg_async.durable import DurableFleets
from vpsorg_async.sandbox import Sandbox


def a_client() -> Client:
    return Client("vps_test", base_url="http://127.0.0.1:9/api/v1")


def test_a_sandboxs_client_in_this_process_is_refused(sqlite):
    with pytest.raises(ConfigurationError, match="serve"):
        DurableFleets(Sandbox().client(), store=sqlite, worker="m1")


@pytest.mark.parametrize(
    "changes",
    [{"worker": ""}, {"worker": "a b"}, {"worker": "a/b"}, {"settle": -1.0}, {"on_ambiguous": "guess"}],
)
def test_an_argument_that_cannot_be_used_is_refused(changes, sqlite):
    with pytest.raises(InvalidArgumentError, match=next(iter(changes))):
        DurableFleets(a_client(), **{"store": sqlite, "worker": "m1", **changes})


@pytest.mark.parametrize("changes", [{"worker": 1}, {"settle": None}, {"store": None}, {"use_existing": 1}])
def test_an_argument_of_another_type_is_refused(changes, sqlite):
    with pytest.raises(TypeError):
        DurableFleets(a_client(), **{"store": sqlite, "worker": "m1", **changes})


def test_trio_is_refused(sqlite):
    async def enter() -> None:
        async with a_client() as client, DurableFleets(client, store=sqlite, worker="m1"):
            pass

    with pytest.raises(ConfigurationError, match="asyncio"):
        trio.run(enter)


def test_a_second_one_in_a_process_is_refused_and_one_after_another_work(sqlite, processes):
    """Both stores are left free for the next one."""
    api = Served()
    with api.serve() as base_url:
        job = job_of(base_url, sqlite, "create", ["web-1"])

        facts = processes.work(job, "twice").rest()

    assert facts["exit"] == 0
    assert "one per process" in facts["second"]
    assert [outcome["state"] for outcome in facts["report"]] == ["succeeded"]
    assert len(api.commands) == 1
