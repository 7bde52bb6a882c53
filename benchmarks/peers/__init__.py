"""The clients that are compared, a module each, written as their documentation says: one client, connections kept.

A module has `connect(base, connections)`, whose context gives what the client can do. Each call returns what its users
get: `get` one server, `list_all` all of them. Those of a sync client (`threads`) are called from threads, which do not
share a client. What a client has to trust stands in the environment: `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE`.
"""

from __future__ import annotations

import dataclasses

from collections.abc import Callable
from typing import Any


TOKEN = "vps_benchmark"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = 120.0
"""Seconds that a call may wait for its turn: where that has a short bound, 1,000 at once would run into it."""


@dataclasses.dataclass(frozen=True)
class Calls:
    """What one client can do."""

    get: Callable[[], Any]
    list_all: Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Peer:
    """A client, as which it is known, and what it needs."""

    module: str
    gives: str
    distributions: tuple[str, ...]
    imports: str
    threads: bool = False
    # Its requirement, if it cannot be installed beside the others.
    apart: str = ""


OURS, RAW, NEAR_LIMIT = "vpsorg_async", "httpx", "aiohttp + msgspec"

PEERS = {
    OURS: Peer("vps", "`Server`", ("vpsorg-async", "anyio", "httptools", "orjson"), "vpsorg_async"),
    RAW: Peer("raw_httpx", "dict", ("httpx", "httpcore", "h11"), "httpx"),
    "httpx + cattrs": Peer("typed_httpx", "attrs class", ("cattrs", "attrs"), "httpx, cattrs"),
    "httpx2": Peer("raw_httpx2", "dict", ("httpx2",), "httpx2"),
    NEAR_LIMIT: Peer("fast_aiohttp", "msgspec struct", ("aiohttp", "msgspec"), "aiohttp, msgspec"),
    # It puts its fork of urllib3 in the place of urllib3, which those built on requests would then be measured with.
    "niquests": Peer("raw_niquests", "dict", ("niquests", "urllib3-future"), "niquests", apart="niquests>=3.21"),
    "openai": Peer("openai_sdk", "pydantic model", ("openai", "pydantic"), "openai"),
    "pydo": Peer("pydo_sdk", "dict", ("pydo", "azure-core"), "pydo.aio"),
    "hcloud": Peer("hcloud_sdk", "its class", ("hcloud", "requests", "urllib3"), "hcloud", threads=True),
    "linode_api4": Peer("linode_sdk", "its class", ("linode-api4",), "linode_api4", threads=True),
}
