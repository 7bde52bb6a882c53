"""What all exchanges share: the accounts and their tokens, the record of calls, the time, the lock."""

from __future__ import annotations

import threading

from typing import TYPE_CHECKING, Any

import attrs

from ..faults._injector import Faults
from .account import FIRST_ID, Account
from .catalogue import found
from .event_log import StateFile


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .._clocks.scaled import HandlersClock


IDS_PER_ACCOUNT = 1_000_000


@attrs.frozen(kw_only=True)
class Call:
    """A request that arrived.

    Attributes:
        method: in capitals.
        path: below the base path, with both its slashes.
        query: the query; of a name given twice, the last value.
        json: the body; `None` where it was empty or not JSON.
        status: the HTTP status of the answer, also where that was lost on its way; 0 where a fault dropped the request
            before anything was done.
        at: when, in seconds of the sandbox.
    """

    method: str
    path: str
    query: Mapping[str, str]
    json: Any
    status: int
    at: float


@attrs.frozen
class Access:
    """What a token opens. Its repr, like everything here, leaves the token out."""

    account: Account
    read_only: bool = False


class Backend:
    """The state behind the app. Whoever uses it from outside an event loop's single thread holds `lock`.

    Attributes:
        clock: the time, and how handlers let it pass.
        lock: held while state changes; never across an await.
        calls: what was asked, in order.
        faults: what goes wrong.
    """

    def __init__(self, clock: HandlersClock, *, seed: int) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self.calls: list[Call] = []
        self.faults = Faults(self.lock, seed)
        self.seed = seed
        self.accounts: list[Account] = []
        self._tokens: dict[str, Access] = {}
        self._file: StateFile | None = None
        self._kept: list[int] = []

    def open_account(self, token: str, *, credits: int | None, quota: int | None) -> Account:  # noqa: A002 -- public
        """Make an account that *token* opens."""
        first_id = FIRST_ID + IDS_PER_ACCOUNT * len(self.accounts)
        account = Account(seed=self.seed, credits=credits, quota=quota, first_id=first_id)
        self.accounts.append(account)
        self._kept.append(0)
        self._tokens[token] = Access(account)
        if self._file is not None:
            self._replay(account, self._file.events(len(self.accounts) - 1))
        return account

    def let_read(self, token: str) -> None:
        """Let *token* read and not change: the account that it opens, or else the first."""
        known = self._tokens.get(token)
        self._tokens[token] = Access(known.account if known else self.accounts[0], read_only=True)

    def access(self, token: str) -> Access | None:
        """Return what *token* opens."""
        return self._tokens.get(token)

    def keep_in(self, path: Path) -> float:
        """Keep every account's events in the file at *path*; return the time of the last one there, or 0."""
        self._file = StateFile(path)
        return self._file.latest

    def save(self) -> None:
        """Write down the events that are new."""
        for number, account in enumerate(self.accounts):
            new = account.log[self._kept[number] :]
            if new and self._file is not None:
                self._file.append(number, new)
            self._kept[number] = len(account.log)

    def furnish(self, account: Account, servers: int) -> None:
        """Begin with so many servers, unless a file has told what there is."""
        if not account.log:
            for number in range(servers):
                account.find(found(number))
            self.save()

    def _replay(self, account: Account, events: Any) -> None:
        for event in events:
            account.apply(event)
        self._kept[-1] = len(account.log)
