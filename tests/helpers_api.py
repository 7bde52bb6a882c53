"""A small stateful API for the raw server, a proxy that cuts at a byte, and a clock whose sleeps take no time."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import math
import re

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import httpx

from tests.helpers import listed
from tests.rawserver import LoopThread, json
from vpsorg_async import Client, RetryPolicy
from vpsorg_async._clock import SystemClock
from vpsorg_async._transport.pool import ConnectionPool
from vpsorg_async.sandbox._clocks import virtual


if TYPE_CHECKING:
    import socket

    from collections.abc import Callable, Iterator

    from tests.rawserver import Bytes, Peer, RawServer, Reply, Request
    from vpsorg_async._clock import Clock
    from vpsorg_async._transport.types import Phase, RawRequest, RawResponse

TOKEN = "vps_test"
QUICK = RetryPolicy(initial=0.01, maximum=0.02)
SPEC: dict[str, Any] = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}
ITS_CLOCK = dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC)


def client_of(server: Any, **options: Any) -> Client:
    """Return a client of a raw server (or what has a `base_url`) that does not pause for long."""
    return Client(TOKEN, base_url=server.base_url, **{"retry": QUICK, **options})


class VirtualClock(SystemClock):
    """The machine's clock, but for sleeps: they move it forward at once, whatever other tasks are at."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return super().now() + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()


class StillClock(VirtualClock):
    """A clock that nothing but sleeps moves: no deadline passes while the machine is busy."""

    def now(self) -> float:
        return sum(self.slept)

    def move_on_after(self, _seconds: float | None) -> anyio.CancelScope:  # type: ignore[override]
        return anyio.CancelScope()


class HangsClock(StillClock):
    """A clock that is moved by sleeps, and by what hangs: until the next deadline, when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[tuple[float, anyio.CancelScope]] = []

    @contextlib.contextmanager
    def move_on_after(self, seconds: float | None) -> Iterator[anyio.CancelScope]:  # type: ignore[override]
        with anyio.CancelScope() as scope:
            entry = (math.inf if seconds is None else self.now() + seconds, scope)
            if entry[0] <= self.now():
                scope.cancel()
            self._open.append(entry)
            try:
                yield scope
            finally:
                self._open.remove(entry)

    async def end_what_arrives(self, server: RawServer, method: str | None = None) -> None:
        """Let it be the time of the next deadline as soon as the server has a request of that method, each time."""
        for number in itertools.count(1):
            await server.arrived(number, method)
            deadline, scope = min(self._open, key=lambda entry: entry[0])
            self.slept.append(max(0.0, deadline - self.now()))
            scope.cancel()


class SharedClock(virtual.VirtualClock):
    """The sandbox's clock, for several tasks at once: it stands still while any request is on the wire.

    It cannot be used where a response never comes: no deadline would pass.
    """


class SharedClockPool(ConnectionPool):
    """A pool that tells the clock of its client which requests are on the wire."""

    def __init__(self, clock: SharedClock) -> None:
        super().__init__(httpx.create_ssl_context)
        self._clock = clock

    async def round_trip(self, request: RawRequest, on_phase: Callable[[Phase], None]) -> RawResponse:
        with self._clock.answering():
            return await super().round_trip(request, on_phase)


class AttemptsClock(SystemClock):
    """The machine's clock, but for attempts: they take too long when a test says so. Its clients need `ATTEMPT`."""

    ATTEMPT = 31.0

    def __init__(self) -> None:
        self._attempts: list[anyio.CancelScope] = []

    def move_on_after(self, seconds: float | None) -> anyio.CancelScope:  # type: ignore[override]
        scope = anyio.move_on_after(seconds)
        if seconds == self.ATTEMPT:
            self._attempts.append(scope)
        return scope

    def end_attempts(self) -> None:
        for scope in self._attempts:
            scope.cancel()
        self._attempts.clear()

    async def end_attempts_that_arrived(self, server: RawServer, count: int) -> None:
        """Let each of the first *count* attempts take too long, as soon as the server has its request."""
        for number in range(1, count + 1):
            await server.arrived(number)
            self.end_attempts()


def client_over(server: RawServer, clock: Clock, **options: Any) -> Client:
    """Return a client of a raw server, through real sockets, whose times go by *clock*."""
    pool = SharedClockPool(clock) if isinstance(clock, SharedClock) else ConnectionPool(httpx.create_ssl_context)
    return Client._over(pool, clock, base_url=server.base_url, **{"token": TOKEN, "retry": QUICK, **options})


class FakeAPI:
    """The list, detail and create endpoints over a dict of servers, with a clock of the server's own.

    What a test sets changes what is answered from then on: `tells_date`, `paged_by` (`None`: as asked), `count` (the
    right one, or any JSON), `unseen` (so many listings do not show what was created last), `before_list` (called before
    each page, with the number of pages listed so far), `passed` (the seconds that its clock has gone on: none).
    """

    def __init__(self, server: RawServer) -> None:
        self.servers: dict[int, dict[str, Any]] = {}
        self.created: list[int] = []
        self.listings = 0
        self.tells_date = True
        self.paged_by: int | None = None
        self.knows_page_size = True
        self.count: Any = Ellipsis
        self.next_of: Callable[[int, str], str | None] = lambda _number, link: link
        self.unseen = 0
        self.newest_first = False
        self.before_list: Callable[[int], object] = lambda _number: None
        self.passed: Callable[[], float] = lambda: 0.0
        self.origin = server.base_url
        self._next_id = 1
        server.answer("GET", "/servers/", self.page)
        server.answer("POST", "/servers/", self.create)
        server.answer("GET", re.compile(r"/servers/\d+/"), self.get)

    def add(self, count: int = 1, **changes: Any) -> list[int]:
        """Make *count* servers that nobody asked for through the API."""
        ids = list(range(self._next_id, self._next_id + count))
        for server_id in ids:
            self.servers[server_id] = listed(server_id, **{"name": f"web-{server_id}", **changes})
        self._next_id += count
        return ids

    def add_like(self, spec: dict[str, Any], *, age: float = 0.0, **changes: Any) -> int:
        """Make a server as *spec* would, so many seconds ago."""
        wanted = {
            "name": spec["name"],
            "location": spec["location"],
            "plan": {"id": spec["plan_id"], "name": "Standard VPS"},
            "os": {"id": spec["os_id"], "name": "Ubuntu 22.04 LTS"},
            "hostname": spec.get("hostname"),
            "status": "provisioning",
            "created_at": stamp(self.now - dt.timedelta(seconds=age)),
        }
        return self.add(**{**wanted, **changes})[0]

    def create(self, request: Request) -> Bytes:
        server_id = self.add_like(request.json)
        self.created.append(server_id)
        return json(201, {**self.servers[server_id], "message": "Server is being provisioned."}, self.headers)

    def committed(self, spoil: Callable[[Bytes], Reply]) -> Callable[[Request], Reply]:
        """Return a response to a create that makes the server, and then spoils what is said about it."""
        return lambda request: spoil(self.create(request))

    def get(self, request: Request) -> Bytes:
        server = self.servers.get(int(request.path.split("/")[2]))
        return json(404, {"detail": "Not found."}) if server is None else json(200, server, self.headers)

    def page(self, request: Request) -> Bytes:
        self.before_list(self.listings)
        self.listings += 1
        if "page_size" in request.query and not self.knows_page_size:
            return json(400, {"page_size": ["Unknown parameter."]})
        asked = int(request.query.get("page_size", 20))
        number, size = int(request.query.get("page", 1)), self.paged_by or asked
        shown = [server for server in self.servers.values() if self._shows(server, request.query)]
        if self.newest_first:
            shown.reverse()
        if number > 1 and (number - 1) * size >= len(shown):
            return json(404, {"detail": "Invalid page."})
        following = None
        if number * size < len(shown):
            query = {**request.query, "page": str(number + 1)}
            following = f"{self.origin}/servers/?{httpx.QueryParams(query)}"
        answer: dict[str, Any] = {"next": self.next_of(number, following) if following else None}
        if self.count is not None:
            answer["count"] = len(shown) if self.count is Ellipsis else self.count
        return json(200, {**answer, "results": shown[(number - 1) * size : number * size]}, self.headers)

    @property
    def now(self) -> dt.datetime:
        return ITS_CLOCK + dt.timedelta(seconds=self.passed())

    @property
    def headers(self) -> dict[str, str]:
        return {"Date": format_datetime(self.now.replace(microsecond=0), usegmt=True)} if self.tells_date else {}

    def _shows(self, server: dict[str, Any], query: dict[str, str]) -> bool:
        if self.listings <= self.unseen and server["id"] in self.created:
            return False
        return all(server[key] == query[key] for key in ("status", "location") if key in query)


def stamp(when: dt.datetime) -> str:
    """Return *when* as the API writes it."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@attrs.frozen
class Where:
    """Cut after so many bytes of the request (`up`), or of its response (`down`)."""

    up: int | None = None
    down: int | None = None
    reset: bool = False


class CuttingProxy(LoopThread):
    """Passes bytes on to a raw server, and cuts each connection whose first request is a POST where it is told to.

    A cut behind the whole request is made once the server has begun to answer: what was asked is done by then.
    """

    def __init__(self, server: RawServer) -> None:
        super().__init__()
        self.base_url = server.base_url.replace(f":{server.port}/", f":{self.port}/")
        self.where = Where()
        self.posts = 0
        self._target = server.port

    async def _serve(self, client: socket.socket, peer: Peer) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: peer, client)
        first = await peer.reader.read(65536)
        where = Where()
        if first.startswith(b"P"):
            self.posts += 1
            where = self.where
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        with contextlib.closing(writer):
            pumps = (self._pump_up(first, peer, writer, where), self._pump_down(reader, peer, where))
            tasks = [asyncio.ensure_future(pump) for pump in pumps]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        peer.close(reset=where.reset)

    async def _pump_up(self, data: bytes, peer: Peer, writer: asyncio.StreamWriter, where: Where) -> None:
        left = where.up
        while data:
            writer.write(data[:left])
            if left is not None and (left := left - len(data)) <= 0:
                return
            data = await peer.reader.read(65536)

    async def _pump_down(self, reader: asyncio.StreamReader, peer: Peer, where: Where) -> None:
        left = where.down
        while data := await reader.read(65536):
            peer.write(data[:left])
            if left is not None and (left := left - len(data)) <= 0:
                return
