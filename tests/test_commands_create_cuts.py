"""A create whose connection is cut at a random byte, 500 times: one POST, and what was made is returned."""

from __future__ import annotations

import random

import pytest

from tests.helpers_api import SPEC, CuttingProxy, FakeAPI, StillClock, Where, client_of, client_over
from tests.rawserver import RawServer
from vpsorg_async import OutcomeUnknownError


pytestmark = pytest.mark.anyio

CUTS = 500
SEED = 20_260_101


def places(rng, request_length, answer_length):
    """Yield random places: a third in the request, the rest in its response, both ends included."""
    for _ in range(CUTS):
        reset = rng.random() < 0.5
        if rng.random() < 1 / 3:
            yield Where(up=rng.randrange(request_length), reset=reset)
        else:
            yield Where(down=rng.randint(0, answer_length), reset=reset)


async def lengths(proxy, server, api):
    """Return how many bytes a create and its response are, as they were sent."""
    async with client_of(proxy) as client:
        await client.servers.create(**SPEC)
    [request] = server.requests
    head = sum(len(f"{name}: {value}\r\n") for name, value in request.headers.items())
    return len(f"POST {request.target} HTTP/1.1\r\n\r\n") + head + len(request.body), len(api.create(request).data)


async def create(client):
    """Return the id of the server that was made, or nothing if that is not known."""
    try:
        return [(await client.servers.create(**SPEC)).id]
    except OutcomeUnknownError:
        return []


@pytest.mark.heavy
class TestCuts:
    async def test_one_post_and_every_server_made_is_returned(self):
        """R3: exactly one POST for each of 500 creates cut at random bytes, and each server made is returned."""
        returned, unknown = [], 0

        with RawServer() as server, CuttingProxy(server) as proxy:
            api = FakeAPI(server)
            for where in places(random.Random(SEED), *await lengths(proxy, server, api)):
                api.servers.clear()
                api.created.clear()
                proxy.posts, proxy.where = 0, where
                async with client_over(proxy, StillClock(), timeout=0.9) as client:
                    made = await create(client)
                returned += made
                unknown += not made
                assert (proxy.posts, api.created) == (1, made), where

        assert len(returned) + unknown == CUTS
        assert min(len(returned), unknown) > CUTS / 5
        assert len(set(returned)) == len(returned)
