"""Sends a call through `httpx.AsyncClient`, and gives what its response decodes to."""

from __future__ import annotations

import functools

from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from .. import _http as httpx
from .._api_clock import APIClock
from .._error_base import InvalidArgumentError, VPSError
from . import codec
from .attempt import read
from .call import EXTENSION, GONE, RETRY_SAFETY_BY_METHOD, Call, CallOptions, CallState, RetrySafety, UnsettledError
from .pauses import read_date
from .round_trip import Received


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .._clock import Clock
    from .._lifetime import Lifetime
    from .call_events import Calls

T = TypeVar("T")

# httpx has its own by call, and hands it to transports.
_NO_TIMEOUT = httpx.Timeout(None).as_dict()
_NOTHING = httpx.ByteStream(b"")
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
_NO_CONTENT = 204


@attrs.frozen(eq=False, repr=False)
class Decoded(Generic[T]):
    """The decoded value of a response, and the API's time when it was made."""

    value: T
    # The response's `Date`: the API's own clock.
    date: datetime | None
    # When the attempt began that brought it, in seconds on the client's clock: it had its turn by then.
    began: float
    # Whether a cache has answered, whose `Date` may be older than the response.
    cached: bool = False


class Requester:
    """Sends calls on one `httpx.AsyncClient`."""

    def __init__(self, http: httpx.AsyncClient, lifetime: Lifetime, clock: Clock, calls: Calls) -> None:
        self.http = http
        self.calls = calls
        self.api_clock: APIClock = APIClock()
        self._lifetime = lifetime
        self._clock = clock
        # The headers of requests without a body, by method, and what they were made of.
        self._headers: dict[str, httpx.Headers] = {}
        self._headers_of: tuple[list[tuple[bytes, bytes]], bytes] = [], b""

    async def send(self, call: Call[T], options: CallOptions, state: CallState | None = None) -> Decoded[T]:
        """Return the decoded response; *state* is the state of this call, for callers that read it afterwards.

        Raises:
            APIStatusError: the response is an error, as the subclass of its status.
            ResponseError: the response is not what the API documents.
            APIConnectionError: no response came.
            UnsettledError: the API may have executed the call, which has to be settled.

        Cancellation: ends at once; the API may have executed the call, as `state.maybe_done` says.
        """
        state = state or CallState(call, options)
        state.began = self._clock.now()
        with self.calls.of(state):
            request = self._request(call, state)
            if options.headers is not None:
                request.headers.update(options.headers)
            response = await self._response_to(request, state)
        date = read_date(response.headers.get("Date"))
        cached = "Age" in response.headers
        if date is not None and not cached:
            self.api_clock.heard(date, self._clock.now())
        return Decoded(state.value, date, state.began, cached)

    async def request(
        self, state: CallState, path: str, *, json: object, params: Mapping[str, str] | None
    ) -> httpx.Response:
        """Return the response to a request that the SDK does not model, if it is a 2xx; see `Client.request`."""
        content, more = _content_of(json), _query_of(params)
        try:
            # httpx would put what is given in place of the path's own query.
            query = (*httpx.URL(path).params.multi_items(), *more)
            request = self.http.build_request(
                state.call.method,
                path,
                params=query if params else None,
                headers=state.options.headers,
                content=content,
                extensions={EXTENSION: state},
            )
        except httpx.InvalidURL as error:
            raise InvalidArgumentError(f"path={path!r} cannot be part of a URL: {error}") from None
        return await self._response_to(request, state)

    def check(self) -> None:
        """Return if calls can be made here and now.

        Raises:
            ClientClosedError: the client is closed.
            ConfigurationError: it belongs to another event loop, or to the process that this one was forked from.
        """
        self._lifetime.check()

    async def _response_to(self, request: httpx.Request, state: CallState) -> httpx.Response:
        if self.http.is_closed:
            # httpx would refuse it in its own words.
            self._lifetime.check()
        # A user may have switched httpx's own redirects on, which would lead a create elsewhere.
        try:
            response = await self.http.send(request, follow_redirects=False)
        except Exception as error:
            if error is not state.error:
                _settle_first(error, state)
            raise
        _answered(response, state)
        return response

    def _request(self, call: Call[T], state: CallState) -> httpx.Request:
        url = _url(f"{str(self.http.base_url).rstrip('/')}{call.path}", tuple(call.query.items()) if call.query else ())
        extensions = {EXTENSION: state, "timeout": _NO_TIMEOUT}
        if call.json is not None:
            content = codec.dumps(call.json)
            return httpx.Request(call.method, url, headers=self.http.headers, content=content, extensions=extensions)
        # httpx adds nothing to what has a stream; for the rest it looks at each header several times.
        headers = self._headers_for(call.method, url)
        request = httpx.Request(call.method, url, headers=headers, stream=_NOTHING, extensions=extensions)
        request.read()
        return request

    def _headers_for(self, method: str, url: httpx.URL) -> httpx.Headers:
        """Return the headers of a request without a body: those which httpx would add come first."""
        given, host = self.http.headers.raw, url.netloc
        if (given, host) != self._headers_of:
            self._headers, self._headers_of = {}, (given, host)
        headers = self._headers.get(method)
        if headers is None:
            named = any(name.lower() == b"host" for name, _ in given)
            added = [] if named else [(b"Host", host)]
            if method in _WITH_LENGTH:
                added.append((b"Content-Length", b"0"))
            headers = self._headers[method] = httpx.Headers([*added, *given])
        return headers


def _settle_first(error: Exception, state: CallState) -> None:
    """Raise an `UnsettledError` if *error* ends a create or reboot that is in doubt.

    A hook of `client.http` raised it, or the token's callable before another attempt. It may be an error of this
    library, of another call, and must not say of this one that nothing was sent.
    """
    if not state.maybe_done or state.call.retry_safety is RetrySafety.SAFE:
        return
    if isinstance(error, VPSError):
        error.sent = True  # type: ignore[attr-defined]
    if state.call.retry_safety is RetrySafety.RECONCILE:
        response = getattr(state.error, "response", None)
        raise UnsettledError(began=state.began, cause=error, response=response, foreign=True) from error


def _answered(response: httpx.Response, state: CallState) -> None:
    """Note that the response has reached the caller: nothing is in doubt any more; raise the error that it is."""
    if not state.attempts:
        # Something in the place of httpx's `send` has responded, and the transport was not asked.
        read(Received(response, response.content), state, None)
    if state.error is not None:
        raise state.error
    state.sent = state.lost = False
    state.done = True


def call_of(method: str, path: str) -> Call[object]:
    """Return the call of a request that the SDK does not model."""
    method = method.upper()
    return Call(
        method=method,
        path=path.partition("?")[0],
        retry_safety=RETRY_SAFETY_BY_METHOD.get(method, RetrySafety.NEVER),
        repeat_refusals=GONE if method == "DELETE" else frozenset(),
    )


def _content_of(json: object) -> bytes | None:
    try:
        return None if json is None else codec.dumps(json)
    except TypeError as error:
        trouble = str(error)
    raise TypeError(f"json cannot be sent: {trouble}")


def _query_of(params: Mapping[str, str] | None) -> list[tuple[str, str]]:
    try:
        return httpx.QueryParams(params).multi_items()
    # httpx takes more than a mapping, and fails in several ways at what it does not take.
    except (AttributeError, TypeError, ValueError):
        pass
    raise TypeError(f"params must be a mapping of names to values, not {params!r}")


def no_content(response: httpx.Response) -> httpx.Response:
    """Return *response*, the refusal of a repeated DELETE, as the 204 that the first one would have had."""
    made = httpx.Response(_NO_CONTENT, headers=response.headers, request=response.request)
    made.elapsed = response.elapsed
    return made


@functools.lru_cache(maxsize=1024)
def _url(text: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    # Reading one takes a tenth of a call, and waits ask for the same again and again.
    return httpx.URL(text, params=query) if query else httpx.URL(text)
