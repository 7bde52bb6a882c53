"""What the tests of fleets share: an API on a socket that takes commands, and the sandbox with a hand in between."""

from __future__ import annotations

import datetime as dt
import re

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx

from tests.helpers import action
from tests.helpers_api import ITS_CLOCK, QUICK, FakeAPI, stamp
from tests.rawserver import Bytes, RawServer, Reply, Request, json
from vpsorg_async import Client, Event, FleetReport, FleetRun, Outcome, ResponseError, ServerSpec
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._server.in_process import InProcessTransport


COMMANDS = {"start": ("starting", "active"), "stop": ("stopping", "stopped"), "reboot": ("rebooting", "active")}
LATER = stamp(ITS_CLOCK + dt.timedelta(seconds=5))

Spoil = Callable[[Bytes], Reply]


class FleetAPI(FakeAPI):
    """FakeAPI that takes commands too. A server arrives with the response, but for those in `slow`, also when created.

    `spoiled` tells what becomes of the response to a command to a server, which is carried out all the same;
    `refused` what is answered in place of carrying it out.
    """

    def __init__(self, server: RawServer) -> None:
        super().__init__(server)
        self.slow: set[int] = set()
        self.spoiled: dict[int, Spoil] = {}
        self.refused: dict[int, Reply] = {}
        server.answer("POST", re.compile(r"/servers/\d+/(start|stop|reboot)/"), self.command)
        server.answer("PATCH", re.compile(r"/servers/\d+/"), self.update)
        server.answer("DELETE", re.compile(r"/servers/\d+/"), self.delete)

    def create(self, request: Request) -> Bytes:
        answer = super().create(request)
        if (created := self.created[-1]) not in self.slow:
            self.servers[created]["status"] = "active"
        return answer

    def command(self, request: Request) -> Reply:
        _, _, key, name, _ = request.path.split("/")
        through, after = COMMANDS[name]
        return self._change(
            int(key),
            {"status": through if int(key) in self.slow else after, "updated_at": LATER},
            lambda: json(200, action(int(key), through), self.headers),
        )

    def update(self, request: Request) -> Reply:
        server_id = int(request.path.split("/")[2])
        return self._change(server_id, request.json, lambda: json(200, self.servers[server_id], self.headers))

    def delete(self, request: Request) -> Reply:
        server_id = int(request.path.split("/")[2])
        reply = self._change(server_id, {}, lambda: json(204, None))
        if server_id not in self.refused:
            self.servers.pop(server_id, None)
        return reply

    def _change(self, server_id: int, changes: dict[str, Any], answer: Callable[[], Bytes]) -> Reply:
        if server_id in self.refused:
            return self.refused[server_id]
        if server_id not in self.servers:
            return json(404, {"detail": "Not found."})
        self.servers[server_id] |= changes
        return self.spoiled.get(server_id, lambda reply: reply)(answer())


Meddle = Callable[[httpx.Request], httpx.Response | Exception | None]


class Meddling(httpx.AsyncBaseTransport):
    """Responses, or fails, in place of the sandbox where *meddle* says so."""

    def __init__(self, inner: httpx.AsyncBaseTransport, meddle: Meddle) -> None:
        self._inner = inner
        self._meddle = meddle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        instead = self._meddle(request)
        if isinstance(instead, Exception):
            raise instead
        return instead or await self._inner.handle_async_request(request)


def meddled_client(sandbox: Sandbox, meddle: Meddle, **options: Any) -> Client:
    """Return a client of the sandbox, on its clock, with *meddle* between the two."""
    transport = Meddling(InProcessTransport(sandbox.app, sandbox._clock), meddle)
    given = {"token": "vps_sandbox", "base_url": "http://localhost/api/v1", "retry": QUICK, **options}
    return Client._over(transport, sandbox._clock, **given)


def specs(count: int, **changes: Any) -> list[ServerSpec]:
    """Return so many specs, named `app-0` and so on."""
    wanted = {"plan_id": 1, "os_id": 5, "location": "us-west", **changes}
    return [ServerSpec(name=f"app-{number}", **wanted) for number in range(count)]


def ended(index: int, state: Any = "failed", error: Exception | None = None, **more: Any) -> Outcome:
    """Return the outcome of an item, with an error where there must be one."""
    if state != "succeeded" and error is None:
        error = ResponseError(f"of {index}")
    return Outcome(index=index, item=more.pop("item", index), state=state, error=error, **more)


def left_out(index: int) -> Outcome:
    """Return the outcome of an item that was never begun."""
    return Outcome(index=index, item=index, state="skipped")


def report_of(*outcomes: Outcome, action: str = "reboot", **more: Any) -> FleetReport:
    return FleetReport(action=action, outcomes=outcomes, **more)


def answered(kind: Any, status: int) -> Any:
    """Return an error of this kind, as a response has it."""
    return kind(f"answered {status}", status_code=status, message="no", headers={}, body=b"", sent=False)


def states(report: FleetReport) -> list[str]:
    return [outcome.state for outcome in report]


def posts_of(sandbox: Sandbox) -> int:
    return sum(call.method == "POST" for call in sandbox.calls)


class Hearing:
    """An `on_event` that a test can wait with: `await hearing.of("wait.began", server=7)`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = anyio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def of(self, name: str, **fields: Any) -> None:
        """Return as soon as *name* was told with these fields."""
        with anyio.fail_after(60):
            while not any(event.name == name and fields.items() <= event.fields.items() for event in self.events):
                self._news = anyio.Event()
                await self._news.wait()


async def until(holds: Callable[[], object]) -> None:
    """Let the event loop turn until *holds* is true."""
    with anyio.fail_after(60):
        while not holds():
            await anyio.lowlevel.checkpoint()


async def finish(run: FleetRun) -> None:
    """Await *run*, for a task group to start."""
    await run
