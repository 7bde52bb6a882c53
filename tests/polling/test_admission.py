"""Which observations are new enough to be believed: a table, hypothesis, and what users of a client see."""

from __future__ import annotations

import datetime as dt
import itertools

import anyio
import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import action, detail, listed, page
from tests.sharing import Scripted, scripted_client_of
from vpsorg_async import PollPolicy, Server, WaitTimeoutError
from vpsorg_async._polling.admission import Record, newer
from vpsorg_async._polling.lifecycle import Observation


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)


def at(minutes):
    return None if minutes is None else NOON + dt.timedelta(minutes=minutes)


def server(status="active", minutes=None):
    return Server(id=7, name="web-01", status=status, updated_at=at(minutes))


class TestRecord:
    @pytest.mark.parametrize(
        ("before", "then", "believed"),
        [
            ((server(), 1, 2), (server("stopped"), 3, 4), True),
            ((server(), 1, 9), (server("stopped"), 3, 4), True),
            ((server(), 3, 4), (server("stopped"), 3, 5), True),
            ((server(), 3, 4), (server("stopped"), 1, 9), False),
            ((server(minutes=5), 1, 2), (server("stopped", 4), 3, 4), False),
            ((server(minutes=5), 1, 2), (server("stopped", 5), 3, 4), True),
            ((server(minutes=5), 1, 2), (server("stopped"), 3, 4), True),
            ((server(), 1, 9), (None, 3, 10), False),
            ((server(), 1, 2), (None, 3, 4), True),
            ((None, 3, 4), (server(), 1, 9), False),
            ((None, 1, 2), (server(), 3, 4), True),
        ],
        ids=[
            "begun later",
            "begun later, ended earlier",
            "begun at the same time",
            "begun earlier, ended later",
            "an older updated_at",
            "the same updated_at",
            "no updated_at",
            "a 404 begun before the server was first seen",
            "a 404",
            "a server begun before a 404",
            "a server after a 404",
        ],
    )
    def test_what_is_believed_after_what(self, before, then, believed):
        record = Record()
        record.admit(*before)

        assert record.admit(*then) is believed

    def test_what_is_not_believed_tells_that_the_server_was_seen_and_when_it_changed(self):
        record = Record()
        record.admit(None, 3, 4)
        record.admit(server(minutes=5), 1, 2)

        assert attrs.asdict(record) == attrs.asdict(Record(first_seen=2, began=3, ended=4, updated_at=at(5), gone=True))

    def test_a_list_does_not_say_that_a_server_is_back(self):
        """Only a GET does: lists may lag."""
        record = Record()
        record.admit(None, 1, 2)
        record.admit(server(), 3, 4, listed=True)
        gone = record.gone
        record.admit(server(), 5, 6)

        assert (gone, record.gone) == (True, False)

    @given(
        st.lists(
            st.tuples(
                st.none() | st.just("active"), st.none() | st.integers(0, 5), st.integers(0, 9), st.integers(0, 5)
            ),
            max_size=12,
        )
    )
    def test_what_is_believed_never_goes_back(self, seen):
        """Neither in the time when its request began, nor in `updated_at`."""
        record, began, updated = Record(), [], []
        for status, minutes, start, took in seen:
            shown = None if status is None else server(status, minutes)
            if record.admit(shown, start, start + took):
                began.append(start)
                updated += [minutes] if shown is not None and minutes is not None else []

        assert began == sorted(began)
        assert updated == sorted(updated)


class TestNewer:
    @pytest.mark.parametrize(
        ("one", "other", "wins"),
        [(5, 4, "one"), (4, 5, "other"), (5, 5, "other"), (None, 4, "other"), (5, None, "other")],
    )
    def test_updated_at_decides_and_then_the_order_of_the_pages(self, one, other, wins):
        first, second = (
            Observation(began=0, ended=1, server=server(minutes=minutes), listed=True) for minutes in (one, other)
        )

        assert newer(first, second) is {"one": first, "other": second}[wins]


def shown(status, minutes, key=7):
    return detail(key, status=status, updated_at=at(minutes).isoformat())


@pytest.mark.anyio
class TestWaits:
    @pytest.mark.parametrize("way", ["get", "list", "watch"])
    async def test_a_stale_rebooting_of_the_reboot_before_proves_nothing(self, way):
        """W40: the command log, which calls it stale, learns nothing from it either."""
        states = [("active", -5)]

        def answer(method, path, _number):
            if method == "POST":
                return 0.1, 200, action(7, status="rebooting")
            body = shown(*states[-1])
            return 0.1, 200, page(body) if path == "/servers/" else body

        transport = Scripted(answer)
        async with scripted_client_of(transport) as client:
            await client.servers.get(7)
            accepted = await client.servers.reboot(7)
            # A replica that lags shows the reboot before, which was over by -5 minutes.
            states.append(("rebooting", -9))
            if way == "get":
                await client.servers.get(7)
            elif way == "list":
                await client.servers.list()
            else:
                with transport.clock.move_on_after(2):
                    await anext(client.servers.watch([7]))
            states.append(("active", -5))

            with pytest.raises(WaitTimeoutError) as caught:
                await accepted.wait(timeout=10)

        assert "never took effect" in str(caught.value)

    async def test_a_get_begun_before_what_is_known_does_not_end_a_wait(self):
        """W40: it arrives last, and shows the goal that the server has left since."""
        transport = Scripted(
            lambda _method, _path, number: (
                (8.0, 200, shown("active", 1)) if number == 1 else (0.1, 200, shown("stopped", 1))
            )
        )
        ended = []
        async with scripted_client_of(transport) as client, anyio.create_task_group() as group:

            async def wait():
                try:
                    await client.servers.wait_until(
                        7, status="active", timeout=20, poll=PollPolicy(minimum=9, maximum=9)
                    )
                except WaitTimeoutError as error:
                    ended.append(error.server.status)

            group.start_soon(wait)
            await transport.clock.sleep(1)
            await client.servers.get(7)

        assert ended == ["stopped"]

    @pytest.mark.parametrize("listed_from", [0.0, 2.0], ids=["a list begun before the GET", "a list begun after it"])
    async def test_a_404_begun_before_the_server_was_first_seen_fails_no_wait(self, listed_from):
        """W40: the server was made while the GET was on its way."""
        gets = itertools.count(1)

        def answer(_method, path, _number):
            if path == "/servers/":
                return 2.0, 200, page(listed(7, status="provisioning"))
            return (5.0, 404, {"detail": "Not found."}) if next(gets) == 1 else (0.1, 200, shown("active", 1))

        transport = Scripted(answer)
        ended = []
        async with scripted_client_of(transport) as client, anyio.create_task_group() as group:

            async def wait():
                await transport.clock.sleep(1)
                ended.append(await client.servers.wait_until(7, status="active", timeout=60))

            group.start_soon(wait)
            await transport.clock.sleep(listed_from)
            await client.servers.list()

        assert [one.status for one in ended] == ["active"]

    async def test_a_watch_never_tells_what_is_older_than_what_it_told(self):
        """W40: a list begun before a GET, that ends after it."""

        def answer(_method, path, number):
            if path == "/servers/":
                return (
                    (4.0 if number == 2 else 0.1),
                    200,
                    page(listed(7, status="stopping" if number == 2 else "active")),
                )
            return 0.1, 200, shown("stopped", 1)

        transport = Scripted(answer)
        async with scripted_client_of(transport) as client, anyio.create_task_group() as group:
            told = []

            async def watch():
                async for change in client.servers.watch(interval=3):
                    told.append(change.after.status)

            group.start_soon(watch)
            # The second list is on its way.
            await transport.clock.sleep(4)
            await client.servers.wait_until(7, status="stopped", timeout=5)
            await transport.clock.sleep(4)
            group.cancel_scope.cancel()

        assert told[:2] == ["active", "stopped"]
        assert "stopping" not in told
