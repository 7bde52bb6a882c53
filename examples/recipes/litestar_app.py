"""Use one client in a Litestar app: a dependency, models as answers, and errors.

    cd examples/recipes && uvicorn litestar_app:app

VPS_API_TOKEN must be set.
"""

from __future__ import annotations

import contextlib
import logging

from collections.abc import AsyncGenerator
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from vpsorg_async import Client, NotFoundError, Server, StateConflictError, VPSError


@contextlib.asynccontextmanager
async def with_client(app: Litestar) -> AsyncGenerator[None, None]:
    """Make the client when the app starts, and close it when the app stops."""
    async with Client() as client:
        app.state.vpsorg = client
        yield


async def client_of(state: State) -> Client:
    client: Client = state.vpsorg
    return client


# Litestar reads the attributes of a model itself, and none of them is a password.
@get("/servers")
async def servers(client: NamedDependency[Client]) -> list[Server]:
    return await client.servers.list()


@post("/servers/{server_id:str}/reboot", status_code=202)
async def reboot(client: NamedDependency[Client], server_id: FromPath[str]) -> dict[str, Any]:
    return (await client.servers.reboot(server_id)).to_dict()


def answer(_request: Request[Any, Any, Any], error: VPSError) -> Response[dict[str, str]]:
    """Answer an error of the client. Its text goes to the log alone: it may have words of the API."""
    logging.getLogger(__name__).warning("a route has failed: %s", error)
    if isinstance(error, NotFoundError):
        return Response({"detail": "There is no such server."}, status_code=404)
    if isinstance(error, StateConflictError):
        return Response({"detail": "The status of the server does not allow this."}, status_code=409)
    return Response({"detail": "VPS.org did not do it."}, status_code=502)


app = Litestar(
    [servers, reboot],
    lifespan=[with_client],
    dependencies={"client": Provide(client_of)},
    exception_handlers={VPSError: answer},
)
