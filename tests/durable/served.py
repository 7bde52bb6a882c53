"""Serves a sandbox to worker processes, and acts when a chosen request is at a chosen phase."""

from __future__ import annotations

import contextlib
import json
import threading

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

import attrs

from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._api.app import BASE_PATH
from vpsorg_async.sandbox._state.account import Event


Phase = Literal["arrived", "executed", "answered"]
PHASES: tuple[Phase, ...] = ("arrived", "executed", "answered")
TOKEN = "vps_sandbox"
PATIENCE = 60.0


@attrs.frozen
class Request:
    """A request that has reached the API.

    Attributes:
        number: its position among all of them, from 1.
        command: the number of creates, starts, stops, reboots and deletes so far, itself included; 0 for a GET.
        method: in capitals.
        path: below the base path.
        host: the `Host` header, which tells the workers apart where each has an address of its own.
    """

    number: int
    command: int
    method: str
    path: str
    host: str


class Served:
    """A sandbox in the process of the test, so that it survives its clients.

    Its time is real: a server that a lost create has made is proven by the API's clock.

    Attributes:
        sandbox: the sandbox.
        requests: the requests so far.
        on_request: is called in the server's thread at each phase of each request.
        added: fields that the API adds to each object that it responds to a command with.
    """

    def __init__(self, *, servers: int = 0, token: str = TOKEN, seed: int = 0) -> None:
        self.sandbox = Sandbox(servers=servers, token=token, seed=seed)
        self.requests: list[Request] = []
        self.on_request: Callable[[Request, Phase], object] = lambda request, phase: None
        self.added: dict[str, Any] = {}
        self._lock = threading.Condition()
        self._phases: Counter[Phase] = Counter()
        self._app, self.sandbox.app = self.sandbox.app, self

    @contextlib.contextmanager
    def serve(self, host: str = "127.0.0.1") -> Iterator[str]:
        """Serve, and give the base URL."""
        with self.sandbox.serve(host=host) as base_url:
            yield base_url

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        request = self._note(scope)
        executed = False

        async def send_on(message: Any) -> None:
            nonlocal executed
            if not executed:
                executed = True
                self._tell(request, "executed")
            await send(self._with_more(message))

        self._tell(request, "arrived")
        try:
            await self._app(scope, receive, send_on)
        finally:
            # A fault has dropped the response: it was executed nevertheless, or is known not to be.
            if not executed:
                self._tell(request, "executed")
            self._tell(request, "answered")

    def _with_more(self, message: Any) -> Any:
        """Return a message of a response, with the fields that are added to it."""
        if not self.added:
            return message
        if message["type"] == "http.response.start":
            # The length changes: the body goes in chunks.
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
            return {**message, "headers": headers}
        if message.get("body", b"").startswith(b"{"):
            return {**message, "body": json.dumps({**json.loads(message["body"]), **self.added}).encode()}
        return message

    def _note(self, scope: Any) -> Request:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"]
        request = Request(
            number=len(self.requests) + 1,
            command=0 if method == "GET" else len(self.commands) + 1,
            method=method,
            path=scope["path"].removeprefix(BASE_PATH),
            host=headers.get(b"host", ""),
        )
        self.requests.append(request)
        return request

    def _tell(self, request: Request, phase: Phase) -> None:
        self.on_request(request, phase)
        with self._lock:
            self._phases[phase] += request.command > 0
            self._lock.notify_all()

    def wait_for(self, number: int, phase: Phase = "answered") -> None:
        """Return when so many commands have reached the phase."""
        with self._lock:
            there = self._lock.wait_for(lambda: self._phases[phase] >= number, PATIENCE)
            assert there, f"{self._phases[phase]} of {number} commands were {phase}"

    @property
    def commands(self) -> list[Request]:
        """The creates, starts, stops, reboots and deletes so far."""
        return [request for request in self.requests if request.command]

    def delete(self, server_id: int) -> None:
        """Let a server vanish, as if its owner had deleted it elsewhere."""
        self._apply("deleted", server_id)

    def let_be(self, server_id: int, status: str) -> None:
        """Let a server have the status now."""
        command = {"command": "stop", "seconds": 0.0, "ends_in": status}
        self._apply("commanded", server_id, command)

    def _apply(self, kind: str, server_id: int, data: dict[str, Any] | None = None) -> None:
        backend = self.sandbox._backend
        with backend.lock:
            backend.accounts[0].apply(Event(backend.clock.now(), kind, server_id, data or {}))

    @property
    def events(self) -> list[Event]:
        """What has happened to the servers of the account: the truth that reports are compared with."""
        with self.sandbox._backend.lock:
            return list(self.sandbox._backend.accounts[0].log)

    @property
    def made(self) -> dict[str, list[int]]:
        """The ids of the servers that were created under each name."""
        made: dict[str, list[int]] = {}
        for event in self.events:
            if event.kind == "created":
                made.setdefault(event.data["name"], []).append(event.server_id)
        return made

    def commanded(self, command: str) -> Counter[int]:
        """How often each server has executed the command."""
        return Counter(
            event.server_id for event in self.events if event.kind == "commanded" and event.data["command"] == command
        )

    @property
    def ids(self) -> list[int]:
        """The ids of the servers that are there, the oldest first."""
        return [server["id"] for server in self.sandbox.servers]
