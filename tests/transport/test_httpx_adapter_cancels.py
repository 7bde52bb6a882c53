"""Transports of the user's that treat cancels badly."""

from __future__ import annotations

import asyncio

import anyio
import httpx
import pytest

from vpsorg_async import APIConnectionError, APITimeoutError, Client, OutcomeUnknownError, RetryPolicy


pytestmark = pytest.mark.anyio
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


class Turning(httpx.AsyncBaseTransport):
    """Turns a cancel into another error."""

    def __init__(self):
        self.reached = anyio.Event()

    async def handle_async_request(self, request):
        self.reached.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            raise RuntimeError("interrupted") from None


class Cancelling(httpx.AsyncBaseTransport):
    """Raises a cancel that nobody has asked for."""

    async def handle_async_request(self, request):
        raise asyncio.CancelledError


def client_over(transport, **options):
    return Client("vps_12345678", transport=transport, retry=RetryPolicy.none(), **options)


async def test_a_deadline_comes_out_as_a_deadline():
    """R35: although the transport raises something else."""
    async with client_over(Turning(), timeout=0.05) as client:
        with pytest.raises(APITimeoutError):
            await client.servers.get(7)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_task_is_cancelled():
    """R35: the cancel that the transport swallowed is raised again."""
    transport = Turning()
    async with client_over(transport, timeout=None, attempt_timeout=None) as client:
        task = asyncio.ensure_future(client.servers.get(7))
        await transport.reached.wait()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()


async def test_a_cancelled_scope_is_cancelled():
    """R35: on every backend."""
    transport = Turning()
    async with client_over(transport, timeout=None, attempt_timeout=None) as client, anyio.create_task_group() as group:
        group.start_soon(client.servers.get, 7)
        await transport.reached.wait()
        group.cancel_scope.cancel()

    assert group.cancel_scope.cancelled_caught


async def test_a_cancel_of_the_transport_s_own_is_its_failure():
    """R35: the calls beside it go on, and a create may have been sent."""
    outcomes = []

    async def one(client, call):
        try:
            await call(client)
        except (APIConnectionError, OutcomeUnknownError) as error:
            outcomes.append(type(error).__name__)

    async with client_over(Cancelling(), timeout=0.5) as client, anyio.create_task_group() as group:
        group.start_soon(one, client, lambda client: client.servers.get(7))
        group.start_soon(one, client, lambda client: client.servers.create(**SPEC))

    assert sorted(outcomes) == ["APIConnectionError", "OutcomeUnknownError"]


async def test_a_create_that_it_loses_counts_as_sent():
    """R35: nobody knows whether a byte had left, so it is not sent again."""
    posts = []

    def lose(request):
        posts.append(request.method)
        raise httpx.ReadError("cut")

    async with Client("vps_12345678", transport=httpx.MockTransport(lose), timeout=0.5) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.servers.create(**SPEC)

    assert posts.count("POST") == 1
