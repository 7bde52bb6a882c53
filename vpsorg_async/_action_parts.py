"""The data of an action in its JSON form, with what a wait in another process needs in order not to be fooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003 - type hints of what is public resolve at run time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

import attrs

from . import _decoding
from ._checks import checked_key, is_object
from ._error_base import InvalidArgumentError
from ._schemas import Described
from ._server_parts import ServerRef


if TYPE_CHECKING:
    from ._decoding import JSON
    from ._policies import PollPolicy

VERSION: Final = 1
"""The version of the JSON form."""

COMMANDS: Final = ("start", "stop", "reboot")

HABITS: Final = ("moves", "stays", "ticks")
"""What a client may have seen of the API's `updated_at`; see `_polling/habits.py`."""


@attrs.frozen(kw_only=True)
class Memory:
    """The knowledge of a client at the time when the API accepted a command. It has no secrets.

    Attributes:
        date: the API's clock then, from the `Date` of the response; `None` if there was none.
        said: the status in the response; `""` if it told none.
        lost: whether the response was lost, so that nobody knows whether the API executed the command.
        shown: whether the effect of the command has been observed.
        disturbed: whether this client has changed the server since.
        baseline: `updated_at` of an observation from before the command; `None` if there was none.
        settings: name, hostname and backups_enabled in that observation; `None` if a list gave it.
        old_transition: `updated_at` of an observation from before the command that showed the transition already.
        unclear: whether an earlier command of this client had not been seen to take effect then.
        newest: the newest `updated_at` that was observed.
        habits: those of `HABITS` that the client had seen of the API.
    """

    date: datetime | None = None
    said: str = ""
    lost: bool = False
    shown: bool = False
    disturbed: bool = False
    baseline: datetime | None = None
    settings: tuple[str | None, str | None, bool | None] | None = None
    old_transition: datetime | None = None
    unclear: bool = False
    newest: datetime | None = None
    habits: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {field.name: _written(getattr(self, field.name)) for field in attrs.fields(Memory)}

    @classmethod
    def from_dict(cls, data: object) -> Memory:
        """Read the JSON form. What is missing has its default, and what is unknown is passed over.

        Raises:
            InvalidArgumentError: a value cannot be one.
        """
        given = _object("command", data)
        return cls(**{name: read(f"command.{name}", given[name]) for name, read in _READERS.items() if name in given})


def _written(value: JSON | datetime | tuple[Any, ...]) -> JSON:
    if isinstance(value, datetime):
        return _decoding.iso(value)
    if isinstance(value, str):
        # A status may be an enum's member, which only some formats take for a string.
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _refused(name: str, value: object, wanted: str) -> InvalidArgumentError:
    # The value itself may be anything, a secret too.
    return InvalidArgumentError(f"these are no data of an action: {name} is {_decoding.json_type(value)}, not {wanted}")


def _object(name: str, value: object) -> Mapping[str, Any]:
    if not is_object(value):
        raise _refused(name, value, "an object")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _refused(name, value, "a string")
    return str(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refused(name, value, "a boolean")
    return value


def _moment(name: str, value: object) -> datetime | None:
    moment = _decoding.moment(value)
    if moment is None and value is not None:
        raise _refused(name, value, "an ISO 8601 time or null")
    return moment


def _settings(name: str, value: object) -> tuple[str | None, str | None, bool | None] | None:
    if value is None:
        return None
    match value:
        case [str() | None as server, str() | None as hostname, bool() | None as backups]:
            return server, hostname, backups
    raise _refused(name, value, "a name, a hostname and a boolean, or null")


def _habits(name: str, value: JSON | tuple[Any, ...]) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(habit in HABITS for habit in value):
        raise _refused(name, value, f"an array of some of {', '.join(HABITS)}")
    return tuple(habit for habit in HABITS if habit in value)


_READERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "date": _moment,
    "said": _text,
    "lost": _flag,
    "shown": _flag,
    "disturbed": _flag,
    "baseline": _moment,
    "settings": _settings,
    "old_transition": _moment,
    "unclear": _flag,
    "newest": _moment,
    "habits": _habits,
}


@attrs.frozen(kw_only=True, getstate_setstate=False)
class ActionData(Described):
    """The data of an `Action`; see there. `_command` is the handle on the client, which copies do not have."""

    name: str = ""
    status: str
    message: str
    server: ServerRef
    _memory: Memory | None = attrs.field(default=None, init=False, eq=False, repr=False)
    # Typed as Any, so that cattrs can resolve the types of this class without the client.
    _command: Any = attrs.field(default=None, init=False, eq=False, repr=False)

    @property
    def _remembered(self) -> Memory | None:
        """The knowledge of the server before the command; `None` if the action does not come from a client."""
        memory: Memory | None = self._memory if self._command is None else self._command.memory
        return memory

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, from which `from_dict` makes an equal action in another process.

        They have what the client knew of the server before the command, so that a wait there is as hard to fool as one
        here. They have no secrets.
        """
        memory = self._remembered
        return {
            "version": VERSION,
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "server": {"id": self.server.id, "name": self.server.name, "status": str(self.server.status)},
            "command": None if memory is None else memory.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an action from what `to_dict` returned. Give it a client with `client.servers.bind(action)`.

        Raises:
            InvalidArgumentError: *data* are no data of an action, or of a version that this library does not know.
        """
        given = _object("it", data)
        _check_version(given.get("version"))
        name, server = _text("name", given.get("name")), _object("server", given.get("server"))
        if name and name not in COMMANDS:
            raise InvalidArgumentError(f"these are no data of an action: name={name!r:.20}")
        status = _text("server.status", server.get("status"))
        action = cls(
            name=name,
            status=_text("status", given.get("status")),
            message=_text("message", given.get("message")),
            server=ServerRef(
                id=_key(server.get("id")),
                name=_text("server.name", server.get("name")),
                status=_decoding.status(status) or "",
            ),
        )
        command = given.get("command")
        object.__setattr__(action, "_memory", None if command is None else Memory.from_dict(command))
        return action

    def __getstate__(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "server": self.server,
            "_memory": self._remembered,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in {**state, "_command": None}.items():
            object.__setattr__(self, name, value)


def _check_version(version: object) -> None:
    if isinstance(version, bool) or not isinstance(version, int):
        raise _refused("version", version, "a number")
    if version != VERSION:
        raise InvalidArgumentError(
            f"these data of an action are not of version {VERSION}: read them with the vpsorg_async that wrote them"
        )


def _key(value: object) -> int | str:
    """Return the id of a server, which becomes a part of a path."""
    try:
        return checked_key(value)
    except TypeError:
        raise _refused("server.id", value, "an id") from None


class Waiting(Protocol):
    """The part of a client that knows of a command and waits for it."""

    @property
    def memory(self) -> Memory:
        """The present knowledge of the client about the command."""
        ...

    async def wait(
        self,
        *,
        timeout: float | None,
        poll: PollPolicy,
        on_change: Callable[[Any], object] | None,
        detail: bool,
        when: Callable[[Any], bool] | None,
        steady: float,
    ) -> Any:
        """Return the server when the command has taken effect, after at most *timeout* seconds."""
        ...


AnyAction = TypeVar("AnyAction", bound=ActionData)


def bind_action(action: AnyAction, name: str, command: Waiting) -> AnyAction:
    """Give *action* its *name* and the *command* that it waits for, and return it."""
    object.__setattr__(action, "name", name)
    object.__setattr__(action, "_command", command)
    return action


def remembered(action: ActionData) -> Memory | None:
    """Return what was known of the server before the command; `None` if the action does not come from a client."""
    return action._remembered  # noqa: SLF001 - of this module's own class


def handle_of(action: ActionData) -> object:
    """Return the handle of *action* on its client, or `None`."""
    handle: object = action._command  # noqa: SLF001 - the same
    return handle
