"""Observations and failures reach those who want them, through one admission."""

from __future__ import annotations

import anyio
import attrs
import pytest

from tests.helpers import listed, page
from tests.polling.entries import NOW, entry
from tests.rawserver import json
from tests.waits import client_of
from vpsorg_async import APIConnectionError, AuthenticationError, Server
from vpsorg_async._events import Events
from vpsorg_async._page_plan import Choice, PageRead
from vpsorg_async._polling.command_log import CommandLog
from vpsorg_async._polling.delivery import Delivery
from vpsorg_async._polling.entry import Poll
from vpsorg_async._polling.lifecycle import Observation
from vpsorg_async._polling.subscribers import Subscribers, Subscription


UUID = "0b6f1c52-7c1e-4f0e-9b0a-2d5a3c1e7f11"


@attrs.define(eq=False)
class Recorder:
    """A subscriber that notes what it is told."""

    entry: object
    last: object = None
    told: list = attrs.field(factory=list)
    has_news = False

    def observe(self, key, observation):
        self.told.append((key, observation and observation.status))

    def fail(self, key, error, began):
        assert began == NOW
        self.told.append((key, type(error).__name__))

    def list_ended(self, error, began, shown, doubtful):
        self.told.append((type(error).__name__, sorted(shown), sorted(doubtful)))


class StoppedClock:
    def now(self):
        return NOW + 1


class House:
    """A delivery with subscribers, and those that were told to wake up."""

    def __init__(self):
        self.subscribers, self.log, self.woken = Subscribers(), CommandLog(), []
        self.delivery = Delivery(
            self.subscribers,
            self.log,
            clock=StoppedClock(),
            bind=lambda server: server,
            events=Events(StoppedClock()),
            tell=self.woken.append,
        )

    def wait(self, keys, joined=0):
        subscription = Subscription(Recorder(entry(keys)), joined)
        self.subscribers.add(subscription)
        return subscription


@pytest.fixture
def house():
    return House()


def poll(key, *subscriptions, number=1, began=NOW):
    entries = [one.entry for one in subscriptions]
    return Poll(key, entries[0], entries, number=number, began=began)


def seen(status, began=NOW, key=7):
    server = None if status is None else Server(id=key, name="web-01", status=status)
    return Observation(began=began, ended=began + 0.5, server=server)


def test_an_observation_goes_to_all_who_want_the_server_and_came_in_time(house):
    first, second, other, late = house.wait("7"), house.wait("7"), house.wait("8"), house.wait("7", joined=1)

    house.delivery.observed(poll("7", first), "7", seen("active"))

    assert [one.subscriber.told for one in (first, second, other, late)] == [
        [("7", "active")],
        [("7", "active")],
        [],
        [],
    ]
    assert house.woken == [first, second]


def test_one_that_is_out_of_date_is_told_as_such(house):
    one = house.wait("7")
    house.log.admit("7", seen("stopped", began=NOW + 5))

    house.delivery.observed(poll("7", one), "7", seen("active"))

    assert one.subscriber.told == [("7", None)]


def test_a_failure_is_not_told_to_those_who_wanted_no_poll_yet(house):
    due, patient = house.wait("7"), house.wait("7")
    patient.entry.postpone(NOW + 60)

    house.delivery.failed(poll("7", due), "7", APIConnectionError("reset"))
    house.delivery.failed(poll("7", due), "7", AuthenticationError.__new__(AuthenticationError))

    assert due.subscriber.told == [("7", "APIConnectionError"), ("7", "AuthenticationError")]
    assert patient.subscriber.told == [("7", "AuthenticationError")]


def test_what_has_come_is_not_wanted_any_more(house):
    one = house.wait("7")
    one.entry.ask("7", NOW)
    one.entry.miss(["7"])

    house.delivery.observed(poll("7", one), "7", seen("active"))

    assert (one.entry.asks, one.entry.missing) == ({}, {})
    assert one.entry.due > NOW


def test_of_a_list_the_servers_that_somebody_wants_are_handed_out(house):
    one = house.wait("7")
    servers = [Server(id=key, name="web", status="active") for key in (6, 7, 8)]
    read = PageRead(servers, 3, 3, None, NOW, NOW + 1, None)

    found = house.delivery.observations(poll(None, one), read)

    assert [(key, shown.server.id, shown.listed) for key, shown in found] == [("7", 7, True)]


@pytest.mark.parametrize(
    ("item", "last", "unread"),
    [
        ({"id": 7, "status": "active", "updated_at": "2025-10-15T12:00:00Z"}, "active", True),
        ({"id": 7, "status": "stopped", "updated_at": "2025-10-15T12:00:00Z"}, "active", False),
        ({"id": 7, "status": "active", "updated_at": "2025-10-15T12:00:01Z"}, "active", False),
        ({"id": 7, "status": "active"}, "active", False),
        ({"id": 7, "status": "active", "updated_at": "2025-10-15T12:00:00Z"}, None, False),
        ({"id": "007", "status": "active", "updated_at": "2025-10-15T12:00:00Z"}, "active", True),
    ],
    ids=["as before", "another status", "another time", "no time", "never seen", "an id with zeros"],
)
def test_a_server_that_is_as_before_need_not_be_read(house, item, last, unread):
    one = house.wait("7")
    before = {"id": 7, "name": "web", "status": last, "updated_at": "2025-10-15T12:00:00Z"}
    one.subscriber.last = None if last is None else Server.from_dict(before)

    choice = house.delivery.choose([item])

    assert choice == Choice({0: one.subscriber.last if unread else None}, [])


def test_of_servers_that_nobody_wants_only_the_ids_are_taken(house):
    house.wait("7")

    choice = house.delivery.choose([{"id": 6}, {"id": 7}, {"id": "008"}, {"id": 9, "status": 5}])

    assert choice == Choice({1: None}, ["6", "8", "9"])


@pytest.mark.parametrize(
    "item", ["7", {}, {"id": None}, {"id": ""}, {"id": True}, {"id": 6, "uuid": UUID}, {"id": 8}], ids=repr
)
def test_an_item_that_may_be_a_server_with_another_id_is_read(house, item):
    house.wait("7")
    house.log.learn_ids(Server(id=8, name="web", status="active", extra={"uuid": UUID}))

    assert house.delivery.choose([item]) == Choice({0: None}, [])


def test_a_watch_wants_all(house):
    watch = Subscription(Recorder(entry(None)), 0)
    house.subscribers.add_watch(watch)

    assert house.delivery.choose([{"id": 6}]) is None


@pytest.mark.anyio
class TestIdsThatPathsDoNotTake:
    LISTED = (listed("srv:1"), listed(7), listed("a/b"), listed(-3), listed("web.8"))

    async def test_they_are_passed_over_and_told_once(self, server, caplog):
        """W46: by a watch of all servers, round after round; what a path takes is watched."""
        server.answer("GET", "/servers/", [json(200, page(*self.LISTED))] * 3 + [json(200, page(listed(7)))])

        async with client_of(server) as client:
            watch = client.servers.watch(interval=0.01)
            changes = [await anext(watch) for _ in range(3)]

        assert [(change.before and change.before.id, change.after and change.after.id) for change in changes] == [
            (None, 7),
            (None, "web.8"),
            ("web.8", None),
        ]
        told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert len(told) == 3
        assert all(any(repr(key) in text or f"={key} " in text for text in told) for key in ("srv:1", "a/b", -3))
        assert {request.path for request in server.requests} == {"/servers/", "/servers/web.8/"}

    async def test_waits_beside_them_go_on(self, server):
        """W46: with a list that shows one of them."""
        shown = [listed(key, status="active") for key in range(20)]
        server.answer("GET", "/servers/", json(200, page(listed("srv:1"), *shown)))
        seen = []

        async def wait(key):
            seen.append((await client.servers.wait_until(key, status="active", detail=False)).id)

        async with client_of(server) as client, anyio.create_task_group() as group:
            for key in range(20):
                group.start_soon(wait, key)

        assert sorted(seen) == [*range(20)]

    async def test_a_watch_of_given_servers_beside_them_goes_on(self, server):
        """W46: the list is read, and its servers are seen."""
        server.answer("GET", "/servers/", json(200, page(listed("srv:1"), *[listed(key) for key in range(20)])))

        async with client_of(server) as client:
            watch = client.servers.watch(range(20), interval=0.01)
            changes = [await anext(watch) for _ in range(20)]

        assert sorted(change.after.id for change in changes) == [*range(20)]
