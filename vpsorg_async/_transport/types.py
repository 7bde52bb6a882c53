"""Names what goes through a transport: a request as bytes, a response as bytes, and the transport itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import attrs


if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping

    import httpx

    Origin = tuple[str, str, int | None]

MAX_BODY = 32 * 1024 * 1024
"""Bytes of a body that are read, before and after it is unpacked."""

_PORTS = {"http": 80, "https": 443}


class MaskedBytes(bytes):
    """Bytes that a traceback with locals does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'[masked]'"

    __str__ = __repr__


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
    """

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    trouble: Exception | None = None
    reusable: bool = False
    plain: bool = False


@runtime_checkable
class Transport(Protocol):
    """Sends requests and reads their responses; knows neither calls nor retries nor tokens."""

    async def round_trip(self, request: RawRequest, on_first_byte: Callable[[], None]) -> RawResponse:
        """Send *request* and return the response.

        *on_first_byte* is called when the first byte is handed to the system, not before; a transport that cannot tell
        calls it at once.

        Raises:
            httpx.TransportError: no response came.

        Cancellation: the request may have been sent; the transport has closed the connection.
        """

    async def aclose(self) -> None:
        """Close every connection."""


def origin_of(url: httpx.URL) -> Origin:
    """Return scheme, host and port, the port of the scheme where none is given."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def nobody() -> None:
    """Do nothing: the *on_first_byte* of who need not know."""
