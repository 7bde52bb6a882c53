"""How a client is set up: safely, or not at all."""

from __future__ import annotations

import functools
import ssl

import httpx
import pytest

from tests.helpers import detail
from tests.rawserver import RawServer, json
from vpsorg_async import (
    Client,
    ConfigurationError,
    RetryPolicy,
)


QUICK = RetryPolicy(initial=0.005, maximum=0.01)
TOKEN = "vps_live_0123456789abcdef"


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        yield running


def client_of(server, **options):
    return Client(TOKEN, base_url=server.base_url, **{"retry": QUICK, **options})


async def not_plain(event):
    """An `on_event` that would never be awaited."""


class NotPlain:
    """An object that would never be awaited either."""

    async def __call__(self, event):
        """Do nothing."""


REFUSED = {
    "no token": ({"token": None}, "there is no token: pass token=… or set VPS_API_TOKEN"),
    "empty token": ({"token": ""}, "the token is empty: pass token=… or set VPS_API_TOKEN"),
    "no str": ({"token": 7}, "the token must be a str, not int"),
    "transport and proxy": (
        {"transport": httpx.MockTransport(lambda _: httpx.Response(200)), "proxy": "http://127.0.0.1:1"},
        "transport and proxy exclude each other: give the transport its proxy instead",
    ),
    "no transport": ({"transport": 7}, "transport must be an httpx.AsyncBaseTransport, not int"),
    "no context": ({"ssl_context": "ca.pem"}, "ssl_context must be an ssl.SSLContext, not str"),
    "0 connections": ({"max_connections": 0}, "max_connections=0: give a whole number of 1 or more"),
    "True connections": ({"max_connections": True}, "max_connections=True: give a whole number of 1 or more"),
    "1.5 connections": ({"max_connections": 1.5}, "max_connections=1.5: give a whole number of 1 or more"),
    "on_event": ({"on_event": 7}, "on_event must be a plain function that takes an Event, not 7"),
    "authorization": (
        {"headers": {"AUTHORIZATION": "secret"}},
        "headers must not set AUTHORIZATION: the token goes in as token=…, the host as base_url=…",
    ),
    "host": (
        {"headers": {"Host": "x"}},
        "headers must not set Host: the token goes in as token=…, the host as base_url=…",
    ),
    "framing": (
        {"headers": {"Content-Length": "5"}},
        "headers must not set Content-Length: it frames or routes the message, which the SDK does",
    ),
    "header name": ({"headers": {"a b": "x"}}, "headers has a name that no header can have: 'a b'"),
    "header value": (
        {"headers": {"X-A": "secret\r\nX-B: 1"}},
        "the header X-A takes a str of visible ASCII (its value is not shown)",
    ),
    "not ASCII": ({"headers": {"X-A": "é"}}, "the header X-A takes a str of visible ASCII (its value is not shown)"),
    "user agent": (
        {"user_agent": "app\n"},
        "user_agent takes a str of visible ASCII (its value is not shown)",
    ),
    "no user agent": ({"user_agent": 7}, "user_agent takes a str of visible ASCII (its value is not shown)"),
    "headers": ({"headers": "X-A: b"}, "headers must be a mapping of names to values, not str"),
    "pairs of headers": (
        {"headers": [("X-A", "b")]},
        "headers must be a mapping of names to values, not list",
    ),
    "no headers": ({"headers": False}, "headers must be a mapping of names to values, not bool"),
    "allow_http": (
        {"base_url": "http://10.0.0.1", "allow_http": "false"},
        "allow_http must be True or False, not 'false'",
    ),
    "plain http": (
        {"base_url": "http://admin.vps.org/api/v1"},
        (
            "base_url is plain http to admin.vps.org, so the token would travel in the clear: "
            "use https://, or allow_http=True if you are sure"
        ),
    ),
    "proxy": (
        {"proxy": "ftp://x"},
        (
            "proxy= names a proxy that cannot be used: "
            "it must be an http://, https:// or socks5:// URL with a host (not shown here)"
        ),
    ),
}


class TestConfiguration:
    @pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
    def test_what_cannot_be_used_is_refused_at_once(self, given, message):
        with pytest.raises(ConfigurationError) as caught:
            Client(**{"token": "vps_test", **given})

        assert str(caught.value) == message

    @pytest.mark.parametrize(
        "given", [not_plain, functools.partial(not_plain), NotPlain()], ids=["function", "partial", "object"]
    )
    def test_an_on_event_that_would_never_be_awaited_is_refused(self, given):
        with pytest.raises(ConfigurationError) as caught:
            Client("vps_test", on_event=given)

        assert str(caught.value) == f"on_event must be a plain function that takes an Event, not {given!r}"

    @pytest.mark.parametrize(
        ("given", "kind", "message"),
        [
            ({"timeout": -1}, ValueError, "timeout=-1: give 0 or more seconds, or None for without end"),
            ({"timeout": float("nan")}, ValueError, "timeout=nan: give 0 or more seconds, or None for without end"),
            ({"timeout": True}, TypeError, "timeout takes seconds as a number, or None for without end, not True"),
            (
                {"attempt_timeout": "1"},
                TypeError,
                "attempt_timeout takes seconds as a number, or None for without end, not '1'",
            ),
            ({"retry": 3}, TypeError, "retry must be a RetryPolicy, not 3; RetryPolicy.none() tries once"),
        ],
    )
    def test_times_that_are_none_are_refused_by_the_client_and_by_its_views(self, given, kind, message):
        for use in (lambda: Client("vps_test", **given), lambda: Client("vps_test").with_options(**given)):
            with pytest.raises(kind) as caught:
                use()
            assert str(caught.value) == message

    def test_the_environment_is_used_where_no_argument_is(self, monkeypatch):
        monkeypatch.setenv("VPS_API_TOKEN", "from_environment")
        monkeypatch.setenv("VPS_API_URL", "https://api.example/v9")

        assert repr(Client()) == "<Client https://api.example/v9/>"
        assert repr(Client(base_url="https://other.example/v1/")) == "<Client https://other.example/v1/>"

    def test_the_vendors_address_is_the_default(self):
        assert repr(Client("vps_test")) == "<Client https://admin.vps.org/api/v1/>"

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "[::1]", "localhost", "api.localhost"])
    def test_plain_http_to_loopback_is_allowed(self, host):
        assert repr(Client("vps_test", base_url=f"http://{host}:1/api/v1")) == f"<Client http://{host}:1/api/v1/>"

    def test_plain_http_elsewhere_is_allowed_only_expressly(self):
        client = Client("vps_test", base_url="http://10.0.0.1/api/v1", allow_http=True)

        assert repr(client) == "<Client http://10.0.0.1/api/v1/>"

    def test_an_ssl_context_and_a_client_of_no_end_are_fine(self):
        context = ssl.create_default_context()

        assert "vps_test" not in repr(Client("vps_test", ssl_context=context, timeout=None, attempt_timeout=None))


@pytest.mark.anyio
class TestBaseUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "http://admin.vps.org/api/v1",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://0.0.0.0",
            "https://user:hunter2@admin.vps.org",
            "https://user@admin.vps.org",
            "https://admin.vps.org/?a=b",
            "https://admin.vps.org/api?",
            "https://admin.vps.org/#x",
            "https://",
            "https:///api",
            "https://:443",
            "",
            "admin.vps.org",
            "/api/v1",
            "ftp://admin.vps.org",
            "file:///etc/passwd",
            "https://admin.vps.org:port",
            "https://admin.vps.org:99999",
            "https://a b",
            "https://admin.vps.org\r\n",
            "javascript:alert(1)",
            "//admin.vps.org",
            "user:hunter2@admin.vps.org",
            7,
            b"https://admin.vps.org",
        ],
    )
    def test_one_that_is_not_safe_is_refused(self, url):
        """T4: non-TLS, userinfo, a query, no host; and a password is not shown."""
        with pytest.raises(ConfigurationError) as caught:
            Client(TOKEN, base_url=url)

        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "https://admin.vps.org/api/v1",
            "https://admin.vps.org/api/v1/",
            "https://admin.vps.org",
            "https://[2001:db8::1]:8443",
            "http://127.0.0.1:8800",
            "http://127.9.9.9",
            "http://[::1]:8800",
            "http://localhost:8800/api/v1",
            "http://a.localhost",
        ],
    )
    async def test_one_that_is_safe_is_taken(self, url):
        """T4: https, or this machine."""
        async with Client(TOKEN, base_url=url) as client:
            assert url.rstrip("/") in repr(client)

    async def test_plain_http_can_be_asked_for(self):
        """T4: by name."""
        async with Client(TOKEN, base_url="http://10.0.0.1", allow_http=True) as client:
            assert repr(client) == "<Client http://10.0.0.1>"

    def test_the_environment_is_checked_alike(self, monkeypatch):
        """T4: VPS_API_URL."""
        monkeypatch.setenv("VPS_API_URL", "http://admin.vps.org")

        with pytest.raises(ConfigurationError) as caught:
            Client(TOKEN)

        assert str(caught.value) == (
            "base_url is plain http to admin.vps.org, so the token would travel in the clear: "
            "use https://, or allow_http=True if you are sure"
        )

    async def test_an_argument_beats_the_environment(self, monkeypatch, server):
        """T4: and an empty variable is none."""
        server.answer("GET", "/servers/7/", json(200, detail()))
        monkeypatch.setenv("VPS_API_URL", "https://elsewhere.example")
        monkeypatch.setenv("VPS_API_TOKEN", "vps_of_the_environment")

        async with client_of(server) as client:
            await client.servers.get(7)
        monkeypatch.setenv("VPS_API_URL", server.base_url)
        async with Client() as client:
            await client.servers.get(7)
        monkeypatch.setenv("VPS_API_URL", "")
        async with Client() as client:
            assert repr(client) == "<Client https://admin.vps.org/api/v1/>"

        tokens = [request.headers["authorization"] for request in server.requests]
        assert tokens == [f"Bearer {TOKEN}", "Bearer vps_of_the_environment"]

    @pytest.mark.parametrize("value", [None, ""])
    def test_without_a_token_there_is_no_client(self, monkeypatch, value):
        """T4: said plainly."""
        if value is not None:
            monkeypatch.setenv("VPS_API_TOKEN", value)

        with pytest.raises(ConfigurationError) as caught:
            Client()

        assert str(caught.value) == "there is no token: pass token=… or set VPS_API_TOKEN"
