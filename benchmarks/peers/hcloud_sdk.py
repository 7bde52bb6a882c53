"""Calls hcloud, a sync SDK on requests.

Its pages have 50 servers, the most that its API gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hcloud import Client

from benchmarks.peers import TOKEN, Calls
from benchmarks.shapes import ID


@contextmanager
def connect(base: str, connections: int) -> Iterator[Calls]:  # noqa: ARG001 - a thread uses one connection
    client = Client(TOKEN, api_endpoint=f"{base}/hetzner/v1")
    yield Calls(lambda: client.servers.get_by_id(ID), client.servers.get_all)
