"""Waits until a server can be reached: through real sockets, and on a sandbox's client without any."""

from __future__ import annotations

import errno
import itertools
import socket

import anyio
import pytest

from tests.helpers import detail
from tests.helpers_fleet import until
from tests.listeners import listening, open_files, refusing, saturated
from tests.rawserver import after, json
from tests.sharing import Scripted, scripted_client_of
from tests.waits import SEVEN, SkippingClock, made_polls, shown, skipping_client_of, tell
from vpsorg_async import (
    AuthenticationError,
    Client,
    ClientClosedError,
    InvalidArgumentError,
    ServerGoneError,
    UnexpectedStatusError,
    WaitFailedError,
    WaitTimeoutError,
)
from vpsorg_async._polling.reaching import ROUND_SECONDS
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

NOWHERE = "255.255.255.255"
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


def at(ipv4=None, ipv6=None, status="active"):
    """Return what a poll shows of a server with these addresses."""
    return shown(status, ip_address=ipv4, ipv6_address=ipv6)


async def reach(server, **options):
    async with skipping_client_of(server, SkippingClock()) as client:
        return await client.servers.wait_until_reachable(7, **options)


async def words_of(server, kind, **options):
    with pytest.raises(kind) as caught:
        await reach(server, **options)
    return str(caught.value)


class TestOpen:
    @pytest.mark.parametrize("way", ["client", "Server"])
    @pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
    async def test_it_returns_the_server_when_a_connection_opens(self, server, way, address):
        """W38: by either family; the connection is closed at once, and nothing is sent."""
        with listening(address) as listener:
            tell(server, at(ipv4=address) if address == "127.0.0.1" else at(ipv6=address))

            async with skipping_client_of(server, SkippingClock()) as client:
                if way == "client":
                    seen = await client.servers.wait_until_reachable(7, port=listener.port)
                else:
                    seen = await (await client.servers.get(7)).wait_until_reachable(port=listener.port)
                again = await seen.refresh()

            assert (seen.id, seen.status, again.id) == (7, "active", 7)
            assert listener.received() == b""

    async def test_one_of_two_addresses_will_do(self, server):
        """W38: both families are tried."""
        with listening("::1") as listener:
            tell(server, at(ipv4=NOWHERE, ipv6="::1"))

            seen = await reach(server, port=listener.port)

        assert seen.ipv6_address == "::1"

    async def test_a_port_that_opens_later_is_tried_again(self, server):
        """W38: refused at first."""
        with refusing() as later:
            here = at(ipv4="127.0.0.1")
            tell(server, here, here, here, here, after(later.socket.listen, here), here)

            seen = await reach(server, port=later.port, timeout=None)

        assert seen.ip_address == "127.0.0.1"
        assert made_polls(server) >= 5

    async def test_an_address_that_is_not_there_yet_is_waited_for(self, server):
        """W38: it comes some polls after `active`."""
        with listening() as listener:
            tell(server, at(status="provisioning"), at(), at(), at(ipv4="127.0.0.1"))

            seen = await reach(server, port=listener.port, timeout=None)

        assert seen.ip_address == "127.0.0.1"
        assert made_polls(server) >= 4

    async def test_no_time_is_one_look_and_one_attempt(self, server):
        """W38: `timeout=0`."""
        with listening() as listener:
            tell(server, at(ipv4="127.0.0.1"))

            seen = await reach(server, port=listener.port, timeout=0)

        assert (seen.id, made_polls(server)) == (7, 1)

    async def test_no_proxy_is_asked(self, server, monkeypatch):
        """W38: the address is the server's own."""
        with listening() as listener, refusing() as proxy:
            for name in ("HTTPS_PROXY", "https_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            tell(server, at(ipv4="127.0.0.1"))

            async with Client("vps_test", base_url=server.base_url) as client:
                seen = await client.servers.wait_until_reachable(7, port=listener.port)

        assert seen.id == 7


class TestFailing:
    async def test_no_time_is_enough_to_say_how_the_one_attempt_failed(self, server):
        """W38: `timeout=0`."""
        with refusing() as closed:
            tell(server, at(ipv4="127.0.0.1"))

            words = await words_of(server, WaitTimeoutError, port=closed.port, timeout=0)

            assert words.endswith(f"; 127.0.0.1:{closed.port} refused the connection")

    async def test_the_timeout_error_says_how_each_address_failed(self, server):
        """W38: refused, and dropped."""
        with saturated() as port, refusing("::1", port):
            tell(server, at(ipv4="127.0.0.1", ipv6="::1"))

            words = await words_of(server, WaitTimeoutError, port=port, timeout=30)

        assert words == (
            f"server 7 did not become reachable on port {port} within 30 s: it was last seen active, for 30 s; "
            f"127.0.0.1:{port} did not answer, [::1]:{port} refused the connection"
        )

    async def test_the_timeout_error_says_that_there_is_no_address(self, server):
        """W38: it never came."""
        tell(server, at())

        words = await words_of(server, WaitTimeoutError, timeout=30)

        assert words.endswith("it was last seen active, for 30 s; it has no address yet")

    async def test_without_a_route_it_ends_at_once(self, server):
        """W38: no address can be reached from here."""
        tell(server, at(ipv4=NOWHERE))

        words = await words_of(server, WaitFailedError)

        assert words == (
            "server 7 cannot be reached from here: 255.255.255.255:22 has no route from this machine "
            "(Network is unreachable); wait on a machine that has a route to it"
        )
        assert made_polls(server) <= 2

    async def test_a_route_to_one_of_its_addresses_will_do(self, server):
        """W38: it goes on while the other one refuses."""
        with refusing("::1") as closed:
            port = closed.port
            tell(server, at(ipv4=NOWHERE, ipv6="::1"))

            words = await words_of(server, WaitTimeoutError, port=port, timeout=30)

        assert words.endswith(
            f"255.255.255.255:{port} has no route from this machine (Network is unreachable), "
            f"[::1]:{port} refused the connection"
        )

    async def test_a_server_that_is_not_active_yet_may_get_another_address(self, server):
        """W38: without a route to the first one."""
        with listening() as listener:
            tell(server, *[at(ipv4=NOWHERE, status="provisioning")] * 4, at(ipv4="127.0.0.1"))

            seen = await reach(server, port=listener.port, timeout=None)

        assert seen.ip_address == "127.0.0.1"

    @pytest.mark.parametrize(
        ("then", "kind"),
        [
            (shown("stopped"), UnexpectedStatusError),
            (shown("suspended"), UnexpectedStatusError),
            (json(404, {"detail": "Not found."}), ServerGoneError),
            (json(401, {"detail": "Invalid token."}), AuthenticationError),
        ],
        ids=["stopped", "suspended", "gone", "401"],
    )
    async def test_what_makes_it_hopeless_ends_it(self, server, then, kind):
        """W38: while an attempt gets no answer."""
        with saturated() as port:
            here = at(ipv4="127.0.0.1")
            tell(server, here, here, then)

            with pytest.raises(kind):
                await reach(server, port=port)

    async def test_a_cancel_leaves_nothing_open(self, server):
        """W38: at once, while an attempt gets no answer."""
        with saturated() as port:
            tell(server, at(ipv4="127.0.0.1"))
            async with Client("vps_test", base_url=server.base_url) as client:
                await client.servers.get(7)
                before = open_files()
                async with anyio.create_task_group() as group:
                    group.start_soon(lambda: client.servers.wait_until_reachable(7, port=port))
                    await server.arrived(2, "GET")
                    await anyio.sleep(0.05)
                    group.cancel_scope.cancel()

                await until(lambda: open_files() <= before)

    async def test_closing_the_client_ends_it(self, server):
        """W38: and leaves nothing open."""
        ended = []

        async def wait_for(client, port):
            with pytest.raises(ClientClosedError):
                await client.servers.wait_until_reachable(7, port=port)
            ended.append(port)

        with saturated() as port:
            tell(server, at(ipv4="127.0.0.1"))
            before = open_files()
            client = Client("vps_test", base_url=server.base_url)
            async with anyio.create_task_group() as group:
                group.start_soon(wait_for, client, port)
                await server.arrived(1, "GET")
                await client.aclose()

            assert ended == [port]
            await until(lambda: open_files() <= before + 1)

    @pytest.mark.parametrize(
        ("given", "kind"), [({"port": 0}, InvalidArgumentError), ({"port": "22"}, TypeError), ({"poll": 5}, TypeError)]
    )
    async def test_arguments_that_cannot_be_used_are_refused(self, server, given, kind):
        """W38: before anything is sent."""
        with pytest.raises(kind):
            await reach(server, **given)

        assert server.requests_to("GET", SEVEN) == []


class Refusing:
    """A connector that refuses until the third round, and notes when it was asked."""

    def __init__(self, clock):
        self.clock = clock
        self.asked = []

    async def open(self, address, port):
        self.asked.append((self.clock.now(), address, port))
        if len(self.asked) <= 4:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


async def test_rounds_are_five_seconds_apart():
    """W38: at most one attempt for each address in 5 s."""
    transport = Scripted(lambda *_: (0.01, 200, detail(7)))
    connector = Refusing(transport.clock)

    async with scripted_client_of(transport, connector=connector) as client:
        await client.servers.wait_until_reachable(7)

    times = [moment for moment, address, _ in connector.asked if address == "192.0.2.7"]
    assert len(times) == 3
    assert all(later - sooner >= ROUND_SECONDS for sooner, later in itertools.pairwise(times))


class TestSandbox:
    @pytest.fixture(autouse=True)
    def _no_network(self, monkeypatch):
        def connect(*_):
            raise AssertionError("the network was used")

        monkeypatch.setattr(socket.socket, "connect_ex", connect)

    async def test_a_new_server_is_reachable_some_seconds_after_active(self):
        """W38: on the sandbox's clock, without a network."""
        sandbox = Sandbox()

        async with sandbox.client() as client:
            made = await client.servers.create(**SPEC)
            await made.wait_until(status="active")
            began = sandbox._clock.now()
            seen = await made.wait_until_reachable()

        assert seen.status == "active"
        assert 5 <= sandbox._clock.now() - began <= 20

    async def test_a_server_that_was_there_is_reachable_at_once(self):
        """W38: it has booted long ago."""
        sandbox = Sandbox(servers=1)

        async with sandbox.client() as client:
            began = sandbox._clock.now()
            seen = await client.servers.wait_until_reachable(12345, port=443)

        assert seen.id == 12345
        assert sandbox._clock.now() - began < 1

    async def test_a_reboot_that_has_not_begun_does_not_count(self):
        """W38: after a reboot of this client, an open port proves nothing until the server has left."""
        sandbox = Sandbox(servers=1)

        async with sandbox.client() as client:
            began = sandbox._clock.now()
            await client.servers.reboot(12345)
            seen = await client.servers.wait_until_reachable(12345)

        assert seen.status == "active"
        assert sandbox._clock.now() - began > 20
