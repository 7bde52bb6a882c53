"""The same app in FastAPI, in Starlette, and behind a middleware; and a browser without a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import fastapi
import httpx
import pytest
import starlette.applications

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from vpsorg_async import Client, Server
from vpsorg_async.integrations.fastapi import ChangeEvents, ClientDep, change_events, error_handlers, lifespan


TOKEN = "vps_secret_token"
LIST, SEVEN = "/servers/", "/servers/7/"
QUICK = 0.02


def watches_of(client: Client) -> int:
    return len(client._context.coordinator._subscribers.watches)


async def start_together(client: Client, ids: str) -> None:
    report = await client.fleet(ids.split(",")).start(wait=False, timeout=5)
    report.raise_for_failures()


def fastapi_app(options: dict[str, Any]) -> starlette.applications.Starlette:
    app = fastapi.FastAPI(lifespan=lifespan(**options))
    error_handlers(app)

    @app.get("/servers")
    async def servers(client: ClientDep) -> list[Server]:
        return await client.servers.list()

    @app.get("/start/{server_id}")
    async def start(server_id: str, client: ClientDep) -> None:
        await client.servers.start(server_id)

    @app.get("/together/{ids}")
    async def together(ids: str, client: ClientDep) -> None:
        await start_together(client, ids)

    @app.get("/events")
    async def stream(request: fastapi.Request, client: ClientDep) -> fastapi.Response:
        return change_events(request, client.servers.watch(interval=QUICK, outage=0, failures=2))

    @app.get("/watches")
    async def watches(client: ClientDep) -> int:
        return watches_of(client)

    return app


def starlette_app(options: dict[str, Any]) -> starlette.applications.Starlette:
    async def servers(request: Request) -> JSONResponse:
        return JSONResponse([server.to_dict() async for server in request.state.vpsorg.servers.list()])

    async def start(request: Request) -> JSONResponse:
        await request.state.vpsorg.servers.start(request.path_params["server_id"])
        return JSONResponse(None)

    async def together(request: Request) -> JSONResponse:
        await start_together(request.state.vpsorg, request.path_params["ids"])
        return JSONResponse(None)

    async def stream(request: Request) -> ChangeEvents:
        return change_events(request, request.state.vpsorg.servers.watch(interval=QUICK, outage=0, failures=2))

    async def watches(request: Request) -> JSONResponse:
        return JSONResponse(watches_of(request.state.vpsorg))

    handlers = {
        "/servers": servers,
        "/start/{server_id}": start,
        "/together/{ids}": together,
        "/events": stream,
        "/watches": watches,
    }
    app = starlette.applications.Starlette(
        routes=[Route(*each) for each in handlers.items()], lifespan=lifespan(**options)
    )
    error_handlers(app)
    return app


def behind_middleware(options: dict[str, Any]) -> starlette.applications.Starlette:
    app = starlette_app(options)

    async def dispatch(request: Request, call_next: Callable[[Request], Any]) -> Any:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    return app


APPS = pytest.mark.parametrize(
    "make", [fastapi_app, starlette_app, behind_middleware], ids=["FastAPI", "Starlette", "middleware"]
)


def options_of(server: Any, **more: Any) -> dict[str, Any]:
    return {"token": TOKEN, "base_url": server.base_url, **more}


async def ends(browser: httpx.AsyncClient) -> None:
    """Return when no watch is left, within a few seconds."""
    with anyio.fail_after(60):
        while (await browser.get("/watches")).json():
            await anyio.sleep(0.01)


class Browser:
    """The browser's side of a request, as an ASGI server tells of it."""

    def __init__(self, *, raises: bool = False) -> None:
        self._left = anyio.Event()
        self._asked = False
        self._raises = raises
        self.sent: list[Any] = []

    async def send(self, message: Any) -> None:
        """Take a message; with *raises*, the browser has left with the first part of the body."""
        if self._raises and message["type"] == "http.response.body":
            self.leave()
            raise OSError("the browser has left")
        self.sent.append(message)

    def leave(self) -> None:
        self._left.set()

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}


def request_of(browser: Browser) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": []}, browser.receive)
