"""Names what goes through a transport: a request as bytes, a response as bytes, and the transport itself."""

from __future__ import annotations

import enum
import re

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import attrs

from .. import _http as httpx


if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping

    Origin = tuple[str, str, int | None]

MAX_BODY = 32 * 1024 * 1024
"""Bytes of a body that are read, before and after it is unpacked."""

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class Phase(enum.Enum):
    """How far an attempt has come, in words around the name of the host."""

    TURN = "waiting for its turn to ask {}"
    AUTHORIZING = "waiting for the token for {}"
    NAME = "looking up the name of {}"
    CONNECTING = "connecting to {}"
    TLS = "in the TLS handshake with {}"
    # The first byte of the request is handed to the system. From now on the API may execute it.
    SENDING = "sending to {}"
    RESPONSE = "waiting for the response of {}"
    PAUSE = "pausing before it asks {} again"

    if not TYPE_CHECKING:
        # Python's own hashes the name anew at each look-up in a table.
        __hash__ = object.__hash__


class CertificateRefusedError(httpx.ConnectError):
    """The server refused this side's certificate, or the want of one: it has executed nothing."""


class ProxyHandshakeError(httpx.ProxyError):
    """The TLS handshake with the proxy failed, before it was asked for the way."""


class OversizedError(httpx.RemoteProtocolError):
    """The bytes before or after a response are too many."""


class MaskedBytes(bytes):
    """Bytes that a traceback with locals does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'[masked]'"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return bytes, (repr(self).encode(),)


@attrs.frozen(eq=False, repr=False)
class RawRequest:
    """A request as it is to be sent.

    Attributes:
        method: the method.
        url: where to.
        origin: scheme, host and port of the URL.
        headers: the header lines in order; one that is secret is `MaskedBytes`.
        body: the body, in pieces; one that is there already is an `httpx.ByteStream`.
        extensions: what httpx's transports read besides.
    """

    method: str
    url: httpx.URL
    origin: Origin
    headers: list[tuple[bytes, bytes]]
    body: Iterable[bytes] | AsyncIterable[bytes]
    extensions: Mapping[str, Any]


@attrs.define(eq=False, repr=False)
class RawResponse:
    """A response as it came.

    Attributes:
        status: the status.
        reason: the reason phrase.
        headers: the header lines in order.
        body: the body as far as it came; reading stops soon after `MAX_BODY`.
        trouble: why the body is not whole; `None` where it is, or where reading stopped.
        reusable: whether the connection can be used for another round trip.
        plain: whether somebody has undone the body's encoding already.
        keep_alive: the seconds for which the server keeps an idle connection, as far as it says.
    """

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    trouble: Exception | None = None
    reusable: bool = False
    plain: bool = False
    keep_alive: float | None = None


@runtime_checkable
class Transport(Protocol):
    """Sends requests and reads their responses; knows neither calls nor retries nor tokens."""

    async def round_trip(self, request: RawRequest, on_phase: Callable[[Phase], None]) -> RawResponse:
        """Send *request* and return the response.

        *on_phase* is called as each phase begins. `Phase.SENDING` begins when the first byte is handed to the system,
        not before; a transport that cannot tell calls it at once.

        Raises:
            httpx.TransportError: no response came.

        Cancellation: the request may have been sent; the transport has closed the connection.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""


def origin_of(url: httpx.URL) -> Origin:
    """Return scheme, host and port, the port of the scheme where none is given."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


_TIMEOUT = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


def keep_alive_of(value: bytes) -> float | None:
    """Return the seconds that a header `Keep-Alive: timeout=5` names; `None`: it names none."""
    found = _TIMEOUT.search(value)
    return float(found[1]) if found else None


def place_of(origin: Origin) -> str:
    """Return host and port as an error names them."""
    _, host, port = origin
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def nobody(_phase: Phase) -> None:
    """Do nothing: the *on_phase* of a caller that need not know."""
