"""Turns JSON into models, and data into JSON."""

from __future__ import annotations

import functools

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from .. import _decoding, _json
from .._catalogue import reading
from .._decoding import json_type
from .._error_base import InvalidArgumentError
from .._errors import ResponseError
from .._models import FORM, Action, Server, ServerRef
from .._secrets import mentions_secret


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import EllipsisType

    import cattrs

    from .._catalogue.models import Account
    from .._decoding import JSON
    from .._models import Plan

T = TypeVar("T")

BODY_LIMIT: Final = 64 * 1024
"""So many bytes of an error's body are kept and read."""

DEPTH_LIMIT: Final = 100
"""Nothing that the API documents is deeper than 3; at 100, equality, pickling and copying still work anywhere."""

_CONTAINERS: Final = frozenset({dict, list})
_TOO_DEEP = f"JSON nested deeper than {DEPTH_LIMIT} levels"
EXCERPT: Final = 80
"""So many characters of something that is quoted in an error."""


@attrs.frozen(kw_only=True)
class Page:
    """One page of a list, its items as they came.

    Attributes:
        items: the raw items, in the API's order.
        count: how many there are on all pages, as the API says; `None` if it does not, or says no such number.
        next: the link to the next page, or `None`.
        bare: whether the response was an array without an object around it, which is the whole list.
    """

    items: list[Any]
    count: int | None
    next: str | None
    bare: bool


def loads(body: bytes) -> Any:
    """Read JSON.

    Raises:
        ResponseError: it is none, or nested deeper than `DEPTH_LIMIT`. The text shows nothing of what looks like JSON,
            as it may hold a password.
    """
    value = _parsed(body)
    # So deep a nesting has more brackets: counting is cheaper than walking.
    if body.count(b"{") + body.count(b"[") > DEPTH_LIMIT and _too_deep(value):
        raise ResponseError(f"the response is {_TOO_DEEP}")
    return value


def dumps(data: object) -> bytes:
    """Write the body of a request.

    Raises:
        TypeError: something in it is nothing that JSON has.
        InvalidArgumentError: a number that is not finite, a text that is not Unicode, a circle or too deep a nesting.
    """
    try:
        return _json.dumps(data)
    except _json.InvalidJSONError as error:
        trouble = str(error)
    raise InvalidArgumentError(f"the request's body cannot be sent as JSON: {trouble}")


def server(body: bytes) -> Server:
    """Read the response that is a server."""
    return _one(body, _server)


def plan(body: bytes) -> Plan:
    """Read the response that is a plan."""
    return _one(body, reading.plan)


def account(body: bytes) -> Account:
    """Read the response that tells whose token it is."""
    return _one(body, reading.account)


def _one(body: bytes, read: Callable[[Any], T]) -> T:
    data = loads(body)
    try:
        return read(data)
    except ValueError as error:
        trouble = f"{error} @ $"
    raise ResponseError(trouble)


def action(body: bytes) -> Action:
    """Read the response to a start, stop or reboot."""
    return _action(loads(body))


def nothing(body: bytes) -> None:
    """Read the response to a delete, which says nothing, or what nobody needs: but not a captive portal's page."""
    if body.strip():
        loads(body)


def page(body: bytes) -> Page:
    """Read one page of a list of servers, without its items, which may be of any depth."""
    return _page(_parsed(body))


def checked_page(body: bytes) -> Page:
    """Read one page of another list, without its items. Nothing in it is too deep."""
    return _page(loads(body))


def _page(data: JSON) -> Page:
    if type(data) is list:
        return Page(items=data, count=len(data), next=None, bare=True)
    if type(data) is not dict:
        raise ResponseError(f"the response is no object nor an array but {json_type(data)}")
    items: JSON | EllipsisType = data.get("results", ...)
    if items is None:
        # Some serializers write an empty list so.
        items = []
    if type(items) is not list:
        raise ResponseError(f"the response has no list @ $.results but {json_type(None if items is ... else items)}")
    count, following = data.get("count"), data.get("next")
    if following is not None and type(following) is not str:
        raise ResponseError(f"the response has no link @ $.next but {json_type(following)}")
    return Page(
        items=items, count=count if type(count) is int and count >= 0 else None, next=following or None, bare=False
    )


def servers(
    page: Page,
    *,
    first: int,
    skip_invalid: bool | Callable[[Any], bool],
    on_skipped: Callable[[str], None],
    wanted: Mapping[int, Server | None] | None = None,
) -> list[Server]:
    """Return the servers of a *page* whose first item is number *first* of the list, counted from 0.

    Of *wanted* places alone, if they are given: the server that is given there, or the one that the item is.

    Raises:
        ResponseError: an item is malformed, unless *skip_invalid*, of all items or of this one; then it is left out,
            and *on_skipped* told.
    """
    if wanted is None:
        # If one is malformed, which one it is comes out below.
        with suppress(ValueError):
            return _servers(page.items)
        wanted = dict.fromkeys(range(len(page.items)))
    found: list[Server] = []
    for index, server in wanted.items():
        item = page.items[index]
        try:
            found.append(server or _server(item))
        except ValueError as error:
            where = f"$[{index}]" if page.bare else f"$.results[{index}] of its page"
            trouble = f"item {first + index} of the list ({where}): {error}"
        else:
            continue
        if not (skip_invalid(item) if callable(skip_invalid) else skip_invalid):
            raise ResponseError(trouble)
        on_skipped(trouble)
    return found


# From bytes to models


def _parsed(body: bytes) -> Any:
    """Read JSON of any depth that `_json` takes: equality and copying may not."""
    try:
        return _json.loads(body)
    except _json.InvalidJSONError as error:
        trouble = _trouble(body.removeprefix(_json.BOM), error)
    raise ResponseError(trouble)


def _server(data: Any, _: object = Server) -> Server:
    found = Server.from_dict(data)
    plan, system, usage = found.plan, found.os, found.resource_usage
    # What is known is flat: only what is not can be deep.
    unknown = found.extra or (plan and plan.extra) or (system and system.extra) or (usage and usage.extra)
    if unknown and _too_deep(data):
        raise ValueError(_TOO_DEEP)
    return found


def _servers(items: list[Any], _: object = list[Server]) -> list[Server]:
    # What is read so has no unknown fields, so nothing in it is deep.
    found = FORM.read_all(items)
    return [_server(item) for item in items] if found is None else found


def _action(data: JSON, _: object = Action) -> Action:
    if type(data) is not dict:
        raise ResponseError(f"the response is no object but {json_type(data)}")
    status, message = data.get("status"), data.get("message")
    return Action(
        status=status if type(status) is str else "",
        message=message if type(message) is str else "",
        server=_reference(data.get("server")),
    )


def _reference(data: JSON) -> ServerRef:
    """Read the server that an action is about; the vendor's newer clients know its id as `uuid`."""
    if type(data) is not dict:
        raise ResponseError(f"no object but {json_type(data)} @ $.server")
    server_id = _decoding.key(data.get("id"))
    if server_id is None and (server_id := _decoding.key(data.get("uuid"))) is None:
        raise ResponseError("no usable id @ $.server")
    name, status = _decoding.text(data.get("name")), _decoding.status(data.get("status"))
    return ServerRef(id=server_id, name=name or "", status=status or "")


@functools.cache
def converter() -> cattrs.Converter:
    """Return what reads and writes the models as parts of other classes, by the same functions as calls do."""
    # No call needs it, and its import takes a quarter of the time that the first client takes.
    import cattrs  # noqa: PLC0415

    made = cattrs.Converter()
    made.register_structure_hook(Server, _server)
    made.register_structure_hook_func(lambda cls: cls == list[Server], _servers)
    made.register_structure_hook(Action, _action)
    made.register_unstructure_hook(Server, Server.to_dict)
    return made


# What was wrong


def _too_deep(value: Any) -> bool:
    level: list[dict[str, Any] | list[Any]] = [value] if type(value) in _CONTAINERS else []
    for _ in range(DEPTH_LIMIT):
        if not level:
            return False
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if type(child) in _CONTAINERS
        ]
    return bool(level)


def _trouble(body: bytes, error: _json.InvalidJSONError) -> str:
    start = body[:BODY_LIMIT].lstrip()
    if not start:
        return "the response is empty"
    text = start.decode("utf-8", "replace")
    if is_html(text):
        return "the response is HTML, not JSON (a proxy or captive portal?)"
    if text[0] in '{["':
        return f"the response is broken JSON of {len(body)} bytes: {error}"
    if mentions_secret(text):
        # It speaks of a password or a token, and may hold it.
        return f"the response is not JSON but a text of {len(body)} bytes"
    return f'the response is not JSON but "{one_line(text, EXCERPT)}"'


def is_html(text: str) -> bool:
    start = text[:1024].lower()
    return start.startswith("<") and ("<html" in start or "<!doctype html" in start)


def one_line(text: str, limit: int) -> str:
    """Return *text* as one line of at most *limit* characters, with control characters escaped."""
    # No more than this is worth a split: a page may begin with much white space.
    words = " ".join(text[: 16 * limit].split())
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in words[:limit])
    return shown if len(words) <= limit and len(shown) <= limit else shown[: limit - 1] + "…"
