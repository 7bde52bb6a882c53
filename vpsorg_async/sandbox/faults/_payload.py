"""Apply faults to the state that a request sees and to the content of its response."""

from __future__ import annotations

import random
import zlib

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from . import _kinds
from ._injector import concerns


if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._state.account import Account
    from ._fault import Fault


MEGABYTE = 2**20

_PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head><title>We will be right back</title></head>
<body><h1>We will be right back</h1><p>The service is being maintained.</p></body>
</html>
"""


def status_instead(faults: Sequence[Fault]) -> int | None:
    """Return the status sent instead of executing the request: 0 for no response, or `None`."""
    for fault in faults:
        match fault.what:
            case _kinds.Drop(after_commit=False):
                return 0
            case _kinds.Status(code):
                return code
    return None


def status_after(faults: Sequence[Fault]) -> str | None:
    """Return the status in which *faults* let a command end; `None` means the documented one."""
    return next((fault.what.status for fault in faults if isinstance(fault.what, _kinds.EndIn)), None)


def account_seen(faults: Sequence[Fault], account: Account, key: str, now: float) -> tuple[Account, float]:
    """Return *account* as *faults* show it, and the time at which they show the server *key*."""
    stale = [(fault, fault.what.seconds) for fault in faults if isinstance(fault.what, _kinds.Stale)]
    if not stale:
        return account, now

    def moment(server_id: int) -> float:
        return now - next((age for fault, age in reversed(stale) if concerns(fault, server_id)), 0.0)

    # In this copy nothing changes any more. The time is still needed for the figures that change with it.
    server_id = account.id_of(key)
    return account.as_of(moment), now if server_id is None else moment(server_id)


def body_under(faults: Sequence[Fault], body: dict[str, Any], *, first_page: str, seed: str) -> dict[str, Any]:
    """Return the JSON *body* of a response with status 200 as *faults* change it.

    Args:
        faults: the faults of this request.
        body: the body without faults.
        first_page: the URL of the first page of the list that was requested.
        seed: decides which items are left out.
    """
    for fault in faults:
        body = _changed(fault, body, first_page, seed)
    return body


def response_under(faults: Sequence[Fault], response: Response) -> Response:
    """Return *response* with the body that *faults* put in its place."""
    for fault in faults:
        match fault.what:
            case _kinds.Status(code, content, headers):
                response = _replaced(response, code, content, dict(headers))
            case _kinds.Html():
                code = 200 if response.status_code in _kinds.BODILESS else response.status_code
                response = _replaced(response, code, _PAGE, {"Content-Type": "text/html; charset=utf-8"})
            case _kinds.Bomb(megabytes):
                code = 200 if response.status_code in _kinds.BODILESS else response.status_code
                content = compressed(bytes(response.body), megabytes)
                response = _replaced(response, code, content, {"Content-Encoding": "gzip"})
    return response


def compressed(content: bytes, megabytes: int) -> bytes:
    """Return *content* and *megabytes* of spaces, which JSON ignores, as gzip."""
    compressor = zlib.compressobj(level=1, wbits=31)
    pieces = [compressor.compress(content), *(compressor.compress(b" " * MEGABYTE) for _ in range(megabytes))]
    return b"".join([*pieces, compressor.flush()])


def _changed(fault: Fault, body: dict[str, Any], first_page: str, seed: str) -> dict[str, Any]:
    listing = "results" in body
    match fault.what:
        case _kinds.AsStatus(text) if listing:
            items = [item | {"status": text} if concerns(fault, _key(item)) else item for item in body["results"]]
            return body | {"results": items}
        case _kinds.AsStatus(text):
            return body | {"status": text}
        case _kinds.Omit(count):
            known = [_key(item) for item in body["results"] if concerns(fault, _key(item))]
            omitted = set(random.Random(seed).sample(known, min(count, len(known))))  # noqa: S311 -- no secret
            return body | {"results": [item for item in body["results"] if _key(item) not in omitted]}
        case _kinds.Loop() if body.get("next") is None:
            return body | {"next": first_page}
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
