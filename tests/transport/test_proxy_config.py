"""Proxies, by argument and by environment, under our own pool."""

from __future__ import annotations

import httpx
import pytest

from tests.helpers import detail
from tests.proxyserver import ProxyServer
from tests.rawserver import RawServer, certificates, closed_port, json
from vpsorg_async import Client
from vpsorg_async._errors import ConfigurationError
from vpsorg_async._transport.proxy_config import choose_proxy


pytestmark = pytest.mark.anyio

TOKEN = "vps_live_0123456789abcdef"
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


class TestEnvironment:
    @pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
    async def test_plain_http_goes_by_the_proxy(self, api, monkeypatch, name):
        """R17: the variables that everything else honours."""
        with ProxyServer() as proxy:
            monkeypatch.setenv(name, proxy.url)
            async with Client(TOKEN, base_url=api.base_url) as client:
                assert (await client.servers.get(7)).id == 7

            assert [(passed.method, passed.target) for passed in proxy.passed] == [
                ("GET", f"{api.base_url}/servers/7/")
            ]

    @pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    async def test_https_goes_by_a_tunnel_that_sees_no_token(self, secure_api, monkeypatch, name):
        """R17: CONNECT; two calls share the tunnel."""
        with ProxyServer() as proxy:
            monkeypatch.setenv(name, proxy.url)
            async with Client(TOKEN, base_url=secure_api.base_url, ssl_context=certificates().trust) as client:
                await client.servers.get(7)
                await client.servers.create(**SPEC)

            (passed,) = proxy.passed
        assert (passed.method, passed.target) == ("CONNECT", f"127.0.0.1:{secure_api.port}")
        assert "authorization" not in passed.headers
        assert TOKEN not in str(passed)
        assert len(secure_api.requests) == 2

    @pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "other.example,127.0.0.1", " 127.0.0.1 "])
    async def test_no_proxy_goes_by_none(self, api, monkeypatch, exempt):
        """R17: NO_PROXY."""
        with ProxyServer() as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", exempt)
            async with Client(TOKEN, base_url=api.base_url) as client:
                await client.servers.get(7)

            assert proxy.connections_total == 0

    async def test_the_proxy_of_the_other_scheme_is_not_used(self, api, monkeypatch):
        """R17: HTTPS_PROXY is for https."""
        with ProxyServer() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            async with Client(TOKEN, base_url=api.base_url) as client:
                await client.servers.get(7)

            assert proxy.connections_total == 0

    async def test_a_transport_of_the_user_s_is_left_alone(self, api, monkeypatch):
        """R17: it brings its own proxy, or none."""
        with closed_port() as port:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
            transport = httpx.AsyncHTTPTransport()
            async with Client(TOKEN, base_url=api.base_url, transport=transport) as client:
                assert (await client.servers.get(7)).id == 7

    @pytest.mark.parametrize(
        ("variables", "url", "proxy"),
        [
            ({}, "https://admin.vps.org", None),
            ({"HTTPS_PROXY": "http://p:1"}, "https://admin.vps.org", "http://p:1"),
            ({"HTTPS_PROXY": "p:1"}, "https://admin.vps.org", "http://p:1"),
            ({"HTTPS_PROXY": ""}, "https://admin.vps.org", None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "vps.org"}, "https://admin.vps.org", None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".vps.org"}, "https://admin.vps.org", None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "notvps.org"}, "https://admin.vps.org", "http://p:1"),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "admin.vps.org:8443"}, "https://admin.vps.org:8443", None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "admin.vps.org:443"}, "https://admin.vps.org", None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "admin.vps.org:1"}, "https://admin.vps.org:8443", "http://p:1"),
            ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"}, "https://admin.vps.org", "http://p:1"),
            ({"ALL_PROXY": "http://q:1"}, "https://admin.vps.org", "http://q:1"),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "::1"}, "https://[::1]", None),
        ],
        ids=str,
    )
    def test_the_rules(self, monkeypatch, variables, url, proxy):
        """R17: as the standard library reads them."""
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        chosen = choose_proxy(None, httpx.URL(url))

        assert (None if chosen is None else str(chosen.url).rstrip("/")) == proxy


class TestArgument:
    async def test_it_beats_the_environment(self, api, monkeypatch):
        """R17: NO_PROXY too."""
        monkeypatch.setenv("NO_PROXY", "*")
        with ProxyServer() as proxy, closed_port() as port:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
            async with Client(TOKEN, base_url=api.base_url, proxy=proxy.url) as client:
                await client.servers.get(7)

            assert len(proxy.passed) == 1

    async def test_its_user_goes_to_the_proxy_and_not_to_the_api(self, secure_api):
        """R17: Proxy-Authorization."""
        with ProxyServer() as proxy:
            url = proxy.url.replace("http://", "http://user:hunter2@")
            client = Client(TOKEN, base_url=secure_api.base_url, proxy=url, ssl_context=certificates().trust)
            async with client:
                await client.servers.get(7)

            assert proxy.passed[0].headers["proxy-authorization"].startswith("Basic ")
        assert "proxy-authorization" not in secure_api.requests[0].headers

    @pytest.mark.parametrize("bad", ["", "localhost:3128", "ftp://p", "http://", "http://user:hunter2@", 7])
    def test_one_that_cannot_be_used_is_refused_and_not_shown(self, bad):
        """R17: as it may hold a password."""
        with pytest.raises(ConfigurationError) as caught:
            Client(TOKEN, proxy=bad)

        assert "hunter2" not in str(caught.value)

    def test_together_with_a_transport_it_is_refused(self):
        """R17: httpx would let one of them win in silence."""
        with pytest.raises(ConfigurationError) as caught:
            Client(TOKEN, proxy="http://p:1", transport=httpx.AsyncHTTPTransport())

        assert str(caught.value).startswith("transport and proxy exclude each other")
