"""Makes one round trip: sends a request with the token, and gives the response within limits, or how it failed."""

from __future__ import annotations

import re
import ssl

from typing import TYPE_CHECKING

import attrs

from .. import _http as httpx
from .._errors import portable
from .._transport.httpx_adapter import failures
from .._transport.reasons import causes, reason_of
from .._transport.types import CertificateRefusedError, OversizedError, Phase, ProxyHandshakeError, origin_of, place_of
from .auth import ON_THE_WIRE, signed
from .body import HEADERS_TOO_LARGE, UnreadableError, unpacked
from .masked_token import without_frames
from .outcome import Outcome


if TYPE_CHECKING:
    from collections.abc import Callable

    from .._transport.types import RawResponse, Transport
    from .call import CallState
    from .masked_token import Secret

_REDIRECTS_FROM = 300
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# h11's hint, and ours, on a message whose head, or a chunk's, is not taken (more than 100 KiB).
_HEAD_TOO_LARGE = 431
_IMPOSSIBLE = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
# What httpcore says of a proxy that does not open a tunnel.
_PROXY_ANSWERED = re.compile(r"\d{3}\b")
# A proxy that forbids the way, or wants a user, goes on to do so.
_PROXY_REFUSES = re.compile(r"40[37]\b")
_FAILED = {
    Phase.TLS: "the TLS handshake with {} failed",
    Phase.SENDING: "sending to {} failed",
    Phase.RESPONSE: "no response from {}",
}


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
        closed: whether closing the client ended it.
    """

    outcome: Outcome
    text: str
    cause: BaseException | None = None
    timed_out: bool = False
    final: bool = False
    closed: bool = False


def _no_obstacle(_host: str) -> str:
    return ""


class RoundTrips:
    """Makes round trips by way of one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Of our own pool alone.
        self._route = getattr(transport, "route", "")
        self._obstacle: Callable[[str], str] = getattr(transport, "obstacle", _no_obstacle)

    def place_of(self, url: httpx.URL) -> str:
        """Return host and port of *url*, and the way there, as errors name them."""
        place = place_of(origin_of(url))
        return f"{place} {self._route}" if self._route else place

    def waiting_for(self, state: CallState) -> str:
        """Return what the call of *state* is waiting for."""
        assert state.url is not None
        held_up = self._obstacle(state.url.host) if state.phase is Phase.TURN else ""
        return state.phase.value.format(self.place_of(state.url)) + held_up

    async def make(self, request: httpx.Request, token: Secret, state: CallState) -> Received | Failure:
        """Return the response to *request* with *token*, with its body decoded, or the failure.

        No frame from below comes out with a failure or a cancel: their locals hold the token.

        Cancellation: the request may have been sent, as `state.sent` says; the transport has closed the connection.
        """
        logged = None
        try:
            # Not a byte has left yet.
            state.sent, origin = False, origin_of(request.url)
            logged = ON_THE_WIRE.set(token)
            raw = await self._transport.round_trip(signed(request, origin, token), state.reached)
            return _received(raw, token, request, state)
        except UnreadableError as error:
            return Failure(Outcome.UNREADABLE, token.masked_text(str(error)))
        except failures() as error:
            return _failure_of(error, state, token, self.place_of(request.url))
        except BaseException as error:  # noqa: BLE001 - raised again
            raise without_frames(error) from error.__cause__
        finally:
            if logged is not None:
                ON_THE_WIRE.reset(logged)


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


def _failure_of(error: Exception, state: CallState, token: Secret, place: str) -> Failure:
    if any(getattr(cause, "error_status_hint", None) == _HEAD_TOO_LARGE for cause in causes(error)):
        return Failure(Outcome.UNREADABLE, HEADERS_TOO_LARGE)
    if isinstance(error, OversizedError):
        return Failure(Outcome.UNREADABLE, str(error))
    # A parser quotes what it cannot read.
    text = token.masked_text(reason_of(error))
    if isinstance(error, _IMPOSSIBLE):
        return Failure(Outcome.UNSENDABLE, text, portable(error, text))
    if (final := _final(error, place, text)) is not None:
        return final
    outcome, phase = Outcome.LOST if state.sent else Outcome.NOT_SENT, state.phase
    if isinstance(error, _NOT_SENT):
        outcome, phase = Outcome.NOT_SENT, Phase.TLS if phase is Phase.TLS else Phase.CONNECTING
    if isinstance(error, ProxyHandshakeError):
        text = f"the TLS handshake with the proxy failed: {text}"
    elif isinstance(error, httpx.ProxyError) and _PROXY_ANSWERED.match(text):
        text = f"the proxy answered {text}"
    words = _FAILED.get(phase, "cannot connect to {}").format(place)
    cause = portable(error, text)
    return Failure(outcome, f"{words}: {text}", cause, timed_out=isinstance(error, httpx.TimeoutException))


def _final(error: Exception, place: str, text: str) -> Failure | None:
    """Return the failure of a connection that will not come to be by trying again; `None`: it may."""
    if isinstance(error, CertificateRefusedError):
        text = f"{place} refused the client certificate, or asks for one (see ssl_context=): {text}"
        return Failure(Outcome.UNVERIFIED, text, portable(error, text))
    if isinstance(error, httpx.ProxyError) and _PROXY_REFUSES.match(text):
        return Failure(Outcome.UNSENDABLE, f"cannot connect to {place}: the proxy answered {text}", portable(error))
    found = next((cause for cause in causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if found is None or not isinstance(error, _NOT_SENT):
        return None
    reason = getattr(found, "verify_message", None) or found
    whose = "the proxy's" if isinstance(error, ProxyHandshakeError) else "the server's"
    return Failure(
        Outcome.UNVERIFIED,
        f"{whose} certificate does not verify: {reason}, connecting to {place}",
        portable(found),
    )
