"""Tests proxies, with CONNECT and without, whose client connection is cut at any byte."""

from __future__ import annotations

import random

import pytest

from tests.chaos.forwarder import NEVER_CUT, CutAt, Forwarder, at_random
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


def client_through(forwarder, server, **options):
    """Return a client that reaches a proxy through *forwarder*, and whose pauses take no time."""
    url = choose_proxy(f"http://127.0.0.1:{forwarder.port}", None)
    pool = ConnectionPool(lambda: certificates().trust, url, size=options.get("max_connections", 100))
    return Client._over(pool, VirtualClock(), token="vps_test", base_url=server.base_url, retry=AT_ONCE, **options)


@pytest.mark.parametrize("tls", PLACES.values(), ids=PLACES)
async def test_calls_through_a_proxy_that_is_cut_at_random(tls, thorough):
    """Each create is executed once, and is returned or unknown. Gets succeed in the end."""
    # A tunnel stays open: one that is never cut would be the last.
    next_cut = at_random(random.Random(20_261), lambda: 1.0 if tls else 0.7, longest=12_000 if tls else 6_000)
    with (
        RawServer(tls=certificates().valid if tls else None) as server,
        ProxyServer() as proxy,
        Forwarder(proxy.port, next_cut) as forwarder,
    ):
        api, told = FakeAPI(server), []
        api.add()

        async with client_through(forwarder, server, max_connections=2, timeout=5) as client:
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
        # All six attempts of a get may be cut, but that is rare.
        assert sum(one.end == "raised" for one in told if one.kind == "get") <= len(told) / 20


def arrived(server, api):
    """Return the requests that came to the API. It is not known whether their responses arrived."""
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


async def test_a_create_whose_tunnel_is_cut_before_it_is_open_is_retried(places):
    """The cut is at each byte of the response to CONNECT, before the request is sent."""
    established = len(b"HTTP/1.1 200 Connection established\r\n\r\n")
    planned = []
    with (
        RawServer(tls=certificates().valid) as server,
        ProxyServer() as proxy,
        Forwarder(proxy.port, lambda: planned.pop() if planned else NEVER_CUT) as forwarder,
    ):
        api = FakeAPI(server)
        for at in places(established - 1):
            for reset in (False, True):
                api.servers.clear()
                api.created.clear()
                server.requests.clear()
                planned.append(CutAt(down=at, reset=reset))

                async with client_through(forwarder, server) as client:
                    made = await client.servers.create(**SPEC)

                assert (api.created, len(server.requests)) == ([made.id], 1), at
