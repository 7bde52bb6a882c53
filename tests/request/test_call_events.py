"""Each call is told from its begin to its end, whatever becomes of it, and costs nothing when nobody listens."""

from __future__ import annotations

import contextlib
import re

import anyio
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import action, detail, listed, page
from tests.helpers_api import QUICK, SPEC, FakeAPI, client_of
from tests.helpers_events import Heard
from tests.helpers_fleet import until
from tests.rawserver import RawServer, drop, hang, json, raw
from tests.sharing import Scripted, scripted_client_of
from vpsorg_async import (
    AuthenticationError,
    Client,
    ClientClosedError,
    ConfigurationError,
    NotFoundError,
    OutcomeUnknownError,
    PollPolicy,
    RateLimitError,
    VPSError,
)
from vpsorg_async._request.call import Call, RetrySafety
from vpsorg_async._request.call_events import template_of
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

SECRET = "vps_5ecre7token"
IDLE = {"wait": None, "fleet": None}


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7), {"X-Request-ID": "req-1"}))
        yield running


@pytest.fixture
def api(server):
    return FakeAPI(server)


def times_of(heard):
    """Return what the last call has ended with, of what the clock and the API say."""
    ended = heard.of("call.ended")[-1]
    return {name: ended[name] for name in ("status", "attempts", "seconds", "queued", "sent", "outcome")}


class TestACall:
    async def test_a_call_is_told_with_what_came_of_it(self, server):
        """I8: its begin and its end, with the figures of its attempt."""
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            await client.servers.get(7)

        heard.check()
        began, ended = heard.of("call.began")[0], dict(heard.one("call.ended"))
        its = {"call": began["call"], **IDLE, "method": "GET", "template": "/servers/{id}/", "server": 7}
        assert began == its
        assert ended.pop("seconds") >= ended.pop("queued") >= 0
        assert ended == {
            **its, "status": 200, "attempts": 1, "sent": True, "request_id": "req-1", "outcome": "done"
        }  # fmt: skip

    async def test_its_figures_are_those_of_the_clock(self):
        """I8: two attempts of 3 s with a pause of 5 s, at a client that lets one call at a time onto the wire."""
        answers = {1: (3, 503, {}, {"Retry-After": "5"}), 2: (3, 200, detail(7))}
        transport = Scripted(lambda _method, _path, number: answers.get(number, (2, 200, detail(8))))
        heard, clock = Heard(), transport.clock

        async with scripted_client_of(transport, on_event=heard, max_connections=1) as client:
            await client.servers.get(7)

        heard.check()
        assert times_of(heard) == {
            "status": 200, "attempts": 2, "seconds": clock.now(), "queued": 0, "sent": True, "outcome": "done"
        }  # fmt: skip
        assert clock.now() >= 11
        assert heard.one("call.paused")["whose"] == "this call"
        assert heard.one("call.paused")["seconds"] == clock.now() - 6

    async def test_one_that_waited_for_its_turn_says_how_long(self):
        """I8: the second of two calls, of 4 s each, at a client that lets one at a time onto the wire."""
        transport, heard = Scripted(lambda *_: (4, 200, detail(7))), Heard()

        async with (
            scripted_client_of(transport, on_event=heard, max_connections=1) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(client.servers.get, 7)
            group.start_soon(client.servers.get, 7)

        heard.check()
        assert [(one["queued"], one["seconds"]) for one in heard.of("call.ended")] == [(0, 4), (4, 8)]

    async def test_a_create_that_waited_for_its_name_says_how_long(self):
        """I8: another create of the name, which takes 4 s, is a queue too."""
        made = iter(range(8, 10))
        transport = Scripted(lambda *_: (4, 201, detail(next(made), name="web-02")))
        heard = Heard()

        async with scripted_client_of(transport, on_event=heard) as client, anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(lambda: client.servers.create(**SPEC))

        heard.check()
        ends = [(one["queued"], one["seconds"], one["server"]) for one in heard.of("call.ended")]
        assert ends == [(0, 4, 8), (4, 8, 9)]

    @pytest.mark.parametrize(
        ("asked", "reply", "make", "told"),
        [
            ("GET /servers/", page(listed(7)), lambda client: client.servers.list().all(), ("/servers/", None)),
            ("POST /servers/", detail(9), lambda client: client.servers.create(**SPEC), ("/servers/", 9)),
            ("PATCH /servers/7/", detail(7), lambda client: client.servers.update(7, name="b"), ("/servers/{id}/", 7)),
            (
                "POST /servers/a/stop/",
                action("a"),
                lambda client: client.servers.stop("a"),
                ("/servers/{id}/stop/", "a"),
            ),
            ("GET /keys/3/", {}, lambda client: client.request("GET", "/keys/3/?a=b"), ("/keys/{id}/", None)),
            ("GET /keys/3/", {}, lambda client: client.http.get("/keys/3/?a=b"), ("/api/v1/keys/{id}/", None)),
        ],
    )
    async def test_each_kind_of_call_has_its_template(self, server, asked, reply, make, told):
        """I8: with placeholders, so that metrics have few series."""
        method, path = asked.split()
        server.answer(method, path, json(200, reply))
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            await make(client)

        heard.check()
        ended = heard.one("call.ended")
        assert (ended["method"], ended["template"], ended["server"]) == (method, *told)
        assert (ended["outcome"], ended["sent"]) == ("done", True)


class TestEnds:
    """Each call that began has exactly one end. `Heard.check` holds that."""

    async def test_a_retried_one(self, server):
        """I8: each attempt after the first with its number and the reason for it."""
        server.answer("GET", "/servers/7/", [json(500, {}), drop(), json(200, detail(7))])
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            await client.servers.get(7)

        heard.check()
        [second, third] = heard.of("call.attempt")
        assert (second["number"], second["reason"]) == (2, "answered 500")
        assert third["number"] == 3
        assert third["reason"].startswith("no response from 127.0.0.1")
        assert heard.one("call.ended")["attempts"] == 3

    @pytest.mark.parametrize(
        ("status", "error", "sent"), [(404, NotFoundError, False), (401, AuthenticationError, False)]
    )
    async def test_a_refused_one(self, server, status, error, sent):
        """I8: its status, and the class of the error that the caller gets."""
        server.answer("GET", "/servers/7/", json(status, {}))
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            with pytest.raises(error):
                await client.servers.get(7)

        heard.check()
        ended = heard.one("call.ended")
        assert (ended["status"], ended["outcome"], ended["sent"]) == (status, error.__name__, sent)

    async def test_a_cancelled_one_on_the_wire(self, server):
        """I8: no status, and it may have been executed."""
        server.answer("POST", "/servers/7/start/", hang())
        heard = Heard()

        async with client_of(server, on_event=heard) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.start, 7)
            await server.arrived(1, "POST")
            group.cancel_scope.cancel()

        heard.check()
        ended = heard.one("call.ended")
        assert (ended["status"], ended["outcome"], ended["sent"], ended["attempts"]) == (None, "cancelled", True, 1)

    async def test_a_cancelled_one_in_the_queue(self):
        """I8: it was not sent, and has waited until then."""
        transport, heard = Scripted(lambda *_: (9, 200, detail(7))), Heard()

        async with (
            scripted_client_of(transport, on_event=heard, max_connections=1) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(client.servers.get, 7)
            await until(lambda: transport.asked)
            with transport.clock.move_on_after(4):
                await client.servers.start(8)

        heard.check()
        [first, second] = heard.of("call.ended")
        assert (first["outcome"], first["queued"], first["sent"], first["attempts"]) == ("cancelled", 4, False, 0)
        assert second["outcome"] == "done"

    async def test_one_whose_create_waits_for_its_name_is_cancelled(self):
        """I8: the same, one queue further up."""
        transport, heard = Scripted(lambda *_: (9, 201, detail(8, name="web-02"))), Heard()

        async with scripted_client_of(transport, on_event=heard) as client, anyio.create_task_group() as group:
            group.start_soon(lambda: client.servers.create(**SPEC))
            await until(lambda: transport.asked)
            with transport.clock.move_on_after(4):
                await client.servers.create(**SPEC)

        heard.check()
        first = heard.of("call.ended")[0]
        assert (first["outcome"], first["queued"], first["sent"], first["attempts"]) == ("cancelled", 4, False, 0)

    async def test_one_that_its_time_ended_in_a_pause(self, server):
        """I8: the status is the one of the last attempt."""
        server.answer("POST", "/servers/", json(429, {}, {"Retry-After": "30"}))
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            with pytest.raises(RateLimitError):
                await client.with_options(timeout=20).servers.create(**SPEC)

        heard.check()
        ended = heard.one("call.ended")
        assert (ended["status"], ended["attempts"], ended["sent"]) == (429, 1, False)

    @pytest.mark.parametrize("where", ["on the wire", "before"])
    async def test_one_of_a_closed_client(self, server, where):
        """I8: closing a client ends its calls, and refuses others."""
        server.answer("GET", "/servers/8/", hang())
        heard = Heard()
        client = client_of(server, on_event=heard)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                if where == "on the wire":
                    group.start_soon(expect, ClientClosedError, client.servers.get, 8)
                    await server.arrived()
                await client.aclose()
            await expect(ClientClosedError, client.servers.get, 7)

        heard.check()
        assert {one["outcome"] for one in heard.of("call.ended")} <= {"ClientClosedError"}
        assert [one["attempts"] for one in heard.of("call.ended")] == ([1, 0] if where == "on the wire" else [0])

    async def test_one_without_a_token(self, server):
        """I8: the token's callable raised, and nothing was sent."""
        heard = Heard()

        def token():
            raise ZeroDivisionError

        async with Client(token, base_url=server.base_url, on_event=heard) as client:
            with pytest.raises(ConfigurationError):
                await client.servers.get(7)

        heard.check()
        ended = heard.one("call.ended")
        assert (ended["attempts"], ended["sent"], ended["outcome"]) == (0, False, "ConfigurationError")

    async def test_one_that_a_hook_ended(self, server):
        """I8: the response came, and the caller got the hook's error."""
        heard = Heard()

        async def failing(_response):
            raise ZeroDivisionError

        async with client_of(server, on_event=heard) as client:
            client.http.event_hooks["response"] = [failing]
            with pytest.raises(ZeroDivisionError):
                await client.servers.get(7)

        heard.check()
        assert (heard.one("call.ended")["status"], heard.one("call.ended")["outcome"]) == (200, "ZeroDivisionError")

    async def test_one_with_another_token_after_a_401(self, server):
        """I8: asking again with another token is an attempt with a reason."""
        server.answer("GET", "/servers/7/", [json(401, {}), json(200, detail(7))])
        heard, tokens = Heard(), iter(["vps_old", "vps_new"])

        async with Client(lambda: next(tokens), base_url=server.base_url, on_event=heard) as client:
            await client.servers.get(7)

        heard.check()
        assert heard.one("call.attempt")["reason"] == "answered 401"

    async def test_a_lost_create_ends_when_it_is_settled(self, server, api):
        """I8: finding out what became of it is a part of the call, and has no events of its own."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            made = await client.servers.create(**SPEC)

        heard.check()
        assert heard.names == ["call.began", "create.reconciled", "call.ended"]
        ended = heard.one("call.ended")
        assert (ended["server"], ended["outcome"], ended["status"], ended["sent"]) == (made.id, "done", None, True)

    async def test_a_lost_create_of_which_nobody_knows(self, server):
        """I8: the error that the caller gets, and not what happened on the way there."""
        server.answer("POST", "/servers/", drop())
        server.answer("GET", "/servers/", json(500, {}))
        heard = Heard()

        async with client_of(server, on_event=heard, timeout=2) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.servers.create(**SPEC)

        heard.check()
        assert (heard.one("call.ended")["outcome"], heard.one("call.ended")["sent"]) == ("OutcomeUnknownError", True)

    @pytest.mark.parametrize("how", ["delete", "request"])
    async def test_a_delete_whose_repeat_finds_nothing(self, server, how):
        """I8: a success, also as an event."""
        server.answer("DELETE", "/servers/7/", [drop(), json(404, {})])
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            await (client.servers.delete(7) if how == "delete" else client.request("DELETE", "/servers/7/"))

        heard.check()
        assert (heard.one("call.ended")["outcome"], heard.one("call.ended")["attempts"]) == ("done", 2)

    @pytest.mark.parametrize("reply", [raw(b"HTTP/1.1 204 No Content\r\n\r\n", close=False), json(202, None)])
    async def test_one_accepted_without_a_word_has_no_second_call_for_the_look(self, server, reply):
        """I8: the GET that shows the server is a part of the call."""
        server.answer("PATCH", "/servers/7/", reply)
        heard = Heard()

        async with client_of(server, on_event=heard) as client:
            await client.servers.update(7, name="b")

        heard.check()
        assert heard.names == ["call.began", "call.ended"]


class TestBelonging:
    async def test_calls_of_a_fleet_and_its_waits_name_it(self):
        """I8: and nothing outside of it does."""
        sandbox, heard = Sandbox(servers=3), Heard()

        async with sandbox.client(on_event=heard) as client:
            await client.fleet([one["id"] for one in sandbox.servers]).reboot(wait=True)
            await client.servers.list()

        heard.check()
        number = heard.one("fleet.began")["fleet"]
        posts = [one for one in heard.of("call.ended") if one["method"] == "POST"]
        assert {one["fleet"] for one in [*posts, *heard.of("wait.ended"), *heard.of("fleet.item")]} == {number}
        assert [one["fleet"] for one in heard.of("call.ended") if one["method"] == "GET"] == [None]

    async def test_a_call_in_on_change_names_the_wait_and_polls_are_no_calls(self, server):
        """I8: what a wait's own function asks for belongs to the wait."""
        heard, other = Heard(), Heard()

        async with client_of(server, on_event=heard) as client, client_of(server, on_event=other) as elsewhere:
            poll = PollPolicy(minimum=0.1, maximum=0.1)
            await client.servers.wait_until(
                7, status="active", poll=poll, on_change=lambda shown: elsewhere.servers.get(shown.id)
            )
            await client.servers.get(7)

        heard.check()
        assert [one["wait"] for one in other.of("call.ended")] == [heard.one("wait.began")["wait"]]
        assert heard.one("call.ended")["wait"] is None

    async def test_a_call_that_began_unheard_is_not_told(self, server):
        """I8: whoever comes later hears of whole calls only."""
        limiter, heard = anyio.Event(), Heard()
        server.answer("GET", "/servers/8/", json(200, detail(8)))

        async with client_of(server) as client:
            client.http.event_hooks["request"] = [lambda _request: limiter.wait()]
            async with anyio.create_task_group() as group:
                group.start_soon(client.servers.get, 8)
                await anyio.wait_all_tasks_blocked()
                client._context.events.add(heard)
                limiter.set()
            await client.servers.get(7)

        heard.check()
        assert [one["server"] for one in heard.of("call.ended")] == [7]


class TestSecrets:
    async def test_no_event_holds_a_token_a_query_or_a_body(self, server):
        """I8: whatever becomes of the call, and whatever the API quotes."""
        quoted = {"detail": f"bad token {SECRET} in ?location=us-s3cret", "password": "pa55word"}
        server.answer("GET", "/servers/", [json(500, quoted), json(400, quoted), json(400, quoted)])
        server.answer("POST", "/servers/", json(400, quoted))
        server.answer("PATCH", "/servers/7/", [drop(), json(200, detail(7, hostname="h0st"), {"X-Request-ID": SECRET})])
        heard = Heard()

        async with Client(SECRET, base_url=server.base_url, retry=QUICK, on_event=heard) as client:
            for call in (
                lambda: client.servers.list(location="us-s3cret").all(),
                lambda: client.servers.create(**{**SPEC, "hostname": "h0st.example"}),
                lambda: client.servers.update(7, hostname="h0st.example"),
                lambda: client.request("GET", f"/{SECRET}/?key=us-s3cret"),
            ):
                with contextlib.suppress(VPSError):
                    await call()

        heard.check()
        assert not re.search(f"{SECRET}|s3cret|pa55word|h0st", str(heard.events))


def expect_word(path):
    return all(part == "{id}" or re.fullmatch(r"[a-z][a-z_-]*|v\d+|", part) for part in path.split("/"))


class TestTemplate:
    @given(st.text(alphabet="az09-_AZ/.%~", max_size=40))
    def test_it_has_nothing_but_plain_words_and_placeholders(self, path):
        call = Call(method="GET", path=f"/{path}", retry_safety=RetrySafety.SAFE)

        assert expect_word(template_of(call))
        assert template_of(call).count("/") == call.path.count("/")

    @given(st.one_of(st.integers(0, 10**9), st.text(alphabet="abz09-_", min_size=1)), st.sampled_from(["", "stop/"]))
    def test_an_id_of_a_server_never_shows(self, server_id, rest):
        path = f"/servers/{server_id}/{rest}"
        call = Call(method="GET", path=path, retry_safety=RetrySafety.SAFE, server_id=server_id)

        assert template_of(call) == f"/servers/{{id}}/{rest}"


async def expect(kind, function, *arguments):
    with pytest.raises(kind):
        await function(*arguments)
