"""Provide `Sandbox`, the offline API as its user sees it."""

from __future__ import annotations

import os
import threading

from pathlib import Path
from typing import Any, Protocol, Unpack

import anyio

from starlette.types import ASGIApp

# For `client()` alone, whose type hints resolve at run time: otherwise the sandbox is independent of the client.
from .._client import Client
from .._config import OfflineOptions, Token
from ._api import serializers
from ._api.app import BASE_PATH, make_app
from ._api.latency import Latency, checked_latency
from ._clocks.interface import checked_seconds
from ._clocks.scaled import ScaledClock, checked_speed
from ._clocks.virtual import VirtualClock
from ._server.connector import SandboxConnector
from ._server.in_process import InProcessTransport
from ._server.uvicorn_server import ServerThread, Serving
from ._state.backend import Backend
from ._state.calls import Call
from ._ui.routes import ui_routes
from .faults._injector import FaultInjector


_UNTIL_ENDED = 0.01
"""The real seconds between two looks whether a server that is ending has ended."""

_HIGHEST_PORT = 65_535
# A list of them takes 1,000 pages, and a sandbox of them some hundred megabytes.
_MOST_SERVERS = 100_000

_NETWORK_OPTIONS = frozenset({"transport", "proxy", "ssl_context", "allow_http"})


class HasId(Protocol):
    """A server of the client's, as far as the sandbox needs to know it."""

    @property
    def id(self) -> int | str:
        """Return the id or UUID."""
        ...


class Sandbox:
    """The VPS.org servers API, offline, with its own accounts, servers and clock.

    Its time begins at 2025-01-16T15:30:00Z, the time of the examples in VPS.org API documentation. The first two
    servers are those of the examples.

    The sandbox also answers the vendor's own programs, in the shapes that they read: for example, a request for a
    server by its UUID. A client that calls itself `vps-mcp` always gets these shapes:
    `sandbox.client(user_agent="vps-mcp/0.1.0")`.

    Args:
        token: the token of the first account.
        servers: the number of servers at the start; they cost no credits.
        credits: the number of servers that may be created; `None` for no limit.
        seed: decides every random choice: the duration of each command, and the requests that a fault applies to.
        state: a file for the accounts. If it has accounts already, they are read, no servers are added to them, and
            time continues from the last event. A response that was sent survives a `kill -9`. The file identifies
            accounts by their order, not by their tokens: add them in the same order again. Of several sandboxes in one
            process that use the same file, only the last one can write.
        quota: the number of servers that the first account may have at once; a create above it is refused with 400.
            `None` for no limit.
        latency: the sandbox seconds that each response takes, or a pair to draw from by the seed, such as
            `(0.005, 0.05)`. Responses then end in another order than their requests began, as on a real network.
            `None` for none.

    Attributes:
        app: the ASGI app, with the base path `/api/v1`. It also serves, without a token, a live page at `/__sandbox__/`
            and an OpenAPI document at `/openapi.json`. Requests for these are not recorded and change nothing.
        faults: the faults to inject: `with sandbox.faults.inject(Fault.drop(), ...)`, `add`, `clear`, and the `log`.

    Raises:
        OSError: the file *state* cannot be opened, or another process has it open.
        TypeError: an argument has the wrong type.
        ValueError: *servers*, *credits* or *quota* is negative, *servers* is above 100,000, *latency* is negative,
            endless or in the wrong order, *token* cannot be sent in a header, or *state* has a line that is not an
            event of a sandbox. The file is unchanged then.
    """

    def __init__(
        self,
        *,
        token: str = "vps_sandbox",  # noqa: S107 -- it gives access to this sandbox only
        servers: int = 0,
        credits: int | None = None,  # noqa: A002 -- the API's own word
        seed: int = 0,
        state: str | os.PathLike[str] | None = None,
        quota: int | None = None,
        latency: float | tuple[float, float] | None = None,
    ) -> None:
        _check_token(token)
        _check_whole_number("servers", servers, least=0, most=_MOST_SERVERS)
        _check_whole_number("seed", seed)
        _check_limits(credits, quota)
        least, most = checked_latency(latency)
        if not isinstance(state, (str, os.PathLike, type(None))):
            raise TypeError(f"state must be a path or None, not {state!r}")
        lock = threading.Lock()
        self.faults: FaultInjector = FaultInjector(lock, seed)
        self._clock = VirtualClock()
        self._serving_clock: ScaledClock | None = None
        self._token = token
        self._backend = Backend(self._clock, lock, self.faults, seed=seed)
        if state is not None:
            self._clock.advance(self._backend.keep_in(Path(state)))
        first = self._backend.open_account(token, credits=credits, quota=quota)
        self._backend.add_initial_servers(first, servers)
        self.app: ASGIApp = make_app(self._backend, Latency(least, most, seed), ui_routes(self._backend))

    def add_account(
        self,
        token: str,
        *,
        credits: int | None = None,  # noqa: A002
        read_only: bool = False,
        quota: int | None = None,
    ) -> None:
        """Add an account for *token*, with *credits* and *quota* as in `Sandbox`.

        With *read_only*, no account is added. The token then reads the account that it already has, or else the first
        account of the sandbox, and every request that changes something is refused with 403.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the token already has an account, or cannot be sent in a header; *credits* or *quota* is
                negative, or given together with *read_only*.
        """
        _check_token(token)
        _check_limits(credits, quota)
        if not isinstance(read_only, bool):
            raise TypeError(f"read_only must be True or False, not {read_only!r}")
        with self._backend.lock:
            if read_only and not (credits is None and quota is None):
                raise ValueError("a read-only token uses an existing account: leave out credits and quota")
            if read_only:
                self._backend.let_read(token)
            elif self._backend.access(token) is not None:
                raise ValueError("this token already opens an account; use another token")
            else:
                self._backend.open_account(token, credits=credits, quota=quota)

    def client(
        self, *, token: Token | None = None, base_url: str | None = None, **options: Unpack[OfflineOptions]
    ) -> Client:
        """Return a `Client` of this sandbox, without network and on the sandbox's clock.

        Waits of this client take no real time. The arguments are those of `Client`, except those about the network.
        Without *token*, it is the sandbox's first account. Raises `TypeError` for any other name, and `RuntimeError`
        while the sandbox is served, because its time is real then.
        """
        for name in options:
            if name in _NETWORK_OPTIONS:
                raise TypeError(
                    f"client() does not accept {name}, because this client uses no network; "
                    "for that, make a Client of the URL that serve() gives"
                )
            if name not in OfflineOptions.__annotations__:
                raise TypeError(f"client() accepts the options of Client, and {name} is not one of them")
        if self._serving_clock is not None:
            raise RuntimeError("the sandbox is being served: make a Client of its base URL, or leave serve() first")
        return Client._over(  # noqa: SLF001
            transport=InProcessTransport(self.app, self._clock),
            clock=self._clock,
            connector=SandboxConnector(self._backend, self._clock),
            token=self._token if token is None else token,
            base_url=f"http://localhost{BASE_PATH}" if base_url is None else base_url,
            **options,
        )

    def serve(self, port: int = 0, *, host: str = "127.0.0.1", speed: float = 1.0) -> Serving:
        """Serve on a real socket: `async with sandbox.serve() as base_url`.

        Port 0 chooses a free port. While the sandbox is served, its time passes *speed* times as fast as real time. On
        entering, raises `OSError` if the port is in use, and `RuntimeError` if the sandbox is already being served.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: *port* is not from 0 to 65535, or *speed* is not a finite number above 0.
        """
        _check_whole_number("port", port, least=0, most=_HIGHEST_PORT)
        if not isinstance(host, str):
            raise TypeError(f"host must be a str, not {host!r}")
        checked_speed(speed)
        return Serving(lambda: self._start_serving(port, host, speed), self._stop_serving, BASE_PATH)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass at once. Without `serve`, call this in the thread of the event loop."""
        with self._backend.lock:
            self._now_clock.advance(seconds)

    def freeze(self) -> None:
        """Stop time; from now on only `advance` moves it."""
        with self._backend.lock:
            self._clock.freeze()
            if self._serving_clock is not None:
                self._serving_clock.freeze()

    async def sleep(self, seconds: float) -> None:
        """Return when *seconds* have passed on the sandbox's clock, for code that polls by itself.

        Without `serve`, this takes no real time: the clock jumps when every task that uses it sleeps. While the sandbox
        is served, the sleep takes `seconds / speed` real seconds. While time is frozen, it ends only with `advance`.

        Raises:
            TypeError: *seconds* is no number.
            ValueError: *seconds* is negative or not finite.

        Cancellation: ends at once.
        """
        due = self._now_clock.now() + checked_seconds(seconds)
        while True:
            clock = self._now_clock
            await clock.sleep(due - clock.now())
            if clock is self._clock or clock.now() >= due:
                return
            # The server is about to end; then the virtual clock goes on from the same time.
            await anyio.sleep(_UNTIL_ENDED)

    def set_status(self, server_id: int | str | HasId, status: str, after: float = 0) -> None:
        """Set the status of a server, *after* seconds on the sandbox's clock.

        So something happens that no command does: `sandbox.set_status(12345, "suspended", after=30)`.
        The server keeps the status until a command or another `set_status` changes it, also a status such as
        `"rebooting"`. A command that is running then is ended by it, and `updated_at` moves. A server that is deleted
        before stays deleted. Several calls with different times are kept, one after another.

        Args:
            server_id: the id or UUID of a server of any account, or a `Server`.
            status: one of the seven statuses, or any other text, as an API may give a status that nobody documented.
            after: seconds from now. While time is frozen, they pass only with `advance`.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: no account has the server, *status* is empty, or *after* is negative or not finite.
        """
        key = getattr(server_id, "id", server_id)
        if isinstance(key, bool) or not isinstance(key, (int, str)):
            raise TypeError(f"server_id must be an int, a str or a Server, not {server_id!r}")
        if not isinstance(status, str):
            raise TypeError(f"status must be a str, not {status!r}")
        if not status:
            raise ValueError("status='' is empty: give a status such as 'suspended'")
        checked_seconds(after, "after")
        with self._backend.lock:
            self._backend.set_status(str(key), str.__str__(status), after)

    @property
    def calls(self) -> list[Call]:
        """The requests so far, in order."""
        with self._backend.lock:
            return list(self._backend.calls)

    @property
    def servers(self) -> list[dict[str, Any]]:
        """The servers of all accounts in the JSON shape of the detail endpoint, the oldest first."""
        with self._backend.lock:
            now = self._backend.clock.now()
            accounts = self._backend.accounts
            return [serializers.detailed(server, now) for account in accounts for server in account.servers(now)]

    @property
    def _now_clock(self) -> VirtualClock | ScaledClock:
        return self._serving_clock or self._clock

    def _start_serving(self, port: int, host: str, speed: float) -> ServerThread:
        if self._serving_clock is not None:
            raise RuntimeError("the sandbox is already being served; leave serve() first")
        clock = ScaledClock(self._clock.now(), speed, frozen=self._clock.frozen)
        thread = ServerThread(self.app, host=host, port=port, release=clock.stop)
        with self._backend.lock:
            self._backend.clock = self._serving_clock = clock
        return thread

    def _stop_serving(self) -> None:
        assert self._serving_clock is not None
        with self._backend.lock:
            # A sleep on the virtual clock may have taken it further.
            self._clock.advance(max(0.0, self._serving_clock.now() - self._clock.now()))
            self._backend.clock, self._serving_clock = self._clock, None


def _check_whole_number(name: str, value: object, *, least: int | None = None, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name}={value}: must be {least} or more")
    if most is not None and value > most:
        raise ValueError(f"{name} must be from {least} to {most}")


def _check_limits(credits: int | None, quota: int | None) -> None:  # noqa: A002
    for name, value in (("credits", credits), ("quota", quota)):
        if value is not None:
            _check_whole_number(name, value, least=0)


def _check_token(token: object) -> None:
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, not {type(token).__name__}")
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError("token must be visible ASCII without spaces, and not empty (its value is not shown)")
