"""A reboot whose response was lost: never sent again, returned where it is proven, unknown where it is not."""

from __future__ import annotations

import contextlib
import datetime as dt

from email.utils import format_datetime

import anyio
import pytest

from tests.helpers import action, detail
from tests.helpers_api import HangsClock, client_over
from tests.rawserver import Hang, after, cut, drop, hang, json
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._errors import APIStatusError, APITimeoutError, NotFoundError, OutcomeUnknownError


pytestmark = pytest.mark.anyio

PATH = "/servers/7/"
REBOOT = f"{PATH}reboot/"
ANSWERED = json(200, action(status="rebooting"))
LOST = {
    "closed": drop(),
    "reset": drop(reset=True),
    "cut in its head": cut(ANSWERED, 20),
    "cut in its body": cut(ANSWERED, -3),
    "hang": hang(),
    "500": json(500, {}),
    "502": json(502, {}),
    "503": json(503, {}),
    "504": json(504, {}),
    "HTML": json(200, "<html>"),
}


class Api:
    """One server whose clock runs by itself, and that a reboot changes."""

    def __init__(self, server):
        self.server = server
        self.tells_date = True
        self.shown = detail(updated_at=self.time(-3600))
        server.answer("GET", PATH, lambda request: json(200, self.shown, self.headers()))

    def time(self, seconds=0.0):
        moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        return moment.isoformat().replace("+00:00", "Z")

    def headers(self):
        now = format_datetime(dt.datetime.now(dt.UTC), usegmt=True)
        return {"Date": now} if self.tells_date else {}

    def loses(self, lost, **changes):
        """Answer the reboot with *lost*, having changed what is shown from then on."""

        def commit():
            self.shown = {**self.shown, **changes}

        self.server.answer("POST", REBOOT, after(commit, lost))

    @property
    def methods(self):
        return [request.method for request in self.server.requests]


@pytest.fixture
def api(server):
    return Api(server)


def client_of(server, **options):
    retry = RetryPolicy(initial=0.001, maximum=0.001)
    return Client("vps_test_token", base_url=server.base_url, **{"retry": retry, **options})


@contextlib.asynccontextmanager
async def on_a_still_clock(server, *replies, timeout=0.9):
    """Give a client whose deadlines no busy machine can miss. Of *replies*, those that hang do so until they arrive."""
    clock = HangsClock()
    async with client_over(server, clock, timeout=timeout) as client, anyio.create_task_group() as group:
        methods = ["POST", "GET"][: len(replies)]
        for method, reply in zip(methods, replies, strict=True):
            if isinstance(reply, Hang):
                group.start_soon(clock.end_what_arrives, server, method)
        yield client
        group.cancel_scope.cancel()


class TestProven:
    @pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
    async def test_a_poll_that_shows_it_rebooting_is_proof(self, server, api, lost):
        """R6: whatever lost the response; one POST, one poll."""
        api.loses(lost, status="rebooting")

        async with on_a_still_clock(server, lost) as client:
            done = await client.servers.reboot(7)

        assert (done.status, done.server.status) == ("success", "rebooting")
        assert done.message == "the response was lost; a GET of the server shows that the reboot was executed"
        assert api.methods == ["POST", "GET"]

    @pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
    async def test_so_is_a_newer_updated_at_than_before(self, server, api, lost):
        """R6: a reboot that was over between two polls."""
        api.loses(lost, status="active", updated_at=api.time(0.5))

        async with on_a_still_clock(server, lost) as client:
            await client.servers.get(7)
            done = await client.servers.reboot(7)

        assert (done.status, done.server.status) == ("success", "active")
        assert api.methods == ["GET", "POST", "GET"]

    async def test_it_is_polled_again_within_the_time(self, server, api):
        """R6: a replica that lags behind."""
        api.loses(drop())
        stale, fresh = json(200, api.shown), json(200, {**api.shown, "status": "rebooting"})
        server.answer("GET", PATH, [stale, json(500, {}), fresh])

        async with on_a_still_clock(server, timeout=10) as client:
            done = await client.servers.reboot(7)

        assert done.server.status == "rebooting"
        assert api.methods == ["POST", "GET", "GET", "GET"]

    async def test_the_action_can_be_waited_for(self, server, api):
        """R6: the wait takes the reboot for its own."""
        api.loses(drop(), status="rebooting")

        async with client_of(server) as client:
            done = await client.servers.reboot(7)
            api.shown = {**api.shown, "status": "active"}
            assert (await done.wait()).status == "active"


class TestUnknown:
    async def unknown(self, client):
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.servers.reboot(7)
        return caught.value

    @pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
    async def test_a_server_that_polls_as_before_proves_nothing(self, server, api, lost):
        """R6: and the reboot is not sent again."""
        api.loses(lost)

        async with on_a_still_clock(server, lost) as client:
            await client.servers.get(7)
            error = await self.unknown(client)

        assert "; no GET proves that it was executed (POST " in str(error)
        lost = "the response to the reboot of server 7 was lost"
        assert str(error).startswith((lost, "the reboot of server 7 was answered "))
        assert error.request_summary == "POST /servers/7/reboot/"
        assert api.methods.count("POST") == 1

    async def test_a_rename_by_somebody_else_before_it_proves_nothing(self, server, api):
        """R6: newer than the baseline, and older than the POST."""
        async with on_a_still_clock(server) as client:
            await client.servers.get(7)
            api.loses(drop(), name="renamed", updated_at=api.time(-60))
            await self.unknown(client)

        assert api.methods.count("POST") == 1

    async def test_without_a_reading_from_before_updated_at_proves_nothing(self, server, api):
        """R6: nothing to be newer than."""
        api.loses(drop(), updated_at=api.time(0.5))

        async with on_a_still_clock(server) as client:
            await self.unknown(client)

        assert api.methods.count("POST") == 1

    async def test_without_the_api_s_clock_updated_at_proves_nothing(self, server, api):
        """R6: no `Date`."""
        api.tells_date = False
        api.loses(drop(), updated_at=api.time(0.5))

        async with on_a_still_clock(server) as client:
            await client.servers.get(7)
            await self.unknown(client)

        assert api.methods.count("POST") == 1

    async def test_after_a_change_of_our_own_the_baseline_is_void(self, server, api):
        """R6: the newer `updated_at` may be that change's."""
        server.answer("PATCH", PATH, json(200, detail(name="b")))
        api.loses(drop(), updated_at=api.time(0.5))

        async with on_a_still_clock(server) as client:
            await client.servers.get(7)
            await client.servers.update(7, name="b")
            await self.unknown(client)

        assert api.methods.count("POST") == 1

    @pytest.mark.parametrize("poll", [drop(), hang(), json(500, {}), json(404, {}), json(200, "?")], ids=str)
    async def test_polls_that_fail_prove_nothing(self, server, api, poll):
        """R6: both causes are kept."""
        api.loses(drop())
        server.answer("GET", PATH, poll)

        async with on_a_still_clock(server, drop(), poll) as client:
            error = await self.unknown(client)

        causes = []
        cause = error.__cause__
        while cause is not None:
            causes.append(getattr(cause, "request_summary", None))
            cause = cause.__cause__
        assert {"GET /servers/7/", "POST /servers/7/reboot/"} <= set(causes)

    async def test_closing_the_client_meanwhile(self, server, api):
        """R6: nothing more can be asked."""
        api.loses(hang())

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(self.unknown, client)
            await server.arrived()
            await client.aclose()

        assert api.methods == ["POST"]

    async def test_a_third_of_the_time_is_left_to_poll(self, server, api):
        """R6: a timeout shorter than that of an attempt."""
        api.loses(hang(), status="rebooting")

        async with on_a_still_clock(server, hang()) as client:
            assert (await client.servers.reboot(7)).server.status == "rebooting"


class TestNotCarriedOut:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
    async def test_a_refusal_is_a_refusal(self, server, api, status):
        """R6: nothing is polled for."""
        server.answer("POST", REBOOT, json(status, {"detail": "no"}))

        async with client_of(server) as client:
            with pytest.raises(APIStatusError):
                await client.servers.reboot(7)

        assert api.methods == ["POST"]

    async def test_one_that_never_left_is_a_timeout(self, server, api):
        """R6: no turn on the wire, no doubt."""
        server.answer("GET", "/servers/8/", hang())

        async with client_of(server, max_connections=1) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.get, 8)
            await server.arrived(1, "GET", "/servers/8/")
            with pytest.raises(APITimeoutError) as caught:
                await client.servers.reboot(7, timeout=0.1)
            group.cancel_scope.cancel()

        assert not caught.value.sent

    async def test_a_missing_server_is_not_found(self, server):
        """R6: 404 to the POST."""
        async with client_of(server) as client:
            with pytest.raises(NotFoundError):
                await client.servers.reboot(7)
