"""Answers attempts to connect to the sandbox's servers, without a network."""

from __future__ import annotations

import errno
import math
import os

from ipaddress import ip_address
from typing import TYPE_CHECKING

from .._api import serializers


if TYPE_CHECKING:
    from .._clocks.virtual import VirtualClock
    from .._state.account import Server
    from .._state.backend import Backend

BOOT_SECONDS = 8.0
"""The time for which an active server refuses connections, because it is still booting (assumed)."""

ROUND_TRIP_SECONDS = 0.02
"""The time that an answer takes (assumed)."""


class SandboxConnector:
    """Connects to a server of the sandbox some seconds after it has become active, on every port."""

    def __init__(self, backend: Backend, clock: VirtualClock) -> None:
        self._backend = backend
        self._clock = clock

    async def open(self, address: str, port: int) -> None:
        """Return if a connection could be opened. Cancellation: ends at once.

        Raises:
            ConnectionRefusedError: the server is still booting.
            OSError: the sandbox has no server with that address.
        """
        del port
        await self._clock.sleep(ROUND_TRIP_SECONDS)
        with self._backend.lock:
            now = self._clock.now()
            found = self._find(address, now)
        if found is None:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        if found.status != "active":
            # Nobody is there to refuse the connection.
            await self._clock.sleep(math.inf)
        if now < found.since + BOOT_SECONDS:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    def _find(self, address: str, now: float) -> Server | None:
        wanted = ip_address(address)
        for account in self._backend.accounts:
            for server in account.servers(now):
                own = (serializers.ip_address(server), serializers.ipv6_address(server))
                if any(one is not None and ip_address(one) == wanted for one in own):
                    return server
        return None
