"""Both readers of JSON give the same values and refuse the same texts; without orjson nothing else changes."""

from __future__ import annotations

import json
import math

from typing import Any

import pytest

from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers_models import JSON, OBJECTS, exact
from tests.processes import ran
from vpsorg_async import _json


REFUSED = object()
DOCUMENTS = {
    b"0": 0,
    b"-0": 0,
    b"-0.0": -0.0,
    b' [1, 2.5, "a"]\r\n\t': [1, 2.5, "a"],
    b'{"a": {"b": null}}': {"a": {"b": None}},
    b"18446744073709551615": 2**64 - 1,
    b"18446744073709551616": 2**64,
    b"-9223372036854775809": -(2**63) - 1,
    b"[12345678901234567890123]": [12345678901234567890123],
    b"9" * 308: 10**308 - 1,
    b"1" + b"0" * 308: 10**308,
    b"12345678901234567890123.5": 12345678901234567890123.5,
    b"1e-999": 0.0,
    b"0e999": 0.0,
    b"0." + b"0" * 10_000: 0.0,
    b'{"a": 1, "b": 2, "a": 3}': {"a": 3, "b": 2},
    b"\xef\xbb\xbf[1]": [1],
    b'"\\ud83d\\ude00"': "\U0001f600",
    b'"\\\\ud800"': "\\ud800",
    b'"\\u0000\x7f\\/"': "\x00\x7f/",
    b'"[[[[NaN"': "[[[[NaN",
    b'["]", "\\"]", "\\\\", "["]': ["]", '"]', "\\", "["],
}
NOT_JSON = [
    *(b"", b" ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf1", b"\x00", b"nul", b"{} {}", b"]", b"[}"),
    *(b"[1,]", b'{"a":1,}', b"[1 2]", b'{"a" 1}', b"{1:2}", b"[,]", b'"a', b'"\\', b"'a'", b"\x0b1"),
    *(b"NaN", b"[NaN]", b"Infinity", b"[-Infinity]", b"-NaN", b"1e999", b"-1E400", b"8" * 309, b"1" * 5_000),
    *(b"01", b"1.", b".5", b"-", b"+1", b"1e", b"0x1", b"1_000"),
    *(b'"\\ud800"', b'"\\udc00"', b'{"\\ud800": 1}', b'"\\ud83d\\\\\\ude00"', b'"\\ude00\\ud83d"', b'"\\ud83d\\ud83d"'),
    *(b'"\\ud83d\\ude00\\ude00"', b'"\\ud800\\u0041"', b'"\\uD8', b'"\\x41"', b'"\\u00"', b'"\x01"', b'"a\nb"'),
    *(b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', '"a"'.encode("utf-16"), '"a"'.encode("utf-16-le")),
    *(b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b'["' + b'\\"' * 100_000),
    *(b"[" * 1025 + b"]" * 1025, b'{"a":' * 1025 + b"1" + b"}" * 1025, b"[" * 150 + b"NaN" + b"]" * 150),
    *(b"[" * 150 + b"]" * 149, b"[" * 160 + b"]" * 161, b"[" * 150 + b"}" * 150, b"[" * 150 + b'"' + b"]" * 150),
    *(b"[" * 100 + b"[] 1" + b"]" * 100, b"[" * 100 + b"-[]" + b"]" * 100, b"[" * 99 + b"{[]: 1}" + b"]" * 99),
    b"]" * 150 + b"[" * 300,
]
PIECES = st.sampled_from(
    [*'[]{},:"\\ 1-.e', "ud83d", "\\ude00", "NaN", "Infinity", "null", "9" * 25, '"a":', "\ufeff", "é"]
)
DEEP = st.builds(
    lambda levels, inner, end: "[" * levels + inner + "]" * levels + end,
    st.sampled_from([98, 99, 100, 101, 199, 200, 201, 300, 1000, 1023, 1024]),
    st.sampled_from(
        ["", "NaN", "Infinity", "[]", "[],[]", '"["', '"]","]"', '{"a":[]},1', "[[],[[]]]", "-[]", "[]1", '"', "9" * 25]
    ),
    st.sampled_from(["", "", "]", ",1", "1", '"']),
)


@pytest.fixture(params=_json.READERS)
def read(request: pytest.FixtureRequest) -> Any:
    return _json.READERS[request.param]


def brief(value: Any) -> str | None:
    return f"{value[:24]!r} {value[-8:]!r} {len(value)}" if isinstance(value, bytes) else "value"


def flat(value: Any) -> Any:
    """Return *value* as text, however deep it is."""
    levels = 0
    while type(value) is list and value and type(value[0]) is list:
        levels, value = levels + 1, [*value[1:], *value[0]] if len(value) > 1 else value[0]
    return levels, exact(value)


def outcome(read: Any, body: bytes) -> Any:
    try:
        return flat(read(body))
    except _json.InvalidJSONError as error:
        refusal = error
    # The readers' own errors hold the body, in which there may be a password.
    assert refusal.__cause__ is None
    assert refusal.__context__ is None
    assert len(str(refusal)) < 200
    return REFUSED


class TestReaders:
    @pytest.mark.parametrize(("body", "value"), DOCUMENTS.items(), ids=brief)
    def test_json_is_read_exactly(self, read, body, value):
        assert exact(read(body)) == exact(value)
        assert not isinstance(value, float) or math.copysign(1, read(body)) == math.copysign(1, value)

    @pytest.mark.parametrize("body", NOT_JSON, ids=brief)
    def test_what_is_no_json_is_one_clean_error(self, read, body):
        """T5: never RecursionError, and no body in the error."""
        assert outcome(read, body) is REFUSED

    @pytest.mark.parametrize("levels", [1, 99, 100, 101, 250, 1024])
    @pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}"), ('[1,{"[":', "},2]")], ids=str)
    def test_any_depth_up_to_1024_levels_is_read(self, read, begin, end, levels):
        each = begin.count("[") + begin.count("{") - begin.count('"["')
        value = read((begin * (levels // each) + "7" + end * (levels // each)).encode())

        depth = 0
        while value != 7:
            depth += 1
            value = value[-2 if len(value) > 2 else -1] if type(value) is list else next(iter(value.values()))
        assert depth == levels // each * each

    def test_a_large_stack_does_not_let_brackets_overflow_it(self):
        """T5: a program may have raised its limit of recursion."""
        code = (
            "import sys; sys.setrecursionlimit(10**6)\n"
            "from vpsorg_async import _json\n"
            "for read in _json.READERS.values():\n"
            "    for body in (b'[' * 10**6, b'{\"a\":' * 10**6, b'[\"]\",' * 10**6, b'[\"\\\\\\\\\",' * 10**6):\n"
            "        try: read(body)\n"
            "        except _json.InvalidJSONError: pass\n"
            "print('whole')"
        )

        done = ran("-c", code)

        assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", "")


class TestSameness:
    """Without orjson in the environment, these compare a reader with itself: a run with it has compared them."""

    @given(JSON | OBJECTS, st.booleans())
    def test_any_data_is_the_same_by_all_and_as_it_was(self, data, ascii_only):
        body = json.dumps(data, ensure_ascii=ascii_only).encode()

        assert {flat(read(body)) for read in _json.READERS.values()} == {flat(json.loads(body))}

    @given(
        st.lists(PIECES, max_size=12).map("".join)
        | st.builds(
            lambda data, at, piece: f"{json.dumps(data)[:at]}{piece}{json.dumps(data)[at:]}",
            JSON,
            st.integers(0, 40),
            PIECES,
        )
        | DEEP
    )
    @example("[" * 100 + "[NaN]" + "]" * 100)
    def test_any_text_is_the_same_by_all_or_refused_by_all(self, text):
        assert len({outcome(read, text.encode()) for read in _json.READERS.values()}) == 1

    @given(
        st.binary(max_size=12)
        | st.builds(
            lambda data, at, odd: data[:at] + odd + data[at:],
            st.just(b'{"a":"b\\u00e9"}'),
            st.integers(0, 16),
            st.binary(max_size=3),
        )
    )
    def test_any_bytes_are_the_same_by_all_or_refused_by_all(self, body):
        assert len({outcome(read, body) for read in _json.READERS.values()}) == 1


class TestChoice:
    def test_orjson_reads_where_it_is_installed(self):
        assert _json.loads is _json.READERS.get("orjson", _json.READERS["json"])

    def test_without_orjson_the_package_works(self):
        code = (
            "import sys; sys.modules['orjson'] = None\n"
            "import vpsorg_async\n"
            "from vpsorg_async import _json\n"
            "from vpsorg_async._request import codec\n"
            "print([*_json.READERS], codec.server(b'{\"id\": 12345678901234567890123}').id)"
        )

        done = ran("-c", code)

        assert (done.stdout, done.stderr) == ("['json'] 12345678901234567890123\n", "")


class TestDumps:
    def test_it_writes_compact_utf8(self):
        assert (
            _json.dumps({"a": [1, "é", None, 10**30]}) == '{"a":[1,"é",null,1000000000000000000000000000000]}'.encode()
        )

    @pytest.mark.parametrize("data", [math.nan, -math.inf, "\ud800", {"\ud800": 1}], ids=ascii)
    def test_what_json_cannot_carry_is_refused(self, data):
        with pytest.raises(_json.InvalidJSONError) as caught:
            _json.dumps([data])

        assert caught.value.__context__ is None

    @pytest.mark.parametrize("data", [b"web", {1}, object(), {(1, 2): 3}], ids=lambda data: type(data).__name__)
    def test_what_json_does_not_have_is_a_type_error(self, data):
        with pytest.raises(TypeError):
            _json.dumps(data)

    @given(JSON | OBJECTS)
    def test_what_it_writes_is_read_back(self, data):
        assert {flat(read(_json.dumps(data))) for read in _json.READERS.values()} == {flat(data)}
