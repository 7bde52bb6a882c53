"""Looks up the names of hosts, and connects to whichever of a host's addresses accepts first."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import socket
import threading
import time

from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import attrs


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEAD_START = 0.25
"""Seconds that an address has before the next one is tried beside it. Source: RFC 8305, 5."""

PATIENCE = 30.0
"""Seconds after which a name is looked up anew, although the lookup before has not ended (assumed)."""

_CLOSING_SECONDS = 2.0


@attrs.define(eq=False)
class _Lookup:
    """One question to the system's resolver, for all who need the answer."""

    began: float
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    addresses: Sequence[str] = ()
    error: Exception | None = None

    def end(self, addresses: Sequence[str], error: Exception | None) -> None:
        self.addresses, self.error = addresses, error
        self.ended.set()


class NameLookup:
    """Asks the system's resolver, which cannot be interrupted, once at a time for each host.

    Each lookup has a thread of its own. A resolver that never answers takes none of the event loop's threads, which
    others need, and does not keep the process from ending.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._running: dict[str, _Lookup] = {}

    async def addresses_of(self, host: str) -> Sequence[str]:
        """Return the addresses of *host*, in the order in which to try them.

        Raises:
            OSError: the resolver gives none; its own error is the cause.

        Cancellation: the lookup goes on for those who wait for it too.
        """
        lookup = self._running.get(host)
        if lookup is None or self._now() - lookup.began > PATIENCE:
            lookup = self._begin(host)
        await lookup.ended.wait()
        if lookup.error is not None:
            # An error for each task: a task adds its own frames.
            raise OSError("the name cannot be looked up") from lookup.error
        return lookup.addresses

    def is_running(self, host: str) -> bool:
        """Return whether the resolver has been asked for *host* and has not answered."""
        return host in self._running

    def _begin(self, host: str) -> _Lookup:
        lookup = self._running[host] = _Lookup(self._now())
        token = anyio.lowlevel.current_token()

        def end(addresses: Sequence[str], error: Exception | None) -> None:
            if self._running.get(host) is lookup:
                del self._running[host]
            lookup.end(addresses, error)

        def ask() -> None:
            addresses, error = _resolved(host)
            # The event loop may have ended meanwhile, and with it all who waited.
            with contextlib.suppress(RuntimeError):
                anyio.from_thread.run_sync(end, addresses, error, token=token)

        try:
            threading.Thread(target=ask, name=f"looks up {host}", daemon=True).start()
        except RuntimeError as error:
            end((), error)
        return lookup


def _resolved(host: str) -> tuple[Sequence[str], Exception | None]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except Exception as error:  # noqa: BLE001 - raised where it is waited for
        return (), error
    return alternating([str(address[0]) for *_, address in found]), None


def alternating(addresses: Sequence[str]) -> list[str]:
    """Return the addresses without repetition, IPv6 and IPv4 by turns, in their order otherwise (RFC 8305, 4)."""
    once = dict.fromkeys(addresses)
    six, four = [one for one in once if ":" in one], [one for one in once if ":" not in one]
    return [one for pair in itertools.zip_longest(six, four) for one in pair if one is not None]


def is_address(host: str) -> bool:
    """Return whether *host* is an address, which needs no lookup."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def connect_to(addresses: Sequence[str], port: int) -> anyio.abc.SocketStream:
    """Return a connection to the first of the addresses that accepts.

    Raises:
        OSError: none of them does.

    Cancellation: closes what is open by then.
    """
    if len(addresses) == 1:
        return await anyio.connect_tcp(addresses[0], port)
    race = _Race(port)
    try:
        await race.run(addresses)
    except BaseException:
        if race.won is not None:
            with anyio.move_on_after(_CLOSING_SECONDS, shield=True):
                await race.won.aclose()
        raise
    if race.won is None:
        raise OSError("All connection attempts failed") from ExceptionGroup("each address", race.errors)
    return race.won


class _Race:
    """Connects to several addresses, each with a head start over the next."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.won: anyio.abc.SocketStream | None = None
        self.errors: list[Exception] = []

    async def run(self, addresses: Sequence[str]) -> None:
        async with anyio.create_task_group() as group:
            for address in addresses:
                failed = anyio.Event()
                group.start_soon(self._connect, address, failed, group.cancel_scope)
                with anyio.move_on_after(HEAD_START):
                    await failed.wait()

    async def _connect(self, address: str, failed: anyio.Event, race: anyio.CancelScope) -> None:
        try:
            stream = await anyio.connect_tcp(address, self._port)
        except OSError as error:
            self.errors.append(error)
            failed.set()
        else:
            if self.won is None:
                self.won = stream
                race.cancel()
            else:
                await stream.aclose()
