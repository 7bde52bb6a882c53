"""A transport of the user's own is one like ours."""

from __future__ import annotations

import anyio
import httpx
import pytest

from tests.helpers import detail
from vpsorg_async import (
    Client,
    RetryPolicy,
)


QUICK = RetryPolicy(initial=0.005, maximum=0.01)


class OwnTransport(httpx.AsyncBaseTransport):
    """A transport of the user's own, that knows nothing of us."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.requests = []
        self.closed = 0

    async def handle_async_request(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json=detail(7))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self):
        self.closed += 1


@pytest.mark.anyio
class TestOwnTransport:
    async def test_the_token_and_retries_stay_on_top_of_it(self):
        transport = OwnTransport([httpx.ConnectError("no"), httpx.Response(503), httpx.ReadError("cut")])

        async with Client("vps_test", base_url="https://api.example/v1", transport=transport, retry=QUICK) as client:
            found = await client.servers.get(7)

        assert (found.id, len(transport.requests)) == (7, 4)
        assert {request.headers["authorization"] for request in transport.requests} == {"Bearer vps_test"}

    async def test_it_is_closed_with_the_client_and_not_by_a_view(self):
        transport = OwnTransport()
        client = Client("vps_test", transport=transport)

        await client.with_options().aclose()
        closed_by_view = transport.closed
        await client.aclose()
        await client.aclose()

        assert (closed_by_view, transport.closed) == (0, 1)

    async def test_no_more_than_max_connections_are_in_it_at_once(self):
        inside = most = 0

        class Slow(OwnTransport):
            async def handle_async_request(self, request):
                nonlocal inside, most
                inside += 1
                most = max(most, inside)
                await anyio.lowlevel.checkpoint()
                inside -= 1
                return await super().handle_async_request(request)

        client = Client("vps_test", transport=Slow(), max_connections=3)
        async with client, anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(client.servers.get, 7)

        assert most == 3

    async def test_its_own_mistakes_come_out_as_they_are_and_cost_no_turn(self):
        transport = OwnTransport([KeyError("mine"), KeyError("mine")])

        async with Client("vps_test", transport=transport, max_connections=1) as client:
            for _ in range(2):
                with pytest.raises(KeyError):
                    await client.servers.get(7)
            found = await client.servers.get(7)

        assert found.id == 7
