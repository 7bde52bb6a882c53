"""Keeps secrets out of whatever leaves the library: finds them in JSON by their keys, and hides them. Pure."""

from __future__ import annotations

import functools
import re

from typing import Any, Final

from ._public import all_fields


MASK: Final = "[secret]"
"""What a masked text has in the place of a secret."""

DEPTH_LIMIT: Final = 100
"""JSON below this depth is taken for a secret as a whole (assumed; nothing that the API documents is deeper than 3)."""

_WORDS: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "privatekey",
    "apikey",
    "accesskey",
)
_SHORT: Final = 64
_NO_LETTER: Final = re.compile(r"[^a-z]")
_CONTAINERS: Final = frozenset({dict, list})
# Each match is one JSON string and, if the string is a key, the string or number after it. An unfinished string ends
# with the text. Possessive, so that hostile text takes linear time.
_STRING: Final = rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_KEY_AND_VALUE: Final = re.compile(
    rb'"(?P<key>(?:[^"\\]|\\.)*+)(?:"|\\?\Z)(?:(?P<colon>\s*+:\s*+)(?P<value>%b|-?[0-9][0-9.eE+-]*+))?+' % _STRING,
    re.DOTALL,
)


class Hidden:
    """A secret value. A repr, a traceback with locals, a copy and a pickle do not have it.

    It is no attrs class: `attrs.asdict` of what holds it would go on into it.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value: Final = value

    def __reduce__(self) -> tuple[Any, ...]:
        return Hidden, (None,)

    def __repr__(self) -> str:
        return MASK


class Detachable:
    """Data of which pickles and copies leave out the fields that `_kept_back` names: a handle on a client, a secret."""

    __slots__ = ()
    _kept_back: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in all_fields(type(self)) if name not in self._kept_back}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in {**state, **dict.fromkeys(self._kept_back)}.items():
            object.__setattr__(self, name, value)


def mentions_secret(text: str) -> bool:
    """Return whether *text* has a word for a secret, as the names `root_password` and `apiToken` have."""
    letters = _NO_LETTER.sub("", text.lower())
    return any(word in letters for word in _WORDS)


# The same few keys come again and again. The bound keeps a hostile response from filling the memory.
_short_mentions: Final = functools.lru_cache(maxsize=1024)(mentions_secret)


def is_secret_name(name: str) -> bool:
    """Return whether the value under the key *name* is a secret."""
    return _short_mentions(name) if len(name) <= _SHORT else mentions_secret(name)


def is_secret(name: object, value: object) -> bool:
    """Return whether *value* under the key *name* is a secret. A boolean, such as `password_set`, is none, nor is null.

    A key that is no string comes from no JSON.
    """
    return value is not None and type(value) is not bool and isinstance(name, str) and is_secret_name(name)


def without_secrets(value: Any) -> Any:
    """Return JSON data without its secrets. Data that have none are returned as they are, and not copied."""
    return _cleaned(value, DEPTH_LIMIT) if _has_secrets(value) else value


def split(data: dict[str, Any]) -> dict[str, Any]:
    """Take the secrets out of *data*, and return the fields that held some as they were."""
    found = {name: value for name, value in data.items() if is_secret(name, value) or _has_secrets(value)}
    for name, value in found.items():
        if is_secret(name, value):
            del data[name]
        else:
            data[name] = _cleaned(value, DEPTH_LIMIT)
    return found


def masked_json(text: bytes) -> bytes:
    """Return *text*, which may be broken JSON, with a mask for each string or number that is a secret."""
    return _KEY_AND_VALUE.sub(_masked, text)


def _masked(found: re.Match[bytes]) -> bytes:
    if found["value"] is None or not is_secret_name(found["key"].decode("utf-8", "replace")):
        return found[0]
    return b'"%b"%b"%b"' % (found["key"], found["colon"], MASK.encode())


def _has_secrets(value: Any) -> bool:
    """Return whether JSON data hold a secret at any depth; not recursive, as the data may be very deep."""
    level: list[dict[str, Any] | list[Any]] = [value] if type(value) in _CONTAINERS else []
    while level:
        deeper: list[dict[str, Any] | list[Any]] = []
        for container in level:
            if type(container) is dict and any(map(is_secret, container, container.values())):
                return True
            children = container.values() if isinstance(container, dict) else container
            deeper += [child for child in children if type(child) in _CONTAINERS]
        level = deeper
    return False


def _cleaned(value: dict[str, Any] | list[Any] | str | float | None, depth: int) -> Any:
    if type(value) in _CONTAINERS and not depth:
        return None
    if type(value) is list:
        return [_cleaned(child, depth - 1) for child in value]
    if type(value) is dict:
        return {name: _cleaned(child, depth - 1) for name, child in value.items() if not is_secret(name, child)}
    return value
