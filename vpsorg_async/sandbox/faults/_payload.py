"""What faults make of an exchange short of its way back: what is asked, and what the answer says. No I/O, no clock."""

from __future__ import annotations

import random
import zlib

from typing import TYPE_CHECKING, Any

import attrs

from starlette.responses import Response

from .._api.endpoints import Answer, link_to
from . import _kinds
from ._injector import concerns


if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._api.endpoints import Asked
    from ._fault import Fault


MEGABYTE = 2**20

_PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head><title>We will be right back</title></head>
<body><h1>We will be right back</h1><p>The service is being maintained.</p></body>
</html>
"""


def stand_in(faults: Sequence[Fault]) -> Answer | None:
    """Return what is answered where *faults* keep the request from the API, with status 0 for nothing; else `None`."""
    for fault in faults:
        match fault.what:
            case _kinds.Drop(after_commit=False):
                return Answer(0)
            case _kinds.Status(code):
                return Answer(code)
    return None


def asked_under(asked: Asked, faults: Sequence[Fault]) -> Asked:
    """Return *asked* of the account as *faults* show it, with where a command is to end."""
    stale = [(fault, fault.what.seconds) for fault in faults if isinstance(fault.what, _kinds.Stale)]
    ends_in = next((fault.what.status for fault in faults if isinstance(fault.what, _kinds.EndIn)), None)
    if not stale:
        return attrs.evolve(asked, ends_in=ends_in)

    def moment(server_id: int) -> float:
        return asked.now - next((age for fault, age in reversed(stale) if concerns(fault, server_id)), 0.0)

    # A snapshot, in which nothing changes any more: what is left of the time are figures that move with it.
    named = asked.account.id_of(asked.server_id)
    then = asked.now if named is None else moment(named)
    return attrs.evolve(asked, account=asked.account.as_of(moment), now=then)


def answer_under(answer: Answer, faults: Sequence[Fault], asked: Asked, seed: str) -> Answer:
    """Return *answer* with what its JSON says changed by *faults*; what is up to chance, by *seed*."""
    body = answer.body
    if answer.status == 200 and isinstance(body, dict):  # noqa: PLR2004
        for fault in faults:
            body = _changed(body, fault, asked, seed)
    return attrs.evolve(answer, body=body)


def response_under(response: Response, faults: Sequence[Fault]) -> Response:
    """Return *response* with its body replaced by *faults*."""
    for fault in faults:
        match fault.what:
            case _kinds.Status(code, content, headers):
                response = _replaced(response, code, content, dict(headers))
            case _kinds.Html():
                code = 200 if response.status_code in _kinds.BODILESS else response.status_code
                response = _replaced(response, code, _PAGE, {"Content-Type": "text/html; charset=utf-8"})
            case _kinds.Bomb(megabytes):
                code = 200 if response.status_code in _kinds.BODILESS else response.status_code
                content = packed(bytes(response.body), megabytes)
                response = _replaced(response, code, content, {"Content-Encoding": "gzip"})
    return response


def packed(content: bytes, megabytes: int) -> bytes:
    """Return *content* and so many megabytes of spaces, which are nothing to JSON, as gzip."""
    squeezed = zlib.compressobj(level=1, wbits=31)
    pieces = [squeezed.compress(content), *(squeezed.compress(b" " * MEGABYTE) for _ in range(megabytes))]
    return b"".join([*pieces, squeezed.flush()])


def _changed(body: dict[str, Any], fault: Fault, asked: Asked, seed: str) -> dict[str, Any]:
    listing = "results" in body
    match fault.what:
        case _kinds.AsStatus(text) if listing:
            items = [item | {"status": text} if concerns(fault, _key(item)) else item for item in body["results"]]
            return body | {"results": items}
        case _kinds.AsStatus(text):
            return body | {"status": text}
        case _kinds.Omit(count):
            known = [_key(item) for item in body["results"] if concerns(fault, _key(item))]
            gone = set(random.Random(seed).sample(known, min(count, len(known))))  # noqa: S311 -- no secret
            return body | {"results": [item for item in body["results"] if _key(item) not in gone]}
        case _kinds.Loop() if body.get("next") is None:
            return body | {"next": link_to(asked, 1)}
    return body


def _key(item: dict[str, Any]) -> int | str:
    key: int | str = item["id"] if "id" in item else item["uuid"]
    return key


def _replaced(response: Response, code: int, content: bytes, headers: dict[str, str]) -> Response:
    replaced = {name.lower() for name in headers}
    kept = {
        name: value
        for name, value in response.headers.items()
        if name not in replaced and name not in ("content-length", "content-encoding")
    }
    if code in _kinds.BODILESS:
        kept.pop("content-type", None)
        return Response(status_code=code, headers=kept | headers)
    return Response(content, code, kept | headers)
