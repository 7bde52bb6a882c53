"""How faults change the sending of a response: bytes on a socket, and the errors of httpx in-process."""

from __future__ import annotations

import logging
import re
import threading
import time

from datetime import UTC, datetime

import anyio
import httpx
import pytest

from tests.sandbox.conftest import AUTHORIZED, MAKE, in_process
from vpsorg_async.sandbox.faults import Fault
from vpsorg_async.sandbox.faults._payload import MEGABYTE


pytestmark = pytest.mark.anyio

SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}
# A busy machine may take longer to connect.
SOON = httpx.Timeout(60, read=0.3)
NO_ANSWER = "Server disconnected without sending a response."
ON_THE_WAY = ("delay", "drop", "hang", "drop_after_commit", "cut", "drip")


@pytest.fixture
def sandbox(moving_sandbox):
    return moving_sandbox


@pytest.fixture
def api(moving_api):
    return moving_api


async def create(api):
    return await api.post("/servers/", json=SPEC)


class TestDrop:
    @pytest.mark.parametrize(("after_commit", "made"), [(False, 0), (True, 1)])
    async def test_no_answer_comes(self, sandbox, api, after_commit, made):
        """The request is executed or not, as the fault says; the next request is not affected."""
        with sandbox.faults.inject(Fault.drop(after_commit, method="POST")):
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                await create(api)
            after = await api.get("/servers/")

        assert str(caught.value) == NO_ANSWER
        assert after.json()["count"] == len(sandbox.servers) == 2 + made
        assert [call.status for call in sandbox.calls] == [201 if made else 0, 200]

    async def test_a_refusal_is_lost_as_well(self, sandbox, api):
        with sandbox.faults.inject(Fault.drop(after_commit=True)), pytest.raises(httpx.RemoteProtocolError):
            await api.get("/servers/7/")

        assert sandbox.calls[0].status == 404


class TestCut:
    async def test_the_request_is_carried_out(self, sandbox, api):
        with sandbox.faults.inject(Fault.cut(0, method="POST")), pytest.raises(httpx.RemoteProtocolError):
            await create(api)

        assert [server["name"] for server in sandbox.servers[2:]] == ["web-02"]

    async def test_in_process_is_as_on_the_socket(self, sandbox):
        """Every position of the cut gives the same error or the same response."""
        sandbox.freeze()

        async def seen(api, at):
            with sandbox.faults.inject(Fault.cut(at)):
                try:
                    return (await api.get("/servers/")).content
                except httpx.HTTPError as error:
                    return repr(error)

        async with in_process(sandbox) as api:
            places = [*range(0, 830, 9), *range(150, 160), 818, 819, 820, 10**9]
            inside = [await seen(api, at) for at in places]
        async with sandbox.serve() as url, httpx.AsyncClient(base_url=url, headers=AUTHORIZED) as api:
            outside = [await seen(api, at) for at in places]

        assert inside == outside
        assert isinstance(inside[0], str)
        assert isinstance(inside[-1], bytes)
        assert any("peer closed" in str(one) for one in inside)

    @pytest.mark.parametrize("at", [0, 1, 17, 200, 300])
    async def test_so_many_bytes_leave(self, sandbox, at):
        """The status line, headers and body are counted; then the connection is closed, not reset."""
        async with sandbox.serve() as url:
            with sandbox.faults.inject(Fault.cut(at)):
                cut = await raw_answer(url)
            with sandbox.faults.inject(Fault.cut(10**6)):
                whole = await raw_answer(url)

        assert len(cut) == at
        assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
        assert re.sub(rb"(?i)(sandbox-|date: ).*?\r\n", b"", whole).startswith(
            re.sub(rb"(?i)(sandbox-|date: ).*?\r\n", b"", cut.rpartition(b"\r\n")[0])
        )

    async def test_head_has_no_body_to_cut(self, sandbox):
        async with sandbox.serve() as url:
            with sandbox.faults.inject(Fault.cut(10**6)):
                answer = await raw_answer(url, method="HEAD")

        assert answer.endswith(b"\r\n\r\n")


async def raw_answer(url, *, method="GET"):
    """Return all bytes that arrive before the connection closes."""
    asked = f"{method} /api/v1/servers/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer vps_sandbox\r\n\r\n"
    answer = b""
    async with await anyio.connect_tcp("127.0.0.1", httpx.URL(url).port) as stream:
        await stream.send(asked.encode())
        try:
            while True:
                answer += await stream.receive()
        except anyio.EndOfStream:
            return answer


class TestDelay:
    async def test_the_answer_is_late_and_the_deed_is_not(self, sandbox, api):
        clock = sandbox._backend.clock
        with sandbox.faults.inject(Fault.delay(5, method="POST"), Fault.delay(7)):
            answer = await create(api)
        ended = clock.now()
        took = ended - sandbox.calls[0].at
        created = datetime.fromisoformat(sandbox.servers[2]["created_at"]) - datetime(2025, 1, 16, 15, 30, tzinfo=UTC)

        assert (answer.status_code, answer.headers["Date"][:22]) == (201, "Thu, 16 Jan 2025 15:30")
        # A busy machine may take long before the deed, and the clock of a served sandbox goes on meanwhile.
        assert ended - created.total_seconds() >= 12
        assert 12 <= took < 300

    async def test_it_goes_before_a_drop(self, sandbox, api):
        began = sandbox._backend.clock.now()
        with sandbox.faults.inject(Fault.drop(), Fault.delay(5)), pytest.raises(httpx.RemoteProtocolError):
            await api.get("/servers/")

        assert sandbox._backend.clock.now() - began >= 5

    async def test_one_who_has_left_is_not_waited_for(self, sandbox, caplog):
        """A client that has disconnected does not delay the end of the server."""
        async with sandbox.serve() as url:
            with sandbox.faults.inject(Fault.delay(60)), pytest.raises(httpx.ReadTimeout):
                async with httpx.AsyncClient(base_url=url, headers=AUTHORIZED, timeout=SOON) as api:
                    await api.get("/servers/")

        assert handlers_ended(caplog)


class TestDrip:
    async def test_the_answer_takes_its_time(self, sandbox, api):
        with sandbox.faults.inject(Fault.drip(100)):
            began = sandbox._backend.clock.now()
            answer = await api.get("/servers/")
        took = sandbox._backend.clock.now() - began

        assert answer.json()["count"] == 2
        assert took >= 8

    async def test_bytes_come_one_after_another(self, sandbox):
        """A cut ends the response half-way."""
        async with sandbox.serve() as url:
            with sandbox.faults.inject(Fault.drip(200), Fault.cut(60)):
                pieces, began = [], time.monotonic()
                async with await anyio.connect_tcp("127.0.0.1", httpx.URL(url).port) as stream:
                    await stream.send(b"GET /api/v1/ HTTP/1.1\r\nHost: a\r\n\r\n")
                    with pytest.raises(anyio.EndOfStream):
                        while True:
                            pieces.append(await stream.receive())
        took = time.monotonic() - began

        assert len(pieces) > 3
        assert sum(map(len, pieces)) == 60
        assert took >= 0.29

    async def test_in_process_a_cut_one_takes_as_long_as_what_comes(self, sandbox):
        async with in_process(sandbox) as api:
            with sandbox.faults.inject(Fault.drip(10), Fault.cut(60)), pytest.raises(httpx.RemoteProtocolError):
                await api.get("/servers/")

        assert sandbox._clock.now() == 6


class TestHang:
    async def test_in_process_time_jumps_to_the_caller_s_deadline(self, sandbox):
        async with in_process(sandbox) as api:
            with sandbox.faults.inject(Fault.hang()), sandbox._clock.move_on_after(30) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(sandbox._clock.sleep, 100)
                    await create(api)

        assert scope.cancelled_caught
        assert sandbox._clock.now() == 30
        assert [server["name"] for server in sandbox.servers[2:]] == ["web-02"]

    async def test_it_drives_time_alone(self, sandbox):
        """No other task sleeps."""
        async with in_process(sandbox) as api:
            with sandbox.faults.inject(Fault.hang()), sandbox._clock.move_on_after(30) as scope:
                await api.get("/servers/")

        assert (scope.cancelled_caught, sandbox._clock.now()) == (True, 30)

    async def test_a_socket_waits_until_its_caller_leaves(self, sandbox):
        async with sandbox.serve() as url, httpx.AsyncClient(base_url=url, headers=AUTHORIZED, timeout=SOON) as api:
            with sandbox.faults.inject(Fault.hang()), pytest.raises(httpx.ReadTimeout):
                await create(api)

            assert (await api.get("/servers/", timeout=60)).json()["count"] == 3

    async def test_the_end_of_serving_ends_it(self, sandbox, caplog):
        """The end takes less than the 1 s that the server gives its handlers; the client gets no response."""
        async with anyio.create_task_group() as tasks, sandbox.serve() as url:
            with sandbox.faults.inject(Fault.hang()):
                tasks.start_soon(expect_no_answer, url)
                while not sandbox.calls:
                    await anyio.sleep(0.01)

        assert handlers_ended(caplog)
        assert [thread for thread in threading.enumerate() if thread.name == "vpsorg-sandbox"] == []


def handlers_ended(caplog):
    """Tell whether no handler took the 1 s after which uvicorn cancels it, and logs that."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def expect_no_answer(url):
    async with httpx.AsyncClient(base_url=url, headers=AUTHORIZED) as api:
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await api.get("/servers/")
    assert str(caught.value) == NO_ANSWER


class TestServer:
    @pytest.mark.parametrize("kind", MAKE)
    async def test_no_kind_takes_it_down(self, sandbox, caplog, kind):
        """The server answers the next request, logs no warning, and ends at once."""
        async with (
            sandbox.serve(speed=100) as url,
            httpx.AsyncClient(base_url=url, headers=AUTHORIZED, timeout=SOON if kind == "hang" else 60) as api,
        ):
            with sandbox.faults.inject(MAKE[kind]()):
                for method in ("GET", "POST", "HEAD", "DELETE"):
                    try:
                        await api.request(method, "/servers/", json=SPEC if method == "POST" else None)
                    except httpx.TransportError:
                        assert kind in ON_THE_WAY
            after = await api.get("/servers/", timeout=60)

        assert after.status_code == 200
        assert handlers_ended(caplog)

    async def test_one_who_reads_nothing_does_not_hold_up_its_end(self, sandbox, caplog):
        """Its bytes stay in the buffer of the connection."""
        async with sandbox.serve() as url:
            stream = await anyio.connect_tcp("127.0.0.1", httpx.URL(url).port)
            with sandbox.faults.inject(Fault.status(200, b"x" * 30 * MEGABYTE), Fault.cut(29 * MEGABYTE)):
                await stream.send(b"GET /api/v1/servers/ HTTP/1.1\r\nHost: a\r\n\r\n")
                while not sandbox.calls:
                    await anyio.sleep(0.01)
        await stream.aclose()

        assert handlers_ended(caplog)
