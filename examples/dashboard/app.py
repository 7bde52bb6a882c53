"""The app: its routes, what it keeps while it runs, and which requests it refuses."""

from __future__ import annotations

import contextlib

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import anyio

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from vpsorg_async import FleetRun, ServerSpec
from vpsorg_async.integrations.fastapi import ClientDep, change_events, error_handlers, lifespan

from . import pages
from .choices import Choices
from .runs import Runs


STATIC = Path(__file__).parent / "static"
MOST_AT_A_TIME = 50
"""The largest number of servers that one form creates."""

ACTIONS = ("start", "stop", "reboot", "delete")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src data:; script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def refuse_other_sites(request: Request) -> None:
    """Refuse a change that a page of another site asks for (CSRF).

    Every browser names the origin of a POST, and no page can change it. `HX-Request` is sent by htmx; another site
    cannot send it without a permission, which this app never gives.

    Raises:
        HTTPException: 403.
    """
    if request.method in {"GET", "HEAD"}:
        return
    own = request.headers.get("host")
    origin = urlsplit(request.headers.get("origin", "")).netloc
    if origin != own or request.headers.get("hx-request") != "true":
        raise HTTPException(403, "The dashboard takes changes from its own page only.")


async def read_form(request: Request) -> dict[str, list[str]]:
    return parse_qs((await request.body()).decode("utf-8", "replace"))


def key_of(text: str) -> int | str:
    """Return the key as the API gave it: a number, or a text such as a UUID."""
    return int(text) if text.isdecimal() else text


def runs_of(request: Request) -> Runs:
    return request.state.runs  # type: ignore[no-any-return]


def choices_of(request: Request) -> Choices:
    return request.state.choices  # type: ignore[no-any-return]


Form = Annotated[dict[str, list[str]], Depends(read_form)]
RunsDep = Annotated[Runs, Depends(runs_of)]
ChoicesDep = Annotated[Choices, Depends(choices_of)]
router = APIRouter(dependencies=[Depends(refuse_other_sites)], default_response_class=HTMLResponse)


def make_app(**client_options: Any) -> FastAPI:
    """Return the dashboard. It takes the options of a client, such as `token` and `base_url`."""
    client_of = lifespan(**client_options)

    @contextlib.asynccontextmanager
    async def with_runs(app: FastAPI) -> AsyncGenerator[dict[str, Any], None]:
        # The group outlives every request: so does the work in it.
        async with client_of(app) as state, anyio.create_task_group() as group:
            yield {**state, "runs": Runs(group), "choices": Choices(state["vpsorg"])}
            group.cancel_scope.cancel()

    app = FastAPI(lifespan=with_runs, openapi_url=None)
    # A name that another site points at this computer is refused (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    error_handlers(app)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


@router.get("/")
async def page(runs: RunsDep) -> Response:
    """The page has no servers yet: they come with the events, so a page costs the API nothing."""
    return HTMLResponse(pages.page(runs), headers=HEADERS)


@router.get("/events")
async def events(request: Request, client: ClientDep) -> Response:
    return change_events(request, client.servers.watch(interval=2.0, failures=3, outage=10.0))


@router.get("/runs")
async def show_runs(runs: RunsDep, seen: str = "") -> Response:
    """Answer 204 if the browser has seen all there is: then htmx leaves the page alone."""
    if seen == runs.version:
        return Response(status_code=204)
    return HTMLResponse(pages.runs(runs, restarted=bool(seen) and not runs.knows(seen)))


@router.post("/runs")
async def command(form: Form, client: ClientDep, runs: RunsDep) -> str:
    """Begin an action: on one server (`one=reboot 7`), or on the selected ones (`action=stop&server=7&server=8`)."""
    action, _, only = form.get("one", form.get("action", [""]))[0].partition(" ")
    ids = [only] if only else form.get("server", [])
    if action not in ACTIONS:
        raise HTTPException(400, f"There is no action {action!r}.")
    if not ids:
        raise HTTPException(400, "Select a server first.")
    fleet = client.fleet(ids)
    make = {"start": fleet.start, "stop": fleet.stop, "reboot": fleet.reboot, "delete": fleet.delete}[action]

    def begin(progress: Any) -> FleetRun:
        return make(progress=progress)

    runs.begin(action, len(ids), begin)
    return pages.runs(runs)


@router.get("/create")
async def show_form(choices: ChoicesDep) -> str:
    return pages.create_form(await choices.get())


@router.get("/plans")
async def show_plans(choices: ChoicesDep, location: str = "") -> str:
    return pages.plan_options(await choices.get(), location)


@router.post("/create")
async def create(form: Form, client: ClientDep, runs: RunsDep) -> str:
    given = {name: values[0].strip() for name, values in form.items()}
    missing = [name for name in ("name", "plan_id", "os_id", "location") if not given.get(name)]
    if missing:
        raise HTTPException(400, f"Choose a {missing[0].removesuffix('_id').replace('os', 'system')}.")
    count = given.get("count", "1")
    if not count.isdecimal() or not 1 <= int(count) <= MOST_AT_A_TIME:
        raise HTTPException(400, f"Create between 1 and {MOST_AT_A_TIME} servers at a time.")
    name, number = given["name"], int(count)
    names = [name] if number == 1 else [f"{name}-{each:02}" for each in range(1, number + 1)]
    specs = [
        ServerSpec(
            name=each, plan_id=key_of(given["plan_id"]), os_id=key_of(given["os_id"]), location=given["location"]
        )
        for each in names
    ]

    def begin(progress: Any) -> FleetRun:
        return client.fleet.create(specs, progress=progress)

    runs.begin("create", number, begin)
    return pages.runs(runs)
