"""What happens inside is told to `on_event` and to the logger, and neither can break a call."""

from __future__ import annotations

import logging

import attrs
import pytest

from tests.helpers import detail, page
from tests.rawserver import RawServer, drop, json
from vpsorg_async import Client, Event, PollPolicy, RetryPolicy


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.005, maximum=0.01)
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        yield running


def client_of(server, **options):
    return Client("vps_test", base_url=server.base_url, **{"retry": QUICK, **options})


class TestEvents:
    async def test_a_retry_is_told(self, server):
        server.answer("GET", "/servers/7/", [json(500, {}), json(200, detail(7))])
        events = []

        async with client_of(server, on_event=events.append) as client:
            await client.servers.get(7)

        [event] = events
        after = event.fields.pop("after")
        assert (event.name, event.fields) == (
            "call.retry",
            {"request": "GET /servers/7/", "attempt": 1, "reason": "answered 500"},
        )
        assert 0 <= after <= 0.01

    async def test_a_pause_that_the_api_asks_for_is_told(self, server):
        server.answer("GET", "/servers/7/", [json(429, {}, {"Retry-After": "0"}), json(200, detail(7))])
        events = []

        async with client_of(server, on_event=events.append) as client:
            await client.servers.get(7)

        assert [(event.name, event.fields["reason"]) for event in events] == [("call.paused", "answered 429")]

    async def test_a_wait_is_told_from_its_beginning_to_its_end(self, server):
        server.answer("GET", "/servers/7/", [json(200, detail(7, status="starting")), json(200, detail(7))])
        events = []

        async with client_of(server, on_event=events.append) as client:
            poll = PollPolicy(minimum=0.01, maximum=0.02)
            await client.servers.wait_until(7, status="active", poll=poll, timeout=5)

        names = [event.name for event in events]
        assert (names[0], names[-1]) == ("wait.began", "wait.ended")
        assert [event.fields["status"] for event in events if event.name == "wait.status"] == ["starting", "active"]
        assert names.count("poll.ended") == 2
        assert events[-1].fields["outcome"] == "done"

    async def test_a_create_that_was_found_again_is_told(self, server, caplog):
        server.answer("POST", "/servers/", drop())
        date = {"Date": "Wed, 15 Oct 2025 10:30:01 GMT"}
        server.answer("GET", "/servers/", json(200, page(detail(9, name="web-02")), date))
        events = []

        with caplog.at_level(logging.INFO, "vpsorg_async"):
            async with client_of(server, on_event=events.append) as client:
                await client.servers.create(**SPEC)

        assert [(event.name, event.fields) for event in events if event.name.startswith("create")] == [
            ("create.reconciled", {"name": "web-02", "location": "us-west", "server": 9})
        ]
        assert "create.reconciled name='web-02' location='us-west' server=9" in caplog.messages

    async def test_times_go_forward_and_an_event_is_frozen(self, server):
        server.answer("GET", "/servers/7/", [json(500, {}), json(500, {}), json(200, detail(7))])
        events = []

        async with client_of(server, on_event=events.append) as client:
            await client.servers.get(7)

        assert [type(event) for event in events] == [Event, Event]
        assert events[0].at <= events[1].at
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            events[0].name = "other"

    async def test_an_on_event_that_raises_breaks_nothing_and_is_logged_once(self, server, caplog):
        server.answer("GET", "/servers/7/", [json(500, {}), json(500, {}), json(200, detail(7))])
        called = []

        def on_event(event):
            called.append(event.name)
            raise ZeroDivisionError("mine")

        async with client_of(server, on_event=on_event) as client:
            found = await client.servers.get(7)

        assert (found.id, called) == (7, ["call.retry", "call.retry"])
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
            "on_event raised an error. It is still called, and its further errors are not logged."
        ]

    async def test_the_logger_alone_hears_of_it_too(self, server, caplog):
        server.answer("GET", "/servers/7/", [json(500, {}), json(200, detail(7))])

        with caplog.at_level(logging.INFO, "vpsorg_async"):
            async with client_of(server) as client:
                await client.servers.get(7)

        assert [message.split(" after=")[0] for message in caplog.messages if message.startswith("call")] == [
            "call.retry request='GET /servers/7/' attempt=1"
        ]
