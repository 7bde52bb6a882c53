"""Puts the token on requests to the API's own origin, and asks for another one after a 401."""

from __future__ import annotations

import logging

from contextvars import ContextVar
from typing import TYPE_CHECKING

from .._http import CORE
from .._transport.types import RawRequest, origin_of
from .masked_token import NO_TOKEN, Secret, header_of
from .token_source import TokenSource


if TYPE_CHECKING:
    from .. import _http as httpx
    from .._secrets import Hidden
    from .._transport.types import Origin

_HOST_LENGTH = len(b"host")


class Authorizer:
    """Holds the token, for requests to one origin."""

    def __init__(self, token: Hidden, base_url: httpx.URL) -> None:
        self._source = TokenSource(token.value) if callable(token.value) else None
        self._value = NO_TOKEN if self._source else header_of(token)
        self._origin = origin_of(base_url)

    def source_for(self, origin: Origin) -> TokenSource | None:
        """Return what is to be asked for the token of a request to *origin*; `None` if `known` has it."""
        if self._source is None or origin != self._origin or self._source.asks:
            return None
        return self._source

    def known(self, origin: Origin) -> Secret:
        """Return the token that is known without asking: empty for all origins but the API's."""
        return self._value if origin == self._origin else NO_TOKEN


def signed(request: httpx.Request, origin: Origin, token: Secret) -> RawRequest:
    """Return *request* as it is sent: with *token* on a copy of its headers, so that no hook or error ever holds it.

    This is the one place where a token is put on, for every kind of transport. An empty one leaves the headers alone,
    and so does a `Host` of the caller's own: whatever answers to another name is not the API.
    """
    headers = request.headers.raw
    if token and _names_its_host(headers, request.url):
        if "Authorization" in request.headers:
            headers = [item for item in headers if item[0].lower() != b"authorization"]
        headers.append((b"Authorization", token))
    return RawRequest(request.method, request.url, origin, headers, request.stream, request.extensions)


def _names_its_host(headers: list[tuple[bytes, bytes]], url: httpx.URL) -> bool:
    """Return whether every `Host` is that of *url*."""
    hosts = [value for name, value in headers if len(name) == _HOST_LENGTH and name.lower() == b"host"]
    return not hosts or (len(hosts) == 1 and hosts[0].lower() == url.netloc)


def _mask_record(record: logging.LogRecord) -> bool:
    # httpcore puts its records together itself: `msg` is the whole.
    record.msg = ON_THE_WIRE.get().masked_text(str(record.msg))
    return True


ON_THE_WIRE: ContextVar[Secret] = ContextVar("ON_THE_WIRE", default=NO_TOKEN)
"""What the round trip under way in this task sends: httpcore logs the heads of responses, which may quote it."""

for _name in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"{CORE}.{_name}").addFilter(_mask_record)
