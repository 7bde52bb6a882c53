"""What is tried again, how often, and what never is."""

from __future__ import annotations

import socket
import ssl

import anyio
import httpx
import pytest

from tests.helpers import action, detail
from tests.helpers_api import AttemptsClock, client_over
from tests.rawserver import (
    Bytes,
    Hang,
    RawServer,
    certificates,
    chunked,
    close_delimited,
    closed_port,
    cut,
    drip,
    drop,
    hang,
    hold,
    json,
    text,
)
from tests.request.calls import make
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    NotFoundError,
    OutcomeUnknownError,
    ServerError,
    StateConflictError,
)


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.001, maximum=0.001)
PATH = "/servers/7/"
GOOD = json(200, detail())
SHORT = {"id": 7, "name": "a", "status": "active"}


def client_of(server, **options):
    return Client("vps_test_token", base_url=server.base_url, **{"retry": QUICK, **options})


def in_two_chunks(data):
    body = json(200, data).data.partition(b"\r\n\r\n")[2]
    return chunked(200, [body[:10], body[10:]], {"Connection": "keep-alive"})


class TestGet:
    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param(json(500, {}), id="500"),
            pytest.param(text(502, "<html>Bad Gateway</html>", "text/html"), id="502"),
            pytest.param(json(503, {}), id="503"),
            pytest.param(json(503, {}, {"Retry-After": "0"}), id="503 Retry-After"),
            pytest.param(json(504, {}), id="504"),
            pytest.param(json(408, {}), id="408"),
            pytest.param(json(429, {}), id="429"),
            pytest.param(json(429, {}, {"Retry-After": "0"}), id="429 Retry-After"),
            pytest.param(hang(), id="hang"),
            pytest.param(drop(), id="no byte"),
            pytest.param(drop(reset=True), id="reset"),
        ],
    )
    async def test_it_is_tried_again_and_the_caller_sees_one_good_answer(self, server, bad):
        """R1: any trouble that passes is not the caller's."""
        server.answer("GET", PATH, [bad, bad, GOOD])

        clock = AttemptsClock()
        client = client_over(server, clock, retry=QUICK, attempt_timeout=clock.ATTEMPT)
        async with client, anyio.create_task_group() as group:
            if isinstance(bad, Hang):
                group.start_soon(clock.end_attempts_that_arrived, server, 2)
            found = await client.servers.get(7)

        assert found.to_dict() == detail()
        assert len(server.requests) == 3

    @pytest.mark.heavy
    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    @pytest.mark.parametrize("reply", [json(200, SHORT), in_two_chunks(SHORT)], ids=["Content-Length", "chunked"])
    async def test_a_response_cut_at_any_byte_is_asked_for_again(self, server, reply, reset):
        """R1: status line, headers, body, chunk: wherever the response ends, it is not taken for whole."""
        async with client_of(server) as client:
            for at in range(len(reply.data)):
                server.answer("GET", PATH, [cut(reply, at, reset=reset), reply])
                assert (await client.servers.get(7)).to_dict() == SHORT, at

        assert len(server.requests) == 2 * len(reply.data)

    async def test_a_body_that_stalls_is_given_up_by_the_attempt(self, server):
        """R1: a body that drips for ever is a hang."""
        stalls = hold(GOOD, server.gate())
        server.answer("GET", PATH, [stalls, GOOD])

        clock = AttemptsClock()
        client = client_over(server, clock, retry=QUICK, attempt_timeout=clock.ATTEMPT)
        async with client, anyio.create_task_group() as group:
            group.start_soon(clock.end_attempts_that_arrived, server, 1)
            assert (await client.servers.get(7)).id == 7

    async def test_a_response_that_drips_within_its_time_is_read(self, server):
        """R1: slow is not broken."""
        server.answer("GET", PATH, drip(GOOD, 7))

        async with client_of(server) as client:
            found = await client.servers.get(7)

        assert found.to_dict() == detail()
        assert len(server.requests) == 1

    async def test_the_policy_bounds_the_attempts_and_the_last_answer_is_the_error(self, server):
        """R1: within the policy."""
        server.answer("GET", PATH, json(500, {"detail": "database is locked"}))

        async with client_of(server) as client:
            with pytest.raises(ServerError) as caught:
                await client.servers.get(7)

        assert str(caught.value) == "GET /servers/7/ was answered 500: database is locked"
        assert caught.value.attempts == len(server.requests) == 4

    async def test_without_a_response_the_error_says_how_often_it_was_tried(self, server):
        """R1: no response at all is a connection error that says whether it may have been carried out."""
        server.answer("GET", PATH, drop())

        async with client_of(server) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.servers.get(7)

        assert str(caught.value) == (
            f"GET /servers/7/: no response from 127.0.0.1:{server.port}: "
            "Server disconnected without sending a response. (4 attempts)"
        )
        assert caught.value.sent
        assert len(server.requests) == 4

    async def test_each_retry_is_told(self, server):
        """R1: the caller need not know, but can."""
        server.answer("GET", PATH, [json(500, {}), json(429, {}, {"Retry-After": "0"}), GOOD])
        events = []

        async with client_of(server, on_event=events.append) as client:
            await client.servers.get(7)

        assert [(event.name, event.fields["reason"]) for event in events[1:-1]] == [
            ("call.attempt", "answered 500"),
            ("call.paused", "answered 429"),
            ("call.attempt", "answered 429"),
        ]


class TestNotSent:
    @pytest.mark.parametrize("call", ["create", "reboot", "start", "delete", "request"])
    async def test_a_connection_closed_in_the_handshake_is_tried_again_whatever_the_method(self, call):
        """R2: before any byte of the request left, a create may be sent again."""
        with RawServer(tls=certificates().valid) as server:
            answer_all(server)
            server.refuse_first(2)
            async with client_of(server, ssl_context=certificates().trust) as client:
                await make(client, call)

            assert len(server.requests) == 1

    @pytest.mark.parametrize("call", ["create", "reboot", "start", "delete", "request"])
    async def test_a_refused_connection_ends_as_not_sent(self, call):
        """R2: connection refused, tried to the end of the policy: nothing was carried out."""
        events = []
        with closed_port() as port:
            client = Client("t", base_url=f"http://127.0.0.1:{port}", retry=QUICK, on_event=events.append)
            async with client:
                with pytest.raises(APIConnectionError) as caught:
                    await make(client, call)

        assert not caught.value.sent
        assert str(caught.value).endswith("(4 attempts)")
        assert [event.name for event in events[1:-1]] == ["call.attempt"] * 3

    @pytest.mark.parametrize("call", ["create", "reboot"])
    async def test_a_port_that_opens_in_the_meantime_is_reached(self, call):
        """R2: the retry after a refusal goes through, once."""
        with RawServer() as server:
            answer_all(server)
            with closed_port() as port:
                origin = f"http://127.0.0.1:{port}/api/v1"
                client = Client("t", base_url=origin, retry=QUICK, transport=Moving(port, server.port))
                async with client:
                    await make(client, call)

            assert len(server.requests) == 1

    async def test_a_name_that_does_not_resolve_is_tried_again(self):
        """R2: DNS failure."""
        events = []
        async with Client("t", base_url="https://nowhere.invalid", retry=QUICK, on_event=events.append) as client:
            with pytest.raises(APIConnectionError) as caught:
                await make(client, "create")

        assert not caught.value.sent
        assert [event.fields["number"] for event in events if event.name == "call.attempt"] == [2, 3, 4]

    @pytest.mark.parametrize("which", ["expired", "wrong_host", "unknown"])
    @pytest.mark.parametrize("call", ["get", "create"])
    async def test_a_certificate_that_does_not_verify_is_said_plainly_and_not_tried_again(self, which, call):
        """R2: it will not verify the next time either."""
        events = []
        with RawServer(tls=getattr(certificates(), which)) as server:
            client = client_of(server, ssl_context=certificates().trust, on_event=events.append)
            async with client:
                with pytest.raises(APIConnectionError, match="the server's certificate does not verify: ") as caught:
                    await make(client, call)

            assert server.connections_total == 1
        assert not caught.value.sent
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert [event.fields.get("attempts") for event in events] == [None, 1]

    async def test_garbage_in_place_of_a_handshake_is_tried_again(self, server):
        """R2: a server that does not speak TLS."""
        url = server.base_url.replace("http://", "https://")
        async with Client("t", base_url=url, retry=QUICK, attempt_timeout=0.1) as client:
            with pytest.raises(APIConnectionError) as caught:
                await make(client, "create")

        assert not caught.value.sent
        assert server.requests == []


class TestStartAndStop:
    @pytest.mark.parametrize("command", ["start", "stop"])
    @pytest.mark.parametrize("lost", [drop(), cut(json(200, action()), 30), json(503, {})])
    async def test_it_is_sent_again(self, server, command, lost):
        """R5: the API refuses a second one by itself."""
        server.answer("POST", f"{PATH}{command}/", [lost, json(200, action(status="whatever"))])

        async with client_of(server) as client:
            assert (await make(client, command)).server.status == "whatever"

        assert [request.method for request in server.requests] == ["POST", "POST"]

    @pytest.mark.parametrize(
        ("command", "status"), [("start", "starting"), ("start", "active"), ("stop", "stopping"), ("stop", "stopped")]
    )
    async def test_a_400_to_the_repeat_is_success_if_a_poll_shows_it(self, server, command, status):
        """R5: in the transition, or at the goal."""
        server.answer("POST", f"{PATH}{command}/", [drop(), json(400, {"error": "Server is not stopped"})])
        server.answer("GET", PATH, json(200, detail(status=status)))

        async with client_of(server) as client:
            done = await make(client, command)

        assert (done.status, done.message, done.server.status) == ("success", "Server is not stopped", status)
        assert [request.method for request in server.requests] == ["POST", "POST", "GET"]

    @pytest.mark.parametrize(
        ("command", "status"), [("start", "stopped"), ("start", "suspended"), ("stop", "active"), ("stop", "rebooting")]
    )
    async def test_a_400_to_the_repeat_is_a_conflict_if_a_poll_does_not_show_it(self, server, command, status):
        """R5: neither in the transition nor at the goal."""
        server.answer("POST", f"{PATH}{command}/", [drop(), json(400, {"error": "no"})])
        server.answer("GET", PATH, json(200, detail(status=status)))

        async with client_of(server) as client:
            with pytest.raises(StateConflictError) as caught:
                await make(client, command)

        assert caught.value.message == "no"
        assert len(server.requests_to("GET")) == 1

    @pytest.mark.parametrize("before", [None, json(429, {}, {"Retry-After": "0"})], ids=["at once", "after a 429"])
    async def test_a_first_400_is_a_conflict_without_a_poll(self, server, before):
        """R5: nothing was lost before it."""
        refused = json(400, {"error": "Server is already active"})
        server.answer("POST", f"{PATH}start/", [before, refused] if before else refused)

        async with client_of(server) as client:
            with pytest.raises(StateConflictError):
                await client.servers.start(7)

        assert server.requests_to("GET") == []

    async def test_a_poll_that_gets_no_response_raises_its_own_error(self, server):
        """R5: which says that the start may have been carried out."""
        server.answer("POST", f"{PATH}start/", [drop(), json(400, {"error": "no"})])
        server.answer("GET", PATH, drop())

        async with client_of(server) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.servers.start(7)

        assert caught.value.sent
        assert caught.value.request_summary == "GET /servers/7/"

    async def test_a_poll_that_finds_no_time_says_so(self, server):
        """R5: the poll is within the time of the call."""
        server.answer("POST", f"{PATH}start/", [drop(), json(400, {"error": "no"})])
        server.answer("GET", PATH, hang())

        async with client_of(server, timeout=0.3) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.start(7)

        assert caught.value.sent

    async def test_a_poll_that_is_refused_raises_that(self, server):
        """R5: 404 to the poll."""
        server.answer("POST", f"{PATH}stop/", [drop(), json(400, {"error": "no"})])

        async with client_of(server) as client:
            with pytest.raises(NotFoundError):
                await client.servers.stop(7)

    async def test_a_400_that_blames_a_field_is_no_conflict(self, server):
        """R5: then it is not about the status."""
        server.answer("POST", f"{PATH}start/", json(400, {"force": ["Unknown field."]}))

        async with client_of(server) as client:
            with pytest.raises(BadRequestError) as caught:
                await client.servers.start(7)

        assert type(caught.value) is BadRequestError


class TestFinal:
    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 451, 501])
    @pytest.mark.parametrize("call", ["get", "update", "delete", "request"])
    async def test_it_is_never_tried_again(self, server, status, call):
        """R10: what was refused is refused."""
        for method in ("GET", "PATCH", "DELETE", "POST"):
            for path in (PATH, "/anything/"):
                server.answer(method, path, json(status, {"detail": "no"}))

        async with client_of(server) as client:
            with pytest.raises(APIStatusError) as caught:
                await make(client, call)

        assert caught.value.status_code == status
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 422])
    @pytest.mark.parametrize("call", ["create", "reboot", "start"])
    async def test_a_refused_post_is_neither_sent_again_nor_polled(self, server, status, call):
        """R10: 409 to a POST too."""
        for path in ("/servers/", f"{PATH}reboot/", f"{PATH}start/"):
            server.answer("POST", path, json(status, {"detail": "no"}))
        tries = 4 if (status, call) == (408, "start") else 1

        async with client_of(server) as client:
            with pytest.raises(APIStatusError) as caught:
                await make(client, call)

        assert caught.value.status_code == status
        assert len(server.requests) == tries

    async def test_a_refusal_whose_explanation_was_cut_off_is_a_refusal(self, server):
        """R10: the status came whole; the create was not made, and is not polled for."""
        refusal = json(402, {"detail": "Insufficient credits for this plan."})
        server.answer("POST", "/servers/", cut(refusal, -10))

        async with client_of(server) as client:
            with pytest.raises(APIStatusError) as caught:
                await make(client, "create")

        assert caught.value.status_code == 402
        assert len(server.requests) == 1


class TestTime:
    """Every one soon after its time: ten seconds are more than a busy machine stops for, and less than an attempt."""

    async def ends(self, client, call, timeout, error=APITimeoutError):
        with anyio.fail_after(timeout + 10), pytest.raises(error) as caught:
            await make(client, call)
        assert type(caught.value) is error
        return caught.value

    @pytest.mark.parametrize("call", ["get", "create", "reboot"])
    async def test_it_passes_while_connecting(self, call):
        """R16: nobody accepts, and nothing was sent."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            queued = [socket.socket() for _ in range(4)]
            for waiting in queued:
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            async with Client("t", base_url=url, timeout=0.3, retry=QUICK) as client:
                error = await self.ends(client, call, 0.3)
            for waiting in queued:
                waiting.close()

        assert not error.sent
        assert "no response within " in str(error)

    @pytest.mark.parametrize("call", ["get", "create", "reboot"])
    async def test_it_passes_in_the_handshake(self, call):
        """R16: a peer that accepts and says nothing."""
        with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}"
            async with Client("t", base_url=url, timeout=0.3, ssl_context=certificates().trust) as client:
                error = await self.ends(client, call, 0.3)

        assert not error.sent

    @pytest.mark.parametrize("call", ["get", "create", "reboot"])
    async def test_it_passes_in_the_wait_for_a_turn(self, server, call):
        """R16: another call holds the only connection."""
        limiter = server.gate()
        server.answer("GET", "/servers/8/", hold(json(200, detail(8)), limiter))

        async with client_of(server, max_connections=1, timeout=20) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.get, 8)
            await server.arrived()
            error = await self.ends(client.with_options(timeout=0.2), call, 0.2)
            limiter.open()

        assert not error.sent
        assert len(server.requests) == 1

    async def test_it_passes_in_the_body(self, server):
        """R16: the headers came, the rest does not."""
        head, _, body = GOOD.data.partition(b"\r\n\r\n")
        server.answer("GET", PATH, Bytes(head + b"\r\n\r\n" + body[:20]))

        async with client_of(server, timeout=0.3) as client:
            error = await self.ends(client, "get", 0.3)

        assert error.sent

    async def test_it_passes_in_a_pause_between_attempts(self, server):
        """R16: the error says what the last attempt met."""
        server.answer("GET", PATH, json(500, {}))
        pause = RetryPolicy(initial=1000, maximum=1000)

        async with client_of(server, timeout=1, retry=pause) as client:
            error = await self.ends(client, "get", 1)

        assert str(error) == (
            "GET /servers/7/: no response within timeout=1 s: pausing before it asks "
            f"127.0.0.1:{server.port} again (the last attempt: answered 500)"
        )

    async def test_it_passes_in_a_pause_that_others_were_told(self, server):
        """R16: the pause after a 429 is everybody's; the time is each call's own."""
        server.answer("GET", PATH, json(429, {}, {"Retry-After": "30"}))
        server.answer("GET", "/servers/8/", json(200, detail(8)))

        async with client_of(server, timeout=60) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.get, 7)
            await server.arrived()
            with anyio.fail_after(60), pytest.raises(APITimeoutError) as caught:
                while True:
                    await client.servers.get(8, timeout=0.2)
            group.cancel_scope.cancel()

        assert not caught.value.sent

    @pytest.mark.parametrize("call", ["create", "reboot"])
    async def test_it_passes_after_a_create_or_reboot_left(self, server, call):
        """R16: then it is unknown what became of it."""
        server.answer("POST", "/servers/", hang())
        server.answer("POST", f"{PATH}reboot/", hang())
        server.answer("GET", "/servers/", hang())
        server.answer("GET", PATH, hang())

        async with client_of(server, timeout=0.6) as client:
            await self.ends(client, call, 0.6, OutcomeUnknownError)

        assert len(server.requests_to("POST")) == 1

    async def test_zero_is_over_before_anything_is_sent(self, server):
        """R16: timeout=0."""
        async with client_of(server, timeout=0) as client:
            error = await self.ends(client, "get", 0)

        assert not error.sent
        assert server.requests == []


class TestIdleConnections:
    @pytest.mark.parametrize("call", ["get", "create", "reboot", "start", "request"])
    async def test_one_that_the_server_closed_is_not_used_again(self, server, call):
        """R18: the EOF is seen before a byte is written, so that a POST goes through at once."""
        answer_all(server)
        events = []

        async with client_of(server, on_event=events.append) as client:
            await client.servers.get(7)
            await client.servers.get(7)
            server.close_idle()
            await make(client, call)

        assert [request.connection for request in server.requests] == [1, 1, 2]
        assert "call.attempt" not in [event.name for event in events]

    @pytest.mark.parametrize("call", ["get", "create"])
    async def test_one_over_tls_that_the_server_closed(self, call):
        """R18: the same under TLS, where a goodbye lies in the socket."""
        events = []
        with RawServer(tls=certificates().valid) as server:
            answer_all(server)
            async with client_of(server, ssl_context=certificates().trust, on_event=events.append) as client:
                await client.servers.get(7)
                server.close_idle()
                await make(client, call)

            assert [request.connection for request in server.requests] == [1, 2]
        assert "call.attempt" not in [event.name for event in events]

    async def test_one_that_ended_with_its_response(self, server):
        """R18: a response that says `Connection: close`, or whose end is the connection's."""
        server.answer("GET", PATH, [close_delimited(200, GOOD.data.partition(b"\r\n\r\n")[2]), GOOD])

        async with client_of(server) as client:
            first, second = await client.servers.get(7), await client.servers.get(7)

        assert first == second
        assert [request.connection for request in server.requests] == [1, 2]


def answer_all(server):
    server.answer("GET", PATH, GOOD)
    server.answer("POST", "/servers/", json(201, detail(8, status="provisioning")))
    server.answer("POST", "/anything/", json(200, {}))
    server.answer("DELETE", PATH, json(204, None))
    for command in ("start", "stop", "reboot"):
        server.answer("POST", f"{PATH}{command}/", json(200, action()))


class Moving(httpx.AsyncBaseTransport):
    """A transport that reaches for one port the first time, and for another ever after."""

    def __init__(self, first, then):
        self._ports = [first]
        self._then = then
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request):
        port = self._ports.pop() if self._ports else self._then
        moved = httpx.Request(
            request.method,
            request.url.copy_with(port=port),
            headers=request.headers,
            stream=request.stream,
        )
        return await self._inner.handle_async_request(moved)

    async def aclose(self):
        await self._inner.aclose()
