"""Waits until a TCP connection to a server can be opened.

A wait polls the server for as long as that takes: it learns the addresses, and that the server was stopped or is gone.
Beside it, attempts to open a connection go on while the server is up and has an address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs

from .._errors import WaitFailedError, WaitTimeoutError
from .._server_parts import ServerStatus
from .addresses import addresses_of, no_route, words_of
from .conditions import Conditions
from .entry import LAST_POLL
from .lifecycle import Goal


if TYPE_CHECKING:
    from .._clock import Clock
    from .._connector import Connector
    from .._models import Server
    from .waiting import Wait

ROUND_SECONDS = 5.0
"""A round of attempts begins no sooner after the last one, and gives up on an address after this time."""

UP = frozenset({ServerStatus.PROVISIONING, ServerStatus.STARTING, ServerStatus.ACTIVE})
"""The statuses in which a server may be reached, or is on its way there. One that reboots or stops is on its way down,
and an open port would say nothing."""

DOWN = frozenset({ServerStatus.STOPPED, ServerStatus.SUSPENDED})


def reachable_goal(grace: float) -> Goal:
    """Return the goal that a server is up."""
    return Goal(statuses=UP, fail_on=DOWN, grace=grace)


@attrs.define(eq=False, repr=False, kw_only=True)
class Reaching:
    """The attempts to reach one server, beside the wait that polls it."""

    port: int
    connector: Connector
    clock: Clock
    # The server as a GET showed it last while it was up.
    _server: Server | None = attrs.field(default=None, init=False)
    _shown: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    # The addresses that the last round tried, and how: `None` is an attempt without an answer.
    _failures: dict[str, OSError | None] = attrs.field(factory=dict[str, OSError | None], init=False)
    # Whether the error of the wait says how the attempts failed.
    _is_told: bool = attrs.field(default=False, init=False)
    # The number of rounds that have ended.
    _rounds: int = attrs.field(default=0, init=False)

    @property
    def conditions(self) -> Conditions:
        """The conditions of the wait: they learn the addresses, and are never met. An open connection ends the wait."""
        return Conditions(when=self._note, name=f"reachable on port {self.port}", explain=self._explain)

    def _note(self, server: Server) -> bool:
        self._server = server
        self._shown.set()
        return False

    def _explain(self) -> str:
        self._is_told = bool(self._failures)
        if self._failures:
            return f"; {words_of(self._failures, self.port)}"
        return "" if self._server is None or addresses_of(self._server) else "; it has no address yet"

    async def run(self, wait: Wait) -> Server | None:
        """Run *wait*, with the attempts beside it. Return the server when a connection could be opened.

        Raises:
            WaitError: the wait ended, or this machine has no route to the server.
            VPSError: what else ends a wait.

        Cancellation: ends at once, and nothing stays open.
        """
        return await wait.run(lambda: self._follow(wait))

    async def _follow(self, wait: Wait) -> Server | None:
        server, trouble = None, None
        async with anyio.create_task_group() as group:
            group.start_soon(self._try_until_open, wait)
            try:
                server = await wait.follow()
            except Exception as error:  # noqa: BLE001 - raised below, outside of the task group, which would wrap it
                trouble = error
            group.cancel_scope.cancel()
        if isinstance(trouble, WaitTimeoutError):
            if await self._is_open_after_all(wait):
                return self._server
            trouble = self._with_attempts(trouble)
        if trouble is not None:
            raise trouble
        return server

    def _with_attempts(self, error: WaitTimeoutError) -> WaitTimeoutError:
        """Return *error* with how the attempts failed, if there had been none when its text was made."""
        if self._is_told or not self._failures:
            return error
        more = WaitTimeoutError(f"{error}{self._explain()}", server=error.server, history=error.history)
        more.__cause__ = error.__cause__
        return more

    async def _is_open_after_all(self, wait: Wait) -> bool:
        """Try once if the time was over before a round of attempts was: with `timeout=0` it always is."""
        addresses = self._targets(wait)
        if not addresses or self._rounds:
            return False
        with self.clock.move_on_after(LAST_POLL):
            return await self._round(addresses)
        return False

    async def _try_until_open(self, wait: Wait) -> None:
        while True:
            addresses = self._targets(wait)
            if not addresses:
                self._shown = anyio.Event()
                await self._shown.wait()
                continue
            began = self.clock.now()
            if await self._round(addresses) and self._targets(wait):
                wait.end(self._server)
                return
            self._rounds += 1
            if self._is_hopeless(wait):
                wait.end(None, WaitFailedError(self._no_route_text(wait)))
                return
            await self.clock.sleep(max(0.0, began + ROUND_SECONDS - self.clock.now()))

    def _targets(self, wait: Wait) -> tuple[str, ...]:
        """Return the addresses to try; none while the server is not up, as far as is known."""
        if self._server is None or wait.last is None or wait.last.status not in wait.evidence.goal.statuses:
            return ()
        return addresses_of(self._server)

    def _is_hopeless(self, wait: Wait) -> bool:
        """Return whether this machine cannot reach the server. One that is not active yet may get another address."""
        active = self._server is not None and self._server.status == ServerStatus.ACTIVE
        return active and no_route(self._failures) and {*self._targets(wait)} == {*self._failures}

    def _no_route_text(self, wait: Wait) -> str:
        return (
            f"server {wait.server_id} cannot be reached from here: {words_of(self._failures, self.port)}; "
            "wait on a machine that has a route to it"
        )

    async def _round(self, addresses: tuple[str, ...]) -> bool:
        """Try all *addresses* at once, and return whether a connection to one of them could be opened.

        Cancellation: ends at once, and nothing stays open.
        """
        opened = False
        self._failures = {address: self._failures.get(address) for address in addresses}

        async def attempt(address: str) -> None:
            nonlocal opened
            try:
                with self.clock.move_on_after(ROUND_SECONDS) as scope:
                    await self.connector.open(address, self.port)
                    opened = True
                    group.cancel_scope.cancel()
                if scope.cancelled_caught:
                    self._failures[address] = None
            except OSError as error:
                self._failures[address] = error

        async with anyio.create_task_group() as group:
            for address in addresses:
                group.start_soon(attempt, address)
        return opened
