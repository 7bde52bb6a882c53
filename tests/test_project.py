"""Tests that facts about the project that stand in two places agree."""

from __future__ import annotations

import re
import tomllib

from tests.helpers import ROOT


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NO_COVER = re.compile(r"#\s*pragma:\s*no (?:cover|branch)(?P<reason>.*)")


def test_the_declared_lower_bounds_are_the_tested_ones():
    extras = PROJECT["optional-dependencies"]
    declared = [
        *re.findall(r"([\w-]+)>=([\d.]+)", "\n".join([*PROJECT["dependencies"], *extras["sandbox"], *extras["test"]]))
    ]

    tested = dict(
        line.split("==") for line in (ROOT / "tests" / "lowest.txt").read_text().splitlines() if line[0] != "#"
    )

    assert {name: _padded(bound) for name, bound in declared} == {name: _padded(pin) for name, pin in tested.items()}


def test_at_most_ten_places_are_excluded_from_coverage_and_each_has_a_reason():
    found = [match for path in (ROOT / "vpsorg_async").rglob("*.py") for match in NO_COVER.finditer(path.read_text())]

    assert len(found) <= 10
    assert [match[0] for match in found if len(match["reason"].strip(" -:")) < 10] == []


def _padded(version):
    return tuple(int(part) for part in [*version.split("."), "0", "0"][:3])
