"""The file that accounts are kept in: their events, a JSON object a line."""

from __future__ import annotations

import json
import math
import os
import sys
import weakref

from typing import TYPE_CHECKING, Any

import attrs

from .account import Account, Event


if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


_BEGINNING = b'{"account": '


class StateFile:
    """Reads what is there at first, and appends.

    What `append` has written is the operating system's when it returns, so that it outlives a `kill -9`; there is no
    fsync, so that it need not outlive a power cut. A last line without its line feed was being written when the process
    ended: it is cut off, as nobody was answered.

    One process has the file at a time (on Windows, which lacks `flock`, nobody watches over that). Within a process it
    goes over to whoever opens it last, as a sandbox is never closed; the one before can no longer append.

    Attributes:
        latest: the time of the last event, in seconds of the sandbox; 0 where there is none.

    Raises:
        OSError: another process has the file, or it cannot be opened.
        ValueError: a line is not an event that can follow those before it; the file is as it was.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events: dict[int, list[Event]] = {}
        self.latest = 0.0
        self._file = path.open("a+b", buffering=0)
        self._close = weakref.finalize(self, self._file.close)
        try:
            self._take()
            self._read()
        except BaseException:
            self._close()
            raise

    def events(self, account: int) -> list[Event]:
        """Return what was there at first of the account of that number, from 0."""
        return self._events.get(account, [])

    def append(self, account: int, events: Iterable[Event]) -> None:
        """Write *events* of the account of that number, all or none.

        Raises:
            OSError: there is no room for them.
            RuntimeError: another sandbox of this process has opened the file since.
        """
        if self._file.closed:
            raise RuntimeError(f"{self._path}: another sandbox of this process has opened the file since")
        left = "".join(json.dumps({"account": account, **attrs.asdict(event)}) + "\n" for event in events).encode()
        whole = self._file.seek(0, os.SEEK_END)
        try:
            while left:
                left = left[self._file.write(left) :]
        except BaseException:
            self._file.truncate(whole)
            raise

    def _take(self) -> None:
        status = os.fstat(self._file.fileno())
        key = (status.st_dev, status.st_ino)
        before = _open.get(key)
        if before is not None:
            before._close()  # noqa: SLF001 -- another of this class
        if sys.platform != "win32":
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(f"{self._path}: another process keeps a sandbox's accounts in this file") from None
        _open[key] = self

    def _read(self) -> None:
        self._file.seek(0)
        *lines, torn = self._file.readall().split(b"\n")
        accounts: dict[int, Account] = {}
        for number, line in enumerate(lines, start=1):
            try:
                self._read_event(json.loads(line), accounts)
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
                raise self._no_event(number) from error
        if torn:
            if torn[: len(_BEGINNING)] != _BEGINNING[: len(torn)]:
                raise self._no_event(len(lines) + 1)
            self._file.truncate(self._file.tell() - len(torn))

    def _read_event(self, data: Any, accounts: dict[int, Account]) -> None:
        account = data.pop("account")
        event = Event(**data)
        if not isinstance(account, int) or not isinstance(event.server_id, int) or not math.isfinite(event.at):
            raise TypeError("account and server_id are whole numbers, and at is a number")
        # The account itself says what can follow.
        accounts.setdefault(account, Account()).apply(event)
        self._events.setdefault(account, []).append(event)
        self.latest = max(self.latest, event.at)

    def _no_event(self, number: int) -> ValueError:
        return ValueError(f"{self._path}, line {number}: not an event of a sandbox")


_open: weakref.WeakValueDictionary[tuple[int, int], StateFile] = weakref.WeakValueDictionary()
