"""A call sent: from `Call` through `httpx.AsyncClient` to what its answer decodes to, or an error of ours."""

from __future__ import annotations

import functools

from typing import TYPE_CHECKING, Generic, TypeVar

import attrs
import httpx

from .._errors import APIStatusError, ResponseError, VPSError
from .._request import codec
from .call import EXTENSION, RETRY_SAFETY_BY_METHOD, Call, CallOptions, CallState, ResponseLostError, RetrySafety
from .retry import Kind, kind_of_answer, read_date
from .retry_transport import retry_after_of


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .._lifetime import Lifetime

T = TypeVar("T")

_REDIRECTION, _CLIENT_ERROR = 300, 400
# httpx has its own by call, and hands it to transports.
_NO_TIMEOUT = httpx.Timeout(None).as_dict()
_NOTHING = httpx.ByteStream(b"")


class RedirectedError(ResponseError):
    """The answer sends the call elsewhere: it was not carried out here."""


@attrs.define(eq=False, repr=False)
class Answer(Generic[T]):
    """What a call's answer decodes to, and the facts of how it came."""

    value: T
    # The answer's `Date`: the API's own clock.
    date: datetime | None
    # Whether a try before the answered one may have been carried out.
    lost: bool


class Requester:
    """Sends calls on one `httpx.AsyncClient` with one set of options."""

    def __init__(self, http: httpx.AsyncClient, lifetime: Lifetime) -> None:
        self.http = http
        self._lifetime = lifetime
        # What reads answers is made with the client: it loads a library.
        codec.converter()
        # Those of the last request without a body, and what they were made of.
        self._headers = httpx.Headers()
        self._headers_of: tuple[list[tuple[bytes, bytes]], bytes] = [], b""

    async def send(self, call: Call[T], options: CallOptions, state: CallState | None = None) -> Answer[T]:
        """Return the decoded answer.

        Raises:
            APIStatusError: the answer is an error, as the subclass of its status.
            ResponseError: the answer is not what the API documents.
            APIConnectionError: no answer came.
            ResponseLostError: a create or reboot may have been carried out.
        """
        state = state or CallState(retry_safety=call.retry_safety, options=options, summary=call.summary)
        try:
            response = await self._send(self._request(call, state), state)
            value = _decoded(call, response)
        except (ResponseError, APIStatusError) as error:
            if not _leaves_doubt(error, state):
                raise
            lost = ResponseLostError(began=state.began, cause=error)
        else:
            answer = Answer(value, read_date(response.headers.get("Date")), state.lost)
            # Nothing is in doubt any more.
            state.sent = state.lost = False
            return answer
        raise lost

    def _request(self, call: Call[T], state: CallState) -> httpx.Request:
        url = _url(f"{str(self.http.base_url).rstrip('/')}{call.path}", tuple(call.query.items()) if call.query else ())
        extensions = {EXTENSION: state, "timeout": _NO_TIMEOUT}
        if call.method != "GET":
            content = None if call.json is None else codec.dumps(call.json)
            return httpx.Request(call.method, url, headers=self.http.headers, content=content, extensions=extensions)
        # httpx adds nothing to what has a stream, for which it looks at each header several times.
        request = httpx.Request("GET", url, headers=self._headers_for(url), stream=_NOTHING, extensions=extensions)
        request.read()
        return request

    def _headers_for(self, url: httpx.URL) -> httpx.Headers:
        """Return the headers of a request without a body."""
        given, host = self.http.headers.raw, url.netloc
        if (given, host) != self._headers_of:
            named = any(name.lower() == b"host" for name, _ in given)
            self._headers = httpx.Headers(given if named else [(b"Host", host), *given])
            self._headers_of = given, host
        return self._headers

    async def request(
        self, method: str, path: str, *, json: object, params: Mapping[str, str] | None, options: CallOptions
    ) -> httpx.Response:
        """Return the answer to a request that the SDK does not model, if it is a 2xx; see `Client.request`."""
        method = method.upper()
        repeat = RETRY_SAFETY_BY_METHOD.get(method, RetrySafety.NEVER)
        state = CallState(
            retry_safety=repeat, options=options, summary=f"{method} {path.partition('?')[0]}", modelled=False
        )
        content = None if json is None else codec.dumps(json)
        try:
            # httpx would put what is given in place of the path's own query.
            query = (*httpx.URL(path).params.multi_items(), *httpx.QueryParams(params).multi_items())
            request = self.http.build_request(
                method, path, params=query if params else None, content=content, extensions={EXTENSION: state}
            )
        except httpx.InvalidURL as error:
            raise ValueError(f"path={path!r} cannot be part of a URL: {error}") from None
        response = await self._send(request, state)
        state.sent = state.lost = False
        return response

    async def _send(self, request: httpx.Request, state: CallState) -> httpx.Response:
        self._lifetime.check()
        response = await self.http.send(request)
        if response.status_code >= _CLIENT_ERROR:
            raise error_of(response, state)
        if response.status_code >= _REDIRECTION:
            target = response.headers.get("Location", "")
            raise RedirectedError(
                f"{state.summary} was answered {response.status_code}, a redirect to {_shown(target)}: not followed",
                request_summary=state.summary,
            )
        return response


def was_accepted(error: BaseException) -> bool:
    """Return whether *error* is a success that could not be read: what was asked may have been carried out."""
    return isinstance(error, ResponseError) and not isinstance(error, RedirectedError)


def error_of(response: httpx.Response, state: CallState) -> APIStatusError:
    """Return the error that an answer of 400 or more is."""
    return codec.error_from(
        response.status_code,
        response.headers,
        response.content,
        summary=state.summary,
        attempts=state.attempts,
        retry_after=retry_after_of(response),
        action=state.summary.endswith(("/start/", "/stop/", "/reboot/")),
    )


def _decoded(call: Call[T], response: httpx.Response) -> T:
    try:
        return call.decode(response.content)
    except ResponseError as error:
        failure = ResponseError(f"{call.summary}: {error}", request_summary=call.summary)
        failure.__cause__ = error.__cause__
    raise failure


def _leaves_doubt(error: VPSError, state: CallState) -> bool:
    """Whether a create or reboot may have been carried out although this is its answer.

    A redirect and a 4xx say that it was not; an answer that cannot be read, or a 5xx, does not.
    """
    if state.retry_safety is not RetrySafety.RECONCILE:
        return False
    if isinstance(error, APIStatusError):
        return kind_of_answer(state.retry_safety, error.status_code, retry_after=error.retry_after) is Kind.BROKEN
    return not isinstance(error, RedirectedError)


@functools.lru_cache(maxsize=1024)
def _url(text: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    # Observation one takes a tenth of a call, and waits ask for the same again and again.
    return httpx.URL(text, params=query) if query else httpx.URL(text)


def _shown(target: str) -> str:
    """Return a redirect's target without user, query and fragment, which may hold secrets."""
    try:
        url = httpx.URL(target)
        return str(url.copy_with(userinfo=b"", query=None, fragment=None)) or "nowhere"
    except (httpx.InvalidURL, ValueError):
        return "an unreadable place"
