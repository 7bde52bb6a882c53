"""Where a client may be used, and what closing it does to what runs."""

from __future__ import annotations

import asyncio

import anyio
import pytest
import trio

from tests.helpers import action, detail, page
from tests.processes import ran
from tests.rawserver import RawServer, certificates, hang, hold, json
from tests.waits import PausingClock, skipping_client_of
from vpsorg_async import (
    APIConnectionError,
    APITimeoutError,
    Client,
    ClientClosedError,
    ConfigurationError,
    OutcomeUnknownError,
    RetryPolicy,
    VPSError,
)


QUICK = RetryPolicy(initial=0.005, maximum=0.01)
SLOW = RetryPolicy(initial=1000, maximum=1000)
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request):
    with RawServer(tls=certificates().valid if request.param else None) as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        running.answer("GET", "/servers/8/", hang())
        yield running


@pytest.fixture
def plain():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        running.answer("GET", "/servers/8/", hang())
        yield running


def client_of(server, **options):
    options = {"retry": QUICK, "ssl_context": certificates().trust, "timeout": None, "attempt_timeout": None, **options}
    return Client("vps_test", base_url=server.base_url, **options)


async def error_of(errors, function, *arguments, **options):
    try:
        await function(*arguments, **options)
    except VPSError as error:
        errors.append(error)


async def closed_when(condition, client, function, *arguments, **options):
    """Call *function*, close the client as soon as *condition* returns, and return the error of the call."""
    errors = []
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: error_of(errors, function, *arguments, **options))
            await condition()
            await client.aclose()
    [error] = errors
    return error


@pytest.mark.anyio
class TestClosing:
    async def test_a_call_on_the_wire_ends_with_the_reason(self, server):
        """P3: closed while a GET waits for its response."""
        client = client_of(server)

        error = await closed_when(lambda: server.arrived(path="/servers/8/"), client, client.servers.get, 8)

        assert type(error) is ClientClosedError
        assert str(error) == "GET /servers/8/: the client is closed"
        await server.until(lambda: server.connections_open == 0)

    async def test_a_create_on_the_wire_is_unknown(self, server):
        """P3: closed while a create waits for its response."""
        server.answer("POST", "/servers/", hang())
        client = client_of(server)

        error = await closed_when(lambda: server.arrived(method="POST"), client, client.servers.create, **SPEC)

        assert type(error) is OutcomeUnknownError
        assert "the client was closed" in str(error)
        assert len(server.requests) == 1

    async def test_a_reboot_on_the_wire_is_unknown(self, server):
        """P3: closed while a reboot waits for its response."""
        server.answer("POST", "/servers/7/reboot/", hang())
        client = client_of(server)

        error = await closed_when(lambda: server.arrived(method="POST"), client, client.servers.reboot, 7)

        assert type(error) is OutcomeUnknownError
        assert "the client was closed" in str(error)

    async def test_a_post_of_the_users_own_on_the_wire_is_unknown(self, server):
        """P3: closed while `client.request("POST", …)` waits for its response."""
        server.answer("POST", "/other/", hang())
        client = client_of(server)

        error = await closed_when(lambda: server.arrived(method="POST"), client, client.request, "POST", "/other/")

        assert str(error) == "POST /other/: the client is closed; it may have been executed"
        assert type(error) is OutcomeUnknownError

    async def test_a_start_on_the_wire_may_have_been_carried_out(self, server):
        """P3: closed while a start waits for its response: safe to repeat, and it says that it may have been sent."""
        server.answer("POST", "/servers/7/start/", hang())
        client = client_of(server)

        error = await closed_when(lambda: server.arrived(method="POST"), client, client.servers.start, 7)

        assert (type(error), error.sent) == (ClientClosedError, True)

    async def test_a_call_in_a_retry_pause_ends_at_once(self, server):
        """P3: closed while a call pauses before its next attempt."""
        server.answer("GET", "/servers/9/", json(500, {}))
        clock = PausingClock()
        client = skipping_client_of(server, clock, retry=SLOW)

        error = await closed_when(clock.paused.wait, client, client.servers.get, 9)

        assert str(error) == "GET /servers/9/: the client is closed"

    async def test_a_call_in_a_shared_pause_ends_at_once(self, server):
        """P3: closed while a call waits as long as a Retry-After says."""
        server.answer("GET", "/servers/9/", json(429, {}, {"Retry-After": "1000"}))
        paused = anyio.Event()
        client = client_of(server, on_event=lambda event: event.name == "call.paused" and paused.set())

        error = await closed_when(paused.wait, client, client.servers.get, 9)

        assert str(error) == "GET /servers/9/: the client is closed"

    async def test_a_create_that_waits_out_a_429_was_not_made(self, server):
        """P3: closed while a refused create pauses: nothing is unknown about it."""
        server.answer("POST", "/servers/", json(429, {}, {"Retry-After": "1000"}))
        paused = anyio.Event()
        client = client_of(server, on_event=lambda event: event.name == "call.paused" and paused.set())

        error = await closed_when(paused.wait, client, client.servers.create, **SPEC)

        assert (type(error), error.sent) == (ClientClosedError, False)

    async def test_calls_that_wait_for_their_turn_end_unsent(self, server):
        """P3: closed while calls wait at the limiter, creates among them, also behind another create of their name."""
        server.answer("POST", "/servers/", hang())
        client, errors = client_of(server, max_connections=1), []

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(error_of, [], client.servers.get, 8)
                await server.arrived()
                for name in ("a", "a", "b"):
                    group.start_soon(
                        lambda name: error_of(errors, client.servers.create, **{**SPEC, "name": name}), name
                    )
                group.start_soon(error_of, errors, client.servers.get, 7)
                await anyio.wait_all_tasks_blocked()
                await client.aclose()

        assert [(type(error), error.sent) for error in errors] == [(ClientClosedError, False)] * 4
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", ["stopped", "active"])
    async def test_a_wait_ends_in_its_sleep_and_in_its_poll(self, server, status):
        """P3: closed while a wait sleeps between two polls, or polls."""
        server.answer("GET", "/servers/9/", [json(200, detail(9)), hang()])
        polled = anyio.Event()
        client = client_of(server, on_event=lambda event: event.name == "poll.ended" and polled.set())
        number = 9 if status == "stopped" else 8
        condition = polled.wait if number == 9 else lambda: server.arrived(path="/servers/8/")

        error = await closed_when(condition, client, client.servers.wait_until, number, status=status)

        assert type(error) is ClientClosedError
        assert "the client is closed" in str(error)

    async def test_a_wait_for_a_deletion_ends_too(self, server):
        """P3: closed while it is waited for that a server is gone."""
        client = client_of(server)

        error = await closed_when(
            lambda: server.arrived(path="/servers/8/"), client, client.servers.wait_until_deleted, 8
        )

        assert (type(error), "the client is closed" in str(error)) == (ClientClosedError, True)

    async def test_a_wait_whose_on_change_hangs_ends_too(self, server):
        """P3: closed while a wait is in the user's own function."""
        reached = anyio.Event()

        async def on_change(seen):
            reached.set()
            await anyio.sleep_forever()

        client = client_of(server)
        error = await closed_when(
            reached.wait, client, client.servers.wait_until, 7, status="stopped", on_change=on_change
        )

        assert str(error) == "the client is closed"

    async def test_a_list_that_reads_pages_ahead_ends_at_once(self, server):
        """P3: closed while eight pages of a list are on the wire."""
        first = page(
            *(detail(number) for number in range(100)), count=900, next="/api/v1/servers/?page_size=100&page=2"
        )
        server.answer("GET", "/servers/", lambda request: json(200, first) if "page" not in request.query else hang())
        client = client_of(server)

        error = await closed_when(lambda: server.arrived(9), client, client.servers.list().all)

        assert (type(error), str(error)) == (ClientClosedError, "GET /servers/: the client is closed")
        await server.until(lambda: server.connections_open == 0)

    async def test_a_search_for_a_lost_create_ends_unknown(self, server):
        """P3: closed while it is polled for what became of a create."""
        server.answer("POST", "/servers/", json(500, {}))
        server.answer("GET", "/servers/", hang())
        client = client_of(server)

        error = await closed_when(lambda: server.arrived(method="GET"), client, client.servers.create, **SPEC)

        assert type(error) is OutcomeUnknownError
        assert "closed" in str(error)

    async def test_it_is_closed_although_the_closing_is_cancelled(self, server):
        """P3: `aclose` cancelled at once: calls end, sockets are closed all the same."""
        client, errors = client_of(server), []
        await client.servers.get(7)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(error_of, errors, client.servers.get, 8)
                await server.arrived(path="/servers/8/")
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await client.aclose()

        assert [str(error) for error in errors] == ["GET /servers/8/: the client is closed"]
        await server.until(lambda: server.connections_open == 0)

    async def test_closed_by_several_at_once_and_again(self, server):
        """P3: closing is waited for by each who closes, and not longer than it takes."""
        client, errors = client_of(server), []

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(error_of, errors, client.servers.get, 8)
                await server.arrived()
                for _ in range(3):
                    group.start_soon(client.aclose)
        await client.aclose()

        assert [str(error) for error in errors] == ["GET /servers/8/: the client is closed"]

    async def test_closed_from_within_a_call_of_its_own(self, server):
        """P3: closed by the function that a wait calls: that wait ends like any other."""
        client = client_of(server)

        with anyio.fail_after(60), pytest.raises(ClientClosedError) as caught:
            await client.servers.wait_until(7, status="stopped", on_change=lambda seen: client.aclose())

        assert str(caught.value) == "the client is closed"

    async def test_the_response_that_came_in_time_is_kept(self, server):
        """P3: closing an idle client ends nothing that has ended."""
        async with client_of(server) as client:
            found = await client.servers.get(7)

        assert found.id == 7
        await server.until(lambda: server.connections_open == 0)

    @pytest.mark.parametrize(
        "use",
        [
            lambda client: client.servers.get(7),
            lambda client: client.servers.create(**SPEC),
            lambda client: client.servers.reboot(7),
            lambda client: client.servers.list().all(),
            lambda client: client.servers.wait_until(7, status="active"),
            lambda client: client.request("GET", "/servers/"),
            lambda client: client.with_options(timeout=1).servers.get(7),
            lambda client: client.http.get("/servers/"),
        ],
        ids=["get", "create", "reboot", "list", "wait", "request", "view", "http"],
    )
    async def test_after_closing_nothing_is_sent(self, plain, use):
        """P3: every call of a closed client says so."""
        client = client_of(plain)
        await client.servers.get(7)
        await client.aclose()

        with pytest.raises((APIConnectionError, RuntimeError)) as caught:
            await use(client)

        # What is called on `client.http` itself, httpx refuses in its own words.
        assert str(caught.value) in ("the client is closed", "Cannot send a request, as the client has been closed.")
        assert len(plain.requests) == 1

    async def test_closing_what_is_underneath_closes_the_client(self, plain):
        """P3: `client.http` closed by the user."""
        client = client_of(plain)
        await client.servers.get(7)
        await client.http.aclose()

        with pytest.raises(ClientClosedError) as caught:
            await client.servers.get(7)
        await client.aclose()

        assert str(caught.value) == "the client is closed"
        await plain.until(lambda: plain.connections_open == 0)

    async def test_a_view_closes_nothing(self, plain):
        async with client_of(plain) as client:
            async with client.with_options(timeout=5) as view:
                await view.servers.get(7)
            await view.aclose()
            await client.servers.get(7)
            await view.servers.get(7)

        assert (len(plain.requests), plain.connections_total) == (3, 1)

    async def test_a_deadline_is_told_from_a_closed_client(self, plain):
        async with client_of(plain, timeout=0.1) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.get(8)

        assert str(caught.value).startswith("GET /servers/8/: no response within timeout=0.1 s: ")


async def get_7(client):
    return await client.servers.get(7)


RUNNERS = {
    "asyncio": lambda function, *arguments: asyncio.run(function(*arguments)),
    "trio": trio.run,
    "uvloop": lambda function, *arguments: anyio.run(function, *arguments, backend_options={"use_uvloop": True}),
}


class TestAnotherLoop:
    @pytest.mark.parametrize("second", RUNNERS)
    @pytest.mark.parametrize("first", RUNNERS)
    def test_a_second_loop_is_told_so(self, plain, first, second):
        """P4: used in a second event loop after the first has ended."""
        client, transports = client_of(plain), []

        async def use_and_leave_open():
            await get_7(client)
            # So that the loop of this test leaves no socket behind, and the client believes itself open.
            transports.append(client.http)
            await client.http._transport._inner.aclose()

        RUNNERS[first](use_and_leave_open)
        with pytest.raises(ConfigurationError) as caught:
            RUNNERS[second](get_7, client)
        RUNNERS[second](client.aclose)
        with pytest.raises(ClientClosedError):
            RUNNERS[second](get_7, client)

        assert str(caught.value) == "this client belongs to another event loop: make a new Client in each loop"
        assert len(plain.requests) == 1

    def test_every_way_of_using_it_in_a_second_loop_is_told_so(self, plain):
        """P4: each method, and each view, in a second loop."""
        client = client_of(plain)

        async def use():
            await get_7(client)
            await client.http._transport._inner.aclose()

        async def misuse():
            uses = [
                client.servers.create(**SPEC),
                client.servers.reboot(7),
                client.servers.list().all(),
                client.servers.wait_until(7, status="active"),
                client.request("POST", "/servers/"),
                client.with_options(timeout=1).servers.get(7),
                client.http.get("/servers/"),
            ]
            for one in uses:
                with pytest.raises(ConfigurationError, match="belongs to another event loop"):
                    await one

        asyncio.run(use())
        asyncio.run(misuse())

        assert len(plain.requests) == 1

    def test_a_client_made_in_one_loop_and_first_used_in_another_is_at_home_there(self, plain):
        """P4: the loop of the first call counts, not that of the making."""

        async def make():
            return client_of(plain)

        async def use(client):
            async with client:
                return await get_7(client)

        client = asyncio.run(make())

        assert trio.run(use, client).id == 7


class TestEveryLoop:
    @pytest.mark.parametrize("runner", RUNNERS)
    def test_the_same_story_on_each(self, plain, runner):
        """P5: a call, one that is tried again, a wait and a deadline, in a loop of each kind."""
        plain.answer("GET", "/servers/9/", [json(500, {}), json(200, detail(9))])

        async def story():
            async with client_of(plain) as client:
                found = await client.servers.get(7)
                again = await client.servers.get(9)
                waited = await client.servers.wait_until(7, status="active")
                with pytest.raises(APITimeoutError):
                    await client.servers.get(8, timeout=0.2)
                # What was sent may arrive a moment later.
                await plain.arrived(5)
            return found.id, again.id, waited.status

        assert RUNNERS[runner](story) == (7, 9, "active")
        assert len(plain.requests) == 5


FORKED = """
import asyncio, os, sys, traceback
import anyio
from vpsorg_async import Client, ConfigurationError

async def main(base_url):
    async with Client("vps_test", base_url=base_url) as client:
        await client.servers.get(7)
        child = os.fork()
        if child == 0:
            code = 0
            servers = client.servers
            for call in (
                lambda: servers.get(7), servers.list().all, lambda: servers.get_by_name("web-01"),
                lambda: servers.wait_until(7, status="active"), servers.watch().__anext__,
                client.fleet([7]).start().run,
            ):
                try:
                    await call()
                    code = 1
                except ConfigurationError as error:
                    code = code if str(error) == sys.argv[3] else 2
                except BaseException:
                    code = 3
                    traceback.print_exc()
            await client.aclose()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        await client.servers.get(7)
        print("child", os.waitstatus_to_exitcode(status))

backend = sys.argv[1]
options = {"use_uvloop": True} if backend == "uvloop" else {}
anyio.run(main, sys.argv[2], backend="trio" if backend == "trio" else "asyncio", backend_options=options)
"""


@pytest.mark.parametrize("backend", RUNNERS)
class TestFork:
    def test_the_child_is_told_so_and_the_parent_goes_on(self, plain, backend):
        """P4: used after a fork, in the child; closing it there does no harm to the parent."""
        message = "this client was used before the process forked: make a new Client in the child"

        done = ran("-W", "error", "-c", FORKED, backend, plain.base_url, message)

        assert (done.stdout, done.stderr) == ("child 0\n", "")
        assert (len(plain.requests), plain.connections_total) == (2, 1)


@pytest.mark.anyio
class TestCommandsInFlight:
    async def test_an_accepted_action_of_a_closed_client_says_so(self, plain):
        """P3: waiting for a command after its client was closed."""
        gate = plain.gate()
        gate.open()
        plain.answer("POST", "/servers/7/start/", hold(json(200, action(7)), gate))
        client = client_of(plain)
        started = await client.servers.start(7)
        await client.aclose()

        with pytest.raises(ClientClosedError) as caught:
            await started.wait()

        assert str(caught.value) == "the client is closed"
