"""What can go wrong with an exchange: each kind a frozen record of what a `Fault` of it says. Pure."""

from __future__ import annotations

import json
import math
import re

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import attrs

from .._state.account import STATUSES


BODILESS = (204, 304)
"""Statuses whose answers have no body (RFC 9110, 6.4.1)."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FRAMING = ("connection", "content-length", "transfer-encoding")

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def whole(least: int, most: float = math.inf) -> Validator:
    """Return what refuses all but whole numbers from *least* to *most*."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{attribute.name} takes a whole number, not {value!r}")
        if not least <= value <= most:
            raise ValueError(
                f"{attribute.name}={value}: give {least} " + ("or more" if most == math.inf else f"to {most}")
            )

    return check


def number(*, above: float | None = None) -> Validator:
    """Return what refuses all but finite numbers of at least 0, or *above* a number."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{attribute.name} takes a number, not {value!r}")
        if not math.isfinite(value) or value < 0 or (above is not None and value <= above):
            wanted = "of at least 0" if above is None else f"above {above}"
            raise ValueError(f"{attribute.name}={value!r}: give a finite number {wanted}")

    return check


def instance_of(kind: type, wanted: str) -> Validator:
    """Return what refuses all but a *kind*, in words."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise TypeError(f"{attribute.name} takes {wanted}, not {value!r}")

    return check


def _one_of_the_seven(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{attribute.name} takes a str, not {value!r}")
    if value not in STATUSES:
        raise ValueError(f"{attribute.name}={value!r} is none of {', '.join(STATUSES)}")


@attrs.frozen
class Status:
    """Answered so, and not carried out; *content* and *headers* as they are sent."""

    code: int = attrs.field(validator=whole(200, 599))
    content: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, code: int, body: Any, headers: Mapping[str, str | int] | None) -> Status:
        """Return it with *body* and *headers* checked and as bytes and text."""
        bare = cls(code)
        if code in BODILESS:
            if body is not None:
                raise ValueError(f"body: an answer {code} has none")
            return attrs.evolve(bare, headers=_headers(headers))
        content, media_type = _content(code, body)
        given = _headers(headers)
        if not any(name.lower() == "content-type" for name, _ in given):
            given = (("Content-Type", media_type), *given)
        return cls(code, content, given)


@attrs.frozen
class Drop:
    """The connection ends without an answer, before or after the request is carried out."""

    after_commit: bool = attrs.field(validator=instance_of(bool, "True or False"))


@attrs.frozen
class Cut:
    """The connection ends after so many bytes of the answer."""

    at: int = attrs.field(validator=whole(0))


@attrs.frozen
class Delay:
    """The answer begins so much later."""

    seconds: float = attrs.field(validator=number())


@attrs.frozen
class Drip:
    """The answer comes slowly."""

    bytes_per_second: float = attrs.field(validator=number(above=0))


@attrs.frozen
class Hang:
    """The answer never comes."""


@attrs.frozen
class Stale:
    """What is read is so old."""

    seconds: float = attrs.field(validator=number())


@attrs.frozen
class Omit:
    """So many items are missing from a page."""

    count: int = attrs.field(validator=whole(1))


@attrs.frozen
class Loop:
    """The last page's `next` leads to the first."""


@attrs.frozen
class AsStatus:
    """Servers are read with this status."""

    text: str = attrs.field(validator=instance_of(str, "a str"))


@attrs.frozen
class Html:
    """The body is a page for people."""


@attrs.frozen
class Bomb:
    """The body unpacks to so much more than it weighs."""

    # 1,000 take a second to pack, and as many kilobytes; meanwhile the sandbox does nothing else.
    megabytes: int = attrs.field(validator=whole(1, 10_000))


@attrs.frozen
class EndIn:
    """A command ends in this status."""

    status: str = attrs.field(validator=_one_of_the_seven)


What = Status | Drop | Cut | Delay | Drip | Hang | Stale | Omit | Loop | AsStatus | Html | Bomb | EndIn

KINDS: dict[str, type] = {
    "status": Status,
    "drop": Drop,
    "cut": Cut,
    "delay": Delay,
    "drip": Drip,
    "hang": Hang,
    "stale": Stale,
    "omit": Omit,
    "loop": Loop,
    "as_status": AsStatus,
    "html": Html,
    "bomb": Bomb,
    "end_in": EndIn,
}
"""By the name of the class method of `Fault` that makes it."""


def _content(code: int, body: Any) -> tuple[bytes, str]:
    match body:
        case None:
            phrase = HTTPStatus(code).phrase if code in set(HTTPStatus) else f"Status {code}"
            return _json({"detail": f"{phrase}."}), "application/json"
        case bytes():
            return body, "application/octet-stream"
        case str():
            return body.encode(), "text/plain; charset=utf-8"
    try:
        return _json(body), "application/json"
    except (TypeError, ValueError, RecursionError):
        raise TypeError(f"body takes a str, bytes, or what JSON can say, not {repr(body)[:60]}") from None


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def _headers(headers: Mapping[str, str | int] | None) -> tuple[tuple[str, str], ...]:
    if headers is None:
        return ()
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers takes a mapping of names to values, not {headers!r}")
    return tuple(_header(name, value) for name, value in headers.items())


def _header(name: object, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"headers: a name and its value are str, not {name!r}: {value!r}")
    if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(str(value)):
        raise ValueError(f"headers: no header can be {name!r}: {value!r}")
    if name.lower() in _FRAMING:
        raise ValueError(f"headers: {name} is written by the server; Fault.cut() and Fault.drop() break what it says")
    return name, str(value)
