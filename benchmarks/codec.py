"""Measures the decoding of 100 servers against `json.loads` of the same bytes.

Fails if decoding takes more than 3 times as long.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys

from time import process_time_ns
from typing import TYPE_CHECKING, Any

from vpsorg_async._request import codec


if TYPE_CHECKING:
    from collections.abc import Callable

SERVERS, ROUNDS, TIMES, LIMIT = 100, 60, 20, 3.0


def body() -> bytes:
    """Return a page of `SERVERS` servers, in the shape that the API documents for a list."""
    results = [
        {
            "id": 12345 + number,
            "name": f"web-server-{number:02}",
            "hostname": f"web{number:02}.example.com",
            "status": "active",
            "ip_address": f"203.0.113.{number}",
            "location": "us-west",
            "plan": {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80},
            "os": {"id": 5, "name": "Ubuntu 22.04 LTS"},
            "created_at": "2025-01-10T14:30:00Z",
            "updated_at": "2025-01-15T10:20:00Z",
        }
        for number in range(SERVERS)
    ]
    return json.dumps({"count": SERVERS, "results": results}).encode()


def decode(data: bytes) -> list[Any]:
    """Decode a response as a list call does."""
    return [*codec.servers(codec.page(data), first=0, skip_invalid=False, on_skipped=print)]


def microseconds(function: Callable[[bytes], object], data: bytes) -> float:
    """Return the CPU time of one call of *function*, in microseconds."""
    gc.collect()
    begin = process_time_ns()
    for _ in range(TIMES):
        function(data)
    return (process_time_ns() - begin) / TIMES / 1000


def main() -> int:
    """Print the medians, and return the exit code."""
    data = body()
    pairs = [(microseconds(json.loads, data), microseconds(decode, data)) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / plain for plain, ours in pairs)
    plain, ours = (statistics.median(column) / SERVERS for column in zip(*pairs, strict=True))
    print(f"bytes -> Server: {ours:.2f} µs a server; json.loads: {plain:.2f} µs; ratio {ratio:.2f}, at most {LIMIT:g}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
