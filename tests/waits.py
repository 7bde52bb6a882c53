"""What the tests of waits share: a server's story, told poll by poll, and a clock on which pauses take no time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import anyio
import anyio.lowlevel

from tests.helpers import action, detail
from tests.rawserver import Reply, certificates, json
from vpsorg_async import Client, PollPolicy, RetryPolicy
from vpsorg_async._clock import SystemClock
from vpsorg_async._transport.pool import ConnectionPool


SEVEN = "/servers/7/"
RETRY = RetryPolicy(initial=0.01, maximum=0.02)
# A grace that does not pass while a test runs; where it shall pass, a test brings its own.
POLL = PollPolicy(minimum=0.1, maximum=0.1, grace=60)
# On a clock that skips pauses: polls at the begin and at `timeout=10`, and none between.
TWICE = PollPolicy(minimum=10, maximum=10, grace=60)
DATE = "Wed, 15 Oct 2025 12:00:00 GMT"
BEFORE, AFTER = "2025-10-15T10:35:00Z", "2025-10-15T12:00:01Z"


class SkippingClock:
    """A clock that sleeps move, which take no time: on it no machine is slow. Its scopes go by real time.

    It goes on by a microsecond whenever it is asked, so that one thing happens after another.
    """

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._asked = 0

    def now(self) -> float:
        self._asked += 1
        return sum(self.slept) + self._asked * 1e-6

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()

    def move_on_after(self, seconds: float | None) -> AbstractContextManager[Any]:
        return anyio.move_on_after(seconds)


class PausingClock(SystemClock):
    """Real time, that tells of the first pause."""

    def __init__(self) -> None:
        self.paused = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.paused.set()
        await anyio.sleep(seconds)


def client_of(server, **options) -> Client:
    return Client("vps_test", base_url=server.base_url, **{"retry": RETRY, **options})


def skipping_client_of(server, clock, **options) -> Client:
    """Return a client on a real socket whose pauses take no time."""
    pool = ConnectionPool(lambda: certificates().trust, None)
    given = {"token": "vps_test", "base_url": server.base_url, "retry": RETRY, **options}
    return Client._over(pool, clock, **given)


def shown(status: Any = "active", **changes: Any) -> Reply:
    """Return what a poll is answered with."""
    return json(200, detail(status=status, **changes))


def shown_in_turn(*told: Any) -> list[Reply]:
    """Return answers to polls, one after another, the last one for ever: statuses, or replies as they are."""
    return [shown(item) if isinstance(item, str) or item is None else item for item in told]


def tell(server, *told: Any) -> None:
    """Let the polls of server 7 show this, one after another, the last one for ever."""
    server.answer("GET", SEVEN, shown_in_turn(*told))


def accept(server, name: str, *, date: str | None = None) -> None:
    """Let the API accept a command to server 7."""
    through = {"start": "starting", "stop": "stopping", "reboot": "rebooting"}[name]
    headers = None if date is None else {"Date": date}
    server.answer("POST", f"{SEVEN}{name}/", json(200, action(status=through), headers))


def made_polls(server) -> int:
    return len(server.requests_to("GET", SEVEN))
