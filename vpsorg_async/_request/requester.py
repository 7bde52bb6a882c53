"""Sends a call through `httpx.AsyncClient`, and gives what its response decodes to."""

from __future__ import annotations

import functools

from typing import TYPE_CHECKING, Generic, TypeVar

import attrs
import httpx

from .._errors import NotFoundError
from . import codec
from .attempt import read
from .call import EXTENSION, RETRY_SAFETY_BY_METHOD, Call, CallOptions, CallState, RetrySafety
from .pauses import read_date
from .round_trip import Received


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .._lifetime import Lifetime

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


class Requester:
    """Sends calls on one `httpx.AsyncClient`."""

    def __init__(self, http: httpx.AsyncClient, lifetime: Lifetime) -> None:
        self.http = http
        self._lifetime = lifetime
        # What reads responses is made with the client: it loads a library.
        codec.converter()
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
        request = self._request(call, state)
        if self.http.is_closed:
            # httpx would refuse it in its own words.
            self._lifetime.check()
        response = await self.http.send(request)
        _answered(response, state)
        return Decoded(state.value, read_date(response.headers.get("Date")))

    async def request(
        self, method: str, path: str, *, json: object, params: Mapping[str, str] | None, options: CallOptions
    ) -> httpx.Response:
        """Return the response to a request that the SDK does not model, if it is a 2xx; see `Client.request`."""
        method = method.upper()
        call: Call[object] = Call(
            method=method,
            path=path.partition("?")[0],
            retry_safety=RETRY_SAFETY_BY_METHOD.get(method, RetrySafety.NEVER),
            repeat_refused_with=NotFoundError if method == "DELETE" else None,
        )
        state = CallState(call, options)
        content = None if json is None else codec.dumps(json)
        try:
            # httpx would put what is given in place of the path's own query.
            query = (*httpx.URL(path).params.multi_items(), *httpx.QueryParams(params).multi_items())
            request = self.http.build_request(
                method, path, params=query if params else None, content=content, extensions={EXTENSION: state}
            )
        except httpx.InvalidURL as error:
            raise ValueError(f"path={path!r} cannot be part of a URL: {error}") from None
        if self.http.is_closed:
            self._lifetime.check()
        response = await self.http.send(request)
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


def _answered(response: httpx.Response, state: CallState) -> None:
    """Note that the response has reached the caller: nothing is in doubt any more; raise the error that it is."""
    if not state.attempts:
        # Something in the place of httpx's `send` has responded, and the transport was not asked.
        read(Received(response, response.content), state, None)
    if state.error is not None:
        raise state.error
    state.sent = state.lost = False


def no_content(response: httpx.Response) -> httpx.Response:
    """Return *response*, the refusal of a repeated DELETE, as the 204 that the first one would have had."""
    made = httpx.Response(_NO_CONTENT, headers=response.headers, request=response.request)
    made.elapsed = response.elapsed
    return made


@functools.lru_cache(maxsize=1024)
def _url(text: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    # Reading one takes a tenth of a call, and waits ask for the same again and again.
    return httpx.URL(text, params=query) if query else httpx.URL(text)
