"""Reboot servers in Celery workers: one client in each worker process, made after the fork.

A client belongs to one process and one event loop. The parent process of a prefork pool must not make it. Each child
makes a loop and a client when it starts, uses both for all of its tasks, and closes them when it ends.

    celery --workdir examples/recipes -A celery_worker worker --concurrency 2

VPS_API_TOKEN must be set. CELERY_BROKER_URL and CELERY_RESULT_BACKEND say where the broker and the results are.
"""

from __future__ import annotations

import asyncio

from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from vpsorg_async import Client


# Celery reads CELERY_BROKER_URL and CELERY_RESULT_BACKEND itself. JSON is its default for tasks and results.
app = Celery("celery_worker")


class Process:
    """The event loop and the client of this worker process."""

    runner: asyncio.Runner
    client: Client


@worker_process_init.connect
def begin(**_: Any) -> None:
    Process.runner = asyncio.Runner()
    Process.client = Client()


@worker_process_shutdown.connect
def end(**_: Any) -> None:
    Process.runner.run(Process.client.aclose())
    Process.runner.close()


# `acks_late` stays off: with it, a task whose worker was killed runs a second time, and sends its command again.
@app.task(acks_late=False)
def reboot(server_id: str) -> dict[str, Any]:
    """Reboot a server, and return it when it is active again."""
    return Process.runner.run(reboot_and_wait(server_id))


async def reboot_and_wait(server_id: str) -> dict[str, Any]:
    action = await Process.client.servers.reboot(server_id)
    server = await action.wait(timeout=600)
    return server.to_dict()
