"""Turns runs, items and their outcomes into the JSON that a store keeps, and back. Pure.

A store lies in plain text on a disk. It gets the specs' own fields, ids, states, times, and errors without any word of
the API: never a token, a password or a part of an HTTP message.
"""

from __future__ import annotations

import hashlib
import json
import re

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from .._checks import server_key
from .._error_base import InvalidArgumentError
from .._errors import (
    APIConnectionError,
    APIStatusError,
    OutcomeUnknownError,
    ResponseError,
    ServerGoneError,
    UnexpectedStatusError,
    WaitError,
    WaitFailedError,
    WaitTimeoutError,
)
from .._fleet import report_data
from .._fleet.report import Item, Outcome, carried_of
from .._fleet.report_data import Carried, RunArguments
from .._models import Server


VERSION: Final = 1
"""The version of all records. A later one is refused."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_LONG: Final = 500
"""The longest text of an error that is kept, in characters (assumed)."""

_NOT_KEPT: Final = "its text is not kept"

_WAITS: Final[Mapping[type[BaseException], str]] = {
    WaitTimeoutError: "the time for the wait was over",
    WaitFailedError: "the wait was given up, because its polls failed",
    UnexpectedStatusError: "it ended in another status",
    ServerGoneError: "the server is gone",
}


@attrs.frozen(kw_only=True)
class RunRecord:
    """A run, as a store keeps it.

    Attributes:
        action: what is done with each item, such as `"create"`.
        arguments: those of a fleet's run.
        per_second: how many items begin in a second at most; `None`: any number.
        count: the number of items.
        digest: tells whether two runs have the same items.
    """

    action: str
    arguments: RunArguments
    per_second: float | None
    count: int
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "version": VERSION,
            "action": self.action,
            "arguments": self.arguments.to_dict(),
            "per_second": self.per_second,
            "count": self.count,
            "digest": self.digest,
        }

    @classmethod
    def from_dict(cls, data: Any) -> RunRecord:
        """Read the JSON form.

        Raises:
            InvalidArgumentError: it is of another version, or none of a run.
        """
        given = report_data.an_object("it", data)
        report_data.check_version(given.get("version"))
        return cls(
            action=report_data.a_text("action", given.get("action")),
            arguments=RunArguments.from_dict(given.get("arguments")),
            per_second=given.get("per_second"),
            count=int(given.get("count", 0)),
            digest=report_data.a_text("digest", given.get("digest")),
        )

    def differences(self, other: RunRecord) -> list[str]:
        """Return the names of the arguments in which two runs differ."""
        mine, others = self.to_dict(), other.to_dict()
        found = ["items"] if self.digest != other.digest else []
        found += ["per_second"] if self.per_second != other.per_second else []
        found += ["action"] if self.action != other.action else []
        kept, given = mine["arguments"], others["arguments"]
        found += [name for name in ("at_once", "timeout", "poll", "stop_on") if kept[name] != given[name]]
        names = kept["own"].keys() | given["own"].keys()
        return found + sorted(name for name in names if kept["own"].get(name) != given["own"].get(name))


@attrs.frozen(kw_only=True)
class ItemRecord:
    """An item that is not begun, as a store keeps it.

    Attributes:
        run: the name of its run.
        index: its position.
        action, arguments: those of its run.
        item: the spec or id.
    """

    run: str
    index: int
    action: str
    arguments: RunArguments
    item: Item

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "version": VERSION,
            "run": self.run,
            "index": self.index,
            "action": self.action,
            "arguments": self.arguments.to_dict(),
            "item": report_data.dump_item(self.item),
        }

    @classmethod
    def from_dict(cls, data: Any) -> ItemRecord:
        """Read the JSON form."""
        given = report_data.an_object("it", data)
        report_data.check_version(given.get("version"))
        return cls(
            run=report_data.a_text("run", given.get("run")),
            index=int(given["index"]),
            action=report_data.a_text("action", given.get("action")),
            arguments=RunArguments.from_dict(given.get("arguments")),
            item=report_data.load_item(given.get("item")),
        )


NOT_SENT: Final = "not sent"
"""The state of an item, as a store keeps it, whose command was not sent after all: it is begun anew."""


@attrs.frozen(kw_only=True)
class Intent:
    """An item whose command is about to be sent, as a store keeps it.

    Attributes:
        boot: tells the process that is about to send it from all others.
        began_at: when the item began, in UTC.
        carried: when it is sent by the API's clock, at the earliest, and what is known of the server.
        stopped: whether nothing is sent, because the run was stopped.
    """

    boot: str
    began_at: datetime
    carried: Carried
    stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "boot": self.boot,
            "began_at": report_data.written(self.began_at),
            "carried": self.carried.to_dict(),
            "stopped": self.stopped,
        }

    @classmethod
    def from_dict(cls, data: Any) -> Intent:
        """Read the JSON form."""
        given = report_data.an_object("it", data)
        began_at = report_data.a_moment("began_at", given.get("began_at"))
        assert began_at is not None
        return cls(
            boot=report_data.a_text("boot", given.get("boot")),
            began_at=began_at,
            carried=Carried.from_dict(given.get("carried")),
            stopped=bool(given.get("stopped")),
        )


def newest_of(steps: Iterable[tuple[str, dict[str, Any] | None]]) -> dict[str, Any]:
    """Return the results of the *steps* of an item by their names, without those before it was begun anew."""
    kept: dict[str, Any] = {}
    for name, result in steps:
        kept[name] = result
        if name == "command" and result is not None and result.get("state") == NOT_SENT:
            kept.clear()
    return kept


def checked_name(name: object) -> str:
    """Return the name of a run.

    Raises:
        TypeError: it is no text.
        InvalidArgumentError: it has other characters, or is too long.
    """
    if not isinstance(name, str):
        raise TypeError(f"name takes a text, not {type(name).__name__}")
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(f"name={name!r:.120}: give 1 to 100 letters, digits, '.', '_' and '-'")
    return name


def digest_of(items: Sequence[Item]) -> str:
    """Return a text that differs if the items do. 7 and "7" are one server."""
    data = [report_data.dump_item(server_key(item) if isinstance(item, (int, str)) else item) for item in items]
    # orjson has no whole numbers above 64 bits, and an id may be one.
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def dump_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return the JSON form of what became of an item. Of its server it has id, name and status."""
    carried = carried_of(outcome)
    return {
        "state": outcome.state,
        "server": None if outcome.server is None else _identity(outcome.server),
        "error": dump_error(outcome.error),
        "accepted": outcome.accepted,
        "began_at": report_data.written(outcome.began_at),
        "ended_at": report_data.written(outcome.ended_at),
        "carried": None if carried is None else carried.to_dict(),
    }


def load_outcome(index: int, item: Item, data: Any) -> Outcome:
    """Read what became of an item."""
    given = report_data.an_object("it", data)
    server, carried = given.get("server"), given.get("carried")
    return Outcome(
        index=index,
        item=item,
        state=given["state"],
        server=None if server is None else Server.from_dict(server),
        error=report_data.load_error(given.get("error")),
        accepted=bool(given.get("accepted")),
        began_at=report_data.a_moment("began_at", given.get("began_at")),
        ended_at=report_data.a_moment("ended_at", given.get("ended_at")),
        carried=None if carried is None else Carried.from_dict(carried),
    )


def dump_error(error: Exception | None) -> dict[str, Any] | None:
    """Return the JSON form of an error: its class, status and request id, and its text without words of the API."""
    data = report_data.dump_error(error)
    if error is None or data is None:
        return None
    # The class of a foreign error stands before its text when it is read.
    return data | {"text": _NOT_KEPT if data.get("foreign") else text_of(error)}


def text_of(error: BaseException) -> str:
    """Return what *error* says, in words of this library alone. Those of the error itself may quote a response."""
    where = getattr(error, "request_summary", None) or "the request"
    if isinstance(error, APIStatusError):
        return f"{where} was answered {error.status_code}"
    if isinstance(error, ResponseError):
        return f"{where}: the response is not what the API documents"
    if isinstance(error, InvalidArgumentError):
        return str(error)[:_LONG]
    if isinstance(error, OutcomeUnknownError):
        return "the API may have accepted it, and nothing proves what became of it" + _because(error)
    if isinstance(error, WaitError):
        seen = "it was never seen" if error.server is None else f"it was last seen {error.server.status}"
        return f"{_WAITS.get(type(error), 'the wait has not ended')}: {seen}{_because(error)}"
    if isinstance(error, APIConnectionError):
        return f"{where}: no response" if error.sent is not False else f"{where}: it could not be sent"
    return f"{type(error).__name__}: {_NOT_KEPT}"


def _because(error: BaseException) -> str:
    return "" if error.__cause__ is None else f"; {text_of(error.__cause__)}"


def _identity(server: Server) -> Mapping[str, Any]:
    return {"id": server.id, "name": server.name, "status": str(server.status)}
