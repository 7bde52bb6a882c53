"""How much an API that fails is asked: all calls of a client share their retries."""

from __future__ import annotations

import contextlib
import re
import threading

import anyio
import pytest

from tests.helpers import detail
from tests.rawserver import json
from vpsorg_async import Client, PollPolicy, RetryPolicy, WaitFailedError
from vpsorg_async._errors import ServerError
from vpsorg_async._request.retry_budget import RetryBudget


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.001, maximum=0.001)
PATH = "/servers/7/"
ANY = re.compile(".*")
QUICK_POLL = PollPolicy(minimum=0.1, maximum=0.1, failures=2, outage=0)


def client_of(server, **options):
    return Client("vps_test_token", base_url=server.base_url, **{"retry": QUICK, **options})


class TestBudget:
    @pytest.mark.heavy
    @pytest.mark.parametrize("together", [True, False], ids=["at once", "one by one"])
    async def test_an_api_that_is_down_for_good_sees_ten_retries(self, server, together):
        """R9: of a thousand calls."""
        server.answer("GET", PATH, json(500, {}))
        failed = []

        async def call(client):
            try:
                await client.servers.get(7)
            except ServerError as error:
                failed.append(error)

        async with client_of(server, timeout=60) as client:
            await run(call, client, 1000, together)

        assert len(failed) == 1000
        assert len(server.requests) <= 1010

    @pytest.mark.heavy
    @pytest.mark.parametrize("together", [True, False], ids=["at once", "one by one"])
    async def test_an_api_where_every_call_fails_once_loses_nearly_none(self, server, together):
        """R9: a call that succeeds after a retry pays it back."""
        seen, lock = set(), threading.Lock()

        def answer(request):
            with lock:
                again = request.path in seen
                seen.add(request.path)
            return json(200, detail()) if again else json(500, {})

        server.answer("GET", ANY, answer)
        good, numbers = [], iter(range(1000))

        async def call(client):
            with contextlib.suppress(ServerError):
                good.append(await client.servers.get(next(numbers)))

        async with client_of(server, timeout=60) as client:
            await run(call, client, 1000, together)

        assert len(good) >= 980

    async def test_a_retry_under_way_that_is_cancelled_does_not_keep_the_others_waiting(self):
        """R9: each retry that was acquired is released."""
        budget, told = RetryBudget(), []
        for _ in range(10):
            assert await budget.acquire()

        async def acquire():
            told.append(await budget.acquire())

        async with anyio.create_task_group() as group:
            group.start_soon(acquire)
            await anyio.wait_all_tasks_blocked()
            for _ in range(9):
                budget.release(succeeded=False)
            await anyio.wait_all_tasks_blocked()
            assert told == []
            budget.release(succeeded=False)

        assert told == [False]

    async def test_a_turn_given_to_one_who_is_cancelled_goes_to_the_next(self):
        """R9: no refund is lost."""
        budget, told, scope = RetryBudget(), [], anyio.CancelScope()
        for _ in range(10):
            assert await budget.acquire()

        async def cancelled():
            with scope:
                await budget.acquire()
                budget.release(succeeded=True)

        async def acquire():
            told.append(await budget.acquire())

        async with anyio.create_task_group() as group:
            group.start_soon(cancelled)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(acquire)
            await anyio.wait_all_tasks_blocked()
            budget.release(succeeded=True)
            scope.cancel()

        assert told == [True]

    async def test_polls_neither_take_nor_give(self, server):
        """R9: a wait's polls do not spend what calls need."""
        server.answer("GET", PATH, json(500, {}))

        async with client_of(server) as client:
            for _ in range(3):
                with pytest.raises(WaitFailedError):
                    await client.servers.wait_until(7, status="active", poll=QUICK_POLL)
            before = len(server.requests)
            with pytest.raises(ServerError):
                await client.servers.get(7)

        assert before == 6
        assert len(server.requests) == before + 4


async def run(call, client, count, together):
    if not together:
        for _ in range(count):
            await call(client)
        return
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(call, client)
