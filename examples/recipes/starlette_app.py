"""Use one client in a Starlette app: a list, a command, and changes as server-sent events.

    cd examples/recipes && uvicorn starlette_app:app --timeout-graceful-shutdown 5

VPS_API_TOKEN must be set.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vpsorg_async import Client
from vpsorg_async.integrations.fastapi import change_events, error_handlers, lifespan


def client_of(request: Request) -> Client:
    client: Client = request.state.vpsorg
    return client


async def servers(request: Request) -> Response:
    return JSONResponse([server.to_dict() for server in await client_of(request).servers.list()])


async def reboot(request: Request) -> Response:
    action = await client_of(request).servers.reboot(request.path_params["server_id"])
    return JSONResponse(action.to_dict(), status_code=202)


async def events(request: Request) -> Response:
    return change_events(request, client_of(request).servers.watch())


app = Starlette(
    routes=[
        Route("/servers", servers),
        Route("/servers/{server_id}/reboot", reboot, methods=["POST"]),
        Route("/events", events),
    ],
    # Makes the client when the app starts, and closes it when the app stops.
    lifespan=lifespan(),
)
error_handlers(app)
