"""Hold the state that all requests share: accounts, tokens, the record of calls, the clock and the lock."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import attrs

from .account import FIRST_ID, Account
from .catalogue import initial_server
from .event_log import EventLog
from .refusals import Refused


if TYPE_CHECKING:
    import threading

    from collections.abc import Iterable
    from pathlib import Path

    from .._clocks.interface import HandlerClock
    from ..faults._injector import FaultInjector
    from .account import Event
    from .calls import Call


IDS_PER_ACCOUNT = 1_000_000


@attrs.frozen
class Access:
    """The rights of a token on an account, which has a *number* from 0.

    The token itself is not stored here, so that no repr shows it.
    """

    account: Account
    number: int
    read_only: bool = False

    @property
    def permissions(self) -> list[str]:
        """The permissions of the token, as the vendor names them."""
        return ["servers:read" if self.read_only else "servers:*"]


class Backend:
    """The state behind the app. Hold `lock` to use it from more than one thread.

    Attributes:
        clock: the current clock; handlers sleep on it.
        lock: held while state changes, never across an await.
        calls: the requests so far, in order.
        faults: the faults that are injected.
    """

    def __init__(self, clock: HandlerClock, lock: threading.Lock, faults: FaultInjector, *, seed: int) -> None:
        self.clock = clock
        self.lock = lock
        self.faults = faults
        self.seed = seed
        self.calls: list[Call] = []
        self.accounts: list[Account] = []
        self._tokens: dict[str, Access] = {}
        self._file: EventLog | None = None
        self._saved: list[int] = []

    def open_account(self, token: str, *, credits: int | None, quota: int | None) -> Account:  # noqa: A002 -- public
        """Add an account for *token*, with the events that the file has for it."""
        first_id = FIRST_ID + IDS_PER_ACCOUNT * len(self.accounts)
        account = Account(seed=self.seed, credits=credits, quota=quota, first_id=first_id)
        self.accounts.append(account)
        self._saved.append(0)
        self._tokens[token] = Access(account, len(self.accounts) - 1)
        if self._file is not None:
            self._replay(account, self._file.events(len(self.accounts) - 1))
        return account

    def let_read(self, token: str) -> None:
        """Make *token* read-only, for the account that it already has or else for the first one."""
        known = self._tokens.get(token) or Access(self.accounts[0], 0)
        self._tokens[token] = attrs.evolve(known, read_only=True)

    def access(self, token: str) -> Access | None:
        """Return the rights of *token*; `None` if it is unknown."""
        return self._tokens.get(token)

    def keep_in(self, path: Path) -> float:
        """Save all events in the file at *path* from now on; return the time of its last one, or 0."""
        self._file = EventLog(path)
        return self._file.latest

    def save(self) -> None:
        """Append the new events to the file."""
        for number, account in enumerate(self.accounts):
            new = account.log[self._saved[number] :]
            if new and self._file is not None:
                self._file.append(number, new)
            self._saved[number] = len(account.log)

    def add_initial_servers(self, account: Account, count: int) -> None:
        """Add *count* servers to *account*, unless it was read from the file."""
        if not account.log:
            for number in range(count):
                account.find(initial_server(number))
            self.save()

    def set_status(self, key: str, status: str, after: float) -> None:
        """Give the server with the id or UUID *key* the status, *after* seconds from now, and save that.

        Raises:
            ValueError: no account has it.
        """
        now = self.clock.now()
        for account in self.accounts:
            with suppress(Refused):
                account.set_status(account.server(key, now), status, now, after)
                self.save()
                return
        raise ValueError(f"server_id={key!r}: the sandbox has no such server")

    def _replay(self, account: Account, events: Iterable[Event]) -> None:
        for event in events:
            account.apply(event)
        self._saved[-1] = len(account.log)
