"""The socket on which a sandbox is served."""

from __future__ import annotations

import logging
import socket

import httpx
import pytest

from starlette.responses import PlainTextResponse

from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.uvicorn_server import ServerThread
from vpsorg_async.sandbox.faults._transmission import CONNECTION


async def tell_of_the_connection(scope, receive, send):
    option = scope["state"][CONNECTION].get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await PlainTextResponse(str(bool(option)))(scope, receive, send)


def test_no_part_of_an_answer_waits_for_another_s_acknowledgement():
    """Which is 40 ms for each request, as head and body are two."""
    thread = ServerThread(tell_of_the_connection, host="127.0.0.1", port=0, release=bool)
    thread.start()
    try:
        answer = httpx.get(thread.origin)
    finally:
        thread.stop()

    assert answer.text == "True"


@pytest.mark.parametrize("end", [40, -1], ids=["within the head", "within the body"])
def test_half_a_request_is_none_and_no_fault_of_the_sandbox(caplog, end):
    """The client hangs up: nothing is done, and nothing is logged as an error."""
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
