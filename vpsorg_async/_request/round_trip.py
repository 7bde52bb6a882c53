"""Makes one round trip: sends a request with the token, and gives the response within limits, or how it failed."""

from __future__ import annotations

import ssl

from typing import TYPE_CHECKING

import attrs
import httpx

from .._errors import portable
from .._transport.httpx_adapter import failures
from .._transport.types import origin_of
from .auth import ON_THE_WIRE, signed
from .body import HEADERS_TOO_LARGE, UnreadableError, unpacked
from .outcome import Outcome


if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._transport.types import RawResponse, Transport
    from .auth import Authorizer, Secret
    from .call import CallState

_REDIRECTS_FROM = 300
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# h11's hint, and ours, on a message whose head, or a chunk's, is not taken (more than 100 KiB).
_HEAD_TOO_LARGE = 431
_IMPOSSIBLE = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


@attrs.frozen(eq=False, repr=False)
class Received:
    """A response, its body read, decoded and without the token."""

    response: httpx.Response
    body: bytes


@attrs.frozen(eq=False, repr=False)
class Failure:
    """Why there is no response.

    Attributes:
        outcome: what came of the attempt.
        text: what went wrong, in words.
        cause: what the transport raised, without its frames.
        timed_out: whether time ended it.
        final: whether it ended the whole call, and not an attempt of several.
    """

    outcome: Outcome
    text: str
    cause: BaseException | None = None
    timed_out: bool = False
    final: bool = False


class RoundTrips:
    """Makes round trips by way of one transport."""

    def __init__(self, transport: Transport, authorizer: Authorizer) -> None:
        self._transport = transport
        self._authorizer = authorizer

    async def make(self, request: httpx.Request, state: CallState) -> Received | Failure:
        """Return the response with its body decoded, or the failure.

        No frame from below comes out with a failure or a cancel: their locals hold the token.

        Raises:
            ConfigurationError: the token's callable failed.

        Cancellation: the request may have been sent, as `state.sent` says; the transport has closed the connection.
        """
        logged = None
        try:
            # Not a byte has left yet.
            state.sent, origin = False, origin_of(request.url)
            token = await self._authorizer.token_for(origin)
            logged = ON_THE_WIRE.set(token)
            raw = await self._transport.round_trip(signed(request, origin, token), state.sending)
            return _received(raw, token, request, state)
        except UnreadableError as error:
            return Failure(Outcome.UNREADABLE, token.masked_text(str(error)))
        except failures() as error:
            return _failure_of(error, state, token)
        except BaseException as error:  # noqa: BLE001 - raised again
            raise _without_frames(error) from error.__cause__
        finally:
            if logged is not None:
                ON_THE_WIRE.reset(logged)


def _without_frames(error: BaseException) -> BaseException:
    """Return *error*, a cancel or a fault in a transport, without the frames of its causes."""
    error.__context__ = None
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is not None and found.__traceback__ is not None:
            found.__traceback__ = None
            waiting += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]
    return error


def _received(raw: RawResponse, token: Secret, request: httpx.Request, state: CallState) -> Received:
    headers, body = unpacked(raw)
    reason = raw.reason
    # What stands in a response may come to stand in an error, and an API may quote what it was sent.
    if state.call.decode is not None or raw.status >= _REDIRECTS_FROM:
        body = token.masked(body)
        head = b"\n".join([reason, *[value for _, value in headers]])
        if token.masked(head) != head:
            reason = token.masked(reason)
            headers = [(name, token.masked(value)) for name, value in headers]
    response = httpx.Response(
        raw.status,
        headers=headers,
        stream=httpx.ByteStream(body),
        # The reason phrase is quoted by httpx's log.
        extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        request=request,
    )
    return Received(response, body)


def _failure_of(error: Exception, state: CallState, token: Secret) -> Failure:
    if any(getattr(cause, "error_status_hint", None) == _HEAD_TOO_LARGE for cause in _causes(error)):
        return Failure(Outcome.UNREADABLE, HEADERS_TOO_LARGE)
    outcome = Outcome.LOST if state.sent else Outcome.NOT_SENT
    if isinstance(error, _NOT_SENT):
        outcome = Outcome.NOT_SENT
        if certificate := _certificate_error(error):
            reason = getattr(certificate, "verify_message", None) or certificate
            return Failure(
                Outcome.UNVERIFIED, f"the server's certificate does not verify: {reason}", portable(certificate)
            )
    elif isinstance(error, _IMPOSSIBLE):
        outcome = Outcome.UNSENDABLE
    # A parser quotes what it cannot read.
    text = token.masked_text(str(error))
    cause = portable(error, text)
    return Failure(outcome, text or type(error).__name__, cause, timed_out=isinstance(error, httpx.TimeoutException))


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    return next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what it came from, the nearest first."""
    for _ in range(20):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
