"""Route, authenticate and answer every HTTP request of the API as an ASGI app."""

from __future__ import annotations

import json

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import attrs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from ... import _http as httpx
from .._state.calls import Call
from .._state.catalogue import utc_time
from .._state.refusals import Refused, detail, not_found
from ..faults._injector import Target
from ..faults._payload import account_seen, body_under, response_under, status_after, status_instead
from ..faults._transmission import send_response
from .dialect import HEADERS
from .endpoints import ENDPOINTS, Endpoint, link_to
from .messages import ApiRequest, ApiResponse
from .validation import parse


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .._state.backend import Access, Backend
    from ..faults import Fault
    from .latency import Latency


BASE_PATH = "/api/v1"
_SECRET_HEADERS = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OK = 200


def make_app(backend: Backend, latency: Latency, more_routes: Iterable[BaseRoute] = ()) -> ASGIApp:
    """Return the app for *backend*; *more_routes* are the routes outside the API, which have no latency."""
    routes = [Route(BASE_PATH + path, _Path(backend, methods, latency)) for path, methods in ENDPOINTS.items()]
    fallback = Route("/{path:path}", _Path(backend, None, latency))
    return Router([*routes, *more_routes, fallback], redirect_slashes=False)


class _Path:
    """The endpoints of one path; an ASGI app, so that Starlette passes every method to it."""

    def __init__(self, backend: Backend, methods: Mapping[str, Endpoint] | None, latency: Latency) -> None:
        self._backend = backend
        self._methods = methods
        self._latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            # An incomplete request has no effect, and no client waits for a response.
            return
        half = self._latency.draw() / 2
        if half:
            await self._backend.clock.sleep(half)
        response, faults = respond(self._backend, self._methods, request, body)
        await send_response(response, faults, self._backend.clock, request, send, after=half)


def respond(
    backend: Backend, methods: Mapping[str, Endpoint] | None, request: Request, body: bytes
) -> tuple[Response, tuple[Fault, ...]]:
    """Execute one request of the API with all its effects.

    Every request passes here. There is no await, so that no cancel can split its effects. Returns the response, and the
    faults with which it must be sent.
    """
    with backend.lock:
        now = backend.clock.now()
        target = Target(request.method, _path_of(request), request.path_params.get("server_id", ""))
        faults = backend.faults.select(target)
        answer = _execute_or_refuse(backend, methods, request, body, now, faults=faults)
        backend.save()
        request_id = f"sandbox-{len(backend.calls) + 1:06d}"
        response = response_under(faults, _http_response(answer, now, request_id))
        call = _record_of(request, body, response.status_code, now)
        backend.calls.append(call)
        backend.faults.record(faults, call)
        return response, faults


def _execute_or_refuse(
    backend: Backend,
    methods: Mapping[str, Endpoint] | None,
    request: Request,
    body: bytes,
    now: float,
    *,
    faults: Sequence[Fault],
) -> ApiResponse:
    if (status := status_instead(faults)) is not None:
        return ApiResponse(status)
    try:
        if methods is None:
            raise _no_endpoint(request.url.path)
        access = _authenticate(backend, request)
        endpoint = _endpoint(methods, request.method)
        asked = _api_request(request, body, access, now, faults)
        seed = f"{backend.seed}/answer/{len(backend.calls)}"
        return _content_under(faults, endpoint(asked), asked, seed)
    except Refused as refused:
        return ApiResponse(refused.status, refused.body, refused.headers)


def _no_endpoint(path: str) -> Refused:
    """Return the 404 for a path that no endpoint has."""
    if path.startswith(f"{BASE_PATH}/"):
        return not_found()
    return not_found(f"Not found. Every path of the API begins with {BASE_PATH}: is it missing from the base URL?")


def _endpoint(methods: Mapping[str, Endpoint], method: str) -> Endpoint:
    if method not in methods:
        raise detail(405, f'Method "{method}" not allowed.', {"Allow": ", ".join(methods)})
    return methods[method]


def _api_request(request: Request, body: bytes, access: Access, now: float, faults: Sequence[Fault]) -> ApiRequest:
    server_id = request.path_params.get("server_id", "")
    seen, then = account_seen(faults, access.account, server_id, now)
    return ApiRequest(
        access=access,
        account=seen,
        now=then,
        url=str(request.url.replace(query="")),
        query=dict(request.query_params),
        server_id=server_id,
        plan_id=request.path_params.get("plan_id", ""),
        body=body,
        headers={name: value for name, value in request.headers.items() if name in HEADERS},
        ends_in=status_after(faults),
    )


def _content_under(faults: Sequence[Fault], response: ApiResponse, asked: ApiRequest, seed: str) -> ApiResponse:
    if not faults or response.status != _OK or not isinstance(response.body, dict):
        return response
    body = body_under(faults, response.body, first_page=link_to(asked, 1), seed=seed)
    return attrs.evolve(response, body=body)


def _authenticate(backend: Backend, request: Request) -> Access:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise detail(401, "Authentication credentials were not provided.", {"WWW-Authenticate": "Bearer"})
    access = backend.access(token)
    if access is None:
        raise detail(401, "Invalid token.", {"WWW-Authenticate": "Bearer"})
    if access.read_only and request.method not in _READ_METHODS:
        raise detail(403, "You do not have permission to perform this action.")
    return access


def _record_of(request: Request, body: bytes, status: int, now: float) -> Call:
    return Call(
        method=request.method,
        path=_path_of(request),
        query=dict(request.query_params),
        json=_parsed_or_none(body),
        headers=httpx.Headers([header for header in request.headers.raw if header[0] not in _SECRET_HEADERS]),
        status=status,
        at=now,
    )


def _path_of(request: Request) -> str:
    return request.url.path.removeprefix(BASE_PATH)


def _parsed_or_none(body: bytes) -> Any:
    try:
        return parse(body) if body else None
    except Refused:
        return None


def _http_response(response: ApiResponse, now: float, request_id: str) -> Response:
    headers = {"Date": format_datetime(utc_time(now), usegmt=True), "X-Request-ID": request_id, **response.headers}
    if response.body is None:
        return Response(status_code=response.status, headers=headers)
    # ASCII only: an error may quote a lone surrogate of the request, which has no other encoding.
    content = json.dumps(response.body, separators=(",", ":")).encode()
    return Response(content, response.status, headers, media_type="application/json")
