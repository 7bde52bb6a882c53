"""Each wait is told from its begin to its end, however it ends."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers import detail
from tests.helpers_events import Heard
from tests.helpers_fleet import until
from tests.rawserver import RawServer, json
from tests.waits import POLL, client_of, tell
from vpsorg_async import AuthenticationError, WaitTimeoutError
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio


@pytest.fixture
def server():
    with RawServer() as running:
        yield running


async def test_a_wait_that_gets_there(server):
    tell(server, "stopped", "active")
    heard = Heard()

    async with client_of(server, on_event=heard) as client:
        await client.servers.wait_until(7, status="active", timeout=5, poll=POLL)

    heard.check()
    began, ended = heard.one("wait.began"), dict(heard.one("wait.ended"))
    assert began == {"wait": began["wait"], "fleet": None, "server": 7, "goal": "active", "timeout": 5.0}
    assert ended.pop("seconds") >= 0
    assert ended == {"wait": began["wait"], "fleet": None, "server": 7, "goal": "active", "outcome": "done"}
    assert [(one["wait"], one["status"]) for one in heard.of("wait.status")] == [
        (began["wait"], "stopped"),
        (began["wait"], "active"),
    ]


async def test_one_whose_time_is_over_has_waited_as_long():
    sandbox, heard = Sandbox(servers=1), Heard()

    async with sandbox.client(on_event=heard) as client:
        with pytest.raises(WaitTimeoutError):
            await client.servers.wait_until(sandbox.servers[0]["id"], status="suspended", timeout=60)

    heard.check()
    assert (heard.one("wait.ended")["outcome"], heard.one("wait.ended")["seconds"]) == ("WaitTimeoutError", 60)


async def test_one_that_is_cancelled(server):
    tell(server, "stopped")
    heard = Heard()

    async with client_of(server, on_event=heard) as client, anyio.create_task_group() as group:
        group.start_soon(lambda: client.servers.wait_until(7, status="active", timeout=None))
        await until(lambda: heard.of("wait.status"))
        group.cancel_scope.cancel()

    heard.check()
    assert (heard.one("wait.ended")["outcome"], heard.one("wait.began")["timeout"]) == ("cancelled", None)


async def test_one_that_ends_with_an_error(server):
    server.answer("GET", "/servers/7/", json(401, {}))
    heard = Heard()

    async with client_of(server, on_event=heard) as client:
        with pytest.raises(AuthenticationError):
            await client.servers.wait_until_deleted(7)

    heard.check()
    assert (heard.one("wait.ended")["outcome"], heard.one("wait.ended")["goal"]) == ("AuthenticationError", "gone")


async def test_one_that_was_reached_after_all_has_not_failed():
    """With no time to wait, one attempt to connect decides, after the polls have ended."""
    sandbox, heard = Sandbox(servers=1), Heard()

    async with sandbox.client(on_event=heard) as client:
        await client.servers.wait_until_reachable(sandbox.servers[0]["id"], timeout=0)

    heard.check()
    assert (heard.one("wait.ended")["outcome"], heard.one("wait.ended")["goal"]) == ("done", "reachable on port 22")


async def test_a_poll_is_told_with_what_it_has_shown(server):
    server.answer("GET", "/servers/7/", json(200, detail(7)))
    heard = Heard()

    async with client_of(server, on_event=heard) as client:
        await client.servers.wait_until(7, status="active")

    heard.check()
    told = dict(heard.one("poll.ended"))
    assert told.pop("seconds") >= 0
    assert told == {"poll": 1, "server": "7", "servers": 1, "requests": 1, "failed": False}


async def test_a_watch_that_gives_up_says_why(server):
    server.answer("GET", "/servers/", json(401, {}))
    heard = Heard()

    async with client_of(server, on_event=heard) as client:
        with pytest.raises(AuthenticationError):
            await anext(client.servers.watch())

    heard.check()
    told = heard.one("watch.failed")
    assert (told["servers"], told["error"]) == (None, "AuthenticationError")
    assert "401" in told["reason"]
