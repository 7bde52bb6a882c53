"""Connections by way of a proxy that refuses, hangs up, is not there, or has another certificate behind it."""

from __future__ import annotations

import pytest

from tests.helpers import detail
from tests.proxyserver import ProxyServer
from tests.rawserver import RawServer, ScriptedServer, certificates, closed_port, json, raw
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
    @pytest.mark.parametrize(("status", "retries"), [(403, 0), (407, 0), (502, 3)])
    async def test_a_proxy_that_refuses_to_connect_has_sent_nothing(self, secure_api, status, retries):
        """R20: a create fails as not carried out; one that is forbidden is not tried again."""
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

            assert caught.value.sent is False
            assert f"{secure_api.port} through the proxy 127.0.0.1:{refusing.port}" in str(caught.value)
            assert f": the proxy answered {status} " in str(caught.value)
            assert [event.name for event in events[1:-1]] == ["call.attempt"] * retries
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


class TestSecureProxy:
    async def test_it_is_trusted_by_the_certificates_that_the_user_gave(self, secure_api):
        """R17: a company's proxy has a certificate of the company's."""
        with ProxyServer(tls=certificates().valid) as proxy:
            async with Client(
                TOKEN, base_url=secure_api.base_url, proxy=proxy.url, ssl_context=certificates().trust, retry=QUICK
            ) as client:
                created = await client.servers.create(**SPEC)
                await client.servers.get(7)

            assert created.id == 8
            assert [passed.method for passed in proxy.passed] == ["CONNECT"]
            assert TOKEN not in str(proxy.passed)

    @pytest.mark.parametrize("name", ["unknown", "expired"])
    async def test_one_that_is_not_is_told_from_the_api(self, secure_api, name):
        """R20: whose certificate it is; not tried again, as it would not verify then either."""
        events = []
        with ProxyServer(tls=getattr(certificates(), name)) as proxy:
            async with Client(
                TOKEN,
                base_url=secure_api.base_url,
                proxy=proxy.url,
                ssl_context=certificates().trust,
                retry=QUICK,
                on_event=events.append,
            ) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.create(**SPEC)

            assert "the proxy's certificate does not verify" in str(caught.value)
            assert f"through the proxy 127.0.0.1:{proxy.port}" in str(caught.value)
            assert caught.value.sent is False
            assert [event.name for event in events] == ["call.began", "call.ended"]
            assert proxy.passed == []

    async def test_the_api_behind_one_is_verified_too(self):
        """R17: and an error says that it was the API's certificate."""
        with RawServer(tls=certificates().unknown) as server, ProxyServer(tls=certificates().valid) as proxy:
            async with Client(
                TOKEN, base_url=server.base_url, proxy=proxy.url, ssl_context=certificates().trust, retry=QUICK
            ) as client:
                with pytest.raises(APIConnectionError, match="the server's certificate does not verify"):
                    await client.servers.get(7)

    async def test_one_that_speaks_no_tls(self, secure_api):
        """R20: it is the proxy that does not."""

        async def serve(peer):
            await peer.reader.read(1)
            peer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        with ScriptedServer(serve) as proxy:
            url = f"https://127.0.0.1:{proxy.port}"
            async with Client(TOKEN, base_url=secure_api.base_url, proxy=url, retry=RetryPolicy.none()) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.create(**SPEC)

        assert str(caught.value) == (
            f"POST /servers/: cannot connect to 127.0.0.1:{secure_api.port} through the proxy 127.0.0.1:{proxy.port}: "
            "the TLS handshake with the proxy failed: it does not speak TLS"
        )
        assert caught.value.sent is False
