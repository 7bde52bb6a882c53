"""The sandbox as its user sees it."""

from __future__ import annotations

import inspect

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._api import serializers as _shapes
from ._api.app import BASE_PATH, make_app
from ._clocks.scaled import ScaledClock
from ._clocks.virtual import VirtualClock
from ._server.in_process import InProcessTransport
from ._server.uvicorn_server import ServerThread, Serving
from ._state.backend import Backend, Call


if TYPE_CHECKING:
    import os

    from .._client import Client


_OF_THE_NETWORK = frozenset({"transport", "proxy", "ssl_context", "allow_http"})


class Sandbox:
    """The API itself, offline, with accounts, servers and a time of its own.

    Its time begins at 2025-01-16T15:30:00Z, when the documentation's examples play; the first two servers are theirs.

    What only the vendor's own programs ask for, such as a server by its UUID, is answered as those read it. A client
    that calls itself `vps-mcp` is answered so throughout: `sandbox.client(user_agent="vps-mcp/0.1.0")`.

    Args:
        token: what opens the first account.
        servers: how many servers are there at first; they cost no credits.
        credits: how many servers may be created; `None`: no end.
        seed: of every random choice: how long a command takes, which requests a fault strikes.
        state: a file to keep the accounts in; what is there is read first, and then no servers are added to it. Time
            goes on from the last thing that happened. What was answered outlives a `kill -9`. The file knows accounts
            by their order: the first added again is the first that was added, whatever its token. Of several sandboxes
            of one process on the same file, only the last one can write.
        quota: how many servers the first account may have at once; a create beyond is answered 400. `None`: no end.

    Attributes:
        app: the ASGI app; its base path is `/api/v1`. Beside it, without a token, are a live page for people at
            `/__sandbox__/` and an OpenAPI document at `/openapi.json`; looking at them is no call and changes nothing.
        faults: what goes wrong: `with sandbox.faults.inject(Fault.drop(), ...)`, `add`, `clear`, and the `log`.

    Raises:
        OSError: the file *state* cannot be opened, or another process has it.
        TypeError: an argument has the wrong type.
        ValueError: *servers*, *credits* or *quota* is negative, no header can carry *token*, or a line of *state* is no
            event of a sandbox; the file is as it was.
    """

    def __init__(
        self,
        *,
        token: str = "vps_sandbox",  # noqa: S107 -- it opens nothing but this
        servers: int = 0,
        credits: int | None = None,  # noqa: A002 -- the API's own word
        seed: int = 0,
        state: str | os.PathLike[str] | None = None,
        quota: int | None = None,
    ) -> None:
        _check_token(token)
        _check_whole("servers", servers, least=0)
        _check_whole("seed", seed)
        _check_limits(credits, quota)
        self._clock = VirtualClock()
        self._running: ScaledClock | None = None
        self._token = token
        self._backend = Backend(self._clock, seed=seed)
        if state is not None:
            self._clock.advance(self._backend.keep_in(Path(state)))
        first = self._backend.open_account(token, credits=credits, quota=quota)
        self._backend.furnish(first, servers)
        self.app = make_app(self._backend)
        self.faults = self._backend.faults

    def add_account(
        self,
        token: str,
        *,
        credits: int | None = None,  # noqa: A002
        read_only: bool = False,
        quota: int | None = None,
    ) -> None:
        """Let *token* open an account of its own, with *credits* and *quota* as the first may have them.

        With *read_only* it opens the account that it opened before, or else the sandbox's first, and is answered 403
        to whatever would change something.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the token opens an account already, or no header can carry it; *credits* or *quota* is
                negative, or given to an account that exists.
        """
        _check_token(token)
        _check_limits(credits, quota)
        with self._backend.lock:
            if read_only and not (credits is None and quota is None):
                raise ValueError(
                    "credits and quota belong to an account of its own; leave them out with read_only=True"
                )
            if read_only:
                self._backend.let_read(token)
            elif self._backend.access(token) is not None:
                raise ValueError("this token opens an account already")
            else:
                self._backend.open_account(token, credits=credits, quota=quota)

    def client(self, **options: Any) -> Client:
        """Return a `Client` of this sandbox, without network, that goes by its clock: waits take no real time.

        *options* are those of `Client`, without what concerns the network. Raises `RuntimeError` while the sandbox is
        served, as time is real then.
        """
        from .._client import Client  # noqa: PLC0415 -- the sandbox stands apart from the client but for this

        for name in options:
            if name in _OF_THE_NETWORK:
                raise TypeError(f"client() takes no {name}: this client works without a network; serve() has one")
            if name not in inspect.signature(Client).parameters:
                raise TypeError(f"client() takes the options of Client, and {name} is none of them")
        if self._running is not None:
            raise RuntimeError("the sandbox is being served: give a Client its base URL, or leave serve() first")
        given = {"token": self._token, "base_url": f"http://localhost{BASE_PATH}", **options}
        return Client._over(transport=InProcessTransport(self.app, self._clock), clock=self._clock, **given)  # noqa: SLF001

    def serve(self, port: int = 0, *, host: str = "127.0.0.1", speed: float = 1.0) -> Serving:
        """Serve on a real socket: `async with sandbox.serve() as base_url`. Port 0 is one that is free.

        Meanwhile a second of real time is *speed* seconds of the sandbox. Raises `OSError` where the port is taken,
        and `RuntimeError` while it is served already, both on entering.
        """
        return Serving(lambda: self._begin(port, host, speed), self._end, BASE_PATH)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass at once. In-process, to be called in the event loop's own thread."""
        with self._backend.lock:
            (self._running or self._clock).advance(seconds)

    def freeze(self) -> None:
        """Let time pass by `advance` alone from now on."""
        with self._backend.lock:
            self._clock.freeze()
            if self._running is not None:
                self._running.freeze()

    @property
    def calls(self) -> list[Call]:
        """What was asked, in order, up to now."""
        with self._backend.lock:
            return list(self._backend.calls)

    @property
    def servers(self) -> list[dict[str, Any]]:
        """Every server of every account as it is now, in the shape of the detail endpoint, the oldest first."""
        with self._backend.lock:
            now = self._backend.clock.now()
            accounts = self._backend.accounts
            return [_shapes.detailed(server, now) for account in accounts for server in account.servers(now)]

    def _begin(self, port: int, host: str, speed: float) -> ServerThread:
        if self._running is not None:
            raise RuntimeError("the sandbox is being served already")
        running = ScaledClock(self._clock.now(), speed, frozen=self._clock.frozen)
        thread = ServerThread(self.app, host=host, port=port, release=running.stop)
        with self._backend.lock:
            self._backend.clock = self._running = running
        return thread

    def _end(self) -> None:
        assert self._running is not None
        with self._backend.lock:
            self._clock.advance(self._running.now() - self._clock.now())
            self._backend.clock, self._running = self._clock, None


def _check_whole(name: str, value: object, *, least: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} takes a whole number, not {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name}={value}: give {least} or more")


def _check_limits(credits: int | None, quota: int | None) -> None:  # noqa: A002
    for name, value in (("credits", credits), ("quota", quota)):
        if value is not None:
            _check_whole(name, value, least=0)


def _check_token(token: object) -> None:
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, not {type(token).__name__}")
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError("token must be visible ASCII without a space, and not empty (it is not shown)")
