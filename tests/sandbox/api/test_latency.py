"""The time that responses take, drawn from the seed."""

from __future__ import annotations

import anyio
import httpx
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import AUTHORIZED
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._api.latency import Latency, checked_latency
from vpsorg_async.sandbox._server.in_process import InProcessTransport


SPEC = {"plan_id": 1, "os_id": 5, "location": "us-west"}
LATENCY = (0.005, 0.05)


async def order_of_ends(sandbox, count=20):
    """Return the numbers of *count* requests that begin one after another, in the order of their responses."""
    ends = []

    async def get(number):
        # trio starts tasks in a random order.
        await sandbox._clock.sleep(number * 0.0001)
        response = await transport.handle_async_request(request)
        assert response.status_code == 200
        ends.append(number)

    transport = InProcessTransport(sandbox.app, sandbox._clock)
    request = httpx.Request("GET", "http://localhost/api/v1/servers/12345/", headers=AUTHORIZED)
    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(get, number)
    return ends


@pytest.mark.anyio
class TestLatency:
    async def test_responses_end_in_another_order_which_the_seed_decides(self):
        """X9: twenty requests end in an order of their own, the same for the same seed."""
        orders = []
        for seed in (0, 0, 1):
            orders.append(await order_of_ends(Sandbox(servers=1, seed=seed, latency=LATENCY)))

        assert orders[0] == orders[1] != orders[2]
        assert orders[0] != sorted(orders[0]) == list(range(20))

    async def test_requests_are_executed_in_another_order_too(self):
        """X9: creates that begin together are executed in another order, each once."""
        sandbox = Sandbox(latency=LATENCY)
        async with sandbox.client() as client, anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(lambda name: client.servers.create(name=name, **SPEC), f"web-{number:02}")

        names = [call.json["name"] for call in sandbox.calls]
        assert sorted(names) == [f"web-{number:02}" for number in range(20)] != names
        # Half of the latency lies before the execution, and each request has its own.
        assert len({call.at for call in sandbox.calls}) == len(names)

    @pytest.mark.parametrize(("latency", "least", "most"), [(0.2, 0.2, 0.2), (LATENCY, 0.005, 0.05), (None, 0, 0)])
    async def test_a_call_takes_that_long_on_the_sandbox_s_clock(self, latency, least, most):
        sandbox = Sandbox(servers=1, latency=latency)
        async with sandbox.client() as client:
            for _ in range(10):
                began = sandbox._clock.now()
                await client.servers.get(12345)
                assert least - 1e-9 <= sandbox._clock.now() - began <= most + 1e-9

    async def test_frozen_time_holds_a_response_back_until_it_is_advanced(self):
        sandbox = Sandbox(servers=1, latency=2.0)
        sandbox.freeze()
        seen = []
        async with sandbox.client() as client, anyio.create_task_group() as group:
            group.start_soon(lambda: record(client, seen))
            await anyio.wait_all_tasks_blocked()
            sandbox.advance(1.0)
            await anyio.wait_all_tasks_blocked()
            assert (seen, len(sandbox.calls)) == ([], 1)
            sandbox.advance(1.0)

        assert seen == [12345]

    @pytest.mark.parametrize(("left_after", "made"), [(0.5, 0), (1.5, 1)])
    async def test_a_create_cancelled_on_its_way_there_is_not_executed_and_on_its_way_back_it_is(
        self, left_after, made
    ):
        sandbox = Sandbox(latency=2.0)
        async with sandbox.client() as client:
            with sandbox._clock.move_on_after(left_after):
                async with anyio.create_task_group() as group:
                    group.start_soon(lambda: client.servers.create(name="web", **SPEC))
                    await sandbox._clock.sleep(60)

        assert len(sandbox.servers) == made

    async def test_it_holds_on_a_socket_too(self):
        """X9: served, at a hundred times the speed; the live page is not delayed."""
        sandbox = Sandbox(servers=1, latency=2.0)
        async with sandbox.serve(speed=100) as base_url, httpx.AsyncClient(base_url=base_url) as api:
            response = await api.get("/servers/12345/", headers=AUTHORIZED)
            began = sandbox.calls[0].at
            await api.get("/servers/", headers=AUTHORIZED)

        assert response.json()["id"] == 12345
        # The way back of the first and the way there of the second.
        assert sandbox.calls[1].at - began >= 2.0


async def record(client, seen):
    seen.append((await client.servers.get(12345)).id)


@given(st.floats(0, 10), st.floats(0, 10), st.integers())
def test_what_is_drawn_lies_between_the_bounds_and_the_seed_repeats_it(one, other, seed):
    least, most = sorted((one, other))
    first, second = Latency(least, most, seed), Latency(least, most, seed)
    drawn = [first.draw() for _ in range(5)]

    assert all(least <= seconds <= most for seconds in drawn)
    assert drawn == [second.draw() for _ in range(5)]


@pytest.mark.parametrize(
    ("latency", "kind", "text"),
    [
        (-1, ValueError, "latency=-1: give finite seconds of at least 0, the least before the most"),
        (float("nan"), ValueError, "latency=nan: give finite seconds of at least 0, the least before the most"),
        (float("inf"), ValueError, "latency=inf: give finite seconds of at least 0, the least before the most"),
        ((2, 1), ValueError, "latency=(2, 1): give finite seconds of at least 0, the least before the most"),
        (True, TypeError, "latency must be seconds, or a pair of the least and the most, not True"),
        ("0.1", TypeError, "latency must be seconds, or a pair of the least and the most, not '0.1'"),
        ((1,), TypeError, "latency must be seconds, or a pair of the least and the most, not (1,)"),
        ((1, "2"), TypeError, "latency must be seconds, or a pair of the least and the most, not (1, '2')"),
    ],
)
def test_a_latency_that_cannot_be_is_refused_with_words(latency, kind, text):
    with pytest.raises(kind) as caught:
        Sandbox(latency=latency)

    assert str(caught.value) == text


@pytest.mark.parametrize(("given", "bounds"), [(None, (0, 0)), (0.5, (0.5, 0.5)), ([0.1, 2], (0.1, 2)), (0, (0, 0))])
def test_seconds_and_pairs_are_both_taken(given, bounds):
    assert checked_latency(given) == bounds
