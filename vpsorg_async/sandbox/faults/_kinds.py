"""Define the kinds of fault, each a frozen record of its arguments."""

from __future__ import annotations

import json
import re

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import attrs

from .._state.account import STATUSES
from ._validators import instance_of, number, whole_number


BODILESS = (204, 304)
"""Statuses whose responses have no body (RFC 9110, section 6.4.1)."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, section 5.6.2)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FRAMING = ("connection", "content-length", "transfer-encoding")


def _documented_status(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{attribute.name} must be a str, not {value!r}")
    if value not in STATUSES:
        raise ValueError(f"{attribute.name}={value!r} must be one of {', '.join(STATUSES)}")


@attrs.frozen
class Status:
    """Respond with a status, *content* and *headers* instead of executing the request."""

    code: int = attrs.field(validator=whole_number(200, 599))
    content: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, code: int, body: Any, headers: Mapping[str, str | int] | None) -> Status:
        """Return a record whose *body* is validated and encoded, and whose *headers* are validated."""
        bare = cls(code)
        if code in BODILESS:
            if body is not None:
                raise ValueError(f"body: a response with status {code} has no body")
            return attrs.evolve(bare, headers=_headers(headers))
        content, media_type = _content(code, body)
        given = _headers(headers)
        if not any(name.lower() == "content-type" for name, _ in given):
            given = (("Content-Type", media_type), *given)
        return cls(code, content, given)


@attrs.frozen
class Drop:
    """Close the connection without a response, before or after the request is executed."""

    after_commit: bool = attrs.field(validator=instance_of(bool, "True or False"))


@attrs.frozen
class Cut:
    """Close the connection after *at* bytes of the response."""

    at: int = attrs.field(validator=whole_number(0))


@attrs.frozen
class Delay:
    """Send the response *seconds* later."""

    seconds: float = attrs.field(validator=number())


@attrs.frozen
class Drip:
    """Send the response slowly."""

    bytes_per_second: float = attrs.field(validator=number(above=0))


@attrs.frozen
class Hang:
    """Never send the response."""


@attrs.frozen
class Stale:
    """Show the state of *seconds* ago."""

    seconds: float = attrs.field(validator=number())


@attrs.frozen
class Omit:
    """Leave *count* items out of a page."""

    count: int = attrs.field(validator=whole_number(1))


@attrs.frozen
class Loop:
    """Let `next` of the last page point to the first page."""


@attrs.frozen
class AsStatus:
    """Show servers with the status *text*."""

    text: str = attrs.field(validator=instance_of(str, "a str"))


@attrs.frozen
class Html:
    """Send an HTML page."""


@attrs.frozen
class Bomb:
    """Send a body that decompresses to *megabytes*."""

    # 1,000 megabytes take 1 s and 1,000 kilobytes to compress; the sandbox does nothing else meanwhile.
    megabytes: int = attrs.field(validator=whole_number(1, 10_000))


@attrs.frozen
class EndIn:
    """Let a command end in *status*."""

    status: str = attrs.field(validator=_documented_status)


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
"""The kinds by the name of the class method of `Fault`."""


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
        raise TypeError(f"body must be a str, bytes or a JSON value, not {repr(body)[:60]}") from None


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def _headers(headers: Mapping[str, str | int] | None) -> tuple[tuple[str, str], ...]:
    if headers is None:
        return ()
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping of names to values, not {headers!r}")
    return tuple(_header(name, value) for name, value in headers.items())


def _header(name: object, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"headers: a name must be a str and a value a str or int, not {name!r}: {value!r}")
    if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(str(value)):
        raise ValueError(f"headers: {name!r}: {value!r} is not a valid header")
    if name.lower() in _FRAMING:
        raise ValueError(
            f"headers: {name} is set by the server and cannot be replaced; "
            "use Fault.cut() or Fault.drop() for a broken response"
        )
    return name, str(value)
