"""Connections by way of a proxy that refuses, hangs up, is not there, or has another certificate behind it."""

from __future__ import annotations

import pytest

from tests.helpers import detail
from tests.proxyserver import ProxyServer
from tests.rawserver import RawServer, certificates, closed_port, json, raw
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._errors import APIConnectionError


pytestmark = pytest.mark.anyio

TOKEN = "vps_live_0123456789abcdef"
QUICK = RetryPolicy(initial=0.001, maximum=0.001)
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


@pytest.fixture
def api():
    with RawServer() as server:
        yield answering(server)


@pytest.fixture
def secure_api():
    with RawServer(tls=certificates().valid) as server:
        yield answering(server)


def answering(server):
    server.answer("GET", "/servers/7/", json(200, detail()))
    server.answer("POST", "/servers/", json(201, detail(8)))
    return server


class TestTrouble:
    @pytest.mark.parametrize("status", [403, 407, 502])
    async def test_a_proxy_that_refuses_to_connect_has_sent_nothing(self, secure_api, status):
        """R17: so a create is tried again, and fails as not carried out."""
        with RawServer() as refusing:
            refusing.answer("CONNECT", f"127.0.0.1:{secure_api.port}", json(status, {}))
            events = []
            client = Client(
                TOKEN,
                base_url=secure_api.base_url,
                proxy=f"http://127.0.0.1:{refusing.port}",
                ssl_context=certificates().trust,
                retry=QUICK,
                on_event=events.append,
            )
            async with client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.create(**SPEC)

            assert not caught.value.sent
            assert [event.name for event in events] == ["call.retry"] * 3
            assert TOKEN not in str(refusing.requests)
        assert secure_api.connections_total == 0

    async def test_one_that_hangs_up_instead_of_connecting(self, secure_api):
        """R17: the CONNECT is not the request."""
        with RawServer() as refusing:
            refusing.answer("CONNECT", f"127.0.0.1:{secure_api.port}", raw(b""))
            proxy = f"http://127.0.0.1:{refusing.port}"
            async with Client(TOKEN, base_url=secure_api.base_url, proxy=proxy, retry=QUICK) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.create(**SPEC)

        assert not caught.value.sent

    async def test_one_that_is_not_there(self, api):
        """R17: connection refused."""
        with closed_port() as port:
            async with Client(TOKEN, base_url=api.base_url, proxy=f"http://127.0.0.1:{port}", retry=QUICK) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.create(**SPEC)

        assert not caught.value.sent

    async def test_a_certificate_behind_a_tunnel_is_verified(self):
        """R17: a proxy is no reason to trust."""
        with RawServer(tls=certificates().unknown) as server, ProxyServer() as proxy:
            client = Client(
                TOKEN, base_url=server.base_url, proxy=proxy.url, ssl_context=certificates().trust, retry=QUICK
            )
            async with client:
                with pytest.raises(APIConnectionError, match="the server's certificate does not verify"):
                    await client.servers.get(7)

            assert len(proxy.passed) == 1
