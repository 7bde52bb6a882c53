"""The pytest plugin: fixtures with a sandbox and a client of it.

pytest loads the plugin when vpsorg-async is installed; nothing has to be configured. Both fixtures are synchronous.
They work under pytest-asyncio in strict and in auto mode, under anyio's plugin on asyncio and trio, and in tests that
are not async.

This module stands beside the package, not in it: pytest imports it at each start, in projects that use no fixture of it
too, and a module of the package would bring the package, httpx and attrs along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from vpsorg_async import Client
    from vpsorg_async.sandbox import Sandbox


@pytest.fixture
def vpsorg_sandbox() -> Sandbox:
    """Return a new `Sandbox`, the API offline, for this test alone.

    To begin with servers, credits or a state of your own, define a fixture of the same name:
    `return Sandbox(servers=3)`. `vpsorg_client` then uses that sandbox. If the packages that the sandbox needs are not
    installed, the fixture raises an `ImportError` that names the extra.
    """
    from vpsorg_async.sandbox import Sandbox  # noqa: PLC0415 - see above

    return Sandbox()


@pytest.fixture
def vpsorg_client(vpsorg_sandbox: Sandbox) -> Client:
    """Return a `Client` of `vpsorg_sandbox`. It uses no network, and its waits take no real time.

    The client belongs to the event loop of its first call. It need not be closed.
    """
    return vpsorg_sandbox.client()
