"""What masks a token."""

from __future__ import annotations

import json

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import ConfigurationError
from vpsorg_async._request.masked_token import NO_TOKEN, header_of, without_frames
from vpsorg_async._secrets import Hidden


VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)


@given(VISIBLE)
def test_a_token_is_masked_as_it_is_and_as_json_writes_it(token):
    header = header_of(Hidden(token))

    assert header == b"Bearer " + token.encode()
    assert token not in f"{header!r}{header}{Hidden(token)!r}"
    assert header.masked_text(f"<{token}>") == "<[token]>"
    assert token not in header.masked_text(json.dumps({"detail": token}))


@pytest.mark.parametrize("token", ["", "a b", "a\n", "é", 7, None])
def test_one_that_no_header_can_have_is_refused_without_being_shown(token):
    with pytest.raises(ConfigurationError) as caught:
        header_of(Hidden(token))

    assert not token or str(token) not in str(caught.value).replace("a str", "").replace("int", "")


def test_no_token_masks_nothing():
    assert NO_TOKEN.masked(b"Bearer ") == b"Bearer "


def test_frames_are_taken_from_an_error_and_all_that_it_came_from():
    def fail():
        token = "vps_12345678"
        raise ValueError(len(token))

    try:
        try:
            fail()
        except ValueError as cause:
            raise KeyError("x") from cause
    except KeyError as error:
        bare = without_frames(error)

    assert (bare.__traceback__, bare.__context__, bare.__cause__.__traceback__) == (None, None, None)
