"""Serve the live page and the OpenAPI document, read-only and without a token."""

from __future__ import annotations

import json

from functools import cache
from importlib.resources import files
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .._openapi.document import document
from .page import Snapshot, page


if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from .._state.backend import Backend


PAGE_PATH = "/__sandbox__/"
DOCUMENT_PATH = "/openapi.json"

MOST_SERVERS = 200
MOST_LINES = 50
"""The highest number of faults, of requests with faults, and of requests on the page."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def ui_routes(backend: Backend) -> list[Route]:
    """Return the routes of the page, its files and the document."""
    app = _ReadOnlyApp(backend)
    return [Route(path, app) for path in (PAGE_PATH.rstrip("/"), PAGE_PATH + "{rest:path}", DOCUMENT_PATH)]


class _Content(NamedTuple):
    body: bytes
    media_type: str


class _ReadOnlyApp:
    """An ASGI app whose requests change nothing, get no faults, and are not recorded as calls."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._contents: dict[str, Callable[[], _Content]] = {
            PAGE_PATH: lambda: _Content(page(snapshot_of(backend)), "text/html; charset=utf-8"),
            DOCUMENT_PATH: _document,
            **{PAGE_PATH + name: lambda name=name: _static(name) for name in _TYPES},  # type: ignore[misc]
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = self._response(Request(scope))
        response.headers.update(HEADERS)
        await response(scope, receive, send)

    def _response(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("This page is read-only: use GET or HEAD.\n", 405, {"Allow": "GET, HEAD"})
        # The document shows nothing of this sandbox.
        if request.url.path != DOCUMENT_PATH and not is_local_host(request.headers.get("host", "")):
            return PlainTextResponse(
                "Open this page by its IP address or as localhost; other host names are refused.\n", 403
            )
        if request.url.path + "/" == PAGE_PATH:
            return Response(status_code=308, headers={"Location": PAGE_PATH})
        if request.url.path not in self._contents:
            return PlainTextResponse("Not found.\n", 404)
        content = self._contents[request.url.path]()
        length = {"Content-Length": str(len(content.body))}
        body = b"" if request.method == "HEAD" else content.body
        return Response(body, headers=length, media_type=content.media_type)


def is_local_host(host: str) -> bool:
    """Return whether the `Host` header *host* is an IP address or localhost.

    The owner of any other name can point it to this sandbox. A page of that owner, open in the same browser, could then
    read the responses (DNS rebinding). An IP address cannot be redirected.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


def snapshot_of(backend: Backend) -> Snapshot:
    """Return the current state of *backend* for the page."""
    with backend.lock:
        now = backend.clock.now()
        servers = [
            (number, server)
            for number, account in enumerate(backend.accounts, start=1)
            for server in account.servers_between(max(0, len(account) - MOST_SERVERS), len(account), now)
        ]
        injection_count, injections = backend.faults.latest(MOST_LINES)
        faults = backend.faults.active()
        return Snapshot(
            now=now,
            speed=backend.clock.speed,
            servers=sorted(servers, key=lambda one: (one[1].created_at, one[1].id), reverse=True)[:MOST_SERVERS],
            server_count=sum(len(account) for account in backend.accounts),
            faults=faults[:MOST_LINES],
            fault_count=len(faults),
            injections=injections,
            injection_count=injection_count,
            calls=backend.calls[: -MOST_LINES - 1 : -1],
            call_count=len(backend.calls),
            is_token=lambda word: backend.access(word) is not None,
        )


@cache
def _static(name: str) -> _Content:
    return _Content(files(__package__ or "").joinpath("static", name).read_bytes(), _TYPES[name])


@cache
def _document() -> _Content:
    return _Content(json.dumps(document(), indent=2).encode(), "application/json")
