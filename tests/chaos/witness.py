"""Records the requests that arrive at a sandbox and the results that callers get."""

from __future__ import annotations

import itertools
import random

from collections import Counter, defaultdict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs

from tests.chaos.invariants import Record, Request, Told
from tests.helpers_events import Heard
from vpsorg_async import APIConnectionError, Client, Event, Outcome
from vpsorg_async.sandbox._api.app import BASE_PATH
from vpsorg_async.sandbox.faults import _kinds
from vpsorg_async.sandbox.faults._injector import stage_of
from vpsorg_async.sandbox.faults._transmission import CONNECTION


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import httpx

    from tests.chaos.forwarder import Forwarder
    from tests.rawserver import RawServer
    from tests.rawserver import Request as RawRequest
    from vpsorg_async.sandbox import Sandbox
    from vpsorg_async.sandbox.faults import Fault

HEADER = "X-Call"
CALL: ContextVar[str] = ContextVar("CALL", default="")
"""The call of this task's requests. Tasks that it starts inherit it."""

_TOO_SLOW = ("no answer within", "no response within")
_LOSE = (_kinds.Hang, _kinds.Drop)
_KEEP_FROM_ARRIVING = (_kinds.Delay, _kinds.Drip, _kinds.Cut, *_LOSE)


async def mark(request: httpx.Request) -> None:
    """Put the id of the call on *request*. An event hook of httpx, above the retries."""
    request.headers[HEADER] = CALL.get()


@attrs.frozen
class _Arrival:
    """A request that reached the app: its index in `Sandbox.calls`, and further facts."""

    index: int
    call: str
    origin: str
    token: bool
    # Whether a gateway in front of the API replaced the response, after the request was executed.
    replaced: bool = False


class Witness:
    """Stands in front of a sandbox's app, and records the calls of its client.

    Attributes:
        closed_at: the time at which the client was closed and all of its requests had arrived; see `Record`.
        gateway_fails: the share of requests that are executed and still get a 502.
        heard: the events of the client.
    """

    def __init__(self, sandbox: Sandbox, *, max_connections: int, seed: int = 0) -> None:
        self.max_connections = max_connections
        self.closed_at: float | None = None
        self.gateway_fails = 0.0
        self._chance = random.Random(seed)
        self._sandbox = sandbox
        self._app = sandbox.app
        self._arrivals: list[_Arrival] = []
        self._told: dict[str, Told] = {}
        self._of_fleets: list[Told] = []
        self.heard = Heard()
        self._numbers = itertools.count(1)
        sandbox.app = self

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        # On a socket, every request has come to this origin. In-process, requests for every URL arrive here.
        host = "api" if CONNECTION in scope["state"] else scope["server"][0]
        arrival = _Arrival(
            index=-1,
            call=headers.get(HEADER.lower(), ""),
            origin="api" if host == "localhost" else host,
            token="authorization" in headers,
        )

        async def receive_and_record() -> Any:
            nonlocal arrival
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body") and arrival.index < 0:
                # The sandbox handles it before anything else can happen in its event loop.
                arrival = attrs.evolve(arrival, index=len(self._sandbox._backend.calls))
                self._arrivals.append(arrival)
            return message

        if self._chance.random() >= self.gateway_fails:
            await self._app(scope, receive_and_record, send)
            return
        messages: list[Any] = []

        async def keep(message: Any) -> None:
            messages.append(message)

        await self._app(scope, receive_and_record, keep)
        # A fault of the sandbox may have dropped the response. It stays dropped.
        if messages:
            self._arrivals[self._arrivals.index(arrival)] = attrs.evolve(arrival, replaced=True)
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    def now(self) -> float:
        """Return the sandbox's time in seconds."""
        return self._sandbox._backend.clock.now()

    def mark_requests_of(self, client: Client) -> None:
        """Let *client* name the call of each of its requests."""
        client.http.event_hooks = {"request": [mark]}

    def on_event(self, event: Event) -> None:
        """Keep the event, and record that an attempt of a call was given up because it was too slow."""
        self.heard(event)
        if event.name == "call.attempt" and str(event.fields["reason"]).startswith(_TOO_SLOW):
            self._change(CALL.get(), slow=True)

    def begin(self, kind: str, at: float, *, name: str = "") -> str:
        """Record that a call begins now in this task, and return its id."""
        call = str(next(self._numbers))
        self._told[call] = Told(call=call, kind=kind, name=name, began=at, end="running")
        CALL.set(call)
        return call

    @property
    def current(self) -> str:
        """The call that this task began last."""
        return CALL.get()

    def is_running(self, call: str) -> bool:
        return self._told[call].end == "running"

    def returned(self, call: str, value: Any = None) -> None:
        server = str(value.id) if self._told[call].kind == "create" else ""
        self._change(call, end="returned", server=server)

    def raised(self, call: str, error: BaseException) -> None:
        self._change(call, end="raised", error=_name(error), sent=_sent(error))

    def cancelled(self, call: str) -> None:
        self._change(call, end="cancelled")

    def reported(self, call: str, outcomes: Sequence[Outcome]) -> None:
        """Record the outcome of each create in a fleet's report."""
        for outcome in outcomes:
            told = Told(call=call, kind="create", name=outcome.item.name, began=self._told[call].began)
            if outcome.server is not None:
                told = attrs.evolve(told, server=str(outcome.server.id))
            elif outcome.state == "skipped":
                told = attrs.evolve(told, end="raised", error="skipped")
            elif outcome.state == "unknown" or outcome.error is None:
                # A fleet's "unknown" is an OutcomeUnknownError, or a cancel while the request was being sent.
                end = "raised" if _name(outcome.error) == "OutcomeUnknownError" else "cancelled"
                told = attrs.evolve(told, end=end, error=_name(outcome.error))
            else:
                told = attrs.evolve(told, end="raised", error=_name(outcome.error), sent=_sent(outcome.error))
            self._of_fleets.append(told)

    def _change(self, call: str, **changes: Any) -> None:
        if call in self._told:
            self._told[call] = attrs.evolve(self._told[call], **changes)

    @property
    def ends(self) -> Counter[str]:
        """The number of calls for each end."""
        return Counter(told.end for told in self._told.values())

    @property
    def applied(self) -> Counter[str]:
        """The number of requests to which each kind of fault was applied."""
        counts = Counter(stage_of(entry.fault) for entry in self._sandbox.faults.log)
        return counts + Counter({"502 after execution": sum(arrival.replaced for arrival in self._arrivals)})

    def record(self, forwarder: Forwarder | None = None, elsewhere: RawServer | None = None) -> Record:
        """Return the record of everything so far: here, on the way here, and at another origin."""
        by_call: dict[int, list[Fault]] = defaultdict(list)
        for entry in self._sandbox.faults.log:
            by_call[id(entry.call)].append(entry.fault)
        cut = set() if forwarder is None else forwarder.calls_cut
        ids = self._ids_made()
        calls = self._sandbox.calls
        requests = []
        for arrival in self._arrivals:
            request = _request(arrival, calls[arrival.index], by_call[id(calls[arrival.index])])
            if request.committed and request.path == "/servers/":
                request = attrs.evolve(request, made=str(ids[request.name].pop(0)))
            requests.append(attrs.evolve(request, delivered=request.delivered and request.call not in cut))
        if forwarder is not None:
            requests += [self._named(part, number) for number, part in enumerate(forwarder.parts)]
            requests.sort(key=lambda request: request.at)
        if elsewhere is not None:
            requests += [_strayed(request) for request in elsewhere.requests]
        return Record(
            requests=requests,
            told=[*self._told.values(), *self._of_fleets],
            sockets=() if forwarder is None else forwarder.open_at_each,
            max_connections=self.max_connections,
            closed_at=self.closed_at,
        )

    def _named(self, part: Request, number: int) -> Request:
        """Return *part* with the name of its create, or a made-up name.

        The name of one of several creates of a fleet is not known.
        """
        if part.name or (part.method, part.path) != ("POST", "/servers/"):
            return part
        told = self._told.get(part.call)
        return attrs.evolve(part, name=told.name if told is not None and told.name else f"part {number}")

    def _ids_made(self) -> dict[str, list[int]]:
        """Return the ids of the servers made under each name, in order of creation."""
        ids = defaultdict(list)
        for event in self._sandbox._backend.accounts[0].log:
            if event.kind == "created":
                ids[event.data["name"]].append(event.server_id)
        return ids


def _request(arrival: _Arrival, call: Any, faults: Sequence[Fault]) -> Request:
    statuses = [fault.what for fault in faults if isinstance(fault.what, _kinds.Status)]
    headers = {name.lower() for what in statuses for name, _ in what.headers}
    changes = call.method not in ("GET", "HEAD") and not statuses and 200 <= call.status < 300
    is_create = (call.method, call.path) == ("POST", "/servers/")
    return Request(
        call=arrival.call,
        method=call.method,
        # Each page of a list is a request of its own.
        path=call.path + (f"?{call.query['page']}" if call.query.get("page", "1") != "1" else ""),
        name=(call.json or {}).get("name", "") if is_create else "",
        at=call.at,
        origin=arrival.origin,
        token=arrival.token,
        status=502 if arrival.replaced else call.status,
        retry_after="retry-after" in headers and not arrival.replaced,
        delivered=not any(isinstance(fault.what, _KEEP_FROM_ARRIVING) for fault in faults),
        lost=any(isinstance(fault.what, _LOSE) for fault in faults),
        spoilt=bool(faults) or arrival.replaced,
        committed=changes,
    )


def _strayed(request: RawRequest) -> Request:
    call, token = request.headers.get(HEADER.lower(), ""), "authorization" in request.headers
    return Request(call=call, method=request.method, path=request.path, origin="elsewhere", token=token)


def path_below(target: str) -> str:
    """Return a request's path below the API's own, without its query."""
    return target.partition("?")[0].removeprefix(BASE_PATH)


def _name(error: BaseException | None) -> str:
    return "" if error is None else type(error).__name__


def _sent(error: BaseException | None) -> bool:
    return isinstance(error, APIConnectionError) and error.sent
