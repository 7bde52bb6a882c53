"""The client: creates its parts, gives access to them, and closes them."""

from __future__ import annotations

import os
import ssl

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

import anyio
import attrs

from . import _http as httpx
from ._checks import check_http_method, check_relative_path, checked_seconds, plain_text
from ._clock import Clock, SystemClock
from ._config import (
    BASE_URL,
    Token,
    check_ways,
    checked_base_url,
    checked_headers,
    checked_max_connections,
    checked_more_headers,
    checked_on_event,
    checked_options,
    checked_transport,
    default_ssl_context,
    merged_headers,
)
from ._connector import Connector
from ._errors import ConfigurationError
from ._events import Event
from ._policies import NOT_GIVEN, NotGivenType, RetryPolicy
from ._public import publish
from ._request.call import CallOptions
from ._secrets import Hidden
from ._stats import ClientStats, stats_of
from ._transport.proxy_config import choose_proxy


if TYPE_CHECKING:
    from ._catalogue.methods import AccountMethods, Locations, OperatingSystems, Plans
    from ._fleet.fleets import Fleets
    from ._servers import Servers

CLOSING_SECONDS = 5.0
"""The seconds that closing waits for calls to end and for sockets to close (assumed)."""


class Client:
    """An async client of VPS.org's servers API. One client serves all tasks of one event loop (asyncio, uvloop, trio).

    Use it as `async with Client() as client:`, or call `aclose()` at the end. `client.servers` has the calls.

    Args:
        token: the API token, or a plain or async function that returns the token before each attempt. `None` reads
            the environment variable `VPS_API_TOKEN`.
        base_url: the address of the API. `None` reads `VPS_API_URL`, else it is the vendor's. Plain `http://` is
            allowed only to this machine, or with *allow_http*.
        timeout: the seconds that one call may take in all, with its attempts and pauses. `None` sets no bound.
        attempt_timeout: the seconds for one attempt, counted from its turn.
        retry: how often a call is retried, and how long it pauses before.
        max_connections: the number of requests at the same time. Other calls wait in the order in which they came.
        transport: any `httpx.AsyncBaseTransport` that replaces the SDK's connections. The client closes it.
        proxy: the URL of a proxy. `None` reads HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, but none of them for
            plain `http://` to this machine: the proxy would see the token.
        ssl_context: a context with your own certificate authority or client certificate. `None` is the default
            context, which reads SSL_CERT_FILE and SSL_CERT_DIR. Before each connection the client sets the ALPN
            protocols of the context to `http/1.1`, so do not share it with a client of HTTP/2 that sets them once.
        headers: sent with every call. `Authorization`, `Host` and headers that frame or route a message are refused.
        user_agent: put before the SDK's own user agent.
        allow_http: allows a plain `http://` address of another machine. The token is then sent unencrypted.
        on_event: a plain function that is called with an `Event` for everything that happens inside.

    Raises:
        ConfigurationError: an argument, or the environment variable in its place, cannot be used.
        TypeError: *timeout* or *attempt_timeout* is neither a number nor `None`, or *retry* is not a `RetryPolicy`.
        InvalidArgumentError: *timeout* or *attempt_timeout* is negative or not finite.
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
        # A traceback with local variables must not show the token from here on.
        del token
        check_ways(ssl_context, transport, proxy)
        if hidden.value is None:
            raise ConfigurationError("there is no token: pass token=… or set VPS_API_TOKEN")
        if base_url is None:
            base_url = os.environ.get("VPS_API_URL") or BASE_URL
        url = checked_base_url(base_url, allow_http=allow_http)
        if transport is None:
            # Imported late: loads httptools and ssl, which a custom transport does not need.
            from ._transport.pool import ConnectionPool  # noqa: PLC0415

            transport = ConnectionPool(
                lambda: ssl_context or default_ssl_context(),
                choose_proxy(proxy, url),
                size=max_connections,
                now=SystemClock.now,
            )
        self._assemble(
            checked_transport(transport),
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
        connector: Connector | None = None,
    ) -> Self:
        """Return a client that uses *transport* and takes all its times from *clock*. For the sandbox.

        *connector* tries in the place of the network whether servers can be reached.
        """
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
            connector=connector,
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
        connector: Connector | None = None,
    ) -> None:
        # Imported late: the first client needs what makes calls, lists and waits, `import vpsorg_async` does not.
        from ._assembly import assemble  # noqa: PLC0415

        self._http, self._servers, self._context = assemble(
            transport,
            clock,
            token=token,
            base_url=base_url,
            options=options,
            max_connections=checked_max_connections(max_connections),
            headers=headers,
            on_event=checked_on_event(on_event),
            connector=connector,
        )
        self._options = options
        self._is_view = False

    @property
    def is_closed(self) -> bool:
        """Whether the client is closed. Every call then raises `ClientClosedError`."""
        return self._context.lifetime.closed

    @property
    def servers(self) -> Servers:
        """The account's servers."""
        return self._servers

    @property
    def plans(self) -> Plans:
        """The plans that a server can be created with."""
        from ._catalogue.methods import Plans  # noqa: PLC0415 - many programs know theirs

        return Plans(self._context, self._options)

    @property
    def locations(self) -> Locations:
        """The datacenters that a server can be created in."""
        from ._catalogue.methods import Locations  # noqa: PLC0415

        return Locations(self._context, self._options)

    @property
    def operating_systems(self) -> OperatingSystems:
        """The operating systems that a server can be created with."""
        from ._catalogue.methods import OperatingSystems  # noqa: PLC0415

        return OperatingSystems(self._context, self._options)

    @property
    def account(self) -> AccountMethods:
        """The account of the token: `await client.account.me()`."""
        from ._catalogue.methods import AccountMethods  # noqa: PLC0415

        return AccountMethods(self._context, self._options)

    @property
    def fleet(self) -> Fleets:
        """Act on many servers: `client.fleet(servers).start()`, `client.fleet.create(specs)`."""
        from ._fleet.fleets import Fleets  # noqa: PLC0415 - many programs use no fleet

        return Fleets(self._servers, self._context)

    @property
    def http(self) -> httpx.AsyncClient:
        """The `httpx.AsyncClient` that sends all calls. Its event hooks run once a call, above the retries."""
        return self._http

    def with_options(
        self,
        *,
        timeout: float | NotGivenType | None = NOT_GIVEN,
        attempt_timeout: float | NotGivenType | None = NOT_GIVEN,
        retry: RetryPolicy | NotGivenType = NOT_GIVEN,
        headers: Mapping[str, str] | NotGivenType = NOT_GIVEN,
    ) -> Client:
        """Return a client with other options on the same connections. Closing the view closes nothing.

        *headers* are sent in addition to the client's, such as a trace id or an idempotency key; `Authorization` and
        `Host` are refused. Polls are shared by all views, and are sent without them.

        Raises:
            ConfigurationError: a header cannot be sent.
            TypeError, InvalidArgumentError: another argument cannot be used.
        """
        old = self._options
        options = checked_options(
            old.timeout if timeout is NOT_GIVEN else timeout,
            old.attempt_timeout if attempt_timeout is NOT_GIVEN else attempt_timeout,
            old.retry if retry is NOT_GIVEN else retry,
        )
        more = {} if headers is NOT_GIVEN else checked_more_headers(headers)
        options = attrs.evolve(options, headers=merged_headers(old.headers, more))
        view = Client.__new__(Client)
        view._view_of(self, options)  # noqa: SLF001 - of its own class
        return view

    def _view_of(self, client: Client, options: CallOptions) -> None:
        self._http, self._context, self._options = client._http, client._context, options
        self._servers = type(client._servers)(self._context, options)
        self._is_view = True

    def stats(self) -> ClientStats:
        """Return a snapshot of what goes on in the client, with all its views."""
        return stats_of(self._context)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        timeout: float | NotGivenType | None = NOT_GIVEN,
    ) -> httpx.Response:
        """Send a request that the SDK has no method for, and return its 2xx response.

        *path* is relative to the base URL. *params* are added to the query that *path* has.

        Raises:
            OutcomeUnknownError: a POST may have been executed, and no response tells. It is never sent twice.
            APIStatusError: the response has an error status.
            InvalidArgumentError: *path* is an absolute URL, or leaves the base URL by a `..`; or *json* has a value
                that JSON does not have.
            TypeError: *json* or *params* is not of its type.

        Retries: GET, HEAD, OPTIONS, PUT, PATCH and DELETE are sent again when no response arrives.
        """
        check_http_method(method)
        check_relative_path(path)
        method, path = plain_text(method), plain_text(path)
        options = self._options
        if timeout is not NOT_GIVEN:
            options = options.within(checked_seconds("timeout", timeout))
        return await self._context.commands.request(method, path, json=json, params=params, options=options)

    async def aclose(self) -> None:
        """Close the client: end running calls and close every connection. A second call does nothing.

        Running calls end with `ClientClosedError`; a create or reboot that was sent ends with `OutcomeUnknownError`.
        Closing a view closes nothing. In another event loop or process, this only forbids further calls.

        Cancellation: the client is closed all the same, within a few seconds.
        """
        if self._is_view:
            return
        lifetime = self._context.lifetime
        try:
            await lifetime.end(patience=CLOSING_SECONDS)
        finally:
            # Sockets of another loop or of the parent process stay open: closing one would disturb that loop.
            if not lifetime.elsewhere:
                with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                    await self._http.aclose()

    def __enter__(self) -> NoReturn:
        raise TypeError("a Client is an async context manager: use 'async with Client() as client:'")

    def __exit__(self, *_: object) -> None:
        """Do nothing: `__enter__` raises an error, and Python asks for both."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if not hasattr(self, "_context"):
            # A traceback may show a client whose arguments were refused before it was complete.
            return "<Client>"
        state = " closed" if self._context.lifetime.closed else ""
        return f"<Client {self._http.base_url}{state}>"


publish(Client)
