"""Says what has changed of a server: which server it was, which it is, and the fields that differ. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from .._checks import is_object
from .._error_base import InvalidArgumentError
from .._models import Server
from .._public import publish
from .._schemas import Described, describe, written
from .merging import changed_fields, facts


ChangeKind: TypeAlias = Literal["appeared", "changed", "gone"]
"""The kinds of a change."""


@attrs.frozen
class ServerChange(Described):
    """A change of a server. One of `before` and `after` is always there.

    In a loop over a watch, type checkers know from `kind` which of them: `if change.kind == "changed":`.

    Attributes:
        before: the server as the last change showed it; `None` if the server has appeared.
        after: the server as it is now, with what `before` knew and the last response did not say, as a list leaves out
            the IPv6 address. It is `None` if the server is gone.
    """

    before: Server | None
    after: Server | None
    # The watch knows more than the two servers say: a response in between that was no change.
    _fields: frozenset[str] | None = attrs.field(default=None, init=False, eq=False, repr=False)

    @property
    def kind(self) -> ChangeKind:
        """`"appeared"`, `"changed"` or `"gone"`."""
        if self.before is None:
            return "appeared"
        return "gone" if self.after is None else "changed"

    @property
    def server(self) -> Server:
        """The server as it was last seen: `after`, or `before` if it is gone.

        Raises:
            InvalidArgumentError: this change was made by hand, without any server.
        """
        server = self.before if self.after is None else self.after
        if server is None:
            raise InvalidArgumentError("a ServerChange needs a server: before, after or both")
        return server

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that changed; empty if the server has appeared or is gone.

        A field that only one of the two servers gives has not changed. `resource_usage`, `updated_at` and `message`
        are never among them.
        """
        if self._fields is not None:
            return self._fields
        if self.before is None or self.after is None:
            return frozenset()
        return changed_fields(facts(self.before), facts(self.after))


# At run time there is one class. Type checkers see three, so that `kind` tells them which server is there.
if TYPE_CHECKING:

    @attrs.frozen
    class _Appeared(ServerChange):
        before: None
        after: Server

        @property
        def kind(self) -> Literal["appeared"]: ...

    @attrs.frozen
    class _Changed(ServerChange):
        before: Server
        after: Server

        @property
        def kind(self) -> Literal["changed"]: ...

    @attrs.frozen
    class _Gone(ServerChange):
        before: Server
        after: None

        @property
        def kind(self) -> Literal["gone"]: ...

    SeenChange: TypeAlias = _Appeared | _Changed | _Gone
else:
    SeenChange = ServerChange


def change_of(before: Server | None, after: Server | None, fields: frozenset[str]) -> SeenChange:
    """Return the change of a server that a watch has seen, with the names of the *fields* that changed."""
    change: Any = ServerChange(before, after)
    if fields:
        object.__setattr__(change, "_fields", fields)
    seen: SeenChange = change
    return seen


def _to_dict(change: ServerChange) -> dict[str, Any]:
    fields = sorted(change.fields)
    return {"kind": change.kind, "before": written(change.before), "after": written(change.after), "fields": fields}


def _from_dict(data: object) -> ServerChange:
    if not is_object(data):
        raise InvalidArgumentError("a change of a server is an object with before and after")
    before, after = (None if data.get(one) is None else Server.from_dict(data[one]) for one in ("before", "after"))
    if before is None and after is None:
        raise InvalidArgumentError("a change of a server has a server: before, after or both")
    return ServerChange(before, after)


describe(
    ServerChange,
    write=_to_dict,
    read=_from_dict,
    fields={"kind": ChangeKind, "before": Server | None, "after": Server | None, "fields": list[str]},
    required=("kind", "before", "after", "fields"),
)
publish(ServerChange)
