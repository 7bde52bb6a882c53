"""Counts what one `client.servers.reboot(7)` runs through on a warm connection: `python -m benchmarks.walk`.

Counts Python's own "call" events: a function counts when it begins, and a coroutine again each time it is resumed.
`--list` shows each of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import threading

from collections import Counter
from collections.abc import Sequence
from types import FrameType
from typing import Any

import attrs

from vpsorg_async import Client


SERVER_ID = 7
_BODY = json.dumps(
    {
        "status": "success",
        "message": "Server is rebooting",
        "server": {"id": SERVER_ID, "name": "web-01", "status": "rebooting"},
    }
).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


@attrs.define
class Walk:
    """The functions that ran between the begin and the end of a call."""

    calls: list[tuple[int, str, str]] = attrs.field(factory=list)

    @property
    def files(self) -> int:
        return len({file for _, file, _ in self.calls})

    @property
    def depth(self) -> int:
        return max(depth for depth, _, _ in self.calls)

    def record(self, start: FrameType) -> Any:
        """Return a profile function; depths count from *start*, the frame that awaits the call."""

        def profile(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and (depth := _depth(frame, start)) is not None:
                self.calls.append((depth, frame.f_code.co_filename, frame.f_code.co_qualname))

        return profile


def _depth(frame: FrameType | None, start: FrameType) -> int | None:
    """Return how far *frame* is below *start*, or `None` where it is the event loop's."""
    depth = 0
    while frame is not None and frame is not start:
        frame, depth = frame.f_back, depth + 1
    return None if frame is None else depth


def serve(listener: socket.socket) -> None:
    """Give every request the same response."""
    connection, _ = listener.accept()
    with connection:
        while connection.recv(65536):
            connection.sendall(RESPONSE)


async def walked(port: int) -> Walk:
    """Reboot a few times, and return what the last one ran through."""
    walk = Walk()
    async with Client("vps_benchmark", base_url=f"http://127.0.0.1:{port}/api/v1") as client:
        for _ in range(3):
            await client.servers.reboot(SERVER_ID)
        sys.setprofile(walk.record(sys._getframe()))
        try:
            await client.servers.reboot(SERVER_ID)
        finally:
            sys.setprofile(None)
    return walk


def main(arguments: Sequence[str] | None = None) -> Walk:
    """Print the figures, and return what they were made of."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.walk", description=__doc__)
    parser.add_argument("--list", action="store_true", help="show every call")
    options = parser.parse_args(arguments)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        walk = asyncio.run(walked(listener.getsockname()[1]))
    if options.list:
        for depth, file, name in walk.calls:
            print(f"{'  ' * depth}{name}  ({file.rpartition('site-packages/')[2]})")
    for where, calls in Counter("/".join(file.split("/")[-2:]) for _, file, _ in walk.calls).most_common():
        print(f"{calls:4} {where}")
    ours = Walk([call for call in walk.calls if "/vpsorg_async/" in call[1]])
    for name, part in (("with its libraries", walk), ("this library's own", ours)):
        print(f"{name}: {len(part.calls)} activations, {part.files} files, depth {part.depth}")
    return walk


if __name__ == "__main__":
    main()
