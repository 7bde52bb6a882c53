"""The live page: what there is to see at one moment, as HTML. Pure.

Everything is put into a tree, whose serializer escapes it: no text is ever put together with markup here.
"""

from __future__ import annotations

import math
import re

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import attrs

from .._api.serializers import listed
from .._state.catalogue import moment
from ..faults import _kinds


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._state.account import Server
    from .._state.backend import Call
    from ..faults import Fault
    from ..faults._injector import Counted, Strike


LONGEST = 200
"""Characters of a text that are shown, at most."""

_FAULTS = {kind: name for name, kind in _kinds.KINDS.items()}
_CONTENT = ("content", "headers")
_WORD = re.compile(r"[^\s/?&=+,;:'\"<>()]+")

_NAMES = {"class_": "class", "http_equiv": "http-equiv"}  # what Python does not take for a name of an argument


@attrs.frozen(kw_only=True)
class Seen:
    """What the page shows; of sequences the newest come first, and may be fewer than there are.

    Attributes:
        now: in seconds of the sandbox.
        speed: of its time, see the clocks.
        servers: each with the number of its account, from 1.
        server_count: how many there are.
        faults: those that are on, and what they have counted.
        strikes: what they struck.
        strike_count: how often, ever.
        calls: what was asked.
        call_count: how often, ever.
        is_token: whether a word is a token, and not to be shown.
    """

    now: float
    speed: float
    servers: Sequence[tuple[int, Server]]
    server_count: int
    faults: Sequence[tuple[Fault, Counted]]
    fault_count: int
    strikes: Sequence[Strike]
    strike_count: int
    calls: Sequence[Call]
    call_count: int
    is_token: Callable[[str], bool]


def page(seen: Seen) -> bytes:
    """Return the page."""
    html = _e(
        "html",
        _head(),
        _e(
            "body",
            _e("header", _e("h1", "VPS.org sandbox"), _summary(seen)),
            _e("p", id="lost", role="status", hidden="hidden"),
            _e("main", _servers(seen), _e("div", _faults(seen), _strikes(seen), _calls(seen))),
        ),
        lang="en",
    )
    text: str = ET.tostring(html, encoding="unicode", method="html")
    return f"<!DOCTYPE html>\n{text}".encode()


def described(fault: Fault) -> str:
    """Return *fault* as it is made, without the body and headers that it may answer."""
    what = attrs.asdict(fault.what, filter=lambda attribute, _: attribute.name not in _CONTENT)
    rule = attrs.asdict(fault, filter=lambda attribute, value: attribute.name != "what" and value is not None)
    arguments = ", ".join(f"{name}={value!r}" for name, value in (what | rule).items())
    return f"{_FAULTS[type(fault.what)]}({arguments})"


def shown(text: str, is_token: Callable[[str], bool]) -> str:
    """Return *text* as the page may show it: no token, nothing that cannot be seen, not too long."""
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


def _summary(seen: Seen) -> ET.Element:
    told = {
        "Time (UTC)": f"{moment(seen.now):%Y-%m-%d %H:%M:%S}",
        "Speed": _speed(seen.speed),
        "Servers": f"{seen.server_count:,}",
        "Faults on": f"{seen.fault_count:,}",
        "Struck": f"{seen.strike_count:,}",
        "Requests": f"{seen.call_count:,}",
    }
    return _e("dl", *(_e("div", _e("dt", name), _e("dd", value)) for name, value in told.items()), id="summary")


def _speed(speed: float) -> str:
    if speed == 0:
        return "frozen"
    return "as it is needed" if speed == math.inf else f"{speed:g} times real time"


def _servers(seen: Seen) -> ET.Element:
    rows = [_server(number, server, seen.now) for number, server in seen.servers]
    caption = _counted("Servers", len(rows), seen.server_count)
    columns = ("Id", "Name", "Status", "Location", "IP address", "Account", "Updated")
    return _section("servers", caption, columns, rows, "none so far")


def _server(number: int, server: Server, now: float) -> list[ET.Element]:
    data = listed(server)
    return [
        _e("td", str(server.id)),
        _e("th", server.name, scope="row"),
        _e("td", _e("span", server.status, class_=f"badge {server.status}")),
        _e("td", data["location"]),
        _e("td", data["ip_address"] or "none yet"),
        _e("td", str(number)),
        _e("td", _time(server.updated_at, now)),
    ]


def _faults(seen: Seen) -> ET.Element:
    rows = [
        [
            _e("td", _e("code", shown(described(fault), seen.is_token))),
            _e("td", str(counted.fitted)),
            _e("td", str(counted.struck) if fault.times is None else f"{counted.struck} of {fault.times}"),
        ]
        for fault, counted in seen.faults
    ]
    caption = _counted("Faults that are on", len(rows), seen.fault_count)
    return _section("faults", caption, ("Fault", "Fitted", "Struck"), rows, "none")


def _strikes(seen: Seen) -> ET.Element:
    rows = [
        [
            _e("td", _time(strike.at, seen.now)),
            _e("td", _e("code", shown(described(strike.fault), seen.is_token))),
            _e("td", _e("code", shown(f"{strike.call.method} {strike.call.path}", seen.is_token))),
        ]
        for strike in seen.strikes
    ]
    caption = _counted("Faults struck", len(rows), seen.strike_count)
    return _section("strikes", caption, ("At", "Fault", "Request"), rows, "none so far")


def _calls(seen: Seen) -> ET.Element:
    rows = [
        [
            _e("td", _time(call.at, seen.now)),
            _e("td", shown(call.method, seen.is_token)),
            _e("td", _e("code", _target(call, seen.is_token))),
            _e("td", _e("span", str(call.status or "no answer"), class_=f"badge s{call.status // 100}")),
        ]
        for call in seen.calls
    ]
    caption = _counted("Requests", len(rows), seen.call_count)
    return _section("requests", caption, ("At", "Method", "Path", "Status"), rows, "none so far")


def _target(call: Call, is_token: Callable[[str], bool]) -> str:
    query = "&".join(f"{name}={'•••' if is_token(value) else value}" for name, value in call.query.items())
    return shown(f"{call.path}?{query}" if query else call.path, is_token)


def _counted(what: str, shown_here: int, count: int) -> str:
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
    """Return the time of the day, or the day where it is not *now*'s; the rest is told when pointed at."""
    at = moment(seconds)
    text = f"{at:%H:%M:%S}" if at.date() == moment(now).date() else f"{at:%Y-%m-%d}"
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
