"""The system's connector: a connection is opened and closed, and every other end is an `OSError` with its number."""

from __future__ import annotations

import errno
import socket

import anyio
import pytest

from tests.listeners import listening, open_files, refusing, saturated
from vpsorg_async._connector import SystemConnector, _has_source, _is_private


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_connection_is_opened_and_closed_at_once(address):
    with listening(address) as listener:
        before = open_files()

        await SystemConnector().open(address, listener.port)

        assert open_files() == before
        assert listener.received() == b""


async def test_a_port_that_nobody_listens_on_refuses():
    with refusing() as closed, pytest.raises(ConnectionRefusedError) as caught:
        await SystemConnector().open("127.0.0.1", closed.port)

    assert caught.value.errno == errno.ECONNREFUSED


async def test_an_address_without_a_route_says_so():
    """No TCP connection can be opened to the broadcast address."""
    with pytest.raises(OSError) as caught:
        await SystemConnector().open("255.255.255.255", 22)

    assert caught.value.errno == errno.ENETUNREACH


async def test_a_cancel_leaves_nothing_open():
    """While the packets are dropped."""
    with saturated() as port:
        before = open_files()

        with anyio.move_on_after(0.05) as scope:
            await SystemConnector().open("127.0.0.1", port)

        assert scope.cancelled_caught
        assert open_files() == before


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("fe80::1", True),
        ("fd00::2", True),
        ("fc00::1", True),
        ("::1", True),
        ("2001:db8::7", False),
        ("2606::1", False),
    ],
)
def test_an_address_of_a_single_network_is_known(address, private):
    assert _is_private(address) is private


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "192.0.2.7"), (socket.AF_INET6, "fd00::7"), (socket.AF_INET6, "::1")]
)
def test_an_unreachable_host_nearby_may_come_up(family, address):
    """A server of the same network does not answer while it boots; the system says the same as without a route."""
    assert _has_source(family, address)
