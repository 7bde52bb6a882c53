"""Reading faults from a TOML file."""

from __future__ import annotations

import re

import pytest

from vpsorg_async.sandbox.faults import Fault
from vpsorg_async.sandbox.faults._kinds import KINDS
from vpsorg_async.sandbox.faults._toml import read_faults


EXAMPLE = """
# Every third create is executed, but its response is lost.
[[fault]]
kind = "drop"
after_commit = true
method = "POST"
path = "^/servers/$"
every = 3

[[fault]]
kind = "status"
code = 429
body = { detail = "Slow." }
headers = { Retry-After = 30 }
probability = 0.5
times = 2

[[fault]]
kind = "hang"
server_id = 7
"""
TEXTS = {
    "status": "code = 503",
    "drop": "",
    "cut": "at = 7",
    "delay": "seconds = 1.5",
    "drip": "bytes_per_second = 10",
    "hang": "",
    "stale": "seconds = 30",
    "omit": "count = 1",
    "loop": "",
    "as_status": 'text = "migrating"',
    "html": "",
    "bomb": "megabytes = 3",
    "end_in": 'status = "suspended"',
}
SEVERAL = "must contain one or more [[fault]] tables and nothing else"
ONE_OF = f"it must be one of {', '.join(KINDS)}"
WRONG = [
    ("", SEVERAL),
    ("[fault]\nkind = 'hang'", SEVERAL),
    ("fault = ['hang']", SEVERAL),
    ("seed = 7\n[[fault]]\nkind = 'hang'", SEVERAL),
    ("[[faults]]\nkind = 'hang'", SEVERAL),
    ("[[fault]]\nmethod = 'GET'", f"fault 1: kind is missing; {ONE_OF}"),
    ("[[fault]]\nkind = 'hang'\n[[fault]]\nkind = 'crash'", f"fault 2: kind = 'crash'; {ONE_OF}"),
    ("[[fault]]\nkind = ['hang']", f"fault 1: kind = ['hang']; {ONE_OF}"),
    ("[[fault]]\nkind = 'cut'", "fault 1, kind = 'cut': missing 1 required positional argument: 'at'"),
    ("[[fault]]\nkind = 'cut'\nat = -1", "fault 1, kind = 'cut': at=-1: must be 0 or more"),
    ("[[fault]]\nkind = 'cut'\nat = 1\nxyz = 1", "fault 1, kind = 'cut': got an unexpected keyword argument 'xyz'"),
    ("[[fault]]\nkind = 'hang'\ntimes = '1'", "fault 1, kind = 'hang': times must be a whole number, not '1'"),
    (
        "[[fault]]\nkind = 'status'\ncode = 500\nbody = 2025-01-01",
        "fault 1, kind = 'status': body must be a str, bytes or a JSON value, not datetime.date(2025, 1, 1)",
    ),
]


class TestReading:
    def test_a_table_is_a_fault(self, tmp_path):
        path = tmp_path / "faults.toml"
        path.write_text(EXAMPLE)

        assert read_faults(path) == [
            Fault.drop(after_commit=True, method="POST", path="^/servers/$", every=3),
            Fault.status(429, {"detail": "Slow."}, {"Retry-After": 30}, probability=0.5, times=2),
            Fault.hang(server_id=7),
        ]

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_can_be_told(self, tmp_path, kind):
        path = tmp_path / "faults.toml"
        path.write_text(f'[[fault]]\nkind = "{kind}"\n{TEXTS[kind]}')

        assert [type(fault.what) for fault in read_faults(path)] == [KINDS[kind]]

    @pytest.mark.parametrize(("text", "error"), WRONG, ids=range(len(WRONG)))
    def test_what_is_wrong_is_named(self, tmp_path, text, error):
        path = tmp_path / "faults.toml"
        path.write_text(text)

        with pytest.raises(ValueError) as caught:
            read_faults(path)

        assert re.fullmatch(re.escape(f"{path}") + "[:,] " + re.escape(error), str(caught.value))

    @pytest.mark.parametrize("content", [b"[[fault]", b"\xff"])
    def test_what_is_no_toml_is_said_to_be_none(self, tmp_path, content):
        path = tmp_path / "faults.toml"
        path.write_bytes(content)

        with pytest.raises(ValueError) as caught:
            read_faults(path)

        assert str(caught.value).startswith(f"{path}: not valid TOML: ")
