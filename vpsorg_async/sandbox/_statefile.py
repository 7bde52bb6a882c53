"""The file that accounts are kept in: their events, a JSON object a line."""

from __future__ import annotations

import json

from typing import TYPE_CHECKING

import attrs

from ._account import Event


if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class StateFile:
    """Reads what is there at first, and appends.

    A last line without its line feed was being written when the process ended: it is cut off, as nobody was answered.

    Attributes:
        latest: the time of the last event, in seconds of the sandbox; 0 where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events: dict[int, list[Event]] = {}
        self.latest = 0.0
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            path.write_bytes(whole)
        for number, line in enumerate(whole.splitlines(), start=1):
            self._read(line, number)

    def events(self, account: int) -> list[Event]:
        """Return what was there at first of the account of that number, from 0."""
        return self._events.get(account, [])

    def append(self, account: int, events: Iterable[Event]) -> None:
        """Write *events* of the account of that number."""
        lines = [json.dumps({"account": account, **attrs.asdict(event)}) + "\n" for event in events]
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))

    def _read(self, line: bytes, number: int) -> None:
        try:
            data = json.loads(line)
            account = data.pop("account")
            event = Event(**data)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"{self._path}, line {number}: not an event of a sandbox") from error
        self._events.setdefault(account, []).append(event)
        self.latest = max(self.latest, event.at)
