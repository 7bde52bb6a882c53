"""Waits whose polls fail: what is polled over, what ends them, and when a server is gone."""

from __future__ import annotations

import contextlib

import anyio
import attrs
import pytest

from tests.helpers import detail, listed, page
from tests.helpers_api import AttemptsClock
from tests.rawserver import close_delimited, cut, drop, hang, json, text
from tests.sharing import Scripted, scripted_client_of
from tests.waits import POLL, SEVEN, TWICE, SkippingClock, client_of, made_polls, shown, skipping_client_of, tell
from vpsorg_async import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    PermissionDeniedError,
    PollPolicy,
    RateLimitError,
    ResponseError,
    ServerError,
    ServerGoneError,
    WaitFailedError,
    WaitTimeoutError,
)


pytestmark = pytest.mark.anyio
BY_COUNT = PollPolicy(outage=0)
GONE = json(404, {"detail": "Not found."})
FAILED_LOOKS = {
    "500": (json(500, {"detail": "boom"}), ServerError),
    "502 HTML": (text(502, "<html>bad gateway</html>", "text/html"), ServerError),
    "503": (json(503, {}), ServerError),
    "504": (json(504, {}), ServerError),
    "reset": (drop(reset=True), APIConnectionError),
    "closed": (drop(), APIConnectionError),
    "hang": (hang(), APITimeoutError),
    "HTML": (text(200, "<html>log in</html>", "text/html"), ResponseError),
    "half a body": (cut(shown("active"), -20), APIConnectionError),
    "half a body without a length": (close_delimited(200, b'{"id": 7, "na'), ResponseError),
    "{}": (json(200, {}), ResponseError),
    "null": (json(200, None), ResponseError),
    "a list": (json(200, [detail()]), ResponseError),
    "400": (json(400, {"detail": "no"}), BadRequestError),
}
each_failed_poll = pytest.mark.parametrize("failed", FAILED_LOOKS)
LIMITED = {
    "429": json(429, {"detail": "slow down"}),
    "429 with Retry-After": json(429, {"detail": "slow down"}, {"Retry-After": "0"}),
    "503 with Retry-After": json(503, {"detail": "back soon"}, {"Retry-After": "0"}),
}
each_limited = pytest.mark.parametrize("limited", LIMITED)


async def wait_for(server, status="active", *, attempt_timeout=10, **options):
    """Wait on a clock whose pauses take no time, so that the pauses between failed polls do not either."""
    async with skipping_client_of(server, SkippingClock(), attempt_timeout=attempt_timeout) as client:
        return await client.servers.wait_until(7, status=status, **options)


class HangingPollsClock(AttemptsClock):
    """Pauses take no time, and a poll that hangs as much as the test says."""

    def __init__(self):
        super().__init__()
        skipping = SkippingClock()
        self.now, self.sleep = skipping.now, skipping.sleep

    async def end_polls(self, server, numbers):
        for number in numbers:
            await server.arrived(number, "GET")
            self.end_attempts()


@contextlib.asynccontextmanager
async def client_while(server, failed, numbers):
    """Give such a client, whose polls of these numbers end when they have arrived where they hang."""
    clock = HangingPollsClock()
    client = skipping_client_of(server, clock, timeout=None, attempt_timeout=clock.ATTEMPT)
    async with client, anyio.create_task_group() as group:
        if failed == "hang":
            group.start_soon(clock.end_polls, server, numbers)
        yield client
        group.cancel_scope.cancel()


class TestFailedLooks:
    @each_failed_poll
    async def test_four_in_a_row_are_polled_over(self, server, failed):
        """W8: the next poll is the retry, and one poll is one request."""
        tell(server, "stopped", *[FAILED_LOOKS[failed][0]] * 4, "active")

        async with client_while(server, failed, range(2, 6)) as client:
            seen = await client.servers.wait_until(7, status="active", poll=BY_COUNT)

        assert (seen.status, made_polls(server)) == ("active", 6)

    @each_failed_poll
    async def test_the_fifth_in_a_row_ends_it_where_the_count_alone_decides(self, server, failed):
        """W8: whatever the first four were, the fifth is the cause."""
        answer, kind = FAILED_LOOKS[failed]
        tell(server, "stopped", *[json(500, {})] * 4, answer, "active")

        async with client_while(server, failed, [6]) as client:
            with pytest.raises(WaitFailedError) as caught:
                await client.servers.wait_until(7, status="active", poll=BY_COUNT)

        assert type(caught.value.__cause__) is kind
        assert made_polls(server) == 6

    async def test_one_that_hangs_ends_at_the_clients_timeout_too(self, server):
        """W8: without a bound on attempts, the bound on calls is the poll's."""
        tell(server, hang(), "active")

        async with client_of(server, timeout=0.5, attempt_timeout=None) as client:
            seen = await client.servers.wait_until(7, status="active", timeout=20)

        assert (seen.status, made_polls(server)) == ("active", 2)

    async def test_one_good_poll_resets_the_count(self, server):
        """W8: four, a good one, and four again are not five in a row."""
        tell(server, *[json(500, {})] * 4, "stopped", *[drop()] * 4, "stopped", *[json(500, {})] * 4, "active")

        await wait_for(server, poll=BY_COUNT)

        assert made_polls(server) == 15

    async def test_a_good_poll_that_is_out_of_date_resets_it_too(self, server):
        """W8: an observation of a replica that lags is dropped, but the poll did not fail."""
        new, old = shown("stopped", updated_at="2025-10-15T12:00:00Z"), shown("stopped")
        tell(server, new, *[json(500, {})] * 4, old, *[json(500, {})] * 4, shown("active", updated_at=None))

        await wait_for(server, poll=BY_COUNT)

        assert made_polls(server) == 11

    @pytest.mark.parametrize("failures", [1, 2, 7])
    async def test_how_many_is_adjustable(self, server, failures):
        """W8: `PollPolicy.failures` of them in a row."""
        tell(server, json(500, {}))

        with pytest.raises(WaitFailedError):
            await wait_for(server, poll=PollPolicy(failures=failures, outage=0))

        assert made_polls(server) == failures

    @each_limited
    async def test_being_asked_to_wait_is_no_failure(self, server, limited):
        """W8: a 429, or 503 with Retry-After, only moves the next poll, however often."""
        tell(server, "stopped", *[LIMITED[limited]] * 8, "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.wait_until(7, status="active")

        assert made_polls(server) == 10

    @each_limited
    async def test_being_asked_to_wait_does_not_reset_the_count(self, server, limited):
        """W8: five failures in a row are five, whatever number of 429 is between them."""
        tell(server, *[json(500, {}), LIMITED[limited]] * 4, json(502, {}), "active")

        with pytest.raises(WaitFailedError) as caught:
            await wait_for(server, poll=BY_COUNT)

        assert (caught.value.__cause__.status_code, made_polls(server)) == (502, 9)

    async def test_the_next_poll_is_made_when_the_api_lets_itself_be_asked(self, server):
        """W8: not before `Retry-After` has passed, and not long after."""
        tell(server, json(429, {}, {"Retry-After": "30"}), "active")
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            await client.servers.wait_until(7, status="active")

        assert 29 <= sum(clock.slept) <= 31

    async def test_a_pause_that_all_share_is_no_failed_poll(self, server):
        """W8: another call's 429 holds the polls up for longer than `attempt_timeout`; the wait goes on."""
        tell(server, "stopped", "active")
        server.answer("GET", "/servers/8/", json(429, {}, {"Retry-After": "2"}))
        policy = PollPolicy(minimum=0.1, maximum=0.1, failures=1, outage=0)

        async with client_of(server, attempt_timeout=0.5) as client, anyio.create_task_group() as group:
            with pytest.raises(RateLimitError):
                await client.servers.get(8, timeout=1.5)
            group.start_soon(lambda: client.servers.wait_until(7, status="active", poll=policy))

        assert made_polls(server) == 2

    @pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError)])
    async def test_a_refused_token_ends_it_at_once(self, server, status, kind):
        """W9: no poll will do better."""
        tell(server, "stopped", json(status, {"detail": "no"}), "active")

        with pytest.raises(kind) as caught:
            await wait_for(server)

        assert str(caught.value).startswith("GET /servers/7/")
        assert made_polls(server) == 2

    async def test_a_refused_token_ends_the_wait_for_deletion_too(self, server):
        """W9: whatever the goal is."""
        tell(server, json(401, {}))

        async with client_of(server) as client:
            with pytest.raises(AuthenticationError):
                await client.servers.wait_until_deleted(7)

        assert made_polls(server) == 1

    async def test_the_timeout_error_names_the_last_failure(self, server):
        """W8: at the deadline it is a timeout, caused by what the last poll ended with."""
        tell(server, "stopped", json(500, {"detail": "boom"}))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=10, poll=TWICE)

        assert isinstance(caught.value.__cause__, ServerError)
        assert "it was last seen stopped, for 10 s; the last poll failed: GET /servers/7/" in str(caught.value)


class TestRetryAfter:
    @pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (503, ServerError)])
    async def test_longer_than_the_time_left_it_ends_the_wait_now(self, server, status, kind):
        """W12: with the reason, and not after sleeping."""
        tell(server, "stopped", json(status, {}, {"Retry-After": "3600"}))
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=600)

        assert isinstance(caught.value.__cause__, kind)
        assert "; the API asks not to be called for 3600 s, which is longer" in str(caught.value)
        assert sum(clock.slept) < 3

    async def test_a_wait_that_begins_within_a_longer_pause_ends_at_once(self, server):
        """W12: the 429 came to another call. Nothing is sent, and the error names the request that drew it."""
        tell(server, json(429, {}, {"Retry-After": "50"}), "active")
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            with pytest.raises(RateLimitError):
                await client.servers.get(7, timeout=1)
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=20)
            slept = sum(clock.slept)
            seen = await client.servers.wait_until(7, status="active", timeout=100)

        assert "held up by the pause that the 429 to GET /servers/7/ asked for" in str(caught.value)
        assert isinstance(caught.value.__cause__, RateLimitError)
        assert (caught.value.__cause__.sent, slept, seen.status) == (False, 0, "active")

    async def test_a_goal_that_a_list_has_shown_is_kept(self, server):
        """W12: the pause holds up only the GET that would have told the rest of the server."""
        server.answer("GET", "/servers/", json(200, page(listed(7), listed(8))))
        for key in (7, 8):
            server.answer("GET", f"/servers/{key}/", json(429, {}, {"Retry-After": "3600"}))
        seen = []

        async def wait(client, key):
            seen.append(await client.servers.wait_until(key, status="active", timeout=60))

        async with client_of(server) as client:
            await client.servers.list()
            async with anyio.create_task_group() as group:
                for key in (7, 8):
                    group.start_soon(wait, client, key)

        assert {(one.id, one.status) for one in seen} == {(7, "active"), (8, "active")}

    async def test_a_wait_with_more_time_goes_on(self, server):
        """W12: of two waits only the one that ends before it."""
        seen = []

        async def patient():
            seen.append(await client.servers.wait_until(7, status="active", timeout=60, poll=POLL))

        limited = json(429, {}, {"Retry-After": "1"})
        tell(server, limited, limited, "active")
        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(patient)
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="active", timeout=0.5, poll=POLL)

        assert isinstance(caught.value.__cause__, RateLimitError)
        assert (seen[0].status, made_polls(server)) == ("active", 3)

    async def test_one_for_another_server_is_for_all_waits(self):
        """W12: all calls share the pause. A wait that ends before it ends now, by that very response; others go on."""

        def answer(_method, path, _number):
            if path == "/servers/1/" and 3 <= clock.now() < 30:
                return 0.1, 429, {}, {"Retry-After": "30"}
            return 0.1, 200, detail(int(path.split("/")[2]), status="active" if clock.now() > 33 else "stopped")

        transport = Scripted(answer)
        clock, ended = transport.clock, {}

        async def wait(key, timeout, **policy):
            try:
                await client.servers.wait_until(key, status="active", timeout=timeout, poll=PollPolicy(**policy))
                ended[key] = ("done", clock.now())
            except WaitTimeoutError as error:
                ended[key] = (error.__cause__.retry_after, clock.now())

        async with scripted_client_of(transport) as client, anyio.create_task_group() as group:
            group.start_soon(lambda: wait(1, 100))
            group.start_soon(lambda: wait(2, 25, minimum=12, maximum=12))
            group.start_soon(lambda: wait(3, 100, minimum=12, maximum=12))

        assert ended[2] == (30, pytest.approx(3.1))
        assert ended[1] == ("done", pytest.approx(33, abs=1))
        assert ended[3] == ("done", pytest.approx(33, abs=2))
        assert not [at for at in transport.asked_at if 3.2 < at < 33]

    @pytest.mark.parametrize("value", ["nan", "-5", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"])
    async def test_one_that_makes_no_sense_is_none(self, server, value):
        """W12: neither a crash nor an end."""
        tell(server, json(429, {}, {"Retry-After": value}), "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            seen = await client.servers.wait_until(7, status="active", timeout=60)

        assert seen.status == "active"

    async def test_an_age_is_waited_for_without_end_only(self, server):
        """W12: 10^12 seconds are longer than any deadline."""
        tell(server, json(429, {}, {"Retry-After": "1000000000000"}))

        async with client_of(server) as client:
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(7, status="active", timeout=1e9)

        assert made_polls(server) == 1


class TestGone:
    async def create(self, server, client):
        server.answer("POST", "/servers/", json(201, detail(status="provisioning", message="ok")))
        return await client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")

    async def test_404_right_after_a_create_is_polled_over(self, server):
        """W10: the API may not know it everywhere yet."""
        tell(server, GONE, GONE, "provisioning", "active")

        async with client_of(server) as client:
            made = await self.create(server, client)
            seen = await made.wait_until(status="active", poll=POLL)

        assert (seen.status, made_polls(server)) == ("active", 4)

    async def test_404_for_longer_than_the_grace_is_gone(self, server):
        """W10: after `PollPolicy.grace` it is believed."""
        tell(server, GONE)

        async with skipping_client_of(server, SkippingClock()) as client:
            made = await self.create(server, client)
            with pytest.raises(ServerGoneError) as caught:
                await made.wait_until(status="active", poll=PollPolicy(minimum=1, maximum=1, grace=3))

        assert str(caught.value) == "server 7 will not become active: the API says that there is no such server"
        assert (caught.value.server, caught.value.history) == (None, ())
        assert made_polls(server) > 1

    async def test_the_default_grace_is_15_seconds(self, server):
        """W10: from the create's answer on."""
        tell(server, GONE)
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            made = await self.create(server, client)
            with pytest.raises(ServerGoneError):
                await made.wait_until(status="active")

        assert 15 <= sum(clock.slept) < 17

    @pytest.mark.parametrize("way", ["wait", "get", "list"])
    async def test_404_after_it_was_seen_and_the_grace_is_gone_at_once(self, server, way):
        """W10: who has seen it once, in whatever way, knows that it is gone."""
        tell(server, *([] if way == "list" else ["provisioning"]), GONE)
        server.answer("GET", "/servers/", json(200, page(listed(7))))

        async with client_of(server) as client:
            made = await self.create(server, client)
            if way == "get":
                await client.servers.get(7)
            elif way == "list":
                await client.servers.list()
            with pytest.raises(ServerGoneError):
                await made.wait_until(status="active", poll=attrs.evolve(POLL, grace=0.0), timeout=10)

        assert made_polls(server) == (1 if way == "list" else 2)

    async def test_a_replica_that_does_not_know_it_yet_ends_no_wait(self, server):
        """W10: in the grace after a create, 404 and `provisioning` by turns say that it is there."""
        tell(server, GONE, "provisioning", GONE, GONE, "provisioning", GONE, "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            made = await self.create(server, client)
            seen = await made.wait_until(status="active", poll=PollPolicy(minimum=1, maximum=1))

        assert (seen.status, made_polls(server)) == ("active", 7)

    async def test_a_create_that_is_deleted_at_once_is_gone_after_the_grace(self, server):
        """W10: nothing but 404 for the grace is proof, also if it was seen before."""
        tell(server, "provisioning", GONE)

        async with skipping_client_of(server, SkippingClock()) as client:
            made = await self.create(server, client)
            with pytest.raises(ServerGoneError):
                await made.wait_until(status="active", poll=PollPolicy(minimum=1, maximum=1, grace=3))

        assert made_polls(server) == 5

    @pytest.mark.parametrize("gone", [404, 410])
    async def test_404_or_410_of_a_server_that_was_seen_is_gone_at_once(self, server, gone):
        """W10: a server that this client knows needs no grace."""
        server.answer("GET", SEVEN, [shown("stopped"), json(gone, {"detail": "Not found."})])

        async with client_of(server) as client:
            await client.servers.get(7)
            with pytest.raises(ServerGoneError) as caught:
                await client.servers.wait_until(7, status="active", poll=POLL)

        assert (made_polls(server), caught.value.server) == (2, None)

    async def test_404_of_a_server_that_nobody_knows_is_polled_over_for_5_seconds(self, server):
        """W35: another process may have made it a moment ago, and a replica may lag."""
        tell(server, *[GONE] * 4, "provisioning", "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            seen = await client.servers.wait_until(7, status="active", poll=PollPolicy(minimum=1, maximum=1))

        assert (seen.status, made_polls(server)) == ("active", 6)

    async def test_404_of_a_server_that_nobody_knows_is_believed_after_5_seconds(self, server):
        """W35: every poll over that time has said so."""
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            with pytest.raises(ServerGoneError) as caught:
                await client.servers.wait_until(7, status="active")

        assert caught.value.server is None
        assert 4.9 < sum(clock.slept) < 6  # the polls take real time of it

    @pytest.mark.parametrize("way", ["deleted", "410"])
    async def test_a_wait_for_the_end_takes_deleted_and_410(self, server, way):
        """W35: the status `deleted` and 410 are gone, as 404 is."""
        end = shown("deleted") if way == "deleted" else json(410, {"detail": "Gone."})
        server.answer("GET", SEVEN, [shown("stopped"), end])

        async with skipping_client_of(server, SkippingClock()) as client:
            assert await client.servers.wait_until_deleted(7) is None

        assert made_polls(server) == 2

    async def test_the_status_deleted_is_gone_for_every_goal(self, server):
        """W35: it counts as gone everywhere."""
        tell(server, "stopped", "deleted")

        with pytest.raises(ServerGoneError) as caught:
            await wait_for(server)

        assert caught.value.server.status == "stopped"

    async def test_404_on_the_way_is_gone_with_what_was_seen(self, server):
        """W10: the error has the last server and the history."""
        tell(server, "starting", GONE, "active")

        with pytest.raises(ServerGoneError) as caught:
            await wait_for(server)

        assert caught.value.server.status == "starting"
        assert [item.status for item in caught.value.history] == ["starting"]

    async def test_404_is_believed_at_the_deadline(self, server):
        """W10: also within the grace."""
        tell(server, GONE)

        async with client_of(server) as client:
            made = await self.create(server, client)
            with pytest.raises(ServerGoneError) as caught:
                await made.wait_until(status="active", timeout=0)

        assert str(caught.value) == "server 7 will not become active: the API says that there is no such server"
        assert made_polls(server) == 1
