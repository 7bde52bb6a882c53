"""Observations and failures reach those who want them, through one admission."""

from __future__ import annotations

import attrs
import pytest

from tests.polling.entries import NOW, entry
from vpsorg_async import APIConnectionError, AuthenticationError, Server
from vpsorg_async._page_plan import PageRead
from vpsorg_async._polling.command_log import CommandLog
from vpsorg_async._polling.delivery import Delivery
from vpsorg_async._polling.entry import Poll
from vpsorg_async._polling.lifecycle import Observation
from vpsorg_async._polling.subscribers import Subscribers, Subscription


@attrs.define(eq=False)
class Recorder:
    """A subscriber that notes what it is told."""

    entry: object
    last: object = None
    told: list = attrs.field(factory=list)
    has_news = False

    def observe(self, key, observation):
        self.told.append((key, observation and observation.status))

    def fail(self, key, error):
        self.told.append((key, type(error).__name__))

    def list_ended(self, error, shown, doubtful):
        self.told.append((type(error).__name__, sorted(shown), sorted(doubtful)))


class StoppedClock:
    def now(self):
        return NOW + 1


class House:
    """A delivery with subscribers, and those that were told to wake up."""

    def __init__(self):
        self.subscribers, self.log, self.woken = Subscribers(), CommandLog(), []
        self.delivery = Delivery(
            self.subscribers, self.log, clock=StoppedClock(), bind=lambda server: server, tell=self.woken.append
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
    pages = [PageRead(servers, 3, 3, None, NOW, NOW + 1, None)]

    newest = house.delivery.newest(poll(None, one), pages)

    assert [(key, found.server.id, found.listed) for key, found in newest.items()] == [("7", 7, True)]


@pytest.mark.parametrize(
    ("item", "last", "known"),
    [
        ({"id": 7, "status": "active", "updated_at": "2025-10-15T12:00:00Z"}, "active", True),
        ({"id": 7, "status": "stopped", "updated_at": "2025-10-15T12:00:00Z"}, "active", False),
        ({"id": 7, "status": "active", "updated_at": "2025-10-15T12:00:01Z"}, "active", False),
        ({"id": 7, "status": "active"}, "active", False),
        ({"id": 7, "status": "active", "updated_at": "2025-10-15T12:00:00Z"}, None, False),
        ("7", "active", False),
    ],
    ids=["as before", "another status", "another time", "no time", "never seen", "no object"],
)
def test_a_server_that_is_as_before_need_not_be_read(house, item, last, known):
    one = house.wait("7")
    before = {"id": 7, "name": "web", "status": last, "updated_at": "2025-10-15T12:00:00Z"}
    one.subscriber.last = None if last is None else Server.from_dict(before)

    assert (house.delivery.known(item) is not None) is known
    assert house.delivery.known({"id": 99, "status": "active"}).id == 99
