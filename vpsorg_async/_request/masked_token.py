"""Holds a token so that nothing shows it, and masks it where responses quote it."""

from __future__ import annotations

import html
import re

from typing import TYPE_CHECKING

from .._errors import ConfigurationError
from .._transport.types import MaskedBytes


if TYPE_CHECKING:
    from .._secrets import Hidden


_SCHEME = b"Bearer "

SHORTEST_SECRET = 8
"""Characters; the word "token" as a token in a test is no secret, and is not masked in responses (assumed)."""


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


def header_of(token: Hidden) -> Secret:
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


def without_frames(error: BaseException) -> BaseException:
    """Return *error*, a cancel or a fault of other code, without the frames of its causes: they may hold the token."""
    error.__context__ = None
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is not None and found.__traceback__ is not None:
            found.__traceback__ = None
            waiting += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]
    return error


NO_TOKEN = Secret()
"""The token of requests to other origins."""
