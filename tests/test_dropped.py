"""A client that is dropped without being closed frees its sockets, and says so. Whatever uses it keeps it alive."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings
import weakref

import anyio
import pytest
import trio

from tests.helpers import action, detail, page
from tests.proxyserver import ProxyServer
from tests.rawserver import RawServer, certificates, hold, json
from vpsorg_async import Client
from vpsorg_async._dropped import Dropped


@pytest.fixture(autouse=True)
def _no_collection_but_our_own():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request):
    with RawServer(tls=certificates().valid if request.param else None) as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        running.answer("GET", "/servers/", json(200, page([detail(7)])))
        running.answer("POST", "/servers/7/start/", json(200, action(7)))
        yield running


def client_of(server, **options):
    return Client("vps_test", base_url=server.base_url, ssl_context=certificates().trust, **options)


async def freed(server):
    """Return when the server has no connection any more."""
    with anyio.fail_after(60):
        while server.connections_open:
            await anyio.sleep(0.005)


def collected():
    """Collect the garbage, and return the warnings that it gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    return [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)]


@pytest.mark.anyio
class TestDropped:
    async def test_thirty_clients_free_their_sockets_and_name_themselves(self, server):
        """P7: dropped after a call each."""
        for _ in range(30):
            await client_of(server).servers.get(7)
        assert server.connections_open == 30

        told = collected()

        assert told == [f"unclosed <Client {server.base_url}>"] * 30
        await freed(server)

    async def test_a_client_of_a_fleet_is_no_exception(self, server):
        """P7: a connection that a fleet opened keeps nothing of the fleet."""
        client = client_of(server)
        await client.fleet([7]).start(wait=False)
        dropped = weakref.ref(client)

        del client

        assert len(collected()) == 1
        assert dropped() is None
        await freed(server)

    async def test_through_a_proxy(self):
        """P7: the sockets to a proxy, too."""
        with RawServer() as server, ProxyServer() as proxy:
            server.answer("GET", "/servers/7/", json(200, detail(7)))
            await client_of(server, proxy=proxy.url).servers.get(7)

            assert len(collected()) == 1
            await freed(proxy)

    @pytest.mark.parametrize(
        "keep",
        [
            lambda client: client.with_options(timeout=5),
            lambda client: client.servers,
            lambda client: client.fleet,
            lambda client: client.http,
            lambda client: aiter(client.servers.list()),
            lambda client: client.servers.watch(),
        ],
        ids=["view", "servers", "fleets", "http", "list", "watch"],
    )
    async def test_it_lives_for_as_long_as_what_uses_it(self, server, keep):
        """P7: a view, a list or a watch of it is enough."""
        client = client_of(server)
        await client.servers.get(7)
        kept = keep(client)
        del client

        assert collected() == []
        assert server.connections_open == 1

        del kept
        assert len(collected()) == 1
        await freed(server)

    async def test_it_lives_for_as_long_as_a_server_or_an_action(self, server):
        """P7: their methods need it."""
        found = await client_of(server).servers.get(7)
        started = await found.start()
        assert collected() == []

        assert (await found.refresh()).id == 7
        del found
        assert collected() == []

        del started
        assert len(collected()) == 1
        await freed(server)

    async def test_it_lives_for_as_long_as_a_call_of_it(self, server):
        gate = server.gate()
        server.answer("GET", "/servers/8/", hold(json(200, detail(8)), gate))

        async with anyio.create_task_group() as group:
            group.start_soon(client_of(server).servers.get, 8)
            await server.arrived(1)
            assert collected() == []
            gate.open()

        assert len(collected()) == 1
        await freed(server)

    async def test_a_closed_client_says_nothing(self, server):
        """P7: no warning after `aclose`, nor for a client that never made a call."""
        async with client_of(server) as client:
            await client.servers.get(7)
        del client
        client_of(server)

        assert collected() == []

    async def test_garbage_collected_in_another_thread(self, server):
        """P7: the sockets are closed in the thread of their loop."""
        client = client_of(server)
        await client.servers.get(7)
        box = [client]
        del client
        told = []

        def drop():
            box.clear()
            told.extend(collected())

        thread = threading.Thread(target=drop)
        thread.start()
        thread.join()

        assert len(told) == 1
        await freed(server)


class TestAfterTheLoop:
    @pytest.mark.parametrize("run", [lambda main: asyncio.run(main()), trio.run], ids=["asyncio", "trio"])
    def test_a_loop_that_is_closed_leaks_nothing(self, run):
        """P7: the client outlives its loop."""
        with RawServer() as server:
            server.answer("GET", "/servers/7/", json(200, detail(7)))
            box = [client_of(server)]

            async def main():
                await box[0].servers.get(7)

            run(main)
            box.clear()
            told = []
            # The loop's own objects are garbage once the client is.
            for _ in range(3):
                told += collected()

            assert f"unclosed <Client {server.base_url}>" in told
            anyio.run(freed, server)


class Connections:
    """Connections that tell whether somebody closed them."""

    holds_connections = True
    closed = False

    async def aclose(self):
        self.closed = True
        raise OSError("cannot be closed")


class TestWhereItIsCalled:
    def test_a_forks_child_leaves_its_parents_sockets_alone(self):
        connections = Connections()

        Dropped(connections, "<Client>")(object(), os.getpid() + 1)

        assert not connections.closed

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_what_closing_raises_disturbs_nobody(self, backend):
        connections = Connections()

        async def main():
            with pytest.warns(ResourceWarning, match="unclosed <Client>"):
                Dropped(connections, "<Client>")(anyio.lowlevel.current_token().native_token, os.getpid())
            with anyio.fail_after(60):
                while not connections.closed:
                    await anyio.sleep(0.001)

        anyio.run(main, backend=backend)

        assert connections.closed
