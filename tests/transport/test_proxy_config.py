"""Proxies, by argument and by environment, under our own pool."""

from __future__ import annotations

import contextlib

import httpx
import pytest

from tests.helpers import detail
from tests.proxyserver import ProxyServer
from tests.rawserver import RawServer, certificates, closed_port, json
from vpsorg_async import APIConnectionError, Client, ConfigurationError, RetryPolicy
from vpsorg_async._transport.proxy_config import choose_proxy


pytestmark = pytest.mark.anyio

TOKEN = "vps_live_0123456789abcdef"
ELSEWHERE = "http://api.example/api/v1"
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
        with ProxyServer(redirect={"api.example": api.port}) as proxy:
            monkeypatch.setenv(name, proxy.url)
            async with Client(TOKEN, base_url=ELSEWHERE, allow_http=True) as client:
                assert (await client.servers.get(7)).id == 7

            assert [(passed.method, passed.target) for passed in proxy.passed] == [("GET", f"{ELSEWHERE}/servers/7/")]

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
    async def test_no_proxy_goes_by_none(self, secure_api, monkeypatch, exempt):
        """R17: NO_PROXY."""
        with ProxyServer() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", exempt)
            async with Client(TOKEN, base_url=secure_api.base_url, ssl_context=certificates().trust) as client:
                await client.servers.get(7)

            assert proxy.connections_total == 0

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
    async def test_plain_http_to_this_machine_never_goes_by_it(self, api, monkeypatch, variable, host):
        """R29: whoever runs the proxy would read the token."""
        base_url = api.base_url.replace("127.0.0.1", host)
        with ProxyServer() as proxy:
            monkeypatch.setenv(variable, proxy.url)
            # 127.0.0.2 is this machine too, but nobody listens there.
            async with Client(TOKEN, base_url=base_url, retry=RetryPolicy.none()) as client:
                with contextlib.suppress(APIConnectionError):
                    await client.servers.get(7)

            assert proxy.connections_total == 0

    async def test_the_proxy_of_the_other_scheme_is_not_used(self, secure_api, monkeypatch):
        """R17: HTTP_PROXY is for http."""
        with ProxyServer() as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            async with Client(TOKEN, base_url=secure_api.base_url, ssl_context=certificates().trust) as client:
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
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "vps.org"}, "https://admin.vps.org.", None),
            ({"HTTP_PROXY": "http://p:1"}, "http://api.example", "http://p:1"),
            ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:8800", None),
            ({"HTTP_PROXY": "http://p:1"}, "http://[::ffff:127.0.0.1]:8800", None),
            ({"HTTP_PROXY": "http://p:1"}, "http://LOCALHOST.:8800", None),
            ({"HTTP_PROXY": "http://p:1"}, "http://api.localhost", None),
        ],
        ids=str,
    )
    def test_the_rules(self, monkeypatch, variables, url, proxy):
        """R17: as the standard library reads them."""
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        chosen = choose_proxy(None, httpx.URL(url))

        assert (None if chosen is None else str(chosen.proxy.url).rstrip("/")) == proxy

    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
    @pytest.mark.parametrize("url", ["socks://u:hunter2@127.0.0.1:7890/", "ftp://p:1", "http://"])
    def test_a_variable_that_names_one_that_cannot_be_used_is_named(self, monkeypatch, variable, url):
        """R20: and its value, which may hold a password, is not shown."""
        monkeypatch.setenv(variable, url)

        with pytest.raises(ConfigurationError) as caught:
            Client(TOKEN)

        assert str(caught.value).startswith(f"{variable} names a proxy that cannot be used: ")
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
    async def test_an_error_names_the_proxy_and_its_variable(self, monkeypatch, variable):
        """R20: without the user, the password and the query."""
        with closed_port() as port:
            monkeypatch.setenv(variable, f"http://user:hunter2@127.0.0.1:{port}")
            async with Client(TOKEN, base_url="https://api.example/api/v1", retry=RetryPolicy.none()) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.get(7)

        assert str(caught.value) == (
            "GET /servers/7/: cannot connect to api.example:443 "
            f"through the proxy 127.0.0.1:{port}, which {variable} names: refused"
        )


class TestArgument:
    async def test_it_beats_the_environment(self, api, monkeypatch):
        """R29: NO_PROXY too, and for this machine."""
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
