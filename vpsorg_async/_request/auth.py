"""Puts the token on requests to the API's own origin, and masks it where responses quote it."""

from __future__ import annotations

import html
import inspect
import logging
import re

from contextvars import ContextVar
from typing import TYPE_CHECKING

import attrs

from .._errors import ConfigurationError
from .._transport.types import MaskedBytes, RawRequest, origin_of


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from .._transport.types import Origin

    Token = str | Callable[[], str | Awaitable[str]]


_SCHEME = b"Bearer "

SHORTEST_SECRET = 8
"""Characters; the word "token" as a token in a test is no secret, and is not masked in responses (assumed)."""


@attrs.frozen(eq=False, repr=False)
class Hidden:
    """A token, or what gives one, as it was passed in: a traceback with locals does not show it."""

    value: object = attrs.field(repr=False)


class Secret(MaskedBytes):
    """A header's value that a traceback with locals shows masked; empty where there is none."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'Bearer [token]'"

    def masked(self, data: bytes) -> bytes:
        """Return *data*, part of a response that may quote what it was sent, without the token."""
        if len(self) < len(_SCHEME) + SHORTEST_SECRET:
            return data
        token = self[len(_SCHEME) :]
        data = data.replace(token, b"[token]")
        if token.translate(None, b"-._~").isalnum():
            return data
        return re.sub("".join(map(_any_form, token.decode())).encode(), b"[token]", data)

    def masked_text(self, text: str) -> str:
        """Return *text*, which may quote a response, without the token."""
        return self.masked(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def _any_form(character: str) -> str:
    """Return a pattern for *character* as itself, and as JSON, HTML and URLs may write it."""
    if character.isalnum():
        return character
    code = ord(character)
    hexadecimal = rf"(?i:\\u{code:04x}|%{code:02x}|&#x{code:x};)"
    return rf"(?:\\?{re.escape(character)}|{hexadecimal}|&#{code};|{re.escape(html.escape(character))})"


def _header(token: Hidden) -> Secret:
    """Return the header's value for *token*.

    Raises:
        ConfigurationError: it is not a string, is empty, or has a character that is none of visible ASCII. It is not
            shown.
    """
    if not isinstance(token.value, str):
        raise ConfigurationError(f"the token must be a str, not {type(token.value).__name__}")
    if not token.value:
        raise ConfigurationError("the token is empty: pass token=… or set VPS_API_TOKEN")
    if not all("!" <= character <= "~" for character in token.value):
        raise ConfigurationError(
            "the token has a space, a control character or one outside ASCII: it is not shown here"
        )
    return Secret(_SCHEME + token.value.encode("ascii"))


class Authorizer:
    """Holds the token, for requests to one origin."""

    def __init__(self, token: Hidden, base_url: httpx.URL) -> None:
        self._source = token.value if callable(token.value) else None
        self._value = NO_TOKEN if self._source else _header(token)
        self._origin = origin_of(base_url)

    async def token_for(self, origin: Origin) -> Secret:
        """Return the value of `Authorization` for requests to *origin*: empty for all but the API's.

        Raises:
            ConfigurationError: the token's callable raised, or gave no usable token.
        """
        if origin != self._origin:
            return NO_TOKEN
        return self._value if self._source is None else await _ask(self._source)


def signed(request: httpx.Request, origin: Origin, token: Secret) -> RawRequest:
    """Return *request* as it is sent: with *token* on a copy of its headers, so that no hook or error ever holds it.

    This is the one place where a token is put on, for every kind of transport. An empty one leaves the headers alone.
    """
    headers = request.headers.raw
    if token:
        if "Authorization" in request.headers:
            headers = [item for item in headers if item[0].lower() != b"authorization"]
        headers.append((b"Authorization", token))
    return RawRequest(request.method, request.url, origin, headers, request.stream, request.extensions)


async def _ask(source: Callable[[], str | Awaitable[str]]) -> Secret:
    try:
        given = source()
        answer = Hidden(await given if inspect.isawaitable(given) else given)
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything
        # Its text and its frames are not ours to show: they may hold the token.
        failure = f"the token's callable raised {type(error).__name__}"
    else:
        del given
        return _header(answer)
    raise ConfigurationError(failure)


def _mask_record(record: logging.LogRecord) -> bool:
    # httpcore puts its records together itself: `msg` is the whole.
    record.msg = ON_THE_WIRE.get().masked_text(str(record.msg))
    return True


NO_TOKEN = Secret()
"""The token of requests to other origins."""

ON_THE_WIRE: ContextVar[Secret] = ContextVar("ON_THE_WIRE", default=NO_TOKEN)
"""What the round trip under way in this task sends: httpcore logs the heads of responses, which may quote it."""

for _name in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"httpcore.{_name}").addFilter(_mask_record)
