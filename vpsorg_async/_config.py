"""Checks how a client is set up: its address, times, headers, transport and certificates."""

from __future__ import annotations

import errno
import inspect
import platform
import re
import ssl

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, TypedDict

from . import _http as httpx
from ._checks import checked_seconds
from ._errors import ConfigurationError
from ._events import Event  # noqa: TC001 - type hints of what is public resolve at run time
from ._policies import RetryPolicy
from ._request.call import CallOptions
from ._transport.proxy_config import is_loopback
from ._version import __version__


BASE_URL = "https://admin.vps.org/api/v1"
"""Source: VPS.org API documentation, "Base URL"."""

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""The API token, or what returns it."""


class OfflineOptions(TypedDict, total=False):
    """The options of `Client` that have a meaning without a network too."""

    timeout: float | None
    attempt_timeout: float | None
    retry: RetryPolicy
    max_connections: int
    headers: Mapping[str, str] | None
    user_agent: str | None
    on_event: Callable[[Event], object] | None


class ClientOptions(OfflineOptions, total=False):
    """The arguments of `Client` other than the token."""

    base_url: str | None
    transport: httpx.AsyncBaseTransport | None
    proxy: str | None
    ssl_context: ssl.SSLContext | None
    allow_http: bool


_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[!-~]([\t -~]*[!-~])?")
_NO_HEADERS = "headers must be a mapping of names to values, not "
_PORTS = range(1, 65536)
_OURS = frozenset({"authorization", "host"})
# These headers say where a message ends and which way it goes (RFC 9110, 7.6.1; RFC 9112, 6).
_FRAMING = re.compile(r"content-length|transfer-encoding|connection|te|upgrade|trailer|expect|proxy-.*")


def checked_options(timeout: float | None, attempt_timeout: float | None, retry: RetryPolicy) -> CallOptions:
    """Return the options of calls.

    Raises:
        TypeError, InvalidArgumentError: one of the arguments cannot be used.
    """
    if not isinstance(retry, RetryPolicy):
        raise TypeError(f"retry must be a RetryPolicy, not {retry!r}; RetryPolicy.none() tries once")
    return CallOptions(
        timeout=checked_seconds("timeout", timeout),
        attempt_timeout=checked_seconds("attempt_timeout", attempt_timeout),
        retry=retry,
    )


def checked_max_connections(value: object) -> int:
    """Return how many requests may run at the same time.

    Raises:
        ConfigurationError: the value is not a whole number of 1 or more.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"max_connections={value!r}: give a whole number of 1 or more")
    return value


def checked_on_event(function: Callable[[Event], object] | None) -> Callable[[Event], object] | None:
    """Return the function to call with each event.

    Raises:
        ConfigurationError: it cannot be called, or is async.
    """
    if function is not None and (not callable(function) or _is_async(function)):
        raise ConfigurationError(f"on_event must be a plain function that takes an Event, not {function!r}")
    return function


def _is_async(function: Callable[..., object]) -> bool:
    # An object is async by its `__call__`.
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def check_ways(ssl_context: object, transport: object, proxy: object) -> None:
    """Return if these three arguments can be used together.

    Raises:
        ConfigurationError: the context is not an `ssl.SSLContext`, or both a transport and a proxy are given.
    """
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise ConfigurationError(f"ssl_context must be an ssl.SSLContext, not {type(ssl_context).__name__}")
    if transport is not None and proxy is not None:
        raise ConfigurationError("transport and proxy exclude each other: give the transport its proxy instead")


def checked_transport(transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    """Return the transport.

    Raises:
        ConfigurationError: it cannot handle a request.
    """
    if not hasattr(transport, "handle_async_request"):
        raise ConfigurationError(f"transport must be an httpx.AsyncBaseTransport, not {type(transport).__name__}")
    return transport


def checked_base_url(base_url: str, *, allow_http: bool) -> httpx.URL:
    """Return the base URL.

    Raises:
        ConfigurationError: the token must not be sent to this URL. The message never shows a user or password in it.
    """
    if not isinstance(allow_http, bool):
        # A text such as "false" from the environment would count as true, and send the token in the clear.
        raise ConfigurationError(f"allow_http must be True or False, not {allow_http!r}")
    url = _parsed(base_url)
    if url.userinfo:
        raise ConfigurationError("base_url holds a user or password: give the token as token=… instead")
    if url.scheme not in ("http", "https"):
        raise ConfigurationError(
            f"base_url must begin with https://, not {url.scheme + '://' if url.scheme else 'this'}"
        )
    # httpx escapes characters that no host name has, such as a space.
    if not url.host or b"%" in url.raw_host or (url.port is not None and url.port not in _PORTS):
        raise ConfigurationError("base_url has no host, or one that cannot be")
    if url.query or url.fragment or "?" in base_url or "#" in base_url:
        raise ConfigurationError("base_url must end after its path: it has a query or a fragment")
    if url.scheme == "http" and not allow_http and not is_loopback(url.host):
        raise ConfigurationError(
            f"base_url is plain http to {url.host}, so the token would travel in the clear: "
            "use https://, or allow_http=True if you are sure"
        )
    return url


def _parsed(base_url: object) -> httpx.URL:
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url must be a str, not {type(base_url).__name__}")
    try:
        url = httpx.URL(base_url)
        # httpx reads host and port late: a port that is not a number raises only here.
        _ = url.host, url.port
    except (httpx.InvalidURL, ValueError):
        raise ConfigurationError("base_url cannot be read as a URL (not shown here)") from None
    return url


def checked_headers(headers: Mapping[str, str] | None, user_agent: str | None) -> dict[str, str]:
    """Return the headers of every request.

    Raises:
        ConfigurationError: a header cannot be sent, or the caller must not set it. The message shows no value.
    """
    if headers is not None and not isinstance(headers, Mapping):
        raise ConfigurationError(f"{_NO_HEADERS}{type(headers).__name__}")
    if user_agent is not None and (not isinstance(user_agent, str) or not _HEADER_VALUE.fullmatch(user_agent)):
        raise ConfigurationError("user_agent takes a str of visible ASCII (its value is not shown)")
    sdk = f"vpsorg-async/{__version__} python/{platform.python_version()}"
    given = dict(headers or {})
    if user_agent is not None:
        given = {name: value for name, value in given.items() if str(name).lower() != "user-agent"}
        given["User-Agent"] = user_agent
    for name, value in given.items():
        _check_header(name, value)
    if user_agent is not None:
        given["User-Agent"] = f"{user_agent} {sdk}"
    defaults = {
        "Accept": "application/json",
        # The only encoding that the client decodes within its size limits.
        "Accept-Encoding": "gzip",
        "Content-Type": "application/json",
        "User-Agent": sdk,
    }
    taken = {name.lower() for name in given}
    return {**{name: value for name, value in defaults.items() if name.lower() not in taken}, **given}


def checked_more_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers that are sent in addition to the client's.

    Raises:
        TypeError: *headers* is no mapping.
        ConfigurationError: a header cannot be sent, or the caller must not set it. The message shows no value.
    """
    if not isinstance(headers, Mapping):
        raise TypeError(f"{_NO_HEADERS}{type(headers).__name__}")
    given = dict(headers)
    for name, value in given.items():
        _check_header(name, value)
    return given


def merged_headers(old: Mapping[str, str] | None, more: Mapping[str, str]) -> dict[str, str] | None:
    """Return *old* with *more* added, or in their place where a name is the same in another case."""
    taken = {name.lower() for name in more}
    kept = {name: value for name, value in (old or {}).items() if name.lower() not in taken}
    return {**kept, **more} or None


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise ConfigurationError(f"headers has a name that no header can have: {name!r}")
    if name.lower() in _OURS:
        raise ConfigurationError(f"headers must not set {name}: the token goes in as token=…, the host as base_url=…")
    if _FRAMING.fullmatch(name.lower()):
        raise ConfigurationError(f"headers must not set {name}: it frames or routes the message, which the SDK does")
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        raise ConfigurationError(f"the header {name} takes a str of visible ASCII (its value is not shown)")


def default_ssl_context() -> ssl.SSLContext:
    """Return the context that verifies the API's certificate.

    Raises:
        ConfigurationError: the certificates that SSL_CERT_FILE or SSL_CERT_DIR name cannot be loaded.
        OSError: the process has no free file descriptor. The client is not to blame, and a later call may succeed.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        trouble = error
    raise ConfigurationError(f"the certificates to trust cannot be loaded: {trouble}; see SSL_CERT_FILE, SSL_CERT_DIR")
