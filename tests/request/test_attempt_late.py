"""Creates and reboots that are held up until too little of their time is left: not sent, and told what held them up."""

from __future__ import annotations

import anyio
import pytest

from tests.request.calls import SPEC, make
from tests.sharing import Scripted, scripted_client_of
from vpsorg_async import APITimeoutError, RateLimitError


pytestmark = pytest.mark.anyio

SERVER = {"id": 7, "name": "a", "status": "active"}


def posts(transport):
    return sum(method == "POST" for method, _ in transport.asked)


@pytest.mark.parametrize("call", ["create", "reboot"])
@pytest.mark.parametrize(("timeout", "pause"), [(30, 28), (30, 3600), (3, 2.5)])
async def test_its_own_429_leaves_no_time(call, timeout, pause):
    """R24: it fails with that 429 at once, and is not sent again."""
    transport = Scripted(lambda *_: (0, 429, {"detail": "slow"}, {"Retry-After": str(pause)}))

    async with scripted_client_of(transport, timeout=timeout) as client:
        with pytest.raises(RateLimitError) as caught:
            await make(client, call)

    assert (posts(transport), caught.value.sent, transport.clock.now()) == (1, False, transport.asked_at[0])


@pytest.mark.parametrize("call", ["create", "reboot"])
async def test_its_turn_comes_too_late(call):
    """R24: a call of 29 s has the only turn, and a create needs 3 s of its 30."""
    transport = Scripted(lambda *_: (29, 200, SERVER))
    options = {"timeout": 30, "attempt_timeout": None, "max_connections": 1}

    async with scripted_client_of(transport, **options) as client, anyio.create_task_group() as group:
        group.start_soon(client.servers.get, 7)
        await transport.clock.sleep(0.5)
        began = transport.clock.now()
        with pytest.raises(APITimeoutError, match=r"waited 27 s for its turn: .*; nothing was sent") as caught:
            await make(client, call)
        waited = transport.clock.now() - began

    assert (posts(transport), caught.value.sent, round(waited, 3)) == (0, False, 27)


@pytest.mark.parametrize("call", ["create", "reboot"])
async def test_a_pause_that_begins_while_it_waits(call):
    """R24: once a pause shows that it cannot begin in time, it waits no longer."""
    transport = Scripted(lambda *_: (5, 429, {}, {"Retry-After": "50"}))
    options = {"timeout": 30, "attempt_timeout": None, "max_connections": 1}

    async with scripted_client_of(transport, **options) as client, anyio.create_task_group() as group:
        group.start_soon(expect_limited, client, call)
        await transport.clock.sleep(1)
        words = r"held up by the pause that the 429 to POST \S+ asked for, for 50 s more: .*; nothing was sent"
        with pytest.raises(RateLimitError, match=words) as caught:
            await make(client, call)
        ended = transport.clock.now()

    assert (posts(transport), caught.value.sent) == (1, False)
    assert ended == transport.asked_at[0] + 5
    assert caught.value.retry_after == pytest.approx(50)


async def expect_limited(client, call):
    with pytest.raises(RateLimitError):
        await (client.servers.reboot(8) if call == "reboot" else client.servers.create(**{**SPEC, "name": "other"}))


async def test_its_name_comes_too_late():
    """R24: another create has the name until 2 s before the end."""
    transport = Scripted(lambda *_: (28, 201, SERVER))
    began = transport.clock.now()

    async with (
        scripted_client_of(transport, timeout=60, attempt_timeout=None) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(lambda: client.servers.create(**SPEC))
        await transport.clock.sleep(1)
        with pytest.raises(APITimeoutError, match="creates of the name") as caught:
            await client.servers.create(**SPEC, timeout=30)
        ended = transport.clock.now()

    assert (posts(transport), caught.value.sent, round(ended - began, 3)) == (1, False, 28)


async def test_with_time_left_it_is_sent():
    """R24: 3 s are enough."""
    answers = [(0, 429, {}, {"Retry-After": "26"}), (0.5, 201, SERVER)]
    transport = Scripted(lambda *_: answers.pop(0))

    async with scripted_client_of(transport, timeout=30) as client:
        assert (await client.servers.create(**SPEC)).id == 7
