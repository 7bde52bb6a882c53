"""The ASGI app: routes, tokens, and the one function that every exchange passes."""

from __future__ import annotations

import json

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from .._state.backend import Backend, Call
from .._state.catalogue import moment
from .._state.refusals import Refused, detail, not_found
from .._ui.routes import looking_routes
from ..faults._injector import Target
from ..faults._payload import answer_under, asked_under, response_under, stand_in
from ..faults._transmission import deliver
from .dialect import HEADERS
from .endpoints import ENDPOINTS, Answer, Asked, Endpoint
from .validation import parse


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from .._state.account import Account
    from ..faults import Fault


BASE_PATH = "/api/v1"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def make_app(backend: Backend) -> ASGIApp:
    """Return the app that answers for *backend*."""
    routes = [Route(BASE_PATH + path, _Path(backend, methods)) for path, methods in ENDPOINTS.items()]
    anything = Route("/{path:path}", _Path(backend, None))
    return Router([*routes, *looking_routes(backend), anything], redirect_slashes=False)


class _Path:
    """A path and what answers each method; an ASGI app, so that Starlette lets every method through."""

    def __init__(self, backend: Backend, methods: Mapping[str, Endpoint] | None) -> None:
        self._backend = backend
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            # Half a request is none: nothing is done, and nobody waits for an answer.
            return
        response, faults = exchange(self._backend, self._methods, request, body)
        await deliver(response, faults, self._backend.clock, request, send)


def exchange(
    backend: Backend, methods: Mapping[str, Endpoint] | None, request: Request, body: bytes
) -> tuple[Response, tuple[Fault, ...]]:
    """Answer one request. Every exchange passes here, with all its effects at once.

    Returns the answer, and the faults by which it still has to be delivered.
    """
    with backend.lock:
        now = backend.clock.now()
        faults = backend.faults.strike(
            Target(request.method, _path_of(request), request.path_params.get("server_id", ""))
        )
        answer = _answer(backend, methods, request, body, now, faults=faults)
        backend.save()
        response = response_under(_respond(answer, now, request_id=f"sandbox-{len(backend.calls) + 1:06d}"), faults)
        call = _recorded(request, body, response.status_code, now)
        backend.calls.append(call)
        backend.faults.record(faults, call)
        return response, faults


def _answer(
    backend: Backend,
    methods: Mapping[str, Endpoint] | None,
    request: Request,
    body: bytes,
    now: float,
    *,
    faults: Sequence[Fault],
) -> Answer:
    if (instead := stand_in(faults)) is not None:
        return instead
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
            headers={name: value for name, value in request.headers.items() if name in HEADERS},
        )
        if not faults:
            return methods[request.method](asked)
        asked = asked_under(asked, faults)
        seed = f"{backend.seed}/answer/{len(backend.calls)}"
        return answer_under(methods[request.method](asked), faults, asked, seed)
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


def _recorded(request: Request, body: bytes, status: int, now: float) -> Call:
    return Call(
        method=request.method,
        path=_path_of(request),
        query=dict(request.query_params),
        json=_read_or_none(body),
        status=status,
        at=now,
    )


def _path_of(request: Request) -> str:
    return request.url.path.removeprefix(BASE_PATH)


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
