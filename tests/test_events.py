"""What happens inside is told to `on_event` and to the logger, and neither can break a call."""

from __future__ import annotations

import copy
import logging
import pickle

import attrs
import pytest

from tests.helpers import detail, page
from tests.helpers_events import Heard
from tests.rawserver import RawServer, drop, json
from vpsorg_async import Client, Event, PollPolicy, RetryPolicy
from vpsorg_async._clock import SystemClock
from vpsorg_async._events import Events, outcome_of


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
    async def test_a_further_attempt_is_told(self, server):
        server.answer("GET", "/servers/7/", [json(500, {}), json(200, detail(7))])
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            await client.servers.get(7)

        heard.check()
        assert heard.names == ["call.began", "call.attempt", "call.ended"]
        assert (heard.one("call.attempt")["number"], heard.one("call.attempt")["reason"]) == (2, "answered 500")

    async def test_a_pause_that_the_api_asks_for_is_told(self, server):
        server.answer("GET", "/servers/7/", [json(429, {}, {"Retry-After": "0"}), json(200, detail(7))])
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            await client.servers.get(7)

        heard.check()
        assert heard.names == ["call.began", "call.paused", "call.attempt", "call.ended"]
        assert (heard.one("call.paused")["reason"], heard.one("call.paused")["whose"]) == ("answered 429", "reads")

    async def test_a_wait_is_told_from_its_beginning_to_its_end(self, server):
        server.answer("GET", "/servers/7/", [json(200, detail(7, status="starting")), json(200, detail(7))])
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            poll = PollPolicy(minimum=0.1, maximum=0.1)
            await client.servers.wait_until(7, status="active", poll=poll, timeout=5)

        heard.check()
        assert (heard.names[0], heard.names[-1]) == ("wait.began", "wait.ended")
        assert [fields["status"] for fields in heard.of("wait.status")] == ["starting", "active"]
        assert heard.names.count("poll.ended") == 2
        assert heard.one("wait.ended")["outcome"] == "done"

    async def test_a_create_that_was_found_again_is_told(self, server, caplog):
        server.answer("POST", "/servers/", drop())
        date = {"Date": "Wed, 15 Oct 2025 10:30:01 GMT"}
        server.answer("GET", "/servers/", json(200, page(detail(9, name="web-02")), date))
        heard = Heard()

        with caplog.at_level(logging.INFO, "vpsorg_async"):
            async with client_of(server, on_event=heard) as client:
                await client.servers.create(**SPEC)

        heard.check()
        told, number = heard.one("create.reconciled"), heard.one("call.began")["call"]
        assert told == {"call": number, "fleet": None, "name": "web-02", "location": "us-west", "server": 9}
        text = f"create.reconciled call={number} fleet=None name='web-02' location='us-west' server=9"
        assert text in caplog.messages

    async def test_times_go_forward_and_an_event_is_frozen(self, server):
        server.answer("GET", "/servers/7/", [json(500, {}), json(500, {}), json(200, detail(7))])
        events = []

        async with client_of(server, on_event=events.append) as client:
            await client.servers.get(7)

        assert [type(event) for event in events] == [Event] * 4
        assert events[0].at <= events[1].at
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            events[0].name = "other"
        with pytest.raises(TypeError):
            events[0].fields["call"] = 0

    async def test_an_event_can_be_sent_elsewhere(self, server):
        events = []

        async with client_of(server, on_event=events.append) as client:
            await client.servers.get(7)

        assert [pickle.loads(pickle.dumps(event)) for event in events] == events
        assert copy.deepcopy(events) == events

    async def test_an_on_event_that_raises_breaks_nothing_and_is_logged_once(self, server, caplog):
        server.answer("GET", "/servers/7/", [json(500, {}), json(200, detail(7))])
        called = []

        def on_event(event):
            called.append(event.name)
            raise ZeroDivisionError("mine")

        async with client_of(server, on_event=on_event) as client:
            found = await client.servers.get(7)

        assert (found.id, called) == (7, ["call.began", "call.attempt", "call.ended"])
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
            "on_event raised an error. It is still called, and its further errors are not logged."
        ]

    async def test_the_logger_alone_hears_of_it_too(self, server, caplog):
        server.answer("GET", "/servers/7/", [json(500, {}), json(200, detail(7))])

        with caplog.at_level(logging.INFO, "vpsorg_async"):
            async with client_of(server) as client:
                await client.servers.get(7)

        [message] = [message for message in caplog.messages if message.startswith("call")]
        assert message.startswith("call.attempt call=")
        assert message.endswith(" template='/servers/{id}/' server=7 number=2 reason='answered 500'")


class TestListeners:
    async def test_one_that_is_added_hears_what_begins_from_then_on_and_others_go_on(self, server):
        first, second = Heard(), Heard()

        async with client_of(server, on_event=first) as client:
            await client.servers.get(7)
            client._context.events.add(second)
            await client.servers.get(7)
            client._context.events.remove(second)
            await client.servers.get(7)

        assert first.names == ["call.began", "call.ended"] * 3
        assert second.names == ["call.began", "call.ended"]

    async def test_nobody_listens_unless_somebody_was_given_or_the_logger_is_on(self, caplog):
        clock = SystemClock()

        assert not Events(clock).are_heard
        assert Events(clock, print).are_heard
        with caplog.at_level(logging.INFO, "vpsorg_async"):
            assert Events(clock).are_heard

    @pytest.mark.parametrize(
        ("kind", "word"),
        [(None, "done"), (ValueError, "ValueError"), (KeyboardInterrupt, "cancelled"), (GeneratorExit, "cancelled")],
    )
    def test_an_end_is_told_in_a_word(self, kind, word):
        assert outcome_of(kind) == word
