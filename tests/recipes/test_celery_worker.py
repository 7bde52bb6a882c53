"""A real Celery worker with two processes runs tasks, with a broker that is a folder."""

from __future__ import annotations

import json

import pytest

from tests.processes import started
from tests.recipes.running import RECIPES, reboots, recipe
from vpsorg_async import NotFoundError
from vpsorg_async.sandbox import Sandbox


# What the command of the recipe does. The folders of this broker have no place in the environment.
WORKER = """
import json, sys
import celery_worker
celery_worker.app.conf.broker_transport_options = json.loads(sys.argv[1])
celery_worker.app.worker_main(["worker", "--concurrency", "2", "--pool", "prefork", "--loglevel", "WARNING"])
"""


@pytest.fixture
def broker(tmp_path, monkeypatch):
    """Return the folders of the broker; the environment names the kind of broker and the folder of results."""
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("CELERY_BROKER_URL", "filesystem://")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", f"file://{tmp_path / 'results'}")
    queue, control = str(tmp_path / "queue"), str(tmp_path / "control")
    return {"data_folder_in": queue, "data_folder_out": queue, "control_folder": control}


def test_processes_reboot_and_errors_are_raised_where_the_result_is_read(broker):
    """Of their own class, though results are JSON."""
    sandbox = Sandbox(servers=4)
    ids = [server["id"] for server in sandbox.servers]
    module = recipe("celery_worker")
    module.app.conf.broker_transport_options = broker
    results = [module.reboot.delay(str(server_id)) for server_id in [*ids, 999]]

    with (
        sandbox.serve(speed=20) as base_url,
        started("-c", WORKER, json.dumps(broker), base_url=base_url, cwd=RECIPES) as process,
    ):
        servers = [result.get(timeout=60) for result in results[:4]]
        with pytest.raises(NotFoundError, match="999"):
            results[4].get(timeout=60)
        process.terminate()
        process.communicate(timeout=120)

    assert [(server["id"], server["status"]) for server in servers] == [(server_id, "active") for server_id in ids]
    assert sorted(reboots(sandbox)) == sorted(map(str, [*ids, 999]))
    assert process.returncode == 0


def test_a_task_is_acknowledged_before_it_runs():
    """A broker does not give it to another worker then, and no command is sent twice."""
    assert recipe("celery_worker").reboot.acks_late is False
