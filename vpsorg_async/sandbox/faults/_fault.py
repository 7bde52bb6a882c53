"""What goes wrong, with which requests, and when: `Fault`, plain data that a sandbox's plan is made of."""

from __future__ import annotations

import re

from typing import TYPE_CHECKING, Any, TypedDict

import attrs

from . import _kinds


if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack


_METHOD = re.compile(r"[A-Za-z]+")


class Rule(TypedDict, total=False):
    """Which requests a fault strikes; every `Fault` takes these. All that are given must hold.

    Attributes:
        method: the HTTP method.
        path: a regular expression, searched in the path below the base path: `/servers/`, `/servers/7/start/`.
        server_id: the server that the path names, by id or UUID. `stale`, `as_status` and `omit` find it in lists too,
            and leave the others there as they are.
        times: so often at most.
        every: each so-manyeth request that the above and the kind of fault fit.
        probability: so likely, from 0 to 1, each time. The chances are the sandbox's seed's: the same requests in the
            same order are struck the same way on every run.
    """

    method: str | None
    path: str | None
    server_id: int | str | None
    times: int | None
    every: int | None
    probability: float | None


def _regular_expression(_instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{attribute.name}={value!r} is no regular expression: {error}") from None


def _a_method(_instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if not _METHOD.fullmatch(value):
        raise ValueError(f"{attribute.name}={value!r} is no HTTP method")


def _an_id(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{attribute.name} takes an int or a str, not {value!r}")
    if value == "" or (isinstance(value, int) and value < 0):
        raise ValueError(f"{attribute.name}={value!r} is no server's id")


def _a_share(_instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if value > 1:
        raise ValueError(f"{attribute.name}={value!r}: give 0 to 1")


def _optional(*validators: _kinds.Validator) -> Any:
    return attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.and_(*validators)))


_TEXT = _kinds.instance_of(str, "a str")


@attrs.frozen(kw_only=True)
class Fault:
    """Something that goes wrong with the requests that it fits; made by the class methods, one for each kind.

    With several on one request, those that can show apply in this order, whatever the order of adding:

    1. `delay`: whatever comes of the request, it shows later.
    2. `drop()`: nothing is carried out, and no other shows.
    3. `status`: answered so in place of being carried out.
    4. `end_in` and `stale`: how the request is carried out.
    5. `as_status`, `omit`, `loop`, or else `html`; then `bomb`: what the answer says.
    6. `hang`, or else `drop(after_commit=True)`, or else `cut` and `drip`: how the answer comes back.

    Of two of one kind the one added last counts; `delay`, `stale`, `as_status` and `omit` apply one after another.

    Attributes:
        what: the kind and what it takes.
        method: see `Rule`, as for all others.
        path: see there.
        server_id: see there.
        times: see there.
        every: see there.
        probability: see there.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument cannot be.
    """

    what: _kinds.What
    method: str | None = _optional(_TEXT, _a_method)
    path: str | None = _optional(_TEXT, _regular_expression)
    server_id: int | str | None = _optional(_an_id)
    times: int | None = _optional(_kinds.whole(1))
    every: int | None = _optional(_kinds.whole(1))
    probability: float | None = _optional(_kinds.number(), _a_share)

    @classmethod
    def status(
        cls, code: int, body: Any = None, headers: Mapping[str, str | int] | None = None, **rule: Unpack[Rule]
    ) -> Fault:
        """Answer *code* in place of carrying the request out.

        A *body* that is a `str` or `bytes` is sent as it is, anything else as JSON; `None` is a `detail` that names the
        status. *headers* are added to the sandbox's own, or replace them.
        """
        return cls(what=_kinds.Status.of(code, body, headers), **rule)

    @classmethod
    def drop(cls, after_commit: bool = False, **rule: Unpack[Rule]) -> Fault:  # noqa: FBT001, FBT002 -- fixed surface
        """End the connection without an answer: before the request is carried out, or after."""
        return cls(what=_kinds.Drop(after_commit), **rule)

    @classmethod
    def cut(cls, at: int, **rule: Unpack[Rule]) -> Fault:
        """Carry the request out, and end the connection after *at* bytes of the answer, status line and all."""
        return cls(what=_kinds.Cut(at), **rule)

    @classmethod
    def delay(cls, seconds: float, **rule: Unpack[Rule]) -> Fault:
        """Carry the request out at once, and answer *seconds* of the sandbox later."""
        return cls(what=_kinds.Delay(seconds), **rule)

    @classmethod
    def drip(cls, bytes_per_second: float, **rule: Unpack[Rule]) -> Fault:
        """Carry the request out, and let the answer trickle, so many bytes in a second of the sandbox."""
        return cls(what=_kinds.Drip(bytes_per_second), **rule)

    @classmethod
    def hang(cls, **rule: Unpack[Rule]) -> Fault:
        """Carry the request out, and never answer: until the caller gives up or the sandbox is no longer served."""
        return cls(what=_kinds.Hang(), **rule)

    @classmethod
    def stale(cls, seconds: float, **rule: Unpack[Rule]) -> Fault:
        """Let a GET show what it would have shown *seconds* ago: a server that was not there is 404 and not listed."""
        return cls(what=_kinds.Stale(seconds), **rule)

    @classmethod
    def omit(cls, count: int, **rule: Unpack[Rule]) -> Fault:
        """Leave *count* items, which the seed picks, out of a list's page; its `count` stays."""
        return cls(what=_kinds.Omit(count), **rule)

    @classmethod
    def loop(cls, **rule: Unpack[Rule]) -> Fault:
        """Let `next` of a list's last page lead to the first."""
        return cls(what=_kinds.Loop(), **rule)

    @classmethod
    def as_status(cls, text: str, **rule: Unpack[Rule]) -> Fault:
        """Let a GET show servers with the status *text*; a filter still goes by the real one."""
        return cls(what=_kinds.AsStatus(text), **rule)

    @classmethod
    def html(cls, **rule: Unpack[Rule]) -> Fault:
        """Answer a page of HTML where JSON belongs, with the same status; with 200 where that has no body."""
        return cls(what=_kinds.Html(), **rule)

    @classmethod
    def bomb(cls, megabytes: int, **rule: Unpack[Rule]) -> Fault:
        """Send the answer as gzip, followed by *megabytes* (of 2**20 bytes) of spaces, a thousandth on the wire."""
        return cls(what=_kinds.Bomb(megabytes), **rule)

    @classmethod
    def end_in(cls, status: str, **rule: Unpack[Rule]) -> Fault:
        """Let a create, start, stop or reboot end in *status*, one of the seven, in place of where it should."""
        return cls(what=_kinds.EndIn(status), **rule)
