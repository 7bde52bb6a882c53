"""The HTML of the live page: what it shows and what it hides."""

from __future__ import annotations

import math

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import MAKE
from tests.sandbox.ui.conftest import Reading
from vpsorg_async.sandbox import Call
from vpsorg_async.sandbox._ui.page import LONGEST, Snapshot, page
from vpsorg_async.sandbox.faults import Fault
from vpsorg_async.sandbox.faults._injector import Counts, Injection


pytestmark = pytest.mark.anyio

EMPTY = Snapshot(
    now=0.0,
    speed=1.0,
    servers=[],
    server_count=0,
    faults=[],
    fault_count=0,
    injections=[],
    injection_count=0,
    calls=[],
    call_count=0,
    is_token=lambda word: word in ("s3cret", "a/b=="),
)


def call(path="/servers/", query=None, method="GET", status=200):
    return Call(method=method, path=path, query=query or {}, json={"name": "body"}, status=status, at=0.0)


class TestWhatItShows:
    async def test_where_there_is_nothing_it_says_so(self):
        parsed = Reading(page(EMPTY))

        assert parsed.rows == {
            "servers": [["none so far"]],
            "faults": [["none"]],
            "strikes": [["none so far"]],
            "requests": [["none so far"]],
        }

    @pytest.mark.parametrize(
        ("speed", "text"), [(0.0, "frozen"), (60.0, "60 times real time"), (math.inf, "as it is needed")]
    )
    async def test_how_time_passes_is_told(self, speed, text):
        assert Reading(page(attrs.evolve(EMPTY, speed=speed))).summary["Speed"] == text

    async def test_a_request_without_an_answer_has_no_status(self):
        assert Reading(page(attrs.evolve(EMPTY, calls=[call(status=0)]))).rows["requests"][0][-1] == "no response"

    @pytest.mark.parametrize("kind", MAKE)
    async def test_each_kind_of_fault_has_a_name(self, kind):
        fault = MAKE[kind](method="GET")

        (row,) = Reading(page(attrs.evolve(EMPTY, faults=[(fault, Counts())]))).rows["faults"]

        assert row[0].startswith(kind.removesuffix("_after_commit") + "(")
        assert "method='GET'" in row[0]


HOSTILE = "/<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt;&#60;--><!--]]></td>"


def with_text(text):
    """Return a page with *text* in every place for text from outside."""
    fault = attrs.evolve(Fault.as_status(text), server_id=text or None)
    request = call(path=text, query={text: text}, method=text)
    return Reading(
        page(
            attrs.evolve(
                EMPTY,
                calls=[request],
                faults=[(fault, Counts())],
                injections=[Injection(fault=fault, call=request, at=0.0)],
            )
        )
    )


class TestWhatItHides:
    @given(st.text() | st.sampled_from([HOSTILE]))
    def test_whatever_a_text_holds_it_adds_no_markup(self, text):
        """No text adds an element or an attribute."""
        assert with_text(text).tags == with_text("harmless").tags

    def test_a_hostile_text_is_shown_as_it_is(self):
        assert with_text(HOSTILE).rows["requests"][0][2] == f"{HOSTILE}?{HOSTILE}={HOSTILE}"[: LONGEST - 1] + "…"

    @pytest.mark.parametrize("character", ["\x00", "\n", "\x1b", "\u202e", "\ud800"])
    def test_what_cannot_be_seen_is_shown_as_such(self, character):
        """One example is the override to right-to-left, which changes how the following text looks."""
        assert (
            Reading(page(attrs.evolve(EMPTY, calls=[call(f"/a{character}b/")]))).rows["requests"][0][2] == "/a\ufffdb/"
        )

    @pytest.mark.parametrize(
        ("path", "query", "shown"),
        [
            ("/servers/", {"token": "s3cret"}, "/servers/?token=•••"),
            ("/servers/", {"token": "a/b=="}, "/servers/?token=•••"),
            ("/s3cret/", {}, "/•••/"),
            ("/servers/", {"a": "Bearer vps_live-1"}, "/servers/?a=Bearer •••"),
            ("/servers/", {"vps_x": "1"}, "/servers/?•••=1"),
            ("/servers/", {"status": "active"}, "/servers/?status=active"),
        ],
    )
    def test_a_token_in_a_url_is_not_shown(self, path, query, shown):
        """Tokens of the sandbox and texts that look like tokens are hidden."""
        assert Reading(page(attrs.evolve(EMPTY, calls=[call(path, query)]))).rows["requests"][0][2] == shown


def test_the_page_takes_nothing_from_elsewhere():
    """Every link is a relative one, to a file next to the page."""
    links = [attributes.get("href") or attributes.get("src") for tag, attributes in Reading(page(EMPTY)).tags]

    assert {link for link in links if link} == {"icon.svg", "page.css", "page.js"}
