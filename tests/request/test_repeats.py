"""What is sent again, and what is never sent again."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers import detail
from tests.helpers_api import AttemptsClock, StillClock, client_over
from tests.rawserver import (
    Hang,
    RawServer,
    certificates,
    cut,
    drop,
    hang,
    json,
)
from tests.request.calls import make
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._errors import (
    NotFoundError,
    OutcomeUnknownError,
    ServerError,
)


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.001, maximum=0.001)
PATH = "/servers/7/"
GOOD = json(200, detail())


def client_of(server, **options):
    return Client("vps_test_token", base_url=server.base_url, **{"retry": QUICK, **options})


class TestOnlyOnce:
    @pytest.mark.parametrize("lost", [drop(), drop(reset=True), cut(GOOD, 40), json(500, {}), json(502, {})])
    async def test_a_create_is_on_the_wire_once(self, server, lost):
        """R3: whatever became of its response."""
        server.answer("POST", "/servers/", lost)
        server.answer("GET", "/servers/", json(500, {}))

        async with client_over(server, StillClock(), timeout=0.5) as client:
            with pytest.raises(OutcomeUnknownError):
                await make(client, "create")

        assert len(server.requests_to("POST")) == 1

    async def test_a_post_of_the_users_own_is_never_sent_twice(self, server):
        """R3: nor is there anything to poll at."""
        server.answer("POST", "/anything/", drop())

        async with client_of(server) as client:
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.request("POST", "/anything/?secret=1", json={"a": 1})

        assert str(caught.value) == (
            f"POST /anything/: no response from 127.0.0.1:{server.port}: "
            "Server disconnected without sending a response.; it may have been executed"
        )
        assert len(server.requests) == 1

    async def test_a_post_of_the_users_own_that_was_answered_500_is_that_answer(self, server):
        """R3: a response there is to show."""
        server.answer("POST", "/anything/", json(500, {"detail": "no"}))

        async with client_of(server) as client:
            with pytest.raises(ServerError):
                await client.request("POST", "/anything/")

        assert len(server.requests) == 1


class TestIdempotent:
    @pytest.mark.parametrize("lost", [drop(), drop(reset=True), cut(GOOD, 60), json(502, {})])
    @pytest.mark.parametrize("call", ["update", "replace"])
    async def test_it_is_sent_again(self, server, call, lost):
        """R4: PUT and PATCH, twice, are once."""
        server.answer("PATCH" if call == "update" else "PUT", PATH, [lost, GOOD])

        async with client_of(server) as client:
            assert (await make(client, call)).id == 7

        first, second = server.requests
        assert (first.method, first.body) == (second.method, second.body)

    @pytest.mark.parametrize("lost", [drop(), cut(json(204, None), 5), json(500, {}), hang()])
    async def test_404_to_the_second_delete_is_success(self, server, lost):
        """R4: the lost one did it."""
        server.answer("DELETE", PATH, [lost, json(404, {"detail": "Not found."})])

        clock = AttemptsClock()
        client = client_over(server, clock, retry=QUICK, attempt_timeout=clock.ATTEMPT)
        async with client, anyio.create_task_group() as group:
            if isinstance(lost, Hang):
                group.start_soon(clock.end_attempts_that_arrived, server, 1)
            await client.servers.delete(7)

        assert len(server.requests) == 2

    @pytest.mark.parametrize("first", [None, json(429, {}, {"Retry-After": "0"})], ids=["at once", "after a 429"])
    async def test_404_to_a_delete_that_nothing_came_before_is_not_found(self, server, first):
        """R4: a 429 was not carried out."""
        missing = json(404, {"detail": "Not found."})
        server.answer("DELETE", PATH, [first, missing] if first else missing)

        async with client_of(server) as client:
            with pytest.raises(NotFoundError):
                await client.servers.delete(7)

    async def test_404_to_a_delete_after_a_refused_connection_is_not_found(self):
        """R4: one that never left cannot have deleted it."""
        with RawServer(tls=certificates().valid) as server:
            server.refuse_first(1)
            async with client_of(server, ssl_context=certificates().trust) as client:
                with pytest.raises(NotFoundError):
                    await client.servers.delete(7)
