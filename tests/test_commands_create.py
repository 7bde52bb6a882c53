"""Creates whose answer is lost: one POST each, and the server that it made is found or honestly not known."""

from __future__ import annotations

import asyncio
import logging

import anyio
import pytest

from tests.helpers_api import SPEC, FakeAPI, HangsClock, StillClock, VirtualClock, client_of, client_over
from tests.rawserver import cut, drop, hang, hold, json, raw, text
from vpsorg_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    ClientClosedError,
    InsufficientCreditsError,
    OutcomeUnknownError,
    RateLimitError,
)


pytestmark = pytest.mark.anyio


@pytest.fixture
def api(server):
    return FakeAPI(server)


async def create_unknown(client, **changes):
    """Create, expect that the outcome is unknown, and return the error."""
    with pytest.raises(OutcomeUnknownError) as caught:
        await client.servers.create(**{**SPEC, **changes})
    assert caught.value.request_summary == "POST /servers/"
    return caught.value


def posts(server):
    return len(server.requests_to("POST", "/servers/"))


LOST = {
    "closed without a byte": lambda _: drop(),
    "reset without a byte": lambda _: drop(reset=True),
    "cut in the status line": lambda reply: cut(reply, 9),
    "cut in the headers": lambda reply: cut(reply, 40),
    "cut in the body": lambda reply: cut(reply, -7),
    "reset in the body": lambda reply: cut(reply, -7, reset=True),
    "hangs": lambda _: hang(),
    "500": lambda _: json(500, {"detail": "Oops."}),
    "502 of a proxy": lambda _: text(502, "<html><title>Bad gateway</title></html>", "text/html"),
    "502 with Retry-After": lambda _: json(502, {}, {"Retry-After": "1"}),
    "503 without Retry-After": lambda _: json(503, {}),
    "503 with a Retry-After that cannot be read": lambda _: json(503, {}, {"Retry-After": "soon"}),
    "504": lambda _: json(504, {}),
    "501": lambda _: json(501, {}),
    "600": lambda _: json(600, {}),
    "999": lambda _: json(999, {}),
    "201 with HTML": lambda _: text(201, "<html>Welcome</html>", "text/html"),
    "201 with half of the JSON": lambda reply: text(201, reply.data[-200:-100]),
    "201 with nothing": lambda _: text(201, ""),
    "201 without an id": lambda _: json(201, {"name": "web-02", "status": "provisioning"}),
    "201 with null": lambda _: json(201, None),
    "200 with a list": lambda _: json(200, []),
    "201 that is not the gzip it says": lambda _: json(201, {"id": 1}, {"Content-Encoding": "gzip"}),
    "no HTTP": lambda _: raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
}


class TestALostAnswer:
    @pytest.mark.parametrize("spoil", LOST.values(), ids=LOST)
    async def test_the_server_is_found_by_listing_and_returned(self, server, api, spoil):
        """C1: whatever becomes of the response, the server that was made is found, with one POST."""
        seen = []
        server.answer("POST", "/servers/", api.committed(spoil))
        api.add(250)

        async with client_of(server, attempt_timeout=0.3, on_event=seen.append) as client:
            made = await client.servers.create(**SPEC)
            again = await made.refresh()

        assert [made.id, again.id] == api.created * 2
        assert posts(server) == 1
        told = [event.fields for event in seen if event.name == "create.reconciled"]
        assert [(one["name"], one["location"], one["server"]) for one in told] == [("web-02", "us-west", made.id)]

    async def test_a_server_without_a_response_and_with_a_hostname_is_found(self, server, api):
        """C1: the hostname that was given is part of the rule."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))

        async with client_of(server) as client:
            made = await client.servers.create(**SPEC, hostname="web02.example.com")

        assert (made.id, made.hostname) == (api.created[0], "web02.example.com")

    async def test_the_plan_may_be_named_by_a_string(self, server, api):
        """C1: 1 and "1" name the same plan."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))

        async with client_of(server) as client:
            made = await client.servers.create(**{**SPEC, "plan_id": "1", "os_id": "5"})

        assert made.id == api.created[0]

    async def test_no_listing_is_made_before_a_create_nor_after_one_that_was_answered(self, server, api):
        """C1: polling is for lost responses only."""
        async with client_of(server) as client:
            made = await client.servers.create(**SPEC)

        assert [(one.method, one.path) for one in server.requests] == [("POST", "/servers/")]
        assert (made.id, made.message) == (1, "Server is being provisioned.")

    async def test_a_listing_that_fails_at_first_is_asked_again(self, server, api):
        """C1: a listing whose polls fail for some seconds is no reason to give up."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        server.answer("GET", "/servers/", [json(500, {}), drop(), text(200, "<html>"), api.page])
        clock = VirtualClock()

        async with client_over(server, clock) as client:
            made = await client.servers.create(**SPEC)

        assert made.id == api.created[0]
        assert clock.slept == [1.0, 1.0, 1.0]

    async def test_a_malformed_neighbour_in_the_listing_does_not_hide_it(self, server, api):
        """C1: an item without an id is nobody's server."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        api.servers[10**6] = {"name": "broken", "id": None}

        async with client_of(server) as client:
            made = await client.servers.create(**SPEC)

        assert made.id == api.created[0]

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (json(400, {"name": ["Taken."]}), BadRequestError),
            (json(402, {"detail": "No credits."}), InsufficientCreditsError),
            (json(409, {"detail": "Conflict."}), APIStatusError),
        ],
    )
    async def test_a_refusal_is_a_response(self, server, api, reply, error):
        """C1: what the API refused was not made, and is not polled for."""
        server.answer("POST", "/servers/", reply)

        async with client_of(server) as client:
            with pytest.raises(error):
                await client.servers.create(**SPEC)

        assert len(server.requests) == 1


class TestTwoSuchServers:
    async def test_two_are_named_and_none_is_chosen(self, server, api):
        """C2: two servers that may be it, and no guess."""

        def twice(request):
            api.create(request)
            api.create(request)
            return drop()

        server.answer("POST", "/servers/", twice)

        async with client_over(server, VirtualClock()) as client:
            error = await create_unknown(client)

        assert "server 1 may be it; server 2 may be it" in str(error)
        assert [candidate.id for candidate in error.candidates] == [1, 2]
        assert posts(server) == 1


class TestNone:
    @pytest.mark.parametrize("unseen", [1, 2, 7])
    async def test_a_listing_that_lags_is_asked_again(self, server, api, unseen):
        """C3: the server that a replica does not show yet is found when it does."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        api.unseen = unseen
        clock = VirtualClock()

        async with client_over(server, clock) as client:
            made = await client.servers.create(**SPEC)

        assert made.id == api.created[0]
        assert clock.slept == [1.0] * unseen

    @pytest.mark.parametrize("timeout", [300.0, None])
    async def test_nothing_found_is_told_after_fifteen_seconds(self, server, api, timeout):
        """C3: not found in the time of grace is "not found so far", not "not made"."""
        server.answer("POST", "/servers/", drop())
        api.add(3)
        clock = StillClock()

        async with client_over(server, clock, timeout=timeout) as client:
            error = await create_unknown(client)

        assert "it was not found in " in str(error)
        assert error.candidates == ()
        assert (posts(server), clock.slept) == (1, [1.0] * 14)


class TestTheListingFails:
    @pytest.mark.parametrize(
        "reply", [json(500, {"detail": "No database."}), drop(), text(200, "<html>"), json(401, {"detail": "Revoked."})]
    )
    async def test_both_causes_are_told(self, server, api, reply):
        """C4: neither the create nor the listing was answered, and the error says both."""
        server.answer("POST", "/servers/", json(502, {"detail": "The first cause."}))
        server.answer("GET", "/servers/", reply)

        async with client_over(server, StillClock(), timeout=0.8) as client:
            error = await create_unknown(client)

        assert "the last listing failed: " in str(error)
        assert "The first cause." in str(error)
        causes = [error.__cause__]
        while causes[-1] is not None:
            causes.append(causes[-1].__cause__)
        assert "The first cause." in str(causes[-2])
        assert "GET /servers/" in str(causes[0])
        assert posts(server) == 1

    async def test_a_listing_that_hangs_ends_with_the_time(self, server, api):
        """C4: a listing without a response does not outlast the call."""
        server.answer("POST", "/servers/", drop())
        server.answer("GET", "/servers/", hang())
        clock = HangsClock()

        async with client_over(server, clock, timeout=0.3) as client, anyio.create_task_group() as group:
            group.start_soon(clock.end_what_arrives, server, "GET")
            error = await create_unknown(client)
            group.cancel_scope.cancel()

        assert "the last listing failed: GET /servers/: " in str(error)
        assert clock.now() <= 0.3

    async def test_a_second_page_that_fails_is_a_listing_that_failed(self, server, api):
        """C4: half a listing proves nothing."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        api.add(150)
        server.answer("GET", "/servers/", lambda request: drop() if "page" in request.query else api.page(request))

        async with client_over(server, StillClock(), timeout=0.8) as client:
            error = await create_unknown(client)

        assert "the last listing failed: " in str(error)


class TestDeadlineAndClosing:
    async def test_a_third_of_the_time_is_left_for_polling(self, server, api):
        """C5: a `timeout` shorter than `attempt_timeout` still finds the server."""
        server.answer("POST", "/servers/", api.committed(lambda _: hang()))
        clock = HangsClock()

        client = client_over(server, clock, timeout=0.9, attempt_timeout=10.0)
        async with client, anyio.create_task_group() as group:
            group.start_soon(clock.end_what_arrives, server, "POST")
            made = await client.servers.create(**SPEC)
            group.cancel_scope.cancel()

        assert made.id == api.created[0]
        assert posts(server) == 1

    @pytest.mark.parametrize("options", [{"attempt_timeout": None}, {"attempt_timeout": 0.2}, {"attempt_timeout": 9.0}])
    async def test_the_deadline_on_the_wire_leaves_the_outcome_unknown(self, server, api, options):
        """C5: a POST without a response is never a mere timeout."""
        server.answer("POST", "/servers/", hang())
        clock = HangsClock()

        client = client_over(server, clock, timeout=0.6, **options)
        async with client, anyio.create_task_group() as group:
            group.start_soon(clock.end_what_arrives, server, "POST")
            error = await create_unknown(client)
            group.cancel_scope.cancel()

        assert "it was not found in " in str(error)

    async def test_without_a_timeout_the_search_ends_too(self, server, api):
        """C5: `timeout=None` bounds neither the attempt nor the search, but both end."""
        server.answer("POST", "/servers/", hang())
        clock = HangsClock()

        client = client_over(server, clock, timeout=None, attempt_timeout=0.2)
        async with client, anyio.create_task_group() as group:
            group.start_soon(clock.end_what_arrives, server, "POST")
            await create_unknown(client)
            group.cancel_scope.cancel()

        assert clock.now() <= 0.2 + 15.0

    async def test_closing_the_client_while_the_post_is_on_the_wire(self, server, api):
        """C5: closing leaves the outcome unknown, and says so."""
        server.answer("POST", "/servers/", api.committed(lambda _: hang()))
        client = client_of(server)
        errors = []

        async def create():
            errors.append(await create_unknown(client))

        async with anyio.create_task_group() as group:
            group.start_soon(create)
            await server.arrived(1, "POST")
            await client.aclose()

        assert "the client was closed" in str(errors[0])
        assert server.requests_to("GET") == []

    async def test_closing_the_client_while_it_polls(self, server, api):
        """C5: closing ends the search with what is known."""
        server.answer("POST", "/servers/", drop())
        server.answer("GET", "/servers/", hang())
        client = client_of(server)
        errors = []

        async def create():
            errors.append(await create_unknown(client))

        async with anyio.create_task_group() as group:
            group.start_soon(create)
            await server.arrived(1, "GET")
            await client.aclose()

        assert "the client is closed" in str(errors[0])

    async def test_closing_between_two_polls(self, server, api):
        """C5: closing does not wait for the next poll."""
        server.answer("POST", "/servers/", drop())
        client = client_of(server)
        errors = []

        async def create():
            errors.append(await create_unknown(client))

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(create)
                await server.arrived(1, "GET")
                await server.until(lambda: api.listings == 1)
                await client.aclose()

        assert "the client is closed" in str(errors[0])

    async def test_a_deadline_before_anything_was_sent_is_a_timeout(self, server, api):
        """C5: a create that never got its turn was not made."""
        server.answer("GET", "/servers/7/", hang())

        async with client_of(server, max_connections=1) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.get, 7)
            await server.arrived()
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.create(**SPEC, timeout=0.1)
            group.cancel_scope.cancel()

        assert not caught.value.sent
        assert posts(server) == 0


class TestRefusedBeforeItWasCarriedOut:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("retry_after", ["0", "0.05", "Sun, 06 Nov 1994 08:49:37 GMT"])
    async def test_it_is_tried_again_and_one_server_is_made(self, server, api, status, retry_after):
        """C6: 429, or 503 with Retry-After, is a promise that nothing was done."""
        refusal = json(status, {"detail": "Slow down."}, {"Retry-After": retry_after})
        server.answer("POST", "/servers/", [refusal, refusal, api.create])

        async with client_of(server) as client:
            made = await client.servers.create(**SPEC)

        assert [made.id] == api.created
        assert (posts(server), server.requests_to("GET")) == (3, [])

    async def test_a_429_without_retry_after_is_one_too(self, server, api):
        """C6: 429 says it by itself."""
        server.answer("POST", "/servers/", [json(429, {}), api.create])

        async with client_of(server) as client:
            made = await client.servers.create(**SPEC)

        assert [made.id] == api.created

    async def test_a_pause_that_is_too_long_ends_the_call_as_a_refusal(self, server, api):
        """C6: refused to the end is not made."""
        server.answer("POST", "/servers/", json(429, {}, {"Retry-After": "3600"}))

        async with client_of(server) as client:
            with pytest.raises(RateLimitError) as caught:
                await client.servers.create(**SPEC)

        assert caught.value.retry_after == 3600
        assert server.requests_to("GET") == []

    async def test_a_response_lost_after_a_refusal_is_polled(self, server, api):
        """C6: the next attempt has a fate of its own."""
        server.answer("POST", "/servers/", [json(429, {}, {"Retry-After": "0"}), api.committed(lambda _: drop())])

        async with client_of(server) as client:
            made = await client.servers.create(**SPEC)

        assert [made.id] == api.created
        assert posts(server) == 2


async def by_scope(create, arrived):
    async with anyio.create_task_group() as group:
        group.start_soon(create)
        await arrived()
        group.cancel_scope.cancel()


async def by_move_on(create, arrived):
    async with anyio.create_task_group() as group:

        async def guarded(*, task_status):
            with anyio.CancelScope() as scope:
                task_status.started(scope)
                await create()

        scope = await group.start(guarded)
        await arrived()
        scope.cancel()


async def by_task(create, arrived):
    task = asyncio.ensure_future(create())
    await arrived()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_timeout(create, arrived):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as timeout:
            arriving = asyncio.ensure_future(arrived())
            arriving.add_done_callback(lambda _: timeout.reschedule(0))
            await create()
    await arriving


WAYS = [by_scope, by_move_on, by_task, by_timeout]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def cancelled(request, anyio_backend):
    if request.param in (by_task, by_timeout) and anyio_backend[0] == "trio":
        return by_scope
    return request.param


class TestCancelled:
    async def test_on_the_wire_it_goes_through_and_is_told(self, server, api, cancelled, caplog):
        """C7: the cancel goes through, and somebody hears of the server that nobody holds."""
        caplog.set_level(logging.WARNING, "vpsorg_async")
        server.answer("POST", "/servers/", api.committed(lambda _: hang()))
        seen = []

        async with client_of(server, on_event=seen.append) as client:
            with anyio.fail_after(20):
                await cancelled(lambda: client.servers.create(**SPEC), lambda: server.arrived(1, "POST"))

        begun, told, ended = seen
        assert (begun.name, told.name, ended.name) == ("call.began", "create.abandoned", "call.ended")
        assert told.fields == {"call": begun.fields["call"], "fleet": None, "name": "web-02", "location": "us-west"}
        [record] = [record for record in caplog.records if record.name == "vpsorg_async"]
        assert record.levelno == logging.WARNING
        assert record.getMessage().startswith("create.abandoned call=")
        assert record.getMessage().endswith(" fleet=None name='web-02' location='us-west'")
        assert server.requests_to("GET") == []

    async def test_while_it_polls_it_is_told_too(self, server, api, cancelled):
        """C7: a search that is cancelled leaves the same doubt."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        server.answer("GET", "/servers/", hang())
        seen = []

        async with client_of(server, on_event=seen.append) as client:
            await cancelled(lambda: client.servers.create(**SPEC), lambda: server.arrived(1, "GET"))

        assert [event.name for event in seen if event.name != "call.ended"] == ["call.began", "create.abandoned"]

    async def test_in_a_hook_on_the_answers_way_up(self, server, api, cancelled):
        """C7: the response was there, and a cancel in a slow hook of the user's kept it from whoever asked."""
        server.answer("POST", "/servers/", api.committed(lambda answer: answer))
        reached, seen = anyio.Event(), []

        async def slow(response):
            reached.set()
            await anyio.sleep_forever()

        async with client_of(server, on_event=seen.append) as client:
            client.http.event_hooks["response"] = [slow]
            await cancelled(lambda: client.servers.create(**SPEC), reached.wait)

        assert [event.name for event in seen if event.name != "call.ended"] == ["call.began", "create.abandoned"]

    async def test_with_the_response_half_read(self, server, api, cancelled):
        """C7: half a response is none."""
        server.answer("POST", "/servers/", raw(b"HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n{", close=False))
        seen = []

        async with client_of(server, on_event=seen.append) as client:
            await cancelled(lambda: client.servers.create(**SPEC), lambda: server.arrived(1, "POST"))

        assert [event.name for event in seen if event.name != "call.ended"] == ["call.began", "create.abandoned"]

    async def test_in_a_pause_after_a_refusal_nothing_is_told_and_the_name_is_free(self, server, api, cancelled):
        """C7: a refused create left nothing behind."""
        server.answer("POST", "/servers/", [json(429, {}, {"Retry-After": "20"}), api.committed(lambda _: drop())])
        seen, paused = [], anyio.Event()

        def hear(event):
            seen.append(event.name)
            if event.name == "call.paused":
                paused.set()

        async with client_of(server, on_event=hear) as client:
            await cancelled(lambda: client.servers.create(**SPEC), paused.wait)

        assert seen == ["call.began", "call.paused", "call.ended"]
        assert posts(server) == 1

    async def test_before_its_turn_nothing_is_told_and_the_name_is_free(self, server, api, cancelled):
        """C7: what was never sent was not made."""
        server.answer("GET", "/servers/7/", hang())
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        seen = []

        async with client_of(server, max_connections=1, on_event=seen.append) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.servers.get, 7)
                await server.arrived()
                await cancelled(lambda: client.servers.create(**SPEC), anyio.lowlevel.checkpoint)
                group.cancel_scope.cancel()
            made = await client.servers.create(**SPEC)

        assert [event.name for event in seen if event.name.startswith("create")] == ["create.reconciled"]
        assert [made.id] == api.created


class TestOneName:
    async def test_creates_of_one_name_go_one_after_another(self, server, api):
        """C8: the second POST leaves when the first create is over, and neither takes the other's server."""
        limiter = server.gate()
        server.answer("POST", "/servers/", lambda request: hold(api.committed(lambda _: drop())(request), limiter))
        made = []

        async def create():
            made.append((await client.servers.create(**SPEC)).id)

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(create)
            group.start_soon(create)
            await server.arrived(1, "POST")
            await client.servers.list()
            assert posts(server) == 1
            limiter.open()

        assert sorted(made) == api.created
        assert posts(server) == 2

    async def test_other_names_do_not_wait(self, server, api):
        """C8: only the name is held."""
        limiter = server.gate()
        server.answer(
            "POST",
            "/servers/",
            lambda request: (
                hold(api.create(request), limiter) if request.json["name"] == "web-02" else api.create(request)
            ),
        )

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(lambda: client.servers.create(**SPEC))
            await server.arrived(1, "POST")
            other = await client.servers.create(**{**SPEC, "name": "web-03"})
            limiter.open()

        assert other.name == "web-03"

    async def test_a_server_that_another_create_returned_is_never_taken(self, server, api):
        """C8: of two servers of a name, one is the other create's."""
        server.answer("POST", "/servers/", [api.create, api.committed(lambda _: drop())])

        async with client_of(server) as client:
            first = await client.servers.create(**SPEC)
            second = await client.servers.create(**SPEC)

        assert [first.id, second.id] == api.created

    async def test_when_only_the_other_creates_server_is_there_it_is_not_taken(self, server, api):
        """C8: the lost create made nothing; the other's server is no substitute."""
        server.answer("POST", "/servers/", [api.create, drop()])

        async with client_over(server, StillClock(), timeout=0.9) as client:
            first = await client.servers.create(**SPEC)
            error = await create_unknown(client)

        assert [first.id] == api.created
        assert error.candidates == ()

    @pytest.mark.parametrize("abandoned_is_made", [True, False])
    async def test_after_an_abandoned_create_nothing_of_that_name_is_taken(self, server, api, abandoned_is_made):
        """C8: whose server it is cannot be told, so candidates are named."""
        first = api.committed(lambda _: hang()) if abandoned_is_made else hang()
        server.answer("POST", "/servers/", [first, api.committed(lambda _: drop()), api.create])

        async with client_over(server, VirtualClock()) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: client.servers.create(**SPEC))
                await server.arrived(1, "POST")
                group.cancel_scope.cancel()
            error = await create_unknown(client)
            third = await client.servers.create(**SPEC)

        assert [candidate.id for candidate in error.candidates] == api.created[:-1]
        assert third.id == api.created[-1]
        assert posts(server) == 3

    async def test_an_abandoned_create_that_made_one_after_all_is_not_mistaken_for_the_next(self, server, api):
        """C8: two at once, one cancelled on the wire, the other's answer lost."""
        server.answer("POST", "/servers/", [api.committed(lambda _: hang()), drop()])
        errors = []

        async def second():
            errors.append(await create_unknown(client))

        async with client_of(server) as client, anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(lambda: client.servers.create(**SPEC))
                    await server.arrived(1, "POST")
                    group.start_soon(second)
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()

        assert [candidate.id for candidate in errors[0].candidates] == [1]
        assert "an earlier create of this name was abandoned" in str(errors[0])

    async def test_after_an_unknown_outcome_nothing_of_that_name_is_taken(self, server, api):
        """C8: a create that was not found so far may turn up as the next one's."""
        server.answer("POST", "/servers/", [drop(), api.committed(lambda _: drop())])

        async with client_over(server, StillClock(), timeout=0.9) as client:
            await create_unknown(client)
            error = await create_unknown(client)

        assert [candidate.id for candidate in error.candidates] == api.created

    async def test_waiting_for_the_name_is_inside_the_timeout(self, server, api):
        """C8: a create that only waited was never sent."""
        limiter = server.gate()
        server.answer("POST", "/servers/", lambda request: hold(api.create(request), limiter))

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(lambda: client.servers.create(**SPEC))
            await server.arrived(1, "POST")
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.create(**SPEC, timeout=0.05)
            limiter.open()

        assert "other creates of the name 'web-02' took too much of the time; nothing was sent" in str(caught.value)
        assert not caught.value.sent
        assert posts(server) == 1

    async def test_a_create_without_time_does_not_blame_others(self, server):
        async with client_of(server) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.create(**SPEC, timeout=0)

        assert str(caught.value).startswith("POST /servers/: no response within timeout=0 s: ")
        assert "name" not in str(caught.value)
        assert (caught.value.sent, server.requests) == (False, [])

    async def test_a_create_cancelled_while_it_waits_for_the_name_leaves_no_doubt(self, server, api):
        """C8: the name goes on to the next, and its server is found."""
        limiter = server.gate()
        server.answer(
            "POST", "/servers/", [lambda request: hold(api.create(request), limiter), api.committed(lambda _: drop())]
        )
        seen = []

        async with client_of(server, on_event=seen.append) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: client.servers.create(**SPEC))
                await server.arrived(1, "POST")
                async with anyio.create_task_group() as inner:
                    inner.start_soon(lambda: client.servers.create(**SPEC))
                    await anyio.lowlevel.checkpoint()
                    inner.cancel_scope.cancel()
                limiter.open()
            made = await client.servers.create(**SPEC)

        assert [event.name for event in seen if event.name.startswith("create")] == ["create.reconciled"]
        assert made.id == api.created[-1]

    async def test_closing_ends_those_that_wait_for_the_name(self, server, api):
        """C8: the one on the wire is unknown, the ones behind it were not sent."""
        server.answer("POST", "/servers/", hang())
        client = client_of(server)
        errors = []

        async def create():
            try:
                await client.servers.create(**SPEC)
            except (OutcomeUnknownError, APIConnectionError) as error:
                errors.append(type(error))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(create)
            await server.arrived(1, "POST")
            await client.aclose()

        assert errors == [OutcomeUnknownError, ClientClosedError, ClientClosedError]
        assert posts(server) == 1


FOREIGN = {
    "older": {"age": 10},
    "another plan": {"plan": {"id": 2, "name": "Performance VPS"}},
    "another system": {"os": {"id": 6, "name": "Debian 12"}},
    "another location": {"location": "eu-central"},
    "another hostname": {"hostname": "other.example.com"},
    "another name": {"name": "web-021"},
    "a name in other letters": {"name": "WEB-02"},
}


class TestForeignServers:
    @pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
    async def test_a_server_that_is_not_what_was_asked_for_is_never_taken(self, server, api, foreign):
        """C9: somebody else's server stays theirs, though it appears while the create is under way."""

        def made_by_somebody_else(_request):
            api.add_like({**SPEC, "hostname": "web02.example.com"}, **foreign)
            return drop()

        server.answer("POST", "/servers/", made_by_somebody_else)

        async with client_over(server, StillClock(), timeout=0.9) as client:
            error = await create_unknown(client, hostname="web02.example.com")

        assert error.candidates == () or "server 1 may be it, but " in str(error)

    @pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
    async def test_it_does_not_hide_the_right_one(self, server, api, foreign):
        """C9: the right one beside it is found."""
        spec = {**SPEC, "hostname": "web02.example.com"}
        api.add_like(spec, **foreign)
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))

        async with client_of(server) as client:
            made = await client.servers.create(**spec)

        assert [made.id] == api.created

    async def test_a_server_that_this_client_has_seen_before_is_never_taken(self, server, api):
        """C9: what was listed before the POST existed before it, whatever its `created_at` says."""
        api.add_like(SPEC, age=-60)
        server.answer("POST", "/servers/", drop())

        async with client_over(server, StillClock(), timeout=0.9) as client:
            await client.servers.list()
            error = await create_unknown(client)

        assert error.candidates == ()

    @pytest.mark.parametrize(
        "lacking",
        [
            {"created_at": None},
            {"created_at": "yesterday"},
            {"plan": None},
            {"plan": {"name": "Standard VPS"}},
            {"os": None},
            {"location": None},
        ],
        ids=str,
    )
    async def test_a_listing_that_does_not_tell_enough_proves_nothing(self, server, api, lacking):
        """C9: without the facts of the rule there are only candidates."""

        def made_in_part(_request):
            api.add_like(SPEC, **lacking)
            return drop()

        server.answer("POST", "/servers/", made_in_part)

        async with client_over(server, StillClock(), timeout=0.9) as client:
            error = await create_unknown(client)

        assert "server 1 may be it, but its " in str(error)
        assert [candidate.id for candidate in error.candidates] == [1]

    async def test_a_listing_without_a_date_proves_nothing(self, server, api):
        """C9: the API's own clock is needed to tell new from old."""
        api.tells_date = False
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))

        async with client_over(server, StillClock(), timeout=0.9) as client:
            error = await create_unknown(client)

        assert [candidate.id for candidate in error.candidates] == api.created
        assert "its age cannot be told" in str(error)

    async def test_a_candidate_has_its_methods(self, server, api):
        """C9: a user can poll into a candidate without polling up its id."""
        api.tells_date = False
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))

        async with client_over(server, StillClock(), timeout=0.9) as client:
            error = await create_unknown(client)
            seen = await error.candidates[0].refresh()

        assert seen.id == api.created[0]

    @pytest.mark.parametrize("age", [-1, 0, 1, 2])
    async def test_a_clock_cut_to_the_second_is_allowed_for(self, server, api, age):
        """C9: the API's own clock decides, with two seconds of slack; the machine's date has no say."""

        def made(_request):
            api.add_like(SPEC, age=age)
            return drop()

        server.answer("POST", "/servers/", made)

        async with client_of(server) as client:
            found = await client.servers.create(**SPEC)

        assert found.id == 1

    async def test_a_server_made_while_the_post_hung_is_younger_than_the_post(self, server, api):
        """C9: the time that the POST took is not taken for age."""
        clock = VirtualClock()

        def made(_request):
            api.add_like(SPEC, age=30)
            clock.slept.append(40.0)
            return drop()

        server.answer("POST", "/servers/", made)

        async with client_over(server, clock, timeout=None) as client:
            found = await client.servers.create(**SPEC)

        assert found.id == 1
