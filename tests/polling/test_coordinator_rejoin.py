"""A watch whose news was undone is polled again, and a list waits for a task that is free to run it."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers import page
from tests.sharing import Scripted, scripted_client_of
from vpsorg_async import WaitTimeoutError


pytestmark = pytest.mark.anyio


def server_of(key, status="active"):
    return {"id": key, "name": f"server {key}", "status": status}


def id_in(path):
    return int(path.strip("/").rsplit("/", maxsplit=1)[-1])


async def test_a_watch_whose_news_was_undone_is_polled_again():
    """A wait sees server 1 active again while the watch that saw it stopped still runs the slow GET of server 2."""
    told = []

    def answer(method, path, number):
        now = transport.clock.now()
        if id_in(path) == 2:
            return (0.9 if 5 <= now < 5.5 else 0.05, 200, server_of(2))
        return (0.05, 200, server_of(1, "stopped" if 5 <= now < 5.3 or now >= 20 else "active"))

    async def watch():
        async for change in client.servers.watch([1, 2], interval=5):
            told.append((change.after.id, str(change.after.status)))

    async def wait():
        await transport.clock.sleep(5.3)
        with pytest.raises(WaitTimeoutError):
            await client.servers.wait_until(1, status="suspended", timeout=1)

    transport = Scripted(answer)
    client = scripted_client_of(transport)
    with anyio.fail_after(60):
        async with client, anyio.create_task_group() as group:
            group.start_soon(watch)
            group.start_soon(wait)
            await transport.clock.sleep(100)
            group.cancel_scope.cancel()

    assert sorted(told) == [(1, "active"), (1, "stopped"), (2, "active")]


async def test_a_list_that_is_due_while_every_task_runs_a_poll_is_put_off():
    """The GETs of a watch and the list of a wait end at the same time, when the watch is due for a list."""
    reached = []

    def answer(method, path, number):
        now = transport.clock.now()
        if path.strip("/") == "servers":
            shown = (3, 4) if 0.9 < now < 1.5 else (1, 2, 3, 4)
            return (4.0 - now if 1.9 < now < 4 else 0.1, 200, page(*(server_of(key) for key in shown)))
        return (4.0 - now if 1 < now < 4 else 0.1, 200, server_of(id_in(path)))

    async def watch():
        async for _ in client.servers.watch(interval=1):
            pass

    async def wait(key, timeout, detail):
        await transport.clock.sleep(2.0)
        await client.servers.wait_until(key, status="active", timeout=timeout, detail=detail)
        reached.append(key)

    transport = Scripted(answer)
    client = scripted_client_of(transport)
    with anyio.fail_after(60):
        async with client, anyio.create_task_group() as group:
            group.start_soon(watch)
            group.start_soon(wait, 3, 20, True)
            group.start_soon(wait, 4, 30, False)
            await transport.clock.sleep(12)
            polls_so_far = len(transport.asked)
            await transport.clock.sleep(10)
            group.cancel_scope.cancel()

    assert sorted(reached) == [3, 4]
    assert len(transport.asked) > polls_so_far


async def test_a_watch_whose_change_is_awaited_with_a_timeout_is_polled_on():
    """It is due while a slow list is read for a crowd, and its timeout comes first. Then the crowd goes away."""

    def answer(method, path, number):
        if "page" in path or path.strip("/") == "servers":
            return (3.0, 200, page(*(server_of(key) for key in range(1, 31)), count=30))
        return (0.01, 200, server_of(id_in(path)))

    async def wait(key):
        await client.servers.wait_until(key, status="suspended")

    async def heard(watch, seconds):
        """Await the next change, if one comes in so many seconds."""
        with transport.clock.move_on_after(seconds):
            await anext(watch)

    transport = Scripted(answer)
    client = scripted_client_of(transport)
    watch = client.servers.watch([28, 29, 30], interval=0.7)
    with anyio.fail_after(60):
        async with client:
            async with anyio.create_task_group() as group:
                for key in range(1, 21):
                    group.start_soon(wait, key)
                while transport.clock.now() < 11:
                    await heard(watch, 0.5)
                group.cancel_scope.cancel()
            asked = len(transport.asked)
            await heard(watch, 30)

    assert len(transport.asked) > asked


async def test_a_watch_that_a_list_has_served_is_due_after_each_round_of_gets():
    """I5: a GET that shows nothing new ends its round. It was made again at once, hundreds of times a second."""

    def answer(method, path, number):
        if "page" in path or path.strip("/") == "servers":
            at = int(path.partition("page=")[2] or 1)
            after = f"https://api.example/api/v1/servers/?page={at + 1}&page_size=100" if at < 3 else None
            return (0.1, 200, page(*map(server_of, range(100 * at - 99, 100 * at + 1)), count=300, next=after))
        return (0.01, 200, server_of(id_in(path)))

    async def wait(key):
        await client.servers.wait_until(key, status="suspended")

    async def watch():
        async for _ in client.servers.watch([299, 300], interval=1):
            pass

    transport = Scripted(answer)
    client = scripted_client_of(transport)
    with anyio.fail_after(60):
        async with client, anyio.create_task_group() as group:
            group.start_soon(watch)
            async with anyio.create_task_group() as crowd:
                for key in range(1, 21):
                    crowd.start_soon(wait, key)
                await transport.clock.sleep(10)
                crowd.cancel_scope.cancel()
            asked = len(transport.asked)
            await transport.clock.sleep(10)
            group.cancel_scope.cancel()

    assert 18 <= len(transport.asked) - asked <= 22
