"""Render the live page as HTML from a snapshot of the sandbox."""

from __future__ import annotations

import math
import re

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import attrs

from .._api.serializers import listed
from .._state.account import STATUSES
from .._state.catalogue import utc_time
from ..faults import _kinds


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._state.account import Server
    from .._state.calls import Call
    from ..faults import Fault
    from ..faults._injector import Counts, Injection


LONGEST = 200
"""The highest number of characters of a text that are shown."""

_FAULTS = {kind: name for name, kind in _kinds.KINDS.items()}
_CONTENT = ("content", "headers")
_WORD = re.compile(r"[^\s/?&=+,;:'\"<>()]+")

_NAMES = {"class_": "class", "http_equiv": "http-equiv"}  # names that Python does not allow for arguments


@attrs.frozen(kw_only=True)
class Snapshot:
    """The state that the page shows.

    Sequences begin with the newest item, and may be shorter than their count.

    Attributes:
        now: the time, in sandbox seconds.
        speed: sandbox seconds per real second.
        servers: the servers, each after the number of its account, from 1.
        server_count: the number of all servers.
        faults: the active faults and their counts.
        fault_count: the number of active faults.
        injections: the faults that were applied to requests.
        injection_count: the number of all these so far.
        calls: the requests.
        call_count: the number of requests so far.
        is_token: returns whether a word is a token, which must not be shown.
    """

    now: float
    speed: float
    servers: Sequence[tuple[int, Server]]
    server_count: int
    faults: Sequence[tuple[Fault, Counts]]
    fault_count: int
    injections: Sequence[Injection]
    injection_count: int
    calls: Sequence[Call]
    call_count: int
    is_token: Callable[[str], bool]


def page(snapshot: Snapshot) -> bytes:
    """Return the page as UTF-8."""
    # A tree, whose serializer escapes every text: no string here combines text and markup.
    html = _e(
        "html",
        _head(),
        _e(
            "body",
            _e("header", _e("h1", "VPS.org sandbox"), _summary(snapshot)),
            _e("p", id="lost", role="status", hidden="hidden"),
            _e("main", _servers(snapshot), _e("div", _faults(snapshot), _injections(snapshot), _calls(snapshot))),
        ),
        lang="en",
    )
    text: str = ET.tostring(html, encoding="unicode", method="html")
    return f"<!DOCTYPE html>\n{text}".encode()


def described(fault: Fault) -> str:
    """Return *fault* as a call of its class method, without the body and headers of a response."""
    what = attrs.asdict(fault.what, filter=lambda attribute, _: attribute.name not in _CONTENT)
    rule = attrs.asdict(fault, filter=lambda attribute, value: attribute.name != "what" and value is not None)
    arguments = ", ".join(f"{name}={value!r}" for name, value in (what | rule).items())
    return f"{_FAULTS[type(fault.what)]}({arguments})"


def shown(text: str, is_token: Callable[[str], bool]) -> str:
    """Return *text* without tokens and invisible characters, and cut to `LONGEST`."""
    hidden = _WORD.sub(lambda word: "•••" if word[0].startswith("vps_") or is_token(word[0]) else word[0], text)
    visible = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in hidden)
    return visible if len(visible) <= LONGEST else visible[: LONGEST - 1] + "…"


def _head() -> ET.Element:
    return _e(
        "head",
        _e("meta", charset="utf-8"),
        _e("title", "VPS.org sandbox"),
        _e("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _e("meta", name="color-scheme", content="light dark"),
        _e("link", rel="icon", href="icon.svg"),
        _e("link", rel="stylesheet", href="page.css"),
        _e("script", src="page.js", defer="defer"),
        _e("noscript", _e("meta", http_equiv="refresh", content="5")),
    )


def _summary(snapshot: Snapshot) -> ET.Element:
    values = {
        "Time (UTC)": f"{utc_time(snapshot.now):%Y-%m-%d %H:%M:%S}",
        "Speed": _speed(snapshot.speed),
        "Servers": f"{snapshot.server_count:,}",
        "Faults on": f"{snapshot.fault_count:,}",
        "Struck": f"{snapshot.injection_count:,}",
        "Requests": f"{snapshot.call_count:,}",
    }
    return _e("dl", *(_e("div", _e("dt", name), _e("dd", value)) for name, value in values.items()), id="summary")


def _speed(speed: float) -> str:
    if speed == 0:
        return "frozen"
    return "as it is needed" if speed == math.inf else f"{speed:g} times real time"


def _servers(snapshot: Snapshot) -> ET.Element:
    rows = [_server(number, server, snapshot.now, snapshot.is_token) for number, server in snapshot.servers]
    caption = _caption("Servers", len(rows), snapshot.server_count)
    columns = ("Id", "Name", "Status", "Location", "IP address", "Account", "Updated")
    return _section("servers", caption, columns, rows, "none so far")


def _server(number: int, server: Server, now: float, is_token: Callable[[str], bool]) -> list[ET.Element]:
    data = listed(server)
    # A test may have set any text as the status.
    status_class = server.status if server.status in STATUSES else "other"
    return [
        _e("td", str(server.id)),
        _e("th", server.name, scope="row"),
        _e("td", _e("span", shown(server.status, is_token), class_=f"badge {status_class}")),
        _e("td", data["location"]),
        _e("td", data["ip_address"] or "none yet"),
        _e("td", str(number)),
        _e("td", _time(server.updated_at, now)),
    ]


def _faults(snapshot: Snapshot) -> ET.Element:
    rows = [
        [
            _e("td", _e("code", shown(described(fault), snapshot.is_token))),
            _e("td", str(counts.matched)),
            _e("td", str(counts.applied) if fault.times is None else f"{counts.applied} of {fault.times}"),
        ]
        for fault, counts in snapshot.faults
    ]
    caption = _caption("Faults that are on", len(rows), snapshot.fault_count)
    return _section("faults", caption, ("Fault", "Fitted", "Struck"), rows, "none")


def _injections(snapshot: Snapshot) -> ET.Element:
    rows = [
        [
            _e("td", _time(injection.at, snapshot.now)),
            _e("td", _e("code", shown(described(injection.fault), snapshot.is_token))),
            _e("td", _e("code", shown(f"{injection.call.method} {injection.call.path}", snapshot.is_token))),
        ]
        for injection in snapshot.injections
    ]
    caption = _caption("Faults applied", len(rows), snapshot.injection_count)
    return _section("strikes", caption, ("At", "Fault", "Request"), rows, "none so far")


def _calls(snapshot: Snapshot) -> ET.Element:
    rows = [
        [
            _e("td", _time(call.at, snapshot.now)),
            _e("td", shown(call.method, snapshot.is_token)),
            _e("td", _e("code", _target(call, snapshot.is_token))),
            _e("td", _e("span", str(call.status or "no response"), class_=f"badge s{call.status // 100}")),
        ]
        for call in snapshot.calls
    ]
    caption = _caption("Requests", len(rows), snapshot.call_count)
    return _section("requests", caption, ("At", "Method", "Path", "Status"), rows, "none so far")


def _target(call: Call, is_token: Callable[[str], bool]) -> str:
    query = "&".join(f"{name}={'•••' if is_token(value) else value}" for name, value in call.query.items())
    return shown(f"{call.path}?{query}" if query else call.path, is_token)


def _caption(what: str, shown_here: int, count: int) -> str:
    return f"{what}: {count:,}" if shown_here == count else f"{what}: the latest {shown_here:,} of {count:,}"


def _section(
    name: str, caption: str, columns: Sequence[str], rows: Sequence[list[ET.Element]], nothing: str
) -> ET.Element:
    body = [_e("tr", *row) for row in rows] or [_e("tr", _e("td", nothing, colspan=str(len(columns)), class_="none"))]
    table = _e(
        "table",
        _e("caption", caption),
        _e("thead", _e("tr", *(_e("th", column, scope="col") for column in columns))),
        _e("tbody", *body),
    )
    return _e("section", table, id=name)


def _time(seconds: float, now: float) -> ET.Element:
    """Return the time of day, or the date if it is not that of *now*; the tooltip shows both."""
    at = utc_time(seconds)
    text = f"{at:%H:%M:%S}" if at.date() == utc_time(now).date() else f"{at:%Y-%m-%d}"
    return _e("time", text, datetime=f"{at:%Y-%m-%dT%H:%M:%SZ}", title=f"{at:%Y-%m-%d %H:%M:%S} UTC")


def _e(tag: str, *children: ET.Element | str, **attributes: str) -> ET.Element:
    element = ET.Element(tag, {_NAMES.get(name, name): value for name, value in attributes.items()})
    for child in children:
        if not isinstance(child, str):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + child
        else:
            element.text = (element.text or "") + child
    return element
