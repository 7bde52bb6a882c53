"""The token is shown nowhere: errors, tracebacks with locals, logs, events, pickles, requests, other hosts."""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import logging
import pickle
import signal
import socket
import subprocess
import sys
import traceback

import anyio
import httpx
import pytest

from tests.helpers import ROOT, detail
from tests.helpers_api import HangsClock, client_over
from tests.proxyserver import ProxyServer
from tests.rawserver import Hang, RawServer, certificates, closed_port, cut, drop, hang, json, raw, text
from vpsorg_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    Client,
    ConfigurationError,
    OutcomeUnknownError,
    PollPolicy,
    ResponseError,
    RetryPolicy,
    ServerError,
    VPSError,
    WaitTimeoutError,
)
from vpsorg_async._request.masked_token import Secret
from vpsorg_async._transport.types import MaskedBytes
from vpsorg_async.sandbox import Sandbox


TOKEN = "vps_9f8e7d6c5b4a3f2e"
QUICK = RetryPolicy(attempts=2, initial=0.005, maximum=0.01)
POLL = PollPolicy(minimum=0.1, maximum=0.1, grace=0.1)
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}

pytestmark = pytest.mark.anyio


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        yield running


def client_of(base_url, **options):
    return Client(TOKEN, base_url=base_url, **{"retry": QUICK, "timeout": 1.0, **options})


def family_of(error, seen=None):
    """Return *error* and all that led to it: causes, contexts, members of a group."""
    seen = [] if seen is None else seen
    if error is None or any(error is one for one in seen):
        return seen
    seen.append(error)
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        family_of(other, seen)
    return seen


def shown_by(error):
    """Return all that somebody may come to see of *error*: texts, attributes, tracebacks with locals, pickles."""
    shown = []
    for one in family_of(error):
        report = traceback.TracebackException(type(one), one, one.__traceback__, capture_locals=True)
        shown += [str(one), repr(one), repr(vars(one)), "".join(report.format(chain=True))]
        shown += [repr(list(part.items())) for part in vars(one).values() if isinstance(part, httpx.Headers)]
        shown.append("".join(traceback.format_exception(one)))
        if isinstance(one, VPSError):
            shown.append(pickle.dumps(one, protocol=0).decode("latin-1"))
            shown.append(pickle.dumps(one).decode("latin-1"))
    return "\n".join(shown)


def logged(caplog):
    """Return every record as its message, its arguments and its traceback."""
    formatter = logging.Formatter("%(name)s %(message)s")
    return "\n".join(f"{formatter.format(record)} {record.args!r}" for record in caplog.get_records("call"))


@pytest.fixture
def everything(caplog):
    """Log everything; give what takes down more that was seen, and poll at all of it at the end."""
    caplog.set_level(1)
    seen = []
    yield seen
    whole = "\n".join([*map(str, seen), logged(caplog)])
    assert seen
    assert TOKEN not in whole


def echo(request):
    """Quote the token as a careless API may: in the body, in a header and in a link."""
    bearer = request.headers["authorization"]
    headers = {"X-Request-ID": bearer, "X-Debug": bearer, "Location": f"/x/{bearer.replace(' ', '/')}"}
    return json(404 if request.path == "/servers/7/" else 401, {"detail": f"bad: {bearer}", "name": [bearer]}, headers)


OFF_THE_WIRE = {
    "404": (json(404, {"detail": "Not found."}), APIStatusError),
    "500": (json(500, {"detail": "no"}), ServerError),
    "echo": (echo, APIStatusError),
    "html": (text(200, "<html>", "text/html"), ResponseError),
    "echo in html": (lambda request: text(200, f"Hello {request.headers['authorization']}"), ResponseError),
    "redirect": (
        lambda request: json(302, {}, {"Location": f"http://other.example/{request.headers['authorization'][7:]}"}),
        ResponseError,
    ),
    "cut": (cut(json(200, detail(7)), 90), APIConnectionError),
    "drop": (drop(), APIConnectionError),
    "reset": (drop(reset=True), APIConnectionError),
    "hang": (hang(), APITimeoutError),
    "garbage": (raw(b"\x00\x01 this is not HTTP\r\n\r\n"), APIConnectionError),
    "echo in garbage": (
        lambda request: raw(f"{request.headers['authorization']}\r\n\r\n".encode()),
        APIConnectionError,
    ),
    "echo in a broken header": (
        lambda request: raw(f"HTTP/1.1 200 OK\r\n{request.headers['authorization']}\r\n\r\n".encode()),
        APIConnectionError,
    ),
    "too large": (
        text(200, gzip.compress(bytes(33 << 20)), "application/json", {"Content-Encoding": "gzip"}),
        ResponseError,
    ),
    "large headers": (json(200, {}, {f"X-{n}": "y" * 900 for n in range(80)}), ResponseError),
    "not gzip": (text(200, b"abc", "application/json", {"Content-Encoding": "gzip"}), ResponseError),
}


class TestErrors:
    @pytest.mark.parametrize(("answer", "kind"), OFF_THE_WIRE.values(), ids=OFF_THE_WIRE)
    async def test_no_error_off_the_wire_shows_it(self, server, everything, caplog, answer, kind):
        """T1: texts, attributes, tracebacks with locals, pickles, events and logs of every kind of error."""
        server.answer("GET", "/servers/7/", answer)

        async with client_of(server.base_url, on_event=everything.append) as client:
            with pytest.raises(kind) as caught:
                await client.servers.get(7)

        everything.append(shown_by(caught.value))
        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"

    async def test_what_an_api_quotes_is_masked(self, server, everything):
        """T1: the rest of the quotation is there to be read."""
        server.answer("GET", "/servers/7/", echo)

        async with client_of(server.base_url) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.servers.get(7)

        everything.append(shown_by(caught.value))
        assert caught.value.message == "bad: Bearer [token]"
        assert caught.value.request_id == "Bearer [token]"

    async def test_an_api_that_escapes_what_it_quotes(self, server):
        """T1: JSON may write a slash, a quote or any character in another way; the token is masked all the same."""
        token = 'vps_a/b"c\\d+9f8e7d6c'
        escaped = token.replace("\\", "\\\\").replace('"', '\\"').replace("/", "\\/").encode()
        server.answer("GET", "/servers/7/", text(401, b'{"detail":"bad: %s"}' % escaped, "application/json"))

        async with Client(token, base_url=server.base_url) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.servers.get(7)

        assert token not in str(caught.value)
        assert token not in caught.value.message
        assert token not in shown_by(caught.value)

    async def test_a_refused_connection(self, everything):
        """T1: where nobody listens."""
        with closed_port() as port:
            async with client_of(f"http://127.0.0.1:{port}/api/v1", on_event=everything.append) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.get(7)

        everything.append(shown_by(caught.value))

    @pytest.mark.parametrize("certificate", ["expired", "wrong_host", "unknown"])
    async def test_a_certificate_that_does_not_verify(self, everything, certificate):
        """T1: a TLS failure."""
        known = certificates()
        with RawServer(tls=getattr(known, certificate)) as server:
            async with client_of(server.base_url, ssl_context=known.trust, on_event=everything.append) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.get(7)

        everything.append(shown_by(caught.value))
        assert server.requests == []

    async def test_plain_text_in_place_of_tls(self, server, everything):
        """T1: a TLS handshake that ends in garbage."""
        base_url = server.base_url.replace("http://", "https://")
        async with client_of(base_url, on_event=everything.append, ssl_context=certificates().trust) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.servers.get(7)

        everything.append(shown_by(caught.value))

    @pytest.mark.parametrize("lost", [drop(), hang(), json(502, {}), text(201, "<html>")], ids=repr)
    async def test_a_lost_create(self, server, everything, lost):
        """T1: an unknown create, with all that led to it."""
        server.answer("POST", "/servers/", lost)
        server.answer("GET", "/servers/", echo)
        clock = HangsClock()

        client = client_over(server, clock, token=TOKEN, retry=QUICK, timeout=1.0, on_event=everything.append)
        async with client, anyio.create_task_group() as group:
            if isinstance(lost, Hang):
                group.start_soon(clock.end_what_arrives, server, "POST")
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.servers.create(**SPEC)
            group.cancel_scope.cancel()

        everything.append(shown_by(caught.value))

    async def test_a_lost_reboot(self, server, everything):
        """T1: an unknown reboot, with all that led to it."""
        server.answer("POST", "/servers/7/reboot/", drop())

        client = client_over(server, HangsClock(), token=TOKEN, retry=QUICK, timeout=1.0, on_event=everything.append)
        async with client:
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.servers.reboot(7)

        everything.append(shown_by(caught.value))

    async def test_a_wait_that_times_out(self, server, everything):
        """T1: a wait that has seen the wrong status, and failures in between."""
        server.answer("GET", "/servers/7/", [json(200, detail(7, status="starting")), echo_500, drop(), hang()])

        async with client_of(server.base_url, attempt_timeout=0.05, on_event=everything.append) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=0.1, poll=POLL)

        everything.append(shown_by(caught.value))

    async def test_a_closed_client(self, server, everything):
        """T1: after the end."""
        client = client_of(server.base_url)
        await client.aclose()

        with pytest.raises(APIConnectionError) as caught:
            await client.servers.get(7)

        everything += [shown_by(caught.value), repr(client), repr(vars(client))]


def echo_500(request):
    return json(500, {"detail": request.headers["authorization"]})


async def cancelled_when(ready, call, seen):
    """Cancel *call* when *ready* returns, and take down what its cancel shows."""
    async with anyio.create_task_group() as tasks:

        async def run():
            try:
                await call()
            except BaseException as error:
                seen.append(shown_by(error))
                raise

        tasks.start_soon(run)
        await ready()
        tasks.cancel_scope.cancel()


class TestCancels:
    @pytest.mark.parametrize(
        "answer",
        [
            hang(),
            raw(b"HTTP/1.1 200 OK\r\nX-A", close=False),
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", close=False),
        ],
        ids=["before the answer", "in its head", "in its body"],
    )
    async def test_a_cancel_in_mid_read(self, server, everything, answer):
        """T1: the traceback with locals of a cancel while a response is read."""
        server.answer("GET", "/servers/7/", answer)
        async with client_of(server.base_url, timeout=None) as client:

            async def ready():
                await server.arrived()
                await anyio.wait_all_tasks_blocked()

            await cancelled_when(ready, lambda: client.servers.get(7), everything)

        assert len(server.requests) == 1

    async def test_a_cancel_in_mid_send(self, everything):
        """T1: the same while a request is sent to somebody who does not read."""
        with contextlib.ExitStack() as sockets:
            listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
            base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"

            async def ready():
                await anyio.wait_readable(listener)
                accepted = sockets.enter_context(listener.accept()[0])
                await anyio.wait_readable(accepted)

            async with client_of(base_url, timeout=None) as client:
                body = {"name": "x" * (32 << 20)}
                await cancelled_when(ready, lambda: client.request("PUT", "/x/", json=body), everything)

    @pytest.mark.parametrize("method", ["get", "create"])
    async def test_a_timeout_of_the_callers_own(self, server, everything, method):
        """T1: what `fail_after` makes of a cancel keeps it as its context."""
        server.answer("GET", "/servers/7/", hang())
        server.answer("POST", "/servers/", hang())

        async with client_of(server.base_url, timeout=None, on_event=everything.append) as client:
            with pytest.raises(TimeoutError) as caught:
                with anyio.fail_after(0.1):
                    await (client.servers.get(7) if method == "get" else client.servers.create(**SPEC))

        everything.append(shown_by(caught.value))

    async def test_a_cancel_while_the_token_is_asked_for(self, server, everything):
        """T1: the frames of the token's callable do not come out with a cancel."""
        asked = anyio.Event()

        async def ask():
            secret = TOKEN
            asked.set()
            await anyio.sleep_forever()
            return secret

        async with Client(ask, base_url=server.base_url) as client:
            await cancelled_when(asked.wait, lambda: client.servers.get(7), everything)

        assert server.requests == []


async def raises_later():
    raise RuntimeError(f"cannot use {TOKEN}")


def raises_at_once():
    secret = TOKEN
    try:
        {}[secret]
    except KeyError as error:
        raise RuntimeError(f"cannot use {secret}") from error


BAD_CALLABLES = {
    "raises": (raises_at_once, "the token's callable raised RuntimeError"),
    "raises later": (raises_later, "the token's callable raised RuntimeError"),
    "a line end": (
        lambda: f"{TOKEN}\r\n",
        "the token has a space, a control character or one outside ASCII: it is not shown here",
    ),
    "bytes": (TOKEN.encode, "the token must be a str, not bytes"),
    "a tuple": (lambda: (TOKEN,), "the token must be a str, not tuple"),
}


class TestTokenCallable:
    @pytest.mark.parametrize(("ask", "message"), BAD_CALLABLES.values(), ids=BAD_CALLABLES)
    async def test_its_failures_show_nothing(self, server, everything, ask, message):
        """T1: neither its text, nor its frames, nor its bad answers."""
        async with Client(ask, base_url=server.base_url, on_event=everything.append) as client:
            with pytest.raises(ConfigurationError) as caught:
                await client.servers.get(7)

        everything.append(shown_by(caught.value))
        assert str(caught.value) == message
        assert server.requests == []

    async def test_a_good_one_is_as_secret_as_a_text(self, server, everything):
        """T1: an echo of what it gave is masked as well."""
        server.answer("GET", "/servers/7/", echo)

        async with Client(lambda: TOKEN, base_url=server.base_url, on_event=everything.append) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.servers.get(7)

        everything += [shown_by(caught.value), repr(client), repr(vars(client))]
        assert caught.value.message == "bad: Bearer [token]"


REFUSED = {
    "a space": {"token": f"{TOKEN} x"},
    "a line end": {"token": f"{TOKEN}\n"},
    "outside ASCII": {"token": f"{TOKEN}é"},
    "not a str": {"token": TOKEN.encode()},
    "a bad base_url": {"base_url": "https://"},
    "a bad proxy": {"proxy": f"ftp://user:{TOKEN}@x"},
    "a bad header": {"headers": {"X-A": f"{TOKEN}\n"}},
    "an Authorization": {"headers": {"Authorization": f"Bearer {TOKEN}"}},
    "a bad user agent": {"user_agent": f"{TOKEN}\n"},
    "a user in the URL": {"base_url": f"https://user:{TOKEN}@api.example/"},
    "a bad port": {"base_url": f"https://user:{TOKEN}@api.example:x/"},
    "no connections": {"max_connections": 0},
    "a bad on_event": {"on_event": 7},
}


class TestConstruction:
    @pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
    def test_a_refused_argument_is_not_shown(self, given):
        """T1: texts and pickles of the errors at construction."""
        with pytest.raises(ConfigurationError) as caught:
            Client(**{"token": TOKEN, **given})

        for one in family_of(caught.value):
            assert TOKEN not in f"{one} {one!r} {vars(one)}"
            assert TOKEN.encode() not in pickle.dumps(one)

    def test_our_own_frames_do_not_show_it(self, monkeypatch):
        """T1: the locals of the constructor, where the token is there but hidden."""
        monkeypatch.setenv("VPS_API_TOKEN", TOKEN)

        with pytest.raises(ConfigurationError) as caught:
            Client(max_connections=0)

        assert TOKEN not in shown_by(caught.value)

    def test_a_client_in_a_tracebacks_locals(self, server):
        """T1: the client and its parts, as a traceback with locals shows them."""

        def use(client):
            servers, http, view, listing = (
                client.servers,
                client.http,
                client.with_options(timeout=1),
                client.servers.list(),
            )
            # Begun, so that it does not warn that nobody has awaited it.
            aiter(listing)
            parts, inside = vars(client), [vars(part) for part in (http, servers, view) if hasattr(part, "__dict__")]
            raise ValueError(f"{servers} {http} {view} {listing} {parts!r} {inside!r}")

        with pytest.raises(ValueError, match="Client") as caught:
            use(client_of(server.base_url))

        assert TOKEN not in shown_by(caught.value)

    def test_a_client_cannot_be_pickled(self, server):
        """T1: its token does not get into a pickle."""
        into = io.BytesIO()

        with pytest.raises(Exception, match=r"pickle|serialize|local object|lambda") as caught:
            pickle.Pickler(into).dump(client_of(server.base_url))

        assert TOKEN.encode() not in into.getvalue()
        assert TOKEN not in str(caught.value)


class TestRequests:
    async def test_requests_hooks_and_answers_do_not_bear_it(self, server, everything):
        """T1: `response.request`, event hooks and their pickles."""
        server.answer("GET", "/servers/8/", echo)

        async def note(message):
            request = getattr(message, "request", message)
            everything.append(f"{request.headers.raw} {message.headers.raw} {request.extensions} {message.extensions}")

        async with client_of(server.base_url, on_event=everything.append) as client:
            client.http.event_hooks = {"request": [note], "response": [note]}
            answer = await client.request("GET", "/servers/7/")
            quoted = await client.http.get("/servers/8/")

        for response in (answer, quoted):
            everything.append(
                f"{response.request.headers.raw} {response.headers.raw} {response.content} {vars(response)}"
            )
            everything.append(pickle.dumps(response) + pickle.dumps(response.request))
        assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {TOKEN}"] * 2

    async def test_a_quotation_in_the_reason_phrase(self, server, everything):
        """T1: httpx logs the reason phrase, and `raise_for_status` shows it."""
        server.answer("GET", "/servers/7/", raw(f"HTTP/1.1 404 {TOKEN}\r\nContent-Length: 0\r\n\r\n".encode()))
        async with client_of(server.base_url) as client:
            answer = await client.http.get("/servers/7/")

        everything.append(f"{answer.reason_phrase} {answer.extensions}")
        assert answer.status_code == 404

    @pytest.mark.parametrize("follow", [False, True], ids=["by hand", "followed by httpx"])
    async def test_another_origin_never_gets_it(self, server, follow):
        """T1: neither by a redirect nor by `client.http`."""
        with RawServer() as other:
            other.answer("GET", "/x/", json(200, {}))
            server.answer("GET", "/away/", json(302, {}, {"Location": f"{other.base_url}/x/"}))
            async with client_of(server.base_url) as client:
                if follow:
                    answers = [await client.http.get("/away/", follow_redirects=True)]
                else:
                    answers = [await client.http.get(f"{other.base_url}/x/")]
                with pytest.raises(ResponseError):
                    await client.request("GET", "/away/")

        assert [answer.status_code for answer in answers] == [200]
        assert len(other.requests) == 1
        assert TOKEN not in repr(other.requests)

    async def test_a_modelled_call_is_not_redirected_to_another_origin(self, server):
        """T1: the other host never hears of the call."""
        with RawServer() as other:
            server.answer("GET", "/servers/7/", json(307, {}, {"Location": f"{other.base_url}/servers/7/"}))
            async with client_of(server.base_url) as client:
                with pytest.raises(ResponseError):
                    await client.servers.get(7)

        assert (len(server.requests), other.requests) == (1, [])

    async def test_the_links_of_a_list_do_not_lead_it_elsewhere(self, server):
        """T1: a `next` on another host is not asked with the token."""
        with RawServer() as other:
            following = f"{other.base_url}/servers/?page=2"
            server.answer("GET", "/servers/", json(200, {"count": 2, "next": following, "results": [detail(7)]}))
            async with client_of(server.base_url) as client:
                with contextlib.suppress(VPSError):
                    await client.servers.list()

        assert server.requests
        assert TOKEN not in repr(other.requests)

    async def test_a_proxy_sees_it_only_sealed(self, everything):
        """T1: with https, a proxy gets a CONNECT without it."""
        known = certificates()
        with RawServer(tls=known.valid) as server, ProxyServer() as proxy:
            server.answer("GET", "/servers/7/", json(200, detail(7)))
            async with client_of(server.base_url, ssl_context=known.trust, proxy=proxy.url, timeout=5) as client:
                await client.servers.get(7)

        everything.append(proxy.passed)
        assert [passed.method for passed in proxy.passed] == ["CONNECT"]
        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"

    @pytest.mark.parametrize("answer", ["404", "echo", "echo in html", "echo in garbage", "echo in a broken header"])
    async def test_what_is_logged_on_the_way_by_a_proxy_does_not_show_it(self, server, everything, caplog, answer):
        """T1: httpcore carries these calls, and logs the heads of responses, which may quote it."""
        reply, kind = OFF_THE_WIRE[answer]
        server.answer("GET", "/servers/7/", reply)

        with ProxyServer() as proxy:
            async with client_of(server.base_url, proxy=proxy.url, timeout=5) as client:
                with pytest.raises(kind) as caught:
                    await client.servers.get(7)

        everything.append(shown_by(caught.value))
        assert "httpcore" in logged(caplog)
        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


class TestSandbox:
    async def test_the_record_of_calls_does_not_hold_it(self, everything):
        """T1: what the sandbox tells of what was asked, and its objects."""
        sandbox = Sandbox(token=TOKEN, servers=2)
        sandbox.add_account(TOKEN[::-1], read_only=True)

        async with sandbox.client(on_event=everything.append) as client:
            await client.servers.list()
            await client.servers.create(**SPEC)
            with pytest.raises(APIStatusError) as caught:
                await client.servers.get(404)
        with pytest.raises(ValueError, match="opens an account") as twice:
            sandbox.add_account(TOKEN)

        everything += [sandbox.calls, sandbox, sandbox.app, sandbox.servers, shown_by(caught.value)]
        everything.append(twice.value)
        assert len(sandbox.calls) == 3

    async def test_the_served_one_prints_nothing_of_it(self):
        """T1: `python -m vpsorg_async.sandbox`, asked with the right token, a wrong one and garbage."""
        process = subprocess.Popen(  # noqa: ASYNC220 - its output is read line by line
            [sys.executable, "-m", "vpsorg_async.sandbox", "--port", "0", "--token", TOKEN],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            base_url, *exports = [process.stdout.readline().strip() for _ in range(3)]
            async with Client(TOKEN, base_url=base_url) as client, Client(f"{TOKEN}x", base_url=base_url) as wrong:
                servers = await client.servers.list()
                with pytest.raises(APIStatusError):
                    await client.request("POST", "/servers/", json={"name": TOKEN})
                with pytest.raises(AuthenticationError):
                    await wrong.servers.list()
        finally:
            process.send_signal(signal.SIGINT)
            output = "".join(process.communicate(timeout=120))

        assert servers == []
        assert process.returncode == 0
        assert exports[0] == f"export VPS_API_URL={base_url}"
        assert TOKEN not in base_url + "".join(exports) + output


class TestSecretBytes:
    @pytest.mark.parametrize("secret", [Secret(b"Bearer " + TOKEN.encode()), MaskedBytes(TOKEN.encode())], ids=repr)
    def test_no_text_copy_or_pickle_of_them_shows_them(self, secret):
        """T6: `str()`, f-strings, `%s`, and what a pickle would carry elsewhere."""
        shown = f"{secret} {secret!s} {secret!r} {secret:>30} {[secret]}" + "%s %r" % (secret, secret)  # noqa: UP031
        copies = [copy.copy(secret), copy.deepcopy({"headers": [secret]})]
        pickles = [pickle.dumps(secret, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]

        assert TOKEN not in f"{shown} {copies} {pickles}"
        assert TOKEN.encode() not in b"".join(pickles)
        assert secret.endswith(TOKEN.encode())
