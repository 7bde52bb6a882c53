"""The changes of a watch as server-sent events, over real sockets: between browser and app, and between app and API."""

from __future__ import annotations

import re
import sys

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.helpers import ROOT, detail, listed, page
from tests.integrations.apps import (
    APPS,
    LIST,
    QUICK,
    SEVEN,
    TOKEN,
    Browser,
    ends,
    options_of,
    request_of,
    starlette_app,
    watches_of,
)
from tests.integrations.browsers import AppServer, listening, served
from tests.rawserver import hang, json
from vpsorg_async import Client
from vpsorg_async.integrations import _change_events
from vpsorg_async.integrations.fastapi import change_events
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio


class TestChangeEvents:
    @APPS
    async def test_it_streams_every_server_and_then_each_change(self, make):
        """`synced` is true with the last of the first round, and stays so; an event says it too, once."""
        sandbox = Sandbox(servers=2)

        async with sandbox.serve() as url:
            with served(make({"token": "vps_sandbox", "base_url": url})) as app:
                async with listening(app) as stream:
                    *first, (end, _) = await stream.take(3)
                    sandbox.set_status(first[0][1]["after"]["id"], "suspended")
                    ((name, data),) = await stream.take(1)

        assert [(kind, data["synced"]) for kind, data in first] == [("appeared", False), ("appeared", True)]
        assert end == "synced"
        assert (name, data["fields"], data["synced"]) == ("changed", ["status"], True)
        assert (data["before"]["status"], data["after"]["status"]) == ("active", "suspended")

    @pytest.mark.parametrize("ids", ["all", "one that is gone"])
    async def test_that_there_is_no_server_is_told(self, server, ids):
        """A page knows then that there is nothing more to come."""
        server.answer("GET", LIST, json(200, page()))
        server.answer("GET", SEVEN, json(404, {"detail": "Not found."}))

        async with Client(**options_of(server)) as client:
            watch = client.servers.watch(None if ids == "all" else [7], interval=QUICK)
            with anyio.fail_after(60):
                part = await anext(aiter(change_events(request_of(Browser()), watch)))

        assert part == b'event: synced\ndata: {"synced":true}\n\n'

    async def test_what_only_asks_for_its_headers_gets_them(self, server):
        """HEAD: no watch goes on for it."""
        server.answer("GET", LIST, json(200, page()))

        with served(starlette_app(options_of(server))) as url:
            async with httpx.AsyncClient(base_url=url) as browser:
                response = await browser.head("/events", timeout=10)
                assert (await browser.get("/watches")).json() == 0

        assert response.headers["content-type"].startswith("text/event-stream")

    @APPS
    @pytest.mark.parametrize("path", ["after events", "while the API is silent"])
    async def test_a_browser_that_leaves_ends_its_watch(self, make, server, path):
        """No watch is left, no connection is held, and the other browsers stay."""
        waits = path != "after events"
        server.answer("GET", LIST, hang() if waits else json(200, page(listed(7))))

        with served(make(options_of(server, attempt_timeout=60, timeout=60))) as url:
            async with httpx.AsyncClient(base_url=url) as browser:
                for _ in range(3):
                    async with listening(url) as stream:
                        if waits:
                            await server.arrived(1, "GET", LIST)
                        else:
                            await stream.take(1)
                        assert (await browser.get("/watches")).json() == 1
                    await ends(browser)

    @APPS
    async def test_a_failure_is_its_last_event(self, make, server):
        """A problem, as an answer would be, and when to come again."""
        server.answer("GET", LIST, [json(200, page(listed(7))), json(401, {"detail": f"Invalid token {TOKEN}"})])

        with served(make(options_of(server))) as url:
            async with httpx.AsyncClient(base_url=url) as browser, browser.stream("GET", "/events") as response:
                told = await response.aread()
                await ends(browser)

        last = told.decode().split("\n\n")[-2]
        assert last.splitlines()[:2] == ["retry: 5000", "event: problem"]
        assert '"status":502' in last
        assert TOKEN not in told.decode()

    async def test_after_a_restart_the_browser_is_told_everything_anew(self, server):
        """Also what happened while the app was gone."""
        server.answer("GET", LIST, json(200, page(listed(7))))
        first, second = (AppServer(starlette_app(options_of(server))) for _ in range(2))

        url = first.begin()
        async with listening(url) as stream:
            told = await stream.take(1)
            port = first.port
            # The app ends although the browser is still there.
            await anyio.to_thread.run_sync(first.end)
        server.answer("GET", LIST, json(200, page(listed(7, status="stopped"))))
        second.config.port = port
        second.begin()
        async with httpx.AsyncClient(base_url=url) as browser:
            async with listening(url) as stream:
                told += await stream.take(1)
            await ends(browser)
        second.end()

        assert [(kind, data["after"]["status"]) for kind, data in told] == [
            ("appeared", "active"),
            ("appeared", "stopped"),
        ]

    async def test_it_ends_when_uvicorn_is_told_to_stop(self, server):
        """Before the time that the server has for that, and without a traceback for each stream in its log."""
        server.answer("GET", LIST, json(200, page(listed(7))))
        program = (
            "import uvicorn; from tests.integrations.apps import starlette_app;"
            f"app = starlette_app({{'token': 'vps_test', 'base_url': {server.base_url!r}}});"
            "uvicorn.run(app, port=0, timeout_graceful_shutdown=60)"
        )
        log = ""

        async with await anyio.open_process([sys.executable, "-c", program], cwd=ROOT, stdout=None) as process:
            with anyio.fail_after(60):
                while (found := re.search(r"running on (http\S+)", log)) is None:
                    log += (await process.stderr.receive()).decode()
                async with listening(found[1]) as stream:
                    await stream.take(2)
                    process.terminate()
                    assert [kind async for kind, _ in stream] == []
                async for part in process.stderr:
                    log += part.decode()

        assert "Finished server process" in log
        assert "Traceback" not in log

    async def test_it_says_that_it_is_alive(self, server, monkeypatch):
        """With a comment, which browsers pass over. No change is lost by that."""
        monkeypatch.setattr(_change_events, "KEEP_ALIVE", 0.01)
        server.answer("GET", LIST, [json(200, page(listed(7)))] * 10 + [json(200, page(listed(7, status="stopped")))])

        with served(starlette_app(options_of(server))) as url:
            async with listening(url) as stream:
                told = []
                async for kind, _ in stream:
                    told.append(kind)
                    if kind == "changed":
                        break

        assert [kind for kind in told if kind] == ["appeared", "synced", "changed"]
        assert "" in told

    async def test_a_thousand_servers_come_in_a_few_parts(self, server):
        """And each part has whole events."""
        servers = [listed(number) for number in range(1, 101)]
        server.answer("GET", LIST, json(200, page(*servers)))

        async with Client(**options_of(server)) as client:
            part = await anext(aiter(change_events(request_of(Browser()), client.servers.watch())))

        assert part.count(b"\n\n") - 1 == part.count(b"event: appeared\n") == 100

    @pytest.mark.parametrize("steps", range(0, 24, 2))
    @pytest.mark.parametrize("way", ["iterated", "sent"])
    async def test_cancelled_at_any_await_it_leaves_nothing(self, server, way, steps):
        """Neither a watch nor a poll; the client goes on."""
        server.answer("GET", LIST, json(200, page(listed(7))))
        server.answer("GET", SEVEN, json(200, detail(7)))

        async with Client(**options_of(server)) as client:
            browser = Browser()
            response = change_events(request_of(browser), client.servers.watch(interval=QUICK))

            async def iterate() -> None:
                async for _ in response:
                    pass

            async def send() -> None:
                await response({"type": "http"}, browser.receive, browser.send)

            async with anyio.create_task_group() as group:
                group.start_soon(iterate if way == "iterated" else send)
                if steps >= 16:
                    await server.arrived(2, "GET", LIST)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

            assert watches_of(client) == 0
            assert (await client.servers.get(7)).id == 7
        with pytest.raises(StopAsyncIteration):
            await anext(response)

    async def test_a_server_that_raises_when_the_browser_has_left_does_no_harm(self, server):
        """As an ASGI server may that has not told of it yet."""
        server.answer("GET", LIST, json(200, page(listed(7))))
        browser = Browser(raises=True)

        async with Client(**options_of(server)) as client:
            response = change_events(request_of(browser), client.servers.watch(interval=QUICK))
            with anyio.fail_after(60):
                await response({"type": "http"}, browser.receive, browser.send)

            assert watches_of(client) == 0
        assert [message["type"] for message in browser.sent] == ["http.response.start"]

    async def test_a_browser_that_leaves_ends_an_iteration(self, server):
        """Where the parts go into a response of one's own."""
        server.answer("GET", LIST, json(200, page(listed(7))))
        there = Browser()

        async with Client(**options_of(server)) as client:
            parts = []
            async for part in change_events(request_of(there), client.servers.watch(interval=60)):
                parts.append(part)
                there.leave()

            assert watches_of(client) == 0
        assert [part.count(b"event: appeared") for part in parts] == [1]
