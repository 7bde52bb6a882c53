"""Proxies on a bad line: with CONNECT and without, cut at any byte between the client and the proxy."""

from __future__ import annotations

import random

import pytest

from tests.chaos.forwarder import SPARED, Fate, Forwarder, at_random
from tests.chaos.invariants import Record, Request, Told, tally, violations
from tests.chaos.witness import CALL, HEADER, mark
from tests.helpers_api import SPEC, FakeAPI, VirtualClock
from tests.proxyserver import ProxyServer
from tests.rawserver import RawServer, certificates
from vpsorg_async import Client, RetryPolicy, VPSError
from vpsorg_async._transport.pool import ConnectionPool
from vpsorg_async._transport.proxy_config import choose_proxy


pytestmark = pytest.mark.anyio

AT_ONCE = RetryPolicy(attempts=6, initial=0, maximum=0, budget=10)
PLACES = {"without CONNECT": False, "with CONNECT": True}


def client_by_way_of(forwarder, server, **options):
    """Return a client that goes by *forwarder* to a proxy, and whose pauses take no time."""
    url = choose_proxy(f"http://127.0.0.1:{forwarder.port}", None)
    pool = ConnectionPool(lambda: certificates().trust, url, size=options.get("max_connections", 100))
    return Client._over(pool, VirtualClock(), token="vps_test", base_url=server.base_url, retry=AT_ONCE, **options)


@pytest.mark.parametrize("tls", PLACES.values(), ids=PLACES)
async def test_calls_through_a_proxy_that_is_cut_at_random(tls, thorough):
    """Creates are made once, and returned or unknown; what may be repeated is answered in the end."""
    # A tunnel stays open: one that is spared would be the last.
    fate = at_random(random.Random(20_261), lambda: 1.0 if tls else 0.7, longest=12_000 if tls else 6_000)
    with (
        RawServer(tls=certificates().valid if tls else None) as server,
        ProxyServer() as proxy,
        Forwarder(proxy.port, fate) as forwarder,
    ):
        api, told = FakeAPI(server), []
        api.add()

        async with client_by_way_of(forwarder, server, max_connections=2, timeout=5) as client:
            client.http.event_hooks = {"request": [mark]}
            for number in range(150 if thorough else 40):
                CALL.set(str(number))
                name = f"web-{number}"
                try:
                    if number % 2:
                        await client.servers.get(1)
                        told.append(Told(call=str(number), kind="get"))
                    else:
                        made = await client.servers.create(**{**SPEC, "name": name})
                        told.append(Told(call=str(number), kind="create", name=name, server=str(made.id)))
                except VPSError as error:
                    kind = {"kind": "get"} if number % 2 else {"kind": "create", "name": name}
                    told.append(Told(call=str(number), end="raised", error=type(error).__name__, **kind))

        record = Record(requests=arrived(server, api), told=told, sockets=forwarder.open_at_each, max_connections=2)
        assert violations(record) == []
        assert forwarder.cuts > len(told) / 20
        assert tally(record)["returned"] > len(told) / 10
        # Six tries of a get that are all cut are possible, and rare.
        assert sum(one.end == "raised" for one in told if one.kind == "get") <= len(told) / 20


def arrived(server, api):
    """Return what came to the API; whether its answer arrived is not known."""
    ids = {api.servers[server_id]["name"]: str(server_id) for server_id in api.created}
    for request in server.requests:
        is_create = request.method == "POST"
        name = request.json["name"] if is_create else ""
        yield Request(
            call=request.headers.get(HEADER.lower(), ""),
            method=request.method,
            path=request.path,
            name=name,
            delivered=False,
            committed=is_create,
            made=ids.get(name, ""),
        )


async def test_a_create_whose_tunnel_is_cut_while_it_is_made_is_tried_again(places):
    """At each byte of the proxy's answer to CONNECT: the CONNECT is not the request."""
    established = len(b"HTTP/1.1 200 Connection established\r\n\r\n")
    fates = []
    with (
        RawServer(tls=certificates().valid) as server,
        ProxyServer() as proxy,
        Forwarder(proxy.port, lambda: fates.pop() if fates else SPARED) as forwarder,
    ):
        api = FakeAPI(server)
        for at in places(established - 1):
            for reset in (False, True):
                api.servers.clear()
                api.created.clear()
                server.requests.clear()
                fates.append(Fate(down=at, reset=reset))

                async with client_by_way_of(forwarder, server) as client:
                    made = await client.servers.create(**SPEC)

                assert (api.created, len(server.requests)) == ([made.id], 1), at
