"""The ASGI app: routes, tokens, and the one function that every exchange passes."""

from __future__ import annotations

import json

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from ._backend import Backend, Call
from ._bodies import parse
from ._catalogue import moment
from ._endpoints import ENDPOINTS, Answer, Asked, Endpoint
from ._refusals import Refused, detail, not_found


if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from ._account import Account


BASE_PATH = "/api/v1"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def make_app(backend: Backend) -> ASGIApp:
    """Return the app that answers for *backend*."""
    routes = [Route(BASE_PATH + path, _Path(backend, methods)) for path, methods in ENDPOINTS.items()]
    anything = Route("/{path:path}", _Path(backend, None))
    return Router([*routes, anything], redirect_slashes=False)


class _Path:
    """A path and what answers each method; an ASGI app, so that Starlette lets every method through."""

    def __init__(self, backend: Backend, methods: Mapping[str, Endpoint] | None) -> None:
        self._backend = backend
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await exchange(self._backend, self._methods, Request(scope, receive))
        await response(scope, receive, send)


async def exchange(backend: Backend, methods: Mapping[str, Endpoint] | None, request: Request) -> Response:
    """Answer one request. Every exchange passes here, with all its effects between two awaits."""
    body = await request.body()
    with backend.lock:
        now = backend.clock.now()
        answer = _answer(backend, methods, request, body, now)
        backend.save()
        backend.calls.append(_recorded(request, body, answer, now))
        return _respond(answer, now, request_id=f"sandbox-{len(backend.calls):06d}")


def _answer(
    backend: Backend, methods: Mapping[str, Endpoint] | None, request: Request, body: bytes, now: float
) -> Answer:
    try:
        if methods is None:
            raise not_found()
        account = _authenticate(backend, request)
        if request.method not in methods:
            text = f'Method "{request.method}" not allowed.'
            raise detail(405, text, {"Allow": ", ".join(methods)})
        asked = Asked(
            account=account,
            now=now,
            url=str(request.url.replace(query="")),
            query=dict(request.query_params),
            server_id=request.path_params.get("server_id", ""),
            body=body,
        )
        return methods[request.method](asked)
    except Refused as refused:
        return Answer(refused.status, refused.body, refused.headers)


def _authenticate(backend: Backend, request: Request) -> Account:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise detail(401, "Authentication credentials were not provided.", {"WWW-Authenticate": "Bearer"})
    access = backend.access(token)
    if access is None:
        raise detail(401, "Invalid token.", {"WWW-Authenticate": "Bearer"})
    if access.read_only and request.method not in _READING:
        raise detail(403, "You do not have permission to perform this action.")
    return access.account


def _recorded(request: Request, body: bytes, answer: Answer, now: float) -> Call:
    return Call(
        method=request.method,
        path=request.url.path.removeprefix(BASE_PATH),
        query=dict(request.query_params),
        json=_read_or_none(body),
        status=answer.status,
        at=now,
    )


def _read_or_none(body: bytes) -> Any:
    try:
        return parse(body) if body else None
    except Refused:
        return None


def _respond(answer: Answer, now: float, *, request_id: str) -> Response:
    headers = {"Date": format_datetime(moment(now), usegmt=True), "X-Request-ID": request_id, **answer.headers}
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    # ASCII alone: a lone surrogate of the request, quoted in an error, has no other encoding.
    content = json.dumps(answer.body, separators=(",", ":")).encode()
    return Response(content, answer.status, headers, media_type="application/json")
