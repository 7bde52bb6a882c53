"""Reads and writes JSON: with orjson where it is installed, with Python's `json` where it is not, by the same rules.

orjson is three times as fast, but has no wheel for every Python. Both readers give the same values and refuse the same
texts:

- Integers of any size are exact, up to the 309 digits from where on a float would be infinite.
- NaN, infinities and numbers that a float cannot hold are refused. `json` alone would read them.
- Lone surrogates and bytes that are not UTF-8 are refused. `json` alone would read the former.
- 1,024 levels are read, and more are refused. `json` alone would raise RecursionError, or overflow the stack.
- The last of duplicate keys counts, and one byte order mark at the beginning is passed over.

Only the words of an error about broken JSON differ. Requests are always written by `json`: orjson refuses integers of
more than 64 bits, turns NaN into null, and writes dates and dataclasses without being asked.
"""

from __future__ import annotations

import itertools
import json
import math
import re

from typing import TYPE_CHECKING, Any, Final, NoReturn


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment] # mypy runs where it is installed

BOM: Final = b"\xef\xbb\xbf"

MOST_LEVELS: Final = 1024
"""So many levels orjson reads."""

_PIECE: Final = 100
"""So many levels `json` reads at once. Each takes a part of the stack, of which the caller may have used the most."""

# An integer that a float cannot hold has at least so many digits.
_HUGE: Final = 309

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
# The shortest integer that orjson reads as a float is -2**63 - 1.
_LONG_INTEGER = b"0" * 19

_BRACKETS = re.compile(r"[\[\]{}]")
_STEPS: Final[Mapping[str, int]] = {"[": 1, "{": 1, "]": -1, "}": -1}
# A string that has no end goes on to the end of the text.
_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]+|\\.)*"?|[\[\]{}]|NaN', re.DOTALL)
_LONE_SURROGATE = re.compile(r"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]", re.DOTALL)


class InvalidJSONError(ValueError):
    """It is no JSON, or cannot be written as JSON. The text shows nothing of it: it may hold a password."""


def dumps(data: object) -> bytes:
    """Return *data* as compact JSON in UTF-8.

    Raises:
        TypeError: something in it is nothing that JSON has.
        InvalidJSONError: a number that is not finite, a text that is not Unicode, a circle or too deep a nesting.
    """
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        trouble = "a text with a lone surrogate is not valid Unicode"
    except RecursionError:
        trouble = "it is nested too deeply"
    except ValueError as error:
        trouble = str(error)
    # Outside of the handler: the encoding error holds the whole text.
    raise InvalidJSONError(trouble)


# With orjson


def _by_orjson(body: bytes) -> Any:
    assert orjson is not None
    body = body.removeprefix(BOM)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        trouble = str(error)
    else:
        # It has read such an integer as a float.
        return _by_json(body) if _LONG_INTEGER in body.translate(_DIGITS_TO_ZERO) else value
    # Outside of the handler: orjson's error holds the whole body.
    raise InvalidJSONError(trouble)


# With Python's json


def _by_json(body: bytes) -> Any:
    try:
        return _read(body.removeprefix(BOM).decode())
    except UnicodeDecodeError as error:
        trouble = f"not UTF-8 at byte {error.start}"
    except ValueError as error:
        trouble = str(error)
    # Outside of the handler: json's errors hold the whole body.
    raise InvalidJSONError(trouble)


def _read(text: str) -> Any:
    if "\\u" in text and _LONE_SURROGATE.search(text.replace("\\\\", "..")):
        raise ValueError("a string has a lone surrogate")
    levels = _levels(text)
    if levels > MOST_LEVELS:
        raise ValueError(f"nested deeper than {MOST_LEVELS} levels")
    return _read_by_pieces(text) if levels > _PIECE else _READER.decode(text)


def _levels(text: str) -> int:
    """Return how deep `json` would go in *text* before its end or its first fault, or a number that is too large."""
    brackets = text.count("[") + text.count("{")
    if brackets <= _PIECE:
        return brackets
    outside_of_strings = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    return max(itertools.accumulate(_STEPS[bracket] for bracket in _BRACKETS.findall(outside_of_strings)), default=0)


def _read_by_pieces(text: str) -> Any:
    """Read JSON of many levels, the innermost piece first. In the text around a piece, `NaN` stands for it."""
    cut: list[tuple[list[str], list[Any]]] = [([], [])]
    level = done = 0
    for found in _STRINGS_AND_BRACKETS.finditer(text):
        part = found.group()
        if part == "NaN":
            _no_constant(part)
        step = _STEPS.get(part, 0)
        if step > 0 and level and level % _PIECE == 0:
            cut[-1][0].append(text[done : found.start()])
            cut.append(([], []))
            done = found.start()
        level += step
        if step < 0 and level % _PIECE == 0 and len(cut) > 1:
            value = _read_piece(*cut.pop(), text[done : found.end()])
            cut[-1][0].append("NaN")
            cut[-1][1].append(value)
            done = found.end()
    if len(cut) > 1:
        raise ValueError("unexpected end of data")
    return _read_piece(*cut.pop(), text[done:])


def _read_piece(parts: list[str], values: list[Any], rest: str) -> Any:
    inner = iter(values)
    return _decoder(lambda name: next(inner) if name == "NaN" else _no_constant(name)).decode("".join([*parts, rest]))


def _decoder(constant: Callable[[str], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=constant, parse_int=_integer, parse_float=_number)


def _integer(digits: str) -> int:
    if len(digits) >= _HUGE:
        _number(digits)
    return int(digits)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_READER = _decoder(_no_constant)

READERS: Final[Mapping[str, Callable[[bytes], Any]]] = (
    {"json": _by_json} if orjson is None else {"json": _by_json, "orjson": _by_orjson}
)
"""The readers that are here, each by the name of what it reads with."""

loads: Final = READERS.get("orjson", _by_json)
"""Read JSON. What is no JSON is an `InvalidJSONError`."""
