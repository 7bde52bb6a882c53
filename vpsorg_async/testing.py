"""The pytest plugin: a sandbox and a client of it for tests of code that awaits this library.

It is there as soon as this package is installed beside pytest; nothing has to be configured. Both fixtures are
synchronous, so they work under pytest-asyncio in strict and in auto mode, under anyio's plugin on asyncio and trio, and
in tests that are not async at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from ._client import Client
    from .sandbox import Sandbox


@pytest.fixture
def vpsorg_sandbox() -> Sandbox:
    """Return a new `Sandbox`, the API offline, for this test alone.

    Define a fixture of the same name to begin with servers, credits or a state of your own:
    `return Sandbox(servers=3)`. `vpsorg_client` then belongs to that one. Raises `ImportError`, which names the extra,
    where what the sandbox needs is not installed.
    """
    # Pytest loads this module also in projects without the extra, and before anything is measured.
    from .sandbox import Sandbox  # noqa: PLC0415 -- the same

    return Sandbox()


@pytest.fixture
def vpsorg_client(vpsorg_sandbox: Sandbox) -> Client:
    """Return a `Client` of `vpsorg_sandbox`, without network, whose waits take no real time.

    It belongs to the event loop in which it is first used, and holds nothing that would have to be closed.
    """
    return vpsorg_sandbox.client()
