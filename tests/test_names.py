"""Creates of one name go one after another."""

from __future__ import annotations

import anyio
import pytest

from vpsorg_async import APITimeoutError
from vpsorg_async._clock import SystemClock
from vpsorg_async._names import REMEMBERED_SECONDS, Names


pytestmark = pytest.mark.anyio


async def test_the_same_name_in_any_case_has_one_turn_and_a_cancel_gives_it_on():
    """C8: whoever waits gets it next."""
    names, order = Names(SystemClock()), []
    held, scope = anyio.Event(), anyio.CancelScope()

    async def first():
        with scope:
            async with names.turn("web", float("inf"), "POST /servers/"):
                held.set()
                await anyio.sleep_forever()

    async def second():
        async with names.turn("WEB", float("inf"), "POST /servers/"):
            order.append("second")

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await held.wait()
        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        assert order == []
        async with names.turn("other", float("inf"), "POST /servers/"):
            order.append("other")
        scope.cancel()

    assert order == ["other", "second"]


async def test_a_name_that_is_held_until_the_deadline_says_that_nothing_was_sent():
    """C8: the time of the call bounds it."""
    clock = SystemClock()
    names, caught = Names(clock), []

    async def too_late():
        with pytest.raises(APITimeoutError) as error:
            async with names.turn("web", clock.now(), "POST /servers/"):
                pass
        caught.append(error.value)

    async with names.turn("web", float("inf"), "POST /servers/"), anyio.create_task_group() as group:
        group.start_soon(too_late)

    assert caught[0].sent is False
    assert "nothing was sent" in str(caught[0])


def test_a_doubt_is_about_a_name_in_any_case():
    names = Names(SystemClock())
    names.doubt("Web")

    assert (names.in_doubt("wEB"), names.in_doubt("web-2")) == (True, False)


async def test_creates_of_clients_of_one_api_know_of_each_other(monkeypatch):
    """C14: by name and API, while they overlap, and for a minute of what was made or left in doubt."""
    clock = SystemClock()

    async with Names(clock, "here").turn("web", float("inf"), "") as first:
        async with (
            Names(clock, "here").turn("WEB", float("inf"), "") as second,
            Names(clock, "there").turn("web", float("inf"), "") as elsewhere,
            Names(clock, "here").turn("other", float("inf"), "") as another,
        ):
            assert first.has_rival
            assert second.has_rival
            second.returned(7)
        assert not first.has_rival
        assert first.claimed == {"7"}
        first.in_doubt = False
        async with Names(clock, "here").turn("web", float("inf"), "") as third:
            assert not third.has_rival
            assert third.claimed == {None, "7"}
            third.in_doubt = another.in_doubt = elsewhere.in_doubt = False
    assert [one.beside for one in (elsewhere, another)] == [[], []]
    async with Names(clock, "here").turn("web", float("inf"), "") as alone:
        assert alone.beside == [second]
    async with Names(clock, "here").turn("web", float("inf"), "") as later:
        assert later.beside == [second, alone]
        assert later.claimed == {"7", None}
        later.in_doubt = False
    monkeypatch.setattr("time.monotonic", lambda: alone.ended + REMEMBERED_SECONDS + 1)
    async with Names(clock, "here").turn("web", float("inf"), "") as long_after:
        assert long_after.beside == []
        long_after.in_doubt = False


class InUse:
    """What tells of a client whether it is closed."""

    closed = False


async def test_what_a_closed_client_has_made_is_forgotten():
    """C14: another API may be at its address since, and give the same ids again."""
    clock, owner = SystemClock(), InUse()

    async with Names(clock, "reused", owner).turn("web", float("inf"), "") as first:
        first.returned(7)
    async with Names(clock, "reused").turn("web", float("inf"), "") as while_open:
        assert while_open.claimed == {"7"}
        while_open.in_doubt = False
    owner.closed = True
    async with Names(clock, "reused").turn("web", float("inf"), "") as after:
        assert after.claimed == set()
        after.in_doubt = False
