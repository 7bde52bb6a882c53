"""Tests certificates that do not verify, and handshakes that are cut at any byte.

`tests/request/test_retry_transport.py` tests get and create for three of the certificates.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import itertools
import socket
import ssl
import time

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
import trustme

from tests.chaos.forwarder import NEVER_CUT, CutAt, Forwarder
from tests.helpers_api import QUICK, SPEC, FakeAPI, VirtualClock
from tests.rawserver import LoopThread, Peer, RawServer, _server_context, certificates
from vpsorg_async import APIConnectionError, Client, OutcomeUnknownError
from vpsorg_async._transport.pool import ConnectionPool


pytestmark = pytest.mark.anyio

TOKEN = "vps_not_for_just_anybody"

CALLS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "list": lambda client: client.servers.list().all(),
    "create": lambda client: client.servers.create(**SPEC),
    "delete": lambda client: client.servers.delete(7),
    "start": lambda client: client.servers.start(7),
    "reboot": lambda client: client.servers.reboot(7),
    "a request": lambda client: client.request("POST", "/other/", json={}),
}


@functools.cache
def contexts() -> dict[str, ssl.SSLContext]:
    """Return a server's TLS context for each kind of wrong certificate."""
    itself = trustme.CA()
    self_signed = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with itself.cert_pem.tempfile() as certificate, itself.private_key_pem.tempfile() as key:
        self_signed.load_cert_chain(certificate, key)
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    authority = _trusted()[0]
    return {
        "expired": certificates().expired,
        "of another host": certificates().wrong_host,
        "of an unknown authority": certificates().unknown,
        "self-signed": self_signed,
        "not yet valid": _server_context(
            authority.issue_cert("127.0.0.1", not_before=tomorrow, not_after=tomorrow + dt.timedelta(days=1))
        ),
    }


@functools.cache
def _trusted() -> tuple[trustme.CA, ssl.SSLContext]:
    authority, trust = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trust)
    return authority, trust


WHICH = ("expired", "of another host", "of an unknown authority", "self-signed", "not yet valid")


@pytest.mark.parametrize("which", WHICH)
async def test_a_certificate_that_does_not_verify_ends_every_call_at_once_and_unsent(which):
    trust = _trusted()[1] if which == "not yet valid" else certificates().trust
    for name, call in CALLS.items():
        with RawServer(tls=contexts()[which]) as server, Forwarder(server.port, tap=True) as tap:
            base_url = tap.instead_of(server.base_url)

            async with Client(TOKEN, base_url=base_url, ssl_context=trust, retry=QUICK) as client:
                with pytest.raises(APIConnectionError, match="the server's certificate does not verify: ") as caught:
                    await call(client)

            assert (caught.value.sent, server.requests, tap.connections_total) == (False, [], 1), name
            assert tap.received
            assert TOKEN.encode() not in bytes(tap.received)


async def test_after_a_good_certificate_replaces_a_bad_one_the_next_call_succeeds():
    with RawServer(tls=certificates().valid) as good, RawServer(tls=certificates().expired) as bad:
        FakeAPI(good).add()
        with Forwarder(bad.port) as forwarder:
            base_url = forwarder.instead_of(bad.base_url)

            async with Client(TOKEN, base_url=base_url, ssl_context=certificates().trust) as client:
                with pytest.raises(APIConnectionError, match="does not verify"):
                    await client.servers.get(1)
                forwarder.target = good.port
                found = await client.servers.get(1)

            assert found.id == 1


@attrs.define
class Script:
    """The cuts of connections, one after another. Later connections are not cut."""

    cuts: list[CutAt] = attrs.field(factory=list)

    def __call__(self) -> CutAt:
        return self.cuts.pop(0) if self.cuts else NEVER_CUT


async def flights(server: RawServer) -> tuple[int, int]:
    """Return the numbers of bytes that each side sends in a handshake and behind it."""
    with Forwarder(server.port, tap=True) as tap:
        context = certificates().trust
        stream = await anyio.connect_tcp(
            "127.0.0.1", tap.port, tls=True, ssl_context=context, tls_standard_compatible=False
        )
        await tap.until(lambda: tap.connections_open == 1)
        await stream.aclose()
        await tap.until(lambda: tap.connections_open == 0)
    return len(tap.received), tap.bytes_returned


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_create_whose_handshake_is_cut_at_any_byte_is_made_once(direction, places):
    """A create is retried if the handshake was not over, and is reconciled otherwise.

    The first half of the bytes is certainly before the end of the handshake.
    """
    script = Script()
    with RawServer(tls=certificates().valid) as server, Forwarder(server.port, script) as forwarder:
        api, base_url = FakeAPI(server), forwarder.instead_of(server.base_url)
        up, down = await flights(server)
        length = up if direction == "up" else down
        for at, reset in zip(places(length, at_most=300), itertools.cycle([False, True]), strict=False):
            api.servers.clear()
            api.created.clear()
            server.requests.clear()
            script.cuts = [CutAt(**{direction: at}, reset=reset)]
            pool = ConnectionPool(lambda: certificates().trust)
            client = Client._over(pool, VirtualClock(), token=TOKEN, base_url=base_url, retry=QUICK, timeout=5)

            async with client:
                try:
                    made = [(await client.servers.create(**SPEC)).id]
                except OutcomeUnknownError:
                    made = []
                    assert at > length / 2

            assert api.created == made, at
            assert len(server.requests_to("POST")) <= 1, at


class ResetsAfterOneFlight(LoopThread):
    """Forwards a client's hello and the reply, and resets the connection at once."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._target = port

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: peer, client)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        with contextlib.closing(writer):
            writer.write(await peer.reader.read(65536))
            peer.write(await reader.read(65536))
            peer.close(reset=True)


async def test_a_reset_with_the_last_byte_of_the_handshake_is_a_connection_error():
    """A busy event loop sees both at once: when the handshake is done, the connection is gone."""
    with RawServer(tls=certificates().valid) as server, ResetsAfterOneFlight(server.port) as between:
        base_url = server.base_url.replace(f":{server.port}/", f":{between.port}/")

        client = Client(TOKEN, base_url=base_url, ssl_context=certificates().trust, retry=QUICK)
        async with client, anyio.create_task_group() as group:
            group.start_soon(keep_busy)
            with pytest.raises(APIConnectionError):
                await client.servers.get(7)
            group.cancel_scope.cancel()

        assert (between.connections_total, server.requests) == (QUICK.attempts, [])


async def keep_busy() -> None:
    while True:
        time.sleep(0.005)  # noqa: ASYNC251 - blocks the event loop on purpose
        await anyio.lowlevel.checkpoint()
