"""Turns the parts of a report into JSON-ready data, and such data into the parts. Pure.

The data may come from anywhere. Nothing in them is imported or run: classes are looked up in a table, and a value that
has no place here is refused in words that do not show it.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - attrs resolves the types of these classes
from datetime import datetime  # noqa: TC003 - attrs resolves the types of these classes
from typing import TYPE_CHECKING, Any, Final

import attrs

from .. import _decoding, _errors
from .._action_parts import Memory
from .._checks import checked_key, is_object
from .._error_base import InvalidArgumentError
from .._errors import APIConnectionError, APIStatusError, VPSError
from .._models import Action, Server, ServerSpec
from .._policies import PollPolicy
from .._secrets import is_secret


if TYPE_CHECKING:
    from .._decoding import JSON


VERSION: Final = 1
"""The version of the JSON form."""

_ERRORS: Final[Mapping[str, type[VPSError]]] = {
    kind.__name__: kind
    for kind in map(vars(_errors).__getitem__, _errors.__all__)
    if isinstance(kind, type) and issubclass(kind, VPSError)
}
"""The errors that a report keeps by their class."""

_STOPS: Final[Mapping[str, type[Exception]]] = {**_ERRORS, "Exception": Exception}
"""The errors of `stop_on` that a report keeps."""

_SPEC_FIELDS: Final = ("name", "plan_id", "os_id", "location", "hostname", "ssh_key_id", "backups_enabled")
"""Written one by one: a field that a later version adds may be a secret."""

_DEPTH, _BITS = 50, 4096
"""A result of `apply` that is nested deeper, or has a longer number, is left out (assumed)."""

_USER_DATA: Final = ("userdata", "cloudinit", "startupscript")
"""Fields with one of these in their name hold what a user has given a server to run, which may have secrets."""


@attrs.frozen(kw_only=True)
class Carried:
    """The knowledge that a later run needs of the command of an item that is pending or unknown.

    Attributes:
        command: what the client knew of the server; `None` if that is nothing, and for a delete or update.
        sent: when the command was sent, by the API's clock, at the earliest; `None`: it is not known.
    """

    command: Memory | None = None
    sent: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"command": None if self.command is None else self.command.to_dict(), "sent": written(self.sent)}

    @classmethod
    def from_dict(cls, data: object) -> Carried:
        """Read the JSON form."""
        given = an_object("carried", data)
        command = given.get("command")
        return cls(
            command=None if command is None else Memory.from_dict(command),
            sent=a_moment("carried.sent", given.get("sent")),
        )


@attrs.frozen(kw_only=True)
class RunArguments:
    """The arguments of a run, as its report keeps them. Functions are not kept.

    Attributes:
        own: those of the action, JSON-ready, such as `{"wait": True}`.
        at_once, tolerate, timeout, poll, stop_on: those of every run; see `Fleet`.
    """

    own: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    at_once: int
    tolerate: float | None
    timeout: float | None
    poll: PollPolicy
    stop_on: tuple[type[Exception], ...]

    @property
    def portable(self) -> RunArguments:
        """The same without errors of `stop_on` that another process may not know."""
        return attrs.evolve(self, stop_on=tuple(kind for kind in self.stop_on if _STOPS.get(kind.__name__) is kind))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "own": dict(self.own),
            "at_once": self.at_once,
            "tolerate": self.tolerate,
            "timeout": self.timeout,
            "poll": attrs.asdict(self.poll),
            "stop_on": [kind.__name__ for kind in self.portable.stop_on],
        }

    @classmethod
    def from_dict(cls, data: object) -> RunArguments:
        """Read the JSON form. `client.fleet.resume` checks the values as it checks its own arguments."""
        given = an_object("arguments", data)
        return cls(
            own=an_object("arguments.own", given.get("own")),
            at_once=a_whole_number("arguments.at_once", given.get("at_once")),
            tolerate=_a_number("arguments.tolerate", given.get("tolerate")),
            timeout=_a_number("arguments.timeout", given.get("timeout")),
            poll=_a_policy(an_object("arguments.poll", given.get("poll"))),
            stop_on=_stops(given.get("stop_on")),
        )


def dump_item(item: Server | int | str | ServerSpec) -> dict[str, Any]:
    """Return the JSON form of what an outcome is about."""
    if isinstance(item, Server):
        return {"server": dump_server(item)}
    if isinstance(item, ServerSpec):
        return {"spec": {name: getattr(item, name) for name in _SPEC_FIELDS}}
    return {"id": item}


def load_item(data: object) -> Server | int | str | ServerSpec:
    """Read it."""
    match an_object("item", data):
        case {"server": server}:
            return load_server(server)
        case {"spec": spec}:
            given = an_object("item.spec", spec)
            if missing := [name for name in _SPEC_FIELDS[:4] if name not in given]:
                raise InvalidArgumentError(f"these are no data of a report: an item has no {missing[0]}")
            return ServerSpec(**{name: given[name] for name in _SPEC_FIELDS if name in given})
        case {"id": server_id}:
            return _an_id("item.id", server_id)
    raise InvalidArgumentError("these are no data of a report: an item is neither a server, an id nor a spec")


def dump_server(server: Server) -> dict[str, Any]:
    """Return the JSON form of a server, without secrets and without what it was given to run."""
    data = server.to_dict()
    return {name: value for name, value in data.items() if not any(word in _letters(name) for word in _USER_DATA)}


def load_server(data: object) -> Server:
    """Read a server. Its id becomes a part of a path."""
    server = Server.from_dict(an_object("a server", data))
    _an_id("a server's id", server.id)
    return server


def dump_value(value: Any) -> dict[str, Any] | None:
    """Return the JSON form of the result of an item's call; `None` if it has none."""
    if isinstance(value, Server):
        return {"server": dump_server(value)}
    if isinstance(value, Action):
        return {"action": value.to_dict()}
    try:
        return None if value is None else {"json": _plain(value, _DEPTH)}
    except ValueError:
        return None


def load_value(data: object) -> Any:
    """Read it."""
    match None if data is None else an_object("value", data):
        case {"server": server}:
            return load_server(server)
        case {"action": action}:
            return Action.from_dict(an_object("value.action", action))
        case {"json": value}:
            return value
    return None


def dump_error(error: Exception | None) -> dict[str, Any] | None:
    """Return the JSON form of an error: its class, text, status and request id, and whether anything was sent."""
    if error is None:
        return None
    if type(error) is not _ERRORS.get(type(error).__name__):
        return {"class": type(error).__name__, "text": str(error), "foreign": True}
    data: dict[str, Any] = {"class": type(error).__name__, "text": str(error)}
    data["request"] = getattr(error, "request_summary", None)
    if isinstance(error, (APIStatusError, APIConnectionError)):
        data["sent"] = error.sent
    if isinstance(error, APIStatusError):
        data |= {"status": error.status_code, "request_id": error.request_id}
    return data


def load_error(data: object) -> Exception | None:
    """Read it. An error of any other class than this library's becomes a `RuntimeError` that names its class."""
    if data is None:
        return None
    given = an_object("error", data)
    name, text = a_text("error.class", given.get("class")), a_text("error.text", given.get("text"))
    kind = None if given.get("foreign") else _ERRORS.get(name)
    if kind is None:
        # One that was read before keeps its text: it names the class already.
        return RuntimeError(text if name == "RuntimeError" else f"{name}: {text}" if text else name)
    more: dict[str, Any] = {"request_summary": _or_none(a_text, "error.request", given.get("request"))}
    if issubclass(kind, (APIStatusError, APIConnectionError)):
        more["sent"] = _or_none(a_flag, "error.sent", given.get("sent"))
    if issubclass(kind, APIStatusError):
        more["status_code"] = _or_none(a_whole_number, "error.status", given.get("status"))
        more["request_id"] = _or_none(a_text, "error.request_id", given.get("request_id"))
    return kind(text, **more)


def refused(name: str, value: object, wanted: str) -> InvalidArgumentError:
    """Return the error for a value that cannot be read. The value itself may be a secret."""
    return InvalidArgumentError(f"these are no data of a report: {name} is {_decoding.json_type(value)}, not {wanted}")


def check_version(version: object) -> None:
    """Return if this library reads data of *version*.

    Raises:
        InvalidArgumentError: it does not.
    """
    if isinstance(version, bool) or not isinstance(version, (int, float, str)):
        raise refused("version", version, "a number")
    # A later version may be written otherwise, as "1.0" for example.
    if version != VERSION:
        raise InvalidArgumentError(
            f"these data of a report are not of version {VERSION}: read them with the vpsorg_async that wrote them"
        )


def written(when: datetime | None) -> str | None:
    """Return a time in ISO 8601."""
    return None if when is None else _decoding.iso(when)


def a_moment(name: str, value: object) -> datetime | None:
    """Read a time, or null."""
    moment = _decoding.moment(value)
    if moment is None and value is not None:
        raise refused(name, value, "an ISO 8601 time or null")
    return moment


def an_object(name: str, value: object) -> Mapping[str, Any]:
    """Read an object."""
    if not is_object(value):
        raise refused(name, value, "an object")
    return value


def a_text(name: str, value: object) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise refused(name, value, "a string")
    return str(value)


def a_flag(name: str, value: object) -> bool:
    """Read a boolean."""
    if not isinstance(value, bool):
        raise refused(name, value, "a boolean")
    return value


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name)).lower()


def _or_none(read: Any, name: str, value: object) -> Any:
    return None if value is None else read(name, value)


def a_whole_number(name: str, value: object) -> int:
    """Read a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise refused(name, value, "a whole number")
    return value


def _a_number(name: str, value: object) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise refused(name, value, "a number or null")
    return value


def _an_id(name: str, value: object) -> int | str:
    try:
        return checked_key(value)
    except TypeError:
        raise refused(name, value, "an id") from None


def _a_policy(given: Mapping[str, Any]) -> PollPolicy:
    known = {field.name: given[field.name] for field in attrs.fields(PollPolicy) if field.name in given}
    try:
        return PollPolicy(**known)
    except TypeError:
        pass
    raise InvalidArgumentError("these are no data of a report: arguments.poll has a value of a wrong type")


def _stops(value: JSON | tuple[Any, ...]) -> tuple[type[Exception], ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) and name in _STOPS for name in value):
        raise refused("arguments.stop_on", value, "an array of names of this library's errors")
    return tuple(_STOPS[name] for name in value)


def _plain(value: JSON, depth: int) -> Any:
    """Return *value* as plain JSON without secrets.

    Raises:
        ValueError: it cannot be written as JSON, or is nested too deep.
    """
    if not depth:
        raise ValueError("too deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and value.bit_length() < _BITS:
        return int.__int__(value)
    if isinstance(value, float) and value - value == 0:
        return float(value)
    if isinstance(value, list):
        return [_plain(child, depth - 1) for child in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        kept = {str.__str__(name): child for name, child in value.items() if not is_secret(name, child)}
        return {name: _plain(child, depth - 1) for name, child in kept.items()}
    raise ValueError("no JSON")
