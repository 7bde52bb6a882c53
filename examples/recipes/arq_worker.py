"""Reboot servers in arq workers: one client in each worker, and results as JSON, errors included.

    cd examples/recipes && arq arq_worker.WorkerSettings

VPS_API_TOKEN must be set. The program that adds the jobs passes the same two functions:
`create_pool(job_serializer=to_json, job_deserializer=json.loads)`.
"""

from __future__ import annotations

import json

from typing import Any

from vpsorg_async import Client, VPSError


async def begin(ctx: dict[Any, Any]) -> None:
    ctx["vpsorg"] = Client()


async def end(ctx: dict[Any, Any]) -> None:
    await ctx["vpsorg"].aclose()


async def reboot(ctx: dict[Any, Any], server_id: str) -> dict[str, Any]:
    """Reboot a server, and return it when it is active again, or the error."""
    client: Client = ctx["vpsorg"]
    try:
        action = await client.servers.reboot(server_id)
        server = await action.wait(timeout=600)
    except VPSError as error:
        # `sent` tells whether the API may have executed the reboot all the same. None: it is not known.
        sent = getattr(error, "sent", None)
        return {"server": None, "error": {"kind": type(error).__name__, "text": str(error), "sent": sent}}
    return {"server": server.to_dict(), "error": None}


def to_json(job: dict[str, Any]) -> bytes:
    # arq puts an error that a job has raised into its result. JSON gets its text.
    return json.dumps(job, default=str).encode()


class WorkerSettings:
    """What the command arq reads."""

    functions = (reboot,)
    on_startup = begin
    on_shutdown = end
    job_serializer = to_json
    job_deserializer = json.loads
    # arq runs a job again when its worker was stopped in the middle. A second run would send the reboot again.
    max_tries = 1
    # More than the wait in the job, so that the wait says what happened.
    job_timeout = 700
