"""The arguments of faults: which are accepted, which are refused, and how they are kept."""

from __future__ import annotations

import pickle

import attrs
import pytest

from tests.sandbox.conftest import MAKE
from vpsorg_async.sandbox import faults as public
from vpsorg_async.sandbox._state.account import STATUSES
from vpsorg_async.sandbox.faults import Fault
from vpsorg_async.sandbox.faults._kinds import KINDS


SET_BY_THE_SERVER = "is set by the server and cannot be replaced; use Fault.cut() or Fault.drop() for a broken response"
REFUSED = [
    (lambda: Fault.status("503"), TypeError, "code must be a whole number, not '503'"),
    (lambda: Fault.status(True), TypeError, "code must be a whole number, not True"),
    (lambda: Fault.status(100), ValueError, "code=100: must be from 200 to 599"),
    (lambda: Fault.status(600), ValueError, "code=600: must be from 200 to 599"),
    (lambda: Fault.status(204, "x"), ValueError, "body: a response with status 204 has no body"),
    (lambda: Fault.status(500, {1j}), TypeError, "body must be a str, bytes or a JSON value, not {1j}"),
    (
        lambda: Fault.status(500, float("nan")),
        TypeError,
        "body must be a str, bytes or a JSON value, not nan",
    ),
    (
        lambda: Fault.status(500, headers=[("A", "b")]),
        TypeError,
        "headers must be a mapping of names to values, not [('A', 'b')]",
    ),
    (
        lambda: Fault.status(500, headers={"A": None}),
        TypeError,
        "headers: a name must be a str and a value a str or int, not 'A': None",
    ),
    (
        lambda: Fault.status(500, headers={"A": "b\r\nC: d"}),
        ValueError,
        "headers: 'A': 'b\\r\\nC: d' is not a valid header",
    ),
    (lambda: Fault.status(500, headers={"A b": "c"}), ValueError, "headers: 'A b': 'c' is not a valid header"),
    (
        lambda: Fault.status(500, headers={"Content-length": "5"}),
        ValueError,
        f"headers: Content-length {SET_BY_THE_SERVER}",
    ),
    (lambda: Fault.drop(1), TypeError, "after_commit must be True or False, not 1"),
    (lambda: Fault.cut(-1), ValueError, "at=-1: must be 0 or more"),
    (lambda: Fault.cut(1.5), TypeError, "at must be a whole number, not 1.5"),
    (lambda: Fault.delay(-1), ValueError, "seconds=-1: must be a finite number of at least 0"),
    (lambda: Fault.delay("1"), TypeError, "seconds must be a number, not '1'"),
    (lambda: Fault.delay(float("inf")), ValueError, "seconds=inf: must be a finite number of at least 0"),
    (lambda: Fault.drip(0), ValueError, "bytes_per_second=0: must be a finite number above 0"),
    (lambda: Fault.drip(float("nan")), ValueError, "bytes_per_second=nan: must be a finite number above 0"),
    (lambda: Fault.stale(None), TypeError, "seconds must be a number, not None"),
    (lambda: Fault.omit(0), ValueError, "count=0: must be 1 or more"),
    (lambda: Fault.as_status(7), TypeError, "text must be a str, not 7"),
    (lambda: Fault.bomb(0), ValueError, "megabytes=0: must be from 1 to 10000"),
    (lambda: Fault.bomb(2.5), TypeError, "megabytes must be a whole number, not 2.5"),
    (lambda: Fault.end_in("actve"), ValueError, f"status='actve' must be one of {', '.join(STATUSES)}"),
    (lambda: Fault.end_in(None), TypeError, "status must be a str, not None"),
    (lambda: Fault.hang(method=1), TypeError, "method must be a str, not 1"),
    (lambda: Fault.hang(method="GET /"), ValueError, "method='GET /' is not an HTTP method"),
    (lambda: Fault.hang(path=7), TypeError, "path must be a str, not 7"),
    (
        lambda: Fault.hang(path="("),
        ValueError,
        "path='(' is not a regular expression: missing ), unterminated subpattern at position 0",
    ),
    (lambda: Fault.hang(server_id=1.0), TypeError, "server_id must be an int or a str, not 1.0"),
    (lambda: Fault.hang(server_id=True), TypeError, "server_id must be an int or a str, not True"),
    (lambda: Fault.hang(server_id=""), ValueError, "server_id='' is not the id of a server"),
    (lambda: Fault.hang(server_id=-1), ValueError, "server_id=-1 is not the id of a server"),
    (lambda: Fault.hang(times=0), ValueError, "times=0: must be 1 or more"),
    (lambda: Fault.hang(times="1"), TypeError, "times must be a whole number, not '1'"),
    (lambda: Fault.hang(every=0), ValueError, "every=0: must be 1 or more"),
    (lambda: Fault.hang(every=1.0), TypeError, "every must be a whole number, not 1.0"),
    (lambda: Fault.hang(probability=1.5), ValueError, "probability=1.5: must be from 0 to 1"),
    (lambda: Fault.hang(probability=-0.1), ValueError, "probability=-0.1: must be a finite number of at least 0"),
    (lambda: Fault.hang(probability="half"), TypeError, "probability must be a number, not 'half'"),
    (lambda: Fault.hang(xyz=True), TypeError, "Fault.__init__() got an unexpected keyword argument 'xyz'"),
]


class TestArguments:
    @pytest.mark.parametrize(("make", "error", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
    def test_what_cannot_be_is_refused_by_name(self, make, error, text):
        with pytest.raises(error) as caught:
            make()

        assert str(caught.value) == text

    def test_there_is_a_method_for_every_kind_and_no_other(self):
        methods = {name for name, member in vars(Fault).items() if isinstance(member, classmethod)}

        assert methods == set(KINDS) == {name.removesuffix("_after_commit") for name in MAKE}
        assert {name: type(make().what) for name, make in MAKE.items() if name in KINDS} == KINDS
        assert public.__all__ == ["Fault", "Rule"]

    @pytest.mark.parametrize("kind", MAKE)
    def test_a_fault_is_frozen_and_its_rule_is_kept(self, kind):
        rule = {"method": "GET", "path": "/", "server_id": 7, "times": 2, "every": 3, "probability": 0.5}
        fault = MAKE[kind](**rule)

        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            fault.times = 5

        assert {name: getattr(fault, name) for name in rule} == rule
        assert fault == MAKE[kind](**rule)
        assert len({fault, MAKE[kind](**rule)}) == 1

    @pytest.mark.parametrize(
        ("body", "content", "media_type"),
        [
            (None, b'{"detail":"Bad Gateway."}', "application/json"),
            ("down", b"down", "text/plain; charset=utf-8"),
            (b"\xff", b"\xff", "application/octet-stream"),
            ({"name": ["x"]}, b'{"name":["x"]}', "application/json"),
            ([], b"[]", "application/json"),
        ],
    )
    def test_a_body_is_fixed_when_the_fault_is_made(self, body, content, media_type):
        what = Fault.status(502, body).what

        assert (what.content, what.headers) == (content, (("Content-Type", media_type),))

    def test_its_type_may_be_given(self):
        what = Fault.status(502, "<p>", {"content-type": "text/html"}).what

        assert what.headers == (("content-type", "text/html"),)

    def test_a_status_without_a_name_still_has_a_body(self):
        assert Fault.status(599).what.content == b'{"detail":"Status 599."}'

    @pytest.mark.parametrize("kind", MAKE)
    def test_a_pickled_fault_is_equal_to_the_original(self, kind):
        """The pickle contains its public name."""
        fault = MAKE[kind](method="GET", every=3)

        assert pickle.loads(pickle.dumps(fault)) == fault
        assert (Fault.__module__, public.Rule.__module__) == ("vpsorg_async.sandbox.faults",) * 2
