"""A client in FastAPI and Starlette apps, over real sockets: between a browser and the app, and the app and the API."""

from __future__ import annotations

import fastapi
import httpx
import pytest
import starlette.applications

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.helpers import listed, page
from tests.integrations.apps import APPS, LIST, TOKEN, fastapi_app, options_of
from tests.integrations.browsers import served
from tests.processes import ran
from tests.rawserver import hang, json
from vpsorg_async import Client, ConfigurationError, RetryPolicy
from vpsorg_async.integrations import fastapi as integration
from vpsorg_async.integrations.fastapi import ClientDep, error_handlers, lifespan


pytestmark = pytest.mark.anyio


class TestClient:
    @APPS
    async def test_routes_have_the_client_of_the_lifespan(self, make, server):
        """I3: a list of servers, without the password that came with one."""
        server.answer("GET", LIST, json(200, page(listed(7, password="hunter2"))))

        with served(make(options_of(server))) as url:
            async with httpx.AsyncClient(base_url=url) as browser:
                response = await browser.get("/servers")

        assert response.json() == [listed(7)]
        assert server.requests_to("GET", LIST)[0].headers["authorization"] == f"Bearer {TOKEN}"

    async def test_it_is_closed_with_the_app(self, server):
        """And an app that starts again has a new one."""
        clients = []

        async def keep(request: Request) -> JSONResponse:
            clients.append(request.state.vpsorg)
            return JSONResponse(None)

        app = starlette.applications.Starlette(routes=[Route("/", keep)], lifespan=lifespan(**options_of(server)))
        for _ in range(2):
            with served(app) as url:
                async with httpx.AsyncClient(base_url=url) as browser:
                    await browser.get("/")
                assert not clients[-1].is_closed

        assert [client.is_closed for client in clients] == [True, True]
        assert clients[0] is not clients[1]

    async def test_an_app_that_cannot_have_one_does_not_start(self):
        """There is no token: said at once, not at the first request."""
        with pytest.raises(ConfigurationError, match="there is no token"):
            async with lifespan()(None):
                pytest.fail("it started")

    async def test_an_app_without_the_lifespan_says_so(self):
        app = fastapi.FastAPI()
        error_handlers(app)

        @app.get("/")
        async def root(client: ClientDep) -> None:
            pytest.fail("there is none")

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as browser:
            response = await browser.get("/")

        assert (response.status_code, response.json()["detail"]) == (500, "This service is not set up correctly.")


class TestErrors:
    @APPS
    @pytest.mark.parametrize(
        ("reply", "status"),
        [
            (json(400, {"detail": f"not so {TOKEN}"}), 409),
            (json(401, {"detail": f"Invalid token {TOKEN}, log in again."}), 502),
            (json(404, {"detail": "Not found."}), 404),
            (json(500, {"detail": f"<html>{TOKEN}</html>"}), 502),
            (json(429, {}, headers={"Retry-After": "1000"}), 503),
            (hang(), 504),
        ],
        ids=["400", "401", "404", "500", "429", "silence"],
    )
    async def test_it_is_a_problem_without_the_apis_words(self, make, server, reply, status):
        """The token and the API's body never reach the browser."""
        server.answer("POST", "/servers/7/start/", reply)

        with served(make(options_of(server, timeout=0.3 if status == 504 else 60, retry=RetryPolicy.none()))) as url:
            async with httpx.AsyncClient(base_url=url) as browser:
                response = await browser.get("/start/7")

        assert (response.status_code, response.json()["status"]) == (status, status)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers.get("retry-after") == ("1000" if status == 503 else None)
        assert TOKEN not in response.text
        assert "log in" not in response.text

    @APPS
    async def test_a_call_that_ended_in_a_pause_says_when_to_come_again(self, make, server):
        """It was never sent: the API asked another call for the pause."""
        server.answer("GET", LIST, json(429, {"detail": "Slow down."}, headers={"Retry-After": "30"}))

        with served(make(options_of(server, timeout=2))) as url:
            async with httpx.AsyncClient(base_url=url) as browser:
                answers = [await browser.get("/servers") for _ in range(2)]

        assert [answer.status_code for answer in answers] == [503, 503]
        assert [20 <= int(answer.headers["Retry-After"]) <= 30 for answer in answers] == [True, True]

    async def test_a_refused_argument_is_400_with_the_reason(self, server):
        with served(fastapi_app(options_of(server))) as url:
            async with httpx.AsyncClient(base_url=url) as browser:
                response = await browser.get("/start/..")
                # A path that a browser itself does not shorten.
                odd = await browser.get("/start/a%3Fb")

        assert response.status_code == 404
        assert (odd.status_code, "a?b" in odd.json()["detail"]) == (400, True)
        assert server.requests == []

    @APPS
    @pytest.mark.parametrize(
        ("ids", "status", "later"), [("7", 404, None), ("7,8", 503, "1000"), ("7,9", 404, None)], ids=str
    )
    async def test_a_group_is_answered_by_its_errors(self, make, server, ids, status, later):
        """A fleet that failed, or a task group, raises one: also a group of one."""
        for gone in (7, 9):
            server.answer("POST", f"/servers/{gone}/start/", json(404, {"detail": f"Not found. {TOKEN}"}))
        server.answer("POST", "/servers/8/start/", json(503, {"detail": TOKEN}, headers={"Retry-After": "1000"}))

        with served(make(options_of(server))) as url:
            async with httpx.AsyncClient(base_url=url) as browser:
                response = await browser.get(f"/together/{ids}")

        assert (response.status_code, response.json()["status"]) == (status, status)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers.get("retry-after") == later
        assert [one["status"] for one in response.json().get("errors", [])] == ([404, 503] if status == 503 else [])
        assert TOKEN not in response.text

    async def test_a_group_with_an_error_of_the_app_is_not_touched(self):
        app = fastapi.FastAPI()
        error_handlers(app)

        @app.get("/")
        async def root() -> None:
            raise ExceptionGroup("both", [ConfigurationError("ours"), ValueError("mine")])

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as browser:
            with pytest.raises(ExceptionGroup, match="both"):
                await browser.get("/")

    async def test_an_app_keeps_its_own_handler_of_groups(self):
        app = fastapi.FastAPI()

        @app.exception_handler(ExceptionGroup)
        async def mine(_request: Request, _error: Exception) -> JSONResponse:
            return JSONResponse("mine", 418)

        error_handlers(app)

        @app.get("/")
        async def root() -> None:
            raise ExceptionGroup("ours", [ConfigurationError("ours")])

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as browser:
            assert (await browser.get("/")).status_code == 418

    async def test_other_errors_are_not_touched(self):
        app = fastapi.FastAPI()
        error_handlers(app)

        @app.get("/")
        async def root() -> None:
            raise ValueError("mine")

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as browser:
            with pytest.raises(ValueError, match="mine"):
                await browser.get("/")


class TestArguments:
    async def test_one_of_a_wrong_type_is_named_at_once(self):
        """Nothing is streamed, and nothing is asked of the API."""
        request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})

        async with Client("vps_test", base_url="http://127.0.0.1:9/api/v1") as client:
            with pytest.raises(TypeError, match="watch must be what"):
                integration.change_events(request, client)
            with pytest.raises(TypeError, match="request must be the Request of the route, not None"):
                integration.change_events(None, client.servers.watch())
        with pytest.raises(TypeError, match="app must be an app of Starlette or FastAPI, not 3"):
            error_handlers(3)


class TestWithoutFastAPI:
    def test_starlette_is_enough(self):
        """Only `ClientDep` needs FastAPI."""
        code = """
import sys
sys.modules["fastapi"] = None
from vpsorg_async.integrations.fastapi import change_events, error_handlers, lifespan
try:
    from vpsorg_async.integrations.fastapi import ClientDep
except ImportError as error:
    print(error.name, "pydantic" in sys.modules)
"""
        told = ran("-c", code)

        assert told.stdout.endswith("False\n")
        assert "fastapi" in told.stdout

    def test_it_has_no_other_names(self):
        with pytest.raises(AttributeError, match="no attribute 'Client_dep'"):
            _ = integration.Client_dep
