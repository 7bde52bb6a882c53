"""Serving a sandbox on a socket."""

from __future__ import annotations

import logging
import socket
import threading

import anyio
import httpx
import pytest

from starlette.responses import PlainTextResponse

from tests.sandbox.conftest import AUTHORIZED
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.uvicorn_server import ServerThread
from vpsorg_async.sandbox.faults._transmission import CONNECTION


async def tell_of_the_connection(scope, receive, send):
    option = scope["state"][CONNECTION].get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await PlainTextResponse(str(bool(option)))(scope, receive, send)


def test_no_part_of_an_answer_waits_for_another_s_acknowledgement():
    """The head and the body are two writes; waiting would cost 40 ms per request."""
    thread = ServerThread(tell_of_the_connection, host="127.0.0.1", port=0, release=bool)
    thread.start()
    try:
        answer = httpx.get(thread.origin)
    finally:
        thread.stop()

    assert answer.text == "True"


@pytest.mark.parametrize("end", [40, -1], ids=["within the head", "within the body"])
def test_half_a_request_is_none_and_no_fault_of_the_sandbox(caplog, end):
    """The client disconnects: the request has no effect, and no error is logged."""
    body = b'{"name": "a", "plan_id": 1, "os_id": 5, "location": "us-west"}'
    head = "POST /api/v1/servers/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer vps_sandbox\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    sandbox = Sandbox()

    with sandbox.serve() as base_url:
        with socket.create_connection(("127.0.0.1", httpx.URL(base_url).port)) as client:
            client.sendall(request[:end])
        httpx.get(f"{base_url}/servers/")

    assert [call.method for call in sandbox.calls] == ["GET"]
    assert sandbox.servers == []
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.anyio
class TestServing:
    async def test_time_runs_with_real_time(self):
        """Time passes at the given speed, and afterwards continues from there."""
        sandbox = Sandbox(servers=1)
        async with sandbox.serve(speed=1e6) as base_url, httpx.AsyncClient(headers=AUTHORIZED) as client:
            first = await client.get(f"{base_url}/servers/")
            await client.get(f"{base_url}/servers/")
            sandbox.advance(10)
        calls = sandbox.calls

        assert first.status_code == 200
        assert 0 < calls[0].at < calls[1].at
        assert sandbox._clock.now() >= calls[1].at + 10

    async def test_it_ends_with_its_thread_and_its_port(self):
        """The body of the `with` may end normally, raise or be cancelled."""
        sandbox = Sandbox()
        for ending in (None, KeyError, "cancel"):
            with anyio.CancelScope() as scope:
                try:
                    async with sandbox.serve() as base_url:
                        port = httpx.URL(base_url).port
                        if ending == "cancel":
                            scope.cancel()
                            await anyio.sleep(10)
                        elif ending:
                            raise ending
                except KeyError:
                    pass
            assert [thread for thread in threading.enumerate() if thread.name == "vpsorg-sandbox"] == []
            with socket.create_server(("127.0.0.1", port)):
                pass

    async def test_one_cancelled_before_it_began_leaves_nothing(self):
        """There is no thread left, and the sandbox can be served again."""
        sandbox = Sandbox()
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with sandbox.serve():
                pass

        async with sandbox.serve() as base_url:
            assert base_url.startswith("http://127.0.0.1:")

    async def test_it_is_served_once_at_a_time(self):
        """A port that is in use raises an OSError."""
        sandbox = Sandbox()
        async with sandbox.serve() as base_url:
            with pytest.raises(RuntimeError) as caught:
                await sandbox.serve().__aenter__()
            with pytest.raises(OSError, match="in use"):
                await Sandbox().serve(httpx.URL(base_url).port).__aenter__()

        assert str(caught.value) == "the sandbox is already being served; leave serve() first"

    def test_it_can_be_served_without_an_event_loop(self):
        """A plain `with` works too."""
        with Sandbox(servers=3).serve() as base_url:
            answer = httpx.get(f"{base_url}/servers/", headers=AUTHORIZED)

        assert answer.json()["count"] == 3
