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
from vpsorg_async._polling.admission import BELIEVED, GRACE, OUTDATED, Mark, Record, newer
from vpsorg_async._polling.command_log import CommandLog
from vpsorg_async._polling.lifecycle import Observation, Suspicion


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

        assert (record.admit(*then) == BELIEVED) is believed

    def test_what_is_not_believed_tells_that_the_server_was_seen_and_when_it_changed(self):
        record = Record()
        record.admit(None, 3, 4)
        record.admit(server(minutes=5), 1, 2)

        assert record.mark.newest == at(5)
        record.mark = Mark()
        assert attrs.asdict(record) == attrs.asdict(Record(first_seen=2, began=3, ended=4, gone=True))

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
        """Neither in the time when its request began, nor, within a grace, in `updated_at`."""
        record, began, updated = Record(), [], []
        for status, minutes, start, took in seen:
            shown = None if status is None else server(status, minutes)
            if record.admit(shown, start, start + took) == BELIEVED:
                began.append(start)
                updated += [minutes] if shown is not None and minutes is not None else []

        assert began == sorted(began)
        assert updated == sorted(updated)


class TestMark:
    """A clock that goes back delays what is believed, and never prevents it."""

    def take(self, *given, grace=GRACE):
        """Let a mark take pairs of a minute and a time, or of a minute and two times; return what is believed."""
        mark = Mark()
        return [mark.take(at(minute), times[0], times[-1], grace) for minute, *times in given]

    def test_what_goes_on_for_the_grace_is_believed(self):
        """W28: the newest then, and the mark starts from it."""
        given = [(9, 0), (2, 1), (3, 15.9), (4, 16), (1, 17), (4, 18), (3, 19), (8, 20), (9, 21)]

        assert self.take(*given) == [True, False, False, True, False, True, False, True, True]

    def test_one_that_lags_behind_a_clock_that_has_gone_back_is_not_believed(self):
        """W28: the newest of the suspects was seen a moment ago."""
        given = [(9, 0), (2, 1), (3, 15.9), (2, 16), (2, 17), (3, 18), (2, 19), (3, 20)]

        assert self.take(*given) == [True, False, False, False, False, True, False, True]

    def test_a_clock_that_goes_back_twice_is_believed_after_a_grace_more(self):
        """W28: from the first that was older than the newest suspect."""
        given = [(9, 0), (3, 1), (2, 12), (2, 16), (2, 26), (2, 27), (1, 28)]

        assert self.take(*given) == [True, False, False, False, False, True, False]

    def test_a_newer_one_begins_the_grace_anew(self):
        """W28: a lagging replica beside one that is up to date is never believed."""
        given = [(9, 0), (2, 10), (9, 20), (2, 21), (2, 30), (9, 31), (2, 32)]

        assert self.take(*given) == [True, False, True, False, False, True, False]

    def test_the_grace_begins_when_the_newer_one_has_come(self):
        """W28: a suspect may have been asked for long before that, and show what was true then."""
        given = [(9, 0, 20), (2, 5, 21), (2, 22, 23), (2, 34, 36), (2, 35, 37)]

        assert self.take(*given) == [True, False, False, False, True]

    def test_the_grace_begins_when_one_that_is_out_of_date_has_told_of_a_newer(self):
        """W28: its response may have been on its way for long."""
        mark = Mark()
        mark.take(at(2), 5, 6, GRACE)
        mark.take_outdated(at(9), 20)

        assert [mark.take(at(2), began, began, GRACE) for began in (10, 21, 34, 35)] == [False, False, False, True]

    def test_the_second_grace_begins_when_the_newest_suspect_has_come(self):
        """W28: as the first does after what was believed."""
        given = [(9, 0), (3, 1, 15), (2, 2, 15), (2, 16), (2, 29), (2, 30)]

        assert self.take(*given) == [True, False, False, False, False, True]

    def test_a_clock_that_goes_back_with_every_response(self):
        """W28: one is believed in each two graces."""
        given = [(100 - number, 5 * number) for number in range(9)]

        assert self.take(*given) == [True, False, False, False, False, True, False, False, False]

    def test_without_a_grace_all_is_believed(self):
        assert self.take((9, 0), (2, 1), (1, 2), grace=0) == [True, False, True]

    def test_what_is_out_of_date_raises_the_mark_unless_it_was_overruled(self):
        mark = Mark()
        for minute, began in ((5, 0), (2, 1), (2, 17)):
            mark.take(at(minute), began, began, GRACE)
        mark.take_outdated(at(5), 18)
        overruled = mark.newest
        mark.take_outdated(at(6), 18)

        assert (overruled, mark.newest) == (at(2), at(6))

    def test_the_newest_that_was_overruled_is_remembered(self):
        mark = Mark()
        for minute, began in ((9, 0), (5, 1), (2, 2), (2, 20), (2, 21)):
            mark.take(at(minute), began, began, GRACE)

        assert (mark.newest, mark.has_overruled(at(9)), mark.has_overruled(at(10))) == (at(2), True, False)

    @given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.1, 10)), min_size=1, max_size=30), st.floats(0, 30))
    def test_no_sequence_is_held_back_for_longer_than_two_graces_and_a_poll(self, given, grace):
        """W28: whatever the times are."""
        mark, now, held_since = Mark(), 0.0, None
        for minute, pause in given:
            now += pause
            if mark.take(at(minute), now, now, grace):
                held_since = None
            else:
                held_since = now if held_since is None else held_since
                longest = max(pause for _, pause in given)
                assert now == held_since or now - held_since <= 2 * (grace + longest)


class TestSuspects:
    def test_nothing_is_learned_from_them_and_they_tell_since_when(self):
        record = Record()
        record.admit(server(minutes=9), 0, 1)
        told = [record.admit(server(minutes=minutes), began, began + 1) for minutes, began in ((1, 2), (2, 9), (3, 17))]

        assert told == [2, 2, BELIEVED]

    def test_they_are_told_with_the_time_that_makes_them_suspect(self):
        """W28: after the clock has gone back that is the time that is believed since."""
        log, told = CommandLog(), []
        for minutes, began in ((9, 0), (5, 1), (4, 16)):
            admitted = log.admit(7, Observation(began=began, ended=began, server=server(minutes=minutes)))
            told.append(admitted.suspicion)

        assert told == [None, Suspicion(at(9), 1), Suspicion(at(5), 16)]

    def test_a_suspect_makes_nothing_out_of_date(self):
        record = Record()
        record.admit(server(minutes=5), 0, 1)
        suspect = record.admit(server(minutes=1), 4, 5)

        assert (suspect, record.admit(server(minutes=6), 3, 6), record.admit(server(minutes=6), 2, 7)) == (
            4,
            BELIEVED,
            OUTDATED,
        )


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

    @pytest.mark.parametrize("minutes", [(1, 1), (None, 1), (None, None)])
    def test_the_request_that_began_later_wins(self, minutes):
        """W22: in whatever order the pages have come, if `updated_at` does not make one of them suspect."""
        earlier, later = (
            Observation(began=began, ended=began + 1, server=server(minutes=minute), listed=True)
            for began, minute in zip((0, 1), minutes, strict=True)
        )

        assert newer(earlier, later) is later
        assert newer(later, earlier) is later


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

    async def test_a_get_that_has_waited_for_its_turn_shows_the_time_from_then_on(self):
        """W40: its call began before the command was answered, and its request after that."""
        transport = Scripted(
            lambda method, _path, _number: (8.0, 200, action()) if method == "POST" else (0.1, 200, shown("active", 1))
        )
        async with scripted_client_of(transport, max_connections=1) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.start, 7)
            await transport.clock.sleep(1)
            started = await client.servers.wait_until(7, status="active", timeout=60)

        assert started.status == "active"
        assert transport.asked == [("POST", "/servers/7/start/"), ("GET", "/servers/7/")]

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
