"""Names are looked up once for all who ask, and the first address that accepts is used."""

from __future__ import annotations

import socket
import threading

import anyio
import anyio.to_thread
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail
from tests.rawserver import RawServer, closed_port, json
from vpsorg_async import APITimeoutError, Client, RetryPolicy
from vpsorg_async._transport.name_lookup import PATIENCE, NameLookup, alternating, connect_to, is_address


pytestmark = pytest.mark.anyio

HOST = "api.example"
ONCE = RetryPolicy.none()


class Resolver:
    """Stands in for the system's resolver, the one part of this that no test has for real."""

    def __init__(self, addresses):
        self.asked: list[str] = []
        self.answers = threading.Event()
        self._addresses = addresses

    def __call__(self, host, _port, *_args, **_options):
        self.asked.append(host)
        self.answers.wait(60)
        if isinstance(self._addresses, Exception):
            raise self._addresses
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self._addresses]


@pytest.fixture
def resolver(monkeypatch):
    made = Resolver(["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.answers.set()


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        yield running


class TestLookups:
    async def test_a_resolver_that_never_answers_is_asked_once(self, resolver):
        """R26: 50 calls; the error says that it was the name; the event loop's threads are free."""
        errors = []

        async def call(client):
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.get(7)
            errors.append(caught.value)

        client = Client("vps_test", base_url=f"https://{HOST}/api/v1", retry=ONCE, timeout=0.5)
        async with client, anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(call, client)
            async with anyio.create_task_group() as others:
                for _ in range(50):
                    others.start_soon(anyio.to_thread.run_sync, threading.get_ident)

        assert resolver.asked == [HOST]
        text = "GET /servers/7/: no response within timeout=0.5 s: "
        assert {str(error).removeprefix(text) for error in errors} <= {
            f"looking up the name of {HOST}:443",
            # A client that knows nothing of the API yet begins with a few calls at once.
            f"waiting for its turn to ask {HOST}:443, whose name is still being looked up",
        }
        assert {error.sent for error in errors} == {False}

    async def test_a_cancelled_call_leaves_the_others_waiting(self, resolver, server):
        """R26: whoever asked first has no more to do with it than the others."""
        base_url = f"http://{HOST}:{server.port}/api/v1"
        found = []

        async def call(client):
            found.append(await client.servers.get(7))

        async with (
            Client("vps_test", base_url=base_url, allow_http=True, retry=ONCE) as client,
            anyio.create_task_group() as group,
            anyio.create_task_group() as first,
        ):
            first.start_soon(call, client)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(call, client)
            group.start_soon(call, client)
            await anyio.wait_all_tasks_blocked()
            first.cancel_scope.cancel()
            resolver.answers.set()

        assert [server.id for server in found] == [7, 7]
        assert resolver.asked == [HOST]

    async def test_a_lookup_that_ended_is_not_remembered(self, resolver):
        """The system's resolver has a memory of its own, which knows for how long."""
        resolver.answers.set()
        names = NameLookup()

        assert [await names.addresses_of(HOST) for _ in range(2)] == [["127.0.0.1"]] * 2
        assert resolver.asked == [HOST] * 2

    async def test_one_that_takes_for_ever_is_begun_again(self, resolver):
        """A resolver that lost a question answers the next one, when the network is back."""
        now = 100.0
        names = NameLookup(now=lambda: now)
        with anyio.move_on_after(0.05):
            await names.addresses_of(HOST)
        now += PATIENCE + 1
        async with anyio.create_task_group() as group:
            group.start_soon(names.addresses_of, HOST)
            await anyio.wait_all_tasks_blocked()
            resolver.answers.set()

        assert resolver.asked == [HOST] * 2

    async def test_its_error_is_told_to_all_who_wait(self, monkeypatch):
        resolver = Resolver(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        names, errors = NameLookup(), []

        async def ask():
            with pytest.raises(OSError, match="cannot be looked up") as caught:
                await names.addresses_of(HOST)
            errors.append(caught.value)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            resolver.answers.set()

        assert len(set(errors)) == 3
        assert {type(error.__cause__) for error in errors} == {socket.gaierror}


class TestConnecting:
    async def test_the_first_address_that_accepts_is_used(self, server):
        with closed_port():
            stream = await connect_to(["127.0.0.3", "127.0.0.1"], server.port)
        async with stream:
            await server.until(lambda: server.connections_open == 1)

    async def test_none_that_accepts(self):
        with closed_port() as port, pytest.raises(OSError, match="All connection attempts failed") as caught:
            await connect_to(["127.0.0.1", "127.0.0.2"], port)

        assert len(caught.value.__cause__.exceptions) == 2

    async def test_a_cancel_leaves_no_socket(self, server):
        """R26: at every moment of the race between addresses."""
        for moment in range(8):
            async with anyio.create_task_group() as group:
                group.start_soon(connect_and_close, ["127.0.0.1", "127.0.0.2"], server.port)
                for _ in range(moment):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

        await server.until(lambda: server.connections_open == 0)


async def connect_and_close(addresses, port):
    async with await connect_to(addresses, port):
        pass


@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)))
def test_both_families_come_by_turns_each_address_once(addresses):
    ordered = alternating(addresses)
    six, four = [one for one in ordered if ":" in one], [one for one in ordered if ":" not in one]

    assert sorted(ordered) == sorted(set(addresses))
    assert six == [one for one in dict.fromkeys(addresses) if ":" in one]
    assert ordered[: 2 * min(len(six), len(four))] == [one for pair in zip(six, four, strict=False) for one in pair]


@pytest.mark.parametrize(
    ("host", "is_one"), [("127.0.0.1", True), ("::1", True), ("api.example", False), ("1.2", False)]
)
def test_what_is_an_address(host, is_one):
    assert is_address(host) is is_one
