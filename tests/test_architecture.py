"""The house: imports go one way, rooms are small, and each module says what it holds and has tests."""

from __future__ import annotations

import ast
import functools
import re

from pathlib import Path

import pytest

from tests.helpers import ROOT


PACKAGE = ROOT / "vpsorg_async"
MOST_LINES = 400
MOST_LINES_OF_AN_INTEGRATION = 199
# The one circle: a server's methods are calls of the client that showed it.
HANDLE = ("_models", "_servers")


@functools.cache
def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name below the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str) -> set[str]:
    """Return the modules of the package that a module imports anywhere: in functions and under TYPE_CHECKING too."""
    path = modules()[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - (node.level - 1)]
        base += node.module.split(".") if node.module else []
        for alias in node.names:
            module = ".".join([*base, alias.name])
            found.add(module if module in modules() else ".".join(base))
    return found - {name}


def graph(*, without: tuple[str, str] | None = None) -> dict[str, set[str]]:
    edges = {name: imports_of(name) for name in modules() if name}
    if without is not None:
        edges[without[0]].discard(without[1])
    return edges


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the circles that are left when modules that import nothing in a circle are taken away."""
    left = {name: {other for other in others if other in edges} for name, others in edges.items()}
    while free := [name for name, others in left.items() if not others]:
        for name in free:
            del left[name]
        left = {name: others - set(free) for name, others in left.items()}
    return [sorted(left)] if left else []


class TestImports:
    def test_the_only_circle_is_the_models_handle_on_the_client(self):
        assert HANDLE[1] in graph()[HANDLE[0]]

        assert circles(graph(without=HANDLE)) == []

    def test_a_circle_would_be_seen(self):
        assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "d"]]
        assert circles({"a": {"b"}, "b": set()}) == []

    def test_the_sandbox_knows_of_the_client_no_more_than_its_clock_and_the_names_of_httpx(self):
        sandbox = {name for name in modules() if name.split(".")[0] == "sandbox"}
        known = {(name, other) for name in sandbox for other in imports_of(name) if other not in sandbox}

        # The name of an extra, the version and the names of httpx are not the client's.
        assert {other for _, other in known} <= {"_clock", "_client", "_config", "_extras", "_http", "_version"}
        # For `Sandbox.client()` and its type hints.
        assert {name for name, other in known if other in ("_client", "_config")} == {"sandbox._sandbox"}


class TestModules:
    @pytest.mark.parametrize("name", [name for name in modules() if name])
    def test_it_is_small_enough_to_be_read(self, name):
        most = MOST_LINES_OF_AN_INTEGRATION if name.startswith("integrations") else MOST_LINES

        assert len(modules()[name].read_text().splitlines()) <= most

    @pytest.mark.parametrize("name", [name for name in modules() if name])
    def test_it_is_told_in_a_sentence(self, name):
        told = (ast.get_docstring(ast.parse(modules()[name].read_text())) or "").splitlines()

        assert told, "a module says what it holds"
        assert re.match(r"(?!(Who|What|Whatever|Where|That|Which)\b)", told[0])
        assert told[0].endswith((".", ":"))

    def test_nine_of_ten_functions_fit_on_half_a_screen(self):
        lengths = sorted(
            (node.end_lineno or 0) - node.lineno + 1
            for path in modules().values()
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )

        assert lengths[int(0.9 * len(lengths))] <= 20


WITHOUT_TESTS_OF_THEIR_OWN = {
    "_version": "a number, pinned by tests/test_exports.py",
    "sandbox.__main__": "a command, run by tests/sandbox/test_command.py",
    "__main__": "a command, run by tests/test_demo.py",
    "durable.__main__": "a command, run by tests/durable/test_command.py",
}


class TestMirror:
    @pytest.mark.parametrize(
        "name",
        [name for name, path in modules().items() if path.name != "__init__.py" and name.split(".")[0] != "sandbox"],
    )
    def test_each_module_has_tests_that_are_found_by_its_name(self, name):
        """`vpsorg_async/_request/retry.py`: tests/request/test_retry.py, or test_retry_….py."""
        *rooms, module = [part.lstrip("_") for part in name.split(".")]
        folder = ROOT.joinpath("tests", *rooms)
        if name in WITHOUT_TESTS_OF_THEIR_OWN:
            return

        assert [*folder.glob(f"test_{module}.py"), *folder.glob(f"test_{module}_*.py")]
