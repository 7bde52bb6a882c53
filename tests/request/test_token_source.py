"""The callable that gives the token: when it is asked, by whom, and what becomes of its failures."""

from __future__ import annotations

import asyncio
import contextlib
import traceback

import anyio
import pytest

from tests.helpers import action, detail
from tests.helpers_api import QUICK, AttemptsClock, client_over
from tests.rawserver import drop, json
from vpsorg_async import AuthenticationError, Client, ConfigurationError, RetryPolicy, VPSError


pytestmark = pytest.mark.anyio
PATH = "/servers/7/"
OLD, NEW = "vps_old_12345678", "vps_new_12345678"
ONCE = RetryPolicy.none()
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}
CALLS = {
    "get": lambda client: client.servers.get(7),
    "create": lambda client: client.servers.create(**SPEC),
    "reboot": lambda client: client.servers.reboot(7),
    "stop": lambda client: client.servers.stop(7),
    "delete": lambda client: client.servers.delete(7),
}


class Rotating:
    """Gives the old token until the API has refused it, and counts how often it is asked."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)
        self.asked = 0

    async def __call__(self):
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        return self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]


def accept_only(server, token):
    answers = {
        ("GET", PATH): json(200, detail()),
        ("POST", "/servers/"): json(201, detail(9)),
        ("POST", f"{PATH}reboot/"): json(200, action(7, "rebooting")),
        ("POST", f"{PATH}stop/"): json(200, action(7, "stopping")),
        ("DELETE", PATH): json(204, None),
    }
    for (method, path), answer in answers.items():
        server.answer(
            method,
            path,
            lambda request, answer=answer: (
                answer if request.headers["authorization"] == f"Bearer {token}" else json(401, {"detail": "no"})
            ),
        )


def tokens_sent(server):
    return [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]


class TestAnotherToken:
    @pytest.mark.parametrize("call", CALLS)
    async def test_after_a_401_another_token_is_tried_once_by_every_call(self, server, call):
        """W36: also by a create or reboot, which a 401 has not executed, and without a policy for retries."""
        accept_only(server, NEW)

        async with Client(Rotating(OLD, NEW), base_url=server.base_url, retry=ONCE) as client:
            await CALLS[call](client)

        assert tokens_sent(server) == [OLD, NEW]

    async def test_a_401_that_another_token_mends_counts_as_no_attempt(self, server):
        """W36: two attempts are left for the API's own trouble."""
        server.answer("GET", PATH, [json(401, {}), json(500, {}), json(200, detail())])
        policy = RetryPolicy(attempts=2, initial=0.001)

        async with Client(Rotating(OLD, NEW), base_url=server.base_url, retry=policy) as client:
            await client.servers.get(7)

        assert tokens_sent(server) == [OLD, NEW, NEW]

    @pytest.mark.parametrize(("tokens", "sent"), [((OLD,), [OLD]), ((OLD, "vps_other_123"), [OLD, "vps_other_123"])])
    async def test_the_same_token_and_a_second_401_end_the_call(self, server, tokens, sent):
        """W36: a token that is refused again is refused."""
        accept_only(server, NEW)

        async with Client(Rotating(*tokens), base_url=server.base_url) as client:
            with pytest.raises(AuthenticationError):
                await client.servers.get(7)

        assert tokens_sent(server) == sent

    async def test_a_plain_string_is_not_asked_twice(self, server):
        """W36: it cannot have changed."""
        accept_only(server, NEW)

        async with Client(OLD, base_url=server.base_url) as client:
            with pytest.raises(AuthenticationError):
                await client.servers.get(7)

        assert tokens_sent(server) == [OLD]

    async def test_a_callable_that_fails_after_a_401_ends_the_call_with_the_reason(self, server):
        """W36: the API cannot be asked without a token."""
        accept_only(server, NEW)
        tokens = iter([OLD])

        def token():
            with contextlib.suppress(StopIteration):
                return next(tokens)
            raise OSError("the vault is gone")

        async with Client(token, base_url=server.base_url) as client:
            with pytest.raises(ConfigurationError, match="raised OSError"):
                await client.servers.get(7)

    @pytest.mark.parametrize(("lost", "sent"), [(True, True), (False, False)])
    async def test_a_callable_that_fails_after_a_lost_attempt_does_not_say_that_nothing_was_sent(
        self, server, lost, sent
    ):
        """R27: nothing more was."""
        server.answer("POST", f"{PATH}start/", drop() if lost else json(429, {}))
        tokens = iter([OLD])

        async with Client(lambda: next(tokens), base_url=server.base_url, retry=QUICK) as client:
            with pytest.raises(ConfigurationError, match="raised StopIteration") as caught:
                await client.servers.start(7)

        assert getattr(caught.value, "sent", False) is sent

    async def test_an_item_whose_second_token_is_taken_does_not_stop_its_fleet(self, server):
        """W36: the 401 is not the item's outcome."""
        accept_only(server, NEW)

        async with Client(Rotating(OLD, NEW), base_url=server.base_url) as client:
            report = await client.fleet([7]).stop(wait=False)

        assert (len(report.succeeded), report.stopped_by) == (1, None)

    async def test_a_hundred_calls_that_are_refused_together_ask_for_one_token(self, server):
        """R31: each request for the token serves all who need it at that time."""
        accept_only(server, NEW)
        source = Rotating(OLD, NEW)

        async with Client(source, base_url=server.base_url, retry=ONCE) as client, anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(client.servers.get, 7)

        assert source.asked < 50


class TestItsOwnRequests:
    @pytest.mark.parametrize("own", ["http", "request"])
    async def test_it_may_use_the_client_that_asks_for_the_token(self, server, own):
        """R31: with a single connection, by thirty calls at once; its own request has no token."""
        server.answer("GET", "/token/", json(200, {"token": NEW}))
        accept_only(server, NEW)

        async def token():
            response = await (
                client.http.get(f"{server.base_url}/token/") if own == "http" else client.request("GET", "/token/")
            )
            return response.json()["token"]

        async with Client(token, base_url=server.base_url, max_connections=1) as client:
            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    for _ in range(30):
                        group.start_soon(client.servers.get, 7)

        asked = [request for request in server.requests if request.path == "/token/"]
        assert len(asked) < 30
        assert all("authorization" not in request.headers for request in asked)

    async def test_a_task_that_it_has_begun_has_the_token_once_the_callable_has_returned(self, server):
        """R31: it lives on, as a worker does, and its calls are calls like any other."""
        accept_only(server, NEW)
        returned, results = anyio.Event(), []

        async def worker():
            await returned.wait()
            results.append(await client.servers.get(7))

        async with anyio.create_task_group() as group:

            async def token():
                if not returned.is_set():
                    group.start_soon(worker)
                return NEW

            async with Client(token, base_url=server.base_url, retry=ONCE) as client:
                await client.servers.get(7)
                returned.set()
                with anyio.fail_after(60):
                    while not results:
                        await anyio.sleep(0.01)

        assert [server.id for server in results] == [7]

    async def test_two_clients_whose_callables_use_each_other(self, server):
        """R31: neither waits for itself."""
        server.answer("GET", "/token/", json(200, {"token": NEW}))
        accept_only(server, NEW)

        async def token_of_first():
            return (await second.request("GET", "/token/")).json()["token"]

        async def token_of_second():
            return (await first.request("GET", "/token/")).json()["token"]

        async with (
            Client(token_of_first, base_url=server.base_url, retry=ONCE) as first,
            Client(token_of_second, base_url=server.base_url, retry=ONCE) as second,
        ):
            with anyio.fail_after(60):
                seen = [await first.servers.get(7), await second.servers.get(7)]

        assert [server.id for server in seen] == [7, 7]

    async def test_a_cancelled_call_does_not_end_the_request_for_the_others(self, server):
        """R31: whoever waits asks again."""
        accept_only(server, NEW)
        asked, scope, results = anyio.Event(), anyio.CancelScope(), []

        async def token():
            if not asked.is_set():
                asked.set()
                await anyio.sleep_forever()
            return NEW

        async def cancelled():
            with scope:
                await client.servers.get(7)

        async def waits():
            results.append((await client.servers.get(7)).id)

        async with Client(token, base_url=server.base_url) as client, anyio.create_task_group() as group:
            group.start_soon(cancelled)
            await asked.wait()
            group.start_soon(waits)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()

        assert results == [7]


class TestFailures:
    async def test_the_cause_is_what_it_raised_without_frames_and_tokens(self, server):
        """R27: class and text, so that the reason can be found."""

        def token():
            raise KeyError(f"{NEW} is not in the vault")

        async with Client(token, base_url=server.base_url) as client:
            with pytest.raises(ConfigurationError) as caught:
                await client.servers.get(7)

        cause = caught.value.__cause__
        assert (type(cause), cause.__traceback__) == (KeyError, None)
        assert "[token] is not in the vault" in str(cause)
        assert NEW not in "".join(traceback.format_exception(caught.value))
        assert server.requests == []

    async def test_a_token_that_was_given_before_is_masked_whatever_it_looks_like(self, server):
        """R27: not all tokens begin with `vps_`."""
        server.answer("GET", PATH, json(200, detail()))
        answers = iter(["0123456789abcdef"])

        def token():
            with contextlib.suppress(StopIteration):
                return next(answers)
            raise OSError("0123456789abcdef has expired")

        async with Client(token, base_url=server.base_url) as client:
            await client.servers.get(7)
            with pytest.raises(ConfigurationError) as caught:
                await client.servers.get(7)

        assert str(caught.value.__cause__) == "[token] has expired"

    @pytest.mark.parametrize("how", ["raised", "awaited"])
    async def test_a_cancel_of_a_task_that_it_awaits_is_its_failure_and_no_cancel(self, server, how):
        """R27: the calls beside it go on."""
        accept_only(server, NEW)
        asked = []

        async def token():
            asked.append(1)
            if len(asked) != 2:
                return NEW
            if how == "awaited" and isinstance(running_loop(), asyncio.AbstractEventLoop):
                task = asyncio.ensure_future(asyncio.sleep(60))
                await asyncio.sleep(0)
                task.cancel()
                await task
            raise asyncio.CancelledError

        results = []
        async with Client(token, base_url=server.base_url) as client, anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(outcome_of, client, results)
                await anyio.wait_all_tasks_blocked()

        assert sorted(results) == ["ConfigurationError", "Server", "Server", "Server", "Server"]

    async def test_one_that_gives_no_token_in_the_time_of_an_attempt_is_asked_again(self, server):
        """R27: a vault that hangs once costs one attempt."""
        accept_only(server, NEW)
        clock, asked = AttemptsClock(), []

        async def token():
            asked.append(1)
            if len(asked) == 1:
                clock.end_attempts()
                await anyio.sleep_forever()
            return NEW

        async with client_over(server, clock, token=token, attempt_timeout=clock.ATTEMPT) as client:
            assert (await client.servers.get(7)).id == 7

        assert len(asked) == 2


async def outcome_of(client, results):
    try:
        results.append(type(await client.servers.get(7)).__name__)
    except VPSError as error:
        results.append(type(error).__name__)


def running_loop():
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
