"""Arguments that must not reach the network."""

from __future__ import annotations

import enum

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import action, detail, listed, page
from tests.rawserver import json
from vpsorg_async import (
    Client,
    InvalidArgumentError,
    NotFoundError,
    PollPolicy,
    RetryPolicy,
    ServerGoneError,
    ServerStatus,
)
from vpsorg_async._checks import checked_seconds, checked_statuses, name_hint
from vpsorg_async._errors import APIConnectionError, ConfigurationError
from vpsorg_async._models import Server


pytestmark = pytest.mark.anyio

TOKEN = "vps_live_0123456789abcdef"
BAD_IDS = [
    "",
    ".",
    "..",
    "...",
    "1/../2",
    "../1",
    "1/",
    "/1",
    "1?x",
    "1#x",
    "é",
    "1 ",
    " 1",
    "1\n",
    "1\r\nX: y",
    "\x00",
    "1%2f2",
    "%2e%2e",
    "1;2",
    "1\\2",
    "a..b",
    "-1",
    "\u0661",
    "\uff11",
    "a" * 300,
    -1,
    True,
    False,
    1.5,
    1.0,
    None,
    b"1",
    [1],
    (1,),
    {},
    object(),
]
CALLS = {
    "get": lambda servers, key: servers.get(key),
    "replace": lambda servers, key: servers.replace(key, name="a", hostname=None, backups_enabled=True),
    "update": lambda servers, key: servers.update(key, name="a"),
    "delete": lambda servers, key: servers.delete(key),
    "start": lambda servers, key: servers.start(key),
    "stop": lambda servers, key: servers.stop(key),
    "reboot": lambda servers, key: servers.reboot(key),
    "wait_until": lambda servers, key: servers.wait_until(key, status="active"),
    "wait_until_deleted": lambda servers, key: servers.wait_until_deleted(key),
}
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


def client_of(server, **options):
    return Client(options.pop("token", TOKEN), base_url=server.base_url, **options)


class TestIds:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    async def test_a_bad_one_sends_nothing(self, server, call):
        """T2: `ValueError` or `TypeError`."""
        async with client_of(server) as client:
            for bad in BAD_IDS:
                expected = ValueError if isinstance(bad, str) or (type(bad) is int) else TypeError
                with pytest.raises(expected):
                    await call(client.servers, bad)

        assert server.connections_total == 0

    @pytest.mark.parametrize("bad", ["..", "1/2", -1])
    async def test_one_inside_a_server_is_checked_too(self, server, bad):
        """T2: an API that is not ours may name a server so."""
        odd = Server.from_dict({"id": bad, "name": "a", "status": "active"})

        async with client_of(server) as client:
            with pytest.raises(ValueError, match="server_id"):
                await client.servers.delete(odd)

        assert server.connections_total == 0

    @pytest.mark.parametrize(
        "good", [0, 7, 2**70, "8", "web-01", "0b1e8a3c-5b5e-4c8e-9a55-1f6c2f3f9d11", "a.b", "a_b", "a~b", "A1"]
    )
    async def test_a_good_one_is_sent_as_it_is(self, server, good):
        """T2: ints, and what UUIDs and slugs are made of."""
        server.answer("GET", f"/servers/{good}/", json(200, detail(good)))

        async with client_of(server) as client:
            assert (await client.servers.get(good)).id == good

    @pytest.mark.parametrize(
        "path",
        [
            "http://evil.example/",
            "https://evil.example/servers/",
            "HTTPS://evil.example/",
            "//evil.example/x",
            "http:x",
            "http:/evil.example",
            "ftp://x/",
            "\x00",
            None,
            b"/servers/",
            "///evil.example/",
        ],
    )
    async def test_a_foreign_path_is_refused(self, server, path):
        """T2: `request` goes below the base URL and nowhere else."""
        async with client_of(server) as client:
            with pytest.raises(ValueError, match="path="):
                await client.request("GET", path)

        assert server.connections_total == 0

    @pytest.mark.parametrize("method", ["", "GET\r\n", "G ET", None, "GÉT", "GET / HTTP/1.1\r\n"])
    async def test_a_bad_method_is_refused(self, server, method):
        """T2: nor is the request line anybody's to write."""
        async with client_of(server) as client:
            with pytest.raises(ValueError, match="method="):
                await client.request(method, "/servers/")

        assert server.connections_total == 0


class TestInjection:
    @pytest.mark.parametrize(
        "bad",
        ["a\r\nX-Evil: 1", "a\nb", "a b", " a", "a ", "a\x00", "a\x7f", "é", "", "\u2028", 7, b"token", [], "a\tb"],
    )
    def test_a_token_that_is_no_header_is_refused_and_not_shown(self, bad):
        """T3: at once, before any call."""
        with pytest.raises(ConfigurationError) as caught:
            Client(bad)

        assert "X-Evil" not in str(caught.value)

    def test_a_token_of_the_environment_is_checked_alike(self, monkeypatch):
        """T3: a newline at the end of a file is the usual mistake."""
        monkeypatch.setenv("VPS_API_TOKEN", f"{TOKEN}\n")

        with pytest.raises(ConfigurationError) as caught:
            Client()

        assert TOKEN not in str(caught.value)

    @pytest.mark.parametrize("bad", ["a\r\nX-Evil: 1", "a\n", "", "é", 7, None])
    async def test_a_token_that_a_callable_gives_is_checked_alike(self, server, bad):
        """T3: each time."""
        async with client_of(server, token=lambda: bad) as client:
            with pytest.raises(ConfigurationError):
                await client.servers.get(7)

        assert server.requests == []

    @pytest.mark.parametrize("bad", ["a\r\nX-Evil: 1", "a b", "a_b", "é", "", "a/b", "a.b", "a\n"])
    async def test_a_name_is_letters_digits_and_hyphens(self, server, bad):
        """T3: a name never gets so far."""
        async with client_of(server) as client:
            with pytest.raises(ValueError, match="name="):
                await client.servers.create(**{**SPEC, "name": bad})
            with pytest.raises(ValueError, match="name="):
                await client.servers.update(7, name=bad)
            with pytest.raises(ValueError, match="name="):
                await client.servers.replace(7, name=bad, hostname="a", backups_enabled=True)

        assert server.connections_total == 0

    async def test_a_hostname_is_a_json_string_and_nothing_else(self, server):
        """T3: escaped."""
        server.answer("PATCH", "/servers/7/", json(200, detail()))
        hostname = 'a\r\nX-Evil: 1\r\n\r\n{"b": "c"}\x00\u2028'

        async with client_of(server) as client:
            await client.servers.update(7, hostname=hostname)

        (request,) = server.requests
        assert request.json == {"hostname": hostname}
        assert "x-evil" not in request.headers
        assert b"\n" not in request.body

    async def test_a_lone_surrogate_cannot_be_sent(self, server):
        """T3: it is no Unicode."""
        async with client_of(server) as client:
            with pytest.raises(ValueError, match="lone surrogate"):
                await client.servers.update(7, hostname="\ud800")

        assert server.connections_total == 0

    @pytest.mark.parametrize("bad", ["a\r\nb", "a\n", "\x00", "é", "", " a", "a ", 7, None, b"x"])
    def test_headers_are_checked(self, bad):
        """T3: values, without showing them."""
        with pytest.raises(ConfigurationError):
            Client(TOKEN, headers={"X-Trace": bad})

    @pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é", "Authorization", "authorization", "HOST", "Host"])
    def test_headers_names_are_checked(self, name):
        """T3: and two of them are ours."""
        with pytest.raises(ConfigurationError):
            Client(TOKEN, headers={name: "x"})

    @pytest.mark.parametrize(
        "name",
        [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "TE",
            "Upgrade",
            "Trailer",
            "EXPECT",
            "Proxy-Authorization",
            "proxy-connection",
        ],
    )
    def test_headers_that_frame_or_route_the_message_are_refused(self, name):
        """T3: with another length the rest of a body would be read as a request of its own."""
        with pytest.raises(ConfigurationError, match=f"headers must not set {name}: "):
            Client(TOKEN, headers={name: "5"})

    @pytest.mark.parametrize("length", ["2", "10"])
    async def test_a_body_that_is_not_as_long_as_its_header_says_is_no_fault_of_the_program(self, server, length):
        """T3: with too short a length the API might take it for the whole request, so nothing leaves."""
        async with client_of(server) as client:
            for method in ("POST", "PUT"):
                with pytest.raises(APIConnectionError, match="the body is not as long as its Content-Length") as caught:
                    await client.http.request(method, "/x/", content=b"12345", headers={"Content-Length": length})
                assert caught.value.sent is False

        assert server.requests == []

    @pytest.mark.parametrize("bad", ["a\r\nb", "", "é", 7])
    def test_the_user_agent_is_checked(self, bad):
        """T3: it is a header too."""
        with pytest.raises(ConfigurationError):
            Client(TOKEN, user_agent=bad)

    async def test_good_headers_are_sent_with_every_call(self, server):
        """T3: as they are."""
        server.answer("POST", "/servers/7/start/", json(200, action()))

        async with client_of(server, headers={"X-Trace": "a b"}, user_agent="app/1.0") as client:
            await client.servers.start(7)

        (request,) = server.requests
        assert request.headers["x-trace"] == "a b"
        assert request.headers["user-agent"].startswith("app/1.0 vpsorg-async/")
        assert request.headers["authorization"] == f"Bearer {TOKEN}"


UUID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"


class Size(enum.IntEnum):
    SMALL = 7


class Which(str, enum.Enum):  # noqa: UP042 - this is about members that write themselves in another way
    FIRST = "9b2f"


class Loud(int):
    """Writes itself as another number."""

    def __format__(self, spec):
        return "8"

    __str__ = __repr__ = lambda self: "8"


class LoudText(str):
    __slots__ = ()

    def __str__(self):
        return "8/../9"

    def __format__(self, spec):
        return "8/../9"


class TestUnusualValues:
    @pytest.mark.parametrize(
        ("given", "path"),
        [
            (Size.SMALL, "/servers/7/"),
            (Which.FIRST, "/servers/9b2f/"),
            (Loud(7), "/servers/7/"),
            (LoudText("7"), "/servers/7/"),
        ],
        ids=["int enum", "str enum", "int", "str"],
    )
    async def test_the_id_that_was_meant_is_sent(self, server, given, path):
        """T6: an enum's member, and a class that writes itself in another way."""
        server.answer("GET", path, json(200, detail(7)))

        async with client_of(server) as client:
            found = await client.servers.get(given)

        assert found.id == 7
        assert [request.path for request in server.requests] == [path]

    @pytest.mark.parametrize(
        "given",
        [Size, enum.Enum("Other", "A").A, 10**255, 10**5000, -(10**5000)],
        ids=["class", "enum", "long", "longer", "negative"],
    )
    async def test_what_is_no_id_is_refused_with_words(self, server, given):
        """T6: nothing is sent, and no number of thousands of digits is shown."""
        async with client_of(server) as client:
            with pytest.raises((TypeError, InvalidArgumentError), match="server_id") as caught:
                await client.servers.get(given)

        assert len(str(caught.value)) < 300
        assert server.requests == []

    @pytest.mark.parametrize(
        "make",
        [
            lambda value: Client(TOKEN, timeout=value),
            lambda value: Client(TOKEN, attempt_timeout=value),
            lambda value: Client(TOKEN).with_options(timeout=value),
            lambda value: PollPolicy(maximum=value),
            lambda value: RetryPolicy(initial=value),
            lambda value: Client(TOKEN).servers.watch(interval=value),
        ],
        ids=["timeout", "attempt_timeout", "view", "poll", "retry", "watch"],
    )
    @pytest.mark.parametrize(
        "value", [10**400, 10**5000, float("inf"), float("nan"), -1], ids=["long", "longer", "inf", "nan", "negative"]
    )
    def test_a_number_out_of_bounds_is_refused_with_words(self, make, value):
        """T6: `timeout=10**400` is no OverflowError."""
        with pytest.raises(InvalidArgumentError) as caught:
            make(value)

        assert len(str(caught.value)) < 300

    @given(st.integers() | st.floats())
    def test_any_number_of_seconds_is_taken_or_refused(self, value):
        try:
            seconds = checked_seconds("timeout", value)
        except InvalidArgumentError:
            assert not 0 <= value < float("inf")
        else:
            assert seconds == float(value)
            assert type(seconds) is float

    async def test_an_enums_location_is_its_value(self, server):
        server.answer("GET", "/servers/", json(200, page(listed(1, location="9b2f"))))

        async with client_of(server) as client:
            assert len(await client.servers.list(location=Which.FIRST)) == 1

        assert server.requests[0].query["location"] == "9b2f"


class TestFlags:
    @pytest.mark.parametrize(
        ("name", "use"),
        [
            ("skip_invalid", lambda client, server, value: client.servers.list(skip_invalid=value)),
            ("detail", lambda client, server, value: server.wait_until(status="active", detail=value)),
            ("secrets", lambda client, server, value: server.to_dict(secrets=value)),
        ],
    )
    @pytest.mark.parametrize("value", ["false", 0, None])
    async def test_a_value_that_only_looks_like_a_bool_is_refused(self, server, name, use, value):
        async with client_of(server) as client:
            with pytest.raises(TypeError, match=f"^{name} takes True or False, not {value!r}$"):
                await use(client, client.servers.bind(Server.from_dict(detail(7))), value)

        assert server.requests == []


class TestWords:
    @pytest.mark.parametrize(
        ("given", "near"),
        [("actve", "active"), ("ACTIVE", "active"), ("stoped", "stopped"), ("booting", "rebooting"), ("zzz", None)],
    )
    def test_a_status_is_refused_with_the_seven_and_the_nearest(self, given, near):
        with pytest.raises(InvalidArgumentError) as caught:
            checked_statuses("status", given)

        suggestion = f" (did you mean {near!r}?)" if near else ""
        assert str(caught.value) == (
            f"status={given!r}{suggestion} is no status: the seven are {', '.join(ServerStatus)}"
        )

    @pytest.mark.parametrize("server_id", ["web-01", "web01", "a", "production"])
    def test_an_id_that_looks_like_a_name(self, server_id):
        assert f"get_by_name({server_id!r})" in name_hint(server_id)

    @pytest.mark.parametrize(
        "server_id",
        [7, None, "7", "007", UUID, UUID.replace("-", "").upper(), "srv_1", "a.b"],
        ids=["int", "none", "number", "zeros", "UUID", "hex", "slug", "dot"],
    )
    def test_an_id_that_does_not(self, server_id):
        assert name_hint(server_id) == ""

    async def test_a_404_to_a_name_says_how_to_find_the_server(self, server):
        server.answer("GET", "/servers/web-01/", json(404, {"detail": "Not found."}))
        server.answer("POST", "/servers/web-01/reboot/", json(404, {"detail": "Not found."}))

        async with client_of(server) as client:
            with pytest.raises(NotFoundError) as got:
                await client.servers.get("web-01")
            with pytest.raises(NotFoundError) as rebooted:
                await client.servers.reboot("web-01")
            with pytest.raises(ServerGoneError) as waited:
                await client.servers.wait_until("web-01", status="active", timeout=0)

        hint = "'web-01' looks like a name: client.servers.get_by_name('web-01') finds a server by its name"
        assert [hint in str(one.value) for one in (got, rebooted, waited)] == [True] * 3
        assert got.value.message == "Not found."
