"""The names of httpx that this library uses. Every other module takes them from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from httpx import (
    URL,
    AsyncBaseTransport,
    AsyncByteStream,
    AsyncClient,
    AsyncHTTPTransport,
    Auth,
    ByteStream,
    ConnectError,
    ConnectTimeout,
    Cookies,
    Headers,
    InvalidURL,
    Limits,
    LocalProtocolError,
    PoolTimeout,
    Proxy,
    ProxyError,
    QueryParams,
    ReadError,
    RemoteProtocolError,
    Request,
    Response,
    ResponseNotRead,
    StreamError,
    Timeout,
    TimeoutException,
    TransportError,
    UnsupportedProtocol,
    codes,
    create_ssl_context,
)


if TYPE_CHECKING:
    import ssl

__all__ = [
    "CORE",
    "PACKAGE",
    "URL",
    "AsyncBaseTransport",
    "AsyncByteStream",
    "AsyncClient",
    "AsyncHTTPTransport",
    "Auth",
    "ByteStream",
    "ConnectError",
    "ConnectTimeout",
    "Cookies",
    "Headers",
    "InvalidURL",
    "Limits",
    "LocalProtocolError",
    "PoolTimeout",
    "Proxy",
    "ProxyError",
    "QueryParams",
    "ReadError",
    "RemoteProtocolError",
    "Request",
    "Response",
    "ResponseNotRead",
    "StreamError",
    "Timeout",
    "TimeoutException",
    "TransportError",
    "UnsupportedProtocol",
    "codes",
    "create_ssl_context",
    "make_transport",
]

PACKAGE: Final = httpx.__name__
"""The name of httpx, by which it logs."""

CORE: Final = PACKAGE.replace("httpx", "httpcore")
"""The package that httpx stands on, by whose name it logs."""


def make_transport(
    *, verify: ssl.SSLContext, trust_env: bool, limits: Limits, proxy: Proxy | None
) -> AsyncHTTPTransport:
    """Return httpx's own transport, or that of a tool which has put a class of its own in its place."""
    # Looked up now: such a tool may come at any time.
    return httpx.AsyncHTTPTransport(verify=verify, trust_env=trust_env, limits=limits, proxy=proxy)
