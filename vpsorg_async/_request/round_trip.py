"""One exchange: a request authorized and sent, its answer read whole and within limits, or how it failed."""

from __future__ import annotations

import ssl

from typing import TYPE_CHECKING

import attrs
import httpx

from .._errors import portable
from .._transport.httpx_adapter import failures
from .._transport.types import HEADERS_TOO_LARGE, UnreadableError, decoded
from .auth import ON_THE_WIRE
from .retry import Kind


if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._transport.httpx_adapter import Exchanger
    from .._transport.types import RawResponse
    from .auth import Authorizer, Secret
    from .call import CallState

_REDIRECTS_FROM = 300
# What described the body's way here.
_OF_THE_WAY = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# h11's hint, and ours, on a message whose head, or a chunk's, is not taken (more than 100 KiB).
_HEAD_TOO_LARGE = 431
_IMPOSSIBLE = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


@attrs.frozen(eq=False, repr=False)
class Failure:
    """Why there is no answer."""

    kind: Kind
    text: str
    cause: BaseException | None = None
    timed_out: bool = False


async def exchange(
    inner: Exchanger, authorizer: Authorizer, request: httpx.Request, state: CallState
) -> httpx.Response | Failure:
    """Return the answer with its body decoded, or the failure.

    No frame from below comes out with a failure or a cancel: their locals hold the token.

    Raises:
        ConfigurationError: the token's callable failed.

    Cancellation: the request may have been sent, as `state.sent` says; the connection is closed.
    """
    try:
        return await _exchange(inner, authorizer, request, state)
    except BaseException as error:  # noqa: BLE001 - raised again
        raise _without_frames(error) from error.__cause__


def _without_frames(error: BaseException) -> BaseException:
    """Return *error*, a cancel or a fault in a transport, with what it carries along stripped of its frames."""
    error.__context__ = None
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is not None and found.__traceback__ is not None:
            found.__traceback__ = None
            waiting += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]
    return error


async def _exchange(
    inner: Exchanger, authorizer: Authorizer, request: httpx.Request, state: CallState
) -> httpx.Response | Failure:
    token = await authorizer.token_for(request)
    logged = ON_THE_WIRE.set(token)
    try:
        # One that does not tell may have sent it from the moment it has it.
        state.sent = not inner.tells_sent
        return _response(await inner.exchange(request, token), token, request, state)
    except UnreadableError as error:
        return Failure(Kind.UNREADABLE, token.masked_text(str(error)))
    except failures() as error:
        return _failure_of(error, state, token)
    finally:
        ON_THE_WIRE.reset(logged)


def _response(answer: RawResponse, token: Secret, request: httpx.Request, state: CallState) -> httpx.Response:
    body, reason = decoded(answer), answer.reason
    headers = [item for item in answer.headers if item[0].lower() not in _OF_THE_WAY]
    # What stands in an answer may come to stand in an error, and an API may quote what it was sent.
    if state.modelled or answer.status >= _REDIRECTS_FROM:
        body = token.masked(body)
        head = b"\n".join([reason, *[value for _, value in headers]])
        if token.masked(head) != head:
            reason = token.masked(reason)
            headers = [(name, token.masked(value)) for name, value in headers]
    return httpx.Response(
        answer.status,
        headers=headers,
        stream=httpx.ByteStream(body),
        # The reason phrase is quoted by httpx's log.
        extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        request=request,
    )


def _failure_of(error: Exception, state: CallState, token: Secret) -> Failure:
    if any(getattr(cause, "error_status_hint", None) == _HEAD_TOO_LARGE for cause in _causes(error)):
        return Failure(Kind.UNREADABLE, HEADERS_TOO_LARGE)
    kind = Kind.LOST if state.sent else Kind.NOT_SENT
    if isinstance(error, _NOT_SENT):
        kind = Kind.NOT_SENT
        if certificate := _certificate_error(error):
            reason = getattr(certificate, "verify_message", None) or certificate
            return Failure(
                Kind.UNVERIFIED, f"the server's certificate does not verify: {reason}", portable(certificate)
            )
    elif isinstance(error, _IMPOSSIBLE):
        kind = Kind.IMPOSSIBLE
    # A parser quotes what it cannot read.
    text = token.masked_text(str(error))
    cause = portable(error, text)
    return Failure(kind, text or type(error).__name__, cause, timed_out=isinstance(error, httpx.TimeoutException))


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    return next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what it came from, the nearest first."""
    for _ in range(20):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
