"""Each run of a fleet is told from its begin to its end, and each of its items when it ends."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from tests.helpers_events import Heard
from vpsorg_async import NotFoundError
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(servers=4)


def ids_of(sandbox):
    return [one["id"] for one in sandbox.servers]


def counts(ended):
    return {name: ended[name] for name in ("succeeded", "failed", "pending", "unknown", "skipped") if ended[name]}


async def test_a_run_that_goes_to_its_end(sandbox):
    heard = Heard()

    async with sandbox.client(on_event=heard) as client:
        await client.fleet([*ids_of(sandbox), 999]).stop(at_once=2)

    heard.check()
    assert heard.one("fleet.began") == {
        "fleet": heard.one("fleet.began")["fleet"], "action": "stop", "total": 5, "at_once": 2
    }  # fmt: skip
    ended = heard.one("fleet.ended")
    assert (counts(ended), ended["error"]) == ({"succeeded": 4, "failed": 1}, None)
    items = {one["index"]: (one["state"], one["server"], one["error"]) for one in heard.of("fleet.item")}
    assert items == {
        **{index: ("succeeded", server, None) for index, server in enumerate(ids_of(sandbox))},
        4: ("failed", 999, "NotFoundError"),
    }


async def test_one_that_stops_says_by_what(sandbox):
    heard = Heard()

    async with sandbox.client(on_event=heard) as client:
        await client.fleet([999, *ids_of(sandbox)]).stop(at_once=1, stop_on=(NotFoundError,))

    heard.check()
    ended = heard.one("fleet.ended")
    assert (counts(ended), ended["error"]) == ({"failed": 1, "skipped": 4}, "NotFoundError")


@pytest.mark.parametrize("how", ["left", "cancelled"])
async def test_one_that_is_left_tells_of_each_item_that_had_begun(sandbox, how):
    heard = Heard()

    async with sandbox.client(on_event=heard) as client:
        with anyio.CancelScope() as scope:
            async with client.fleet(ids_of(sandbox)).reboot(at_once=2, wait=True) as run:
                async for _ in run:
                    if how == "cancelled":
                        scope.cancel()
                        await anyio.lowlevel.checkpoint()
                    break

    heard.check()
    ended = heard.one("fleet.ended")
    assert ended["error"] == "cancelled"
    assert len(heard.of("fleet.item")) == ended["total"] - ended["skipped"]
    assert counts(ended) == {
        state: found
        for state in ("succeeded", "failed", "pending", "unknown", "skipped")
        if (found := sum(outcome.state == state for outcome in run.report))
    }


async def test_one_that_a_function_of_the_user_ends(sandbox):
    heard = Heard()

    def on_outcome(_outcome):
        raise ZeroDivisionError

    async with sandbox.client(on_event=heard) as client:
        with pytest.raises(ZeroDivisionError):
            await client.fleet(ids_of(sandbox)).stop(at_once=1, on_outcome=on_outcome)

    heard.check()
    assert heard.one("fleet.ended")["error"] == "ZeroDivisionError"
