"""Lists the clients that are compared, one module each.

Each is used as its documentation says, with kept connections. A module has `connect(base, connections)`. Its context
gives a `Calls`: `get` returns one server and `list_all` all of them, as the users of that client get them. A sync
client (`threads`) is called from threads that do not share it. The environment has the authority that clients have to
trust: `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE`.
"""

from __future__ import annotations

import dataclasses

from collections.abc import Callable
from typing import Any


TOKEN = "vps_benchmark"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = 120.0
"""The seconds that a call may wait for a connection: 1,000 at once would exceed a short limit."""


@dataclasses.dataclass(frozen=True)
class Calls:
    """The two calls of one client that are measured."""

    get: Callable[[], Any]
    list_all: Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Peer:
    """A client: its module, its result type, its distributions and its imports."""

    module: str
    gives: str
    distributions: tuple[str, ...]
    imports: str
    threads: bool = False
    # The requirement of a client that cannot be installed beside the others.
    apart: str = ""


OURS, RAW, NEAR_LIMIT = "vpsorg_async", "httpx", "aiohttp + msgspec"

PEERS = {
    OURS: Peer("vps", "`Server`", ("vpsorg-async", "anyio", "httptools", "orjson"), "vpsorg_async"),
    RAW: Peer("raw_httpx", "dict", ("httpx", "httpcore", "h11"), "httpx"),
    "httpx + cattrs": Peer("typed_httpx", "attrs class", ("cattrs", "attrs"), "httpx, cattrs"),
    "httpx2": Peer("raw_httpx2", "dict", ("httpx2",), "httpx2"),
    NEAR_LIMIT: Peer("fast_aiohttp", "msgspec struct", ("aiohttp", "msgspec"), "aiohttp, msgspec"),
    # It replaces urllib3 with its own fork, and clients that use requests would be measured with that fork.
    "niquests": Peer("raw_niquests", "dict", ("niquests", "urllib3-future"), "niquests", apart="niquests>=3.21"),
    "openai": Peer("openai_sdk", "pydantic model", ("openai", "pydantic"), "openai"),
    "pydo": Peer("pydo_sdk", "dict", ("pydo", "azure-core"), "pydo.aio"),
    "hcloud": Peer("hcloud_sdk", "its class", ("hcloud", "requests", "urllib3"), "hcloud", threads=True),
    "linode_api4": Peer("linode_sdk", "its class", ("linode-api4",), "linode_api4", threads=True),
}
