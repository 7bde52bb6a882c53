"""Calls linode_api4, a sync SDK on requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from linode_api4 import Instance, LinodeClient

from benchmarks.peers import TOKEN, Calls
from benchmarks.shapes import ID, PAGE


@contextmanager
def connect(base: str, connections: int) -> Iterator[Calls]:  # noqa: ARG001 - a thread uses one connection
    client = LinodeClient(TOKEN, base_url=f"{base}/linode/v4", page_size=PAGE)
    yield Calls(lambda: client.load(Instance, ID), lambda: list(client.linode.instances()))
