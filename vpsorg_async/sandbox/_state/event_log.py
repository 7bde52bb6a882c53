"""Store the events of all accounts in a file, one JSON object per line."""

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


_FIRST_BYTES = b'{"account": '


class EventLog:
    """A file that is read once, when it is opened, and appended to.

    The operating system has the data when `append` returns, so events survive a `kill -9`. There is no fsync, so they
    may not survive a power failure. A last line without its line feed was being written when the process ended. It is
    removed, because no client has received a response to it.

    Only one process at a time can have the file open (on Windows, which lacks `flock`, this is not enforced). A sandbox
    is never closed, so within a process the last object that opens the file takes it over; the one before it can no
    longer append.

    Attributes:
        latest: the time of the last event, in sandbox seconds; 0 without events.

    Raises:
        OSError: another process has the file open, or it cannot be opened.
        ValueError: a line is not an event that can follow the lines before it; the file is unchanged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events: dict[int, list[Event]] = {}
        self.latest = 0.0
        self._file = path.open("a+b", buffering=0)
        self._close = weakref.finalize(self, self._file.close)
        try:
            self._lock()
            self._read()
        except BaseException:
            self._close()
            raise

    def events(self, account: int) -> list[Event]:
        """Return the events that the file had for *account*, counted from 0, when it was opened."""
        return self._events.get(account, [])

    def append(self, account: int, events: Iterable[Event]) -> None:
        """Write all *events* of that account, or none of them.

        Raises:
            OSError: the file cannot be written, for example because the disk is full.
            RuntimeError: another sandbox in this process has opened the file since.
        """
        if self._file.closed:
            raise RuntimeError(
                f"{self._path}: another sandbox in this process has opened this file since; "
                "use that one, or give each sandbox its own file"
            )
        left = "".join(json.dumps({"account": account, **attrs.asdict(event)}) + "\n" for event in events).encode()
        whole = self._file.seek(0, os.SEEK_END)
        try:
            while left:
                left = left[self._file.write(left) :]
        except BaseException:
            self._file.truncate(whole)
            raise

    def _lock(self) -> None:
        status = os.fstat(self._file.fileno())
        key = (status.st_dev, status.st_ino)
        before = _open.get(key)
        if before is not None:
            before._close()  # noqa: SLF001 -- another of this class
        if sys.platform != "win32":
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(
                    f"{self._path}: another process has opened this state file; end it, or use another file"
                ) from None
        _open[key] = self

    def _read(self) -> None:
        self._file.seek(0)
        *lines, torn = self._file.readall().split(b"\n")
        accounts: dict[int, Account] = {}
        for number, line in enumerate(lines, start=1):
            try:
                self._read_event(json.loads(line), accounts)
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
                raise self._not_an_event(number) from error
        if torn:
            # A file that never was a state file is not truncated.
            if torn[: len(_FIRST_BYTES)] != _FIRST_BYTES[: len(torn)]:
                raise self._not_an_event(len(lines) + 1)
            self._file.truncate(self._file.tell() - len(torn))

    def _read_event(self, data: Any, accounts: dict[int, Account]) -> None:
        account = data.pop("account")
        event = Event(**data)
        if not isinstance(account, int) or not isinstance(event.server_id, int) or not math.isfinite(event.at):
            raise TypeError("account and server_id must be whole numbers, and at must be a number")
        # The account decides whether the event can follow.
        accounts.setdefault(account, Account()).apply(event)
        self._events.setdefault(account, []).append(event)
        self.latest = max(self.latest, event.at)

    def _not_an_event(self, number: int) -> ValueError:
        return ValueError(f"{self._path}, line {number}: not an event of a sandbox; the file was not changed")


_open: weakref.WeakValueDictionary[tuple[int, int], EventLog] = weakref.WeakValueDictionary()
