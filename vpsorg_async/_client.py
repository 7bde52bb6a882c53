"""The client: its configuration, its parts put together, and its end."""

from __future__ import annotations

import errno
import inspect
import ipaddress
import os
import platform
import re
import ssl

from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

import anyio
import httpx

from ._clock import SystemClock
from ._errors import ConfigurationError
from ._events import Event, Events
from ._lifetime import Lifetime
from ._policies import NOT_GIVEN, NotGivenType, RetryPolicy, checked_seconds
from ._request.auth import Authorizer, Hidden
from ._request.call import CallOptions
from ._request.httpx_client import HTTPClient
from ._request.limiter import Limiter
from ._request.requester import Requester
from ._request.retry_transport import RetryTransport
from ._transport.proxy_config import choose_proxy
from ._version import __version__


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from ._clock import Clock
    from ._fleet.run import Fleets
    from ._request.auth import Token
    from ._servers import Servers

BASE_URL = "https://admin.vps.org/api/v1"

CLOSING_SECONDS = 5.0
"""How long closing waits for calls to end and sockets to close (assumed)."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[!-~]([\t -~]*[!-~])?")
# What a URL begins with that has a scheme or a host of its own.
_FOREIGN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
# Some servers and proxies take a backslash for a slash.
_SEPARATORS = re.compile(r"[/\\]")
_PORTS = range(1, 65536)
_OURS = frozenset({"authorization", "host"})
# What tells where a message ends and by which hops it goes (RFC 9110, 7.6.1; RFC 9112, 6).
_FRAMING = re.compile(r"content-length|transfer-encoding|connection|te|upgrade|trailer|expect|proxy-.*")


class Client:
    """The async client of VPS.org's servers API. One serves every task of one event loop: asyncio, uvloop or trio.

    Use it as `async with Client() as client:`, or call `aclose()` at the end. See `client.servers` for what it can do.

    Args:
        token: the API token, or a callable, plain or async, that gives one before each try. `None`: `VPS_API_TOKEN`.
        base_url: `None`: `VPS_API_URL`, else the vendor's. Plain `http://` only to loopback, or with *allow_http*.
        timeout: seconds that one call may take in all, its tries and pauses included; `None`: no bound.
        attempt_timeout: seconds for one try, from its turn on the wire.
        retry: how often and how patiently a call is tried again.
        max_connections: calls on the wire at once; the rest wait in order of asking.
        transport: any `httpx.AsyncBaseTransport` in place of the SDK's connections. Closed with the client.
        proxy: a proxy's URL; `None` honours HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
        ssl_context: for a corporate CA or a client certificate; `None`: the default, which honours SSL_CERT_FILE and
            SSL_CERT_DIR.
        headers: sent with every call; neither `Authorization` nor `Host`, nor what frames or routes the message.
        user_agent: goes before the SDK's own.
        allow_http: allows a plain `http://` base URL that is not loopback: the token then travels in the clear.
        on_event: called with an `Event` for what happens inside.

    Raises:
        ConfigurationError: an argument, or the variable of the environment in its place, cannot be used.
        TypeError: *timeout* or *attempt_timeout* is neither a number nor `None`, or *retry* is no `RetryPolicy`.
        ValueError: *timeout* or *attempt_timeout* is negative, or not a finite number.
    """

    def __init__(
        self,
        token: Token | None = None,
        *,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        attempt_timeout: float | None = 10.0,
        retry: RetryPolicy = RetryPolicy(),
        max_connections: int = 100,
        transport: httpx.AsyncBaseTransport | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        user_agent: str | None = None,
        allow_http: bool = False,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        hidden = Hidden(os.environ.get("VPS_API_TOKEN") or None if token is None else token)
        # From here on no traceback's locals show it.
        del token
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise ConfigurationError(f"ssl_context must be an ssl.SSLContext, not {type(ssl_context).__name__}")
        if transport is not None and proxy is not None:
            raise ConfigurationError("transport and proxy exclude each other: give the transport its proxy instead")
        if hidden.value is None:
            raise ConfigurationError("there is no token: pass token=… or set VPS_API_TOKEN")
        if base_url is None:
            base_url = os.environ.get("VPS_API_URL") or BASE_URL
        url = checked_base_url(base_url, allow_http=allow_http)
        if transport is None:
            # With httptools and TLS, which who brings a transport does without.
            from ._transport.pool import ConnectionPool  # noqa: PLC0415

            transport = ConnectionPool(
                lambda: ssl_context or default_ssl_context(), choose_proxy(proxy, url), size=max_connections
            )
        elif not hasattr(transport, "handle_async_request"):
            raise ConfigurationError(f"transport must be an httpx.AsyncBaseTransport, not {type(transport).__name__}")
        self._assemble(
            transport,
            SystemClock(),
            token=hidden,
            base_url=url,
            options=checked_options(timeout, attempt_timeout, retry),
            max_connections=max_connections,
            headers=checked_headers(headers, user_agent),
            on_event=on_event,
        )

    @classmethod
    def _over(
        cls,
        transport: httpx.AsyncBaseTransport,
        clock: Clock,
        *,
        token: Token,
        base_url: str,
        timeout: float | None = 30.0,
        attempt_timeout: float | None = 10.0,
        retry: RetryPolicy = RetryPolicy(),
        max_connections: int = 100,
        headers: Mapping[str, str] | None = None,
        user_agent: str | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Self:
        """Return a client over *transport* all of whose times go by *clock*: the sandbox's way in."""
        client = cls.__new__(cls)
        client._assemble(  # noqa: SLF001 - of its own class
            transport,
            clock,
            token=Hidden(token),
            base_url=checked_base_url(base_url, allow_http=False),
            options=checked_options(timeout, attempt_timeout, retry),
            max_connections=max_connections,
            headers=checked_headers(headers, user_agent),
            on_event=on_event,
        )
        return client

    def _assemble(
        self,
        transport: httpx.AsyncBaseTransport,
        clock: Clock,
        *,
        token: Hidden,
        base_url: httpx.URL,
        options: CallOptions,
        max_connections: int,
        headers: dict[str, str],
        on_event: Callable[[Event], object] | None,
    ) -> None:
        if isinstance(max_connections, bool) or not isinstance(max_connections, int) or max_connections < 1:
            raise ConfigurationError(f"max_connections={max_connections!r}: give a whole number of 1 or more")
        if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
            raise ConfigurationError(f"on_event must be a plain function that takes an Event, not {on_event!r}")
        # Lists, waits and what they are made of: by now they are needed, and importing the library was quicker.
        from ._context import context_of  # noqa: PLC0415
        from ._servers import Servers  # noqa: PLC0415

        lifetime, events = Lifetime(lambda: self._http.is_closed), Events(clock, on_event)
        retrying = RetryTransport(
            transport,
            authorizer=Authorizer(token, base_url),
            limiter=Limiter(max_connections, clock),
            clock=clock,
            lifetime=lifetime,
            events=events,
            options=options,
        )
        self._http = HTTPClient(
            base_url=base_url,
            headers=headers,
            transport=retrying,
            # The bounds of calls are ours, above the retries.
            timeout=httpx.Timeout(None),
            trust_env=False,
        )
        self._context = context_of(
            Requester(self._http, lifetime),
            clock=clock,
            events=events,
            lifetime=lifetime,
            options=options,
            root=lambda: self._servers,
        )
        self._options = options
        self._servers = Servers(self._context, options)
        self._is_view = False

    @property
    def servers(self) -> Servers:
        """The account's servers."""
        return self._servers

    @property
    def fleet(self) -> Fleets:
        """Many servers at once: `client.fleet(servers).start()`, `client.fleet.create(specs)`."""
        from ._fleet.run import Fleets  # noqa: PLC0415 - not for those who have none

        return Fleets(self._servers, self._context)

    @property
    def http(self) -> httpx.AsyncClient:
        """The `httpx.AsyncClient` underneath: event hooks run once a call, above the retries."""
        return self._http

    def with_options(
        self,
        *,
        timeout: float | NotGivenType | None = NOT_GIVEN,
        attempt_timeout: float | NotGivenType | None = NOT_GIVEN,
        retry: RetryPolicy | NotGivenType = NOT_GIVEN,
    ) -> Client:
        """Return a view on the same connections with other options; closing it closes nothing."""
        old = self._options
        options = checked_options(
            old.timeout if timeout is NOT_GIVEN else timeout,
            old.attempt_timeout if attempt_timeout is NOT_GIVEN else attempt_timeout,
            old.retry if retry is NOT_GIVEN else retry,
        )
        view = Client.__new__(Client)
        view._view_of(self, options)  # noqa: SLF001 - of its own class
        return view

    def _view_of(self, client: Client, options: CallOptions) -> None:
        self._http, self._context, self._options = client._http, client._context, options
        self._servers = type(client._servers)(self._context, options)
        self._is_view = True

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        timeout: float | NotGivenType | None = NOT_GIVEN,
    ) -> httpx.Response:
        """Send a request that the SDK does not model, and return its 2xx answer. *path* is below the base URL.

        *params* are added to a query that *path* has.

        Raises:
            OutcomeUnknownError: a POST may have been carried out; it is never sent twice.
            APIStatusError: the answer is an error.
            ValueError: *path* is an absolute URL, or leads out of the base URL by a `..`.

        Repeats: by the method: GET, PUT, PATCH and DELETE when no answer came.
        """
        if not isinstance(method, str) or not method.isascii() or not method.isalpha():
            raise ValueError(f"method={method!r} is no HTTP method")
        if not isinstance(path, str) or _FOREIGN.match(path):
            raise ValueError(f"path={path!r}: give a path below the base URL, such as '/servers/'")
        if ".." in _SEPARATORS.split(unquote(re.split(r"[?#]", path, maxsplit=1)[0])):
            raise ValueError(f"path={path!r} has a '..': give the path that it leads to, below the base URL")
        options = self._options
        if timeout is not NOT_GIVEN:
            options = options.within(checked_seconds("timeout", timeout))
        return await self._context.commands.request(method, path, json=json, params=params, options=options)

    async def aclose(self) -> None:
        """Close the client: end what runs, close every connection. Twice is fine; a view closes nothing.

        Calls under way end with `APIConnectionError`, creates and reboots on the wire with `OutcomeUnknownError`.
        In another event loop or process than the client's own, it only forbids further calls.

        Cancellation: it is closed all the same, within a few seconds.
        """
        if self._is_view:
            return
        lifetime = self._context.lifetime
        try:
            await lifetime.end(patience=CLOSING_SECONDS)
        finally:
            # Sockets of another loop, or of the parent's, are not ours to touch: closing one would disturb that loop.
            if not lifetime.elsewhere:
                with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                    await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if not hasattr(self, "_context"):
            # A traceback with locals shows it half-built, where its arguments were refused.
            return "<Client>"
        state = " closed" if self._context.lifetime.closed else ""
        return f"<Client {self._http.base_url}{state}>"


def checked_options(timeout: float | None, attempt_timeout: float | None, retry: RetryPolicy) -> CallOptions:
    """Return the options of calls.

    Raises:
        TypeError, ValueError: one of them cannot be used.
    """
    if not isinstance(retry, RetryPolicy):
        raise TypeError(f"retry must be a RetryPolicy, not {retry!r}; RetryPolicy.none() tries once")
    return CallOptions(
        timeout=checked_seconds("timeout", timeout),
        attempt_timeout=checked_seconds("attempt_timeout", attempt_timeout),
        retry=retry,
    )


def checked_base_url(base_url: str, *, allow_http: bool) -> httpx.URL:
    """Return the base URL.

    Raises:
        ConfigurationError: it is no URL that the token may be sent to. Userinfo in it is not shown.
    """
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url must be a str, not {type(base_url).__name__}")
    try:
        url = httpx.URL(base_url)
        # Read lazily by httpx: a port that is no number shows here.
        host, port = url.host, url.port
    except (httpx.InvalidURL, ValueError):
        raise ConfigurationError("base_url cannot be read as a URL (not shown here)") from None
    if url.userinfo:
        raise ConfigurationError("base_url holds a user or password: give the token as token=… instead")
    if url.scheme not in ("http", "https"):
        raise ConfigurationError(
            f"base_url must begin with https://, not {url.scheme + '://' if url.scheme else 'this'}"
        )
    # httpx escapes what no host name has, a space say.
    if not host or b"%" in url.raw_host or (port is not None and port not in _PORTS):
        raise ConfigurationError("base_url has no host, or one that cannot be")
    if url.query or url.fragment or "?" in base_url or "#" in base_url:
        raise ConfigurationError("base_url must end after its path: it has a query or a fragment")
    if url.scheme == "http" and not allow_http and not is_loopback(host):
        raise ConfigurationError(
            f"base_url is plain http to {host}, so the token would travel in the clear: "
            "use https://, or allow_http=True if you are sure"
        )
    return url


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine by its name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def checked_headers(headers: Mapping[str, str] | None, user_agent: str | None) -> dict[str, str]:
    """Return the headers of every request.

    Raises:
        ConfigurationError: one of them cannot be a header, or is not the caller's to set. No value is shown.
    """
    sdk = f"vpsorg-async/{__version__} python/{platform.python_version()}"
    given = dict(headers or {})
    if user_agent is not None:
        given = {name: value for name, value in given.items() if str(name).lower() != "user-agent"}
        given["User-Agent"] = user_agent
    for name, value in given.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"headers has a name that no header can have: {name!r}")
        if name.lower() in _OURS:
            raise ConfigurationError(
                f"headers must not set {name}: the token goes in as token=…, the host as base_url=…"
            )
        if _FRAMING.fullmatch(name.lower()):
            raise ConfigurationError(
                f"headers must not set {name}: it frames or routes the message, which the SDK does"
            )
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(f"the header {name} takes a str of visible ASCII (its value is not shown)")
    if user_agent is not None:
        given["User-Agent"] = f"{user_agent} {sdk}"
    ours = {
        "Accept": "application/json",
        # What `_wire/answer.py` decodes within its limits.
        "Accept-Encoding": "gzip",
        "Content-Type": "application/json",
        "User-Agent": sdk,
    }
    taken = {name.lower() for name in given}
    return {**{name: value for name, value in ours.items() if name.lower() not in taken}, **given}


def default_ssl_context() -> ssl.SSLContext:
    """Return the context that verifies the API's certificate.

    Raises:
        ConfigurationError: what SSL_CERT_FILE or SSL_CERT_DIR names cannot be loaded.
        OSError: no descriptor is left to open it with, which is no matter of configuration, and passes.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        trouble = error
    raise ConfigurationError(f"the certificates to trust cannot be loaded: {trouble}; see SSL_CERT_FILE, SSL_CERT_DIR")
