"""Tests that facts about the project that stand in two places agree."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement

from tests.helpers import ROOT


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
REPOSITORY = re.compile(r"https://(?:github|gitlab)\.com/[\w.-]+/vpsorg[\w-]*")
NO_COVER = re.compile(r"#\s*pragma:\s*no (?:cover|branch)(?P<reason>.*)")


def test_the_declared_lower_bounds_are_the_tested_ones():
    named = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    declared = re.findall(r"([\w-]+)>=([\d.b]+)", "\n".join(line for lines in named for line in lines))

    tested = dict(
        line.split("==") for line in (ROOT / "tests" / "lowest.txt").read_text().splitlines() if line[0] != "#"
    )

    assert {name: _padded(bound) for name, bound in declared} == {name: _padded(pin) for name, pin in tested.items()}


def test_the_extra_for_the_tests_brings_every_extra_of_users():
    """They are named in the extra `test`, and the group `test` names that extra: no list stands twice."""
    extras = PROJECT["optional-dependencies"]
    named = re.fullmatch(r"vpsorg-async\[(.+)\]", extras["test"][0])

    assert {*named[1].split(",")} == extras.keys() - {"test"}
    assert PYPROJECT["dependency-groups"]["test"] == ["vpsorg-async[test]"]


def test_the_address_of_the_repository_is_the_same_everywhere():
    """A fork changes it in pyproject.toml, and this test then names the other places."""
    source = PROJECT["urls"]["Source"]
    texts = [path for pattern in ("*.md", "*.toml", "docs/*.md", ".github/**/*") for path in ROOT.glob(pattern)]
    named = {
        (path.relative_to(ROOT).as_posix(), address)
        for path in texts
        if path.is_file()
        for address in REPOSITORY.findall(path.read_text(encoding="utf-8"))
    }

    assert {address for _, address in named if address != source} == set(), named
    assert len([url for url in PROJECT["urls"].values() if url.startswith(source)]) == 4


def test_the_lock_has_what_pyproject_asks_for():
    """`nox -s lock` writes it."""
    groups = {name: lines for name, lines in PYPROJECT["dependency-groups"].items() if name != "bench"}
    named = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values(), *groups.values()]
    asked = [Requirement(line) for lines in named for line in lines if isinstance(line, str)]

    assert [
        str(one)
        for one in asked
        if one.name != "vpsorg-async" and not any(one.specifier.contains(pin, True) for pin in _locked(one.name))
    ] == []


def test_each_locked_package_has_its_hashes_and_no_address():
    lock = (ROOT / "requirements-dev.txt").read_text()
    entries = re.split(r"\n(?=\S)", lock.strip())

    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert "://" not in lock


def test_every_session_of_nox_is_in_contributing_and_in_the_checks():
    decorated = re.compile(r"^@nox\.(?:session|parametrize).*\ndef (\w+)\(", re.MULTILINE)
    sessions = set(decorated.findall((ROOT / "noxfile.py").read_text()))
    told = "\n".join(re.findall(r"^\| (`.+?) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))

    assert sessions - set(re.findall(r"`(\w+)", told)) == {"closing"}
    run_by_hand = {"build", "coverage", "lock", "pages", "quick", "tests"}
    assert sessions - _in_the_checks() == run_by_hand


def test_the_forge_runs_every_session_of_the_checks():
    workflow = (ROOT / ".github" / "workflows" / "checks.yml").read_text()
    there = set(re.findall(r"^ {10}- (\w+)$|nox -s (\w+)", workflow, re.MULTILINE))

    # The forge has every interpreter itself, and runs all tests on each.
    on_other_interpreters = {"python", "newer", "closing"}
    assert _in_the_checks() - {name for names in there for name in names} == on_other_interpreters


def test_at_most_ten_places_are_excluded_from_coverage_and_each_has_a_reason():
    found = [match for path in (ROOT / "vpsorg_async").rglob("*.py") for match in NO_COVER.finditer(path.read_text())]

    assert len(found) <= 10
    assert [match[0] for match in found if len(match["reason"].strip(" -:")) < 10] == []


def _in_the_checks():
    """Return the sessions of nox that `.ci/run` runs."""
    found = re.findall(r"^run (\w+)|-s (\w+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    return {name for names in found for name in names if name}


def _padded(version):
    return tuple(int(part) for part in [*version.replace("b", ".").split("."), "0", "0"][:3])


def _locked(name):
    """Return the versions of a package in the lock: it may have one for each interpreter."""
    lock = (ROOT / "requirements-dev.txt").read_text()
    return re.findall(rf"^{re.escape(name)}(?:\[.+\])?==([^\s;]+)", lock, re.MULTILINE | re.IGNORECASE)
