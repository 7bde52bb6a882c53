"""The token is nowhere but on the wire."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import traceback

import anyio
import httpx
import pytest

from tests.helpers import action, detail, listed, page
from tests.rawserver import (
    RawServer,
    certificates,
    closed_port,
    cut,
    drop,
    hang,
    hold,
    json,
    text,
)
from vpsorg_async import Client, PollPolicy, RetryPolicy
from vpsorg_async._errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
    VPSError,
)


pytestmark = pytest.mark.anyio

TOKEN = "vps_live_0123456789abcdef"
QUICK = RetryPolicy(initial=0.001, maximum=0.001)
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}
PATH = "/servers/7/"


class Token:
    """Holds the token for the tests, so that their own frames do not show it."""

    def __call__(self):
        return TOKEN


@pytest.fixture(autouse=True)
def logged():
    """Everything that anybody logs, at every level."""
    lines = []

    class Keeper(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record) + repr(record.args) + repr(record.msg))

    handler, root = Keeper(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)
    assert TOKEN not in "\n".join(lines)


def client_of(server, **options):
    return Client(TOKEN, base_url=server.base_url, **{"retry": QUICK, **options})


def everything_of(error):
    """Return all that anybody could print, store or send of *error*."""
    trace = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    parts = [trace, repr(error), str(error), repr(vars(error)), repr(getattr(error, "__notes__", None))]
    for cause in causes_of(error):
        parts += [repr(cause), str(cause), repr(getattr(cause, "__dict__", None)), *hidden_in(cause)]
    if isinstance(error, VPSError):
        parts += [repr(pickle.dumps(error)), repr(copy.deepcopy(error))]
        headers = getattr(error, "headers", None)
        parts += [] if headers is None else [repr(getattr(headers, "raw", headers))]
    return "\n".join(parts)


def hidden_in(cause):
    """Return what an httpx error carries along: a request has an Authorization that its repr does not show."""
    for name in ("_request", "request"):
        request = cause.__dict__.get(name) if hasattr(cause, "__dict__") else None
        if isinstance(request, httpx.Request):
            yield repr(request.headers.raw)


def causes_of(error):
    seen = []
    waiting = [error]
    while waiting:
        found = waiting.pop()
        if found is None or found in seen:
            continue
        seen.append(found)
        waiting += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]
    return seen


class TestErrors:
    @pytest.mark.parametrize(
        "reply",
        [
            *(json(status, {"detail": "no"}) for status in (400, 401, 402, 403, 404, 409, 429, 500, 503)),
            drop(),
            drop(reset=True),
            cut(json(200, detail()), 30),
            cut(json(200, detail()), -5),
            text(200, "<html></html>", "text/html"),
            text(200, "null"),
            text(302, "", headers={"Location": "https://elsewhere.example/"}),
            text(200, "x", headers={"Content-Encoding": "gzip"}),
            hang(),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("call", ["get", "create", "reboot"])
    async def test_none_shows_it(self, server, reply, call):
        """T1: neither in a traceback with locals, nor pickled, nor in its causes."""
        for method, path in (("GET", PATH), ("POST", "/servers/"), ("POST", f"{PATH}reboot/"), ("GET", "/servers/")):
            server.answer(method, path, reply)

        async with client_of(server, timeout=0.3) as client:
            with pytest.raises(VPSError) as caught:
                await make(client, call)

        assert TOKEN not in everything_of(caught.value)

    @pytest.mark.parametrize("reply", [json(400, {}), json(500, {}), drop(), cut(json(200, {}), 30)], ids=str)
    async def test_nor_does_one_of_a_request_of_the_user_s_own(self, server, reply):
        """T1: nor what he sent."""
        server.answer("POST", "/servers/", reply)

        async with client_of(server) as client:
            with pytest.raises(VPSError) as caught:
                await make(client, "request")

        assert TOKEN not in everything_of(caught.value)
        assert "hunter2" not in repr(pickle.dumps(caught.value)) + str(caught.value)

    @pytest.mark.parametrize("call", ["get", "create"])
    async def test_nor_does_one_of_connecting(self, call):
        """T1: refused, or a certificate that does not verify."""
        with closed_port() as port:
            async with Client(TOKEN, base_url=f"http://127.0.0.1:{port}", retry=QUICK) as client:
                with pytest.raises(APIConnectionError) as refused:
                    await make(client, call)
        with RawServer(tls=certificates().expired) as server:
            async with client_of(server, ssl_context=certificates().trust) as client:
                with pytest.raises(APIConnectionError) as expired:
                    await make(client, call)

        assert TOKEN not in everything_of(refused.value)
        assert TOKEN not in everything_of(expired.value)

    @pytest.mark.parametrize("status", [400, 401, 500, 503, 200, 302])
    async def test_nor_does_one_whose_answer_quotes_it(self, server, status):
        """T1: in the body, in the headers, in a place to go to."""
        server.answer("GET", PATH, quoting(status))

        # httpcore's own log of an response's headers is out of reach: what matters is what we keep.
        logging.getLogger("httpcore").setLevel(logging.INFO)
        async with client_of(server) as client:
            with pytest.raises(VPSError) as caught:
                await client.servers.get(7)
        logging.getLogger("httpcore").setLevel(logging.NOTSET)

        assert "[token]" in everything_of(caught.value)
        assert TOKEN not in everything_of(caught.value)

    async def test_a_short_word_is_no_secret_to_strike_out(self, server):
        """T1: a test's token "token" must not garble what the API says."""
        server.answer("GET", PATH, json(401, {"detail": "Invalid token."}))

        async with Client("token", base_url=server.base_url) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.servers.get(7)

        assert caught.value.message == "Invalid token."

    async def test_what_the_user_asks_for_himself_is_not_touched(self, server):
        """T1: a response that is his is his."""
        server.answer("GET", "/tokens/", json(200, {"token": TOKEN}))

        async with client_of(server) as client:
            assert (await client.request("GET", "/tokens/")).json() == {"token": TOKEN}

    @pytest.mark.parametrize("broken", ["base_url", "headers", "timeout", "max_connections", "proxy", "token"])
    def test_nor_does_one_of_setting_up(self, broken):
        """T1: the arguments of a constructor are locals too."""
        bad = {
            "base_url": "ftp://x",
            "headers": {"a b": "c"},
            "timeout": -1,
            "max_connections": 0,
            "proxy": "ftp://p",
        }
        secret = Token()

        with pytest.raises((VPSError, ValueError)) as caught:
            if broken == "token":
                Client(secret() + "\n")
            else:
                Client(secret(), **{broken: bad[broken]})

        assert TOKEN not in everything_of(caught.value)


class TestCancelling:
    @pytest.mark.parametrize("reply", ["no response", "half a body"])
    async def test_a_cut_of_anyio_s_does_not_show_it(self, server, reply):
        """T1: in mid-read."""
        server.answer("GET", PATH, hang() if reply == "no response" else half_a_body())

        async with client_of(server, timeout=None, attempt_timeout=None) as client:
            with pytest.raises(TimeoutError) as caught, anyio.fail_after(0.1):
                await client.servers.get(7)

        assert TOKEN not in everything_of(caught.value)

    async def test_nor_does_one_in_mid_send(self, server):
        """T1: a body that does not fit into the socket, to a peer that does not read."""
        with closed_port():
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            client = Client(TOKEN, base_url=f"http://127.0.0.1:{port}", timeout=None, attempt_timeout=None)
            async with client:
                with pytest.raises(TimeoutError) as caught, anyio.fail_after(0.2):
                    await client.request("PUT", "/x/", json={"a": "x" * 30_000_000})
            await listener.aclose()

        assert TOKEN not in everything_of(caught.value)

    async def test_nor_does_the_error_at_its_own_deadline(self, server):
        """T1: the deadline is a cancel inside."""
        server.answer("GET", PATH, hang())

        async with client_of(server, timeout=0.1) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.get(7)

        assert TOKEN not in everything_of(caught.value)

    async def test_nor_does_a_fault_in_a_transport(self):
        """T1: which is no error of ours, and comes out as it is."""

        class Faulty(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request):
                held = request.headers["authorization"]
                try:
                    return {}[len(held)]
                except KeyError as error:
                    raise ZeroDivisionError from error

        async with Client(TOKEN, transport=Faulty()) as client:
            with pytest.raises(ZeroDivisionError) as caught:
                await client.servers.get(7)

        assert TOKEN not in "".join(
            traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
        )


class TestElsewhere:
    async def test_neither_reprs_nor_events_nor_logs_show_it(self, server, logged):
        """T1: at any level, of httpx and httpcore too."""
        server.answer("GET", PATH, [json(500, {}), json(429, {}, {"Retry-After": "0"}), json(200, detail())])
        server.answer("GET", "/servers/", json(200, page(listed())))
        server.answer("POST", "/servers/", drop())
        server.answer("POST", f"{PATH}reboot/", json(200, action(status="rebooting")))
        events = []

        async with client_of(server, timeout=0.5, on_event=events.append) as client:
            got = await client.servers.get(7)
            seen = [repr(client), repr(vars(client)), repr(got), repr(await client.servers.list())]
            with pytest.raises(VPSError):
                await client.servers.create(**SPEC)
            seen.append(repr(await client.servers.reboot(7)))
            seen.append(
                repr(
                    await client.servers.wait_until(
                        7, status="active", poll=PollPolicy(minimum=0.1, maximum=0.1, grace=0.05)
                    )
                )
            )
            seen += [repr(client.http.headers), repr(client.http), repr(client.with_options(timeout=1))]
            seen += [repr(event) for event in events] + [repr(pickle.dumps(got))]

        assert logged
        assert events
        assert TOKEN not in "\n".join(seen)

    async def test_a_response_s_request_does_not_hold_it(self, server):
        """T1: nor does what an event hook is given."""
        server.answer("GET", PATH, json(200, detail()))
        hooked = []

        async def hook(message):
            hooked.append(message)

        async with client_of(server) as client:
            client.http.event_hooks = {"request": [hook], "response": [hook]}
            response = await client.request("GET", PATH)

        assert len(hooked) == 2
        assert "authorization" not in response.request.headers
        assert TOKEN.encode() not in pickle.dumps([dict(response.request.headers), dict(response.headers)])
        assert all("authorization" not in getattr(message, "request", message).headers for message in hooked)

    async def test_nothing_that_lives_on_shows_it_in_its_repr(self, server):
        """T1: what a debugger or a crash report walks over."""
        server.answer("GET", PATH, json(200, detail()))

        async with client_of(server) as client:
            await client.servers.get(7)
            ours = [
                found
                for found in gc.get_objects()
                if str(type(found).__module__).startswith("vpsorg_async") and not isinstance(found, type)
            ]
            shown = [repr(found) for found in ours]

        assert shown
        assert TOKEN not in "\n".join(shown)


class TestCallable:
    async def test_it_is_asked_before_each_try(self, server):
        """T1: so that tokens can rotate."""
        server.answer("GET", PATH, [json(500, {}), json(429, {}, {"Retry-After": "0"}), json(200, detail())])
        tokens = iter(["first_token", "second_token", "third_token"])

        async with Client(lambda: next(tokens), base_url=server.base_url, retry=QUICK) as client:
            await client.servers.get(7)

        sent = [request.headers["authorization"] for request in server.requests]
        assert sent == ["Bearer first_token", "Bearer second_token", "Bearer third_token"]

    async def test_it_may_be_async(self, server):
        """T1: asked in a file or of another service."""
        server.answer("GET", PATH, json(200, detail()))

        async def token():
            await anyio.lowlevel.checkpoint()
            return TOKEN

        async with Client(token, base_url=server.base_url) as client:
            await client.servers.get(7)

        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"

    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize("call", ["get", "create", "reboot"])
    async def test_one_that_raises_ends_the_call_with_nothing_sent(self, server, call, is_async):
        """T1: what it raised may hold the token, and is not shown."""

        def fail():
            raise RuntimeError(f"could not refresh {TOKEN}")

        async def fail_later():
            fail()

        async with Client(fail_later if is_async else fail, base_url=server.base_url, retry=QUICK) as client:
            with pytest.raises(ConfigurationError) as caught:
                await make(client, call)

        assert str(caught.value) == "the token's callable raised RuntimeError"
        assert TOKEN not in everything_of(caught.value)
        assert server.connections_total == 0

    @pytest.mark.parametrize("end", ["\n", " ", "é"])
    async def test_a_bad_answer_of_it_is_not_shown(self, server, end):
        """T1: not even in a traceback with locals."""
        secret = Token()

        async with Client(lambda: secret() + end, base_url=server.base_url) as client:
            with pytest.raises(ConfigurationError) as caught:
                await client.servers.get(7)

        assert TOKEN not in everything_of(caught.value)

    async def test_the_one_that_was_sent_is_struck_out_although_it_has_rotated_since(self, server):
        """T1: two calls at once have two tokens."""
        limiter, tokens = server.gate(), iter(["vps_first_secret", "vps_second_secret"])
        server.answer("GET", PATH, hold(json(403, {"detail": "vps_first_secret is no good"}), limiter))
        server.answer("GET", "/servers/8/", json(200, detail(8)))
        messages = []

        async with Client(lambda: next(tokens), base_url=server.base_url) as client:

            async def refused():
                with pytest.raises(PermissionDeniedError) as caught:
                    await client.servers.get(7)
                messages.append(caught.value.message)

            async with anyio.create_task_group() as group:
                group.start_soon(refused)
                await server.arrived()
                await client.servers.get(8)
                limiter.open()

        assert messages == ["[token] is no good"]

    async def test_one_that_hangs_is_bounded_by_the_call(self, server):
        """T1: and nothing was sent."""
        async with Client(asyncio_or_trio_forever, base_url=server.base_url, timeout=0.1) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.create(**SPEC)

        assert not caught.value.sent
        assert server.connections_total == 0


async def asyncio_or_trio_forever():
    await anyio.sleep_forever()


def quoting(status):
    quote = f"Bearer {TOKEN}"
    headers = {"WWW-Authenticate": quote, "X-Request-ID": quote, "Location": f"https://x.example/{TOKEN}/"}
    return text(status, f"unknown token: {quote}", headers=headers)


def half_a_body():
    whole = json(200, detail())
    return type(whole)(whole.data[:-20])


async def make(client, call):
    calls = {
        "get": lambda: client.servers.get(7),
        "create": lambda: client.servers.create(**SPEC),
        "reboot": lambda: client.servers.reboot(7),
        "request": lambda: client.request("POST", "/servers/", json={"password": "hunter2"}),
    }
    return await calls[call]()


class TestHost:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "elsewhere.example"},
            {"host": "127.0.0.1"},
            [("Host", "127.0.0.1:{port}"), ("HOST", "elsewhere.example")],
        ],
        ids=["another", "without its port", "both"],
    )
    async def test_a_request_for_another_host_has_no_token(self, server, headers):
        """T6: a `Host` header of one request of `client.http` leads behind the same address to somebody else."""
        server.answer("GET", "/x/", json(200, {}))
        if isinstance(headers, list):
            headers = [(name, value.format(port=server.port)) for name, value in headers]
        async with Client(TOKEN, base_url=server.base_url, retry=QUICK) as client:
            await client.http.get("/x/", headers=headers)
            await client.http.get("/x/")
            await client.http.get("/x/", headers={"host": f"127.0.0.1:{server.port}"})

        sent = [request.headers.get("authorization") for request in server.requests]
        assert sent == [None, f"Bearer {TOKEN}", f"Bearer {TOKEN}"]

    async def test_nor_has_a_client_whose_host_was_changed(self, server):
        """T6: for every call from then on."""
        server.answer("GET", "/servers/7/", json(200, detail(7)))
        async with Client(TOKEN, base_url=server.base_url, retry=QUICK) as client:
            client.http.headers["Host"] = "elsewhere.example"
            await client.servers.get(7)

        assert "authorization" not in server.requests[0].headers
