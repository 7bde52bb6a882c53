"""A real arq worker runs jobs, with a Redis that is in this process."""

from __future__ import annotations

import json

import arq
import fakeredis
import pytest

from arq.worker import create_worker

from tests.recipes.running import reboots, recipe
from vpsorg_async.sandbox import Sandbox


pytestmark = [
    pytest.mark.anyio,
    # arq's own, of its Redis.
    pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning"),
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def module():
    return recipe("arq_worker")


@pytest.fixture
def redis(module, monkeypatch):
    async def says_nothing(*_):
        """Stand for the line in the log about the Redis, which fakeredis has no answer for."""

    monkeypatch.setattr("arq.worker.log_redis_info", says_nothing)
    return arq.ArqRedis(
        fakeredis.FakeAsyncRedis().connection_pool, job_serializer=module.to_json, job_deserializer=json.loads
    )


async def work(module, redis):
    """Run the jobs that are there, and return the worker, which has ended."""
    worker = create_worker(module.WorkerSettings, redis_pool=redis, burst=True, handle_signals=False, poll_delay=0)
    try:
        await worker.main()
    finally:
        await worker.close()
    return worker


async def test_jobs_reboot_and_errors_are_results(module, redis, monkeypatch):
    sandbox = Sandbox(servers=2)
    ids = [str(server["id"]) for server in sandbox.servers]

    with sandbox.serve(speed=600) as base_url:
        monkeypatch.setenv("VPS_API_URL", base_url)
        monkeypatch.setenv("VPS_API_TOKEN", "vps_sandbox")
        jobs = [await redis.enqueue_job("reboot", server_id) for server_id in [*ids, "999"]]
        worker = await work(module, redis)
        results = [(await job.result_info()).result for job in jobs]

    assert [result["server"]["status"] for result in results[:2]] == ["active", "active"]
    assert [result["error"] for result in results[:2]] == [None, None]
    assert (results[2]["error"]["kind"], results[2]["error"]["sent"]) == ("NotFoundError", False)
    assert "999" in results[2]["error"]["text"]
    assert sorted(reboots(sandbox)) == sorted([*ids, "999"])
    assert worker.ctx["vpsorg"].is_closed


async def test_a_job_is_not_run_again_after_it_was_interrupted(module, redis, monkeypatch):
    """Its worker was stopped: the command may have been sent."""
    sandbox = Sandbox(servers=1)

    with sandbox.serve() as base_url:
        monkeypatch.setenv("VPS_API_URL", base_url)
        monkeypatch.setenv("VPS_API_TOKEN", "vps_sandbox")
        job = await redis.enqueue_job("reboot", str(sandbox.servers[0]["id"]))
        # What the interrupted run has left.
        await redis.set(f"arq:retry:{job.job_id}", 1)
        await work(module, redis)
        info = await job.result_info()

    assert not info.success
    assert reboots(sandbox) == []
