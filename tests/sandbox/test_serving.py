"""The socket on which a sandbox is served."""

from __future__ import annotations

import socket

import httpx

from starlette.responses import PlainTextResponse

from vpsorg_async.sandbox._delivery import CONNECTION
from vpsorg_async.sandbox._serving import ServerThread


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
